"""``python -m lipsync score``, run for real: one clip, many, a plot, a repaired copy."""

from __future__ import annotations

import json
import re
import shutil
from fractions import Fraction
from pathlib import Path

import pytest
from conftest import Ffmpeg
from PIL import Image

from lipsync.cli.arguments import build_parser
from lipsync.cli.commands import main
from lipsync.cli.plot import MOST_ROWS, check_plot, draw_scores
from lipsync.cli.report import describe_score
from lipsync.cli.score import JUDGES, _means
from lipsync.errors import OutputError
from lipsync.example import example_photo, example_voice
from lipsync.media.probe import probe_clip
from lipsync.media.shift import shift_sound
from lipsync.pipeline import LipSyncPipeline
from lipsync.score import judges
from lipsync.steps import exhaust
from lipsync.types import Request, SyncScore

CLIPS = Path(__file__).resolve().parents[2] / "shared" / "clips"
Shown = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def talk(
    pipeline: LipSyncPipeline, ffmpeg: Ffmpeg, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Two and a half seconds of the example, small and at 15 fps, as the draft engine does it."""
    folder = tmp_path_factory.mktemp("talk")
    crop = ("-vf", "crop=400:400:30:0,scale=240:240", "-frames:v", 1)
    photo = ffmpeg("-i", example_photo(), *crop, folder / "photo.png")
    voice = ffmpeg("-i", example_voice(), "-t", 2.5, folder / "voice.wav")
    output = folder / "talk $1.mp4"
    exhaust(pipeline.sync(Request(photo, voice, output, fps=Fraction(15), score=False)))
    return output


def made_score(judge: str, confidence: float, offset: int, distance: float | None) -> SyncScore:
    return SyncScore(
        judge=judge,
        worth=f"What {judge} is worth.",
        confidence=confidence,
        offset_frames=offset,
        fps=Fraction(25),
        verdict="in sync",
        distance=distance,
        curve_offsets=(-1, 0, 1),
        curve=(9.1, 7.0, 9.0),
        per_second=(confidence, None, -0.2),
    )


def test_one_clip_is_named_scored_and_drawn(talk: Path, tmp_path: Path, capsys: Shown) -> None:
    plot, copy = tmp_path / "plot.png", tmp_path / "copy.mp4"
    assert main(["score", str(talk), "--plot", str(plot), "--fix", str(copy)]) == 0
    numbers, repair, worth = capsys.readouterr().out.splitlines()
    assert numbers.startswith(f"{talk}: sync confidence ")
    assert re.search(r"offset \+0 frames \([+-]1?\d ms\): in sync$", numbers)
    assert repair == "The offset is 0: there is nothing to repair, and nothing was written."
    assert worth.startswith("judge correlate: ")
    assert "proxy" in worth
    with Image.open(plot) as picture:
        assert picture.format == "PNG"
        assert picture.size == (1100, 240)
        assert len(set(picture.convert("L").resize((110, 24)).tobytes())) > 20
    assert list(tmp_path.iterdir()) == [plot]


def test_fix_brings_the_offset_to_nothing(talk: Path, tmp_path: Path, capsys: Shown) -> None:
    late, copy = tmp_path / "late.mp4", tmp_path / "copy.mp4"
    exhaust(shift_sound(talk, late, 5, Fraction(25)))
    assert main(["score", str(late), "--fix", str(copy), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["video"], report["audio"], report["reason"]) == (str(late), str(late), None)
    before, repair = report["score"], report["fix"]
    assert -6 <= before["offset_frames"] <= -4
    assert (repair["output"], repair["reason"]) == (str(copy), None)
    assert repair["moved_frames"] == before["offset_frames"]
    assert repair["moved_ms"] == 40 * before["offset_frames"]
    assert abs(repair["moved_ms"] - before["offset_ms"]) <= 20
    assert abs(repair["score"]["offset_frames"]) <= 1
    assert repair["score"]["judge"] == before["judge"] == "correlate"
    assert probe_clip(copy).num_frames == probe_clip(late).num_frames


def test_of_many_each_gets_a_line_and_the_rest_a_mean(
    talk: Path, face_clip: Path, tmp_path: Path, capsys: Shown
) -> None:
    folder = tmp_path / "clips"
    (folder / "not a clip.mp4").mkdir(parents=True)
    shutil.copy(talk, folder / "b.mp4")
    shutil.copy(face_clip, folder / "C.MOV")
    (folder / "a.mkv").write_text("words")
    (folder / ".hidden.mp4").write_text("words")
    (folder / "notes.txt").write_text("words")
    line = ["score", str(folder), str(tmp_path / "gone.mp4"), "--plot", str(tmp_path / "p.png")]
    assert main(line) == 1
    head, *rows, mean, worth, failed = capsys.readouterr().out.splitlines()
    assert head.split() == ["clip", "confidence", "frames", "ms", "verdict"]
    names = [folder / "C.MOV", folder / "a.mkv", folder / "b.mp4", tmp_path / "gone.mp4"]
    assert [row.startswith(f"{name}  ") for row, name in zip(rows, names, strict=True)] == [
        True
    ] * 4
    assert "No speech was found in C.MOV" in rows[0]
    assert rows[1].endswith("choose a media file.")
    confidence, frames, ms, *verdict = rows[2].removeprefix(str(names[2])).split()
    assert (frames, verdict) == ("+0", ["in", "sync"])
    assert abs(int(ms)) <= 20
    assert "There is no file" in rows[3]
    off = f"offset 0.0 frames ({abs(int(ms))} ms) either way"
    assert mean == f"mean of 1: confidence {confidence}, {off}"
    assert worth.startswith("judge correlate: ")
    assert failed == "3 of 4 could not be scored."
    with Image.open(tmp_path / "p.png") as picture:
        assert picture.size == (1100, 240)


def test_nothing_scored_is_nothing_drawn(tmp_path: Path, capsys: Shown) -> None:
    (tmp_path / "a.mp4").write_text("words")
    plot = tmp_path / "p.png"
    assert main(["score", str(tmp_path), "--plot", str(plot), "--json"]) == 1
    shown = capsys.readouterr()
    report = json.loads(shown.out)
    assert [row["score"] for row in report["clips"]] == [None]
    assert "holds text" in report["clips"][0]["reason"]
    assert report["means"] == []
    assert report["versions"]["lipsync"]
    assert "Nothing was scored, so nothing was drawn." in shown.err
    assert not plot.exists()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["clip.mp4", "clip.mp4", "--fix", "out.mp4"], "--fix repairs one clip at a time"),
        ([".", "--fix", "out.mp4"], "--fix repairs one clip at a time"),
        (["clip.mp4", "--audio", "a.wav", "--fix", "out.mp4"], "leave out --audio"),
        (["clip.mp4", "--fix", "clip.mp4"], "one of the inputs"),
        (["clip.mp4", "--fix", "out.gif"], "out.gif does not end in .mp4"),
        (["clip.mp4", "--plot", "out.jpg"], "out.jpg does not end in .png"),
        (["clip.mp4", "--audio", "a.png", "--plot", "a.png"], "one of the inputs"),
        (["clip.mp4", "--judge", "syncnet"], "models pull syncnet-v2"),
        (["empty"], "empty holds no clip (.mp4"),
        (["clip.mp4"], "clip.mp4 holds text"),
    ],
)
def test_what_cannot_be_is_said_in_one_sentence(
    words: list[str], sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Shown
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "clip.mp4").write_text("words")
    (tmp_path / "empty").mkdir()
    assert main(["score", *words]) == 2
    shown = capsys.readouterr()
    assert sentence in shown.err.splitlines()[-1]
    assert shown.out == ""
    assert len(list(tmp_path.iterdir())) == 2


def test_every_judge_can_be_asked_for() -> None:
    assert (judges.AUTO, *judges.JUDGES) == JUDGES
    found = build_parser().parse_args(["score", "a.mp4", "b", "--judge", "stable_syncnet"])
    assert (found.videos, found.judge) == ([Path("a.mp4"), Path("b")], "stable_syncnet")


def test_numbers_of_two_judges_are_never_mixed() -> None:
    scores = [
        made_score("syncnet", 6.0, 3, 7.0),
        made_score("correlate", 0.5, 1, None),
        made_score("syncnet", 8.0, -1, 8.0),
    ]
    one, other = _means(scores)
    assert one == {
        "judge": "syncnet",
        "clips": 2,
        "confidence": 7.0,
        "distance": 7.5,
        "offset_frames_either_way": 2.0,
        "offset_ms_either_way": 80.0,
    }
    assert (other["judge"], other["confidence"], other["distance"]) == ("correlate", 0.5, None)


def test_a_distance_is_told_where_there_is_one() -> None:
    numbers, worth = describe_score(made_score("syncnet", 6.0, 3, 7.0)).splitlines()
    assert numbers.startswith("sync confidence 6.00, distance 7.00, offset +3 frames (+120 ms)")
    assert worth == "judge syncnet: What syncnet is worth."
    assert "distance" not in describe_score(made_score("correlate", 0.6, 3, None))


def test_a_plot_has_a_row_for_each_and_is_whole_or_not_there(tmp_path: Path) -> None:
    scores = [("50 $ and 你好 $.mp4", made_score("syncnet", 6.0, 3, 7.0))] * 2
    draw_scores(scores, tmp_path / "plot.png")
    with Image.open(tmp_path / "plot.png") as picture:
        assert picture.size == (1100, 480)
    with pytest.raises(OutputError, match="There is no folder"):
        check_plot(tmp_path / "none" / "plot.png", [], 1)
    with pytest.raises(OutputError, match=rf"shows {MOST_ROWS} clips at most, not 101"):
        check_plot(tmp_path / "plot.png", [], 101)
    (tmp_path / "taken.png").mkdir()
    with pytest.raises(OutputError):
        draw_scores(scores, tmp_path / "taken.png")
    assert sorted(one.name for one in tmp_path.iterdir()) == ["plot.png", "taken.png"]


@pytest.mark.slow
@pytest.mark.skipif(not CLIPS.is_dir(), reason="the real clips are not on this machine")
@pytest.mark.parametrize("name", ["vr_2", "vr_3", "st_aoc", "wl_2"])
def test_fix_repairs_what_real_clips_were_shifted_by(
    name: str, tmp_path: Path, capsys: Shown
) -> None:
    for frames in (-6, -3, 4, 7):
        shifted, copy = tmp_path / f"shifted{frames}.mp4", tmp_path / f"copy{frames}.mp4"
        exhaust(shift_sound(CLIPS / f"{name}.mp4", shifted, frames, Fraction(25)))
        line = ["score", str(shifted), "--fix", str(copy), "--judge", "correlate", "--json"]
        assert main(line) == 0
        report = json.loads(capsys.readouterr().out)
        repaired = report["fix"] or report  # nothing is written where the shift has repaired it
        assert abs(repaired["score"]["offset_frames"]) <= 1, (frames, report)
