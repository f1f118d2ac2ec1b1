"""The demo store: the simulated archive, built with the encoder that needs no weights."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pystac

from stac.cli import data_folder
from stac.simulate import simulate_archive
from stac.simulation.catalog import STAMP, stamp_text

from .manifest import STORE_VERSION, Manifest
from .pairs import Pairing
from .pipeline import build_store
from .plan import ITEMS, PLAN, BuildConfig

DEMO_CHIP_SIZE = 32
"""Pixels: 320 m, small enough that one clear-cut fills a chip."""

DEMO_PAIRS: Pairing = "yearly"
"""A year apart, dates differ by what happened; a few days apart, mostly by clouds, haze and the state of the fields.
measured on the demo archive (three years, 47 labelled events ask, 6 bands) with
`index.evaluate --protocol places --k 10`, each location once, mean AP@10 over the classes, 95 % interval and chance:
yearly pairs 0.089 (0.060 to 0.122) and 0.006, consecutive 0.037 (0.020 to 0.062) and 0.002."""

DEMO_MONTHLY = True
"""One date a month: by the same command 0.094 (0.062 to 0.124), the same as with all dates. It is chosen because a
change ratio then rests on observations of several months, and a store has less than half of the rows (7,736 of 16,794,
`index.build` with `--no-monthly`)."""

DEMO_SEED = 0


def demo_config(store: Path, *, progress: bool = False) -> BuildConfig:
    """Write the simulated archive where it is not there yet, and say how to build its store.

    Args:
        store: Folder of the store to make.
        progress: Show a progress bar on standard error.

    Raises:
        DataError: The archive's folder holds something else.
        OSError: The disk is full.
    """
    catalog = simulate_archive(data_folder() / "archives" / "demo", seed=DEMO_SEED, progress=progress)
    west, south, east, north = archive_bounds(catalog)
    return BuildConfig(
        catalog=str(catalog),
        store=str(store),
        area=f"{west},{south},{east},{north}",
        period="2021-01-01/2023-12-31",
        pairs=DEMO_PAIRS,
        monthly=DEMO_MONTHLY,
        chip_size=DEMO_CHIP_SIZE,
        labels=str(catalog.with_name("events.geojson")),
    )


def build_demo(config: BuildConfig, *, progress: bool = False, retry_missing: bool = False) -> Manifest:
    """Build the demo store; one of another version, or of an older archive, is set aside first, under another name.

    Args:
        config: As `demo_config` gives it.
        progress: Show a progress bar on standard error.
        retry_missing: Read again the parts in which pixels could not be had.

    Raises:
        DataError: The store's folder holds something else.
        OSError: The disk is full.
    """
    store = Path(config.store)
    version = _version(store)
    if version != STORE_VERSION or _is_outdated(store, Path(config.catalog)):
        store.rename(store.with_name(f"{store.name}-version-{version}-{time.time_ns()}"))  # nothing is deleted
    return build_store(config, progress=progress, retry_missing=retry_missing)


def _version(store: Path) -> int:
    """Layout version of a store; the present one where nothing readable stands there: the build says what is wrong."""
    try:
        return int(json.loads((store / PLAN).read_text(encoding="utf-8"))["version"])
    except (OSError, ValueError, KeyError, TypeError):
        return STORE_VERSION


def _is_outdated(store: Path, catalog: Path) -> bool:
    """Whether a store was built from another archive than the one that stands at its catalog now, by their stamps."""
    try:
        said = json.loads(catalog.with_name("simulation.json").read_text(encoding="utf-8"))
        item = json.loads((store / ITEMS).read_text(encoding="utf-8"))["features"][0]
        return bool(item["properties"].get(STAMP) != stamp_text(said))
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return False  # no store yet, or damaged: left to the build


def archive_bounds(catalog: Path) -> tuple[float, float, float, float]:
    """West, south, east, north (degrees) of a static catalog's collections."""
    collections = pystac.Catalog.from_file(str(catalog)).get_collections()
    boxes = [box for collection in collections for box in collection.extent.spatial.bboxes]
    west, south, east, north = zip(*boxes, strict=True)
    return min(west), min(south), max(east), max(north)
