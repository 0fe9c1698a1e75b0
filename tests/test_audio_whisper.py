"""Whisper's own encoder class at a tiny size: states, loading, reading, frames."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

from lipsync.audio.feature_cache import FeatureCache
from lipsync.audio.mel import whisper_mel
from lipsync.audio.whisper import (
    FrameFeatures,
    WhisperEncoder,
    count_compat_frames,
    encode_voice,
    frame_rows,
    hear_frames,
    load_encoder,
    reading_places,
)
from lipsync.errors import InputError
from lipsync.types import Audio

DIMS = {
    "n_mels": 80,
    "n_audio_ctx": 1500,
    "n_audio_state": 8,
    "n_audio_head": 1,
    "n_audio_layer": 2,
    "n_vocab": 51865,
    "n_text_ctx": 448,
    "n_text_state": 8,
    "n_text_head": 1,
    "n_text_layer": 1,
}


def build(seed: int = 0) -> Any:
    from whisper.model import AudioEncoder

    torch.manual_seed(seed)
    return AudioEncoder(80, 1500, 8, 1, 2)


def save(path: Path, dims: dict[str, int] = DIMS, seed: int = 0, **more: torch.Tensor) -> Path:
    """Write a checkpoint in OpenAI's container, as the published ones in half precision."""
    state = {f"encoder.{name}": value.half() for name, value in build(seed).state_dict().items()}
    torch.save({"dims": dims, "model_state_dict": state | more}, path)
    return path


@pytest.fixture(scope="module")
def encoder() -> WhisperEncoder:
    return WhisperEncoder(build())


def voice(seconds: float, seed: int = 0) -> Audio:
    rng = np.random.default_rng(seed)
    return Audio(rng.normal(0, 0.1, round(seconds * 16_000)).astype(np.float32), 16_000)


def count_readings(encoder: WhisperEncoder, audio: Audio, cache: FeatureCache) -> int:
    """Return how often the encoder is asked for 30 s while `audio` is encoded."""
    calls: list[str] = []
    encode_voice(encoder, audio, cache=cache, checkpoint=lambda: calls.append("asked"))
    return max(len(calls) - 1, 0)  # the first one stands before the mel


def test_states_are_the_blocks_input_and_outputs(encoder: WhisperEncoder) -> None:
    mel = whisper_mel(voice(1.0).samples)
    network = build()
    padded = functional.pad(torch.from_numpy(mel), (0, 3000 - mel.shape[1]))[None]
    with torch.inference_mode():
        x = functional.gelu(network.conv2(functional.gelu(network.conv1(padded))))
        states = [x.permute(0, 2, 1) + network.positional_embedding]
        for block in network.blocks:
            states.append(block(states[-1]))
    found = encoder.read(mel)
    assert found.shape == (1500, encoder.num_states, encoder.width) == (1500, 3, 8)
    assert torch.allclose(found, torch.cat(states).permute(1, 0, 2), atol=1e-6)


def test_reading_leaves_no_hooks_behind(encoder: WhisperEncoder) -> None:
    mel = whisper_mel(voice(0.5).samples)
    first, second = encoder.read(mel), encoder.read(mel)
    assert torch.equal(first, second)
    assert first.shape == second.shape


def test_two_jobs_may_read_at_the_same_time(encoder: WhisperEncoder) -> None:
    mels = [whisper_mel(voice(1.0, seed).samples) for seed in range(4)]
    alone = [encoder.read(mel) for mel in mels]
    with ThreadPoolExecutor(4) as jobs:
        together = list(jobs.map(encoder.read, mels * 5))
    assert all(torch.equal(a, b) for a, b in zip(alone * 5, together, strict=True))


def test_a_checkpoint_gives_its_encoder_only(tmp_path: Path) -> None:
    text = {"decoder.token_embedding.weight": torch.zeros(51865, 8)}
    loaded = load_encoder(save(tmp_path / "tiny.pt", **text))
    bare = load_encoder(save(tmp_path / "bare.pt"))
    assert loaded.fingerprint == bare.fingerprint  # no text decoder, no difference
    mel = whisper_mel(voice(0.5).samples)
    wanted = WhisperEncoder(build().half().float()).read(mel)
    assert torch.equal(loaded.read(mel), wanted)


