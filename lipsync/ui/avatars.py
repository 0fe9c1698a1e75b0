"""What the Avatars tab does: avatars are created, listed, put to use and deleted.

A visitor's avatars are named by their names, which come from a browser: they are looked for in
that visitor's own store and nowhere else.
"""

from __future__ import annotations

import logging
import re
import unicodedata
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, cast, get_args

import gradio as gr
import numpy as np
from PIL import Image

from lipsync.avatar.store import MAX_LETTERS, Avatar
from lipsync.errors import InputError
from lipsync.media.probe import Limits, probe_clip
from lipsync.presets import Preset
from lipsync.steps import exhaust, map_steps
from lipsync.types import Progress
from lipsync.ui import cards
from lipsync.ui.avatars_shelf import Shelf
from lipsync.ui.choices import check_choices, engine_settings
from lipsync.ui.jobs import Jobs, bring_in, session_of
from lipsync.ui.preset_panel import read_choices
from lipsync.ui.resident import Pipeline
from lipsync.ui.stage import SYNC
from lipsync.ui.trouble import PlainWords
from lipsync.ui.updates import LOCKED, Throttle, Update, Updates, shown
from lipsync.ui.visitors import read_visitor
from lipsync.ui.words import Words, words_for
from lipsync.weights import describe_size

log = logging.getLogger(__name__)

# where each stage starts on the whole bar
_STAGES = {
    "probe": 0.0,
    "wait": 0.0,
    "check": 0.0,
    "copy": 0.03,
    "faces": 0.08,
    "align": 0.9,
    "crops": 0.92,
}

Kind = Literal["use", "delete"]


@dataclass(frozen=True)
class Wish:
    """What a visitor asked of the list; the name is unchecked."""

    kind: Kind
    name: str


@dataclass(frozen=True)
class AvatarUpdates(Updates):
    """One update for every component that creating an avatar touches."""

    status: Update | None = None
    name: Update | None = None
    clip: Update | None = None
    widget: Update | None = None  # the list
    choice: Update | None = None  # the list in the tab that makes results
    create: Update | None = None
    cancel: Update | None = None


def read_wish(value: Any) -> Wish:
    """Return what the list's value asks for; raises InputError for one it never sends."""
    if isinstance(value, dict) and value.get("kind") in get_args(Kind):
        name = value.get("name")
        if isinstance(name, str):
            return Wish(cast(Kind, value["kind"]), name)
    raise InputError("The avatars' tab cannot read what was asked for; reload the page, try again.")


def read_choice(value: Any) -> str:
    """Return the name that the tab that makes results has chosen, unchecked; "" for none, and for
    a value that it never sends."""
    name = value.get("name") if isinstance(value, dict) else None
    return name if isinstance(name, str) else ""


