"""The generator's recipe at its smallest, with and without its adversary."""

from __future__ import annotations

import math
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from conformance_wav2lip_training import training_checks
from golden_folder import Family
from made_windows import make_folder, make_talking
from training_runs import differences, read_rows

from lipsync.cli.commands import main as command
from lipsync.engines.wav2lip.convert import load_expert, load_generator
from lipsync.engines.wav2lip.inference import open_generator
from lipsync.errors import InputError
from lipsync.nn.checkpoint import read_file
from lipsync.train import syncnet_color
from lipsync.train.prepared import new_faces, open_videos, write_video
from lipsync.train.run import Until
from lipsync.train.wav2lip import (
    FILE,
    GAN_SYNC_SHARE,
    QUALITY_SHARE,
    SYNC_SHARE,
    Adversary,
    Config,
    SyncSchedule,
    Trainee,
    train,
    train_adversary,
    train_step,
)
from lipsync.train.windows import Batch, Windows

GOLDEN = Path(__file__).resolve().parents[2] / "shared" / "golden" / "wav2lip"
# an expert that has learnt nothing yet is worse than chance; the schedule is to begin all the same
TINY = Config(width=2, batch=1, every=2, exam=1, sync_below=9.0, seed=1)
GAN = replace(TINY, gan=True)
CPU = torch.device("cpu")
both = pytest.mark.parametrize("config", [TINY, GAN], ids=["plain", "gan"])


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    make_talking(folder, 3)
    return folder


