"""The simulated archive's pixels: cloud-optimised GeoTIFFs, and the planted truth as GeoJSON."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from affine import Affine
from numpy.typing import NDArray
from rasterio.enums import Resampling
from rasterio.shutil import copy

from .bands import BANDS as BAND_TABLE
from .bands import SCL
from .simulate_catalog import COLLECTION, EPSG, ORIGIN, Product, band_asset, new_item, scl_asset
from .simulate_scene import to_20m
from .simulate_spectra import BANDS

_AT_ROOT = frozenset({"catalog.json", "events.geojson", "simulation.json", COLLECTION})
_ITEM_ID = re.compile(r"S2[AB]_\d{2}[A-Z]{3}_\d{8}_\d_L2A")
_OF_ITEM = frozenset({f"{name}.tif" for name in (*BANDS, SCL)})


def write_item(
    root: Path, product: Product, bands: NDArray[np.uint16], scl: NDArray[np.uint8], west: int
) -> dict[str, Any]:
    """Write an item's files and its JSON.

    Args:
        root: Folder of the archive.
        product: What is delivered.
        bands: (bands, h, w), the tile's reflectance × 10,000 without offset, 10 m, order of `BANDS`, 0 = no data.
        scl: (h/2, w/2), the tile's classification, 20 m.
        west: West edge of the tile, metres.

    Returns:
        The item.
    """
    folder = root / COLLECTION / product.item_id
    folder.mkdir(parents=True)
    assets = {}
    for name, band in zip(BANDS, bands, strict=True):
        gsd = BAND_TABLE[name].gsd
        stored = _store(band if gsd == 10 else to_20m(band), product)
        _write_cog(folder / f"{name}.tif", stored, west, gsd)
        assets[BAND_TABLE[name].common_name] = band_asset(name, stored.shape, west, product)
    _write_cog(folder / f"{SCL}.tif", scl, west, 20)
    assets["scl"] = scl_asset(scl.shape, west)
    item = new_item(product, bands[0] > 0, scl, west, assets)
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
                ours = name in _AT_ROOT
            case [_]:
                ours = name == "collection.json" or bool(_ITEM_ID.fullmatch(name))
            case [_, item_id]:
                ours = name in _OF_ITEM or name == f"{item_id}.json"
            case _:
                ours = False
        if not ours or path.is_symlink():
            return path
    return None


def _store(band: NDArray[np.uint16], product: Product) -> NDArray[np.uint16]:
    """Pixels as delivered: with this delivery's gain and offset, 0 = no data."""
    out = band if product.gain == 1.0 else (band * product.gain).astype(np.uint16)
    return np.where(band > 0, out + np.uint16(product.offset), np.uint16(0))


def _write_cog(path: Path, pixels: NDArray[Any], west: int, gsd: int) -> None:
    """Write one band (h, w) as a COG: deflate, differences, tiles of 512, overviews."""
    byte = pixels.dtype == np.uint8
    profile = {
        "driver": "GTiff",
        "width": pixels.shape[1],
        "height": pixels.shape[0],
        "count": 1,
        "dtype": pixels.dtype.name,
        "crs": f"EPSG:{EPSG}",
        "transform": Affine(gsd, 0, west, 0, -gsd, ORIGIN[1]),
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
