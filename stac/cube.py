"""The cube: pixels of one rectangle over time, as an `xarray.Dataset`, and the chips cut from it.

The contract: dimensions `time, y, x`; one `uint16` variable per band, harmonised reflectance × 10,000, 0 = no data;
`scl` `uint8`, classes of the scene classification, 0 = no data; `source` `uint8`, 1 + index into that time's item ids
of the scene that supplied the pixel, 0 = none, and then every band is 0 too. Coordinates: `time` (UTC, one per solar
day, increasing), `y x` (pixel centres, metres), `spatial_ref`, and along time `item_ids` and `processing_baseline`,
each joined by a space. No attribute is called `scale_factor`, `add_offset` or `_FillValue`: xarray acts on them.

Letters: T time, C bands, H W pixels, N chips.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from affine import Affine
from numpy.typing import NDArray
from pyproj import CRS

from .bands import BANDS, CLEAR_SCL
from .errors import ReadError
from .files import write_whole

FORBIDDEN_ATTRS = ("scale_factor", "add_offset", "_FillValue")
"""xarray applies these when a file is opened, on top of what is already applied."""

_DIMS = ("time", "y", "x")


@lru_cache(maxsize=256)
def _crs_attrs(epsg: int) -> dict[str, Any]:
    """The CF grid mapping of a CRS, as rioxarray reads it."""
    wkt = CRS.from_epsg(epsg).to_wkt()
    return {**CRS.from_epsg(epsg).to_cf(), "crs_wkt": wkt, "spatial_ref": wkt}


def new_cube(
    bands: Mapping[str, NDArray[np.uint16]],
    scl: NDArray[np.uint8],
    source: NDArray[np.uint8],
    *,
    times: Sequence[datetime],
    item_ids: Sequence[str],
    baselines: Sequence[str],
    transform: Affine,
    epsg: int,
) -> xr.Dataset:
    """Make a cube of arrays, which are kept, not copied.

    Args:
        bands: Band → (T, H, W) harmonised reflectance × 10,000, 0 = no data.
        scl: (T, H, W) classes, 0 = no data.
        source: (T, H, W) 1 + index of the scene, 0 = none.
        times: T moments, UTC, increasing.
        item_ids: For each time its item ids, joined by a space.
        baselines: For each time its processing baselines, joined by a space.
        transform: Pixel (column, row) → metres.
        epsg: EPSG code of the CRS.
    """
    height, width = scl.shape[-2:]
    gdal_order = " ".join(str(value) for value in transform.to_gdal())
    stamps = [time.astimezone(UTC).replace(tzinfo=None) for time in times]
    cube = xr.Dataset(
        {name: (_DIMS, pixels) for name, pixels in {**bands, "scl": scl, "source": source}.items()},
        coords={
            "time": ("time", np.array(stamps, dtype="datetime64[ns]")),
            "y": ("y", transform.f + transform.e * (np.arange(height) + 0.5), {"units": "metre"}),
            "x": ("x", transform.c + transform.a * (np.arange(width) + 0.5), {"units": "metre"}),
            "spatial_ref": ((), 0, {**_crs_attrs(epsg), "GeoTransform": gdal_order}),
            "item_ids": ("time", np.array(item_ids, dtype=object)),
            "processing_baseline": ("time", np.array(baselines, dtype=object)),
        },
    )
    for name in cube.data_vars:
        cube[name].encoding["grid_mapping"] = "spatial_ref"
    return cube


def check_cube(cube: xr.Dataset) -> list[str]:
    """Everything in which a cube departs from its contract; empty when nothing does."""
    faults = [f"coordinate '{name}' is missing" for name in (*_DIMS, "spatial_ref") if name not in cube.coords]
    for name in ("item_ids", "processing_baseline"):
        if name not in cube.coords or cube[name].dims != ("time",):
            faults.append(f"coordinate '{name}' along time is missing")
    bands = [str(name) for name in cube.data_vars if name not in ("scl", "source")]
    faults += [f"variable '{name}' is no Sentinel-2 band" for name in bands if name not in BANDS]
    if not bands:
        faults.append("there is no band")
    for name, dtype in {**dict.fromkeys(bands, "uint16"), "scl": "uint8", "source": "uint8"}.items():
        if name not in cube.data_vars:
            faults.append(f"variable '{name}' is missing")
            continue
        if cube[name].dims != _DIMS:
            faults.append(f"'{name}' has dimensions {', '.join(map(str, cube[name].dims))} instead of time, y, x")
        if cube[name].dtype != dtype:
            faults.append(f"'{name}' is {cube[name].dtype} instead of {dtype}")
    for key, variable in cube.variables.items():
        attrs = {**variable.attrs, **variable.encoding}
        faults += [f"'{key}' has the attribute '{attr}'" for attr in FORBIDDEN_ATTRS if attr in attrs]
    return faults or _check_values(cube, bands)


def _check_values(cube: xr.Dataset, bands: Sequence[str]) -> list[str]:
    """Faults in the values of a cube whose variables are all there."""
    faults = []
    if cube.sizes["time"] > 1 and not (np.diff(cube["time"].values) > np.timedelta64(0)).all():
        faults.append("'time' does not increase")
    for name, sign in (("y", -1), ("x", 1)):
        steps = np.diff(cube[name].values) * sign
        if steps.size and (steps[0] <= 0 or not np.allclose(steps, steps[0])):
            faults.append(f"'{name}' is not evenly spaced {'southwards' if sign < 0 else 'eastwards'}")
    if "crs_wkt" not in cube["spatial_ref"].attrs:
        faults.append("'spatial_ref' has no 'crs_wkt'")
    counts = [len(str(ids).split()) for ids in cube["item_ids"].values]
    highest = cube["source"].max(dim=("y", "x")).values if cube["source"].size else np.zeros(len(counts), int)
    faults += [
        f"'source' reaches {top} at time {index}, where there are {count} item ids"
        for index, (top, count) in enumerate(zip(highest.tolist(), counts, strict=True))
        if top > count
    ]
    none = cube["source"].values == 0
    faults += [f"'{name}' has data where 'source' is 0" for name in bands if cube[name].values[none].any()]
    if cube["scl"].size and int(cube["scl"].max()) > 11:
        faults.append("'scl' has classes above 11")
    return faults


def save_cube(cube: xr.Dataset, path: Path) -> None:
    """Write a cube as netCDF, whole or not at all (needs netCDF4).

    Raises:
        ReadError: The cube breaks its contract.
    """
    _refuse(check_cube(cube), "the cube to be saved")
    with write_whole(path) as temporary:
        # Else xarray would give the coordinates a fill value.
        plain = {name: {"_FillValue": None} for name in cube.variables}
        cube.to_netcdf(temporary, engine="netcdf4", encoding=plain)


def open_cube(path: Path) -> xr.Dataset:
    """Read a cube written by `save_cube` into memory (needs netCDF4).

    Raises:
        ReadError: The file cannot be read, or breaks the contract.
    """
    try:
        with xr.open_dataset(path, engine="netcdf4", mask_and_scale=False) as opened:
            cube = opened.load()
    except (OSError, ValueError) as err:
        raise ReadError(f"{os.fspath(path)} cannot be read: {err}", "a cube as netCDF", "write it again") from err
    cube = cube.set_coords([name for name in ("spatial_ref", "item_ids", "processing_baseline") if name in cube])
    _refuse(check_cube(cube), os.fspath(path))
    return cube


def _refuse(faults: list[str], name: str) -> None:
    """Raise if there are faults."""
    if faults:
        raise ReadError(f"{name} breaks the contract: {'; '.join(faults)}", "a cube (stac/cube.py)", "make it anew")


def view_chips(image: NDArray[Any], chip_size: int) -> NDArray[Any]:
    """A view of an image as chips, without copying.

    Args:
        image: (..., H, W), H and W multiples of `chip_size`.
        chip_size: Side of a chip, pixels.

    Returns:
        (rows, columns, ..., chip, chip), in image order; writable where `image` is. Index it with arrays of rows and
        columns to copy just those chips.
    """
    *lead, height, width = image.shape
    chips = image.reshape(*lead, height // chip_size, chip_size, width // chip_size, chip_size)
    return np.moveaxis(chips, (-4, -2), (0, 1))


def cut_chips(image: NDArray[Any], chip_size: int) -> NDArray[Any]:
    """All chips of an image (..., H, W), copied: (N, ..., chip, chip), north to south, then west to east."""
    chips = view_chips(image, chip_size)
    return chips.reshape(-1, *chips.shape[2:])


def gather_chips(
    cube: xr.Dataset,
    bands: Sequence[str],
    chip_size: int,
    rows: NDArray[np.integer],
    cols: NDArray[np.integer],
    out: NDArray[np.uint16] | None = None,
) -> NDArray[np.uint16]:
    """Chosen chips of a cube with one time, each pixel copied once.

    Args:
        cube: One time; H and W multiples of `chip_size`.
        bands: C names, in the order wanted.
        chip_size: Side of a chip, pixels.
        rows: (N,) chip rows, southwards.
        cols: (N,) chip columns, eastwards.
        out: (at least N, C, chip, chip) memory to write to, for batch after batch; None takes new memory.

    Returns:
        (N, C, chip, chip) uint16.
    """
    shape = (len(rows), len(bands), chip_size, chip_size)
    chips = np.empty(shape, dtype=np.uint16) if out is None else out[: len(rows)]
    for index, band in enumerate(bands):
        view = view_chips(cube[band].values[0], chip_size)
        for number, (row, col) in enumerate(zip(rows, cols, strict=True)):
            chips[number, index] = view[row, col]  # one by one: view[rows, cols] would copy twice
    return chips


def clear_mask(scl: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Where the ground is seen, by the scene classification: same shape as `scl`."""
    mask = np.zeros(scl.shape, dtype=bool)
    for value in CLEAR_SCL:
        mask |= scl == value
    return mask


