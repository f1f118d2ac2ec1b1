"""Images of the published archives: single-band GeoTIFFs of bytes, compressed as JPEG, decoded from memory."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.errors import CRSError, RasterioError

from ..bands import BANDS

MARGIN = 8
"""How many pixels an image may be larger than the chip, of which the centre is cut. assumed: Earth Engine's own grid
makes images of one place differ by a pixel or two; what differs by more is another image."""

_MAX_SIDE = 2048
"""Side of the largest image that is decoded, pixels: a small file may claim any size. assumed."""

_REPEATS = {10: 1, 20: 1, 60: 3}
"""Ground sampling of a band, metres → how often its pixels are repeated: what has 60 m is stored at 20 m."""

_ALONE = {"GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR", "GDAL_PAM_ENABLED": "NO"}
"""Options of GDAL (https://gdal.org/en/stable/user/configoptions.html): look for no files beside an image."""


class BadImageError(Exception):
    """An image that cannot be used; its text is the reason, in a few words."""


class OtherSizeError(Exception):
    """An image of another size than the chip's."""


@dataclass(frozen=True)
class Image:
    """A location on one date."""

    images10: NDArray[np.uint8]
    """(C10, S, S) bands sampled at 10 m."""
    images20: NDArray[np.uint8]
    """(C20, S/2, S/2) bands of 20 and 60 m."""
    lonlat: tuple[float, float]
    """Centre, degrees; NaN when the files do not say."""


def read_image(files: Mapping[str, bytes], bands10: tuple[str, ...], bands20: tuple[str, ...], side: int) -> Image:
    """Decode the chosen bands of an image.

    Args:
        files: Canonical band → the bytes of its GeoTIFF.
        bands10: Bands of 10 m, in the order wanted.
        bands20: Bands of 20 or 60 m.
        side: S, pixels of 10 m; larger images are cut to their centre.

    Raises:
        BadImageError: A band is missing or cannot be decoded.
        OtherSizeError: A band is smaller than the chip, or larger by more than `MARGIN`.
    """
    images10 = np.empty((len(bands10), side, side), np.uint8)
    images20 = np.empty((len(bands20), side // 2, side // 2), np.uint8)
    lonlat = (math.nan, math.nan)
    with rasterio.Env(**_ALONE):  # one for all bands: making it takes a quarter of what decoding does
        for at, band in enumerate(bands10 + bands20):
            pixels, centre = _decode(files, band)
            lonlat = centre if at == 0 else lonlat
            if at < len(bands10):
                images10[at] = _cut(band, pixels, side)
            else:
                times = _REPEATS[BANDS[band].gsd]
                images20[at - len(bands10)] = _cut(band, pixels.repeat(times, 0).repeat(times, 1), side // 2)
    return Image(images10, images20, lonlat)


def measure_side(files: Mapping[str, bytes], bands: tuple[str, ...]) -> int:
    """Side of an image in pixels of 10 m, from the first of some bands.

    Raises:
        BadImageError: This band is missing or cannot be decoded.
    """
    pixels, _ = _decode(files, bands[0])
    return int(min(pixels.shape)) * BANDS[bands[0]].gsd // 10


def _cut(band: str, pixels: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """The centre of an image."""
    high, wide = pixels.shape
    if not (side <= high <= side + MARGIN and side <= wide <= side + MARGIN):
        raise OtherSizeError(f"{band} has {wide} × {high} px instead of {side} × {side}")
    top, left = (high - side) // 2, (wide - side) // 2
    return pixels[top : top + side, left : left + side]


def _decode(files: Mapping[str, bytes], band: str) -> tuple[NDArray[np.uint8], tuple[float, float]]:
    """Pixels (H, W) of a band, and its centre."""
    data = files.get(band)
    if data is None:
        raise BadImageError(f"{band} is missing")
    try:
        # Without bytes it would be opened for writing; with another driver, a file could name others.
        with rasterio.MemoryFile(data or b"none") as memory, memory.open(driver="GTiff") as file:
            if file.count != 1 or file.dtypes[0] != "uint8" or max(file.shape) > _MAX_SIDE:
                raise BadImageError(f"{band} is no image of bytes in one band")
            pixels: NDArray[np.uint8] = file.read(1)
            return pixels, _centre(file)
    except (RasterioError, CRSError) as err:
        raise BadImageError(f"{band} cannot be decoded") from err


def _centre(file: rasterio.DatasetReader) -> tuple[float, float]:
    """Centre of an image, degrees; NaN when its file is not in degrees, as both archives are."""
    if file.crs is None or not file.crs.is_geographic or file.transform.is_identity:
        return math.nan, math.nan
    lon, lat = file.transform * (file.width / 2, file.height / 2)
    return (lon, lat) if abs(lon) <= 180 and abs(lat) <= 90 else (math.nan, math.nan)
