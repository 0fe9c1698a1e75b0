"""The doctor looks at the real machine, and at broken ones made for it."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

from lipsync.cli.commands import main
from lipsync.doctor import REQUIREMENTS, check_port, read_pins


def test_this_machine_is_healthy(capsys: pytest.CaptureFixture[str]) -> None:
    """The tests run on what requirements.txt installs, so nothing may be broken."""
    assert main(["doctor", "--json"]) == 0
    findings = json.loads(capsys.readouterr().out)["findings"]
    names = {finding["name"] for finding in findings}
    assert {"Python", "ffmpeg", "encoders", "bundled models", "device", "disk", "port"} <= names
    assert [finding for finding in findings if finding["state"] == "broken"] == []


def test_people_get_one_line_each(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert all(line.startswith("[") for line in lines)
    assert any("ffmpeg" in line for line in lines)


def test_a_taken_port_is_noted_with_a_way_out() -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        port = holder.getsockname()[1]
        finding = check_port(port)
    assert finding.state == "note"
    assert f"PORT={port + 1}" in finding.advice


def test_pins_are_read_as_written(tmp_path: Path) -> None:
    listing = tmp_path / "r.txt"
    listing.write_text("# x==1\n-c y.txt\nA-b==1.2.3  # why\ntorch>=2.8,<2.14\n\n")
    assert read_pins(listing) == {"A-b": "1.2.3", "torch": None}


def test_all_but_torch_are_pinned_exactly() -> None:
    pins = read_pins(REQUIREMENTS)
    assert [name for name, pin in pins.items() if pin is None] == ["torch"]
