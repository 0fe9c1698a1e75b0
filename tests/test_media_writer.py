"""The result: exact pictures, the user's own voice, both ending together, all or nothing."""

from __future__ import annotations

import resource
import signal
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from conftest import Ffmpeg
from test_media_colour import noise_frame
from test_media_sound import BURST, burst_seconds

from lipsync.errors import InputError, OutputError
from lipsync.media.frames import read_frames
from lipsync.media.output import check_output, partial_file
from lipsync.media.probe import probe_clip, probe_voice
from lipsync.media.sound import read_audio
from lipsync.media.voice_track import may_copy
from lipsync.media.writer import VideoWriter
from lipsync.types import Colour, Frame, Size, Voice

SIZE = Size(64, 96)
RATE = Fraction(25)
PLAIN = Colour("bt601")


def write(
    path: Path, num_frames: int, voice: Voice | None = None, fps: Fraction = RATE, **settings: str
) -> list[Frame]:
    """Write noise and return the frames written."""
    rng = np.random.default_rng(0)
    base = noise_frame()
    frames = []
    with VideoWriter(path, fps, SIZE, PLAIN, voice, **settings) as writer:  # type: ignore[arg-type]
        for number in range(num_frames):
            y = np.roll(base.y, int(rng.integers(96)), axis=1)
            frames.append(Frame(number, y, base.u, base.v, PLAIN))
            writer.write(frames[-1])
    return frames


def video_packets(path: Path) -> list[bytes]:
    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux(video=0) if packet.size]


def sound_packets(path: Path) -> list[bytes]:
    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux(audio=0) if packet.size]


def last_seconds(path: Path) -> tuple[float, float]:
    """Return where picture and sound end by the file's own tracks."""
    with av.open(str(path)) as container:
        ends = []
        for stream in (container.streams.video[0], container.streams.audio[0]):
            assert stream.duration is not None
            assert stream.time_base is not None
            ends.append(float(((stream.start_time or 0) + stream.duration) * stream.time_base))
    return ends[0], ends[1]


