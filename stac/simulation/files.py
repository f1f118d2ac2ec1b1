"""The simulated archive's files: cloud-optimised GeoTIFFs, and the folder, which is replaced whole."""

from __future__ import annotations

import contextlib
import errno
import json
import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from affine import Affine
from numpy.typing import NDArray
from rasterio.enums import Resampling
from rasterio.shutil import copy

from ..bands import BANDS as BAND_TABLE
from ..bands import SCL
from ..errors import DataError, StoreError
from ..files import lock
from .catalog import COLLECTION, band_asset, new_item, scl_asset, west_of
from .covers import BANDS
from .products import Product

AT_ROOT = frozenset({"catalog.json", "events.geojson", "areas.geojson", "simulation.json", COLLECTION})
"""Names at the root of an archive."""

_ITEM_ID = re.compile(r"S2[AB]_\d{2}[A-Z]{3}_\d{8}_\d_L2A")
_OF_ITEM = frozenset({f"{name}.tif" for name in (*BANDS, SCL)})
_LARGEST = 28_000
"""assumed: level 2A holds no larger value in practice, and with the offset it fits into 15 bits."""


def write_item(
    root: Path,
    product: Product,
    bands: Mapping[str, NDArray[np.uint16]],
    scl: NDArray[np.uint8],
    *,
    step: int = 1,
    stamp: str = "",
) -> dict[str, Any]:
    """Write an item's files and its JSON.

    Args:
        root: Folder of the archive.
        product: What is delivered.
        bands: Name → the tile's reflectance × 10,000 without offset, at 10 m (h, w) or 20 m (h/2, w/2) as is the band's
            own; 0 = no data. All of `covers.BANDS`.
        scl: (h/2, w/2), the tile's classification, 20 m.
        step: Values are rounded to multiples of this, before the offset is added: at about half of the noise nothing is
            lost that could be measured, and the files are smaller.
        stamp: Which archive it belongs to, as `catalog.stamp_text` says it.

    Returns:
        The item.
    """
    folder = root / COLLECTION / product.item_id
    folder.mkdir(parents=True)
    assets = {}
    for name in BANDS:
        stored = _store(bands[name], product, step)
        _write_cog(folder / f"{name}.tif", stored, product, BAND_TABLE[name].gsd)
        assets[BAND_TABLE[name].common_name] = band_asset(name, stored.shape, product)
    _write_cog(folder / f"{SCL}.tif", scl, product, 20)
    assets["scl"] = scl_asset(scl.shape, product)
    item = new_item(product, scl, assets, stamp)
    (folder / f"{product.item_id}.json").write_text(json.dumps(item, indent=1) + "\n", encoding="utf-8")
    return item


def find_foreign(root: Path) -> Path | None:
    """The first file or folder in an archive's folder that is not part of an archive; None when there is none.

    Args:
        root: Folder of the archive.
    """
    for path in sorted(root.rglob("*")):
        *folders, name = path.relative_to(root).parts
        match folders:
            case []:
                ours = name in AT_ROOT
            case [_]:
                ours = name == "collection.json" or bool(_ITEM_ID.fullmatch(name))
            case [_, item_id]:
                ours = name in _OF_ITEM or name == f"{item_id}.json"
            case _:
                ours = False
        if not ours or path.is_symlink():
            return path
    return None


def is_whole(root: Path) -> bool:
    """Whether all files of an archive are there, those of JSON can be read, and none is empty.

    Args:
        root: Folder of the archive.
    """
    try:
        for name in AT_ROOT - {COLLECTION}:
            json.loads((root / name).read_text(encoding="utf-8"))
        collection = json.loads((root / COLLECTION / "collection.json").read_text(encoding="utf-8"))
        items = [root / COLLECTION / link["href"] for link in collection["links"] if link["rel"] == "item"]
        files = [item.with_name(name) for item in items for name in (item.name, *_OF_ITEM)]
        return bool(items) and all(path.stat().st_size > 0 for path in files)
    except (OSError, ValueError, KeyError, TypeError):
        return False


