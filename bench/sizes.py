"""What each size of the simulated archive costs: seconds, processor seconds, bytes, events; and the stream's rate.

    python bench/sizes.py --work data/sizes --json sizes.json
    python bench/sizes.py --work data/sizes --sizes demo

Each size is written by `python -m stac.simulate` into a new folder in `--work`, which is taken away again unless
`--keep` is given; the stream is measured as `bench/stream.py` does. The figures hang on how busy the machine is, so
processor seconds stand beside those of the clock, and the load of the machine before each.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmark import machine
from inputs import write_json
from stream import measure_here

from index.figures import read_commit
from stac.cli import check_folder, check_output, number, parse_args
from stac.errors import DataError, exit_code
from stac.simulation.areas import SIZES


def measure_size(size: str, seed: int, folder: Path) -> dict[str, Any]:
    """Write an archive of a size and say what it cost.

    Args:
        size: A name in `SIZES`.
        seed: Names the country.
        folder: An empty folder, or none.

    Raises:
        DataError: The command failed.
    """
    load = os.getloadavg()[0]
    before, begun = _children(), time.perf_counter()
    command = [sys.executable, "-m", "stac.simulate", "--out", str(folder), "--size", size, "--seed", str(seed)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise DataError(f"stac.simulate ended with {done.returncode}", "0", f"read what it said: {done.stderr.strip()}")
    events = json.loads((folder / "events.geojson").read_text(encoding="utf-8"))["features"]
    return {
        "size": size,
        "seed": seed,
        "seconds": round(time.perf_counter() - begun, 1),
        "processor_seconds": round(_children() - before, 1),
        "load_before": round(load, 1),
        "bytes": sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()),
        "items": sum(1 for _ in folder.rglob("SCL.tif")),
        "events": len(events),
        "classes": len({event["properties"]["class"] for event in events}),
    }


def _children() -> float:
    """Processor seconds of ended child processes."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _parser() -> argparse.ArgumentParser:
    """The command line."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(prog="python bench/sizes.py", description=__doc__, formatter_class=raw)
    add = parser.add_argument
    add("--work", required=True, metavar="DIR", help="folder for the archives; 9 GB for all sizes")
    add("--sizes", nargs="+", choices=[*SIZES, "stream"], default=[*SIZES, "stream"], help="default: all")
    add("--seed", type=number("--seed", int, "a whole number from 0 to 2^63 - 1", lambda v: 0 <= v < 2**63), default=0)
    add("--keep", action="store_true", help="leave the archives there")
    add("--json", type=Path, metavar="FILE")
    return parser


def _run(argv: Sequence[str] | None) -> int:
    """Check the arguments, measure, print and write."""
    args = parse_args(_parser(), argv)
    if args.json is not None:
        check_output(args.json, "--json")
    work = check_folder(args.work, "--work")
    work.mkdir(parents=True, exist_ok=True)
    result: dict[str, Any] = {"simulated": True, "commit": read_commit(), "machine": machine(), "sizes": []}
    for size in args.sizes:
        if size == "stream":
            result["stream"] = measure_here()
            print(json.dumps(result["stream"]), flush=True)
            continue
        folder = Path(tempfile.mkdtemp(prefix=f"{size}-", dir=work)) / size
        try:
            result["sizes"].append(measure_size(size, args.seed, folder))
        finally:
            if not args.keep:
                shutil.rmtree(folder.parent)
        print(json.dumps(result["sizes"][-1]), flush=True)
    write_json(args.json, result)
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    return exit_code(lambda: _run(argv))


if __name__ == "__main__":
    sys.exit(main())
