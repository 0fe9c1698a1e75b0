"""The lip-sync expert's recipe at its smallest: it learns, and a stop leaves no trace."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from made_windows import make_talking
from training_runs import differences, read_rows

from lipsync.engines.wav2lip.convert import load_expert
from lipsync.errors import InputError
from lipsync.nn.checkpoint import read_file
from lipsync.train.prepared import open_videos
from lipsync.train.run import Until
from lipsync.train.syncnet_color import FILE, Config, Trainee, main, train, train_step
from lipsync.train.windows import Windows

TINY = Config(width=2, batch=3, every=2, exam=6, seed=1)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    make_talking(folder, 3)
    return folder


@pytest.fixture(scope="module")
def straight(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checkpoint of four steps without a stop."""
    checkpoint = tmp_path_factory.mktemp("straight") / FILE
    train(data, checkpoint, TINY, Until(4), "cpu")
    return checkpoint


def test_going_on_is_as_if_it_had_never_stopped(data: Path, straight: Path, tmp_path: Path) -> None:
    for steps in (3, 4):
        train(data, tmp_path / FILE, TINY, Until(steps), "cpu")
    assert differences(straight, tmp_path / FILE) == []
    assert read_rows(tmp_path / FILE, "train") == read_rows(straight, "train")
    looks = read_rows(tmp_path / FILE, "val")
    assert [row for row in looks if row["step"] in "024"] == read_rows(straight, "val")


def test_the_checkpoint_is_one_of_the_published_kind(straight: Path) -> None:
    kept = read_file(straight)
    assert (kept["global_step"], kept["global_epoch"]) == (4, 12)
    expert = load_expert(straight)
    assert expert.params.width == TINY.width
    assert not expert.training
    assert not any(parameter.requires_grad for parameter in expert.parameters())


def test_the_curve_has_every_step_once(straight: Path) -> None:
    assert [row["step"] for row in read_rows(straight, "train")] == ["1", "2", "3", "4"]
    assert [row["step"] for row in read_rows(straight, "val")] == ["0", "2", "4"]


def test_it_learns_to_tell_mouths_apart(data: Path) -> None:
    trainee = Trainee(replace(TINY, learning_rate=0.003), torch.device("cpu"))
    batch = Windows(open_videos(data), seed=1).sync_batch(0, 8)
    losses = [train_step(trainee, batch)["sync"] for _ in range(15)]
    assert losses[-1] < 0.7 * losses[0]


def test_another_width_than_the_checkpoint_has_is_refused(data: Path, straight: Path) -> None:
    before = straight.read_bytes()
    with pytest.raises(InputError, match="was trained with width 2, and now it is 4"):
        train(data, straight, replace(TINY, width=4), Until(6), "cpu")
    assert straight.read_bytes() == before


def test_no_data_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path), str(tmp_path / "out")]) == 2
    assert "holds no prepared video" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
