"""The endpoints as programs call them: gradio_client, and HTTP by hand."""

from __future__ import annotations

import json
import math
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError, ValidationError
from served_api import ServedApi, as_file, serve_api
from served_app import serve_app

SECOND = 1.0


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedApi]:
    with serve_api(tmp_path_factory.mktemp("served")) as served:
        yield served


@pytest.fixture(scope="module")
def client(api: ServedApi, tmp_path_factory: pytest.TempPathFactory) -> Client:
    return Client(api.url, verbose=False, download_files=tmp_path_factory.mktemp("got"))


@pytest.fixture
def files(face_clip: Path, short_voice: Path) -> dict[str, Any]:
    return {"clip": handle_file(face_clip), "voice": handle_file(short_voice)}


@pytest.fixture
def uploaded(api: ServedApi, face_clip: Path, short_voice: Path) -> dict[str, Any]:
    """The same, uploaded by hand."""
    _, clip = api.upload(face_clip.read_bytes(), "talk.mp4")
    _, voice = api.upload(short_voice.read_bytes(), "voice.wav")
    return {"clip": as_file(clip), "voice": as_file(voice)}


def await_true(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.02)


def test_description_names_every_parameter_and_says_what_it_means(client: Client) -> None:
    shown = client.view_api(return_format="dict", print_info=False)["named_endpoints"]
    assert set(shown) == {"/sync", "/score", "/presets"}
    names = [parameter["parameter_name"] for parameter in shown["/sync"]["parameters"]]
    assert names[:3] == ["clip", "voice", "preset"]
    assert {"steps", "guidance", "seed", "fps", "fit", "start", "end", "face"} <= set(names)
    assert {"softness", "mark"} <= set(names)
    for endpoint in shown.values():
        for part in [*endpoint["parameters"], *endpoint["returns"]]:
            assert len(part["python_type"]["description"]) > 20, part
        assert endpoint["description"].endswith((".", "record", "for."))
    assert [answer["label"] for answer in shown["/sync"]["returns"]] == ["video", "record"]


def test_open_api_lists_the_endpoints(api: ServedApi) -> None:
    _, text = api.get("gradio_api/openapi.json")
    paths = " ".join(json.loads(text)["paths"])
    assert all(name in paths for name in ("/sync", "/score", "/presets"))


def test_sync_gives_video_and_record(
    api: ServedApi, client: Client, files: dict[str, Any], face_clip: Path
) -> None:
    video, record = client.predict(
        **files, preset="draft-calm", seed=7, fps="29.97", start=0.2, face=2, api_name="/sync"
    )
    assert Path(video).name == "face-synced.mp4"
    assert Path(video).read_bytes() == face_clip.read_bytes()
    asked = api.walker.requests[-1]
    assert (asked.engine, asked.seed, str(asked.fps), asked.start) == (
        "draft",
        7,
        "30000/1001",
        0.2,
    )
    assert asked.settings["amplitude"] == 0.75
    assert asked.face.number == 2
    assert record["score"]["confidence"] == 0.5
    assert str(api.folder) not in json.dumps(record)
    assert list(api.jobs.iterdir()) == []


def test_a_click_chooses_the_face(api: ServedApi, client: Client, files: dict[str, Any]) -> None:
    client.predict(**files, face=[120, 80.5, 0.4], api_name="/sync")
    asked = api.walker.requests[-1]
    assert (asked.face.click, asked.face.click_seconds) == ((120.0, 80.5), 0.4)


def test_progress_is_told_while_the_job_runs(client: Client, files: dict[str, Any]) -> None:
    job = client.submit(**files, api_name="/sync")
    job.result(timeout=30)
    (video, told), *_ = job.outputs()
    assert video is None
    assert told == {"stage": "faces", "done": 0, "total": 2, "seconds_left": 1.5}


def test_score_gives_its_numbers(client: Client, face_clip: Path) -> None:
    score = client.predict(handle_file(face_clip), api_name="/score")
    assert (score["judge"], score["confidence"], score["verdict"]) == ("correlate", 0.5, "good")


