"""Real pixels on which no constant of the generator was set: California before its fires, and a Romanian wood's summer.

California: the images before the ten fires of `calfire-style` (B02 B03 B04 B08 B12). They lie in degrees, taken by
**nearest** from Sentinel-2's own grids (measured: in B12 of nine of the ten, as many columns repeat their neighbour as
a 20 m grid gives at that latitude, in the bands of 10 m none), so simulated country is brought to such pixels in the
same way. They come without classification: smoke and haze may be in them, clouds are not seen in them.

Romania: reflectance of the wood of `romania-series`; its NDVI over the year was used to set constants, these were not.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import rasterio
import xarray as xr
from numpy.typing import NDArray
from rasterio.warp import Resampling, calculate_default_transform, reproject
from realism_archive import CLEAR, SQUARE
from realism_cover import CLASSES, QUANTILES, cover_of, ratio
from realism_read import Chips, Place, place_block, place_days, read_day

from stac.bands import CLEAR_SCL
from stac.blocks import Block
from stac.errors import DataError

BANDS = ("B02", "B03", "B04", "B08", "B12")
SIDE = 32
"""Side of the chips, pixels of about 20 m: 640 m, as at 10 m."""
STEP = 0.00017966305682390427
"""Degrees: 20 m of latitude, the pixel of the real images (20 / 6378137 m, in degrees)."""
SEASONS = {"summer": (6, 7, 8), "winter": (12, 1, 2)}
"""Months of the alarms: eight fires of summer, two of winter."""
DATES, A_DATE = 8, 60
"""assumed: dates of each season that are read, and chips kept of each; some 500 to choose from."""
DENSE = 0.7
"""assumed: the least NDVI of a pixel of the wood, on both sides."""
CLEAR_DATE = 0.9
"""assumed: the least clear share of a Romanian date that counts."""


def read_california(folder: Path) -> tuple[Chips, NDArray[np.int64]]:
    """Chips of the ten images, a group for each fire, and each chip's season (index into `SEASONS`).

    Raises:
        DataError: There is no image.
    """
    pixels, groups, seasons = [], [], []
    places = sorted(path.parent for path in (folder / "calfire-style").glob("*/before.tif"))
    if not places:
        raise DataError(f"no fire in {folder}", "calfire-style/<fire>/before.tif", "name the real data with --real")
    for number, place in enumerate(places):
        with rasterio.open(place / "before.tif") as file:
            index = {band: n + 1 for n, band in enumerate(file.descriptions)}
            image = np.stack([file.read(index[band]) / 10_000 for band in BANDS]).astype(np.float32)
        month = int(place.name[-4:-2])
        season = next(n for n, months in enumerate(SEASONS.values()) if month in months)
        found = _tiles(image, np.asarray((image > 0).all(axis=0)))
        pixels += [chip for chip, _ in found]
        groups += [number] * len(found)
        seasons += [season] * len(found)
    chips = Chips(BANDS, np.stack(pixels), np.array(groups, np.int64), ("real",) * len(pixels))
    return chips, np.array(seasons, np.int64)


def read_simulated(
    archive: Path, place: Place, rng: np.random.Generator, dates: int = DATES
) -> tuple[Chips, NDArray[np.int64]]:
    """Clear chips of one area in the same pixels, and each chip's season; groups are squares of 1.9 km.

    Raises:
        DataError: None is clear.
    """
    days = place_days(archive, place)
    block = place_block(place)
    pixels, squares, seasons = [], [], []
    for season, months in enumerate(SEASONS.values()):
        own = [day for day in days if day.month in months]
        clear_days = 0
        for day in [own[i] for i in rng.permutation(len(own))]:
            found = _day(block, day, days[day])
            chosen = sorted(rng.permutation(len(found))[:A_DATE])
            pixels += [found[i][0] for i in chosen]
            squares += [found[i][1] for i in chosen]
            seasons += [season] * len(chosen)
            clear_days += bool(found)
            if clear_days == dates:
                break
    if not pixels:
        raise DataError(f"no clear chip of {place.name}", "chips of 32 px of 20 m, clear", "check the archive")
    groups = np.unique(squares, return_inverse=True)[1].astype(np.int64)
    return Chips(BANDS, np.stack(pixels), groups, (place.name,) * len(pixels)), np.array(seasons, np.int64)


def _day(block: Block, day: date, scenes: Sequence[Any]) -> list[tuple[NDArray[np.float32], str]]:
    """Clear chips of a day, in degrees by nearest."""
    layers = read_day(block, day, scenes, BANDS, smooth=False)
    if layers is None:
        return []
    clear = np.isin(layers["scl"], CLEAR_SCL).astype(np.float32)
    source = np.stack([*(layers[band] for band in BANDS), clear])
    zone, degrees = f"EPSG:{block.lattice.epsg}", "EPSG:4326"
    height, width = block.shape
    transform, columns, rows = calculate_default_transform(
        zone, degrees, width, height, *block.bounds, resolution=(STEP, STEP)
    )
    image = np.zeros((len(source), rows, columns), np.float32)
    reproject(
        source,
        image,
        src_transform=block.transform,
        src_crs=zone,
        dst_transform=transform,
        dst_crs=degrees,
        resampling=Resampling.nearest,
    )
    return _tiles(image[:-1], image[-1] == 1)


def _tiles(image: NDArray[np.float32], clear: NDArray[np.bool_]) -> list[tuple[NDArray[np.float32], str]]:
    """Chips side by side, wholly seen and clear, each with its square; what is left over is split between the edges."""
    top, left = ((size % SIDE) // 2 for size in clear.shape)
    found = []
    for r in range(clear.shape[0] // SIDE):
        for c in range(clear.shape[1] // SIDE):
            rows = slice(top + r * SIDE, top + (r + 1) * SIDE)
            columns = slice(left + c * SIDE, left + (c + 1) * SIDE)
            chip = image[:, rows, columns]
            if clear[rows, columns].mean() >= CLEAR and (chip > 0).all():
                found.append((chip.copy(), f"{r // SQUARE}-{c // SQUARE}"))
    return found


def strata(chips: Chips, seasons: NDArray[np.int64]) -> tuple[NDArray[np.int64], list[str]]:
    """(N,) the kind and season of each chip as one number, and the numbers' names.

    Half water is water, six tenths dense dark a wood, six tenths sparse or bare bare land, the rest fields, as in
    `realism_cover`; towns are not sought.
    """
    kinds = ("water", "forest", "field mosaic", "bare land")
    cover = simple_cover(chips)
    share = {name: (cover == n).mean(axis=(1, 2)) for n, name in enumerate(CLASSES)}
    tests = [share["water"] >= 0.5, share["dense dark"] >= 0.6, share["bare"] + share["sparse"] >= 0.6]
    kind = np.select(tests, [0, 1, 3], 2)
    return seasons * len(kinds) + kind, [f"{kind}, {season}" for season in SEASONS for kind in kinds]


def simple_cover(chips: Chips) -> NDArray[np.int8]:
    """(N, H, W) index into `CLASSES`, with B12 in the place of B11, which is not there.

    So bare and built are not to be told apart, and count as bare.
    """
    pixels = np.concatenate([chips.pixels, chips.pixels[:, [chips.bands.index("B12")]]], axis=1)
    cover = cover_of(Chips((*chips.bands, "B11"), pixels, chips.groups, chips.places))
    cover[cover == CLASSES.index("built")] = CLASSES.index("bare")
    return cover


def read_wood(folder: Path) -> dict[str, list[float]]:
    """Band → quantiles of reflectance of the Romanian wood: dense pixels of mostly clear dates, May to September."""
    files = {"10": {"B02": "B2", "B03": "B3", "B04": "B4", "B08": "B8"}, "20": {"B8A": "B8A", "B11": "B11"}}
    table = {}
    for metres, bands in files.items():
        with xr.open_dataset(folder / "romania-series" / f"sentinel2_cube_subset_romania_{metres}m.nc") as file:
            layers = {name: file[name].values for name in {*bands.values(), "B4", "SCL"}}
            months = pd.DatetimeIndex(file.time.values).month
        clear = np.isin(layers["SCL"], CLEAR_SCL)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # no data is NaN there
            dense = ratio(layers[bands.get("B08", "B8A")], layers["B4"]) >= DENSE
        chosen = clear & dense & (clear.mean(axis=(1, 2)) >= CLEAR_DATE)[:, None, None]
        chosen &= np.asarray(months.isin((5, 6, 7, 8, 9)))[:, None, None]
        for band, name in bands.items():
            table[band] = _quantiles(layers[name][chosen] / 10_000)
    return table


def simulated_wood(chips: Chips, kind: NDArray[np.int8], forest: int) -> dict[str, list[float]]:
    """The same of simulated chips of forest, May to September."""
    own = chips.pick(kind == forest)
    band = dict(zip(own.bands, own.pixels.swapaxes(0, 1), strict=True))
    dense = ratio(band["B08"], band["B04"]) >= DENSE
    return {name: _quantiles(band[name][dense]) for name in ("B02", "B03", "B04", "B08", "B8A", "B11") if name in band}


def _quantiles(values: NDArray[Any]) -> list[float]:
    """Reflectance at `QUANTILES`."""
    return [round(float(v), 5) for v in np.percentile(values, QUANTILES)] if values.size else []