def test_half_precision_is_kept(tmp_path: Path) -> None:
    half = load_encoder(save(tmp_path / "tiny.pt"), dtype=torch.float16)
    full = load_encoder(tmp_path / "tiny.pt")
    found, wanted = (encode_voice(one, voice(0.5)) for one in (half, full))
    assert found.dtype == torch.float16
    assert torch.allclose(found.float(), wanted, atol=0.05)
    assert half.fingerprint != full.fingerprint
    brain = load_encoder(tmp_path / "tiny.pt", dtype=torch.bfloat16)
    assert encode_voice(brain, voice(0.5)).dtype == torch.float32  # NumPy has no bfloat16


def test_what_is_no_whisper_is_refused_by_name(tmp_path: Path) -> None:
    def complaint(path: Path) -> str:
        with pytest.raises(InputError) as caught:
            load_encoder(path)
        return str(caught.value)

    assert "There is no checkpoint at" in complaint(tmp_path / "away.pt")
    (tmp_path / "text.pt").write_text("not a network")
    assert "text.pt is damaged" in complaint(tmp_path / "text.pt")
    whole = save(tmp_path / "whole.pt").read_bytes()
    (tmp_path / "cut.pt").write_bytes(whole[: len(whole) // 2])
    assert "cut.pt is damaged" in complaint(tmp_path / "cut.pt")
    torch.save({"state_dict": {}}, tmp_path / "unet.pt")
    assert "unet.pt holds no Whisper" in complaint(tmp_path / "unet.pt")
    torch.save({"dims": DIMS, "model_state_dict": Path("code")}, tmp_path / "code.pt")
    assert "code.pt is not a checkpoint that can be read" in complaint(tmp_path / "code.pt")
    large = save(tmp_path / "large-v3.pt", {**DIMS, "n_mels": 128})
    assert "large-v3.pt is a Whisper that hears 128 mel bands where 80" in complaint(large)
    other = save(tmp_path / "other.pt", {**DIMS, "n_audio_layer": 3})
    assert "other.pt does not hold the Whisper encoder that it states" in complaint(other)


def test_compat_reads_thirty_seconds_apart(encoder: WhisperEncoder) -> None:
    audio = voice(66.63)
    features = encode_voice(encoder, audio, "compat")
    assert len(features) == 1500 + 1500 + 331
    mel = whisper_mel(audio.samples)
    assert torch.equal(features[1500:3000], encoder.read(mel[:, 3000:6000]))
    assert torch.equal(features[3000:], encoder.read(mel[:, 6000:])[:331])


def test_a_short_voice_is_read_the_same_way(encoder: WhisperEncoder) -> None:
    for seconds in (0.2, 3.337, 30.0):
        plain = encode_voice(encoder, voice(seconds), "compat")
        assert torch.equal(encode_voice(encoder, voice(seconds)), plain)
        assert len(plain) == int(seconds * 100) // 2


def test_nothing_jumps_every_thirty_seconds(encoder: WhisperEncoder) -> None:
    """With a steady hum only the readings' borders can make the features jump."""
    samples = 0.1 * np.sin(2 * np.pi * 200 * np.arange(75 * 16_000) / 16_000)
    audio = Audio(samples.astype(np.float32), 16_000)

    def steps(reading: Any) -> np.ndarray:
        features = encode_voice(encoder, audio, reading)[50:-50].flatten(1)
        return features.diff(dim=0).norm(dim=1).numpy()

    apart, overlapping = steps("compat"), steps("overlap")
    assert len(apart) == len(overlapping)
    assert apart.max() > 2 * np.percentile(apart, 99)  # what is to be avoided
    assert overlapping.max() <= 1.2 * np.percentile(overlapping, 99)


def test_overlapping_rows_are_those_of_a_reading_around_them(encoder: WhisperEncoder) -> None:
    audio = voice(61.0)
    mel, features = whisper_mel(audio.samples), encode_voice(encoder, audio)
    assert len(features) == 3050
    first, second, last = reading_places(mel.shape[1])
    assert torch.equal(features[:1000], encoder.read(mel[:, :3000])[:1000])
    middle = encoder.read(mel[:, second : second + 3000])
    assert torch.equal(features[1300:1700], middle[1300 - second // 2 : 1700 - second // 2])
    end = encoder.read(mel[:, last:])
    assert torch.equal(features[-1000:], end[3050 - 1000 - last // 2 : 3050 - last // 2])
    assert first == 0


@pytest.mark.parametrize("columns", [20, 3000, 3001, 3002, 5400, 5401, 6663, 60_000])
def test_readings_cover_everything_with_room_to_pass_over(columns: int) -> None:
    places = reading_places(columns)
    assert places[0] == 0
    assert all(place % 2 == 0 for place in places)
    assert places[-1] + 3000 >= columns
    assert places[-1] + 3000 <= max(columns + 1, 3000)
    assert all(step <= 2402 for step in np.diff(places))


@pytest.mark.parametrize("fps", [25, 30, Fraction(30000, 1001), Fraction(24000, 1001), 60])
def test_exactly_the_frames_asked_for(fps: Fraction) -> None:
    rows = frame_rows(100, fps, 150)
    assert rows.shape == (100, 10)
    for frame in (0, 1, 37, 99):
        own = int(frame * 50 / fps)
        assert rows[frame].tolist() == [min(max(own + k, 0), 149) for k in range(-4, 6)]
    assert (np.diff(rows, axis=0) >= 0).all()


def test_the_published_program_makes_too_many() -> None:
    assert count_compat_frames(480, 25) == 242  # 9.6 s: 240 frames are right
    for rows in (1, 2, 11, 99, 1500):
        for fps in (25, 24, 30, 23.976):
            frames = [int(i * 50 / fps) for i in range(4000)]
            wanted = next(i for i, centre in enumerate(frames) if centre > rows) + 1
            assert count_compat_frames(rows, fps) == wanted


def test_frames_hear_all_states_of_ten_rows() -> None:
    features = torch.arange(60 * 3 * 2, dtype=torch.float32).reshape(60, 3, 2)
    heard = hear_frames(features, 30, 25)
    assert len(heard) == 30
    assert heard.shape == (30, 30, 2)
    stacked = heard.stack()
    assert stacked.shape == heard.shape
    # frame 10 stands on row 20, so it begins with the three states of row 16
    assert torch.equal(stacked[10], features[16:26].reshape(30, 2))
    part = heard[5:12]
    assert isinstance(part, FrameFeatures)
    assert torch.equal(part.stack(), stacked[5:12])


def test_the_same_voice_is_encoded_once(encoder: WhisperEncoder, tmp_path: Path) -> None:
    cache = FeatureCache(tmp_path / "features")
    audio = voice(1.0)
    assert count_readings(encoder, audio, cache) == 1
    assert count_readings(encoder, Audio(audio.samples.copy(), 16_000), cache) == 0
    kept = encode_voice(encoder, audio, cache=cache)
    assert torch.equal(kept, encode_voice(encoder, audio))


def test_what_is_not_the_same_is_encoded_anew(encoder: WhisperEncoder, tmp_path: Path) -> None:
    cache = FeatureCache(tmp_path)
    audio = voice(1.0)
    encode_voice(encoder, audio, cache=cache)
    other = audio.samples.copy()
    other[5000] += 1e-4
    assert count_readings(encoder, Audio(other, 16_000), cache) == 1
    assert count_readings(WhisperEncoder(build(seed=1)), audio, cache) == 1
    compat = encode_voice(encoder, voice(35.0), "compat", cache=cache)
    assert not torch.equal(encode_voice(encoder, voice(35.0), cache=cache), compat)


def test_a_damaged_entry_is_made_again(
    encoder: WhisperEncoder, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cache = FeatureCache(tmp_path)
    wanted = encode_voice(encoder, voice(1.0), cache=cache).clone()
    (entry,) = tmp_path.iterdir()
    data = bytearray(entry.read_bytes())
    data[len(data) // 2] ^= 1
    entry.write_bytes(data)
    assert torch.equal(encode_voice(encoder, voice(1.0), cache=cache), wanted)
    assert "damaged" in caplog.text
    assert count_readings(encoder, voice(1.0), cache) == 0


def test_another_rate_is_a_bug(encoder: WhisperEncoder) -> None:
    with pytest.raises(ValueError, match="16000 Hz, not 48000"):
        encode_voice(encoder, Audio(np.zeros(48_000, np.float32), 48_000))


def test_a_cancelled_job_stops_between_readings(encoder: WhisperEncoder) -> None:
    class StopError(Exception):
        pass

    asked: list[int] = []

    def checkpoint() -> None:
        asked.append(1)
        if len(asked) == 3:
            raise StopError

    with pytest.raises(StopError):
        encode_voice(encoder, voice(100.0), checkpoint=checkpoint)
    assert len(asked) == 3


@pytest.mark.slow
def test_nobody_waits_for_whisper_who_does_not_use_it() -> None:
    words = (
        "import sys, app, lipsync, lipsync.pipeline, lipsync.ui.layout, lipsync.audio.whisper\n"
        "print([n for n in ('whisper', 'numba', 'tiktoken') if n in sys.modules])"
    )
    root = Path(__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-c", words], cwd=root, capture_output=True, text=True, check=False
    )
    assert done.stdout.strip() == "[]", done.stderr
