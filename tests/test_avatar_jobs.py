"""Jobs on a clip that an avatar was made from: the same frames, and nothing looked for twice."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from contextlib import closing
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import run_ffmpeg
from kept_avatars import copy_home, count_work, make_avatar, parts_of, spoil
from watched_jobs import WatchedEngine, frames_of, refuse, run, same

import lipsync.composite.render
from lipsync import LipSyncPipeline, Request
from lipsync.avatar.parts import need_of
from lipsync.avatar.preparation import complete
from lipsync.avatar.prepared import Prepared
from lipsync.avatar.store import AvatarStore
from lipsync.engines import ENGINES
from lipsync.engines.draft.engine import DraftEngine
from lipsync.example import example_voice
from lipsync.face.align import TEMPLATES
from lipsync.face.detect import MediaPipeDetector
from lipsync.face.follow import follow_faces
from lipsync.face.gallery import Gallery
from lipsync.face.speaker import Speaker
from lipsync.face.track import choose_face
from lipsync.media.probe import probe_clip
from lipsync.steps import exhaust
from lipsync.types import Clip, FaceChoice, Generated, Scene, Window


@pytest.fixture(scope="module")
def voice(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("said") / "voice.wav"
    return run_ffmpeg("-i", example_voice(), "-t", 1.8, path)


@pytest.fixture(scope="module")
def short_said(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("said") / "short.wav"
    return run_ffmpeg("-i", example_voice(), "-t", 0.4, path)


@pytest.fixture(scope="module")
def couple(tmp_path_factory: pytest.TempPathFactory, face_clip: Path) -> Path:
    """The portrait twice, side by side, the right one larger; a second long."""
    graph = "[0:v]scale=240:240,pad=240:320[a];[a][1:v]hstack"
    path = tmp_path_factory.mktemp("couple") / "couple.mp4"
    return run_ffmpeg(
        *("-i", face_clip, "-i", face_clip, "-filter_complex", graph, "-an"),
        *("-c:v", "libx264", "-preset", "ultrafast"),
        path,
    )


@pytest.fixture(scope="module")
def home(
    pipeline: LipSyncPipeline,
    gap_clip: Path,
    couple: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    place = tmp_path_factory.mktemp("avatars") / "home"
    make_avatar(pipeline, place, gap_clip, "Gap")
    make_avatar(pipeline, place, couple, "Couple")
    return place


@pytest.fixture(scope="module")
def speaking(home: Path) -> Iterator[LipSyncPipeline]:
    """A pipeline that knows the avatars."""
    with closing(LipSyncPipeline(avatars=AvatarStore(home))) as made:
        yield made


def take(store: AvatarStore, name: str, clip: Clip, notes: list[str] | None = None) -> Prepared:
    """Return what a job of the draft engine would take from an avatar."""
    need = need_of(DraftEngine, DraftEngine.Settings(), clip)
    prepared, said = exhaust(
        complete(store, store.get(name).key, clip, need, lambda: closing(MediaPipeDetector()))
    )
    if notes is not None:
        notes += said
    return prepared


def ask(clip: Path, voice: Path, folder: Path, **options: Any) -> Request:
    # without loss, every bit of the pictures comes to light in the file
    fixed = {"score": False, "quality": "lossless"}
    return Request(clip, voice, folder / "out.mp4", **{**fixed, **options})


def test_the_second_speech_looks_for_nothing_and_is_the_same_file(
    pipeline: LipSyncPipeline,
    gap_clip: Path,
    voice: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A gap and the way back through the clip included."""
    store = AvatarStore(tmp_path / "home")
    counted = count_work(monkeypatch)
    avatar = make_avatar(pipeline, store.home, gap_clip)
    assert counted.take() == (40, 2)
    with closing(LipSyncPipeline(avatars=store)) as speaking:
        heard = run(speaking, ask(avatar.video, voice, tmp_path))
        with_avatar = heard.output.read_bytes()
        assert counted.take() == (0, 0)
        plain = run(pipeline, ask(gap_clip, voice, tmp_path))
        assert counted.take() == (40, 2)
    assert plain.output.read_bytes() == with_avatar
    assert plain.skipped == heard.skipped
    assert plain.notes == heard.notes


