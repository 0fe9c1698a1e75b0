"""CPU time and memory of a whole draft job, in a process of its own.

`python -m lipsync.bench.cost CLIP` prints one JSON object. A fresh process is the only honest way
to a peak of memory; the plain decode + encode that CPU time is held against runs in it too.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path

import av

from lipsync.pipeline import LipSyncPipeline
from lipsync.types import Request, Result

_MAXRSS_PER_MB = 1 << 20 if sys.platform == "darwin" else 1 << 10


@dataclass(frozen=True)
class Cost:
    """What one job of a clip's own length takes."""

    cpu_ratio: float  # CPU time over that of a plain decode + encode, both x264 veryfast
    cpu_ratio_scored: float  # the same, with the score
    cpu_ms: float  # per frame, without the score
    plain_cpu_ms: float  # per frame
    fps: float  # frames per second of wall time, without the score
    fps_scored: float  # the same, with the score
    peak_mb: float
    growth_mb_per_s: float  # of peak memory, per second of video, from two lengths to four


def measure_cost(clip: Path) -> Cost:
    """Run a job in a new process and return what it took."""
    command = [sys.executable, "-m", "lipsync.bench.cost", str(clip.absolute())]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"measuring {clip.name} failed:\n{done.stderr}")
    return Cost(**json.loads(done.stdout.splitlines()[-1]))


def _timed(work: Callable[[], object]) -> tuple[float, float]:
    """Return CPU and wall seconds of `work`."""
    cpu, wall = time.process_time(), time.monotonic()
    work()
    return time.process_time() - cpu, time.monotonic() - wall


def peak_mb() -> float:
    """Return the peak of resident memory; getrusage alone would count the parent's from before."""
    status = Path("/proc/self/status")
    if status.exists():
        lines = status.read_text().splitlines()
        return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / _MAXRSS_PER_MB


def _recode_plainly(clip: Path, output: Path) -> None:
    with av.open(str(clip)) as source, av.open(str(output), "w") as sink:
        pictures = source.streams.video[0]
        pictures.thread_type = "AUTO"
        options = {"crf": "18", "preset": "veryfast"}
        rate = pictures.average_rate or Fraction(25)
        stream = sink.add_stream("libx264", rate=rate, options=options)
        stream.width, stream.height = pictures.width & ~1, pictures.height & ~1
        stream.pix_fmt = "yuv420p"
        for number, frame in enumerate(source.decode(pictures)):
            frame.pts, frame.time_base = number, 1 / rate
            for packet in stream.encode(frame):
                sink.mux(packet)
        for packet in stream.encode(None):
            sink.mux(packet)


def _repeat_sound(clip: Path, output: Path, times: int) -> float:
    """Write the clip's sound `times` over as WAV and return its length in seconds."""
    with av.open(str(output), "w") as sink:
        samples = 0
        stream = sink.add_stream("pcm_s16le", rate=16_000, layout="mono")
        resampler = av.AudioResampler(format="s16", layout="mono", rate=16_000)
        for _ in range(times):
            with av.open(str(clip)) as source:
                for frame in source.decode(audio=0):
                    for part in resampler.resample(frame):
                        part.pts = samples
                        samples += part.samples
                        for packet in stream.encode(part):
                            sink.mux(packet)
        for packet in stream.encode(None):
            sink.mux(packet)
    return samples / 16_000


def _measure(clip: Path) -> Cost:
    pipeline = LipSyncPipeline()
    with tempfile.TemporaryDirectory(prefix="lipsync-bench-") as name:
        folder = Path(name)

        def job(times: int, score: bool = True) -> Result:
            voice = folder / f"{times}.wav"
            request = Request(clip, voice, folder / "out.mp4", score=score)
            for progress in pipeline.sync(request):  # never all at once: each carries a preview
                result = progress.result
            assert result is not None
            return result

        seconds = {
            times: _repeat_sound(clip, folder / f"{times}.wav", times) for times in (1, 2, 4)
        }
        frames = job(1).num_frames  # loads what stays resident
        peak = peak_mb()
        plain_cpu, _ = _timed(lambda: _recode_plainly(clip, folder / "plain.mp4"))
        cpu, wall = _timed(lambda: job(1, score=False))
        scored_cpu, scored_wall = _timed(lambda: job(1))
        job(2)  # the way back through the clip needs a buffer, whatever its length
        peak_of_two = peak_mb()
        job(4)
        growth = (peak_mb() - peak_of_two) / (seconds[4] - seconds[2])
    with av.open(str(clip)) as source:
        plain_frames = source.streams.video[0].frames or frames
    per_frame, plain = cpu / frames, plain_cpu / plain_frames
    return Cost(
        cpu_ratio=per_frame / plain,
        cpu_ratio_scored=scored_cpu / frames / plain,
        cpu_ms=1000 * per_frame,
        plain_cpu_ms=1000 * plain,
        fps=frames / wall,
        fps_scored=frames / scored_wall,
        peak_mb=peak,
        growth_mb_per_s=growth,
    )


if __name__ == "__main__":
    print(json.dumps(asdict(_measure(Path(sys.argv[1])))))
