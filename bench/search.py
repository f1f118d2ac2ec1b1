"""Time of one exact search, with and without a filter, on the CPU and, where there is one, on the GPU.

    python bench/search.py [--rows 1000000] [--dim 512] [--json FILE]

Each answer is first held against the plain product of all vectors. The limit printed beside each time is one pass over
the vectors at the speed at which NumPy reads the same array in the same run.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import numpy as np

from index.vectors import VectorShard, gpu_count, new_shard

K = 100


def milliseconds(work: Callable[[], object], rounds: int = 7) -> float:
    """Median over some rounds, after a warm-up."""
    work()
    taken = []
    for _ in range(rounds):
        start = time.perf_counter()
        work()
        taken.append((time.perf_counter() - start) * 1e3)
    return statistics.median(taken)


def measure(vectors: np.ndarray, share: float, *, gpu: bool) -> dict[str, float | str]:
    """One row: where, how many rows pass, how long, and whether the answer is exact."""
    random = np.random.default_rng(1)
    query = vectors[0]
    keep = None if share == 1 else random.random(len(vectors)) < share
    shard = VectorShard(new_shard(vectors), gpu=gpu)
    scores, _ = shard.search(query, K, keep)
    truth = vectors @ query
    truth = np.sort(truth if keep is None else truth[keep])[::-1][:K]
    exact = bool(np.allclose(scores, truth, atol=1e-5))
    return {
        "where": "gpu" if gpu else "cpu",
        "share": share,
        "ms": milliseconds(lambda: shard.search(query, K, keep)),
        "ms_of_one_pass_in_numpy": milliseconds(lambda: vectors.sum(dtype=np.float32)),
        "exact": str(exact),
    }


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--dim", type=int, default=72)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    vectors = np.random.default_rng(0).standard_normal((args.rows, args.dim), dtype=np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    context = {"cores": os.cpu_count(), "gpus": gpu_count(), "rows": args.rows, "dim": args.dim, "k": K}
    context["faiss"] = version("faiss-gpu-cuvs")
    print(json.dumps(context))
    rows = []
    for gpu in (False, True)[: 2 if gpu_count() else 1]:
        for share in (1.0, 0.1, 0.01):
            rows.append(measure(vectors, share, gpu=gpu))
            print(json.dumps(rows[-1]))
    if args.json:
        args.json.write_text(json.dumps({"context": context, "rows": rows}, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
