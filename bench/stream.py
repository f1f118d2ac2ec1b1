"""Measure the stream of simulated series: chips a second drawn, on the GPU where there is one, else on the CPU.

    python bench/stream.py
    python bench/stream.py --device cpu --batch 32 --seconds 10 --json stream.json

A chip is one date of one series, 64 px, ten bands, with its classification and truth, int16 on the device; all of it is
simulated. Prints one JSON object. As the limit to compare with, the same run measures how fast
the device copies memory: drawing a chip cannot cost less than writing it once.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from inputs import write_json

from encoder.device import norm_device
from encoder.stream import SimulatedStream, StreamConfig
from encoder.stream_country import CountryConfig
from stac.cli import check_output, number, parse_args
from stac.errors import exit_code


def calls_per_second(call: Callable[[], object], device: torch.device, seconds: float) -> float:
    """Mean over the calls that fit into some seconds, after two to warm up."""

    def wait() -> None:
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    call()
    call()
    wait()
    count, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        call()
        wait()
        count += 1
    return count / (time.perf_counter() - start)


def measure(config: StreamConfig, device: torch.device, seconds: float) -> dict[str, object]:
    """Rates of one configuration."""
    start = time.perf_counter()
    stream = SimulatedStream(config, device)
    made = time.perf_counter() - start
    chips = config.batch * config.dates
    rate = chips * calls_per_second(stream.draw, device, seconds)
    images = stream.draw().images
    copies = chips * calls_per_second(images.clone, device, min(seconds, 3.0))
    return {
        "chip": f"{config.chip_size} px, {images.shape[2]} bands",
        "series": config.batch,
        "dates": config.dates,
        "grounds": len(config.country.biomes),
        "made_s": round(made, 1),
        "chips_s": round(rate, 1),
        "mpix_s": round(rate * config.chip_size**2 * images.shape[2] / 1e6, 1),
        "copies_s": round(copies, 1),
        "part_of_copying": round(rate / copies, 5),
    }


def measure_here(
    device: torch.device | None = None, *, biomes: Sequence[str] | None = None, seconds: float = 10.0, **sizes: int
) -> dict[str, object]:
    """Rates on one device, with their context.

    Args:
        device: The GPU where there is one, else the CPU, if None.
        biomes: Names; two on a CPU, all on a GPU, if None.
        seconds: Of each measurement.
        sizes: `chip_size`, `dates`, `batch`, as `StreamConfig` takes them.
    """
    device = device or torch.device(norm_device("auto"))
    small = device.type == "cpu"
    names = tuple(biomes or (("temperate", "mediterranean") if small else CountryConfig().biomes))
    country = CountryConfig(biomes=names, ground_px=384 if small else 512)
    config = StreamConfig(country=country, **{"batch": 16 if small else 512, **sizes})
    card = "" if small else f", {torch.cuda.get_device_name(device)}"
    context = {
        "simulated": True,
        "machine": f"{os.cpu_count()} cores, {platform.machine()}{card}",
        "torch": torch.__version__,
        "device": device.type,
    }
    return {**context, **measure(config, device, seconds)}


def _parser() -> argparse.ArgumentParser:
    """The command line."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(prog="python bench/stream.py", description=__doc__, formatter_class=raw)
    add = parser.add_argument
    add("--device", default="auto")
    batch = number("--batch", int, "a whole number from 1 to 65536", range(1, 65_537).__contains__)
    add("--batch", type=batch, help="series a batch (default: 16 on a CPU, 512 on a GPU)")
    dates = number("--dates", int, "a whole number from 1", lambda value: value >= 1)
    add("--dates", type=dates, default=8)
    side = number("--chip-size", int, "an even whole number from 8", lambda value: value >= 8 and value % 2 == 0)
    add("--chip-size", type=side, default=64)
    add("--biomes", nargs="+", help="default: two on a CPU, all on a GPU")
    seconds = number("--seconds", float, "seconds above 0, at most 3600", lambda value: 0 < value <= 3600)
    add("--seconds", type=seconds, default=10.0)
    add("--json", type=Path, metavar="FILE")
    return parser


def _run(argv: Sequence[str] | None) -> int:
    """Check the arguments, measure, print and write."""
    args = parse_args(_parser(), argv)
    if args.json is not None:
        check_output(args.json, "--json")
    device = torch.device(norm_device(args.device))
    sizes = {"chip_size": args.chip_size, "dates": args.dates}
    if args.batch is not None:
        sizes["batch"] = args.batch
    result = measure_here(device, biomes=args.biomes, seconds=args.seconds, **sizes)
    print(json.dumps(result, indent=1))
    write_json(args.json, result)
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    return exit_code(lambda: _run(argv))


if __name__ == "__main__":
    sys.exit(main())
