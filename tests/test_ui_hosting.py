"""Where the app runs decides what it allows; a graphics card is borrowed by the job's needs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import pytest
from torch import nn

from lipsync.engines import ENGINES
from lipsync.errors import InputError
from lipsync.media.probe import probe_voice
from lipsync.types import EngineSpec, Request
from lipsync.ui.hosting import make_pipeline, make_residence, make_shelf, read_deployment
from lipsync.ui.loan import gpu_seconds, on_gpu, wants_card

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Strokes:
    """What can be turned on that engine."""

    steps: int = field(default=1, metadata={"low": 1, "high": 5000, "help": "how often"})


class Painter:
    """An engine, as far as a loan looks at one, that wants a card."""

    spec = EngineSpec("painter", "Painter", "Apache-2.0", 16, wants_card=True)
    Settings = Strokes

    @classmethod
    def pace(cls, settings: Strokes, on_card: bool) -> float:
        assert on_card
        return 0.01 * settings.steps


@pytest.fixture
def _with_painter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ENGINES, "painter", "test_ui_hosting:Painter")


def test_at_home_an_hour_and_on_a_space_a_minute() -> None:
    own, space, said = (
        read_deployment(e) for e in ({}, {"SPACE_ID": "a/b"}, {"LIPSYNC_HOSTED": "1"})
    )
    assert (own.is_hosted, own.limits.max_seconds) == (False, 3600.0)
    assert (space.is_hosted, space.limits.max_seconds) == (True, 60.0)
    assert said == space
    assert space.max_upload < own.max_upload
    assert read_deployment({"LIPSYNC_HOSTED": "0"}) == own


def test_the_limit_can_be_said() -> None:
    assert read_deployment({"SPACE_ID": "a/b", "LIPSYNC_MAX_SECONDS": " 90.5 "}).max_seconds == 90.5
    assert read_deployment({"LIPSYNC_MAX_SECONDS": ""}).max_seconds == 3600.0


@pytest.mark.parametrize("said", ["a minute", "0", "-3", "nan", "inf", "1e9", "60;"])
def test_a_wrong_limit_is_a_sentence(said: str) -> None:
    with pytest.raises(InputError, match=r"LIPSYNC_MAX_SECONDS is .* give a number of seconds"):
        read_deployment({"LIPSYNC_MAX_SECONDS": said})


@pytest.mark.parametrize("said", ["soon", "0", "-1", "nan", "inf", "10081", "1;"])
def test_a_wrong_idle_time_is_a_sentence(said: str) -> None:
    with pytest.raises(InputError, match=r"--idle-release.* is .* give minutes"):
        make_residence(said)


def test_idle_models_are_released_where_that_is_asked_for() -> None:
    for said, stays in (("", True), ("0.0005", False)):  # 30 ms
        with closing(make_residence(said)) as residence:
            with residence.use("net", lambda: nn.Linear(2, 2)):
                pass
            deadline = time.monotonic() + (0.2 if stays else 20)
            while residence.parts() and time.monotonic() < deadline:
                time.sleep(0.01)
            assert bool(residence.parts()) is stays


def test_the_pipeline_keeps_its_models_where_the_screen_looks() -> None:
    residence = make_residence("")
    with closing(make_pipeline([], read_deployment({}), residence)) as pipeline:
        assert pipeline.residence is residence


def test_avatars_lie_where_the_command_line_looks_or_with_their_visitor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIPSYNC_HOME", str(tmp_path / "home"))
    own = make_shelf(read_deployment({})).own
    assert own is not None
    assert own.home == tmp_path / "home"
    assert make_shelf(read_deployment({"LIPSYNC_HOSTED": "1"})).own is None


def test_a_longer_voice_is_refused_with_the_limit(short_voice: Path) -> None:
    with pytest.raises(InputError, match="limit"):
        probe_voice(short_voice, read_deployment({"LIPSYNC_MAX_SECONDS": "1"}).limits)


def test_without_spaces_a_function_stays_itself() -> None:
    def work() -> None: ...

    assert on_gpu(work, lambda: 1) is work


@pytest.mark.usefixtures("_with_painter")
def test_a_loan_fits_the_job(short_voice: Path, tmp_path: Path) -> None:
    def ask(**changes: object) -> int:
        asked = {"video": tmp_path / "c.mp4", "audio": short_voice, "output": tmp_path / "o.mp4"}
        return gpu_seconds(Request(**{**asked, "engine": "painter", **changes}))

    # 1.2 s at 30 frames a second are 36 frames of 0.01 s each, half as much again, and 15 s to wake
    assert ask(settings={"steps": 40}) == 15 + 22
    assert ask(settings={"steps": 40}, fps=Fraction(60)) == 15 + 44
    assert ask(settings={"steps": 40}, part=(0.0, 0.6)) == 15 + 11
    assert ask(settings={"steps": 1}) == 20
    assert ask(settings={"steps": 5000}) == 120
    assert ask(audio=tmp_path / "none.wav") == 20


def test_the_draft_engine_wants_no_card() -> None:
    assert not wants_card("draft")


# as the real package does: the work runs in a forked process, what goes in and out is pickled, and
# of an error only the name of its class comes back
SPACES = """
import functools, json, multiprocessing, os, pathlib, sys
LOG = pathlib.Path(os.environ["LOANS"])
LOG.write_text(json.dumps({"torch_first": "torch" in sys.modules, "loans": []}))
fork = multiprocessing.get_context("fork")

