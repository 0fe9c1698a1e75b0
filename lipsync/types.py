"""The nouns of the project: what travels from one layer to the next.

Images are RGB ``(H, W, 3) uint8``; points are ``(x, y[, z])`` in px with pixel centres at integers;
boxes are ``x1 y1 x2 y2`` in px; masks are float32 in [0, 1] with 1 = generated. A name that ends in
``_frame``/``row`` counts frames, one that ends in ``seconds`` is in seconds.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol

import numpy as np

from lipsync.landmarks import LandmarkStore

if TYPE_CHECKING:  # for annotations only: loading torch takes a second of every start
    import torch

Fit = Literal["bounce", "loop", "cut", "hold", "stretch"]
Checkpoint = Callable[[], None]  # raises where a job has been cancelled
FITS: tuple[Fit, ...] = ("bounce", "loop", "cut", "hold", "stretch")


class Size(NamedTuple):
    """Height and width of a picture, px, upright."""

    height: int
    width: int


class Rect(NamedTuple):
    """A rectangle of whole pixels; ``right`` and ``bottom`` are exclusive."""

    left: int
    top: int
    right: int
    bottom: int


@dataclass(frozen=True)
class Colour:
    """How a picture's YUV numbers relate to RGB, and the tags to write back."""

    matrix: Literal["bt601", "bt709", "bt2020"] = "bt709"
    full_range: bool = False
    primaries: int = 2  # ITU-T H.273 code, 2 = not stated
    transfer: int = 2  # ITU-T H.273 code, 2 = not stated
    space: int = 2  # ITU-T H.273 matrix code as found in the file, 2 = not stated


@dataclass(frozen=True)
class Clip:
    """A video or still as the rest of the program sees it: upright, square px, constant rate."""

    path: Path
    fps: Fraction
    num_frames: int  # frames at the constant rate; 1 for a still
    size: Size  # upright, square pixels, even height and width
    duration: float  # seconds; 0.0 for a still
    has_audio: bool
    is_still: bool
    codec: str
    colour: Colour = field(default_factory=Colour)


@dataclass(frozen=True)
class Frame:
    """One 4:2:0 picture. Planes stay YUV so that what nobody touches stays bit-identical."""

    index: int  # frame number in its clip
    y: np.ndarray  # (H, W) uint8
    u: np.ndarray  # (H/2, W/2) uint8
    v: np.ndarray  # (H/2, W/2) uint8
    colour: Colour

    @property
    def size(self) -> Size:
        return Size(*self.y.shape)


@dataclass(frozen=True)
class Voice:
    """The user's own voice file, as it will be heard in the result."""

    path: Path
    duration: float  # seconds
    rate: int  # Hz
    channels: int
    codec: str


@dataclass(frozen=True, eq=False)  # compared as one thing, not sample by sample
class Audio:
    """An analysis copy of a voice."""

    samples: np.ndarray  # (N,) float32 mono in [-1, 1]
    rate: int  # Hz

    @property
    def duration(self) -> float:
        """Length in seconds."""
        return len(self.samples) / self.rate


@dataclass(frozen=True)
class Face:
    """One detected face in one frame."""

    box: np.ndarray  # (4,) float32 px
    landmarks: np.ndarray  # (L, 3) float32 px; z has the scale of x, smaller is nearer
    score: float  # [0, 1]


@dataclass(frozen=True)
class FaceTrack:
    """One person through the source frames that a job looks at, one row each, in order of time."""

    boxes: np.ndarray  # (T, 4) float32 px; NaN where absent
    landmarks: LandmarkStore  # (T, L, 3) px, as detected, unsmoothed
    present: np.ndarray  # (T,) bool; absent rows pass through untouched
    shots: tuple[int, ...]  # first row of each shot; shots[0] == 0

    def segments(self) -> list[slice]:
        """Return the maximal runs of rows in which the face is present, cut at every new shot."""
        edges = np.flatnonzero(np.diff(np.concatenate([[0], self.present.astype(np.int8), [0]])))
        runs = []
        for start, stop in edges.reshape(-1, 2).tolist():
            inner = [shot for shot in self.shots if start < shot < stop]
            runs += [slice(a, b) for a, b in zip([start, *inner], [*inner, stop], strict=True)]
        return runs


@dataclass(frozen=True)
class Alignment:
    """Where the engine's square crop lies in each frame."""

    matrices: np.ndarray  # (T, 2, 3) float32, frame px -> crop px: a similarity, then the stretch
    size: int  # side S of the crop, px


