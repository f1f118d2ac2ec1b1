"""Build a store: catalog, area and period in; observations, events and vectors out.

    python -m index.build                                   # the demo store, from the simulated archive
    python -m index.build --catalog earth-search --area "Butte County" …

A build that was stopped goes on where it stopped when the same command is given again.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

from encoder.encoders import list_encoders
from stac.blocks import DEFAULT_BLOCK_PX
from stac.cli import data_folder, parse_args
from stac.errors import exit_code

from .demo import build_demo, demo_config
from .manifest import Manifest
from .pairs import PAIRINGS
from .pipeline import build_store
from .plan import BuildConfig
from .vectors import FACTORIES

NOT_CONFIG = frozenset({"json", "verbose", "bands", "retry_missing"})
REQUIRED = ("catalog", "area", "period", "store")


def _parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m index.build",
        description="Build a store of events from a STAC catalog. With no arguments: the demo store.",
        epilog="examples:\n"
        "  python -m index.build\n"
        "  python -m index.build --catalog earth-search --area -121.9,39.6,-121.3,40.1 --period 2020/2022 \\\n"
        "      --encoder spectral --store data/stores/butte\n"
        "  python -m index.build --catalog items.parquet --area county.gpkg --period 2023-05-01/2023-10-31 --store s\n"
        "Stop it with Ctrl-C at any time; the same command goes on where it stopped.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--catalog", help="earth-search, planetary-computer, cdse, the address of a STAC API, or a file")
    add("--collection", metavar="ID", help="STAC collection (default: the preset's)")
    add("--area", help="W,S,E,N, a vector file, GeoJSON, or a place name")
    add("--period", metavar="START/END", help="dates, both inside; 2023 or 2023-07 stand for the whole of it")
    add("--store", metavar="DIR", help="folder to make")
    add("--encoder", default="spectral", help=f"{', '.join(list_encoders()[:4])} …, or a file (default %(default)s)")
    add("--bands", help="bands to read, for encoders that take any: B02,B03,B04 …")
    add("--pairs", choices=PAIRINGS, default="consecutive", help="default %(default)s")
    add("--monthly", action="store_true", help="pair only the clearest observation of each month")
    add("--chip-size", type=int, default=64, metavar="PX", help="side of a chip (default %(default)s)")
    add("--gsd", type=int, default=10, metavar="METRES", help="side of a pixel (default %(default)s)")
    add("--min-clear", type=float, default=0.8, help="clear fraction to be embedded (default %(default)s)")
    add("--max-cloud", type=float, metavar="PERCENT", help="leave out cloudier scenes")
    add("--labels", metavar="FILE", help="polygons with class, start, end that name events")
    add("--block-px", type=int, default=DEFAULT_BLOCK_PX, help="largest side of a block (default %(default)s)")
    add("--factory", choices=FACTORIES, default="Flat", help="FAISS factory string of the shards (default %(default)s)")
    add("--retry-missing", action="store_true", help="read again what could not be read before")
    add("--seed", type=int, default=0, help="for parameters drawn at random (default %(default)s)")
    add("--device", default="auto", help="auto, cpu, cuda (default %(default)s)")
    add("--threads", type=int, default=8, help="threads that read (default %(default)s)")
    add("--json", action="store_true", help="print the outcome as JSON, and no progress bar")
    add("--verbose", action="store_true", help="log each step")
    return parser


def _config(parser: argparse.ArgumentParser, args: argparse.Namespace) -> BuildConfig:
    """The arguments as a config; no catalog, area and period means the demo, with what else is given."""
    given = [name for name in REQUIRED if getattr(args, name) is not None]
    values = {name: value for name, value in vars(args).items() if name not in NOT_CONFIG}
    values["bands"] = tuple(part.strip() for part in args.bands.split(",")) if args.bands else None
    if is_demo(args):
        store = Path(args.store) if args.store else data_folder() / "stores" / "demo"
        asked = {name: value for name, value in values.items() if value != parser.get_default(name)}
        return replace(demo_config(store), **{**asked, "store": str(store)})
    lacking = [f"--{name}" for name in REQUIRED if name not in given]
    if lacking:
        parser.error(
            f"{', '.join(lacking)} missing: give all of --catalog --area --period --store, or none for the demo"
        )
    return BuildConfig(**values)


def is_demo(args: argparse.Namespace) -> bool:
    """Whether nothing says what to build."""
    return args.catalog is None and args.area is None and args.period is None


def _report(manifest: Manifest, store: str, as_json: bool) -> str:
    """What was built, in a sentence or as JSON."""
    counts = manifest.counts
    if as_json:
        return json.dumps(
            {"store": store, "counts": counts, "encoder": manifest.encoder, "items": asdict(manifest.items)}
        )
    missing = f", {counts['missing']} missing" if counts["missing"] else ""
    return (
        f"store {store}: {counts['locations']} locations, {counts['observations']} observations "
        f"({counts['embedded']} embedded{missing}), {counts['events']} events"
        f"{', SIMULATED imagery' if manifest.simulated else ''}"
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    parser = _parser()
    args = parse_args(parser, argv)
    logging.basicConfig(level=logging.INFO if args.verbose else logging.WARNING, format="%(name)s: %(message)s")

    def run() -> int:
        config = _config(parser, args)
        progress = not args.json and sys.stderr.isatty()
        if is_demo(args) and not args.store:
            manifest = build_demo(config, progress=progress)
        else:
            manifest = build_store(config, progress=progress, retry_missing=args.retry_missing)
        sys.stdout.write(_report(manifest, config.store, args.json) + "\n")
        return 0

    return exit_code(run)


if __name__ == "__main__":
    sys.exit(main())
