"""The table of checkpoints is complete and says nothing that cannot be."""

from __future__ import annotations

import re

import pytest

from lipsync.weights import CHECKPOINTS, Checkpoint, HubFile, WebFile

EVERY = pytest.mark.parametrize("row", CHECKPOINTS, ids=lambda row: row.key)


def test_everything_the_engines_need_is_in_the_table() -> None:
    assert {row.key for row in CHECKPOINTS} == {
        *("latentsync-1.5", "latentsync-1.6", "stable-syncnet", "sd-vae-ft-mse"),
        *("whisper-tiny", "whisper-small", "syncnet-v2", "insightface-buffalo-l"),
        *("wav2lip", "wav2lip-gan"),
    }
    assert len({row.key for row in CHECKPOINTS}) == len(CHECKPOINTS)


@EVERY
def test_a_row_is_whole(row: Checkpoint) -> None:
    assert re.fullmatch(r"[a-z0-9.-]+", row.key)
    assert row.title
    assert row.licence.name
    assert row.licence.meaning.endswith(".")
    names = [file.name for file in row.files]
    assert len(set(names)) == len(names)
    for download in row.downloads:
        for file in (download.file, *download.members):
            assert re.fullmatch(r"[\w.]+", file.name)
            assert file.size
            assert file.sha256
            assert re.fullmatch(r"[0-9a-f]{64}", file.sha256)
    assert row.size == sum(download.file.size or 0 for download in row.downloads)


@EVERY
def test_a_source_never_changes_and_is_encrypted(row: Checkpoint) -> None:
    for download in row.downloads:
        source = download.source
        if isinstance(source, HubFile):
            assert re.fullmatch(r"[\w.-]+/[\w.-]+", source.repository)
            assert re.fullmatch(r"[0-9a-f]{40}", source.revision)
        else:
            assert isinstance(source, WebFile)
            assert source.url.startswith("https://")


def test_whisper_lies_at_an_address_that_holds_its_checksum() -> None:
    small = next(row for row in CHECKPOINTS if row.key == "whisper-small").downloads[0]
    assert isinstance(small.source, WebFile)
    assert small.file.sha256 in small.source.url


def test_no_two_files_of_different_rows_are_one() -> None:
    sums = [file.sha256 for row in CHECKPOINTS for file in row.files]
    assert len(set(sums)) == len(sums)


def test_research_models_are_marked() -> None:
    closed = {row.key for row in CHECKPOINTS if row.licence.allows_commercial is False}
    assert closed == {"insightface-buffalo-l", "wav2lip", "wav2lip-gan"}
