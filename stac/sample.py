"""Samples for pre-training: locations drawn as CACo or SeCo draw them, and their series from any catalog.

    python -m stac.sample --catalog earth-search --locations 10000 --out data/sample

writes `plan.parquet`, one row for each location, and gathers its series into shards beside it: ten dates, five within a
year, and five about four years later, each a window of 264 pixels. Stopped at any time, the same command goes on. How a
location is drawn stands in `stac.sampling.points`, which dates in `stac.sampling.dates`; docs/sampling.md shows both.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import date
from pathlib import Path

from .bands import norm_bands
from .cli import check_folder, number, parse_args
from .errors import AreaError, exit_code
from .sampling.find import OFFSET
from .sampling.gather import PER_SHARD, THREADS, Summary, gather
from .sampling.plan import PLAN
from .sampling.points import SAMPLERS
from .sampling.prepare import BANDS, SampleConfig, prepare

REQUIRED = -1
"""Stands for no default."""

_EXAMPLES = """examples:
  python -m stac.sample --locations 10000 --out data/sample                          the plan alone
  python -m stac.sample --catalog earth-search --locations 10000 --out data/sample   the plan, then its series
  python -m stac.sample --catalog planetary-computer --area US-CA --until 2023-12-31 --locations 500 --out data/ca
  python -m stac.sample --catalog data/archives/demo/catalog.json --years-apart 1 --locations 50 --out data/simulated"""


def main(argv: Sequence[str] | None = None) -> int:
    """Command line: `python -m stac.sample --help`."""
    parser = _parser()

    def command() -> int:
        args = parse_args(parser, argv)
        config = _config(args)
        progress = not args.json and sys.stderr.isatty()
        prepared = prepare(config, progress=progress)
        report = {"plan": str(prepared.path), "sampler": prepared.sampler.kind, "until": str(prepared.dates.until)}
        if config.sampler != prepared.sampler.kind:
            sys.stderr.write("no city lies in the area: points are drawn evenly over it\n")
        if config.catalog is None:
            text = f"{prepared.path}: {len(prepared.rows)} locations planned; give --catalog to gather them"
            sys.stdout.write((json.dumps({**report, "locations": len(prepared.rows)}) if args.json else text) + "\n")
            return 0
        summary = gather(prepared, limit=args.limit, threads=args.threads, per_shard=args.per_shard, progress=progress)
        sys.stdout.write((json.dumps({**report, **asdict(summary)}) if args.json else _words(config, summary)) + "\n")
        return 0

    return exit_code(command)


def _parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    parser = argparse.ArgumentParser(
        prog="python -m stac.sample",
        description="Draw locations for pre-training, and gather their series from a catalog into shards.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )

    own = SampleConfig(out=Path(), locations=1)
    add = parser.add_argument
    add("--out", required=True, metavar="DIR", help=f"folder of the plan ({PLAN}) and the shards")
    _whole(parser, "--locations", "how many")
    add(
        "--catalog", metavar="URL|FILE", help="gather from it, as stac.catalog takes it (default: write the plan alone)"
    )
    add("--collection", metavar="ID", help="only this one (default: the preset's, else all)")
    add("--area", metavar="FILE|W,S,E,N|NAME", help="cities and points within it (default: everywhere, or all items)")
    add("--sampler", default=own.sampler, metavar="|".join(SAMPLERS), help="how points are drawn (default: caco)")
    _whole(parser, "--seed", "names the sample", own.seed, least=0)
    _whole(parser, "--side", "of a window, pixels of 10 m, even", own.side)
    add("--bands", default=",".join(BANDS), metavar="LIST", help="to gather (default: the ten of 10 and 20 m)")
    add("--until", metavar="DATE", help="last date wanted (default: 4 weeks ago; of files the newest item's)")
    _whole(parser, "--dates", "in each of the two sets", own.dates)
    _real(parser, "--years-apart", "from the older set to the recent one", own.years_apart)
    _whole(parser, "--span-weeks", "from the first date of a set to its last", own.span_weeks)
    _whole(parser, "--window-days", "around a date that will do", own.window_days)
    _real(parser, "--max-cloud", "percent of an item under cloud", own.max_cloud)
    _real(parser, "--max-cloud-window", "percent of a window under cloud", own.max_cloud_window)
    _whole(parser, "--tries", "draws of a location whose items are looked at", own.tries)
    _whole(parser, "--limit", "gather at most so many locations in this run", None)
    _whole(parser, "--threads", "locations at once", THREADS)
    _whole(parser, "--per-shard", "locations in a file", PER_SHARD)
    add("--json", action="store_true", help="report as JSON, without a progress bar")
    return parser


def _whole(
    parser: argparse.ArgumentParser, flag: str, told: str, default: int | None = REQUIRED, *, least: int = 1
) -> None:
    """Add a whole number, required where it has no default."""
    required = default == REQUIRED
    kind = number(flag, int, f"a whole number from {least}", lambda value: least <= value < 2**63)
    told += f" (default: {default})" if default is not None and not required else ""
    value = None if required else default
    parser.add_argument(flag, type=kind, metavar="N", default=value, required=required, help=told)


def _real(parser: argparse.ArgumentParser, flag: str, told: str, default: float) -> None:
    """Add a number from 0 to 100."""
    kind = number(flag, float, "a number from 0 to 100", lambda value: 0 <= value <= 100)
    parser.add_argument(flag, type=kind, metavar="X", default=default, help=f"{told} (default: {default:g})")


def _config(args: argparse.Namespace) -> SampleConfig:
    """What the arguments ask for.

    Raises:
        DataError: One is none.
    """
    try:
        until = date.fromisoformat(args.until) if args.until else None
    except ValueError:
        raise AreaError(f"--until {args.until[:40]}", "a date such as 2023-12-31", "correct --until") from None
    return SampleConfig(
        out=check_folder(args.out, "--out"),
        locations=args.locations,
        catalog=args.catalog,
        collection=args.collection,
        sampler=args.sampler,
        seed=args.seed,
        area=args.area,
        side=args.side,
        bands=norm_bands(args.bands),
        until=until,
        dates=args.dates,
        years_apart=args.years_apart,
        span_weeks=args.span_weeks,
        window_days=args.window_days,
        max_cloud=args.max_cloud,
        max_cloud_window=args.max_cloud_window,
        tries=args.tries,
    )


def _words(config: SampleConfig, summary: Summary) -> str:
    """How a run ended, for people."""
    lines = [f"{config.out}: {summary.gathered} of {summary.locations} locations gathered"]
    if summary.given_up:
        lines.append(f"given up after {config.tries} tries: {summary.given_up}")
    again = {reason: count for reason, count in summary.redrawn.items() if reason != OFFSET}
    if again:
        lines.append("drawn again: " + ", ".join(f"{reason} {count}" for reason, count in again.items()))
    if OFFSET in summary.redrawn:
        lines.append(f"moved to other dates: {summary.redrawn[OFFSET]} times")
    if summary.searches:
        lines.append(f"searches sent: {summary.searches}")
    if not summary.complete:
        lines.append("run the same command again to gather the others")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
