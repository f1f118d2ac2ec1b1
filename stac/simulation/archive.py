"""Writing a simulated archive: the folder as a whole, and everything that is drawn into it.

The same plan and seed give the same bytes, however many threads draw: each area and each pass has a chance of its own,
and what they return is put together in the order of the plan.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry
from tqdm import tqdm

from ..errors import DataError
from ..lattice import to_lonlat
from .areas import Area, Plan
from .biomes import BIOMES, Biome
from .catalog import NOTICE, stamp_text, write_areas, write_catalog, write_geojson
from .change import Change
from .covers import BANDS_20M
from .dates import clear_part, event_dates, is_smoky, shows
from .events import new_counts, outline, plant_changes
from .files import clear_leftovers, find_foreign, is_whole, replaced, write_item
from .ground import Ground
from .landscape import new_ground
from .passes import cut_tile, plan_overpasses, swath
from .phenology import new_season
from .products import Product, plan_products
from .season import Season
from .shot import Shot
from .view import BANDS_10M, View, new_view
from .years import Years, new_years

VERSION = 4
"""Raised when the same size and seed no longer give the same bytes."""

_GROUND, _CHANGES, _OVERPASSES, _PRODUCTS, _SHOTS, _YEARS = range(6)

Feature = tuple[Mapping[str, Any], Mapping[str, Any]]


@dataclass(frozen=True, eq=False)
class _Site:
    """An area as it is drawn."""

    area: Area
    biome: Biome
    ground: Ground
    changes: list[Change]
    plan: Plan
    seed: int
    years: Years
    stamp: str


def write_archive(
    out: Path, plan: Plan, *, size: str, seed: int, progress: bool = False, workers: int | None = None
) -> Path:
    """Write an archive, or reuse the one that stands there whole, from the same plan and seed.

    It is written beside its place and moved there whole: what stood there before goes only then.

    Args:
        out: Folder to write; made when absent. An older archive of this program in it is replaced.
        plan: What to simulate.
        size: The plan's name, which the archive's stamp states.
        seed: Names the country; the same plan and seed give the same bytes.
        progress: Show a progress bar on standard error.
        workers: Threads that draw; None: as many as there are processors, at most 4.

    Returns:
        Path of `catalog.json`. The planted truth lies beside it in `events.geojson`.

    Raises:
        DataError: The folder holds something else, cannot be made, or another run is writing it.
        OSError: The disk is full, or the folder cannot be written.
    """
    stamp = {"size": size, "seed": seed, "version": VERSION}
    if ".." in out.parts:  # `absent/../folder` is looked at, and replaced, as `folder`
        out = out.resolve()
    if out.name:
        clear_leftovers(out)
    found, wanted = _read_stamp(out), {**stamp, "plan": _plain(plan)}
    if found is not None and {key: found.get(key) for key in wanted} == wanted and is_whole(out):
        return out / "catalog.json"
    foreign = find_foreign(out)
    if foreign is not None:
        raise _refusal(f"{foreign} stands in an older archive, which would be replaced")
    with replaced(out) as part:
        _simulate(part, plan, stamp, progress, workers or min(os.cpu_count() or 1, 4))
        text = json.dumps({**wanted, "notice": NOTICE}, indent=1) + "\n"
        (part / "simulation.json").write_text(text, encoding="utf-8")
        foreign = find_foreign(out)
        if foreign is not None:
            raise _refusal(f"{foreign} was put into the older archive while the new one was drawn")
    return out / "catalog.json"


def _plain(plan: Plan) -> dict[str, Any]:
    """A plan as JSON gives it back."""
    found: dict[str, Any] = json.loads(json.dumps(asdict(plan), default=str))
    return found


def _read_stamp(out: Path) -> dict[str, Any] | None:
    """What `simulation.json` says of an archive that stands there; None when there is nothing.

    Raises:
        DataError: Something other than an archive of this program stands there, or nothing could.
    """
    if not out.name:
        raise DataError(f"the folder '{out}'", "one with a name", "choose another folder with --out")
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return None
    try:
        content = json.loads((out / "simulation.json").read_text(encoding="utf-8"))
        if not isinstance(content, dict) or not {"plan", "notice", "seed"} <= content.keys():
            raise ValueError("no stamp of this program")
        return content
    except (OSError, ValueError) as err:
        raise _refusal(f"{out} holds something that is no simulated archive") from err


def _refusal(found: str) -> DataError:
    """Why an archive is not written over what is there."""
    expected = "an absent or empty folder, or an archive of this program and nothing else"
    return DataError(found, expected, "move it away, or choose another folder with --out")


def _simulate(root: Path, plan: Plan, stamp: Mapping[str, Any], progress: bool, workers: int) -> None:
    """Draw everything and write it below `root`."""
    seed = int(stamp["seed"])
    schedules = [_schedule(area, plan, seed) for area in plan.areas]
    items: list[dict[str, Any]] = []
    features: list[Feature] = []
    passes = sum(map(len, schedules))
    with ThreadPoolExecutor(workers) as pool, tqdm(total=passes, desc="passes", unit="", disable=not progress) as bar:
        for area, schedule in zip(plan.areas, schedules, strict=True):
            site = _new_site(area, plan, seed, stamp_text(stamp))
            seen = []
            for written, clear in pool.map(partial(_draw, root, site), schedule):
                items += written
                seen.append(clear)
                bar.update()
            shots = [products[0].overpass.shot for products in schedule]
            features += [_feature(site, n, shots, [clear[n] for clear in seen]) for n in range(len(site.changes))]
    write_catalog(root, items)
    write_areas(root / "areas.geojson", plan.areas)
    write_geojson(root / "events.geojson", features, "event_id")


def _rng(seed: int, area: Area, part: int, number: int = 0) -> np.random.Generator:
    """The chance of one part of the work in one area: which thread draws it, and when, changes nothing."""
    key = (zlib.crc32(area.name.encode()), part, number)
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=key)))


def _schedule(area: Area, plan: Plan, seed: int) -> list[list[Product]]:
    """The products of each pass over an area."""
    overpasses = plan_overpasses(area, BIOMES[area.biome], plan, _rng(seed, area, _OVERPASSES))
    return plan_products(area, overpasses, plan, _rng(seed, area, _PRODUCTS))


def _new_site(area: Area, plan: Plan, seed: int, stamp: str) -> _Site:
    """An area's ground and what changes on it."""
    biome = BIOMES[area.biome]
    ground = new_ground(biome, area.shape, _rng(seed, area, _GROUND))
    counts = new_counts(biome, plan.events)
    changes = plant_changes(ground, counts, (plan.first, plan.last), _rng(seed, area, _CHANGES))
    return _Site(area, biome, ground, changes, plan, seed, new_years(_rng(seed, area, _YEARS)), stamp)


