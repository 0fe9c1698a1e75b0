"""Look the machine over: what is installed, what works, and what to do where it does not."""

from __future__ import annotations

import importlib
import os
import platform
import re
import shutil
import socket
import subprocess
import sys
from dataclasses import dataclass
from importlib import metadata, util
from pathlib import Path
from typing import Literal

REQUIREMENTS = Path(__file__).resolve().parents[1] / "requirements.txt"
PORT = 7860  # where `make run` opens the app

_DISK_LOW = 2e9  # bytes; a long lossless job takes about as much
_MEMORY_LOW = 2e9  # bytes; a job is held under 1.2 GB, the rest is the system's
_DECODERS = ("h264", "hevc", "vp9", "av1", "mpeg4")
_ENCODERS = ("libx264", "aac")
_SCRUB = "run `make install`, or `pip install --force-reinstall -r requirements.txt`"


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    name: str
    state: Literal["ok", "note", "broken"]
    found: str
    advice: str = ""

    def __str__(self) -> str:
        mark = {"ok": " ok ", "note": "note", "broken": "BAD "}[self.state]
        text = f"[{mark}] {self.name}: {self.found}"
        return f"{text}. To do: {self.advice}." if self.advice else text


def examine(folder: Path) -> list[Finding]:
    """Return the findings about this machine; `folder` is where results would be written.

    Takes a few seconds, as every part is really tried. Raises nothing for a part that is broken.
    """
    findings = [_check_python()]
    findings += _check_packages()
    findings += [
        _check_import("OpenCV", "cv2", "install the system's libGL and libglib, or " + _SCRUB),
        _check_ffmpeg(),
        *_check_codecs(),
        _check_models(),
        _check_device(),
        _check_disk(folder),
        _check_memory(),
        check_port(PORT),
    ]
    return findings


def _check_python() -> Finding:
    version = platform.python_version()
    if sys.version_info[:2] in ((3, 11), (3, 12)):
        return Finding("Python", "ok", f"{version} on {platform.system()} {platform.machine()}")
    return Finding("Python", "broken", version, "use Python 3.11 or 3.12; `make run` looks for one")


def _check_packages() -> list[Finding]:
    """Compare what is installed with the pins; only what differs gets a finding of its own."""
    findings = []
    right = 0
    for name, pin in read_pins(REQUIREMENTS).items():
        try:
            version = metadata.version(name)
        except metadata.PackageNotFoundError:
            findings.append(Finding(name, "broken", "not installed", _SCRUB))
            continue
        # torch carries its build behind a plus, which is not part of the pin
        if pin is not None and version.split("+")[0] != pin:
            findings.append(Finding(name, "note", f"{version}, tested with {pin}", _SCRUB))
        else:
            right += 1
    return [Finding("packages", "ok", f"{right} as pinned in {REQUIREMENTS.name}"), *findings]


def read_pins(path: Path) -> dict[str, str | None]:
    """Return the required packages with their exact version, None for a range."""
    pins: dict[str, str | None] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        found = re.match(r"([A-Za-z0-9._-]+)\s*(==\s*([^\s;#]+)|[<>~!])", line)
        if found and not line.startswith("-"):
            pins[found[1]] = found[3]
    return pins


def _check_import(name: str, module: str, advice: str) -> Finding:
    try:
        found = importlib.import_module(module)
    except (ImportError, OSError) as error:
        # OSError: a shared library that a package loads by hand is missing
        return Finding(name, "broken", f"cannot be loaded ({error})", advice)
    return Finding(name, "ok", str(getattr(found, "__version__", "loads")))


def _check_ffmpeg() -> Finding:
    try:
        from imageio_ffmpeg import get_ffmpeg_exe

        binary = get_ffmpeg_exe()
        shown = subprocess.run([binary, "-version"], capture_output=True, timeout=20, check=True)
    except (ImportError, RuntimeError, OSError, subprocess.SubprocessError) as error:
        return Finding("ffmpeg", "broken", f"does not run ({error})", _SCRUB)
    version = shown.stdout.decode(errors="replace").split(" ")[2]
    return Finding("ffmpeg", "ok", f"{version} at {binary}")