@pytest.mark.parametrize("fps", ["25", "24000/1001", "30000/1001", "60"])
def test_lossless_reads_back_bit_for_bit(fps: str, tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    frames = write(path, 12, fps=Fraction(fps), quality="lossless")
    clip = probe_clip(path)
    assert (clip.fps, clip.num_frames, clip.size) == (Fraction(fps), 12, SIZE)
    for ours, back in zip(frames, read_frames(clip), strict=True):
        np.testing.assert_array_equal(back.y, ours.y)
        np.testing.assert_array_equal(back.u, ours.u)
        np.testing.assert_array_equal(back.v, ours.v)


@pytest.mark.parametrize(
    "colour",
    [
        Colour("bt709", False, 1, 1, 1),
        Colour("bt601", True, 6, 6, 6),
        Colour("bt2020", False, 9, 18, 9),
        Colour("bt601", False, 2, 2, 2),
    ],
)
def test_colour_tags_and_range_are_kept(colour: Colour, tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    with VideoWriter(path, RATE, SIZE, colour, quality="lossless") as writer:
        writer.write(noise_frame())
    clip = probe_clip(path)
    assert clip.colour == colour
    np.testing.assert_array_equal(next(read_frames(clip)).y, noise_frame().y)


def test_high_quality_is_crf_18_with_the_index_in_front(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    write(path, 5, tags={"comment": "made by a test", "title": "A title"})  # type: ignore[arg-type]
    data = path.read_bytes()
    assert b"crf=18.0" in data
    assert data.index(b"moov") < data.index(b"mdat")
    with av.open(str(path)) as container:
        assert container.metadata["comment"] == "made by a test"
        assert container.metadata["title"] == "A title"
        stream = container.streams.video[0]
        assert stream.codec_context.pix_fmt == "yuv420p"
        assert stream.sample_aspect_ratio == 1


@pytest.mark.parametrize(
    ("ending", "coding", "copied"),
    [
        ("m4a", ("-ar", 44100), True),
        ("m4a", ("-ar", 16000), True),
        ("aac", ("-ar", 44100), True),
        ("mp3", ("-ar", 44100), True),
        ("ac3", ("-ar", 48000), True),
        ("mka", ("-ar", 48000, "-c:a", "eac3"), True),
        ("m4a", ("-c:a", "alac"), True),
        ("wav", ("-ar", 44100), False),
        ("wav", ("-ar", 8000, "-c:a", "pcm_u8"), False),
        ("wav", ("-ar", 192000), False),
        ("wav", ("-ar", 48000, "-af", "pan=5.1|FC=c0|FL=c0"), False),
        ("mp3", ("-ar", 8000), False),
        ("ogg", ("-ar", 48000), False),
        ("opus", (), False),
        ("flac", ("-ar", 48000, "-ac", 2), False),
    ],
)
def test_the_voice_goes_along(
    ending: str, coding: tuple[object, ...], copied: bool, ffmpeg: Ffmpeg, tmp_path: Path
) -> None:
    own = ffmpeg(*BURST, *coding, tmp_path / f"voice.{ending}".replace("mka", "mkv"))
    voice = probe_voice(own)
    assert may_copy(voice.codec, voice.rate) == copied
    path = tmp_path / "out.mp4"
    write(path, round(voice.duration * 25), voice)
    there = probe_voice(path)
    assert there.codec == (voice.codec if copied else "aac")
    assert there.rate == min(voice.rate, 96000)
    assert there.channels == voice.channels
    picture_end, sound_end = last_seconds(path)
    assert abs(picture_end - sound_end) <= 1 / 25
    before, after = read_audio(own), read_audio(path)
    length = min(len(before.samples), len(after.samples)) - 16
    assert length >= 1.1 * 16000
    moved = burst_seconds(after.samples, 16000) - burst_seconds(before.samples, 16000)
    assert abs(moved) <= 0.002
    # Matroska rounds to 1 ms: look for the best match half a millisecond around.
    together = max(
        np.corrcoef(before.samples[8:length], after.samples[8 + k : length + k])[0, 1]
        for k in range(-8, 9)
    )
    assert together > 0.95
    if copied and ending != "aac":  # raw AAC loses the little header of each packet
        theirs = sound_packets(own)
        assert sound_packets(path)[:-1] == theirs[: len(sound_packets(path)) - 1]


@pytest.mark.parametrize(("ending", "fps"), [("m4a", "25"), ("mp3", "60"), ("wav", "24")])
def test_a_longer_voice_ends_with_the_picture(
    ending: str, fps: str, ffmpeg: Ffmpeg, tmp_path: Path
) -> None:
    voice = probe_voice(ffmpeg(*BURST, tmp_path / f"voice.{ending}"))
    path = tmp_path / "out.mp4"
    write(path, 17, voice, Fraction(fps))
    picture_end, sound_end = last_seconds(path)
    assert abs(picture_end - sound_end) <= 1 / float(Fraction(fps))
    assert probe_clip(path).num_frames == 17


def test_a_voice_inside_a_video_keeps_its_place(ffmpeg: Ffmpeg, tmp_path: Path) -> None:
    picture = ("-f", "lavfi", "-i", "color=s=64x64:r=25:d=1.4")
    for late in (0.2, -0.2):
        delays = (("-itsoffset", 0.2), ()) if late < 0 else ((), ("-itsoffset", 0.2))
        film = ffmpeg(*delays[0], *picture, *delays[1], *BURST, tmp_path / "film.mp4")
        voice = probe_voice(film)
        path = tmp_path / "out.mp4"
        write(path, round(voice.duration * 25), voice)
        heard = burst_seconds(read_audio(path).samples, 16000)
        assert heard == pytest.approx(0.5 + late, abs=0.005)


def test_sound_and_picture_lie_side_by_side(ffmpeg: Ffmpeg, tmp_path: Path) -> None:
    voice = probe_voice(ffmpeg("-f", "lavfi", "-i", "sine=d=6:r=16000", tmp_path / "voice.m4a"))
    path = tmp_path / "out.mp4"
    write(path, 150, voice)
    with av.open(str(path)) as container:
        order = [packet.stream.type for packet in container.demux() if packet.size]
    middle = order[len(order) // 4 : 3 * len(order) // 4]
    assert {"video", "audio"} == set(middle)


def test_an_exception_leaves_the_old_file_and_nothing_else(ffmpeg: Ffmpeg, tmp_path: Path) -> None:
    voice = probe_voice(ffmpeg(*BURST, tmp_path / "voice.m4a"))
    path = tmp_path / "out.mp4"
    path.write_bytes(b"older result")

    def interrupted(error: BaseException) -> None:
        with VideoWriter(path, RATE, SIZE, PLAIN, voice) as writer:
            for _ in range(30):
                writer.write(noise_frame())
            assert len(list(tmp_path.iterdir())) == 3
            raise error

    for error in (InputError("Stop."), KeyboardInterrupt(), OSError(28, "not ours")):
        with pytest.raises(type(error)) as caught:
            interrupted(error)
        assert caught.value is error
        assert path.read_bytes() == b"older result"
        assert sorted(p.name for p in tmp_path.iterdir()) == ["out.mp4", "voice.m4a"]


def test_a_voice_that_has_gone_leaves_nothing(tmp_path: Path) -> None:
    voice = Voice(tmp_path / "gone.wav", 1.0, 16000, 1, "pcm_s16le")
    with pytest.raises(InputError, match="no file"):
        write(tmp_path / "out.mp4", 5, voice)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["-out.mp4", "a b;$(x)'\".mp4", "%d 🙂.MP4", "file:x.mov"])
def test_strange_output_names(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    check_output(Path(name))
    write(Path(name), 3)
    assert [entry.name for entry in tmp_path.iterdir()] == [name]
    assert probe_clip(Path(name)).num_frames == 3


def test_outputs_that_cannot_be(tmp_path: Path) -> None:
    source = tmp_path / "in.mp4"
    source.write_bytes(b"x")
    link = tmp_path / "link.mp4"
    link.symlink_to(source)
    hard = tmp_path / "hard.mp4"
    hard.hardlink_to(source)
    inside = tmp_path / "folder.mp4"
    inside.mkdir()
    cases = {
        inside: "is a folder",
        tmp_path / "out.avi": "does not end in .mp4",
        tmp_path / "none" / "out.mp4": "There is no folder",
        source / "out.mp4": "There is no folder",
        source: "is one of the inputs",
        link: "is one of the inputs",
        hard: "is one of the inputs",
        tmp_path / "folder.mp4" / ".." / "in.mp4": "is one of the inputs",
    }
    for output, words in cases.items():
        with pytest.raises(OutputError, match=words):
            check_output(output, [source])
    check_output(tmp_path / "out.mp4", [source])
    with pytest.raises(OutputError, match="is gone or never was"):
        write(tmp_path / "none" / "out.mp4", 1)


def test_a_folder_without_permission(tmp_path: Path) -> None:
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    try:
        (locked / "probe").touch()
    except PermissionError:
        with pytest.raises(OutputError, match="Nothing may be written"):
            check_output(locked / "out.mp4")
        with pytest.raises(OutputError, match="Nothing may be written"):
            write(locked / "out.mp4", 1)
    else:
        pytest.skip("this user may write everywhere")


def test_a_full_disk_is_named_and_cleaned_up(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; sys.path[:0] = ['tests', '.']\n"
        "from test_media_writer import write\n"
        "from lipsync.errors import OutputError\n"
        "try:\n    write(Path(sys.argv[1]), 40, quality='lossless')\n"
        "except OutputError as error:\n    print(error)\n"
    )

    def small_files() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "out.mp4")],
        cwd=Path(__file__).resolve().parents[1],
        preexec_fn=small_files,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "There is no room left" in done.stdout, done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_partial_file_is_renamed_whole(tmp_path: Path) -> None:
    output = tmp_path / "out.mp4"
    with partial_file(output) as partial:
        partial.write_bytes(b"whole")
        assert partial.parent == tmp_path
        assert partial.suffix == ".mp4"
        assert not output.exists()
    assert output.read_bytes() == b"whole"
    assert list(tmp_path.iterdir()) == [output]