@contextlib.contextmanager
def replaced(out: Path) -> Iterator[Path]:
    """A new folder to write into, which takes the place of `out` at the end; on any failure what stood there stays.

    It is made in a work folder beside `out`, which is locked for one run and goes at the end. What a run that was
    killed left in it goes first.

    Args:
        out: The folder to make or replace; a link stays one.

    Raises:
        DataError: Another run is writing there, or no folder can be made or replaced there.
        OSError: The disk is full, or may not be written, with `out` for its name.
    """
    place = out.resolve()
    if place.is_mount():
        raise DataError(
            f"{out} is the top of a disk, which cannot be replaced", "a folder on it", "add a folder's name"
        )
    work = _work_folder(place)
    try:
        with _held(work, out):
            _clear(work, place)
            (work / "new").mkdir()
            try:
                yield work / "new"
                if place.exists():  # an older archive goes only once the new one is in its place
                    place.rename(work / "old")
                (work / "new").rename(place)
            finally:
                _clear(work, place)
    except OSError as err:
        if err.errno is not None:
            err.filename, err.filename2 = str(out), None  # the name that the person knows
        raise
    finally:
        with contextlib.suppress(OSError):  # another run has it by now, or it was never made
            work.rmdir()


def clear_leftovers(out: Path) -> None:
    """Take away what a killed run left beside `out`, and put back what it had put aside; a live run's stays."""
    place = out.resolve()
    work = _work_folder(place)
    with contextlib.suppress(StoreError, OSError):
        if work.is_dir():
            with lock(work):
                _clear(work, place)
            work.rmdir()


def _work_folder(place: Path) -> Path:
    """Where a run works: beside its place, so that moving there is one step."""
    return place.parent / f".simulating-{place.name}"


@contextlib.contextmanager
def _held(work: Path, out: Path) -> Iterator[None]:
    """The work folder, made and locked.

    Raises:
        DataError: Another run holds it, or no folder can be made there.
    """
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(lock(work))
        except StoreError as err:
            raise DataError(f"another run is writing {out}", "one run at a time", "wait for it, or stop it") from err
        except FileNotFoundError as err:  # all folders on the way are made: none can be made there (`/proc`)
            cause = err.strerror or errno.errorcode[errno.ENOENT]
            raise DataError(
                f"{out} cannot be made ({cause})", "a folder that can be written", "choose another folder with --out"
            ) from err
        yield


def _clear(work: Path, place: Path) -> None:
    """Empty a work folder that is held; an older archive that lost its place gets it back."""
    old = work / "old"
    if old.exists() and place.is_dir():
        with contextlib.suppress(OSError):  # an empty folder is no archive
            place.rmdir()
    if old.exists() and not place.exists():
        old.rename(place)
    for left in (work / "new", old):
        shutil.rmtree(left, ignore_errors=True)


def _store(band: NDArray[np.uint16], product: Product, step: int) -> NDArray[np.uint16]:
    """Pixels as delivered: with this delivery's gain and offset, 0 = no data."""
    out = band if product.gain == 1.0 else np.rint(band * product.gain).astype(np.uint16)
    if step > 1:
        out = (out + np.uint16(step // 2)) // np.uint16(step) * np.uint16(step)
    out = np.clip(out, np.uint16(step), np.uint16(_LARGEST))
    return np.where(band > 0, out + np.uint16(product.offset), np.uint16(0))


def _write_cog(path: Path, pixels: NDArray[Any], product: Product, gsd: int) -> None:
    """Write one band (h, w) as a COG: deflate, differences, tiles of 512, overviews."""
    byte = pixels.dtype == np.uint8
    profile = {
        "driver": "GTiff",
        "width": pixels.shape[1],
        "height": pixels.shape[0],
        "count": 1,
        "dtype": pixels.dtype.name,
        "crs": f"EPSG:{product.area.epsg}",
        "transform": Affine(gsd, 0, west_of(product), 0, -gsd, product.area.north),
        "nodata": 0,
    }
    # Written in memory first: GDAL's own errors do not tell a full disk from any other fault.
    with rasterio.MemoryFile() as memory, memory.open(**profile) as file, rasterio.MemoryFile() as cog:
        file.write(pixels, 1)
        # Every fourth pixel is enough for a quick look; a first overview of half the size would add a quarter.
        file.build_overviews([4], Resampling.nearest if byte else Resampling.average)
        copy(
            file,
            cog.name,
            driver="COG",
            compress="DEFLATE",
            predictor="NO" if byte else "STANDARD",
            level=1,
            blocksize=512,
            overviews="FORCE_USE_EXISTING",
        )
        path.write_bytes(cog.getbuffer())