def _draw(root: Path, site: _Site, products: Sequence[Product]) -> tuple[list[dict[str, Any]], list[float]]:
    """Draw one pass and write its products; returns the items, and the clear part of each change's pixels."""
    area, overpass = site.area, products[0].overpass
    season = _season(site, overpass.shot)
    inside = swath(area, overpass)
    items: list[dict[str, Any]] = []
    seen = np.zeros((area.shape[0] // 2, area.shape[1] // 2), dtype=np.uint8)
    views: dict[Shot, tuple[dict[str, NDArray[np.uint16]], NDArray[np.uint8]]] = {}
    for product in products:
        if product.shot not in views:  # the same chance: deliveries differ in nothing but what their shots say
            rng = _rng(site.seed, area, _SHOTS, product.shot.index)
            view = new_view(site.ground, site.changes, season, site.biome, product.shot, rng)
            views[product.shot] = _within(view, inside)
        bands, scl = views[product.shot]
        tile = {name: cut_tile(area, product.tile, band, _gsd_px(name)) for name, band in bands.items()}
        tile_scl = cut_tile(area, product.tile, scl, 2)
        items.append(write_item(root, product, tile, tile_scl, step=site.plan.step, stamp=site.stamp))
        part = cut_tile(area, product.tile, seen, 2)
        part[...] = tile_scl
    smoky = is_smoky(overpass.shot, site.changes)
    return items, [clear_part(seen, change, overpass.shot, site.ground, smoky) for change in site.changes]


def _season(site: _Site, shot: Shot) -> Season:
    """Looks of a pass's day."""
    day = shot.time.date()
    year = day.year - site.plan.first.year
    return new_season(site.biome, day.timetuple().tm_yday, year, site.ground.fields, site.years)


def _gsd_px(name: str) -> int:
    """Pixels of 10 m on a side of a band's pixels."""
    return 2 if name in BANDS_20M else 1


def _within(view: View, inside: NDArray[np.bool_] | None) -> tuple[dict[str, NDArray[np.uint16]], NDArray[np.uint8]]:
    """A view's bands by name and its classification; 0 beyond the swath (H/2, W/2)."""
    bands10, bands20, scl = view.bands10, view.bands20, view.scl
    if inside is not None:
        bands10 = bands10 * np.repeat(np.repeat(inside, 2, axis=0), 2, axis=1)
        bands20, scl = bands20 * inside, scl * inside
    names = (*BANDS_10M, *BANDS_20M)
    return dict(zip(names, (*bands10, *bands20), strict=True)), scl


def _feature(site: _Site, number: int, shots: Sequence[Shot], clear: Sequence[float]) -> Feature:
    """Outline (degrees) and properties of a change, with the nearest passes that show it."""
    area, change = site.area, site.changes[number]
    before, after = event_dates(
        change, shots, clear, site.ground, lambda shot: shows(change, shot, _season(site, shot), site.biome)
    )
    shape = cast(BaseGeometry, outline(change, area.west, area.north))
    lonlat = shapely.transform(shape, lambda xy: np.column_stack(to_lonlat(area.epsg).transform(*xy.T)))
    return shapely.geometry.mapping(lonlat), {
        "event_id": f"{area.name}-{change.event_id}",
        "class": change.kind,
        "start": change.start.isoformat(),
        "end": change.end.isoformat(),
        "before_date": before,
        "after_date": after,
        "area_ha": round(shape.area / 10_000, 1),
        "area": area.name,
        "biome": area.biome,
        "split": area.split,
        "simulated": True,
    }