def chip_fraction(mask: NDArray[np.bool_], chip_size: int) -> NDArray[np.float32]:
    """Fraction of true pixels in each chip.

    Args:
        mask: (H, W), H and W multiples of `chip_size`.
        chip_size: Side of a chip, pixels.

    Returns:
        (rows, columns) float32, from 0 to 1.
    """
    height, width = mask.shape
    counts = np.empty((height // chip_size, width // chip_size), dtype=np.int64)
    for row in range(counts.shape[0]):
        # Down the columns first: that sum runs over whole rows, which a processor adds many at a time.
        tall = mask[row * chip_size : (row + 1) * chip_size].sum(axis=0, dtype=np.uint16)
        counts[row] = tall.reshape(-1, chip_size).sum(axis=1, dtype=np.int64)
    return (counts / chip_size**2).astype(np.float32)


def clear_fraction(scl: NDArray[np.uint8], chip_size: int) -> NDArray[np.float32]:
    """Fraction of clear pixels in each chip: `chip_fraction(clear_mask(scl), chip_size)`, in little memory.

    Args:
        scl: (H, W) classes, H and W multiples of `chip_size`.
        chip_size: Side of a chip, pixels.

    Returns:
        (rows, columns) float32.
    """
    rows = range(0, scl.shape[0], chip_size)
    return np.concatenate([chip_fraction(clear_mask(scl[row : row + chip_size]), chip_size) for row in rows])


def chip_scenes(source: NDArray[np.uint8], chip_size: int, count: int) -> NDArray[np.bool_]:
    """Which scenes supplied a pixel of which chip.

    Args:
        source: (H, W) as in the cube, one time.
        chip_size: Side of a chip, pixels.
        count: Scenes that day, S.

    Returns:
        (S, rows, columns).
    """
    seen = np.zeros((count, source.shape[0] // chip_size, source.shape[1] // chip_size), dtype=bool)
    for index in range(count):
        seen[index] = chip_fraction(source == index + 1, chip_size) > 0
    return seen
