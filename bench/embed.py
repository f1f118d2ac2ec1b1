"""Measure and check embedding: chips a second by encoder and chip size, and bfloat16 on the GPU against float32.

    python bench/embed.py                       # what is here: GPU if there is one, else CPU
    python bench/embed.py --device cpu --seconds 2 --json embed.json

Prints its context and, last, one JSON object. Figures are from NumPy arrays in to NumPy arrays out, copies included;
`device_chips_s` (GPU only) leaves the copies out. Exit code 1 when a check fails.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from encoder.device import norm_device
from encoder.embed import NetworkEncoder
from encoder.encoders import Encoder, open_encoder

BANDS = ("B02", "B03", "B04", "B08", "B11", "B12")


def new_chips(count: int, side: int) -> np.ndarray[Any, np.dtype[np.uint16]]:
    """Chips with the noise and contrast of land, seeded."""
    rng = np.random.default_rng(0)
    level = rng.integers(200, 3500, (count, len(BANDS), 1, 1))
    return np.clip(level + rng.normal(0, 200, (count, len(BANDS), side, side)), 1, 65535).astype(np.uint16)


def chips_per_second(encoder: Encoder, chips: np.ndarray[Any, np.dtype[np.uint16]], seconds: float) -> float:
    """Best of the passes that fit into some seconds, after one to warm up (which compiles)."""
    encoder.embed(chips)
    best, end = 0.0, time.perf_counter() + seconds
    while time.perf_counter() < end or best == 0.0:
        start = time.perf_counter()
        encoder.embed(chips)
        best = max(best, len(chips) / (time.perf_counter() - start))
    return best


def device_chips_per_second(encoder: NetworkEncoder, side: int, rounds: int = 20) -> float:
    """Computation alone: the same batch on the GPU over and over."""
    raw = torch.ones((encoder.batch_size, len(BANDS), side, side), dtype=torch.int16, device=encoder.device)
    seen = torch.ones((encoder.batch_size, side, side), dtype=torch.bool, device=encoder.device)
    with torch.inference_mode():
        encoder._run(raw, seen)
        torch.cuda.synchronize()
        start = time.perf_counter()
        for _ in range(rounds):
            encoder._run(raw, seen)
        torch.cuda.synchronize()
    return rounds * encoder.batch_size / (time.perf_counter() - start)


def least_cosine(a: np.ndarray[Any, np.dtype[np.float32]], b: np.ndarray[Any, np.dtype[np.float32]]) -> float:
    """The smallest cosine between rows of the same number."""
    return float(((a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)).min())


def checks(name: str, device: str, encoder: Encoder) -> dict[str, float | bool]:
    """Agreement with float32 on the CPU, and independence of batch and order."""
    chips = new_chips(96, 64)
    found = encoder.embed(chips)
    order = np.random.default_rng(1).permutation(len(chips))
    change = found[1:] - found[:-1]
    twin = open_encoder(name, bands=BANDS, device="cpu").embed(chips) if device != "cpu" else found
    return {
        "cosine_to_float32": least_cosine(found, twin),
        "cosine_of_changes_to_float32": least_cosine(change, twin[1:] - twin[:-1]),
        "same_in_any_order": bool(np.abs(encoder.embed(chips[order]) - found[order]).max() <= 1e-5),
        "same_alone": bool(np.abs(encoder.embed(chips[7:8]) - found[7:8]).max() <= 1e-5),
    }


def measure(name: str, device: str, sides: Sequence[int], seconds: float) -> dict[str, Any]:
    """All figures and checks of one encoder."""
    start = time.perf_counter()
    encoder = open_encoder(name, bands=BANDS, device=device)
    record: dict[str, Any] = {"encoder": name, "open_s": round(time.perf_counter() - start, 2), "chips_s": {}}
    small = name != "spectral" and device == "cpu"
    for side in sides:
        count = 64 if small else max(1024, (32768 if device != "cpu" else 4096) * 64 * 64 // side**2)
        record["chips_s"][side] = round(chips_per_second(encoder, new_chips(count, side), seconds))
        if isinstance(encoder, NetworkEncoder) and device != "cpu":
            record.setdefault("device_chips_s", {})[side] = round(device_chips_per_second(encoder, side))
    record["checks"] = checks(name, device, encoder)
    sys.stdout.write(json.dumps(record) + "\n")
    return record


def main(argv: Sequence[str] | None = None) -> int:
    """Run the measurement."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--encoders", nargs="+", default=["spectral", "random", "random-resnet50"])
    parser.add_argument("--chip-size", nargs="+", type=int, default=[32, 64, 128], metavar="PX")
    parser.add_argument("--seconds", type=float, default=3.0, help="time for each figure")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the JSON object here")
    args = parser.parse_args(argv)
    device = norm_device(args.device)
    context = {
        "device": torch.cuda.get_device_name() if device.startswith("cuda") else platform.processor() or "CPU",
        "cpus": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "bands": BANDS,
        "dtype": "uint16 in, float32 out; bfloat16 convolutions on a GPU",
    }
    sys.stdout.write(json.dumps(context) + "\n")
    results = [measure(name, device, args.chip_size, args.seconds) for name in args.encoders]
    passed = all(
        r["checks"]["cosine_to_float32"] >= 0.999 and r["checks"]["same_in_any_order"] and r["checks"]["same_alone"]
        for r in results
    )
    text = json.dumps({"context": context, "results": results, "passed": passed})
    sys.stdout.write(text + "\n")
    if args.json:
        args.json.write_text(text + "\n", encoding="utf-8")
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
