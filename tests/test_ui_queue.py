"""Ten clients at once: everybody's job is done, in order, and goes to its owner."""

from __future__ import annotations

import time
from pathlib import Path

import av
import pytest
from conftest import Ffmpeg
from gradio_client import Client, handle_file
from served_app import serve_app

from lipsync.example import example_voice

NUM_CLIENTS = 10


@pytest.mark.slow
def test_ten_queued_jobs_finish_in_order_each_for_its_owner(
    tmp_path: Path, face_clip: Path, ffmpeg: Ffmpeg
) -> None:
    # each asks for another length, so that a swapped result would show
    lengths = [0.6 + 0.2 * number for number in range(NUM_CLIENTS)]
    voices = [
        ffmpeg("-i", example_voice(), "-t", f"{length:.1f}", tmp_path / f"voice{number}.wav")
        for number, length in enumerate(lengths)
    ]
    finished: list[int] = []
    with serve_app(tmp_path) as app:
        clients = [
            Client(app.url, verbose=False, download_files=tmp_path / f"got{number}")
            for number in range(NUM_CLIENTS)
        ]
        jobs = []
        for number, client in enumerate(clients):
            job = client.submit(
                clip=handle_file(face_clip), voice=handle_file(voices[number]), api_name="/sync"
            )
            job.add_done_callback(lambda _, number=number: finished.append(number))
            jobs.append(job)
            while job.status().rank is None and not job.outputs():  # it has its place in the line
                time.sleep(0.02)
        frames = []
        for job in jobs:
            film, _ = job.result(timeout=240)
            with av.open(film["path"] if isinstance(film, dict) else film) as video:
                frames.append(sum(1 for _ in video.decode(video=0)))
        assert frames == [round(length * 25) for length in lengths]
        assert finished == list(range(NUM_CLIENTS))
        assert len(app.films()) == NUM_CLIENTS
        assert app.job_folders() == []
