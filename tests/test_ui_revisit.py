"""Finished jobs visited again: shown, repeated, changed, exported, and by nobody else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr
import pytest
from history_jobs import add_job

from lipsync.engines import make_settings
from lipsync.media.probe import probe_clip
from lipsync.presets import PRESETS_FOLDER, load_presets
from lipsync.ui.choices import Choices, Selection
from lipsync.ui.clip_panel import read_selection, write_selection
from lipsync.ui.history import Entry, History
from lipsync.ui.jobs import Jobs
from lipsync.ui.preset_panel import lay_out_presets
from lipsync.ui.revisit import Revisits
from lipsync.ui.stage import SYNC, Stage
from lipsync.ui.updates import JobUpdates
from lipsync.ui.visitors import new_visitor
from lipsync.weights import ModelStore

PAGE = gr.Request(session_hash="ada", headers={"accept-language": "en"})
ADA, EVE = new_visitor(), new_visitor()
FOUND, _ = load_presets([PRESETS_FOLDER], make_settings)
PRESETS = {preset.name: preset for preset in FOUND}
CHOICES = Choices("draft", seed=7, fit="loop")
FIELDS = tuple(JobUpdates.__dataclass_fields__)


@pytest.fixture
def history(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> History:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "served"))
    return History()


@pytest.fixture
def revisits(history: History, tmp_path: Path) -> Revisits:
    with gr.Blocks():
        panel = lay_out_presets(FOUND, [], ModelStore())
    return Revisits(Stage(PRESETS, history, ModelStore()), PRESETS, Jobs(tmp_path / "jobs"), panel)


@pytest.fixture
def entry(history: History, tmp_path: Path, face_clip: Path) -> Entry:
    return add_job(history, ADA, tmp_path / "made", face_clip.read_bytes(), choices=CHOICES)


def asked(kind: str, entry: Entry) -> dict[str, Any]:
    return {"kind": kind, "ids": [entry.id], "n": 1}


def test_one_change_and_everything_else_as_it_was(
    revisits: Revisits, entry: Entry, tmp_path: Path
) -> None:
    other = tmp_path / "other.mp4"  # brought since
    other.write_bytes(b"other")
    for now in (None, str(other), str(tmp_path / "gone.mp4")):
        clip, voice, view, *settings = revisits.change(
            PAGE, ADA, entry.id, "fit:hold", now, str(entry.voice)
        )
        assert Path(clip).read_bytes() == entry.clip.read_bytes()
        assert voice == gr.skip()
        assert read_selection(view["value"], clip) == Selection()
        values = [update["value"] for update in settings[: len(revisits._panel.inputs)]]
        assert values == ["draft", 20, 1.5, 7, "", "hold", 1.0, False]


def test_what_is_in_the_fields_already_is_not_brought_again(
    revisits: Revisits, entry: Entry, tmp_path: Path
) -> None:
    clip, voice = tmp_path / "clip.mp4", tmp_path / "voice.wav"
    clip.hardlink_to(entry.clip)
    voice.hardlink_to(entry.voice)
    changed = revisits.change(PAGE, ADA, entry.id, "seed", str(clip), str(voice))
    assert changed[:2] == [gr.skip(), gr.skip()]
    assert changed[2]["value"]["clip"] == write_selection(Selection(), str(clip))["clip"]


@pytest.mark.parametrize(
    ("visitor", "change"),
    [(EVE, "seed"), (ADA, "fit:none"), (ADA, None)],
    ids=["another visitor", "no such length", "nothing chosen"],  # not the token, which is drawn
)
def test_a_change_that_cannot_be_made_starts_no_job(
    revisits: Revisits, entry: Entry, visitor: str, change: str | None
) -> None:
    with pytest.raises(gr.Error):
        revisits.change(PAGE, visitor, entry.id, change, None, None)


def test_a_job_is_shown_to_its_visitor_only(revisits: Revisits, entry: Entry) -> None:
    tabs, *stage = revisits.show(PAGE, ADA, asked("show", entry))
    shown = dict(zip(FIELDS, stage, strict=True))
    assert tabs.selected == SYNC
    assert shown["shown"] == entry.id
    assert "0.81" in shown["score"]["value"]
    tabs, *stage = revisits.show(PAGE, EVE, asked("show", entry))
    refused = dict(zip(FIELDS, stage, strict=True))
    assert tabs.selected == SYNC  # that is where it is told
    assert refused["player"] == refused["generate"] == gr.skip()
    assert "no longer in your history" in refused["status"]["value"]
    assert entry.id not in str(stage)


def test_wishes_for_other_handlers_change_nothing(revisits: Revisits, entry: Entry) -> None:
    assert set(map(str, revisits.show(PAGE, ADA, asked("again", entry)))) == {str(gr.skip())}
    assert set(map(str, revisits.reuse(PAGE, ADA, asked("show", entry)))) == {str(gr.skip())}


def test_inputs_come_back_as_links_of_their_own(revisits: Revisits, entry: Entry) -> None:
    tabs, clip, voice, view, *settings = revisits.reuse(PAGE, ADA, asked("again", entry))
    assert tabs.selected == SYNC
    assert Path(clip).read_bytes() == entry.clip.read_bytes()
    assert Path(voice).read_bytes() == entry.voice.read_bytes()
    assert entry.folder not in Path(clip).parents
    assert read_selection(view["value"], clip) == Selection()
    assert len(settings) == len(revisits._panel.outputs)
    with pytest.raises(gr.Error):
        revisits.reuse(PAGE, EVE, asked("again", entry))


def test_both_are_put_side_by_side_and_nothing_is_left(
    revisits: Revisits, history: History, entry: Entry, tmp_path: Path, face_clip: Path
) -> None:
    before = tmp_path / "before.mp4"
    before.write_bytes(face_clip.read_bytes())
    history.attach_before(entry, before)
    first, last = revisits.make_both(PAGE, ADA, entry.id)
    assert dict(zip(FIELDS, first, strict=True))["cancel"]["interactive"] is True
    made = dict(zip(FIELDS, last, strict=True))["both"]
    assert probe_clip(Path(made["value"])).size == (320, 640)
    assert list((tmp_path / "jobs").iterdir()) == []


def test_without_its_source_a_result_cannot_stand_beside_it(
    revisits: Revisits, entry: Entry, tmp_path: Path
) -> None:
    *_, last = revisits.make_both(PAGE, ADA, entry.id)
    told = dict(zip(FIELDS, last, strict=True))
    assert "generate it again" in told["extras"]["value"]
    assert told["cancel"]["interactive"] is False
    assert list((tmp_path / "jobs").iterdir()) == []