def _check_codecs() -> list[Finding]:
    try:
        from av.codec import Codec, codecs_available
    except ImportError as error:
        return [Finding("PyAV", "broken", f"cannot be loaded ({error})", _SCRUB)]

    def missing(names: tuple[str, ...], mode: Literal["r", "w"]) -> list[str]:
        lacking = []
        for name in names:
            try:
                Codec(name, mode)
            except ValueError:  # PyAV's UnknownCodecError is one
                lacking.append(name)
        return lacking

    findings = []
    for title, names, lacking in (
        ("decoders", _DECODERS, missing(_DECODERS, "r")),
        ("encoders", _ENCODERS, missing(_ENCODERS, "w")),
    ):
        if lacking:
            found = f"PyAV lacks {', '.join(lacking)}"
            findings.append(Finding(title, "broken", found, _SCRUB))
        else:
            found = f"{', '.join(names)} (of {len(codecs_available)} codecs)"
            findings.append(Finding(title, "ok", found))
    return findings


# package -> a file inside it that a job reads; all of them come with the package, none is fetched
_MODELS = {
    "mediapipe": "modules/face_landmark/face_landmark_with_attention.tflite",
    "silero_vad": "data/silero_vad.jit",
    "pocketsphinx": "model/en-us",
}


def _check_models() -> Finding:
    lacking = []
    for package, file in _MODELS.items():
        found = util.find_spec(package)
        folders = (found.submodule_search_locations or []) if found else []
        if not any((Path(folder) / file).exists() for folder in folders):
            lacking.append(f"{package}/{file}")
    if lacking:
        return Finding("bundled models", "broken", "missing: " + ", ".join(lacking), _SCRUB)
    return Finding("bundled models", "ok", "faces (mediapipe), speech (silero_vad, pocketsphinx)")


def _check_device() -> Finding:
    try:
        import torch
    except (ImportError, OSError) as error:
        return Finding("PyTorch", "broken", f"cannot be loaded ({error})", _SCRUB)
    cores = f"{os.cpu_count()} CPU cores"
    if torch.cuda.is_available():
        name = torch.cuda.get_device_name(0)
        return Finding("device", "ok", f"{cores}, GPU {name}, PyTorch {torch.__version__}")
    if torch.backends.mps.is_available():
        return Finding("device", "ok", f"{cores}, Apple GPU, PyTorch {torch.__version__}")
    found = f"{cores}, no GPU, PyTorch {torch.__version__}; the draft engine needs none"
    return Finding("device", "ok", found)


def _check_disk(folder: Path) -> Finding:
    free = shutil.disk_usage(folder).free
    found = f"{free / 1e9:.1f} GB free at {folder}"
    if not os.access(folder, os.W_OK):
        advice = "choose an output folder that you may write to"
        return Finding("disk", "note", f"{folder} is not writable", advice)
    if free < _DISK_LOW:
        return Finding("disk", "note", found, "free some space before a long job")
    return Finding("disk", "ok", found)


def _check_memory() -> Finding:
    if "SC_PHYS_PAGES" not in getattr(os, "sysconf_names", {}):
        return Finding("memory", "note", "cannot be read on this system")
    size = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    found = f"{size / 1e9:.1f} GB"
    if size < _MEMORY_LOW:
        return Finding("memory", "note", found, "close other programs while a job runs")
    return Finding("memory", "ok", found)


def check_port(port: int) -> Finding:
    """Say whether the app could listen on this port of 127.0.0.1."""
    with socket.socket() as listener:
        try:
            listener.bind(("127.0.0.1", port))
        except OSError as error:
            advice = f"stop what uses it, or `make run PORT={port + 1}`"
            return Finding("port", "note", f"{port} is taken ({error.strerror})", advice)
    return Finding("port", "ok", f"{port} is free")
