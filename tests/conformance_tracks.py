"""Who is followed through a scene, and what is cut out, as the published face pipeline does it."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np
from golden_folder import Check, Family, largest_error
from published_tracks import BoxTrack, follow_published

from lipsync.score.face_crop import crop_face, crop_rectangle, smooth_path

BOX = 1e-3  # px; they are kept in float32
PLACE = 1e-6  # px
LEVEL = 1  # of 255: resizing rounds
SIZE = (480, 960)


def check(family: Family) -> Iterator[Check]:
    """Compare every scene's tracks, and the cuts along those that have some recorded."""
    for name, scene in family.facts["scenes"].items():
        frames = [np.array([face[1:] for face in faces]).reshape(-1, 4) for faces in scene["faces"]]
        for key in scene:
            if found := re.fullmatch(r"min(\d+)", key):
                tracks = follow_published(frames, int(found[1]))
                yield from check_tracks(family, f"{name}_{key}", scene[key], tracks)
        for number, track in enumerate(follow_published(frames, 50)):
            if f"{name}_crop{number}_s" in family.arrays:
                yield from check_cut(family, f"{name}_crop{number}", track)


def check_tracks(
    family: Family, name: str, stated: list[dict[str, int]], tracks: list[BoxTrack]
) -> Iterator[Check]:
    """Compare where each track begins, how long it is, and its boxes."""
    spans = [(one["first"], one["last"], one["n"]) for one in stated]
    ours = [(t.first, t.first + len(t.boxes) - 1, len(t.boxes)) for t in tracks]
    yield Check(f"{family.name}.{name} ({len(spans)} tracks)", float(ours != spans), 0)
    for number, track in enumerate(tracks):
        recorded = family.arrays.get(f"{name}_{number}_bbox", np.empty(0))
        error = largest_error(track.boxes, recorded)
        yield Check(f"{family.name}.{name}_{number}_bbox", error, BOX)


def check_cut(family: Family, name: str, track: BoxTrack) -> Iterator[Check]:
    """Compare the smoothed places, the rectangles, the sound's ends and some pixels."""
    path = smooth_path(track.boxes, compat=True)
    places = zip(path.half_sides, path.x, path.y, strict=True)
    cuts = [crop_rectangle(half, x, y, SIZE) for half, x, y in places]
    sides = np.array([[cut.bottom - cut.top, cut.right - cut.left] for cut in cuts])
    frame = draw_frame()
    shown = [0, 5, 20, len(cuts) - 1]
    pixels = np.stack([crop_face(frame, cuts[number])[::28, ::28] for number in shown])
    ends = np.array([track.start_seconds, track.end_seconds])
    for key, ours, tolerance in (
        ("s", path.half_sides, PLACE),
        ("x", path.x, PLACE),
        ("y", path.y, PLACE),
        ("hw", sides, 0),
        ("audio_start_end", ends, PLACE),
        ("frames_sub28", pixels, LEVEL),
    ):
        error = largest_error(ours, family.arrays[f"{name}_{key}"])
        yield Check(f"{family.name}.{name}_{key}", error, tolerance)


def draw_frame() -> np.ndarray:
    """Return the picture that every frame of the recording is; (480, 960, 3) uint8."""
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    return np.stack([x % 256, y % 256, (x // 256) * 16 + y // 256], axis=2).astype(np.uint8)
