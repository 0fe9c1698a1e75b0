"""Photos and drawings: one picture, upright, in sRGB.

EXIF rotation is applied, an embedded colour profile is converted to sRGB, and transparent parts
are laid over white. Pillow reads only PNG, JPEG and WebP here; of an animated WebP the first
picture counts.
"""

from __future__ import annotations

import io
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

from lipsync.errors import InputError
from lipsync.media.container import MAX_PIXELS
from lipsync.types import Size

_FORMATS = ("PNG", "JPEG", "WEBP")


def still_size(path: Path) -> Size:
    """Return the upright size in px, as found; huge pictures are not looked at any further.

    Raises `InputError` if the file is no PNG, JPEG or WebP, or damaged.
    """
    with _opened(path) as image:
        width, height = image.size
        if width * height > MAX_PIXELS:
            return Size(height, width)
        sideways = image.getexif().get(0x0112, 1) in (5, 6, 7, 8)
    return Size(width, height) if sideways else Size(height, width)


def still_format(path: Path) -> str:
    """Return the picture format's name in lower case: png, jpeg or webp."""
    with _opened(path) as image:
        return (image.format or "").lower().replace("mpo", "jpeg")


def read_still(path: Path) -> np.ndarray:
    """Return the picture, upright, as (H, W, 3) uint8 sRGB.

    Raises `InputError` if the data is damaged or cut off.
    """
    with _opened(path) as image:
        image.load()
        return np.asarray(_over_white(_to_srgb(ImageOps.exif_transpose(image))))


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    """Open a picture; complaints while it is read become an `InputError`."""
    try:
        with warnings.catch_warnings():
            # Pillow warns of large pictures; the limits of the caller decide about them.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = Image.open(path, formats=_FORMATS)
        with image:
            yield image
    except UnidentifiedImageError as error:
        raise InputError(
            f"{path.name} is no PNG, JPEG or WebP picture; save it as one of these first."
        ) from error
    except Image.DecompressionBombError as error:
        raise InputError(
            f"{path.name} is far larger than 8K; make it smaller than 7680 × 4320 px first."
        ) from error
    except (OSError, SyntaxError, ValueError, struct.error) as error:
        raise InputError(
            f"{path.name} is a damaged or cut-off picture ({error}); save or download it again."
        ) from error


def _to_srgb(image: Image.Image) -> Image.Image:
    """Return the picture in sRGB, in RGB or RGBA; 16-bit greys are scaled, not clipped."""
    profile = image.info.get("icc_profile")
    if image.mode.startswith("I"):
        grey = np.asarray(image, np.float32) / 257.0
        return Image.fromarray(np.clip(np.rint(grey), 0, 255).astype(np.uint8)).convert("RGB")
    if image.mode in ("P", "PA", "LA", "1") or "transparency" in image.info:
        image = image.convert("RGBA")
    if profile and image.mode in ("RGB", "RGBA", "CMYK"):
        mode = "RGBA" if image.mode == "RGBA" else "RGB"
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            converted = ImageCms.profileToProfile(
                image, source, ImageCms.createProfile("sRGB"), outputMode=mode
            )
        except (ImageCms.PyCMSError, OSError):
            # Many files carry a profile that does not fit their data; viewers ignore it too.
            converted = None
        if converted is not None:
            return converted
    return image if image.mode == "RGBA" else image.convert("RGB")


def _over_white(image: Image.Image) -> Image.Image:
    if image.mode != "RGBA":
        return image
    white = Image.new("RGBA", image.size, (255, 255, 255, 255))
    return Image.alpha_composite(white, image).convert("RGB")
