"""Photos and drawings: one picture, upright, in sRGB.

EXIF rotation is applied, an embedded colour profile is converted to sRGB, and transparent parts
are laid over white. Pillow reads only PNG, JPEG and WebP here; of an animated WebP the first
picture counts.
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

from lipsync.errors import InputError
from lipsync.types import Size

_FORMATS = ("PNG", "JPEG", "WEBP")


def still_size(path: Path) -> Size:
    """Return the upright size in px, as found, without decoding the picture.

    Raises `InputError` if the file is no PNG, JPEG or WebP.
    """
    with _open(path) as image:
        width, height = image.size
        sideways = image.getexif().get(0x0112, 1) in (5, 6, 7, 8)
    return Size(width, height) if sideways else Size(height, width)


def still_format(path: Path) -> str:
    """Return the picture format's name in lower case: png, jpeg or webp."""
    with _open(path) as image:
        return (image.format or "").lower().replace("mpo", "jpeg")


def read_still(path: Path) -> np.ndarray:
    """Return the picture, upright, as (H, W, 3) uint8 sRGB.

    Raises `InputError` if the data is damaged or cut off.
    """
    with _open(path) as image:
        try:
            image.load()
            upright = ImageOps.exif_transpose(image)
            rgb = _over_white(_to_srgb(upright))
        except (OSError, SyntaxError, ValueError) as error:
            raise InputError(
                f"{path.name} is a damaged or cut-off picture ({error}); save or download it again."
            ) from error
    return np.asarray(rgb)


def _open(path: Path) -> Image.Image:
    try:
        return Image.open(path, formats=_FORMATS)
    except UnidentifiedImageError as error:
        raise InputError(
            f"{path.name} is no PNG, JPEG or WebP picture; save it as one of these first."
        ) from error
    except Image.DecompressionBombError as error:
        raise InputError(
            f"{path.name} is far larger than 8K; make it smaller than 7680 × 4320 px first."
        ) from error
    except (OSError, SyntaxError, ValueError) as error:
        raise InputError(
            f"{path.name} is a damaged picture ({error}); save or download it again."
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
