"""The runner of recorded vectors: what it compares, what it says, and how it ends."""

from __future__ import annotations

import json
import math
import shutil
import subprocess
import sys
from pathlib import Path

import conformance
import numpy as np
import pytest
from golden_folder import Check, Family, largest_error

GOLDEN = Path(__file__).with_name("golden")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of one recorded family that a test may spoil, with a single case in it."""
    made = tmp_path / "golden" / "one"
    made.mkdir(parents=True)
    facts = json.loads((GOLDEN / "unet_tiny.json").read_text("utf-8"))
    facts["cases"] = {"A_f1": facts["cases"]["A_f1"]}
    (made / "unet_tiny.json").write_text(json.dumps(facts))
    shutil.copy(GOLDEN / "unet_tiny.npz", made)
    return made


def test_run_as_a_file_it_passes_from_any_folder(tmp_path: Path, folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, conformance.__file__, folder],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "ok   unet_tiny.A_f1: largest error" in done.stdout
    assert "tolerance 0.0001" in done.stdout


@pytest.mark.parametrize(("folder", "count"), [(GOLDEN, 3), (GOLDEN / "wav2lip", 100)])
def test_every_vector_kept_here_passes(
    folder: Path, count: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert conformance.main([str(folder)]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[-1].endswith("0 missed, 0 skipped")
    assert sum(line.startswith("ok ") for line in said) == len(said) - 1 >= count


def test_one_wrong_number_is_a_miss(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = folder / "unet_tiny.npz"
    arrays = dict(np.load(path))
    arrays["A_f1"][1, 2, 0, 5, 7] += 0.001
    np.savez(path, **arrays)
    assert conformance.main([str(folder)]) == 1
    assert "MISS unet_tiny.A_f1: largest error 0.001" in capsys.readouterr().out


def test_the_salt_in_the_file_is_used(folder: Path) -> None:
    path = folder / "unet_tiny.json"
    path.write_text(path.read_text().replace('"salt": ""', '"salt": "sea"'))
    assert conformance.main([str(folder)]) == 1


def test_what_is_not_built_is_skipped_by_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "teleport_tiny.json").write_text("{}")
    assert conformance.main([str(tmp_path)]) == 2
    said = capsys.readouterr().out
    assert said.splitlines() == [
        "skip teleport_tiny: not built yet",
        "0 passed, 0 missed, 1 skipped",
    ]


def test_an_error_that_is_no_number_is_a_miss() -> None:
    assert not Check("x", math.nan, 1.0).passed
    assert math.isnan(largest_error(np.array([1.0, np.nan]), np.array([1.0, 2.0])))
    assert largest_error(np.zeros(2), np.zeros(3)) == math.inf


def test_pictures_are_cut_out_of_one_array(tmp_path: Path) -> None:
    import io

    from PIL import Image

    drawn = [np.full((4, 3, 3), (level, 0, 9), np.uint8) for level in (10, 200)]
    files = []
    for picture in drawn:
        buffer = io.BytesIO()
        Image.fromarray(picture).save(buffer, "PNG")
        files.append(np.frombuffer(buffer.getvalue(), np.uint8))
    lengths = [len(file) for file in files]
    np.savez(tmp_path / "a.npz", faces=np.concatenate(files), faces_len=lengths)
    found = Family(tmp_path / "a.json", tmp_path).pictures("faces")
    assert len(found) == 2
    assert all(np.array_equal(one, other) for one, other in zip(found, drawn, strict=True))


def test_a_family_of_arrays_alone_is_run_with_its_folders_salt(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.savez(tmp_path / "teleport.npz", a=np.zeros(1))
    (tmp_path / "others.json").write_text('{"salt": "sea"}')
    (tmp_path / "plain.json").write_text("[1]")
    family = Family(tmp_path / "teleport.json", tmp_path)
    assert (family.facts, family.salt) == ({}, "sea")
    assert conformance.main([str(tmp_path)]) == 2
    assert "skip teleport: not built yet" in capsys.readouterr().out
