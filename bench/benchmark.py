"""Encoders on an archive of labelled events: one store for each, evaluated by the same queries, as a table.

    python -m stac.simulate --out data/archives/benchmark --size benchmark
    python bench/benchmark.py --archive data/archives/benchmark --work data/benchmark --monthly --json figures.jsonl
    python bench/benchmark.py --archive … --work … --encoders spectral random pixels weights/own.safetensors

The archive is a folder with `catalog.json`, `events.geojson` and, where there are several areas, `areas.geojson`.
Stores stay in the work folder, so a second run reads no pixel, and a run that was stopped goes on where it was. As soon
as an encoder is done, its figures stand in the file of `--json` and its table on the screen.

All encoders that take any bands get the same ones; weights keep their own. torch gets one thread (`--threads`): those
that read are busy beside it, and where all processors are, two of its own wait for one another.

`index.evaluate` says what the figures are; galleries are the areas other than the query's.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pystac
import shapely
import torch
from inputs import check_archive
from shapely.geometry import mapping, shape

from index.evaluate import Evaluation, Settings, evaluate_store
from index.figures import Figure, figure_records, json_lines
from index.metrics import DIVISORS
from index.pairs import PAIRINGS
from index.pipeline import build_store
from index.plan import BuildConfig
from index.store import open_store
from index.truth import PROTOCOLS
from stac.cli import check_folder, check_output, number, parse_args
from stac.errors import AreaError, CatalogError, exit_code
from stac.files import write_whole

ANY_BANDS = {"spectral", "pixels", "random", "random-resnet50", "resnet18", "resnet50"}
"""Encoders that take any bands."""

BANDS = "B02,B03,B04,B08,B11,B12"


@dataclass(frozen=True)
class Archive:
    """Where things are."""

    catalog: Path
    events: Path
    areas: Path | None
    box: str
    """What is built over, as `--area` takes it."""
    period: str
    items: int


def open_archive(folder: Path, work: Path, only: Sequence[str] = ()) -> Archive:
    """Look into an archive; without `areas.geojson` its items' outlines are what is built over.

    Args:
        folder: The archive.
        work: Where to write what is built over.
        only: Names of the areas to take; empty for all.

    Raises:
        AreaError: The archive has no area of such a name.
        CatalogError: The archive has no item with a date.
    """
    items = list(pystac.Catalog.from_file(str(folder / "catalog.json")).get_items(recursive=True))
    days = sorted(item.datetime.date().isoformat() for item in items if item.datetime is not None)
    if not days:
        raise CatalogError(f"{folder / 'catalog.json'} has no items", "items with dates", "name another --archive")
    areas = folder / "areas.geojson"
    if only:
        areas = _some_areas(areas, work / f"areas-{'-'.join(sorted(only))}.geojson", set(only))
    box = areas
    if not areas.is_file():
        box = work / "area.geojson"
        outline = shapely.union_all([shape(item.geometry) for item in items])
        feature = {"type": "Feature", "properties": {}, "geometry": mapping(outline)}
        box.write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))
    whole = f"{days[0]}/{days[-1]}"
    named = areas if areas.is_file() else None
    return Archive(folder / "catalog.json", folder / "events.geojson", named, str(box), whole, len(items))


def _some_areas(areas: Path, out: Path, only: set[str]) -> Path:
    """Write those of the areas that are named."""
    content = json.loads(areas.read_text(encoding="utf-8"))
    names = {feature["properties"]["name"] for feature in content["features"]}
    if not only <= names:
        raise AreaError(f"--only {' '.join(sorted(only - names))}", " or ".join(sorted(names)), "correct --only")
    kept = [feature for feature in content["features"] if feature["properties"]["name"] in only]
    out.write_text(json.dumps({**content, "features": kept}) + "\n", encoding="utf-8")
    return out


def new_config(archive: Archive, args: argparse.Namespace, encoder: str, store: Path) -> BuildConfig:
    """The build of one store."""
    return BuildConfig(
        catalog=str(archive.catalog),
        store=str(store),
        area=archive.box,
        period=args.period or archive.period,
        encoder=encoder,
        bands=tuple(args.bands.split(",")) if encoder in ANY_BANDS else None,
        pairs=args.pairs,
        monthly=args.monthly,
        chip_size=args.chip_size,
        max_cloud=args.max_cloud,
        labels=str(archive.events),
        seed=args.seed,
    )


def new_settings(archive: Archive, args: argparse.Namespace) -> Settings:
    """How every store is evaluated."""
    return Settings(
        k=tuple(sorted(set(args.k))),
        protocol=args.protocol,
        areas=archive.areas,
        apart_km=args.apart,
        divide_by=args.divide_by,
        split=args.split,
        seed=args.seed,
    )


def evaluate_config(config: BuildConfig, archive: Archive, settings: Settings) -> tuple[Evaluation, float]:
    """Build a store, or finish it, and evaluate it; with the seconds that the build took."""
    begun = time.perf_counter()
    watched = sys.stderr.isatty()
    build_store(config, progress=watched)
    taken = time.perf_counter() - begun
    return evaluate_store(open_store(Path(config.store)), archive.events, settings, progress=watched), taken


def store_name(args: argparse.Namespace, encoder: str) -> str:
    """A folder's name that says how the store was made."""
    parts = [Path(encoder).stem, args.pairs, f"{args.chip_size}px"]
    parts += ["monthly"] if args.monthly else []
    parts += sorted(args.only)
    parts += [f"cloud{args.max_cloud:g}"] if args.max_cloud is not None else []
    return "-".join(parts).replace(":", "-")


