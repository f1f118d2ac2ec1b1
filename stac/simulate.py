"""The simulated archive: a small piece of invented country, three years of Sentinel-2 over it, and what changed there.

    python -m stac.simulate --out data/simulated --size demo

writes COGs and a STAC catalog (`catalog.json`) in the form of Earth Search v1, and `events.geojson`, the planted
truth: wildfires, roads, clear-cuts and solar farms with their outlines and dates. Clouds, snow, harvests, the seasons,
two processing baselines, missing tiles and a reprocessed duplicate are in it too, and are no events. The same size
and seed give the same bytes. `simulate_archive` is the one way in.
"""

from __future__ import annotations

import argparse
import glob
import json
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from affine import Affine
from numpy.typing import NDArray
from rasterio.features import shapes
from tqdm import tqdm

from .bands import CLEAR_SCL
from .cli import check_folder, number, parse_args
from .errors import DataError, exit_code
from .lattice import to_lonlat
from .simulate_catalog import EPSG, NOTICE, ORIGIN, TILES, Product, write_catalog, write_geojson
from .simulate_events import Event, plant_events
from .simulate_files import find_foreign, write_item
from .simulate_landscape import new_landscape
from .simulate_scene import SKIES, Pass, View, new_view, sun_angles

VERSION = 1
"""Raised when the same size and seed no longer give the same bytes."""


@dataclass(frozen=True)
class Plan:
    """How much to simulate."""

    tile: int
    """Side of a tile, pixels of 10 m, even."""
    step: int
    """Pixels from the first tile's west edge to the second's, even."""
    months: int = 36
    """Months from January 2021, with a pass or two in each."""
    extra: int = 2
    """Months with two passes."""
    counts: Mapping[str, int] = field(
        default_factory=lambda: {"wildfire": 6, "solar_farm": 3, "clear_cut": 9, "road": 5}
    )
    """Class → number of events, in the order in which they are placed."""


_SIZES = {
    "demo": Plan(900, 680),
    "benchmark": Plan(1800, 1360, extra=24, counts={"wildfire": 18, "solar_farm": 8, "clear_cut": 30, "road": 16}),
}


def simulate_archive(out: Path, *, size: str = "demo", seed: int = 0, progress: bool = False) -> Path:
    """Write a simulated archive, or reuse the one that stands there from the same size and seed.

    Args:
        out: Folder to write; made when absent. An older archive of this program in it is replaced.
        size: `demo` (15.8 × 9.0 km, 38 passes) or `benchmark` (31.6 × 18.0 km, 60 passes).
        seed: Names the country; the same seed gives the same bytes.
        progress: Show a progress bar on standard error.

    Returns:
        Path of `catalog.json`. The planted truth lies beside it in `events.geojson`.

    Raises:
        DataError: The size is unknown, or the folder holds something else.
        OSError: The disk is full, or the folder cannot be written.
    """
    if size not in _SIZES:
        raise DataError(f"size '{size}'", " or ".join(_SIZES), "choose one of these sizes")
    if seed < 0:
        raise DataError(f"seed {seed}", "a whole number from 0", "choose another seed")
    return _write_archive(Path(out), _SIZES[size], {"size": size, "seed": seed, "version": VERSION}, progress)