@pytest.mark.slow
@pytest.mark.parametrize(
    "choice",
    [
        FaceChoice(),
        FaceChoice(number=1),
        FaceChoice(number=2),
        FaceChoice(click=(112.0, 75.0), click_seconds=0.4),
    ],
    ids=["largest", "left", "right", "clicked"],
)
def test_whoever_is_chosen_is_prepared(
    choice: FaceChoice, home: Path, couple: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = probe_clip(couple)
    prepared = take(AvatarStore(home), "Couple", clip)
    with closing(MediaPipeDetector()) as detector:
        gallery = Gallery(DraftEngine.spec.references)
        tracks = exhaust(follow_faces(clip, range(clip.num_frames), detector, gallery))
    found = Speaker(choose_face(tracks, choice, clip.size, clip.fps), gallery.album())
    kept = prepared.speaker(
        choose_face(prepared.tracks, choice, clip.size, clip.fps, within=range(clip.num_frames))
    )
    assert np.array_equal(found.track.boxes, kept.track.boxes, equal_nan=True)
    assert found.track.shots == kept.track.shots
    assert np.array_equal(found.track.landmarks[:], kept.track.landmarks[:])
    counted = count_work(monkeypatch)
    (segment,) = found.track.segments()
    fresh = found.align(segment, TEMPLATES["native"], None)
    assert counted.take() == (0, 1)
    stored = kept.align(segment, TEMPLATES["native"], None)
    assert counted.take() == (0, 0)
    assert np.array_equal(fresh.matrices, stored.matrices)
    assert fresh.size == stored.size
    pairs = zip(found.references(segment), kept.references(segment), strict=True)
    for one, other in pairs:
        assert one.row == other.row
        assert np.array_equal(one.image, other.image)
        assert np.array_equal(one.landmarks, other.landmarks)


@pytest.mark.slow
def test_a_trimmed_clip_and_a_part_take_what_is_kept(
    speaking: LipSyncPipeline,
    gap_clip: Path,
    voice: Path,
    tmp_path: Path,
    watched: type[WatchedEngine],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The crop lies as in the whole clip, and mouths from beyond the trim may be borrowed."""
    counted = count_work(monkeypatch)
    late = ask(gap_clip, voice, tmp_path, engine="watched", start=0.4, fit="cut")
    result = run(speaking, late)
    assert counted.take() == (0, 0)
    (skipped,) = result.skipped
    assert (skipped.start_seconds, skipped.end_seconds) == (
        pytest.approx(0.16),
        pytest.approx(0.56),
    )
    first, second = watched.scenes
    assert first.rows.tolist() == [10, 11, 12, 13]
    assert second.rows.tolist() == list(range(24, 40))
    assert min(reference.row for reference in first.references) < 10
    watched.scenes.clear()

    run(speaking, dataclasses.replace(late, start=None, part=(0.2, 0.2)))
    assert counted.take() == (0, 0)
    (part,) = watched.scenes
    assert part.rows.tolist() == [5, 6, 7, 8, 9]
    assert part.alignment.size == first.alignment.size
    assert len(part.references) == len(first.references)


@pytest.mark.slow
def test_a_part_or_click_without_a_face_is_refused_as_ever(
    speaking: LipSyncPipeline, gap_clip: Path, voice: Path, tmp_path: Path
) -> None:
    unseen = ask(gap_clip, voice, tmp_path, part=(0.6, 0.2))
    assert "No face was found in this part of the clip" in refuse(speaking, unseen)
    beside = ask(gap_clip, voice, tmp_path, face=FaceChoice(click=(2.0, 2.0)))
    assert "no face at the clicked point" in refuse(speaking, beside)
    third = ask(gap_clip, voice, tmp_path, face=FaceChoice(number=3))
    assert "Face number 3" in refuse(speaking, third)


@pytest.mark.slow
def test_another_rate_completes_the_avatar_once(
    gap_clip: Path, home: Path, short_said: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = copy_home(home, tmp_path / "home")
    slow = ask(gap_clip, short_said, tmp_path, fps=Fraction(20))
    with closing(LipSyncPipeline(avatars=store)) as speaking:
        counted = count_work(monkeypatch)
        first = run(speaking, slow).output.read_bytes()
        assert counted.take() == (32, 2)
        assert run(speaking, slow).output.read_bytes() == first
        assert counted.take() == (0, 0)
    assert store.get("Gap").bytes > AvatarStore(home).get("Gap").bytes
    assert store.troubles() == ()


class SmallEngine(DraftEngine):
    """Gives every crop back as it came, 96 px on the LatentSync template."""

    spec = dataclasses.replace(DraftEngine.spec, name="small", references=0)

    @classmethod
    def template(cls, settings: Any) -> str:
        return "latentsync"

    @classmethod
    def crop_size(cls, settings: Any) -> int:  # type: ignore[override]
        return 96

    def generate(
        self, scene: Scene, windows: Iterable[Window], settings: Any, rng: torch.Generator
    ) -> Iterator[Generated]:
        for window in windows:
            assert window.faces.shape[1:] == (96, 96, 3)
            yield Generated(255 - window.faces)


@pytest.mark.slow
def test_another_engine_finds_the_faces_and_keeps_its_crops(
    pipeline: LipSyncPipeline,
    gap_clip: Path,
    home: Path,
    short_said: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(ENGINES, "small", f"{__name__}:SmallEngine")
    store = copy_home(home, tmp_path / "home")
    small = ask(gap_clip, short_said, tmp_path, engine="small")
    plain = run(pipeline, small).output.read_bytes()
    counted = count_work(monkeypatch)
    with closing(LipSyncPipeline(avatars=store)) as speaking:
        assert run(speaking, small).output.read_bytes() == plain
        assert counted.take() == (0, 2)  # aligned for its template
        monkeypatch.delattr(lipsync.composite.render, "crop_face")
        assert run(speaking, small).output.read_bytes() == plain
        assert counted.take() == (0, 0)
    assert store.get("Gap").engines == ("draft", "small")


@pytest.mark.parametrize("file", ["matrices.npy", "mouths.npy", "thumbnail.png"])
def test_damage_is_told_and_mended(file: str, gap_clip: Path, home: Path, tmp_path: Path) -> None:
    store, clip = copy_home(home, tmp_path / "home"), probe_clip(gap_clip)
    whole = {path: path.read_bytes() for path in store.home.rglob("*.np*")}
    spoil(next(part / file for part in parts_of(store.get("Gap")) if (part / file).exists()))
    notes: list[str] = []
    take(store, "Gap", clip, notes)
    assert notes == [
        f"What was prepared of this clip was damaged ({file} is not what was written) and was "
        "made anew."
    ]
    assert {path: path.read_bytes() for path in store.home.rglob("*.npy")} == {
        path: content for path, content in whole.items() if path.suffix == ".npy"
    }
    take(store, "Gap", clip, notes)
    assert len(notes) == 1


def test_a_job_tells_what_was_damaged_and_shows_none_of_it(
    pipeline: LipSyncPipeline, gap_clip: Path, home: Path, short_said: Path, tmp_path: Path
) -> None:
    store = copy_home(home, tmp_path / "home")
    request = ask(gap_clip, short_said, tmp_path)
    whole = run(pipeline, request).output.read_bytes()
    spoil(next(part / "codes.npy" for part in parts_of(store.get("Gap")) if "faces" in part.name))
    mended = run(pipeline, dataclasses.replace(request, home=store.home))
    assert "codes.npy is not what was written" in mended.notes[0]
    assert mended.output.read_bytes() == whole


def test_what_grows_with_the_clip_is_mapped_from_its_file(home: Path, gap_clip: Path) -> None:
    prepared = take(AvatarStore(home), "Gap", probe_clip(gap_clip))
    arrays = [*prepared.tracks.landmarks.arrays().values(), prepared.aligned.matrices]
    arrays += [picture.image for picture in prepared.album.pictures]
    for array in arrays:
        while isinstance(array.base, np.ndarray):
            array = array.base
        assert isinstance(array, np.memmap)


def test_a_voice_that_cannot_be_used_ends_the_job_as_ever(
    speaking: LipSyncPipeline, gap_clip: Path, tmp_path: Path
) -> None:
    silent = run_ffmpeg("-f", "lavfi", "-i", "anullsrc", "-t", 1, tmp_path / "silent.wav")
    assert "is silent" in refuse(speaking, ask(gap_clip, silent, tmp_path))


@pytest.mark.slow
def test_a_photo_can_be_an_avatar(
    pipeline: LipSyncPipeline, gap_clip: Path, short_said: Path, tmp_path: Path
) -> None:
    photo = run_ffmpeg("-i", gap_clip, "-frames:v", 1, tmp_path / "photo.png")
    avatar = make_avatar(pipeline, tmp_path / "home", photo)
    assert avatar.clip.is_still
    assert avatar.video.suffix == ".png"
    request = ask(avatar.video, short_said, tmp_path)
    plain = run(pipeline, request)
    heard = run(pipeline, dataclasses.replace(request, home=tmp_path / "home"))
    frames = zip(frames_of(plain.output), frames_of(heard.output), strict=True)
    assert all(same(one, other) for one, other in frames)
