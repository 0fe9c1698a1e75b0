"""The table of checkpoints: where each comes from, its size, its checksum and its licence.

Sizes and checksums are those that the publishers state (the hub's file pages, the address of the
file itself, the release's digest). Wav2Lip's authors publish neither: its files are fetched from
copies that others keep, all of one checksum as far as is known. A checksum of None would be
recorded at the first download and checked ever after; every file of today's table has one.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Licence:
    """What may be done with a checkpoint."""

    name: str
    meaning: str  # one line for people
    allows_commercial: bool | None  # None = its authors do not say


@dataclass(frozen=True)
class HubFile:
    """A file in a repository of the Hugging Face hub, or of the mirror that HF_ENDPOINT names."""

    repository: str  # "owner/name"
    path: str
    revision: str  # a commit: what it holds never changes


@dataclass(frozen=True)
class WebFile:
    """A file at an address of its own."""

    url: str


@dataclass(frozen=True)
class WeightFile:
    """A file as it lies in the folder of its checkpoint."""

    name: str
    size: int | None  # bytes; None = not published
    sha256: str | None  # 64 hex digits; None = not published


@dataclass(frozen=True)
class Download:
    """One file to fetch, and what is kept of it."""

    source: HubFile | WebFile
    file: WeightFile  # what arrives
    members: tuple[WeightFile, ...] = ()  # what is kept of a ZIP archive; () = the file itself

    @property
    def kept(self) -> tuple[WeightFile, ...]:
        """The files that lie in the folder in the end."""
        return self.members or (self.file,)


@dataclass(frozen=True)
class Checkpoint:
    """A row of the table."""

    key: str  # also the name of its folder
    title: str
    licence: Licence
    downloads: tuple[Download, ...]

    @property
    def files(self) -> tuple[WeightFile, ...]:
        """The files that make the checkpoint."""
        return tuple(file for download in self.downloads for file in download.kept)

    @property
    def size(self) -> int | None:
        """Bytes to fetch in all; None if one of the sizes is not published."""
        sizes = [download.file.size for download in self.downloads]
        return None if None in sizes else sum(size for size in sizes if size is not None)


MIT = Licence("MIT", "Free for any use, commercial too; keep the copyright notice.", True)
OPENRAIL = Licence(
    "CreativeML Open RAIL++-M",
    "Commercial use is allowed, the harmful uses it lists are not; pass it on with the weights.",
    True,
)
INSIGHTFACE = Licence(
    "InsightFace model licence",
    "Research only: no commercial use without a licence from InsightFace.",
    False,
)
WAV2LIP = Licence(
    "Wav2Lip terms (trained on LRS2)",
    "Research and personal use only: no commercial use of the weights or of what they make.",
    False,
)
SYNCNET = Licence(
    "MIT for the code, nothing stated for the weights",
    "Free for research; ask the authors before commercial use.",
    None,
)

_SYNC_15 = ("ByteDance/LatentSync-1.5", "32a20d29aead0498e3e885e90dbbe8027da1b61b")
_SYNC_16 = ("ByteDance/LatentSync-1.6", "c42c7e6c8e9c213626389fa7d9a3c444b8536353")
_VAE = ("stabilityai/sd-vae-ft-mse", "31f26fdeee1355a5c34592e401dd41e45d25a493")


def _from_hub(home: tuple[str, str], path: str, size: int, sha256: str) -> Download:
    repository, revision = home
    file = WeightFile(path.rsplit("/", 1)[-1], size, sha256)
    return Download(HubFile(repository, path, revision), file)


CHECKPOINTS = (
    Checkpoint(
        "latentsync-1.5",
        "LatentSync 1.5 (256 px)",
        OPENRAIL,
        (
            _from_hub(
                _SYNC_15,
                "latentsync_unet.pt",
                5_072_348_184,
                "6440b49a7ccceff56cdc001f5f17605216337f5bbd66fa360139768926e23f51",
            ),
        ),
    ),
    Checkpoint(
        "latentsync-1.6",
        "LatentSync 1.6 (512 px)",
        OPENRAIL,
        (
            _from_hub(
                _SYNC_16,
                "latentsync_unet.pt",
                5_072_222_488,
                "0a478e89eb660f82da4c35dbdde8a5adfb27f99d1b4e50edd03729e1e98316d3",
            ),
        ),
    ),
    Checkpoint(
        "stable-syncnet",
        "StableSyncNet",
        OPENRAIL,
        (
            _from_hub(
                _SYNC_16,
                "stable_syncnet.pt",
                1_605_328_746,
                "77678d13861a02d6e83d0b169962175b6266be773f1f6f85fda2b0182e225118",
            ),
        ),
    ),
    Checkpoint(
        "sd-vae-ft-mse",
        "Stable Diffusion VAE (ft-mse)",
        MIT,
        (
            _from_hub(
                _VAE,
                "config.json",
                547,
                "92d3dfb746fca211a2c9e019e285f8597412211728dce3c5bcf4eda0f2d62e7e",
            ),
            _from_hub(
                _VAE,
                "diffusion_pytorch_model.safetensors",
                334_643_276,
                "a1d993488569e928462932c8c38a0760b874d166399b14414135bd9c42df5815",
            ),
        ),
    ),
    Checkpoint(
        "whisper-tiny",
        "Whisper tiny",
        MIT,
        (
            _from_hub(
                _SYNC_16,
                "whisper/tiny.pt",
                75_572_083,
                "65147644a518d12f04e32d6f3b26facc3f8dd46e5390956a9424a650c0ce22b9",
            ),
        ),
    ),
    Checkpoint(
        "whisper-small",
        "Whisper small",
        MIT,
        (
            Download(
                # the folder's name is the checksum
                WebFile(
                    "https://openaipublic.azureedge.net/main/whisper/models/"
                    "9ecf779972d90ba49c06d968637d720dd632c55bbf19d441fb42bf17a411e794/small.pt"
                ),
                WeightFile(
                    "small.pt",
                    483_617_219,
                    "9ecf779972d90ba49c06d968637d720dd632c55bbf19d441fb42bf17a411e794",
                ),
            ),
        ),
    ),
    Checkpoint(
        "syncnet-v2",
        "SyncNet v2",
        SYNCNET,
        (
            _from_hub(
                _SYNC_16,
                "auxiliary/syncnet_v2.model",
                54_573_114,
                "961e8696f888fce4f3f3a6c3d5b3267cf5b343100b238e79b2659bff2c605442",
            ),
        ),
    ),
    Checkpoint(
        "insightface-buffalo-l",
        "InsightFace buffalo_l",
        INSIGHTFACE,
        (
            Download(
                WebFile(
                    "https://github.com/deepinsight/insightface/releases/download/v0.7/"
                    "buffalo_l.zip"
                ),
                WeightFile(
                    "buffalo_l.zip",
                    288_621_354,
                    "80ffe37d8a5940d59a7384c201a2a38d4741f2f3c51eef46ebb28218a7b0ca2f",
                ),
                # the pack's three other networks (3-D points, gender and age, identity) stay out
                (
                    WeightFile(
                        "det_10g.onnx",
                        16_923_827,
                        "5838f7fe053675b1c7a08b633df49e7af5495cee0493c7dcf6697200b85b5b91",
                    ),
                    WeightFile(
                        "2d106det.onnx",
                        5_030_888,
                        "f001b856447c413801ef5c42091ed0cd516fcd21f2d6b79635b1e733a7109dbf",
                    ),
                ),
            ),
        ),
    ),
    Checkpoint(
        "wav2lip",
        "Wav2Lip",
        WAV2LIP,
        (
            _from_hub(
                ("numz/wav2lip_studio", "0aa2cbf86a27854ca4a36258deb077d2fd3109e1"),
                "Wav2lip/wav2lip.pth",
                435_807_851,
                "b78b681b68ad9fe6c6fb1debc6ff43ad05834a8af8a62ffc4167b7b34ef63c37",
            ),
        ),
    ),
    Checkpoint(
        "wav2lip-gan",
        "Wav2Lip GAN",
        WAV2LIP,
        (
            _from_hub(
                ("Nekochu/Wav2Lip", "3b29710a61ce62afe87ba6fc3f37bd85728f9af4"),
                "wav2lip_gan.pth",
                435_801_865,
                "ca9ab7b7b812c0e80a6e70a5977c545a1e8a365a6c49d5e533023c034d7ac3d8",
            ),
        ),
    ),
)
