"""What may be said to `python -m index.build`, and what it says in return."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from encoder.encoders import list_encoders
from stac.blocks import LARGEST_BLOCK_PX
from stac.cli import check_folder, data_folder, number, parse_args

from .demo import DEMO_CHIP_SIZE, demo_config
from .manifest import Manifest
from .pairs import PAIRINGS
from .plan import BuildConfig
from .vectors import FACTORIES

REQUIRED = ("catalog", "area", "period", "store")

CHIP_SIDES = range(4, 2_049)
"""Pixels."""

PIXEL_SIDES = range(1, 10_001)
"""Metres."""

THREADS = range(1, 513)


@dataclass(frozen=True)
class Request:
    """What a command line asks for."""

    config: BuildConfig
    demo: bool
    """The demo store, in its own folder."""
    retry_missing: bool
    as_json: bool
    verbose: bool
    progress: bool
    """Show progress bars: somebody is watching."""


def new_parser() -> argparse.ArgumentParser:
    """The command line. A parsed namespace holds only what was said, so that it always wins over what is assumed."""
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
        argument_default=argparse.SUPPRESS,
    )
    add, default = parser.add_argument, BuildConfig
    add("--catalog", help="earth-search, planetary-computer, cdse, the address of a STAC API, or a file")
    add("--collection", metavar="ID", help="STAC collection (default: the preset's)")
    add("--area", help="W,S,E,N, a vector file, GeoJSON, or a place name")
    add("--period", metavar="START/END", help="dates, both inside; 2023 or 2023-07 stand for the whole of it")
    add("--store", metavar="DIR", help="folder to make")
    add("--encoder", help=f"{', '.join(list_encoders()[:4])} …, or a file (default {default.encoder})")
    add("--bands", help="bands to read, for encoders that take any: B02,B03,B04 …")
    add("--pairs", choices=PAIRINGS, help=f"default {default.pairs}")
    monthly = "pair only the clearest observation of each month (the demo's default; --no-monthly pairs all)"
    add("--monthly", action=argparse.BooleanOptionalAction, help=monthly)
    sides = f"side of a chip (default {default.chip_size}, the demo's {DEMO_CHIP_SIZE})"
    add("--chip-size", type=_whole("--chip-size", CHIP_SIDES), metavar="PX", help=sides)
    add("--gsd", type=_whole("--gsd", PIXEL_SIDES), metavar="METRES", help=f"side of a pixel (default {default.gsd})")
    clear = number("--min-clear", float, "above 0 and at most 1", lambda value: 0 < value <= 1)
    add(
        "--min-clear",
        type=clear,
        metavar="FRACTION",
        help=f"clear fraction to be embedded (default {default.min_clear})",
    )
    cloud = number("--max-cloud", float, "a percentage from 0 to 100", lambda value: 0 <= value <= 100)
    add("--max-cloud", type=cloud, metavar="PERCENT", help="leave out cloudier scenes")
    add("--labels", metavar="FILE", help="polygons with class, start, end that name events")
    side = f"largest side of a block; memory goes with its square (default {default.block_px})"
    add("--block-px", type=_whole("--block-px", range(4, LARGEST_BLOCK_PX + 1)), metavar="PX", help=side)
    add("--factory", choices=FACTORIES, help=f"FAISS factory string of the shards (default {default.factory})")
    add("--retry-missing", action="store_true", help="read again what could not be read before")
    seed = number("--seed", int, "a whole number from 0 to 2^63 - 1", lambda value: 0 <= value < 2**63)
    add("--seed", type=seed, help=f"for parameters drawn at random (default {default.seed})")
    add("--device", help=f"auto, cpu, cuda (default {default.device})")
    add("--threads", type=_whole("--threads", THREADS), help=f"threads that read (default {default.threads})")
    add("--json", action="store_true", help="print the outcome as JSON, and no progress bar")
    add("--verbose", action="store_true", help="log each step")
    return parser


def _whole(flag: str, limits: range) -> Callable[[str], int]:
    """A type of argument: a whole number within limits."""
    return number(flag, int, f"a whole number from {limits[0]} to {limits[-1]}", limits.__contains__)


def parse_request(argv: Sequence[str] | None) -> Request:
    """Read the command line; for the demo, write its archive where it is not there yet.

    Raises:
        DataError: A value cannot be used, or the store's folder cannot be written.
        OSError: The disk is full.
        SystemExit: The arguments are not ones, or help was asked for.
    """
    parser = new_parser()
    said = vars(parse_args(parser, argv))
    as_json, verbose, retry_missing = (said.pop(name, False) for name in ("json", "verbose", "retry_missing"))
    if "bands" in said:
        said["bands"] = tuple(part.strip() for part in said["bands"].split(","))
    progress = not as_json and sys.stderr.isatty()
    simulated = not {"catalog", "area", "period"} & said.keys()
    lacking = [] if simulated else [f"--{name}" for name in REQUIRED if name not in said]
    if lacking:
        parser.error(
            f"{', '.join(lacking)} missing: give all of --catalog --area --period --store, or none for the demo"
        )
    if "store" in said:
        check_folder(said["store"], "--store")
    if simulated:
        store = Path(said.get("store") or data_folder() / "stores" / "demo")
        config = replace(demo_config(store, progress=progress), **{**said, "store": str(store)})
    else:
        config = BuildConfig(**said)
    return Request(config, simulated and "store" not in said, retry_missing, as_json, verbose, progress)


def tell_outcome(manifest: Manifest, request: Request) -> str:
    """What was built, in a sentence or as JSON."""
    counts, store = manifest.counts, request.config.store
    if request.as_json:
        return json.dumps(
            {"store": store, "counts": counts, "encoder": manifest.encoder, "items": asdict(manifest.items)}
        )
    missing = f", {counts['missing']} missing" if counts["missing"] else ""
    return (
        f"store {store}: {counts['locations']} locations, {counts['observations']} observations "
        f"({counts['embedded']} embedded{missing}), {counts['events']} events"
        f"{', SIMULATED imagery' if manifest.simulated else ''}"
    )