def _write_archive(out: Path, plan: Plan, stamp: Mapping[str, Any], progress: bool = False) -> Path:
    """`simulate_archive` for any plan; `stamp` is what `simulation.json` says, with the seed in it."""
    found = _read_stamp(out)
    whole = (out / "catalog.json").exists() and (out / "events.geojson").exists()
    if found is not None and whole and all(found.get(key) == value for key, value in stamp.items()):
        return out / "catalog.json"
    foreign = find_foreign(out)
    if foreign is not None:
        raise _refusal(f"{foreign} stands in an older archive, which would be replaced")
    place = out.resolve()  # a link stays one
    place.parent.mkdir(parents=True, exist_ok=True)
    for left in place.parent.glob(f".simulating-{glob.escape(place.name)}-*"):  # of runs that were killed
        process = left.name.rsplit("-", 1)[1]
        if process.isdigit() and (int(process) == os.getpid() or not _is_running(int(process))):
            shutil.rmtree(left, ignore_errors=True)
    part = place.parent / f".simulating-{place.name}-{os.getpid()}"
    aside = place.parent / f".simulating-{place.name}-old-{os.getpid()}"
    part.mkdir()
    try:
        _simulate(part, plan, int(stamp["seed"]), progress)
        record = {**stamp, "plan": asdict(plan), "notice": NOTICE}
        (part / "simulation.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
        if place.exists():  # an older archive goes only once the new one is in its place
            place.rename(aside)
        part.rename(place)
    except BaseException as err:
        if aside.exists() and not place.exists():
            aside.rename(place)
        if isinstance(err, OSError) and err.errno is not None:
            err.filename = str(out)  # the name that the person knows
        raise
    finally:
        shutil.rmtree(part, ignore_errors=True)
        shutil.rmtree(aside, ignore_errors=True)
    return out / "catalog.json"


def _is_running(process: int) -> bool:
    """Whether a process of this machine lives."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # it lives, and is someone else's
        return True
    return True


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


def _simulate(root: Path, plan: Plan, seed: int, progress: bool) -> None:
    """Draw everything and write it below `root`, with as many threads as there are processors."""
    shape = (plan.tile, plan.tile + plan.step)
    ground, chance, calendar = (np.random.Generator(np.random.PCG64(s)) for s in _seeds(seed, 0, 3))
    land = new_landscape(shape, ground)
    passes = _plan_passes(plan, calendar)
    ends = passes[0].time.date(), passes[-1].time.date()
    events = plant_events(land, plan.counts, ends, chance)
    products = _plan_products(passes, calendar)

    def draw(shot: Pass) -> tuple[list[dict[str, Any]], list[float]]:
        rng = np.random.Generator(np.random.PCG64(_seeds(seed, 1 + shot.index, 1)[0]))
        view = new_view(land, events, shot, passes[0].time.year, rng)
        items, seen = [], np.zeros_like(view.scl)
        for product in (p for p in products if p.shot is shot):
            left = plan.step * TILES.index(product.tile)
            bands, scl = _cut_tile(plan, product, view)
            part = seen[:, left // 2 : (left + plan.tile) // 2]
            np.maximum(part, scl, out=part)
            items.append(write_item(root, product, bands, scl, ORIGIN[0] + 10 * left))
        return items, [_clear(seen, event) for event in events]

    with ThreadPoolExecutor(min(os.cpu_count() or 1, 4)) as pool:
        drawn = list(tqdm(pool.map(draw, passes), "passes", len(passes), unit="", disable=not progress))
    write_catalog(root, [item for items, _ in drawn for item in items])
    seen = np.array([clear for _, clear in drawn])
    write_geojson(root / "events.geojson", [_feature(e, passes, seen[:, n]) for n, e in enumerate(events)])


def _seeds(seed: int, key: int, count: int) -> list[np.random.SeedSequence]:
    """Independent seeds of one part of the work: which thread draws it, and when, changes nothing."""
    return list(np.random.SeedSequence(seed, spawn_key=(key,)).spawn(count))


def _plan_passes(plan: Plan, rng: np.random.Generator) -> list[Pass]:
    """Roughly one pass a month from January 2021 on the satellites' rhythm of five days."""
    first = datetime(2021, 1, 4, 18, 49, 21, tzinfo=UTC)
    months = [(2021 + m // 12, m % 12 + 1) for m in range(plan.months)]
    twice = set(rng.choice(plan.months, size=min(plan.extra, plan.months), replace=False).tolist())
    days: set[int] = set()
    for m, (year, month) in enumerate(months):
        for _ in range(2 if m in twice else 1):
            wanted = (datetime(year, month, 1, 18, 49, 21, tzinfo=UTC) - first).days + int(rng.integers(4, 26))
            days.add(max(wanted, 0) // 5)
    lon, lat = to_lonlat(EPSG).transform(ORIGIN[0] + 5 * (plan.tile + plan.step), ORIGIN[1] - 5 * plan.tile)
    skies = _plan_skies(len(days), rng)
    passes = []
    for index, (n, sky) in enumerate(zip(sorted(days), skies, strict=True)):
        time = first + timedelta(days=5 * n, seconds=int(rng.integers(-40, 40)))
        winter = time.month in (12, 1, 2)
        snow = float(rng.uniform(430, 700)) if winter and sky != "overcast" and rng.random() < 0.45 else float("inf")
        passes.append(Pass(index, time, sky, snow, *sun_angles(time + timedelta(minutes=11), lon, lat)))
    return passes


def _plan_skies(count: int, rng: np.random.Generator) -> list[str]:
    """A sky for each pass: one in nineteen overcast, two in five with some cloud, the rest clear or hazy."""
    part = dict(zip(SKIES, (0.0, 0.16, 0.08, 0.20, 0.08, 0.053), strict=True))
    skies = [sky for sky, share in part.items() for _ in range(max(1, round(share * count)) if share else 0)]
    skies = (skies + ["clear"] * count)[: max(count, 1)]
    return [str(sky) for sky in rng.permutation(skies)]


def _plan_products(passes: Sequence[Pass], rng: np.random.Generator) -> list[Product]:
    """Which tiles each pass delivered, and how: every way in which the offset of baseline 04.00 is met in catalogs."""
    products: list[Product] = []
    for shot in passes:
        old = [("03.01", False), ("02.14", False), ("05.00", False)]  # some reprocessed: the date tells nothing
        ways = old if shot.time.year < 2022 else [("05.09", False), ("05.09", True)]
        baseline, applied = ways[int(rng.integers(len(ways)))]
        for tile in TILES:
            gone = shot.index % 9 == 4 and tile == TILES[shot.index % 2]
            if not gone:
                products.append(Product(tile, shot, baseline, applied))
    twin = next((p for p in products if p.baseline >= "05.00"), None)
    if twin is not None:  # an older delivery of the same tile and pass, a little brighter
        gain = float(rng.uniform(1.02, 1.04))
        products.append(Product(twin.tile, twin.shot, "04.00", False, sequence=1, gain=gain))
    return products


def _cut_tile(plan: Plan, product: Product, view: View) -> tuple[NDArray[np.uint16], NDArray[np.uint8]]:
    """Bands (bands, h, w) and classification (h/2, w/2) of one tile of a pass; what lies beyond the swath is 0."""
    left = plan.step * TILES.index(product.tile)
    bands = view.bands[:, :, left : left + plan.tile]
    scl = view.scl[:, left // 2 : (left + plan.tile) // 2]
    if product.shot.index % 13 == 6 and product.tile == TILES[1]:
        y, x = np.mgrid[0 : plan.tile // 2, 0 : plan.tile // 2]
        kept = x < plan.tile // 2 * 0.82 - y * 0.24
        scl = np.where(kept, scl, np.uint8(0))
        bands = bands * np.repeat(np.repeat(kept, 2, axis=0), 2, axis=1)
    return bands, scl


def _clear(seen: NDArray[np.uint8], event: Event) -> float:
    """Clear part of an event's pixels in a classification of the whole ground (H/2, W/2), 0 = not delivered."""
    rows, cols = event.window
    part = np.repeat(np.repeat(seen, 2, axis=0), 2, axis=1)[rows, cols]
    return float(np.isin(part[event.strength > 0], CLEAR_SCL).mean())


def _feature(event: Event, passes: Sequence[Pass], clear: NDArray[np.float64]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Outline (longitude, latitude) and properties of an event."""
    days: list[date] = [shot.time.date() for shot in passes]
    before = [d for d, c in zip(days, clear, strict=True) if d < event.start and c > 0.9]
    after = [d for d, c in zip(days, clear, strict=True) if d > event.end and c > 0.9]
    corner = Affine(10, 0, ORIGIN[0] + 10 * event.left, 0, -10, ORIGIN[1] - 10 * event.top)
    mask = (event.strength > 0.5 if event.kind == "road" else event.strength > 0).astype(np.uint8)
    parts = [shapely.geometry.shape(g) for g, value in shapes(mask, mask > 0, 4, corner) if value]
    # A metre more joins pixels that meet at a corner only: rings that touch themselves are no valid polygons.
    outline = shapely.unary_union(parts).buffer(1, join_style="mitre").simplify(5)
    lonlat = shapely.transform(outline, lambda xy: np.column_stack(to_lonlat(EPSG).transform(*xy.T)))
    return shapely.geometry.mapping(lonlat), {
        "event_id": event.event_id,
        "class": event.kind,
        "start": event.start.isoformat(),
        "end": event.end.isoformat(),
        "before_date": before[-1].isoformat() if before else None,
        "after_date": after[0].isoformat() if after else None,
        "area_ha": round(outline.area / 10_000, 1),
        "simulated": True,
    }


def main(argv: Sequence[str] | None = None) -> int:
    """Command line: `python -m stac.simulate --help`."""
    parser = argparse.ArgumentParser(
        prog="python -m stac.simulate",
        description="Write a simulated Sentinel-2 archive: COGs, STAC catalog, labelled events.",
        epilog="examples:\n  python -m stac.simulate --out data/simulated\n"
        "  python -m stac.simulate --out /data/bench --size benchmark --seed 7 --json",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--out", required=True, metavar="DIR", help="folder to write")
    parser.add_argument("--size", default="demo", metavar="|".join(_SIZES), help="how much (default: demo)")
    seed = number("--seed", int, "a whole number from 0 to 2^63 - 1", lambda seed: 0 <= seed < 2**63)
    parser.add_argument("--seed", type=seed, default=0, metavar="N", help="names the country (default: 0)")
    parser.add_argument("--json", action="store_true", help="report as JSON, without a progress bar")

    def command() -> int:
        args = parse_args(parser, argv)
        progress = not args.json and sys.stderr.isatty()
        catalog = simulate_archive(check_folder(args.out, "--out"), size=args.size, seed=args.seed, progress=progress)
        events = json.loads((catalog.parent / "events.geojson").read_text(encoding="utf-8"))["features"]
        report = {"catalog": str(catalog), "events": len(events), "size": args.size, "seed": args.seed}
        text = json.dumps(report) if args.json else f"{catalog} ({len(events)} planted events, simulated)"
        sys.stdout.write(text + "\n")
        return 0

    return exit_code(command)


if __name__ == "__main__":
    sys.exit(main())
