"""`prepare wav2lip`: a folder of videos, some of which are broken, to what training reads."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from conftest import Ffmpeg
from filelock import FileLock

from lipsync.cli.commands import main
from lipsync.engines import engine_class
from lipsync.engines.wav2lip.chunks import hear_voice
from lipsync.errors import InputError
from lipsync.face.align import TEMPLATES, align_track, crop_face
from lipsync.face.detect import MediaPipeDetector
from lipsync.face.follow import follow_faces
from lipsync.face.gallery import Gallery
from lipsync.face.track import choose_face
from lipsync.media.frames import read_frames
from lipsync.media.probe import at_rate, probe_clip
from lipsync.media.sound import read_audio
from lipsync.steps import exhaust
from lipsync.train.prepare import find_videos, prepare_videos
from lipsync.train.prepared import is_video_name, open_videos
from lipsync.train.windows import Windows
from lipsync.types import FaceChoice

Shown = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def detector() -> Iterator[MediaPipeDetector]:
    detector = MediaPipeDetector()
    yield detector
    detector.close()


@pytest.fixture
def films(face_clip: Path, ffmpeg: Ffmpeg, tmp_path: Path) -> Path:
    """A good clip twice, in a folder below, and what cannot be learnt from."""
    folder = tmp_path / "films"
    (folder / "below").mkdir(parents=True)
    shutil.copy(face_clip, folder / "a good one.MP4")
    shutil.copy(face_clip, folder / "below" / "the same.mp4")
    ffmpeg("-i", face_clip, "-an", "-c", "copy", folder / "below" / "mute.mp4")
    (folder / "broken.mp4").write_bytes(face_clip.read_bytes()[:4000])
    (folder / ".hidden.mp4").write_text("words")
    (folder / "notes.txt").write_text("words")
    return folder


def folders_in(data: Path) -> list[Path]:
    return sorted(path for path in data.iterdir() if path.is_dir())


def test_good_ones_are_prepared_and_bad_ones_get_a_sentence(
    films: Path, tmp_path: Path, capsys: Shown
) -> None:
    data = tmp_path / "data"
    assert main(["prepare", "wav2lip", str(films), str(data)]) == 1
    good, mute, same, broken, counts, sizes = capsys.readouterr().out.splitlines()
    assert good == "a good one.MP4: 1.0 s"
    assert mute.startswith("below/mute.mp4: mute.mp4 has no sound")
    assert same == "below/the same.mp4: was prepared before"
    assert broken.startswith("broken.mp4: broken.mp4 breaks off")
    assert counts == "1 prepared, 1 there before, 2 refused"
    assert sizes.endswith("videos: 1 for training, 0 for validation, 0 for testing")
    (video,) = open_videos(data)
    assert is_video_name(video.folder.name)
    assert (video.name, video.runs) == ("a good one.MP4", (range(25),))
    made = {path: path.stat().st_mtime_ns for path in video.folder.iterdir()}
    assert main(["prepare", "wav2lip", str(films), str(data)]) == 1
    assert "0 prepared, 2 there before, 2 refused" in capsys.readouterr().out
    assert {path: path.stat().st_mtime_ns for path in video.folder.iterdir()} == made


def test_training_sees_and_hears_what_the_engine_does(
    face_clip: Path, tmp_path: Path, ffmpeg: Ffmpeg, detector: MediaPipeDetector
) -> None:
    film, data = tmp_path / "films" / "at 50.mp4", tmp_path / "data"
    film.parent.mkdir()
    ffmpeg("-i", face_clip, "-r", 50, "-c:v", "libx264", "-preset", "ultrafast", film)
    exhaust(prepare_videos(film.parent, data, detector))
    (video,) = open_videos(data)
    mel = hear_voice(read_audio(film, 16_000))
    np.testing.assert_array_equal(video.mel(), mel.T)
    clip = at_rate(probe_clip(film), Fraction(25))
    tracks = exhaust(follow_faces(clip, range(25), detector, Gallery(0)))
    track = choose_face(tracks, FaceChoice(), clip.size, clip.fps)
    engine = engine_class("wav2lip")
    settings = engine.Settings()
    size = engine.crop_size(settings)
    assert size is not None
    alignment = align_track(track, slice(0, 25), TEMPLATES[engine.template(settings)], size)
    frame = next(read_frames(clip, [7]))
    np.testing.assert_array_equal(video.faces()[7], crop_face(frame, alignment.matrices[7], size))
    batch = Windows([video], seed=0).batch(0, 1)
    assert batch.filmed.std() > 0.1


def test_a_run_that_was_stopped_goes_on(
    films: Path, tmp_path: Path, detector: MediaPipeDetector
) -> None:
    data = tmp_path / "data"
    steps = prepare_videos(films, data, detector)
    while (step := next(steps)).done < 40:
        assert step.outcome is None
    steps.close()
    (half,) = folders_in(data)
    assert half.suffix == ".half"
    with pytest.raises(InputError, match="holds no prepared video"):
        open_videos(data)
    outcome = exhaust(prepare_videos(films, data, detector))
    assert (len(outcome.prepared), len(outcome.skipped), len(outcome.refused)) == (1, 1, 2)
    assert [path.name for path in folders_in(data)] == outcome.prepared


def test_two_at_once_do_not_disturb_each_other(films: Path, tmp_path: Path, capsys: Shown) -> None:
    data = tmp_path / "data"
    data.mkdir()
    with FileLock(data / ".lock"):
        assert main(["prepare", "wav2lip", str(films), str(data)]) == 2
    assert "Another process is writing into" in capsys.readouterr().err
    assert folders_in(data) == []


def test_nothing_to_learn_from_is_exit_code_2(tmp_path: Path, capsys: Shown) -> None:
    films = tmp_path / "films"
    films.mkdir()
    line = ["prepare", "wav2lip", str(films), str(tmp_path / "data")]
    assert main(line) == 2
    assert "holds no video" in capsys.readouterr().err
    (films / "a.mp4").write_text("words")
    assert main(line) == 2
    assert capsys.readouterr().out.splitlines()[-1] == "0 prepared, 0 there before, 1 refused"
    assert main([*line[:2], str(tmp_path / "nowhere"), line[3]]) == 2
    assert "There is no folder" in capsys.readouterr().err


def test_videos_are_found_below_a_folder_too(films: Path) -> None:
    names = [str(path.relative_to(films)) for path in find_videos(films)]
    assert names == ["a good one.MP4", "below/mute.mp4", "below/the same.mp4", "broken.mp4"]
