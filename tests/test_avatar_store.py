"""The avatar store: names, whole or not there, damage told and mended, nothing left behind."""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from kept_avatars import copy_home, files_of, make_avatar, parts_of, spoil
from PIL import Image

from lipsync import LipSyncPipeline
from lipsync.avatar.store import Avatar, AvatarStore, check_name
from lipsync.errors import InputError, OutputError
from lipsync.landmarks import LandmarkStore
from lipsync.media.probe import probe_clip
from lipsync.places import data_folder
from lipsync.steps import exhaust


@pytest.fixture(scope="module")
def home(
    pipeline: LipSyncPipeline, face_clip: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A home with the avatar "Ada" in it; tests copy it."""
    place = tmp_path_factory.mktemp("avatars") / "home"
    make_avatar(pipeline, place, face_clip)
    return place


@pytest.mark.parametrize("name", ["Ada", "  Ada ", "Ada Lovelace-2_b", "阿达", "A" * 60, "con"])
def test_a_name_of_letters_and_digits_will_do(name: str) -> None:
    assert check_name(name) == name.strip()


@pytest.mark.parametrize(
    "name", ["", " ", "../up", "a/b", "a\\b", ".ada", "ada.", "-a", "a\x00b", "a\nb", "A" * 61, "*"]
)
def test_other_names_are_refused_in_one_sentence(name: str, tmp_path: Path) -> None:
    for act in (check_name, AvatarStore(tmp_path).get, AvatarStore(tmp_path).remove):
        with pytest.raises(InputError, match="cannot be an avatar's name"):
            act(name)
    assert files_of(tmp_path) == []


def test_the_home_comes_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIPSYNC_HOME", str(tmp_path))
    assert AvatarStore().folder == tmp_path / "avatars"
    monkeypatch.delenv("LIPSYNC_HOME")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "share"))
    assert data_folder() == tmp_path / "share/lipsync-studio"


def test_an_avatar_is_known_by_its_content(home: Path, face_clip: Path, tmp_path: Path) -> None:
    store = copy_home(home, tmp_path / "home")
    (avatar,) = store.list()
    assert store.get("ADA") == avatar
    assert avatar.name == "Ada"
    assert avatar.key == hashlib.sha256(face_clip.read_bytes()).hexdigest()
    assert avatar.video.read_bytes() == face_clip.read_bytes()
    assert avatar.clip == probe_clip(avatar.video)
    assert avatar.engines == ("draft",)
    assert abs(avatar.created - time.time()) < 600
    with Image.open(avatar.thumbnail) as picture:
        assert picture.size == (256, 256)
        assert np.asarray(picture).std() > 20
    assert avatar.bytes > face_clip.stat().st_size

    renamed, other = tmp_path / "renamed.mov", tmp_path / "other.mp4"
    shutil.copy(face_clip, renamed)
    shutil.copy(face_clip, other)
    spoil(other)
    assert exhaust(store.find(renamed)) == avatar.key
    assert exhaust(store.find(other)) is None
    assert exhaust(store.find(tmp_path / "away.mp4")) is None


def test_only_a_clip_of_the_same_size_is_read(home: Path, tmp_path: Path) -> None:
    longer = tmp_path / "longer.mp4"
    longer.write_bytes(bytes(9 << 20))
    assert list(AvatarStore(home).find(longer)) == []


def test_a_name_belongs_to_one_clip(
    pipeline: LipSyncPipeline, home: Path, face_clip: Path, gap_clip: Path, tmp_path: Path
) -> None:
    store = copy_home(home, tmp_path / "home")
    before = files_of(store.home)
    with pytest.raises(InputError, match="called Ada already, made from another clip"):
        make_avatar(pipeline, store.home, gap_clip, "ADA")
    assert files_of(store.home) == before
    again = make_avatar(pipeline, store.home, face_clip, "ada")
    assert again == store.get("Ada")
    assert files_of(store.home) == before


def test_two_names_share_what_was_prepared(
    pipeline: LipSyncPipeline, home: Path, face_clip: Path, tmp_path: Path
) -> None:
    store = copy_home(home, tmp_path / "home")
    second = make_avatar(pipeline, store.home, face_clip, "Beth")
    assert second.video == store.get("Ada").video
    assert [avatar.name for avatar in store.list()] == ["Beth", "Ada"]
    assert store.remove("ada") == 0
    assert store.list() == (second,)
    assert store.remove("Beth") >= second.bytes
    assert files_of(store.home) == []
    with pytest.raises(InputError, match="create one from a clip first"):
        store.remove("Beth")


@pytest.mark.parametrize("file", ["codes.npy", "manifest.json", "thumbnail.png", "video.mp4"])
def test_a_short_file_is_told_and_created_anew(
    file: str, pipeline: LipSyncPipeline, home: Path, face_clip: Path, tmp_path: Path
) -> None:
    store = copy_home(home, tmp_path / "home")
    avatar = store.get("Ada")
    place = next(part / file for part in parts_of(avatar) if (part / file).exists())
    whole = place.read_bytes()
    place.write_bytes(whole[:-9])
    assert store.list() == ()
    (sentence,) = store.troubles()
    assert "The avatar Ada is damaged" in sentence
    assert file in sentence
    assert make_avatar(pipeline, store.home, face_clip) == avatar
    assert store.troubles() == ()
    assert place.read_bytes() == whole


def test_a_damaged_copy_of_the_clip_is_not_spoken_with(
    pipeline: LipSyncPipeline, home: Path, face_clip: Path, tmp_path: Path
) -> None:
    store = copy_home(home, tmp_path / "home")
    avatar = store.get("Ada")
    avatar.video.write_bytes(b"short")
    with pytest.raises(InputError, match=r"Ada is damaged .* create it again from its clip"):
        store.get("Ada")
    avatar.video.write_bytes(face_clip.read_bytes())
    spoil(avatar.video)
    assert store.list() != ()  # sizes tell nothing
    assert make_avatar(pipeline, store.home, face_clip) == avatar
    assert avatar.video.read_bytes() == face_clip.read_bytes()


def test_a_lost_name_is_told(home: Path, tmp_path: Path) -> None:
    store = copy_home(home, tmp_path / "home")
    (page,) = (store.folder / "names").iterdir()
    page.write_text("{}")
    assert store.list() == ()
    (sentence,) = store.troubles()
    assert "an avatar has lost its name" in sentence


def test_what_killed_processes_left_is_swept(
    pipeline: LipSyncPipeline, home: Path, face_clip: Path, tmp_path: Path
) -> None:
    store = copy_home(home, tmp_path / "home")
    before = files_of(store.home)
    dead, busy = "d" * 64, "b" * 64
    for key in (dead, busy):
        for left in (store.part(key, "clip"), store.folder / "building" / f"{key}-1234"):
            left.mkdir(parents=True)
            (left / "video.mp4").write_bytes(b"half")
    assert [avatar.name for avatar in store.list()] == ["Ada"]
    with store.lock(busy):
        make_avatar(pipeline, store.home, face_clip)
        left = set(files_of(store.home)) - set(before)
        assert {path.split("/")[2][0] for path in left} == {"b"}
    make_avatar(pipeline, store.home, face_clip)
    assert files_of(store.home) == before


def walk(steps: Generator[object, None, Avatar], stage: str, count: int) -> None:
    seen = 0
    for step in steps:
        seen += getattr(step, "stage", "") == stage
        if seen == count:
            return
    raise AssertionError(f"the avatar was made before {stage} {count}")


@pytest.mark.parametrize(
    ("stage", "count"), [("probe", 1), ("check", 1), ("copy", 1), ("faces", 4), ("align", 2)]
)
def test_closing_leaves_nothing(
    stage: str, count: int, pipeline: LipSyncPipeline, face_clip: Path, tmp_path: Path
) -> None:
    store = AvatarStore(tmp_path / "home")
    making = pipeline.create_avatar("Ada", face_clip, store=store)
    walk(making, stage, count)
    began = time.monotonic()
    making.close()
    assert time.monotonic() - began < 1
    assert files_of(tmp_path) == []
    assert store.list() == ()


def test_closing_does_not_harm_what_is_there(
    pipeline: LipSyncPipeline, home: Path, face_clip: Path, tmp_path: Path
) -> None:
    store = copy_home(home, tmp_path / "home")
    making = pipeline.create_avatar("Beth", face_clip, store=store)
    walk(making, "check", 2)
    making.close()
    assert [avatar.name for avatar in store.list()] == ["Ada"]


def test_what_cannot_become_an_avatar_leaves_nothing(
    pipeline: LipSyncPipeline, tmp_path: Path
) -> None:
    empty = tmp_path / "grey.png"
    Image.new("RGB", (64, 64), (90, 90, 90)).save(empty)
    with pytest.raises(InputError, match="No face was found in the clip"):
        make_avatar(pipeline, tmp_path / "home", empty)
    assert files_of(tmp_path / "home") == []


def test_a_home_that_cannot_be_written_is_told(
    pipeline: LipSyncPipeline, face_clip: Path, tmp_path: Path
) -> None:
    (tmp_path / "home").write_text("a file")
    with pytest.raises(OutputError, match="The avatar cannot be kept in"):
        make_avatar(pipeline, tmp_path / "home", face_clip)


def test_somebody_at_work_is_waited_for_and_not_robbed(
    pipeline: LipSyncPipeline, home: Path, face_clip: Path, tmp_path: Path
) -> None:
    store = copy_home(home, tmp_path / "home")
    with store.lock(store.get("Ada").key):
        with pytest.raises(InputError, match="being prepared by another process"):
            store.remove("Ada")
        making = pipeline.create_avatar("Beth", face_clip, store=store)
        walk(making, "wait", 2)
    assert exhaust(making).name == "Beth"


def test_two_threads_create_the_same_avatar_at_once(
    face_clip: Path, pipeline: LipSyncPipeline, tmp_path: Path
) -> None:
    with ThreadPoolExecutor(2) as pool:
        jobs = [
            pool.submit(make_avatar, pipeline, tmp_path, face_clip, name) for name in ("Ada", "ADA")
        ]
        one, other = (job.result() for job in jobs)
    assert one == other
    assert AvatarStore(tmp_path).list() == (one,)
    assert list((tmp_path / "avatars/building").iterdir()) == []


def test_landmarks_come_back_to_the_bit() -> None:
    store = LandmarkStore(0, 4)
    points = np.random.default_rng(1).normal(100, 40, (7, 4, 3)).astype(np.float32)
    for row in points:
        store.append(row)
    arrays = store.arrays()
    assert all(len(array) == 7 for array in arrays.values())
    again = LandmarkStore.of_arrays(arrays)
    assert np.array_equal(again[:], store[:])
    chosen = again.select(np.array([6, -1, 2]))
    assert np.array_equal(chosen[0], store[6])
    assert np.isnan(chosen[1]).all()
    assert chosen.places.tolist() == [6, -1, 2]
