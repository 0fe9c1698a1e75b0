"""What every run has: options, an end, a clock that goes on, and an exit code."""

from __future__ import annotations

import argparse
import copy
from pathlib import Path

import pytest
import torch
from training_runs import read_rows

from lipsync.errors import InputError, OutputError
from lipsync.nn.checkpoint import read_file
from lipsync.train.run import (
    LEARNING_RATE,
    Until,
    add_run_options,
    open_run,
    read_until,
    run_recipe,
)

CURVES = {"train": ("l1",), "val": ("l1",)}


def parse(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_run_options(parser, batch=16, every=3000, exam=512)
    return parser.parse_args(["DATA", "OUT", *words])


def test_what_is_not_said_is_as_published() -> None:
    options = parse()
    assert (options.width, options.batch, options.every) == (32, 16, 3000)
    assert options.learning_rate == LEARNING_RATE == 1e-4
    assert read_until(options) == Until(300_000)
    assert read_until(parse("--steps", "7", "--minutes", "1.5")) == Until(7, 90.0)


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("--batch", "1"), "2 windows or more"),
        (("--width", "7"), "not even"),
        (("--steps", "0"), "whole number from 1"),
        (("--minutes", "nan"), "length in minutes"),
        (("--learning-rate", "2"), "between 0 and 1"),
    ],
)
def test_what_cannot_be_is_refused(
    words: tuple[str, ...], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        parse(*words)
    assert reason in capsys.readouterr().err


def test_step_clock_and_state_go_on(tmp_path: Path) -> None:
    file = tmp_path / "new folder" / "run.pth"
    with open_run(file, {"width": 2}, CURVES) as run:
        assert run.take_state() is None
        assert run.goes_on(Until(1))
        run.step = 3
        run.save(1, {"state_dict": {"a": torch.ones(2)}})
    torch.save({**copy.deepcopy(read_file(file)), "seconds": 100.0}, file)
    with open_run(file, {"width": 2}, CURVES) as run:
        torch.save({}, file)  # what was read is no longer that of the file
        state = run.take_state()
        assert state is not None
        assert torch.equal(state["state_dict"]["a"], torch.ones(2))
        assert run.take_state() is None
        assert run.step == 3
        assert 100 <= run.seconds < 130
        assert run.goes_on(Until(4, 200.0))
        assert not run.goes_on(Until(3))
        assert not run.goes_on(Until(4, 99.0))
    assert sorted(path.name for path in file.parent.iterdir()) == [
        ".lock",
        "run.pth",
        "run.train.csv",
        "run.val.csv",
    ]


def test_what_a_run_without_a_checkpoint_has_left_is_written_again(tmp_path: Path) -> None:
    for value in (0.5, 0.25):
        with open_run(tmp_path / "run.pth", {}, CURVES) as run:
            run.note("val", {"l1": value})
    assert read_rows(tmp_path / "run.pth", "val") == [{"step": "0", "l1": "0.25"}]


def test_a_damaged_checkpoint_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "run.pth"
    with open_run(file, {}, CURVES) as run:
        run.save(0, {"state_dict": {}})
    file.write_bytes(file.read_bytes()[:-40])
    with pytest.raises(InputError, match="damaged"), open_run(file, {}, CURVES):
        pass


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("words")
    with pytest.raises(OutputError), open_run(tmp_path / "file" / "run.pth", {}, CURVES):
        pass


def test_two_at_once_do_not_write_into_one_run(tmp_path: Path) -> None:
    file = tmp_path / "run.pth"
    with open_run(file, {}, CURVES) as run:
        run.note("val", {"l1": 0.5})
        with pytest.raises(InputError, match="Another process is writing into"):
            open_run(file, {}, CURVES).__enter__()
    assert len(read_rows(file, "val")) == 1
    with open_run(file, {}, CURVES):
        pass


def test_how_a_recipe_ends_is_its_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    def refuse() -> None:
        raise InputError("That is no voice; choose another.")

    def stop() -> None:
        raise KeyboardInterrupt

    assert [run_recipe(act) for act in (lambda: None, refuse, stop)] == [0, 2, 130]
    assert capsys.readouterr().err == (
        "That is no voice; choose another.\n"
        "Interrupted; the same command goes on from the last checkpoint.\n"
    )
