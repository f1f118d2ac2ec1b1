"""Series of the published pre-training archives, CACo's and SeCo's: which images make a location, and its two halves.

Layout, as both projects' readers have it (CACo: github.com/utkarshmall13/CACo @7c4fbc8 `src/datasets/seco_dataset.py`;
SeCo: github.com/ServiceNow/seasonal-contrast @8285173 `datasets/seco_downloader.py`):
`<root>/<location>/<system:index>/{B1 … B12}.tif` and `metadata.json`, previews beside the dated folders.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..bands import BANDS
from ..errors import DataError
from ..shards import ShardsSpec
from .archive_locations import RawLocation
from .archive_members import DATED, METADATA
from .published_images import BadImageError, Image, OtherSizeError, measure_side, read_image

RECENT = 5
"""How many of the latest images make the recent half; the others make the older one (CACo `seco_dataset.py`). SeCo's
locations have five in all: they are one recent half, and no older one."""

LEAST_PAIR = 3
"""Fewest dates in each half of a location of two: CACo draws three of a half without replacement
(`seco_dataset.py`)."""

LEAST_SINGLE = 2
"""Fewest dates of a location of one half: SeCo draws with replacement, and one date has no season to differ from."""

FULL = 255
"""Stored value of reflectance 1 (SeCo `seco_downloader.py`: reflectance 0 to 1 as 0 to 255)."""

LICENCE = "contains modified Copernicus Sentinel data; the publishers' own terms apply"
"""The archives came without a licence file that we know of."""

ARCHIVES = {
    "clean_10k_geography": "CACo, 10k images (Mall, Hariharan, Bala, CVPR 2023)",
    "clean_100k_geography": "CACo, 100k images (Mall, Hariharan, Bala, CVPR 2023)",
    "clean_1m_geography": "CACo, 1m images (Mall, Hariharan, Bala, CVPR 2023; zenodo.org/records/10913174)",
    "seasonal_contrast_100k": "SeCo, 100k images (Mañas et al., ICCV 2021; zenodo.org/records/4728033)",
    "seasonal_contrast_1m": "SeCo, 1m images (Mañas et al., ICCV 2021; zenodo.org/records/4728033)",
}
"""Root of an archive → what it is."""

TOO_FEW = "too few dates"
OTHER_SIZES = "images of other sizes"

_EPOCH = date(1970, 1, 1).toordinal()


@dataclass(frozen=True)
class PublishedSeries:
    """A location whose images are decoded, in the form of `ShardWriter.add`."""

    location_id: str
    """Name of its folder."""
    images10: NDArray[np.uint8] | None
    """(t, C10, S, S), or None without such bands."""
    images20: NDArray[np.uint8] | None
    """(t, C20, S/2, S/2), or None without such bands."""
    days: NDArray[np.int32]
    """(t,) days since 1970-01-01, in order."""
    half: NDArray[np.int8]
    """(t,) 0 older, 1 recent."""
    lonlat: tuple[float, float]
    """Centre, degrees; NaN when no file says."""


@dataclass(frozen=True)
class Decoded:
    """What became of a location."""

    name: str
    """Its folder's name."""
    series: PublishedSeries | None
    """The series; None when the location is left out."""
    left_out: str = ""
    """Why it is left out."""
    detail: str = ""
    """What in particular."""
    faults: list[tuple[str, str]] = field(default_factory=list)
    """Dated images that are left out: (`location/system:index`, why)."""


def make_spec(sample: Sequence[RawLocation], bands: tuple[str, ...] | None) -> ShardsSpec | None:
    """What the shards of an archive have in common, judged by its first locations.

    Args:
        sample: The first locations.
        bands: Canonical bands wanted; None = all that more than half of the sample's images have.

    Returns:
        The spec: the most frequent side, made even, and ten dates where most locations have more than `RECENT`, else
        five. None when no image of the sample can be decoded.

    Raises:
        DataError: No image has the bands wanted.
    """
    images = [files for location in sample for files in location.images.values()]
    held = Counter(band for files in images for band in files if band != METADATA)
    chosen = tuple(band for band in BANDS if 2 * held[band] > len(images)) if bands is None else bands
    if absent := [band for band in chosen if not held[band]]:
        found = f"the first {len(sample)} locations hold no {' '.join(absent)}"
        raise DataError(found, "bands that the archive has", "leave these out of --bands")
    sides: Counter[int] = Counter()
    for location in sample:
        for files in location.images.values():
            try:
                sides[measure_side(files, chosen)] += 1
                break  # one image tells
            except BadImageError:
                continue
    if not sides or not chosen:
        return None
    counts = Counter(len(location.images) > RECENT for location in sample)
    root = sample[0].root
    return ShardsSpec(
        **split_bands(chosen),
        side=max(sides, key=lambda side: (sides[side], side)) // 2 * 2,
        dates=2 * RECENT if counts[True] >= counts[False] else RECENT,
        full=FULL,
        source=source_of(root),
        licence=LICENCE,
        truth=False,
    )


