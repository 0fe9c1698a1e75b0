"""The quick look through a clip: who is there, where, and the cuts, without reading it all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from conftest import Ffmpeg
from made_faces import face_of, faces_with, placed

from lipsync.errors import InputError
from lipsync.example import example_photo
from lipsync.face.scan import MAX_LOOKS, plan_looks, scan_clip
from lipsync.landmarks import LandmarkStore
from lipsync.media.frames import nearest_keys
from lipsync.media.probe import probe_clip
from lipsync.media.view import Picture
from lipsync.pipeline import LipSyncPipeline
from lipsync.scan import Scan
from lipsync.types import Face

PORTRAIT = ("-loop", 1, "-framerate", 25, "-i", example_photo())
NOBODY = ("-f", "lavfi", "-i", "testsrc2=s=320x320:r=25")
QUICK = ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p")
CROP = "crop=220:220:115:20,scale=320:320,setsar=1,format=yuv420p"


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory, ffmpeg: Ffmpeg) -> Path:
    """1.2 s of a portrait, 0.8 s of a test picture, 1.2 s of the portrait twice, in half size."""
    path = tmp_path_factory.mktemp("scan") / "mixed.mp4"
    graph = (
        f"[0]{CROP},split=3[a][b][c];[a]trim=duration=1.2[one];[1]trim=duration=0.8[none];"
        "[b]scale=160:160[left];[c]scale=160:160,hflip[right];"
        "[left][right]hstack,pad=320:320:0:80,trim=duration=1.2[two];"
        "[one][none][two]concat=n=3,format=yuv420p"
    )
    return ffmpeg(*PORTRAIT, *NOBODY, "-filter_complex", graph, *QUICK, "-t", 3.2, path)


def last(pipeline: LipSyncPipeline, clip: Path) -> Scan:
    return list(pipeline.scan(clip))[-1]


def test_scans_grow_from_bare_facts(pipeline: LipSyncPipeline, mixed: Path) -> None:
    scans = list(pipeline.scan(mixed))
    first, shares = scans[0], [scan.share for scan in scans]
    assert (first.clip.num_frames, first.share, first.spans, first.faces) == (80, 0.0, (), ())
    assert first.trouble is None
    assert shares == sorted(shares)
    assert shares.count(1.0) == 1
    for scan in scans[1:]:
        assert scan.spans[0].start_seconds == 0
        assert scan.spans[-1].end_seconds == pytest.approx(scan.share * 3.2)
    assert scans[-1].pace > 0


def test_stretches_end_at_the_cuts(pipeline: LipSyncPipeline, mixed: Path) -> None:
    scan = last(pipeline, mixed)
    assert scan.cuts == pytest.approx((1.2, 2.0))
    assert [(s.kind, s.start_seconds, s.end_seconds) for s in scan.spans] == [
        ("found", 0.0, pytest.approx(1.2)),
        ("lost", pytest.approx(1.2), pytest.approx(2.0)),
        ("found", pytest.approx(2.0), pytest.approx(3.2)),
    ]
    assert scan.trouble is None


def test_each_face_is_listed_with_a_place_that_a_job_takes(
    pipeline: LipSyncPipeline, mixed: Path
) -> None:
    scan = last(pipeline, mixed)
    assert [face.number for face in scan.faces] == [1, 1, 2]
    assert [face.seconds < 1.2 for face in scan.faces] == [True, False, False]
    for place, face in enumerate(scan.faces):
        assert face.thumbnail.shape == (128, 128, 3)
        assert face.thumbnail.std() > 20
        own = [s for s in scan.sightings if s.face == place]
        assert any(s.seconds == face.seconds and (s.box == face.box).all() for s in own)
        assert face.share == 1.0
    seconds = [sighting.seconds for sighting in scan.sightings]
    assert seconds == sorted(seconds)
    assert min(np.diff(sorted(set(seconds)))) == pytest.approx(0.2)


def test_same_place_in_a_later_shot_is_listed_once(
    pipeline: LipSyncPipeline, tmp_path: Path, ffmpeg: Ffmpeg
) -> None:
    graph = (
        f"[0]{CROP},split[a][b];[a]trim=duration=0.8[one];[b]trim=duration=0.8[three];"
        "[1]trim=duration=0.4[two];[one][two][three]concat=n=3,format=yuv420p"
    )
    clip = ffmpeg(*PORTRAIT, *NOBODY, "-filter_complex", graph, *QUICK, "-t", 2, tmp_path / "c.mp4")
    scan = last(pipeline, clip)
    assert len(scan.cuts) == 2
    assert len(scan.faces) == 1
    assert {sighting.face for sighting in scan.sightings} == {0}


def test_moving_picture_has_no_cut(
    pipeline: LipSyncPipeline, tmp_path: Path, ffmpeg: Ffmpeg
) -> None:
    pan = "crop=260:260:x='95+60*sin(4*t)':y=10,scale=320:320,format=yuv420p"
    clip = ffmpeg(*PORTRAIT, "-vf", pan, *QUICK, "-t", 3, tmp_path / "pan.mp4")
    scan = last(pipeline, clip)
    assert scan.cuts == ()
    assert [span.kind for span in scan.spans] == ["found"]


def test_clip_without_a_face_says_why_at_its_end(
    pipeline: LipSyncPipeline, tmp_path: Path, ffmpeg: Ffmpeg
) -> None:
    clip = ffmpeg(*NOBODY, *QUICK, "-t", 1, tmp_path / "none.mp4")
    scan = last(pipeline, clip)
    assert (scan.share, scan.faces, scan.sightings) == (1.0, (), ())
    assert [span.kind for span in scan.spans] == ["lost"]
    assert scan.trouble is not None
    assert scan.trouble.startswith("No face was found")


def test_face_too_small_for_a_job_is_not_offered(
    pipeline: LipSyncPipeline, tmp_path: Path, ffmpeg: Ffmpeg
) -> None:
    clip = ffmpeg(
        *PORTRAIT, "-vf", "scale=160:-2,format=yuv420p", *QUICK, "-t", 1, tmp_path / "small.mp4"
    )
    scan = last(pipeline, clip)
    assert (scan.faces, scan.sightings) == ((), ())
    assert scan.trouble is not None
    assert "px wide" in scan.trouble


def test_photo_is_looked_at_once(pipeline: LipSyncPipeline) -> None:
    first, *_, scan = pipeline.scan(example_photo())
    assert (first.share, scan.share) == (0.0, 1.0)
    assert [(s.kind, s.end_seconds) for s in scan.spans] == [("found", 0.0)]
    assert [(face.number, face.seconds) for face in scan.faces] == [(1, 0.0)]
    assert len(scan.sightings) == 1


def test_broken_clip_is_an_input_error(pipeline: LipSyncPipeline, tmp_path: Path) -> None:
    path = tmp_path / "diary.mp4"
    path.write_text("dear diary" * 100)
    with pytest.raises(InputError, match="text"):
        next(pipeline.scan(path))


def test_closed_scan_gives_everything_back(mixed: Path) -> None:
    pipeline = LipSyncPipeline()
    scans = pipeline.scan(mixed)
    next(scans)
    next(scans)
    scans.close()
    with pytest.raises(StopIteration):
        next(scans)
    if Path("/proc/self/fd").exists():
        held = [link.resolve() for link in Path("/proc/self/fd").iterdir()]
        assert mixed.resolve() not in held
    (detector,) = pipeline._idle_detectors["mediapipe"]
    assert last(pipeline, mixed).share == 1.0
    assert pipeline._idle_detectors["mediapipe"] == [detector]
    pipeline.close()


class TurningHead:
    """Finds one made face that looks ahead in its first pictures and to the side afterwards."""

    num_points = 478

    def __init__(self, ahead: int) -> None:
        mesh = faces_with(np.array([[0.1, 0.557]]))
        views = [placed(mesh, degrees=(yaw, 0.0, 0.0))[0] for yaw in (0.0, 75.0)]
        self._ahead, self._faces, self._looks = ahead, [face_of(view) for view in views], 0

    def detect(self, image: Picture) -> list[Face]:
        self._looks += 1
        return [self._faces[self._looks > self._ahead]]

    def reset(self) -> None:
        pass

    def close(self) -> None:
        pass


def test_turned_face_is_told_from_a_lost_one(face_clip: Path) -> None:
    *_, scan = scan_clip(probe_clip(face_clip), TurningHead(ahead=3))
    assert [(s.kind, s.start_seconds, s.end_seconds) for s in scan.spans] == [
        ("found", 0.0, pytest.approx(0.5)),
        ("turned", pytest.approx(0.5), pytest.approx(1.0)),
    ]
    # the portrait is the view that shows more of the face
    assert scan.faces[0].seconds < 0.5


@pytest.fixture(scope="module")
def long_clip(tmp_path_factory: pytest.TempPathFactory, ffmpeg: Ffmpeg) -> Path:
    """Nine minutes, a key frame every 5 s: 30 s of a swaying portrait, 30 s of nobody, …"""
    folder = tmp_path_factory.mktemp("long")
    sway = "crop=220:220:x='115+30*sin(t)':y=20,scale=160:160,setsar=1,trim=duration=30"
    graph = (
        f"[0]{sway},format=yuv420p[a];[1]scale=160:160,setsar=1,trim=duration=30,format=yuv420p[b];"
        "[a][b]concat=n=2"
    )
    minute = ffmpeg(
        *PORTRAIT, *NOBODY, "-filter_complex", graph, *QUICK, "-g", 125, "-t", 60, folder / "1.mp4"
    )
    return ffmpeg("-stream_loop", 8, "-i", minute, "-c", "copy", folder / "long.mp4")


def test_long_clip_is_looked_at_where_it_is_cheap(
    long_clip: Path, pipeline: LipSyncPipeline
) -> None:
    clip = probe_clip(long_clip)
    plan = plan_looks(clip)
    assert plan.is_sparse
    assert 100 < len(plan.numbers) <= MAX_LOOKS
    assert (np.diff(plan.numbers) > 0).all()
    assert (nearest_keys(clip, plan.numbers) == plan.numbers).all()


def test_cuts_of_a_long_clip_are_no_motion(long_clip: Path, pipeline: LipSyncPipeline) -> None:
    scan = last(pipeline, long_clip)
    assert [span.kind for span in scan.spans] == ["found", "lost"] * 9
    assert scan.cuts == pytest.approx([30.0 * n for n in range(1, 18)], abs=5.1)
    assert len(scan.faces) == 1


def test_short_clip_is_read_whole_and_looked_at_five_times_a_second(face_clip: Path) -> None:
    plan = plan_looks(probe_clip(face_clip))
    assert (len(plan.numbers), plan.stride, plan.is_sparse) == (25, 5, False)


def test_selection_of_a_store_stays_while_the_store_grows() -> None:
    store = LandmarkStore(0, 3)
    points = np.arange(9, dtype=np.float32).reshape(3, 3)
    store.append(points)
    chosen = store.select(np.array([0, -1]))
    for _ in range(3 * LandmarkStore.GROWTH):
        store.append(points + 100)
    assert len(chosen) == 2
    np.testing.assert_allclose(chosen[0], points, atol=1e-3)
    assert np.isnan(chosen[1]).all()