@dataclass(frozen=True)
class Reference:
    """A picture of the same face at another moment, kept while the clip was first read."""

    row: int  # row of the face track
    image: np.ndarray  # (h, w, 3) uint8 RGB, around the mouth
    landmarks: np.ndarray  # (L, 3) float32 px of that image


@dataclass(frozen=True)
class Scene:
    """One uninterrupted stretch of output in which the face is there, seen as a whole.

    T counts the frames of this stretch. State of an engine never crosses from one to the next.
    """

    track: FaceTrack
    rows: np.ndarray  # (T,) int, the track row each output frame shows
    alignment: Alignment  # matrices (T, 2, 3)
    size: Size  # of the frames
    features: Features  # T rows, what the engine's encode_audio gave
    fps: Fraction
    references: Sequence[Reference] = ()  # varied mouths of the same face in the same shot
    first_output: int = 0  # number, in the whole result, of the stretch's first frame
    crops: Crops | None = None  # where they have been made before


@dataclass(frozen=True)
class Window:
    """F consecutive frames of a scene, as the engine receives them."""

    start: int  # position of the first frame within the scene
    faces: np.ndarray  # (F, S, S, 3) uint8 RGB
    landmarks: np.ndarray  # (F, L, 3) float32 crop px, as detected
    audio: Features  # F rows


@dataclass(frozen=True)
class Generated:
    """The next F frames an engine has finished."""

    faces: np.ndarray  # (F, S, S, 3) uint8 RGB
    masks: np.ndarray | None = None  # (F, S, S) float32 [0, 1]; None = the template's own mask


@dataclass(frozen=True)
class Working:
    """A moment of rest within an engine's work: the job may show where it is, or stop here."""

    frames: float  # how many frames' worth of work is done beyond what has been yielded


@dataclass(frozen=True)
class EngineSpec:
    """What shared code must know of an engine."""

    name: str
    label: str  # for people
    licence: str
    window: int  # frames per window
    references: int = 0  # how many varied pictures of the face it wants to see before it starts
    fps: Fraction | None = None  # None = any rate
    wants_card: bool = False  # it computes on a graphics card where there is one


class Features(Protocol):
    """What an engine hears, one row per output frame: a tensor, or what becomes one piece by
    piece. A slice of it is of the same kind."""

    def __len__(self) -> int: ...

    def __getitem__(self, frames: slice, /) -> Features: ...


class Crops(Protocol):
    """The aligned crops of a scene, made before: a slice of it is (F, S, S, 3) uint8 RGB."""

    def __getitem__(self, frames: slice, /) -> np.ndarray: ...


class Engine(Protocol):
    """What every engine offers. `generate` is a generator: closing it cancels.

    An engine is built with the `Residence` that keeps its models, and with nothing else.
    """

    spec: EngineSpec
    Settings: type

    @classmethod
    def needed_weights(cls, settings: Any) -> tuple[str, ...]:
        """Return the keys of the weight table that must be on the machine; () = none."""
        ...

    @classmethod
    def template(cls, settings: Any) -> str:
        """Return the key of `face.align.TEMPLATES`: how its crops lie on the face."""
        ...

    @classmethod
    def crop_size(cls, settings: Any) -> int | None:
        """Return the side of the crop, px; None = the clip's own resolution."""
        ...

    @classmethod
    def pace(cls, settings: Any, on_card: bool) -> float:
        """Return the seconds a frame takes beyond crop and paste, on a graphics card or on the
        processor, as expected before one was made: rather too many than too few."""
        ...

    def load(self, settings: Any) -> tuple[str, ...]:
        """Make all models resident that a job needs; without this call, its first use does.

        Returns plain sentences on wishes that this machine cannot meet, and what is used instead.
        Raises `InputError` where a checkpoint is absent, damaged or another one than it should be,
        and where the memory does not suffice.
        """
        ...

    def encode_audio(
        self, audio: Audio, num_frames: int, fps: Fraction, settings: Any, checkpoint: Checkpoint
    ) -> Features:
        """Return `num_frames` rows: row t is what output frame t hears.

        Calls `checkpoint` at least about once a second; it raises if the job has been cancelled.
        """
        ...

    def generate(
        self, scene: Scene, windows: Iterable[Window], settings: Any, rng: torch.Generator
    ) -> Generator[Generated | Working, None, None]:
        """Yield every frame of the scene once, in order, some at a time, and `Working` whenever
        more than about a second would pass without a chance to stop."""
        ...


