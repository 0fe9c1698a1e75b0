"""Tracks from made-up detections: people crossing, gaps, cuts, dropouts, and the choice of one."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from lipsync.errors import InputError
from lipsync.face.pose import head_yaw
from lipsync.face.track import FaceTracker, Tracks, choose_face
from lipsync.landmarks import LandmarkStore
from lipsync.types import Face, FaceChoice, FaceTrack, Size

SIZE = Size(720, 1280)
FPS = Fraction(25)
POINTS = 478


def _face(x: float, y: float = 300.0, width: float = 100.0) -> Face:
    """A face centred at (x, y); its first landmark lies in the middle."""
    offsets = np.linspace(-width / 2, width / 2, POINTS)
    points = np.stack([x + offsets, y + offsets, 0 * offsets], axis=1).astype(np.float32)
    points[0] = (x, y, 0)
    half = width / 2
    box = np.array([x - half, y - half, x + half, y + half], np.float32)
    return Face(box=box, landmarks=points, score=1.0)


def _tracks(frames: list[list[Face]], cuts: tuple[int, ...] = ()) -> Tracks:
    tracker = FaceTracker(POINTS)
    for row, faces in enumerate(frames):
        tracker.update(row, faces, row in cuts)
    return tracker.finish()


def _choose(tracks: Tracks, choice: FaceChoice = FaceChoice()) -> FaceTrack:  # noqa: B008
    return choose_face(tracks, choice, SIZE, FPS)


def _middle_x(track: FaceTrack) -> np.ndarray:
    return (track.boxes[:, 0] + track.boxes[:, 2]) / 2


def test_one_person_all_along() -> None:
    track = _choose(_tracks([[_face(200 + 3 * row)] for row in range(40)]))
    assert track.present.all()
    assert track.shots == (0,)
    assert np.allclose(_middle_x(track), 200 + 3 * np.arange(40), atol=0.1)
    assert np.allclose(track.landmarks[:][:, 0, 0], 200 + 3 * np.arange(40), atol=0.02)


def test_two_people_who_cross_stay_themselves() -> None:
    rows = range(60)
    frames = [[_face(200 + 12 * r, 280), _face(900 - 12 * r, 330, 110)] for r in rows]
    frames = [faces if row % 2 else faces[::-1] for row, faces in enumerate(frames)]
    tracks = _tracks(frames)
    assert len(tracks.candidates) == 2
    for candidate in tracks.candidates:
        heights = [(box[1] + box[3]) / 2 for box in candidate.boxes]
        assert np.ptp(heights) < 1


def test_short_dropout_is_bridged_in_a_straight_line() -> None:
    frames = [[_face(200 + 4 * row)] for row in range(30)]
    frames[10] = frames[11] = []
    track = _choose(_tracks(frames))
    assert track.present.all()
    assert np.allclose(track.landmarks[8:14][:, 0, 0], 200 + 4 * np.arange(8, 14), atol=0.05)


def test_longer_gap_stays_absent() -> None:
    frames = [[_face(200)] for _ in range(30)]
    frames[10:13] = [[], [], []]
    track = _choose(_tracks(frames))
    assert track.present.tolist() == [True] * 10 + [False] * 3 + [True] * 17
    assert np.isnan(track.boxes[10:13]).all()
    assert np.isnan(track.landmarks[10:13]).all()
    assert track.segments() == [slice(0, 10), slice(13, 30)]


def test_dropout_at_a_cut_is_not_bridged() -> None:
    frames = [[_face(200)] for _ in range(20)]
    frames[10] = []
    track = _choose(_tracks(frames, cuts=(10,)))
    assert not track.present[10]
    assert track.shots == (0, 10)


def test_the_one_who_left_may_come_back_elsewhere() -> None:
    frames = [[_face(200)] for _ in range(20)] + [[]] * 80 + [[_face(900)] for _ in range(20)]
    track = _choose(_tracks(frames))
    assert track.present.sum() == 40


def test_with_two_missing_nobody_is_guessed() -> None:
    both = [[_face(200), _face(600)] for _ in range(20)]
    tracks = _tracks(both + [[]] * 30 + [[_face(1000)] for _ in range(20)])
    assert len(tracks.candidates) == 3


def test_largest_counts_size_and_presence() -> None:
    frames = [[_face(200, width=100)] for _ in range(100)]
    for row in range(20):
        frames[row].append(_face(800, width=150))
    track = _choose(_tracks(frames))
    assert np.allclose(_middle_x(track), 200, atol=0.1)


def test_number_from_the_left() -> None:
    frames = [[_face(800, width=200), _face(200)] for _ in range(10)]
    tracks = _tracks(frames)
    assert np.allclose(_middle_x(_choose(tracks, FaceChoice(number=1))), 200, atol=0.1)
    assert np.allclose(_middle_x(_choose(tracks, FaceChoice(number=2))), 800, atol=0.1)
    with pytest.raises(InputError, match=r"number 3 .* 2 faces were found; .* 1 .* to 2"):
        _choose(tracks, FaceChoice(number=3))
    with pytest.raises(InputError, match="number 0"):
        _choose(tracks, FaceChoice(number=0))


def test_click() -> None:
    frames = [[_face(200), _face(800, width=200)] for _ in range(50)]
    tracks = _tracks(frames)
    track = _choose(tracks, FaceChoice(click=(210.0, 310.0), click_seconds=1.0))
    assert np.allclose(_middle_x(track), 200, atol=0.1)
    with pytest.raises(InputError, match=r"no face at the clicked point \(500, 310\) at 1\.0 s"):
        _choose(tracks, FaceChoice(click=(500.0, 310.0), click_seconds=1.0))


def test_click_counts_from_the_trimmed_start() -> None:
    frames = [[_face(200 + 10 * row)] for row in range(50)]
    choice = FaceChoice(click=(200 + 10 * 40.0, 300.0), click_seconds=(100 + 40) / 25)
    track = choose_face(_tracks(frames), choice, SIZE, FPS, range(100, 150))
    assert track.present.all()


def test_every_shot_has_its_own_choice() -> None:
    frames = [[_face(200), _face(800, width=150)] for _ in range(10)]
    frames += [[_face(300, width=180)] for _ in range(10)] + [[]] * 10
    tracks = _tracks(frames, cuts=(10, 20))
    largest = _middle_x(_choose(tracks))
    assert np.allclose(largest[:10], 800, atol=0.1)
    assert np.allclose(largest[10:20], 300, atol=0.1)
    assert np.isnan(largest[20:]).all()
    second = _choose(tracks, FaceChoice(number=2))
    assert second.present.tolist() == [True] * 10 + [False] * 20


def test_jump_cut_starts_a_new_shot_but_fast_motion_does_not() -> None:
    jump = [[_face(300)] for _ in range(10)] + [[_face(345)] for _ in range(10)]
    assert _choose(_tracks(jump)).shots == (0, 10)
    swing = [[_face(500 + 200 * np.sin(row / 3))] for row in range(60)]
    assert _choose(_tracks(swing)).shots == (0,)


def test_a_glimpse_is_no_candidate() -> None:
    frames = [[_face(200)] for _ in range(200)]
    frames[50].append(_face(900))
    tracks = _tracks(frames)
    assert len(tracks.candidates) == 1
    assert tracks.share(tracks.candidates[0]) == 1.0
    assert tracks.candidates[0].first_row == 0
    assert tracks.candidates[0].mean_width == pytest.approx(100)


def test_nobody_and_too_small() -> None:
    with pytest.raises(InputError, match="No face was found"):
        _choose(_tracks([[] for _ in range(10)]))
    with pytest.raises(InputError, match=r"only 30 px wide .* 48 px are needed"):
        _choose(_tracks([[_face(200, width=30)] for _ in range(10)]))


def test_small_shots_are_left_alone_where_others_will_do() -> None:
    frames = [[_face(200)] for _ in range(10)] + [[_face(200, width=30)] for _ in range(10)]
    track = _choose(_tracks(frames, cuts=(10,)))
    assert track.present.tolist() == [True] * 10 + [False] * 10


def test_choosing_changes_nothing() -> None:
    tracks = _tracks([[_face(200), _face(800)] for _ in range(10)])
    first = _choose(tracks)
    _choose(tracks, FaceChoice(number=2))
    assert np.array_equal(first.landmarks[:], _choose(tracks, FaceChoice(number=1)).landmarks[:])


def test_landmark_store_grows_and_shares() -> None:
    store = LandmarkStore(0, 4)
    rng = np.random.default_rng(0)
    points = rng.uniform(0, 1000, (LandmarkStore.GROWTH + 5, 4, 3)).astype(np.float32)
    for number, row in enumerate(points):
        assert store.append(row) == number
    assert len(store) == len(points)
    assert np.abs(store[:] - points).max() < 0.02
    chosen = store.select(np.array([5, -1, len(points) - 1]))
    assert len(chosen) == 3
    assert np.array_equal(chosen[0], store[5])
    assert np.isnan(chosen[1]).all()
    assert np.array_equal(chosen[[0, 2]], store[[5, -1]])
    assert np.array_equal(chosen.select(np.array([2, 1]))[0], store[-1])


@pytest.mark.parametrize("degrees", [-40.0, 0.0, 25.0])
def test_head_yaw(degrees: float) -> None:
    rng = np.random.default_rng(0)
    head = np.zeros((POINTS, 3))
    for right, left in ((33, 263), (127, 356), (234, 454)):
        head[right] = [-40 - rng.uniform(0, 20), rng.uniform(-5, 5), 10]
        head[left] = head[right] * [-1, 1, 1]
    angle = np.radians(degrees)
    # nose to picture right = the right-hand side of the picture goes away from the camera
    turn = np.array(
        [[np.cos(angle), 0, -np.sin(angle)], [0, 1, 0], [np.sin(angle), 0, np.cos(angle)]]
    )
    assert head_yaw(head @ turn.T) == pytest.approx(degrees, abs=0.1)
    assert head_yaw(np.stack([head, head])).shape == (2,)


def test_only_the_points_asked_for_are_kept() -> None:
    points = np.random.default_rng(0).uniform(0, 300, (5, 30, 3)).astype(np.float32)
    kept = np.array([3, 17, 4])
    whole, few = LandmarkStore(0, 30), LandmarkStore(0, 30, kept)
    for row in points:
        whole.append(row)
        few.append(row)
    assert few.num_points == whole.num_points == 30
    np.testing.assert_allclose(few[:][:, kept], points[:, kept], atol=0.01)
    others = np.delete(np.arange(30), kept)
    assert np.isnan(few[2][others]).all()
    chosen = few.select(np.array([4, -1]))
    np.testing.assert_allclose(chosen[0][kept], points[4, kept], atol=0.01)
    assert np.isnan(chosen[1]).all()


def test_only_some_rows_may_count_for_the_choice() -> None:
    """Who speaks in a trimmed clip is a glimpse in the whole, and followed beyond the trim."""
    frames = [[_face(200, width=300)] for _ in range(600)]
    for row in range(300, 308):
        frames[row] = [_face(700, width=100)]
    tracks = _tracks(frames)
    assert len(tracks.candidates) == len(tracks.glimpses) == 1
    seen = tracks.within(range(302, 306))
    assert [len(one.rows) for one in seen.candidates] == [4]
    assert (seen.num_rows, seen.shots, seen.glimpses) == (4, (0,), ())
    track = choose_face(tracks, FaceChoice(), SIZE, FPS, within=range(302, 306))
    assert np.flatnonzero(track.present).tolist() == list(range(300, 308))
    whole = choose_face(tracks, FaceChoice(), SIZE, FPS, within=range(600))
    assert np.array_equal(whole.present, _choose(tracks).present)
    with pytest.raises(InputError, match="no face at the clicked point"):
        choose_face(
            tracks,
            FaceChoice(click=(200, 300), click_seconds=12.1),
            SIZE,
            FPS,
            within=range(302, 306),
        )


def test_shots_and_people_are_cut_at_the_rows_that_count() -> None:
    frames = [[_face(200), _face(600)] for _ in range(20)] + [[_face(600)] for _ in range(20)]
    tracks = _tracks(frames, cuts=(20,))
    seen = tracks.within(range(10, 30))
    assert seen.shots == (0, 10)
    assert [(one.shot, one.rows[0], len(one.rows)) for one in seen.candidates] == [
        (0, 0, 10),
        (0, 0, 10),
        (10, 10, 10),
    ]
    assert tracks.within(range(20, 40)).shots == (0,)
    second = choose_face(tracks, FaceChoice(number=2), SIZE, FPS, within=range(10, 30))
    assert np.flatnonzero(second.present).tolist() == list(range(20))


def test_a_jump_is_judged_by_its_own_shot_alone() -> None:
    """What happens at a cut tells nothing of the motion beside it, whoever stands there before."""
    frames = [[_face(900)]] + [[_face(200)]] + [[_face(260)] for _ in range(9)]
    alone = _choose(_tracks([[], *frames[1:]], cuts=(1,)))
    after_a_cut = _choose(_tracks(frames, cuts=(1,)))
    assert alone.shots == after_a_cut.shots == (0, 1, 2)
