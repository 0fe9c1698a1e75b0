"""`faces`: who may be chosen, in words, as JSON and as pictures."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from conftest import Ffmpeg
from PIL import Image

from lipsync.cli.commands import main
from lipsync.example import example_photo


@pytest.fixture(scope="module")
def two_people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    portrait = np.asarray(Image.open(example_photo()).convert("RGB"))
    path = tmp_path_factory.mktemp("people") / "two.png"
    Image.fromarray(np.concatenate([portrait, portrait[:, ::-1]], axis=1)).save(path)
    return path


def test_lists_people_from_the_left(
    two_people: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "thumbs"
    assert main(["faces", str(two_people), "--json", "--thumbnails", str(folder)]) == 0
    faces = json.loads(capsys.readouterr().out)["faces"]
    assert [face["number"] for face in faces] == [1, 2]
    assert faces[0]["box"][2] < 512 < faces[1]["box"][0]
    assert all(face["share"] == 1.0 for face in faces)
    pictures = sorted(folder.iterdir())
    assert [Image.open(path).size for path in pictures] == [(128, 128)] * 2


def test_nobody_is_no_error(
    ffmpeg: Ffmpeg, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    empty = ffmpeg("-f", "lavfi", "-i", "color=gray:s=128x96:r=25:d=0.2", tmp_path / "empty.mp4")
    assert main(["faces", str(empty)]) == 0
    assert "No face was found" in capsys.readouterr().out


def test_a_folder_that_cannot_be_made_is_a_sentence(
    two_people: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    assert main(["faces", str(two_people), "--thumbnails", str(blocked)]) == 2
    assert "choose another folder" in capsys.readouterr().err
