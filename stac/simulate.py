"""The simulated archive: invented country, three years of Sentinel-2 over it, and what changed there.

    python -m stac.simulate --out data/simulated --size demo

writes COGs and a STAC catalog (`catalog.json`) in the form of Earth Search v1; `events.geojson`, the planted truth:
changes of eleven classes with their outlines and dates; and `areas.geojson`, where each area lies, and whether it is
for training, validation or test. Clouds, snow, harvests, the seasons, water levels, changes of the processing baseline,
missing tiles and passes and reprocessed duplicates are in it too, and are no events. The same size and seed give the
same bytes. `simulate_archive` is the one way in; how it is done stands in `stac.simulation`.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from numbers import Integral
from pathlib import Path

from .cli import check_folder, number, parse_args
from .errors import DataError, exit_code
from .simulation.archive import write_archive
from .simulation.areas import SIZES

_SEEDS = "a whole number from 0 to 2^63 - 1"


def simulate_archive(out: Path, *, size: str = "demo", seed: int = 0, progress: bool = False) -> Path:
    """Write a simulated archive, or reuse the one that stands there from the same size and seed.

    Args:
        out: Folder to write; made when absent. An older archive of this program in it is replaced.
        size: `demo` (one area of 8.8 × 4.6 km, about 115 passes) or `benchmark` (eight areas of 10.2 × 6.4 km, each in
            another biome and UTM zone).
        seed: Names the country; the same seed gives the same bytes.
        progress: Show a progress bar on standard error.

    Returns:
        Path of `catalog.json`. The planted truth lies beside it in `events.geojson`.

    Raises:
        DataError: The size or the seed is none, or the folder holds something else, cannot be made, or is being written
            by another run.
        OSError: The disk is full, or the folder cannot be written.
    """
    _check(out, size, seed)
    return write_archive(Path(out), SIZES[size], size=size, seed=int(seed), progress=progress)


def _check(out: object, size: object, seed: object) -> None:
    """Refuse what no archive can be written from, whatever its type.

    Raises:
        DataError: It is none.
    """
    if not isinstance(out, str | os.PathLike):
        raise DataError(f"the folder {out!r}", "a path", "give one, as text or as a Path")
    if size == "stream":
        found = "size 'stream' is drawn in memory, series by series"
        raise DataError(found, "demo or benchmark, which are files", "use encoder.stream in Python, or bench/stream.py")
    if not isinstance(size, str) or size not in SIZES:
        raise DataError(f"size {size!r}", " or ".join(SIZES), "choose one of these sizes")
    if isinstance(seed, bool) or not isinstance(seed, Integral) or not 0 <= int(seed) < 2**63:
        raise DataError(f"seed {str(seed)[:40]}", _SEEDS, "choose another seed")


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
    parser.add_argument("--size", default="demo", metavar="|".join(SIZES), help="how much (default: demo)")
    seed = number("--seed", int, _SEEDS, lambda seed: 0 <= seed < 2**63)
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
