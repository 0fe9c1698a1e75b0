"""The image is not built where this repository is made, so its recipe is read for its promises."""

from __future__ import annotations

import json
import re
import shlex
from fnmatch import fnmatch
from pathlib import Path

from app import parse_arguments

ROOT = Path(__file__).resolve().parents[1]


def read_steps() -> list[tuple[str, str]]:
    """Return the instructions and their words, comments left out and broken lines joined."""
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    return [tuple(line.split(None, 1)) for line in joined.splitlines() if line.strip()]  # type: ignore[misc]


def rest_of(instruction: str) -> list[str]:
    return [rest for name, rest in read_steps() if name == instruction]


def test_what_strangers_reach_is_not_root() -> None:
    names = [name for name, _ in read_steps()]
    assert rest_of("USER") == ["studio"]
    # nothing of ours is installed or run before
    assert names.index("USER") < names.index("COPY") < names.index("CMD")
    assert "useradd" in rest_of("RUN")[1]


def test_the_command_is_one_that_the_app_takes() -> None:
    words = json.loads(rest_of("CMD")[0])
    assert words[1] == "app.py"
    arguments = parse_arguments(words[2:])
    assert (arguments.host, arguments.port) == ("0.0.0.0", 7860)
    assert rest_of("EXPOSE") == ["7860"]


def test_health_is_asked_on_the_same_port() -> None:
    (check,) = rest_of("HEALTHCHECK")
    assert {"--interval=30s", "--timeout=5s", "--start-period=60s"} <= set(check.split())
    words = json.loads(check[check.index("[") :])
    assert "http://127.0.0.1:7860/" in words[-1]
    compile(words[-1], "HEALTHCHECK", "exec")


def test_everything_kept_lies_in_the_volume_and_belongs_to_the_user() -> None:
    (volume,) = rest_of("VOLUME")
    places = dict(pair.split("=", 1) for pair in shlex.split(rest_of("ENV")[0]))
    for name in ("HF_HOME", "LIPSYNC_HOME", "XDG_CACHE_HOME", "TMPDIR"):
        assert Path(places[name]).is_relative_to(volume)
    setup = rest_of("RUN")[1]
    assert f"chown -R studio:studio {volume}" in setup
    # after VOLUME, what a build step writes there is lost
    names = [name for name, _ in read_steps()]
    assert "RUN" not in names[names.index("VOLUME") :]


def test_the_build_of_pytorch_is_an_argument_that_make_knows() -> None:
    assert rest_of("ARG") == ["TORCH=cpu"]
    names = [name for name, _ in read_steps()]
    assert names.index("FROM") < names.index("ARG")  # one before FROM is not seen by RUN
    assert any('make install TORCH="$TORCH"' in step for step in rest_of("RUN"))


def test_what_is_copied_first_is_what_an_install_needs() -> None:
    first, everything = rest_of("COPY")
    *sources, target = first.split()[1:]
    assert (set(sources), target) == ({"Makefile", "requirements.txt", "constraints.txt"}, "./")
    assert all((ROOT / name).is_file() for name in sources)
    assert everything.split()[1:] == [".", "."]


def test_the_image_gets_what_runs_and_nothing_private() -> None:
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").split()
    for private in (".git", ".venv", ".env", "tests", "out"):
        assert private in ignored
    for needed in ("app.py", "lipsync", "presets", "assets", "requirements.txt", "Makefile"):
        assert not any(fnmatch(needed, pattern) for pattern in ignored)


def test_each_image_is_pinned_to_a_version() -> None:
    (image,) = rest_of("FROM")
    assert re.fullmatch(r"python:3\.1[12]-slim", image)