@pytest.fixture(scope="module")
def expert(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    checkpoint = tmp_path_factory.mktemp("expert") / syncnet_color.FILE
    config = syncnet_color.Config(width=2, batch=2, exam=2)
    syncnet_color.train(data, checkpoint, config, Until(1), "cpu")
    return checkpoint


@pytest.fixture(scope="module")
def runs(data: Path, expert: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[Config, Path]:
    """The checkpoints of four steps without a stop, with and without the adversary."""
    made = {}
    for config in (TINY, GAN):
        made[config] = tmp_path_factory.mktemp("straight") / FILE
        train(data, made[config], expert, config, Until(4), "cpu")
    return made


@pytest.fixture
def batch(data: Path) -> Batch:
    return Windows(open_videos(data), seed=1).batch(0, 1)


@both
def test_going_on_is_as_if_it_had_never_stopped(
    data: Path, expert: Path, config: Config, runs: dict[Config, Path], tmp_path: Path
) -> None:
    """Stopped after a validation that let the expert in, and before the next one was due."""
    for steps in (3, 4):
        train(data, tmp_path / FILE, expert, config, Until(steps), "cpu")
    assert differences(runs[config], tmp_path / FILE) == []
    assert read_rows(tmp_path / FILE, "train") == read_rows(runs[config], "train")
    looks = read_rows(tmp_path / FILE, "val")
    assert [row["step"] for row in looks] == ["0", "2", "3", "4"]
    assert [row for row in looks if row["step"] != "3"] == read_rows(runs[config], "val")


@both
def test_the_expert_comes_in_with_a_validation(config: Config, runs: dict[Config, Path]) -> None:
    share = GAN_SYNC_SHARE if config.gan else SYNC_SHARE
    rows = read_rows(runs[config], "train")
    assert [float(row["sync_share"]) for row in rows] == [0, 0, share, share]
    assert [row["sync"] == "" for row in rows] == [True, True, False, False]
    assert read_file(runs[config])["sync_is_on"]


@both
def test_every_part_of_the_loss_counts_as_it_should(
    config: Config, runs: dict[Config, Path]
) -> None:
    quality = QUALITY_SHARE if config.gan else 0.0
    for row in read_rows(runs[config], "train"):
        share, l1, total = (float(row[name]) for name in ("sync_share", "l1", "total"))
        parts = share * float(row["sync"] or 0) + quality * float(row["quality"] or 0)
        assert total == pytest.approx(parts + (1 - share - quality) * l1, abs=1e-6)
        assert (row["filmed"] != "") == (row["painted"] != "") == config.gan


def test_the_engine_takes_the_checkpoint(runs: dict[Config, Path], batch: Batch) -> None:
    kept = read_file(runs[GAN])
    assert (kept["global_step"], kept["global_epoch"]) == (4, 4)
    generator = load_generator(runs[GAN])
    assert generator.params.width == TINY.width
    mels, faces = batch.own_mels[:, 0], batch.faces[:, :, 0]
    with torch.inference_mode():
        wanted = generator(mels, faces)
    painted = open_generator(runs[GAN], CPU)(mels, faces)
    assert painted.shape == (1, 3, 96, 96)
    assert torch.allclose(painted, wanted, atol=2e-5)


def test_the_schedule_never_goes_back() -> None:
    schedule = SyncSchedule(0.03, below=0.75)
    shares = []
    for heard in (0.9, 0.75, 0.74, 0.9, math.nan):
        schedule.hear(heard)
        shares.append(schedule.now)
    assert shares == [0, 0, 0.03, 0.03, 0.03]


def test_the_expert_is_left_as_it_was(data: Path, expert: Path, batch: Batch) -> None:
    """Frozen, and in eval mode: its batch norms do not drift, as they did in the published way."""
    judge = load_expert(expert)
    before = {name: value.clone() for name, value in judge.state_dict().items()}
    trainee = Trainee(TINY, CPU)
    trainee.schedule.is_on = True
    values = train_step(trainee, judge, batch)
    assert values["sync"] > 0
    assert not judge.training
    assert all(torch.equal(before[name], value) for name, value in judge.state_dict().items())
    assert all(parameter.grad is None for parameter in judge.parameters())


def test_the_adversary_learns_from_both_kinds_of_faces(batch: Batch) -> None:
    adversary = Adversary(TINY, CPU)
    parameters = list(adversary.network.parameters())
    adversary.optimizer = torch.optim.SGD(parameters, lr=1.0)
    painted = 1 - batch.filmed
    answers = [adversary.network(faces) for faces in (batch.filmed, painted)]
    wanted = -answers[0].log().mean() - (1 - answers[1]).log().mean()
    gradients = torch.autograd.grad(wanted, parameters)
    expected = [p.detach() - g for p, g in zip(parameters, gradients, strict=True)]
    for parameter in parameters:
        parameter.grad = torch.ones_like(parameter)  # as the generator's step leaves something
    losses = train_adversary(adversary, batch.filmed, painted)
    assert float(sum(losses.values())) == pytest.approx(wanted.item())
    for parameter, value in zip(parameters, expected, strict=True):
        assert torch.allclose(parameter, value, atol=1e-6)


def test_the_adversary_moves_with_the_generator_and_judges_it(expert: Path, batch: Batch) -> None:
    trainee = Trainee(replace(TINY, gan=True), CPU)
    assert trainee.adversary is not None
    before = [p.clone() for p in trainee.adversary.network.parameters()]
    values = train_step(trainee, load_expert(expert), batch)
    # before its own step, what it takes for filmed and for painted are two sides of one answer
    assert math.exp(-values["quality"]) + math.exp(-values["painted"]) == pytest.approx(1, abs=0.02)
    pairs = zip(before, trainee.adversary.network.parameters(), strict=True)
    assert all(not torch.equal(old, new) for old, new in pairs)


def test_it_learns_to_paint(expert: Path, batch: Batch) -> None:
    trainee = Trainee(replace(TINY, learning_rate=0.03), CPU)
    judge = load_expert(expert)
    losses = [train_step(trainee, judge, batch)["l1"] for _ in range(10)]
    assert losses[-1] < 0.6 * losses[0]


def test_rows_after_the_last_checkpoint_are_written_again(
    data: Path, expert: Path, runs: dict[Config, Path], tmp_path: Path
) -> None:
    checkpoint = shutil.copytree(runs[GAN].parent, tmp_path / "run") / FILE
    with checkpoint.with_name("wav2lip.train.csv").open("a") as file:
        file.write("5,1.0,0.5,,,0.5,0.1,,,0\n6,1.2,0.")  # killed while it wrote
    train(data, checkpoint, expert, GAN, Until(5), "cpu")
    rows = read_rows(checkpoint, "train")
    assert [row["step"] for row in rows] == ["1", "2", "3", "4", "5"]
    assert float(rows[4]["l1"]) != 0.5


def test_a_run_that_is_done_changes_nothing(
    data: Path, expert: Path, runs: dict[Config, Path]
) -> None:
    files = {path: path.read_bytes() for path in runs[GAN].parent.iterdir()}
    train(data, runs[GAN], expert, GAN, Until(4), "cpu")
    assert {path: path.read_bytes() for path in runs[GAN].parent.iterdir()} == files


def test_other_videos_or_another_expert_are_refused(
    data: Path, expert: Path, runs: dict[Config, Path], tmp_path: Path
) -> None:
    more, other = tmp_path / "more", tmp_path / "other.pth"
    make_talking(more, 4)
    with pytest.raises(InputError, match=r"was trained with videos \w+, and now it is \w+;"):
        train(more, runs[GAN], expert, GAN, Until(6), "cpu")
    torch.save({**read_file(expert), "global_step": 9}, other)
    with pytest.raises(InputError, match="was trained with expert "):
        train(data, runs[GAN], other, GAN, Until(6), "cpu")


def test_a_file_of_another_kind_is_not_overwritten(
    data: Path, expert: Path, tmp_path: Path
) -> None:
    checkpoint = tmp_path / FILE
    torch.save({"state_dict": {}}, checkpoint)
    before = checkpoint.read_bytes()
    with pytest.raises(InputError, match="no checkpoint of a training run made here"):
        train(data, checkpoint, expert, TINY, Until(1), "cpu")
    assert checkpoint.read_bytes() == before


def test_a_loss_that_is_no_number_ends_the_run(expert: Path, tmp_path: Path) -> None:
    for number in range(2):
        folder = make_folder(tmp_path / "data", number)
        faces = new_faces(folder, 20)
        faces[...] = 9
        mel = np.full((80, 80), np.nan if number else -4.0, np.float32)
        write_video(folder, "a.mp4", [range(1, 21)], faces, mel)
    with pytest.raises(InputError, match="Training has diverged: at step 1 l1 is nan"):
        train(tmp_path / "data", tmp_path / FILE, expert, TINY, Until(2), "cpu")
    assert not (tmp_path / FILE).exists()


def test_both_recipes_from_the_command_line(data: Path, tmp_path: Path) -> None:
    small = ["--width", "2", "--batch", "2", "--exam", "2", "--steps", "1", "--device", "cpu"]
    judge, painter = tmp_path / "expert", tmp_path / "wav2lip-gan"
    assert command(["train", "syncnet-color", str(data), str(judge), *small]) == 0
    line = ["train", "wav2lip", str(data), str(painter), *small, "--gan"]
    assert command([*line, "--expert", str(judge / "lipsync_expert.pth")]) == 0
    assert load_generator(painter / "wav2lip_gan.pth").params.width == 2


@pytest.mark.slow
@pytest.mark.skipif(not GOLDEN.is_dir(), reason="the recorded vectors are not here")
def test_the_recorded_training_batch() -> None:
    family = Family(GOLDEN / "forward.json", GOLDEN)
    checks = list(training_checks(family))
    assert len(checks) == 16
    assert [str(check) for check in checks if not check.passed] == []
