"""Ten visitors at once: everybody's job is done, one after the other, and goes to its owner."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import av
import pytest
from conftest import Ffmpeg
from gradio_client import Client, handle_file
from served_app import serve_app

from lipsync.example import example_voice

NUM_VISITORS = 10
DOWNLOAD = 3  # place of the finished file among the outputs


@pytest.mark.slow
def test_ten_visitors_each_get_their_own_result(
    tmp_path: Path, face_clip: Path, ffmpeg: Ffmpeg
) -> None:
    # each asks for another length, so that a swapped result would show
    lengths = [0.6 + 0.2 * number for number in range(NUM_VISITORS)]
    voices = [
        ffmpeg("-i", example_voice(), "-t", f"{length:.1f}", tmp_path / f"voice{number}.wav")
        for number, length in enumerate(lengths)
    ]
    with serve_app(tmp_path) as app:

        def ask(number: int) -> int:
            client = Client(app.url, verbose=False, download_files=tmp_path / f"got{number}")
            outputs = client.predict(
                handle_file(face_clip),
                handle_file(voices[number]),
                *("draft", 20, 1.5, number, "bounce"),
                api_name="/generate",
            )
            with av.open(outputs[DOWNLOAD]["value"]) as film:
                return sum(1 for _ in film.decode(video=0))

        with ThreadPoolExecutor(NUM_VISITORS) as visitors:
            frames = list(visitors.map(ask, range(NUM_VISITORS)))
        assert frames == [round(length * 25) for length in lengths]
        assert len(app.results()) == NUM_VISITORS
        assert app.job_folders() == []


@pytest.mark.slow
def test_error_reaches_a_client_in_words(tmp_path: Path, face_clip: Path) -> None:
    text = tmp_path / "notes.wav"
    text.write_text("not a sound")
    with serve_app(tmp_path) as app:
        client = Client(app.url, verbose=False)
        with pytest.raises(Exception, match="holds text"):
            client.predict(
                handle_file(face_clip),
                handle_file(text),
                *("draft", 20, 1.5, 0, "bounce"),
                api_name="/generate",
            )
