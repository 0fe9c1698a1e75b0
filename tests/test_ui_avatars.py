"""Avatars on the screen: whose they are, how they are made, put to use and deleted."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from lipsync.avatar.store import AvatarStore
from lipsync.engines import make_settings
from lipsync.errors import InputError
from lipsync.media.probe import Limits
from lipsync.pipeline import LipSyncPipeline
from lipsync.presets import PRESETS_FOLDER, load_presets
from lipsync.steps import exhaust
from lipsync.ui.avatars import AvatarHandlers, AvatarUpdates, Wish, read_choice, read_wish
from lipsync.ui.avatars_shelf import Shelf
from lipsync.ui.choices import Choices
from lipsync.ui.jobs import Jobs
from lipsync.ui.stage import SYNC
from lipsync.ui.visitors import hash_visitor, new_visitor

FIELDS = tuple(AvatarUpdates.__dataclass_fields__)
PAGE = gr.Request(session_hash="ada", headers={"accept-language": "en"})
CHINESE = gr.Request(session_hash="li", headers={"accept-language": "zh-CN"})
PRESETS = {preset.name: preset for preset in load_presets([PRESETS_FOLDER], make_settings)[0]}
DRAFT = asdict(Choices("draft")).values()
NOTHING = [gr.skip()] * len(FIELDS)
ADA, BOB = new_visitor(), new_visitor()


@pytest.fixture(scope="module")
def made(
    tmp_path_factory: pytest.TempPathFactory, pipeline: LipSyncPipeline, face_clip: Path
) -> Path:
    """The home of a store with one avatar in it, "Mona"; to be copied, not changed."""
    home = tmp_path_factory.mktemp("made")
    exhaust(pipeline.create_avatar("Mona", face_clip, store=AvatarStore(home)))
    return home


@pytest.fixture
def own(tmp_path: Path, made: Path) -> Shelf:
    """What a person has on their own machine: Mona."""
    home = shutil.copytree(made, tmp_path / "home")
    return Shelf(AvatarStore(home), tmp_path / "served" / "avatars")


@pytest.fixture
def shared(tmp_path: Path, made: Path) -> Shelf:
    """The shelf of an app among strangers, where Ada has Mona and Bob has nothing."""
    root = tmp_path / "served" / "avatars"
    give(made, root, ADA)
    return Shelf(root=root)


def give(made: Path, root: Path, visitor: str) -> None:
    shutil.copytree(made, root / hash_visitor(visitor))
    root.chmod(0o700)


def handle(shelf: Shelf, root: Path, pipeline: LipSyncPipeline | None = None) -> AvatarHandlers:
    def get() -> LipSyncPipeline:
        assert pipeline is not None, "nothing was to be made"
        return pipeline

    return AvatarHandlers(get, shelf, Jobs(root / "jobs"), PRESETS, Limits())


def names_in(listing: list[Any]) -> list[str]:
    """Return the names in the updates of both lists, which must agree."""
    widget, choice = listing
    names = [avatar["name"] for avatar in widget["listing"]["avatars"]]
    assert choice["names"] == names
    return names


def create(
    handlers: AvatarHandlers, visitor: str, name: str, clip: Path, page: gr.Request = PAGE
) -> Iterator[dict[str, Any]]:
    """Press *Create avatar*; yield the updates by name."""
    yield read(handlers.announce(page, visitor, name, str(clip)))
    for updates in handlers.create(page, visitor, name, str(clip), *DRAFT):
        yield read(updates)


def read(updates: list[Any]) -> dict[str, Any]:
    return dict(zip(FIELDS, updates, strict=True))


def test_wishes_are_read() -> None:
    assert read_wish({"kind": "use", "name": "Mona", "n": 3}) == Wish("use", "Mona")
    assert read_wish({"kind": "delete", "name": "莉莎"}) == Wish("delete", "莉莎")
    assert read_choice({"name": "Mona"}) == "Mona"


@pytest.mark.parametrize(
    "value",
    [
        None,
        "use",
        [],
        {},
        {"kind": "use"},
        {"kind": ["use"], "name": "Mona"},
        {"kind": "create", "name": "Mona"},
        {"kind": "use", "name": 7},
        {"kind": "delete", "name": ["Mona"]},
    ],
)
def test_forged_wishes_are_refused(value: Any) -> None:
    with pytest.raises(InputError, match="reload the page"):
        read_wish(value)


@pytest.mark.parametrize("value", [None, "Mona", ["Mona"], {}, {"name": None}, {"name": ["x"]}])
def test_forged_choices_are_none(value: Any) -> None:
    assert read_choice(value) == ""


def test_own_avatars_are_listed_with_their_picture(tmp_path: Path, own: Shelf) -> None:
    listed = handle(own, tmp_path).list_avatars(PAGE, ADA)
    assert names_in(listed) == ["Mona"]
    listing = listed[0]["listing"]
    (mona,) = listing["avatars"]
    assert "320 × 320 · 25 fps" in mona["facts"]
    assert mona["thumbnail"].startswith("data:image/jpeg;base64,")
    assert str(tmp_path / "home") in listing["kept"]
    assert listing["troubles"] == []
    # whoever sits at one's own machine
    assert names_in(handle(own, tmp_path).list_avatars(PAGE, BOB)) == ["Mona"]


def test_strangers_see_their_own_only(tmp_path: Path, shared: Shelf) -> None:
    handlers = handle(shared, tmp_path)
    assert names_in(handlers.list_avatars(PAGE, ADA)) == ["Mona"]
    for stranger in (BOB, "", None, {"a": 1}, hash_visitor(ADA)):
        assert names_in(handlers.list_avatars(PAGE, stranger)) == []
    listing = handlers.list_avatars(PAGE, ADA)[0]["listing"]
    assert "6 hours" in listing["kept"]
    assert str(tmp_path) not in listing["kept"]
    assert [path.name for path in shared.root.iterdir()] == [hash_visitor(ADA)]


@pytest.mark.parametrize(
    "name",
    ["Mona", "../Mona", f"../{hash_visitor(ADA)}/Mona", "", "a" * 999],
    # a visitor is another one in every process that collects the tests
    ids=["plain", "above", "hers", "none", "long"],
)
def test_nobody_uses_or_deletes_anothers(tmp_path: Path, shared: Shelf, name: str) -> None:
    handlers = handle(shared, tmp_path)
    for kind in ("use", "delete"):
        tab, widget, choice, clip, lent = handlers.act(PAGE, BOB, {"kind": kind, "name": name}, {})
        assert [tab, clip, lent] == [gr.skip()] * 3
        assert names_in([widget, choice]) == []
        (trouble,) = widget["listing"]["troubles"]
        assert "Mona;" not in trouble  # whose it is, is not told
    if name:
        choice, clip, lent = handlers.choose(PAGE, BOB, {"name": name})
        assert (choice["names"], choice["value"]) == ([], {"name": ""})
        assert [clip, lent] == [gr.skip()] * 2
    assert names_in(handlers.list_avatars(PAGE, ADA)) == ["Mona"]


def test_used_avatar_brings_its_clip_to_the_other_tab(
    tmp_path: Path, own: Shelf, face_clip: Path
) -> None:
    handlers = handle(own, tmp_path)
    tab, widget, choice, clip, lent = handlers.act(PAGE, ADA, {"kind": "use", "name": "Mona"}, {})
    assert tab.selected == SYNC
    assert widget == gr.skip()
    assert choice["value"] == {"name": "Mona"}
    assert clip == lent
    assert Path(clip).name == "Mona.mp4"
    assert Path(clip).read_bytes() == face_clip.read_bytes()
    # what Gradio removes is the link; and the server hands out nothing that lies in the store
    assert Path(clip).is_relative_to(own.root)
    assert own.own is not None
    assert not own.own.get("Mona").video.is_relative_to(own.root)
    assert handlers.choose(PAGE, ADA, {"name": "mona"})[0]["value"] == {"name": "Mona"}
    assert handlers.forget(clip, lent) == gr.skip()
    for other in (None, str(face_clip)):
        assert handlers.forget(other, lent)["value"] == {"name": ""}
    assert handlers.choose(PAGE, ADA, {"name": ""}) == [gr.skip(), None, ""]


def test_deleting_says_so_and_takes_it_out_of_use(tmp_path: Path, own: Shelf) -> None:
    handlers = handle(own, tmp_path)
    asked = {"kind": "delete", "name": "Mona"}
    tab, widget, choice, clip, lent = handlers.act(PAGE, ADA, asked, {"name": "Mona"})
    assert [tab, clip, lent] == [gr.skip()] * 3
    assert widget["listing"]["said"] == "Mona was deleted."
    assert names_in([widget, choice]) == []
    assert choice["value"] == {"name": ""}
    assert own.list(ADA) == ()


def test_avatar_is_made_with_progress_and_leaves_no_job(
    tmp_path: Path, shared: Shelf, pipeline: LipSyncPipeline, gap_clip: Path
) -> None:
    handlers = handle(shared, tmp_path, pipeline)
    heard, *working, done = create(handlers, BOB, " Li sa ", gap_clip)
    assert "Waiting for its turn" in heard["status"]["value"]
    assert heard["create"]["interactive"] is False
    assert heard["cancel"]["interactive"] is True
    assert "Creating Li sa: " in working[0]["status"]["value"]
    assert 'role="progressbar"' in working[0]["status"]["value"]
    assert "Li sa is ready." in done["status"]["value"]
    assert (done["name"]["value"], done["clip"]["value"]) == ("", None)
    assert (done["create"]["interactive"], done["cancel"]["interactive"]) == (True, False)
    assert names_in([done["widget"], done["choice"]]) == ["Li sa"]
    assert names_in(handlers.list_avatars(PAGE, ADA)) == ["Mona"]
    assert list((tmp_path / "jobs").iterdir()) == []


def test_cancelled_avatar_leaves_nothing(
    tmp_path: Path, shared: Shelf, pipeline: LipSyncPipeline, gap_clip: Path
) -> None:
    handlers = handle(shared, tmp_path, pipeline)
    steps = create(handlers, BOB, "Lisa", gap_clip)
    next(steps), next(steps)
    stopped = handlers.stop(PAGE)
    assert stopped is True
    assert list(steps) == []
    told = read(handlers.tell_stopped(PAGE, BOB, stopped))
    assert "Cancelled. Nothing was kept." in told["status"]["value"]
    assert names_in([told["widget"], told["choice"]]) == []
    assert list((tmp_path / "jobs").iterdir()) == []
    kept = [path for path in (shared.root / hash_visitor(BOB)).rglob("*") if path.is_file()]
    assert [path for path in kept if path.suffix != ".lock"] == []
    # Cancel in the moment in which it has ended
    assert read(handlers.tell_stopped(PAGE, BOB, handlers.stop(PAGE)))["status"] == gr.skip()


def test_avatar_cancelled_while_waiting_changes_nothing(
    tmp_path: Path, shared: Shelf, gap_clip: Path
) -> None:
    handlers = handle(shared, tmp_path)
    steps = create(handlers, BOB, "Lisa", gap_clip)
    next(steps)
    handlers.stop(PAGE)
    assert list(steps) == [read(NOTHING)]  # of no update at all Gradio empties components


def test_client_that_leaves_stops_it(
    tmp_path: Path, shared: Shelf, pipeline: LipSyncPipeline, gap_clip: Path
) -> None:
    handlers = handle(shared, tmp_path, pipeline)
    steps = create(handlers, BOB, "Lisa", gap_clip)
    next(steps), next(steps)
    handlers.leave(PAGE)
    assert list(steps) == []
    assert shared.list(BOB) == ()


@pytest.mark.parametrize(
    ("name", "clip", "sentence"),
    [
        ("", "face.mp4", "has no name yet"),
        (None, "face.mp4", "has no name yet"),
        ("../../etc/passwd", "face.mp4", "cannot be an avatar"),
        ("Mona", "face.mp4", "is an avatar called Mona already"),
        ("Lisa", None, "There is no clip yet"),
        ("Lisa", "broken.mp4", "broken.mp4"),
    ],
)
def test_what_cannot_be_made_is_told_at_once(
    tmp_path: Path, own: Shelf, gap_clip: Path, name: str | None, clip: str | None, sentence: str
) -> None:
    shutil.copy(gap_clip, tmp_path / "face.mp4")
    (tmp_path / "broken.mp4").write_bytes(b"no film")
    handlers = handle(own, tmp_path)
    brought = None if clip is None else str(tmp_path / clip)
    told = read(handlers.announce(PAGE, ADA, name, brought))
    assert sentence in told["status"]["value"]
    assert 'role="alert"' in told["status"]["value"]
    assert told["create"]["interactive"] is True
    # what follows in the queue has nothing to do
    assert list(handlers.create(PAGE, ADA, name, brought, *DRAFT)) == [NOTHING]


def test_trouble_is_told_in_the_visitors_language(
    tmp_path: Path, own: Shelf, pipeline: LipSyncPipeline, ffmpeg: Any
) -> None:
    bars = ffmpeg("-f", "lavfi", "-i", "testsrc=s=160x120:r=25", "-t", 0.4, tmp_path / "bars.mp4")
    handlers = handle(own, tmp_path, pipeline)
    *_, told = create(handlers, ADA, "色条", bars, CHINESE)
    assert "脸" in told["status"]["value"]
    assert told["create"]["interactive"] is True
    assert names_in(handlers.list_avatars(PAGE, ADA)) == ["Mona"]


@pytest.mark.parametrize(
    ("clip", "name"),
    [
        ("/tmp/gradio/x/holiday_2024.final.mp4", "holiday 2024 final"),
        ("我的 视频.mp4", "我的 视频"),
        ("--(1)--.mp4", "1"),
        ("…….mp4", ""),
        (f"{'ab ' * 40}.mp4", ("ab " * 20).strip()),
    ],
)
def test_name_is_suggested_by_the_clip(tmp_path: Path, own: Shelf, clip: str, name: str) -> None:
    handlers = handle(own, tmp_path)
    assert handlers.suggest_name("", clip)["value"] == name
    assert handlers.suggest_name("Lisa", clip) == gr.skip()
    assert handlers.suggest_name("", None) == gr.skip()


def test_damage_is_told_and_hides_nothing_else(tmp_path: Path, own: Shelf) -> None:
    store = own.own
    assert store is not None
    mona = store.get("Mona")
    store.bind("Lisa", mona.key)
    picture = mona.thumbnail
    os.truncate(picture, 10)
    listing = handle(own, tmp_path).list_avatars(CHINESE, ADA)[0]["listing"]
    assert listing["avatars"] == []
    assert len(listing["troubles"]) == 2
    assert all("损坏" in trouble for trouble in listing["troubles"])


def test_picture_that_is_none_is_left_out(tmp_path: Path, own: Shelf) -> None:
    assert own.own is not None
    picture = own.own.get("Mona").thumbnail
    picture.write_bytes(bytes(picture.stat().st_size))  # sizes are all that a look compares
    (mona,) = handle(own, tmp_path).list_avatars(PAGE, ADA)[0]["listing"]["avatars"]
    assert (mona["name"], mona["thumbnail"]) == ("Mona", "")


def test_strangers_avatars_go_with_their_age(tmp_path: Path, made: Path) -> None:
    root = tmp_path / "avatars"
    give(made, root, ADA)
    assert len(Shelf(root=root, keep_seconds=3600).list(ADA)) == 1
    assert Shelf(root=root, keep_seconds=-1).list(BOB) == ()
    assert list(root.iterdir()) == []


def test_oldest_go_first_where_the_disk_is_full(tmp_path: Path, made: Path) -> None:
    root = tmp_path / "avatars"
    give(made, root, ADA)
    store = AvatarStore(root / hash_visitor(ADA))
    store.bind("Lisa", store.get("Mona").key)
    assert [avatar.name for avatar in Shelf(root=root, keep_bytes=1).list(ADA)] == ["Lisa"]


def test_strangers_have_room_for_some_only(tmp_path: Path, made: Path) -> None:
    root = tmp_path / "avatars"
    give(made, root, ADA)
    shelf = Shelf(root=root, keep_avatars=1)
    with pytest.raises(InputError, match="1 avatars already"):
        shelf.open(ADA)
    assert shelf.open(BOB).list() == ()


def test_links_are_swept(tmp_path: Path, own: Shelf) -> None:
    (mona,) = own.list(ADA)
    lent = own.lend(mona)
    own.sweep()
    assert lent.is_file()
    Shelf(own.own, own.root, keep_seconds=-1).sweep()
    assert not lent.exists()
    assert mona.video.is_file()
