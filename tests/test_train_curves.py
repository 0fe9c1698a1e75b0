"""Curves: rows as they come, none twice, and a picture of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lipsync.errors import InputError
from lipsync.train.curves import Curve, curve_path, main, read_curve


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """Where a run would have its checkpoint, with both of its curves beside it."""
    path = tmp_path / "run.pth"
    learnt = Curve(curve_path(path, "train"), ("l1", "sync"), last_step=0)
    for step in range(1, 200):
        values = {"l1": float(np.float32(1 / step))} | ({"sync": 0.7} if step > 150 else {})
        learnt.add(step, 0.5 * step, values)
    learnt.close()
    examined = Curve(curve_path(path, "val"), ("l1", "right"), last_step=0)
    for step in (0, 100):
        examined.add(step, 0.5 * step, {"l1": 0.5 - step / 1000, "right": 0.5})
    examined.close()
    return path


def test_numbers_come_back_as_they_were(checkpoint: Path) -> None:
    curve = read_curve(curve_path(checkpoint, "train"))
    assert [*curve] == ["step", "seconds", "l1", "sync"]
    assert curve["l1"].astype(np.float32).tolist() == [np.float32(1 / n) for n in range(1, 200)]
    assert np.isnan(curve["sync"][:150]).all()
    assert (curve["sync"][150:] == 0.7).all()


def test_what_came_after_the_last_checkpoint_is_dropped(checkpoint: Path) -> None:
    path = curve_path(checkpoint, "train")
    with path.open("a") as file:
        file.write("200,100")  # killed while it wrote
    again = Curve(path, ("l1", "sync"), last_step=120)
    again.add(121, 60.0, {"l1": 9.0})
    again.close()
    curve = read_curve(path)
    assert curve["step"].tolist() == [*range(1, 122)]
    assert curve["l1"][-1] == 9.0


def test_a_curve_of_another_kind_is_left_alone(checkpoint: Path) -> None:
    path = curve_path(checkpoint, "val")
    before = path.read_bytes()
    with pytest.raises(InputError, match="another kind of run"):
        Curve(path, ("l1", "sync"), last_step=0)
    assert path.read_bytes() == before


def test_the_picture_has_a_panel_per_validation_column(checkpoint: Path, tmp_path: Path) -> None:
    picture = tmp_path / "curves.png"
    assert main([str(checkpoint), "-o", str(picture)]) == 0
    with Image.open(picture) as drawn:
        assert drawn.size == (2 * 550, 352)
        halves = [
            np.asarray(drawn.convert("RGB"))[:, part] for part in (slice(550), slice(550, None))
        ]
    teal = [((half == (13, 148, 136)).all(axis=2)).sum() for half in halves]
    pale = [((half == (156, 163, 175)).all(axis=2)).sum() for half in halves]
    assert min(teal) > 50
    assert pale[0] > 50  # training knows l1, not how many were told right
    assert pale[1] == 0


def test_no_run_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path / "run.pth"), "-o", str(tmp_path / "a.png")]) == 2
    assert "There is no curve at" in capsys.readouterr().err
    assert main([str(tmp_path / "run.pth"), "-o", str(tmp_path / "a.jpg")]) == 2
    assert "does not end in .png" in capsys.readouterr().err
