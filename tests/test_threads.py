"""How many threads compute does not depend on what a thread was held to before."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

PROGRAM = """
import json, torch
from lipsync.threads import one_thread, usual_threads
seen = [torch.get_num_threads()]
with one_thread():
    seen.append(torch.get_num_threads())
    with usual_threads():
        seen.append(torch.get_num_threads())
    seen.append(torch.get_num_threads())
print(json.dumps([*seen, torch.get_num_threads()]))
"""


def test_the_usual_number_is_that_of_a_new_thread() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={**os.environ, "OMP_NUM_THREADS": "2"},
        cwd=Path(__file__).resolve().parents[1],
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout) == [2, 1, 2, 1, 2]