def GPU(duration):
    def decorate(task):
        @functools.wraps(task)
        def lent(*arguments):
            told = json.loads(LOG.read_text())
            told["loans"].append(duration(*arguments))
            LOG.write_text(json.dumps(told))
            asked, answers = fork.Queue(), fork.Queue()
            def work():
                try:
                    for value in task(*asked.get()):
                        answers.put(("value", value))
                    answers.put(("end", None))
                except Exception as error:
                    answers.put(("error", type(error).__name__))
            process = fork.Process(target=work, daemon=True)
            process.start()
            asked.put(arguments)
            try:
                while True:
                    kind, value = answers.get()
                    if kind == "end":
                        return
                    if kind == "error":
                        raise RuntimeError("GPU task aborted: " + value)
                    yield value
            finally:
                process.kill()
                process.join()
        return lent
    return decorate
"""

# an engine that tells where it was built and where it worked; the pipeline is the real one
PROGRAM = """
import json, os, sys
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from lipsync.ui import hosting, loan
loan.import_spaces()
from lipsync.engines import ENGINES
from lipsync.engines.draft.engine import DraftEngine
from lipsync.errors import InputError
from lipsync.presets import Preset
from lipsync.types import Request
from dataclasses import replace

class Painter(DraftEngine):
    spec = replace(DraftEngine.spec, name="painter", wants_card=True)
    def __init__(self, residence):
        super().__init__(residence)
        self.built_in = os.getpid()
    def encode_audio(self, *arguments):
        print(json.dumps({"built_in": self.built_in, "works_in": os.getpid()}), flush=True)
        return super().encode_audio(*arguments)
    @classmethod
    def pace(cls, settings, on_card):
        return 0.01

sys.modules["painting"] = sys.modules[__name__]
ENGINES["painter"] = "painting:Painter"
presets = [Preset("a", "A", "A.", "draft"), Preset("b", "B", "B.", "painter")]
pipeline = hosting.make_pipeline(presets, hosting.read_deployment(), hosting.make_residence(''))
clip, voice, folder, engine = *map(Path, sys.argv[1:4]), sys.argv[4]
try:
    steps = list(pipeline.sync(Request(clip, voice, folder / "out.mp4", engine=engine)))
    print(json.dumps({"me": os.getpid(), "frames": steps[-1].result.num_frames}))
except InputError as error:
    print(json.dumps({"me": os.getpid(), "sentence": str(error)}))
"""


def run_on_a_space(
    tmp_path: Path, clip: Path, voice: Path, engine: str
) -> tuple[dict[str, object], dict[str, object]]:
    """Run one job as a Space would; return what the loans were and what the job told."""
    package = tmp_path / "installed" / "spaces"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(SPACES)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, clip, voice, tmp_path, engine],
        env={
            **os.environ,
            "PYTHONPATH": f"{package.parent}{os.pathsep}{ROOT}",
            "LOANS": str(tmp_path / "loans.json"),
            "SPACE_ID": "somebody/lipsync",
            "OMP_NUM_THREADS": "1",
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told: dict[str, object] = {}
    for line in done.stdout.splitlines():
        if line.startswith("{"):
            told |= json.loads(line)
    return json.loads((tmp_path / "loans.json").read_text()), told


@pytest.mark.slow
def test_on_a_space_the_card_is_lent_and_the_engine_was_built_before(
    tmp_path: Path, face_clip: Path, short_voice: Path
) -> None:
    log, told = run_on_a_space(tmp_path, face_clip, short_voice, "painter")
    assert log == {"torch_first": False, "loans": [20]}
    assert told["frames"] == 30
    assert told["built_in"] == told["me"]
    assert told["works_in"] != told["me"]


@pytest.mark.slow
def test_on_a_space_the_draft_spends_no_quota(
    tmp_path: Path, face_clip: Path, short_voice: Path
) -> None:
    log, told = run_on_a_space(tmp_path, face_clip, short_voice, "draft")
    assert log == {"torch_first": False, "loans": []}
    assert told["frames"] == 30


@pytest.mark.slow
def test_on_a_space_a_sentence_comes_home(tmp_path: Path, short_voice: Path) -> None:
    (tmp_path / "clip.mp4").write_text("no film")
    log, told = run_on_a_space(tmp_path, tmp_path / "clip.mp4", short_voice, "painter")
    assert log["loans"] == [20]
    assert "holds text" in str(told["sentence"])
