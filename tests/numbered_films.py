"""Videos whose every frame shows its own number, and a reader for what a browser shows of them."""

from __future__ import annotations

from pathlib import Path

from conftest import Ffmpeg

BITS = 9  # columns, the lowest bit first: white = 1
# both videos within one task, so that no frame can pass between them
READ_FRAMES = """() => [".player-after", ".player-before"].map((name) => {
    const video = document.querySelector(name);
    if (video.readyState < 2) return null;
    const canvas = document.createElement("canvas");
    const context = canvas.getContext("2d", { willReadFrequently: true });
    const [column, height] = [video.videoWidth / 9, video.videoHeight];
    canvas.width = video.videoWidth;
    canvas.height = 1;
    context.drawImage(video, 0, height / 2, video.videoWidth, 1, 0, 0, canvas.width, 1);
    const { data } = context.getImageData(0, 0, canvas.width, 1);
    let number = 0;
    for (let bit = 0; bit < 9; bit += 1) {
        const middle = Math.floor((bit + 0.5) * column);
        number += (data[4 * middle] > 127) << bit;
    }
    return number;
})"""


def make_film(
    ffmpeg: Ffmpeg,
    path: Path,
    *,
    fps: str = "25",
    frames: int = 125,
    size: tuple[int, int] = (360, 202),
    sound: bool = False,
) -> Path:
    """Write an H.264 MP4 whose frame n shows n in `BITS` black and white columns."""
    width, height = size
    columns = f"geq=lum='255*mod(floor(N/pow(2,floor(X*{BITS}/W))),2)':cb=128:cr=128"
    source = f"color=black:s={width}x{height}:r={fps}:d={frames / eval_rate(fps) + 1}"
    tone = ("-f", "lavfi", "-i", "sine=f=300:r=48000") if sound else ()
    return ffmpeg(
        *("-f", "lavfi", "-i", source, *tone, "-vf", f"{columns},format=yuv420p"),
        *("-frames:v", frames, "-c:v", "libx264", "-preset", "veryfast", "-crf", 18),
        *(("-c:a", "aac", "-t", frames / eval_rate(fps)) if sound else ()),
        *("-movflags", "+faststart", path),
    )


def eval_rate(fps: str) -> float:
    """Return ``"30000/1001"`` as frames per second."""
    above, _, below = fps.partition("/")
    return int(above) / int(below or 1)