def machine() -> dict[str, Any]:
    """What the figures and times were taken on."""
    libraries = ("afterimage", "numpy", "torch", "timm", "rasterio")
    return {
        "cores": os.cpu_count(),
        "machine": platform.machine(),
        "system": platform.system(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in libraries},
    }


def table(lines: Sequence[Sequence[str]]) -> str:
    """Markdown; the first line is the head."""
    rule = ["---"] * len(lines[0])
    return "\n".join("| " + " | ".join(line) + " |" for line in (lines[0], rule, *lines[1:]))


def cells(figures: Sequence[Figure], unit: str, name: str | None) -> dict[str, Figure]:
    """`AP@10` … → the figure of one class (None: the mean) and unit."""
    return {f"{figure.metric}@{figure.k}": figure for figure in figures if (figure.unit, figure.name) == (unit, name)}


def summary(found: dict[str, Evaluation], unit: str) -> str:
    """Means over classes, a line an encoder; chance last, which is the same for all."""
    first = cells(next(iter(found.values())).figures, unit, None)
    lines = [["encoder", *first]]
    lines += [[name, *(str(f.score) for f in cells(e.figures, unit, None).values())] for name, e in found.items()]
    return table([*lines, ["chance", *(f"{figure.chance:.3f}" for figure in first.values())]])


def by_class(found: dict[str, Evaluation], metric: str, unit: str = "place") -> str:
    """One metric, a line a class."""
    names = {name: {f.name: f for f in e.figures if f.unit == unit} for name, e in found.items()}
    classes = [name for name in next(iter(names.values())) if name is not None]
    lines = [["class", "queries", "positives", *found, "chance"]]
    for label in classes:
        own = [cells(e.figures, unit, label)[metric] for e in found.values()]
        counts = [str(own[0].queries), f"{own[0].positives:.1f}"]
        lines.append([label, *counts, *(str(figure.score) for figure in own), f"{own[0].chance:.3f}"])
    return table(lines)


def mark(found: Evaluation) -> str:
    """What stands before a table's title: that its imagery is simulated, or nothing."""
    return "*simulated*: " if found.context["simulated"] else ""


def record_context(found: Evaluation, archive: Archive, args: argparse.Namespace) -> dict[str, Any]:
    """What stands beside each figure in a file."""
    return {
        **found.context,
        "machine": machine(),
        "items": archive.items,
        "max_cloud": args.max_cloud if args.max_cloud is not None else 100.0,
        "asking": int(found.answers["event_id"].nunique()),
        "unshown": found.unshown,
        "alone": found.alone,
    }


def context(archive: Archive, first: Evaluation, seconds: Sequence[str]) -> str:
    """What was evaluated, on what, as a paragraph."""
    said, asking = first.context, first.answers["event_id"].nunique()
    parts = [
        f"{archive.items} items, {archive.period}",
        f"{said['locations']:,} locations of {said['chip_size']} px",
        f"{said['rows']:,} rows ({said['pairs']} pairs{', monthly' if said['monthly'] else ''})",
        f"{said['areas']} areas",
        f"protocol {said['protocol']}" + (f", split {said['split']}" if said["split"] else ""),
        f"{asking} queries, {first.unshown} events shown by no row, {first.alone} with none of their class to find",
        f"builds: {', '.join(seconds)}",
        json.dumps(machine()),
        f"commit {said['commit']}",
    ]
    return mark(first) + "; ".join(parts) + "\n"


