"""Compare this program with recorded golden vectors.

    python tests/conformance.py DIR [--clips DIR]

DIR holds families of vectors: NAME.json says what was asked, NAME.npz what came out; either may be
missing. The family `a_b_c` is checked by the module ``conformance_a_b_c``, ``conformance_a_b`` or
``conformance_a`` of this folder, the first that there is, through its ``check(family)``, which
yields a `Check` or a `Skip` per vector; a family without a module is skipped by name. Exit code 1
on a miss, 2 where nothing could be compared.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from golden_folder import Check, Family, Skip

HERE = Path(__file__).resolve().parent
Checker = Callable[[Family], Iterator[Check | Skip]]


def find_checker(family: str) -> Checker | None:
    """Return the check of the family called `family`, None where there is none yet."""
    words = family.split("_")
    for length in range(len(words), 0, -1):
        module = "conformance_" + "_".join(words[:length])
        if (HERE / f"{module}.py").exists():
            checker: Checker = importlib.import_module(module).check
            return checker
    return None


def compare(folder: Path, clips: Path) -> Iterator[Check | Skip]:
    """Check every family in `folder`, by name, one vector at a time."""
    names = {path.stem for ending in ("json", "npz") for path in folder.glob(f"*.{ending}")}
    for name in sorted(names):
        checker = find_checker(name)
        if checker is None:
            yield Skip(name, "not built yet")
        else:
            yield from checker(Family(folder / f"{name}.json", clips))


def main(arguments: list[str] | None = None) -> int:
    """Print one line per vector and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("folder", type=Path, metavar="DIR", help="the golden vectors")
    parser.add_argument(
        "--clips",
        type=Path,
        metavar="DIR",
        help="films and voices that the vectors name (default: the clips beside golden)",
    )
    options = parser.parse_args(arguments)
    folder = options.folder.resolve()
    clips = options.clips or folder.parent.parent / "clips"
    counts = Counter({"passed": 0, "missed": 0, "skipped": 0})
    for outcome in compare(folder, clips):
        print(outcome, flush=True)
        if isinstance(outcome, Skip):
            counts["skipped"] += 1
        else:
            counts["passed" if outcome.passed else "missed"] += 1
    print(", ".join(f"{count} {kind}" for kind, count in counts.items()))
    if counts["missed"]:
        return 1
    return 0 if counts["passed"] else 2


if __name__ == "__main__":
    sys.path.insert(0, str(HERE.parent))  # run as a file: the program stands one folder up
    sys.exit(main())
