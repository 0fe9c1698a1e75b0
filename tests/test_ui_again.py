"""One change to a finished job's settings, everything else kept."""

from __future__ import annotations

from dataclasses import asdict

import pytest

from lipsync.engines import make_settings
from lipsync.errors import InputError
from lipsync.presets import PRESETS_FOLDER, load_presets
from lipsync.ui.again import change_choices, list_changes
from lipsync.ui.choices import Choices
from lipsync.ui.words import words_in

PRESETS = {preset.name: preset for preset in load_presets([PRESETS_FOLDER], make_settings)[0]}
MADE = Choices("draft-calm", steps=7, guidance=2.5, seed=11, fps="30", fit="loop", softness=0.5)


@pytest.mark.parametrize("locale", ["en", "zh-CN"])
def test_every_listed_change_changes_one_thing(locale: str) -> None:
    changes = list_changes(MADE, PRESETS, words_in(locale))
    assert len(changes) == len(PRESETS) - 1 + 4 + 1
    for _, change in changes:
        before, after = asdict(MADE), asdict(change_choices(MADE, change, PRESETS))
        changed = [name for name in before if before[name] != after[name]]
        kind = change.partition(":")[0]
        own = {"steps", "guidance"} if kind == "preset" else set()  # where its engine has them
        assert kind in changed
        assert set(changed) - own == {kind}


@pytest.mark.parametrize("change", ["", "fit:none", "preset:../x", "preset", "steps:3"])
def test_forged_change_is_refused(change: str) -> None:
    with pytest.raises(InputError, match="choose one from the list"):
        change_choices(MADE, change, PRESETS)