@dataclass(frozen=True)
class FaceChoice:
    """Which face to animate: the largest, the n-th from the left (1 = leftmost), or a click."""

    number: int | None = None
    click: tuple[float, float] | None = None  # (x, y) px in the upright frame
    click_seconds: float = 0.0  # time of the clicked frame in the source clip


@dataclass(frozen=True)
class Request:
    """One job, as asked for."""

    video: Path
    audio: Path
    output: Path
    engine: str = "draft"
    settings: Mapping[str, Any] = field(default_factory=dict)  # validated against Engine.Settings
    face: FaceChoice = field(default_factory=FaceChoice)
    fit: Fit = "bounce"
    start: float | None = None  # seconds, trims the clip
    end: float | None = None  # seconds, trims the clip
    fps: Fraction | None = None  # None = the source's own rate (25 for a still)
    part: tuple[float, float] | None = None  # (start, length) s: only this part of the output
    softness: float = 1.0  # width of the mask's edge, as a multiple of the engine's own
    mark: bool = False  # put a small "AI" mark into the picture's corner
    seed: int = 0
    quality: Literal["high", "lossless"] = "high"
    score: bool = True
    judge: str = "auto"  # who scores: one of score.judges.JUDGES, or "auto": the best one here
    home: Path | None = None  # where the requester's own avatars are; None = the pipeline's store


@dataclass(frozen=True)
class SyncScore:
    """How well mouth and voice agree, by one named judge."""

    judge: str
    worth: str  # one sentence: what this judge's numbers are worth
    confidence: float  # [0, 1] for `correlate`; other judges name their own scale
    offset_frames: int  # > 0: the sound comes that many frames before the lips
    fps: Fraction
    verdict: str  # in words
    distance: float | None = None
    curve_offsets: tuple[int, ...] = ()  # frames
    curve: tuple[float, ...] = ()  # one value per offset
    per_second: tuple[float | None, ...] = ()  # None = nothing to judge in that second

    @property
    def offset_ms(self) -> float:
        """Offset in milliseconds; between two frames where the curve's best place lies there.

        That place is the vertex of the parabola through the best value and its neighbours.
        """
        values = dict(zip(self.curve_offsets, self.curve, strict=True))
        places = (self.offset_frames + step for step in (-1, 0, 1))
        before, best, behind = (values.get(place, math.nan) for place in places)
        bend = before - 2 * best + behind
        beyond = (before - behind) / (2 * bend) if math.isfinite(bend) and bend else 0.0
        if abs(beyond) > 0.5:  # a neighbour is better: no vertex
            beyond = 0.0
        return float((self.offset_frames + beyond) * 1000 / self.fps)

    @property
    def frames_ms(self) -> float:
        """The offset's whole frames in milliseconds: what a repair moves the sound by."""
        return float(self.offset_frames * 1000 / self.fps)


@dataclass(frozen=True)
class Skipped:
    """A stretch of the result that shows the source untouched, and why."""

    start_seconds: float
    end_seconds: float
    reason: str


@dataclass(frozen=True)
class Result:
    """A finished job."""

    output: Path
    num_frames: int
    fps: Fraction
    size: Size
    duration: float  # seconds
    score: SyncScore | None  # None = not measured
    score_reason: str | None  # why there is no score
    skipped: tuple[Skipped, ...]
    timings: Mapping[str, float]  # seconds per stage
    models: tuple[str, ...] = ()  # titles of the checkpoints that have made it
    notes: tuple[str, ...] = ()  # plain sentences for the user


@dataclass(frozen=True)
class Progress:
    """What a client shows while a job runs; the last one holds the result."""

    stage: str  # "probe" | "faces" | "voice" | "generate" | "score" | "done"
    done: int
    total: int
    seconds_left: float | None = None  # for the whole job, from measured speed
    preview: np.ndarray | None = None  # (h, w, 3) uint8 RGB, small
    result: Result | None = None
    begun: float = 0.0  # how much work has gone into what comes after `done`, in the same unit

    @property
    def share(self) -> float:
        """How much of the stage is done, [0, 1]; 0 where there is nothing to do."""
        return min((self.done + self.begun) / self.total, 1.0) if self.total else 0.0