def split_bands(bands: Sequence[str]) -> dict[str, Any]:
    """Canonical bands as the two fields of a `ShardsSpec`."""
    fine = tuple(band for band in bands if BANDS[band].gsd == 10)
    return {"bands10": fine, "bands20": tuple(band for band in bands if band not in fine)}


def source_of(root: str) -> str:
    """What an archive is, in words, by the name of its root."""
    return f"{root}: {ARCHIVES[root]}" if root in ARCHIVES else f"{root or 'no name'}: an archive in CACo's layout"


def decode_location(raw: RawLocation, spec: ShardsSpec) -> Decoded:
    """Decode the images of a location, and part them into halves.

    The halves follow the names of all its images, before any is left out: an image that cannot be read moves no other
    into another half. Of more images than a half holds, the latest are taken.

    Args:
        raw: The location's files.
        spec: Bands, side and dates wanted.
    """
    faults: list[tuple[str, str]] = []
    dated: list[tuple[int, int, Image]] = []
    names = sorted(raw.images)
    recent, older = names[-RECENT:], names[:-RECENT][max(0, len(names) - spec.dates) :]
    if spec.dates <= RECENT:
        older = []
    faults += [(f"{raw.name}/{name}", "more dates than are stored") for name in set(names) - {*recent, *older}]
    for name in older + recent:
        try:
            day = _day_of(name, raw.images[name])
            image = read_image(raw.images[name], spec.bands10, spec.bands20, spec.side)
        except BadImageError as err:
            faults.append((f"{raw.name}/{name}", str(err)))
            continue
        except OtherSizeError as err:
            return Decoded(raw.name, None, OTHER_SIZES, f"{name}: {err}", faults)
        dated.append((day, int(name in recent), image))
    least = ((0, LEAST_PAIR), (1, LEAST_PAIR)) if spec.dates > RECENT else ((1, LEAST_SINGLE),)
    if any(sum(half == which for _, half, _ in dated) < count for which, count in least):
        count = sum(half for _, half, _ in dated)
        return Decoded(raw.name, None, TOO_FEW, f"{len(dated) - count} older and {count} recent", faults)
    return Decoded(raw.name, _stack(raw.name, dated, spec), faults=faults)


def _stack(name: str, dated: list[tuple[int, int, Image]], spec: ShardsSpec) -> PublishedSeries:
    places = (image.lonlat for _, _, image in dated if not math.isnan(image.lonlat[0]))
    return PublishedSeries(
        name,
        np.stack([image.images10 for _, _, image in dated]) if spec.bands10 else None,
        np.stack([image.images20 for _, _, image in dated]) if spec.bands20 else None,
        np.array([day for day, _, _ in dated], np.int32),
        np.array([half for _, half, _ in dated], np.int8),
        next(places, (math.nan, math.nan)),
    )


def _day_of(name: str, files: dict[str, bytes]) -> int:
    """Day of an image since 1970-01-01, by its name; its metadata, where there is any, must name the same image.

    Raises:
        BadImageError: The name holds no date, or the metadata names another image.
    """
    text = DATED.fullmatch(name)
    try:
        day = date.fromisoformat(text["day"] if text else "")
    except ValueError as err:
        raise BadImageError("its name holds no date") from err
    index = _named(files.get(METADATA, b""))
    if index and index != name:
        raise BadImageError("its metadata.json is of another image")
    return day.toordinal() - _EPOCH


def _named(metadata: bytes) -> str:
    """The `system:index` that Earth Engine's metadata name; empty when they name none."""
    try:
        content: Any = json.loads(metadata)
        index = content["properties"]["system:index"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return ""
    return index if isinstance(index, str) else ""