class AvatarHandlers:
    """The handlers around avatars; each looks only into the store of the visitor who asks."""

    def __init__(
        self,
        get_pipeline: Callable[[], Pipeline],
        shelf: Shelf,
        jobs: Jobs,
        presets: Mapping[str, Preset],
        limits: Limits,
    ) -> None:
        self._get_pipeline = get_pipeline
        self._shelf = shelf
        self._jobs = jobs
        self._presets = presets
        self._limits = limits

    def list_avatars(self, request: gr.Request, visitor: Any) -> list[Any]:
        """Return the updates of both lists with what the visitor has."""
        return self._relist(read_visitor(visitor), words_for(request))

    def suggest_name(self, name: str | None, clip: str | None) -> Any:
        """Return the update of an empty name once a clip is there: what the clip is called, as
        far as an avatar can be called so."""
        if clip is None or (name or "").strip():
            return gr.skip()
        plain = re.sub(r"[\W_]+", " ", unicodedata.normalize("NFC", Path(clip).stem))
        return gr.update(value=plain.strip()[:MAX_LETTERS].strip())

    def announce(
        self, request: gr.Request, visitor: Any, name: str | None, clip: str | None
    ) -> list[Any]:
        """Show that the click was heard, before the queue lets the work in, or what is wrong."""
        words = words_for(request)
        with PlainWords(words) as trouble:
            self._check(read_visitor(visitor), name, clip)
            self._jobs.announce(_line_of(request))
            return AvatarUpdates(
                status=shown(cards.low_card(words, words("run.waiting"), 0.0, "")),
                create=gr.update(interactive=False),
                cancel=gr.update(interactive=True),
            ).as_list()
        return _idle(cards.error_card(trouble.sentence or "")).as_list()

    def create(
        self, request: gr.Request, visitor: Any, name: str | None, clip: str | None, *chosen: Any
    ) -> Iterator[list[Any]]:
        """Create what was announced, for the engine of the settings `chosen`; yield updates."""
        words, line = words_for(request), _line_of(request)
        job = self._jobs.claim(line)
        if job is None:  # stopped before it began; of no update at all Gradio empties components
            yield AvatarUpdates().as_list()
            return
        visitor = read_visitor(visitor)
        with PlainWords(words) as trouble, self._jobs.open(line, job) as folder:
            name, upload = self._check(visitor, name, clip)
            choices = check_choices(read_choices(*chosen), self._presets)
            preset = self._presets[choices.preset]
            steps = self._get_pipeline().create_avatar(
                name,
                bring_in(upload, folder, "clip"),
                engine=preset.engine,
                settings=engine_settings(choices, preset),
                store=self._shelf.open(visitor),
            )
            avatar = yield from _show(job.follow(steps), name, words)
            if avatar is None:  # `tell_stopped` says so
                return
            widget, choice = self._relist(visitor, words)
            done = words("avatars.created", name=avatar.name)
            yield replace(
                _idle(cards.quiet_line(done)),
                name=gr.update(value=""),
                clip=gr.update(value=None),
                widget=widget,
                choice=choice,
            ).as_list()
        if trouble.sentence is not None:
            yield _idle(cards.error_card(trouble.sentence)).as_list()

    def stop(self, request: gr.Request) -> bool:
        """Stop what the visitor's page creates, waiting or running; return whether there was any
        such thing."""
        return bool(self._jobs.cancel(_line_of(request)))

    def leave(self, request: gr.Request) -> None:
        """Stop what is created for a visitor who closed the page."""
        self.stop(request)

    def tell_stopped(self, request: gr.Request, visitor: Any, stopped: bool) -> list[Any]:
        """Show that nothing is created any more, where `stop` has stopped it.

        A call of its own, so that it comes after the last progress that was on its way.
        """
        if not stopped:  # it ended in this very moment
            return AvatarUpdates(cancel=LOCKED).as_list()
        words = words_for(request)
        widget, choice = self._relist(read_visitor(visitor), words)
        told = cards.quiet_line(words("avatars.cancelled"))
        return replace(_idle(told), widget=widget, choice=choice).as_list()

    def act(self, request: gr.Request, visitor: Any, asked: Any, choice: Any) -> list[Any]:
        """Use or delete an avatar as asked in the list; `choice` is the value of the other list.

        Return the tab to go to, both lists, the field of the clip and what was lent to it.
        """
        visitor, words = read_visitor(visitor), words_for(request)
        with PlainWords(words) as trouble:
            wish = read_wish(asked)
            if wish.kind == "use":
                return [gr.Tabs(selected=SYNC), gr.skip(), *self._use(visitor, wish.name)]
            self._shelf.store(visitor).remove(wish.name)
            said = words("avatars.deleted", name=wish.name)
            lists = self._relist(visitor, words, said=said)
            if read_choice(choice) == wish.name:
                lists[1]["value"] = {"name": ""}
            return [gr.skip(), *lists, gr.skip(), gr.skip()]
        lists = self._relist(visitor, words, trouble=trouble.sentence or "")
        return [gr.skip(), *lists, gr.skip(), gr.skip()]

    def choose(self, request: gr.Request, visitor: Any, choice: Any) -> list[Any]:
        """Use the avatar chosen in the tab that makes results, or none.

        Return that list, the field of the clip and what was lent to it.
        """
        visitor, words = read_visitor(visitor), words_for(request)
        name = read_choice(choice)
        if not name:
            return [gr.skip(), None, ""]
        with PlainWords(words) as trouble:
            return self._use(visitor, name)
        gr.Warning(trouble.sentence or "")  # it is gone, as the list says from now on
        _, lists = self._relist(visitor, words)
        return [lists | {"value": {"name": ""}}, gr.skip(), gr.skip()]

    def forget(self, clip: str | None, lent: str) -> Any:
        """Return the update of the list in the tab that makes results once the field of the clip
        holds another clip than the one that was lent."""
        return gr.skip() if clip is not None and clip == lent else gr.update(value={"name": ""})

    def _use(self, visitor: str, name: str) -> list[Any]:
        avatar = self._shelf.store(visitor).get(name)
        lent = str(self._shelf.lend(avatar))
        return [gr.update(value={"name": avatar.name}), lent, lent]

    def _check(self, visitor: str, name: str | None, clip: str | None) -> tuple[str, Path]:
        """Return the tidy name and the upload; raises InputError for what cannot be used."""
        if clip is None:
            raise InputError("There is no clip yet; choose a clip or a photo first.")
        if not (name or "").strip():
            raise InputError("The avatar has no name yet; give it one.")
        upload = Path(clip)
        # what is wrong with it is told here, where it still has the name its owner knows
        probe_clip(upload, self._limits)
        store = self._shelf.store(visitor)
        return store.check_free(name or "", exhaust(store.find(upload))), upload

    def _relist(
        self, visitor: str, words: Words, said: str = "", trouble: str = ""
    ) -> list[dict[str, Any]]:
        """Return the updates of both lists, with what was `said` or went wrong meanwhile."""
        avatars = self._shelf.list(visitor)
        store = self._shelf.store(visitor)
        troubles = [words.sentence(one) for one in store.troubles()]
        listing = {
            "avatars": [_describe(avatar, words) for avatar in avatars],
            "kept": self._say_kept(words),
            "said": said,
            "troubles": [trouble, *troubles] if trouble else troubles,
        }
        names = [avatar.name for avatar in avatars]
        return [gr.update(listing=listing), gr.update(names=names)]

    def _say_kept(self, words: Words) -> str:
        shelf = self._shelf
        if shelf.own is not None:
            return words("avatars.kept", folder=shelf.own.folder)
        hours = f"{shelf.keep_seconds / 3600:g}"
        return words("avatars.kept-hosted", hours=hours, most=shelf.keep_avatars)