def new_parser(script: str, description: str) -> argparse.ArgumentParser:
    """Arguments that the benchmark and the traps share."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(prog=f"python bench/{script}", description=description, formatter_class=raw)
    count = number("--k", int, "a whole number from 1 to 10000", range(1, 10_001).__contains__)
    side = number("--chip-size", int, "a whole number of pixels from 1", lambda value: value >= 1)
    cloud = number("--max-cloud", float, "a percentage from 0 to 100", lambda value: 0 <= value <= 100)
    apart = number("--apart", float, "kilometres above 0, at most 20000", lambda value: 0 < value <= 20_000)
    seed = number("--seed", int, "a whole number from 0 to 2^63 - 1", lambda value: 0 <= value < 2**63)
    threads = number("--threads", int, "a whole number from 1 to 1024", range(1, 1025).__contains__)
    add = parser.add_argument
    add("--archive", type=Path, required=True, metavar="DIR", help="folder with catalog.json and events.geojson")
    add("--work", required=True, metavar="DIR", help="folder for the stores")
    add("--bands", default=BANDS, help="of encoders that take any (default %(default)s)")
    add("--pairs", choices=PAIRINGS, default="yearly", help="default %(default)s")
    add("--monthly", action="store_true", help="pair only the clearest observation of each month")
    add("--period", help="START/END (default: the archive's)")
    add("--chip-size", type=side, default=32, metavar="PX", help="default %(default)s")
    add("--max-cloud", type=cloud, metavar="PERCENT", help="leave out cloudier scenes")
    add("--k", type=count, nargs="+", default=[10, 40])
    add("--protocol", choices=PROTOCOLS)
    add("--apart", type=apart, default=20.0, metavar="KM", help="between areas, where no file names them")
    add("--split", help="only the areas of this split")
    add("--only", nargs="+", default=[], metavar="NAME", help="build over these areas alone; name them beforehand")
    add("--divide-by", choices=DIVISORS, default="min")
    add("--seed", type=seed, default=0)
    add("--json", type=Path, metavar="FILE", help="JSON lines, one figure each")
    add("--threads", type=threads, default=1, metavar="N", help="of torch, beside those that read (default 1)")
    return parser


def start(parser: argparse.ArgumentParser, argv: Sequence[str] | None) -> argparse.Namespace:
    """Read and check the arguments, give torch its threads, and make the work folder.

    Raises:
        DataError: The archive is not one, or something cannot be written.
    """
    args = parse_args(parser, argv)
    if args.json is not None:
        check_output(args.json, "--json")
    args.work = check_folder(args.work, "--work")
    check_archive(args.archive)
    torch.set_num_threads(args.threads)
    args.work.mkdir(parents=True, exist_ok=True)
    return args


def _run(argv: Sequence[str] | None) -> int:
    """Build, evaluate, print."""
    parser = new_parser("benchmark.py", __doc__)
    parser.add_argument("--encoders", nargs="+", default=["spectral", "random", "pixels"])
    args = start(parser, argv)
    archive = open_archive(args.archive, args.work, args.only)
    settings, found, seconds, records = new_settings(archive, args), dict[str, Evaluation](), [], []
    for encoder in args.encoders:
        config = new_config(archive, args, encoder, args.work / store_name(args, encoder))
        evaluation, taken = evaluate_config(config, archive, settings)
        found[Path(encoder).stem] = evaluation
        seconds.append(f"{Path(encoder).stem} {taken:.0f} s")
        records += figure_records(evaluation.figures, record_context(evaluation, archive, args))
        settings = replace(settings, protocol=evaluation.context["protocol"])  # the same for all
        if args.json is not None:
            with write_whole(args.json) as temporary:
                temporary.write_bytes(json_lines(records))
        print(
            f"{mark(evaluation)}{seconds[-1]}\n\n{summary({Path(encoder).stem: evaluation}, 'place')}\n",
            file=sys.stderr,
            flush=True,
        )
    first = next(iter(found.values()))
    print(context(archive, first, seconds))
    for unit, title in (("place", "each location once (headline)"), ("row", "every row")):
        print(f"{mark(first)}{title}, mean over classes\n\n{summary(found, unit)}\n")
    for k in settings.k:
        print(f"{mark(first)}AP@{k} by class, each location once\n\n{by_class(found, f'AP@{k}')}\n")
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    return exit_code(lambda: _run(argv))


if __name__ == "__main__":
    sys.exit(main())