def test_presets_are_listed_with_their_defaults(client: Client) -> None:
    listed = {preset["name"]: preset for preset in client.predict(api_name="/presets")}
    assert next(iter(listed)) == "draft"
    assert listed["draft"]["defaults"]["fit"] == "bounce"
    assert listed["draft"]["uses"] == []
    assert listed["draft"]["absent"] == []
    needed = ["latentsync-1.5", "sd-vae-ft-mse", "whisper-tiny"]
    assert listed["latentsync-1.5"]["absent"] == needed
    assert listed["draft-lively"]["title"] == "Draft, lively"


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"preset": "best"}, "no preset called 'best'"),
        ({"preset": ["draft"]}, "no preset called"),
        ({"preset": "latentsync-1.5"}, "not on this machine (LatentSync 1.5 (256 px), 5.07 GB; "),
        ({"steps": 0}, "steps is 0; give a whole number from 1 to 50"),
        ({"steps": 2.5}, "whole number from 1 to 50"),
        ({"guidance": 99}, "from 1 to 3"),
        ({"seed": -1}, "seed is -1"),
        ({"seed": True}, "seed is true"),
        ({"fps": "1e999999999"}, "frame rate"),
        ({"fit": "melt"}, "choose one of: bounce"),
        ({"start": -1}, "trim start"),
        ({"start": 3, "end": 2}, "leaves nothing"),
        ({"face": 0}, "face is number 0"),
        ({"face": [1, 2]}, "not a place in the clip"),
        ({"softness": 5}, "from 0 to 2"),
        ({"mark": "yes"}, "give true or false"),
        ({"clip": None}, "There is no clip"),
        ({"voice": None}, "There is no voice"),
        ({"clip": "/etc/passwd"}, "no file that was uploaded"),
        ({"clip": {"path": "/etc/passwd"}}, "no file that was uploaded"),
        ({"voice": 17}, "no file that was uploaded"),
    ],
)
def test_wrong_input_is_one_sentence(
    api: ServedApi, client: Client, files: dict[str, Any], changes: dict[str, Any], sentence: str
) -> None:
    before = len(api.walker.requests)
    with pytest.raises(AppError) as raised:
        client.predict(**{**files, **changes}, api_name="/sync")
    assert sentence in raised.value.message
    assert str(api.folder) not in raised.value.message
    assert len(api.walker.requests) == before
    assert list(api.jobs.iterdir()) == []


def test_text_as_a_clip_is_refused_in_words(
    client: Client, files: dict[str, Any], tmp_path: Path
) -> None:
    text = tmp_path / "notes.mp4"
    text.write_text("not a film")
    for endpoint in ("/sync", "/score"):
        values = {**files, "clip": handle_file(text)}
        with pytest.raises(AppError, match=r"clip\.mp4 holds text"):
            client.predict(**values, api_name=endpoint)


def test_an_address_is_not_fetched(client: Client, files: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="fetches nothing from other computers"):
        client.predict(
            **{**files, "clip": handle_file("https://example.com/x.mp4")}, api_name="/sync"
        )


@pytest.mark.parametrize("path", ["/etc/passwd", "../../etc/passwd", "a\0b", "x" * 10_000, ""])
def test_a_foreign_file_is_not_read(api: ServedApi, uploaded: dict[str, Any], path: str) -> None:
    values = {**uploaded, "clip": as_file(path)}
    status, text = api.post("gradio_api/call/v2/sync", values)
    assert status == 422
    assert "was not uploaded to this app" in text


def test_not_a_number_is_told_over_http(api: ServedApi, uploaded: dict[str, Any]) -> None:
    name, data = api.call("sync", **uploaded, guidance=math.nan)
    assert name == "error"
    assert "guidance is nan" in data["error"]


def test_plain_http_works_from_upload_to_download(
    api: ServedApi, uploaded: dict[str, Any], face_clip: Path
) -> None:
    name, (video, record) = api.call("sync", **uploaded)
    assert name == "complete"
    assert (record["output"], record["settings"]["preset"]) == ("talk-synced.mp4", "draft")
    with urllib.request.urlopen(video["url"], timeout=10) as answer:
        assert answer.read() == face_clip.read_bytes()
    # a folder nobody can guess, and no trace of where the jobs are
    assert len(Path(video["path"]).parent.name) == 64


@pytest.fixture
def endless(api: ServedApi) -> Iterator[ServedApi]:
    """A job that would never end by itself."""
    for event in (api.walker.started, api.walker.closed, api.walker.may_finish):
        event.clear()
    yield api
    api.walker.may_finish.set()


def test_cancel_frees_the_slot_and_leaves_nothing(
    endless: ServedApi, client: Client, files: dict[str, Any]
) -> None:
    job = client.submit(**files, api_name="/sync")
    assert endless.walker.started.wait(10)
    job.cancel()
    assert endless.walker.closed.wait(10)
    await_true(lambda: not list(endless.jobs.iterdir()))
    endless.walker.may_finish.set()
    assert client.predict(**files, api_name="/sync")[1]["frames"] == 1


def test_a_client_that_leaves_frees_the_slot(endless: ServedApi, uploaded: dict[str, Any]) -> None:
    stream = urllib.request.urlopen(endless.url + endless.start("sync", **uploaded), timeout=10)
    assert endless.walker.started.wait(10)
    stream.close()
    assert endless.walker.closed.wait(10)
    await_true(lambda: not list(endless.jobs.iterdir()))
    endless.walker.may_finish.set()
    assert endless.call("presets")[0] == "complete"
    assert endless.call("sync", **uploaded)[0] == "complete"


@pytest.mark.slow
def test_a_real_job_and_its_real_score(tmp_path: Path, face_clip: Path, short_voice: Path) -> None:
    with serve_app(tmp_path) as app:
        client = Client(app.url, verbose=False, download_files=tmp_path / "got")
        video, record = client.predict(
            handle_file(face_clip), handle_file(short_voice), api_name="/sync"
        )
        assert Path(video).stat().st_size > 0
        assert record["settings"]["engine"] == "draft"
        # a still portrait: there is no movement to judge, and that is told
        with pytest.raises(AppError, match=r"[a-z].*\."):
            client.predict(handle_file(face_clip), api_name="/score")
        assert app.job_folders() == []