def _describe(avatar: Avatar, words: Words) -> dict[str, Any]:
    """Return one avatar as the list draws it; all of it is text there, never HTML."""
    clip = avatar.clip
    facts = words(
        "avatars.facts-still" if clip.is_still else "avatars.facts",
        length=cards.say_seconds(words, clip.duration),
        width=clip.size.width,
        height=clip.size.height,
        rate=cards.say_rate(float(clip.fps)),
    )
    return {
        "name": avatar.name,
        "facts": facts,
        "created": avatar.created,
        "size": describe_size(avatar.bytes),
        "thumbnail": _draw_thumbnail(avatar.thumbnail),
    }


def _draw_thumbnail(path: Path) -> str:
    """Return a picture of the store as an address that holds it: the server hands out no file of
    the store. Empty where it cannot be read."""
    try:
        with Image.open(path) as picture:
            return cards.picture_url(np.asarray(picture.convert("RGB")))
    except (OSError, SyntaxError) as error:  # Pillow's word for what is no PNG is SyntaxError
        log.warning("%s cannot be shown (%r)", path, error)
        return ""


def _show(
    creating: Generator[Progress, None, Avatar | None], name: str, words: Words
) -> Generator[list[Any], None, Avatar | None]:
    """Turn the progress into updates of the status; return the avatar, None where it was
    cancelled."""
    throttle = Throttle()
    reached = 0.0  # files are read again in between, which is no way back

    def tell(progress: Progress) -> list[Any] | None:
        nonlocal reached
        reached = max(reached, cards.overall_share(progress, _STAGES))
        if not throttle.is_due():
            return None
        left = progress.seconds_left
        told = "" if left is None else words("run.left", time=cards.say_wait(words, left))
        doing = words(f"avatars.stage-{progress.stage}")
        line = words("avatars.creating", name=name, stage=doing)
        card = cards.low_card(words, line, reached, told)
        return AvatarUpdates(status=shown(card)).as_list()

    return (yield from map_steps(tell, creating))


def _idle(status: str) -> AvatarUpdates:
    return AvatarUpdates(status=shown(status), create=gr.update(interactive=True), cancel=LOCKED)


def _line_of(request: gr.Request) -> str:
    # a name of its own, so that this and a job of the same page do not cancel each other
    return f"avatar {session_of(request)}"
