"""Where fitted numbers come from: one line for each clip, written beside them."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NamedTuple

from lipsync.train.clips import matches

_TABLE = Path(__file__).with_name("sources.csv")


class Source(NamedTuple):
    """Where clips with such names come from."""

    pattern: str
    origin: str
    licence: str
    kind: str  # real | generated: what the face is


@dataclass(frozen=True)
class LearntClip:
    """What became of one clip."""

    name: str
    seconds: float
    lag: int  # frames of 40 ms; > 0 = the sound comes before the lips
    agreement: float  # mean correlation of opening and width with a ridge of the other people
    is_used: bool  # False: it agreed too little


@cache
def _sources() -> tuple[Source, ...]:
    with _TABLE.open(newline="", encoding="utf-8") as file:
        return tuple(
            Source(row["clip"], row["origin"], row["licence"], row["kind"])
            for row in csv.DictReader(file)
        )


def source_of(name: str) -> Source:
    """Return where a clip comes from, by the first line of `sources.csv` that fits its name."""
    for source in _sources():
        if matches(name, (source.pattern,)):
            return source
    return Source(name, "not in lipsync/train/sources.csv", "not stated", "real")


def write_provenance(
    folder: Path, command: str, learnt: Sequence[LearntClip], refused: Mapping[str, str]
) -> None:
    """Write `PROVENANCE.md` into `folder`."""
    used = [clip for clip in learnt if clip.is_used]
    lines = [
        "# Where `articulation.npz` and `correlate.npz` come from",
        "",
        f"Fitted on {len(used)} clips, {sum(clip.seconds for clip in used):.0f} s, by",
        "",
        "```sh",
        f"python -m lipsync train articulation {command}",
        "```",
        "",
        "which also wrote this page; the settings lie in both files under `config`. No picture and",
        "no sound of a clip is in them: they are the coefficients of two regressions and the",
        "weights of small networks. The clips themselves are not part of the program.",
        "",
        "Lag: frames of 40 ms by which the sound comes before the lips (below 0: after), taken out",
        "before the fit. r: mean correlation of the true opening and width with those that a ridge",
        "regression hears which was fitted on the other people.",
        "",
        "| clip | from | licence | face | s | lag | r |",
        "|---|---|---|---|--:|--:|--:|",
        *(_row(clip) for clip in used),
    ]
    left_out = [
        f"- {clip.name}: the mouth does not follow the voice well enough (r {clip.agreement:.2f})"
        for clip in learnt
        if not clip.is_used
    ]
    left_out += [f"- {name}: {reason}" for name, reason in refused.items()]
    if left_out:
        lines += ["", "Left out:", "", *left_out]
    (folder / "PROVENANCE.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _row(clip: LearntClip) -> str:
    source = source_of(clip.name)
    return (
        f"| {clip.name} | {source.origin} | {source.licence} | {source.kind} "
        f"| {clip.seconds:.1f} | {clip.lag} | {clip.agreement:.2f} |"
    )
