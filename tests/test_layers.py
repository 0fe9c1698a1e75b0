"""Imports go one way through the house; this reads every module's source to prove it."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "lipsync"

# From the ground up. A part may import what stands on a lower line; of its own line, only the
# ground floor may look at its neighbours, and there only to the left.
GROUND = (
    "landmarks",
    "types",
    "scan",
    "errors",
    "steps",
    "places",
    "weights",
    "device",
    "residence",
    "presets",
    "assets",
    "threads",
    "onnx_session",
    "example",
)
FLOORS = (
    GROUND,
    ("media",),
    ("face", "audio"),
    ("nn",),
    ("engines",),
    ("composite", "score"),
    ("estimate", "avatar"),
    ("plan",),
    ("job",),
    ("pipeline",),
    ("record",),
    ("ui", "train", "bench", "doctor", "gpu"),
    ("cli",),
    ("__main__",),
    ("app",),
)
LEVEL = {part: level for level, floor in enumerate(FLOORS) for part in floor}
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")


def read_imports(path: Path) -> set[str]:
    """Return the full names a module imports, lazy and type-only ones included."""
    package = path.parent.relative_to(ROOT).parts
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) + 1 - node.level] if node.level else ()
            source = ".".join((*above, *(node.module or "").split("."))).strip(".")
            names |= {f"{source}.{alias.name}" for alias in node.names}
    return names


def part_of(path: Path) -> str:
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def imported_parts(path: Path) -> set[str]:
    names = [name.split(".") for name in read_imports(path)]
    return {name[1] for name in names if name[0] == "lipsync" and len(name) > 1}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_one_way(path: Path) -> None:
    here = part_of(path)
    assert here in LEVEL, f"{here} has no place in the house yet: give it one in FLOORS"
    for there in imported_parts(path) - {here}:
        if there not in LEVEL:
            # a public name of the package itself; only its clients may go through the front door
            assert LEVEL[here] > LEVEL["pipeline"], f"{here} takes {there} from the front door"
        elif LEVEL[there] == LEVEL[here] == 0:
            assert GROUND.index(there) < GROUND.index(here), f"{here} imports {there}"
        else:
            assert LEVEL[there] < LEVEL[here], f"{here} imports {there}, which stands above it"


def test_nobody_below_imports_the_app() -> None:
    for path in MODULES:
        assert not any(name.split(".")[0] == "app" for name in read_imports(path)), path


def test_types_need_numpy_and_torch_only() -> None:
    """And the store of landmarks, which needs numpy itself."""
    for name, ours in (("types", {"landmarks"}), ("landmarks", set())):
        path = PACKAGE / f"{name}.py"
        assert imported_parts(path) == ours
        roots = {name.split(".")[0] for name in read_imports(path)} - {"lipsync"}
        assert roots - set(sys.stdlib_module_names) <= {"numpy", "torch"}


def test_errors_need_nothing() -> None:
    assert read_imports(PACKAGE / "errors.py") == set()


def test_requirements_are_what_the_code_imports() -> None:
    """A package imported but not pinned breaks a stranger; one pinned but unused is ballast."""
    from lipsync.doctor import REQUIREMENTS, read_pins

    import_names = {
        "imageio-ffmpeg": "imageio_ffmpeg",
        "openai-whisper": "whisper",
        "opencv-contrib-python": "cv2",
        "pillow": "PIL",
        "protobuf": "google",
        "PyYAML": "yaml",
        "scikit-image": "skimage",
        "silero-vad": "silero_vad",
    }
    pinned = {import_names.get(name, name) for name in read_pins(REQUIREMENTS)}
    sources = [*PACKAGE.rglob("*.py"), *ROOT.glob("app.py")]
    names = {name.split(".")[0] for path in sources for name in read_imports(path)}
    used = names - set(sys.stdlib_module_names) - {"lipsync"}
    # scikit-image is read as a folder of files (the example photo), never imported
    assert used | {"skimage"} == pinned
