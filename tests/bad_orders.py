"""Orders that cannot be carried out: the bad file or option, and what must be said of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from conftest import run_ffmpeg

from lipsync.engines import engine_class
from lipsync.example import example_photo

SETTING = dataclasses.fields(engine_class("draft").Settings)[0].name


@dataclass(frozen=True)
class Desk:
    """A folder with a good clip and a good voice in it, where a case lays its bad file."""

    folder: Path

    @property
    def clip(self) -> Path:
        return self.folder / "clip.mp4"

    @property
    def voice(self) -> Path:
        return self.folder / "voice.wav"

    @property
    def out(self) -> Path:
        return self.folder / "out.mp4"

    def line(
        self, *options: str, video: Path | None = None, audio: Path | None = None
    ) -> list[str]:
        names = [str(video or self.clip), str(audio or self.voice)]
        return ["sync", *names, "-o", str(self.out), "--no-score", *options]


def tiny_video(path: Path, *options: object) -> Path:
    return run_ffmpeg(
        *("-f", "lavfi", "-i", "testsrc2=s=128x96:r=25:d=0.6", "-pix_fmt", "yuv420p"),
        *(options or ("-c:v", "libx264", "-preset", "ultrafast")),
        path,
    )


def sound_only(desk: Desk) -> list[str]:
    return desk.line(video=desk.voice)


def no_sound(desk: Desk) -> list[str]:
    return desk.line(audio=tiny_video(desk.folder / "mute.mp4"))


def empty_clip(desk: Desk) -> list[str]:
    (desk.folder / "empty.mp4").touch()
    return desk.line(video=desk.folder / "empty.mp4")


def empty_voice(desk: Desk) -> list[str]:
    (desk.folder / "empty.wav").touch()
    return desk.line(audio=desk.folder / "empty.wav")


def truncated_clip(desk: Desk) -> list[str]:
    # the index of this file comes last, so half of it is lost whole
    cut = desk.folder / "half.mp4"
    cut.write_bytes(desk.clip.read_bytes()[: desk.clip.stat().st_size // 2])
    return desk.line(video=cut)


def truncated_middle(desk: Desk) -> list[str]:
    whole = run_ffmpeg(
        "-i", desk.clip, "-c", "copy", "-movflags", "+faststart", desk.folder / "f.mp4"
    )
    data = whole.read_bytes()
    (desk.folder / "half.mp4").write_bytes(data[: data.index(b"mdat") + 900])
    return desk.line(video=desk.folder / "half.mp4")


def text_as_clip(desk: Desk) -> list[str]:
    (desk.folder / "notes.mp4").write_text("Dear diary,\n" * 500)
    return desk.line(video=desk.folder / "notes.mp4")


def playlist_as_clip(desk: Desk) -> list[str]:
    # a play list must not make the program read another file
    (desk.folder / "list.mp4").write_text(f"ffconcat version 1.0\nfile '{desk.clip}'\n")
    return desk.line(video=desk.folder / "list.mp4")


def picture_as_voice(desk: Desk) -> list[str]:
    return desk.line(audio=example_photo())


def short_voice_file(desk: Desk) -> list[str]:
    return desk.line(audio=run_ffmpeg("-i", desk.voice, "-t", 0.15, desk.folder / "blip.wav"))


def silent_voice(desk: Desk) -> list[str]:
    quiet = run_ffmpeg(
        "-f", "lavfi", "-i", "anullsrc=r=16000:cl=mono", "-t", 1, desk.folder / "q.wav"
    )
    return desk.line(audio=quiet)


def no_face(desk: Desk) -> list[str]:
    bars = ("-f", "lavfi", "-i", "smptebars=s=320x240:d=0.4")
    return desk.line(video=run_ffmpeg(*bars, desk.folder / "bars.mp4"))


def small_face(desk: Desk) -> list[str]:
    small = run_ffmpeg(
        *("-i", example_photo(), "-vf", "scale=140:140,pad=320:240:90:50:gray"),
        desk.folder / "far.png",
    )
    return desk.line(video=small)


def many_faces_asked(desk: Desk) -> list[str]:
    return desk.line("--face", "3")


def missing_clip(desk: Desk) -> list[str]:
    return desk.line(video=desk.folder / "gone.mp4")


def folder_as_clip(desk: Desk) -> list[str]:
    return desk.line(video=desk.folder)


def path_through_a_file(desk: Desk) -> list[str]:
    return desk.line(audio=desk.voice / "inside.wav")


def endless_name(desk: Desk) -> list[str]:
    return desk.line(video=desk.folder / ("n" * 300 + ".mp4"))


def name_with_a_zero_byte(desk: Desk) -> list[str]:
    return desk.line(video=desk.folder / "a\0b.mp4")


def device_as_voice(desk: Desk) -> list[str]:
    return desk.line(audio=Path("/dev/zero"))


def unknown_codec(desk: Desk) -> list[str]:
    odd = desk.folder / "odd.mp4"
    odd.write_bytes(desk.clip.read_bytes().replace(b"avc1", b"zq77"))
    return desk.line(video=odd)


def huge_photo(desk: Desk) -> list[str]:
    wide = run_ffmpeg("-f", "lavfi", "-i", "color=s=8400x32", "-frames:v", 1, desk.folder / "w.png")
    return desk.line(video=wide)


def huge_clip(desk: Desk) -> list[str]:
    size = ("-f", "lavfi", "-i", "color=s=8400x32:d=0.2", "-c:v", "libx264")
    return desk.line(video=run_ffmpeg(*size, desk.folder / "wide.mp4"))


def endless_voice(desk: Desk) -> list[str]:
    hours = ("-f", "lavfi", "-i", "anullsrc=r=8000:cl=mono", "-t", 3700, "-c:a", "flac")
    return desk.line(audio=run_ffmpeg(*hours, desk.folder / "long.flac"))


def voice_over_the_limit(desk: Desk) -> list[str]:
    return desk.line("--max-minutes", "0.01")


def setting_not_a_number(desk: Desk) -> list[str]:
    return desk.line("--set", f"{SETTING}=nan")


def setting_out_of_bounds(desk: Desk) -> list[str]:
    return desk.line("--set", f"{SETTING}=1e99")


def setting_unknown(desk: Desk) -> list[str]:
    return desk.line("--set", "magic=1")


def preset_unknown(desk: Desk) -> list[str]:
    return desk.line("--preset", "no-such")


def trim_past_the_end(desk: Desk) -> list[str]:
    return desk.line("--start", "99")


def output_is_the_clip(desk: Desk) -> list[str]:
    return [*desk.line(), "-o", str(desk.folder / ".." / desk.folder.name / "clip.mp4")]


def output_is_the_voice(desk: Desk) -> list[str]:
    voice = run_ffmpeg("-i", desk.voice, "-vn", desk.folder / "voice.mp4")
    return [*desk.line(audio=voice), "-o", str(voice)]


def output_links_to_the_clip(desk: Desk) -> list[str]:
    (desk.folder / "link.mp4").symlink_to(desk.clip)
    return [*desk.line(), "-o", str(desk.folder / "link.mp4")]


def output_shares_the_clip(desk: Desk) -> list[str]:
    (desk.folder / "same.mp4").hardlink_to(desk.clip)
    return [*desk.line(), "-o", str(desk.folder / "same.mp4")]


def output_of_another_kind(desk: Desk) -> list[str]:
    return [*desk.line(), "-o", str(desk.folder / "out.avi")]


def output_folder_missing(desk: Desk) -> list[str]:
    return [*desk.line(), "-o", str(desk.folder / "nowhere" / "out.mp4")]


def output_is_a_folder(desk: Desk) -> list[str]:
    (desk.folder / "results").mkdir()
    return [*desk.line(), "-o", str(desk.folder / "results")]


def output_not_writable(desk: Desk) -> list[str]:
    # not even root may create a file here
    return [*desk.line(), "-o", "/proc/out.mp4"]


CASES: list[tuple[Callable[[Desk], list[str]], str]] = [
    (sound_only, r"voice\.wav has no picture .*choose a video"),
    (no_sound, r"mute\.mp4 has no sound .*choose a voice"),
    (empty_clip, r"empty\.mp4 is empty \(0 bytes\); .*again"),
    (empty_voice, r"empty\.wav is empty \(0 bytes\); .*again"),
    (truncated_clip, r"half\.mp4 breaks off .*again"),
    (truncated_middle, r"half\.mp4 .*(breaks off|no picture).*again"),
    (text_as_clip, r"notes\.mp4 holds text, .*choose"),
    (playlist_as_clip, r"list\.mp4 holds text, .*choose"),
    (picture_as_voice, r"astronaut\.png is a picture and has no sound; give"),
    (short_voice_file, r"blip\.wav .*0\.15 s of sound; .*at least 0\.2 s"),
    (silent_voice, r"voice is silent .*choose"),
    (no_face, r"No face was found .*choose"),
    (small_face, r"face is only \d+ px wide .*at least \d+ px .*choose"),
    (many_faces_asked, r"Face number 3 .*choose"),
    (missing_clip, r"no file .*gone\.mp4; check"),
    (folder_as_clip, r"is a folder; choose"),
    (path_through_a_file, r"inside\.wav.*check"),
    (endless_name, r"cannot be reached .*check"),
    (name_with_a_zero_byte, r"is not a file name .*choose"),
    (device_as_voice, r"/dev/zero is not an ordinary file; copy"),
    (unknown_codec, r"odd\.mp4 .*cannot be decoded.*convert"),
    (huge_photo, r"w\.png measures 8400 × 32 px; .*8K.*smaller"),
    (huge_clip, r"wide\.mp4 measures 8400 × 32 px; .*8K.*smaller"),
    (endless_voice, r"long\.flac lasts 61\.7 minutes; the limit is 60 minutes: cut"),
    (voice_over_the_limit, r"clip\.mp4 lasts .* minutes; the limit is 0\.01 minutes: cut"),
    (setting_not_a_number, rf"{SETTING} is nan; give a number"),
    (setting_out_of_bounds, rf"{SETTING} is 1e99; give a number"),
    (setting_unknown, r"no setting 'magic'; it has"),
    (preset_unknown, r"no preset called 'no-such'; choose one of: draft"),
    (trim_past_the_end, r"trim start of 99 s .*give an earlier"),
    (output_is_the_clip, r"clip\.mp4 is one of the inputs .*another name"),
    (output_is_the_voice, r"voice\.mp4 is one of the inputs .*another name"),
    (output_links_to_the_clip, r"link\.mp4 is one of the inputs .*another name"),
    (output_shares_the_clip, r"same\.mp4 is one of the inputs .*another name"),
    (output_of_another_kind, r"out\.avi does not end in \.mp4; give"),
    (output_folder_missing, r"There is no folder .*nowhere; create"),
    (output_is_a_folder, r"results is a folder; give"),
    (output_not_writable, r"/proc.*(choose|try) another"),
]
