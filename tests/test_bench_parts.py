"""bench/parts.py: what it measures, by construction."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from stac.errors import DataError


@pytest.fixture(scope="module")
def parts(root: Path) -> ModuleType:
    sys.path.insert(0, str(root / "bench"))
    try:
        import parts
    finally:
        sys.path.remove(str(root / "bench"))
    return parts


def test_held_out_retrieval_never_asks_its_own_ground(parts: ModuleType) -> None:
    kind = np.array([0, 0, 1, 1, -1, -1])
    ground = np.array([0, 1, 0, 1, 0, 1])
    vectors = np.eye(3, dtype=np.float32)[[0, 0, 1, 1, 2, 2]]
    assert parts.score_held(vectors, kind, ground).value == 1.0
    alone = np.zeros(6, np.int64)
    alone[5] = 1  # nothing of a query's class lies on another ground
    with pytest.raises(DataError, match="no class of change on two grounds"):
        parts.score_held(vectors, kind, alone)
    swapped = np.eye(3, dtype=np.float32)[[0, 1, 1, 0, 2, 2]]  # each finds the other class first
    assert parts.score_held(swapped, kind, ground).value < 0.6


def test_variants_are_whitened_and_balanced(parts: ModuleType) -> None:
    generator = torch.Generator().manual_seed(0)
    kind = torch.arange(300) % 3 - 1
    wide = torch.tensor([100.0, 1.0, 1.0, 1.0])

    def made(scale: torch.Tensor) -> object:
        draw = [torch.randn(300, 4, generator=generator) * scale for _ in range(2)]
        return parts.Changes(*draw, (torch.randn(20, 4, generator=generator) * scale).numpy())

    statistics, network = made(wide), made(torch.ones(4))
    plain, *white = parts.variants(statistics, None, kind)
    assert plain[1] is statistics
    spreads = [changes.train.std(0) for _, changes in white]
    assert all(spread.max() < 1.2 for spread in spreads)
    assert spreads[0].min() > spreads[2].min()  # the larger the ridge, the less is whitened
    both = dict(parts.variants(statistics, network, kind))
    joined = both["statistics whitened + 0.5 network"]
    lengths = [part.square().sum(1).mean().sqrt() for part in (joined.train[:, :4], joined.train[:, 4:])]
    assert float(lengths[1] / lengths[0]) == pytest.approx(0.5, rel=1e-3)
    assert joined.real.shape == (20, 8)
