"""The contrast of change vectors against its formula, written out row by row."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from encoder.pretraining.losses import vector_loss
from tests.pretraining_runs import losses_of, new_trainer


def literal(
    queries: torch.Tensor, keys: torch.Tensor, change: torch.Tensor, kind: torch.Tensor | None, temperature: float
) -> float:
    """Mean over locations that changed of the mean over their positives of -log softmax."""
    total, asked = 0.0, 0
    for e in range(len(queries) // 2):
        if not (change[2 * e] or change[2 * e + 1]):
            continue
        u = queries[2 * e + 1] - queries[2 * e]
        scores = []
        for f in range(len(keys) // 2):
            v = keys[2 * f + 1] - keys[2 * f]
            scores.append(float(u @ v) / float(u.norm() * v.norm()) / temperature)
        largest = max(scores)
        below = largest + math.log(sum(math.exp(s - largest) for s in scores))
        same = [
            f == e or (kind is not None and int(kind[2 * e]) >= 0 and int(kind[2 * e]) == int(kind[2 * f]))
            for f in range(len(scores))
        ]
        total += sum(below - s for s, yes in zip(scores, same, strict=True) if yes) / sum(same)
        asked += 1
    return total / max(asked, 1)


def case(seed: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    queries, keys = torch.randn(2, 16, 12, generator=generator, dtype=torch.float64)
    change = torch.rand(16, generator=generator) < 0.4
    kind = torch.randint(-1, 3, (8,), generator=generator).repeat_interleave(2)
    return queries, keys, change, kind


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("labelled", [False, True])
def test_it_is_the_formula(seed: int, labelled: bool) -> None:
    queries, keys, change, kind = case(seed)
    told = vector_loss(queries, keys, change, kind if labelled else None, temperature=0.1)
    assert float(told) == pytest.approx(literal(queries, keys, change, kind if labelled else None, 0.1), abs=1e-9)


def test_unchanged_locations_ask_nothing_and_are_told_from() -> None:
    queries, keys, change, _ = case(0)
    queries.requires_grad_()
    keys.requires_grad_()
    change = torch.zeros(16, dtype=torch.bool)
    change[4] = True  # the older half of location 2
    vector_loss(queries, keys, change).backward()
    asked = queries.grad.abs().sum(1) > 0
    assert asked.tolist() == [n in (4, 5) for n in range(16)]
    assert (keys.grad.abs().sum(1) > 0).all()


def test_without_change_it_is_nothing() -> None:
    queries, keys, _, _ = case(0)
    assert float(vector_loss(queries, keys, torch.zeros(16, dtype=torch.bool))) == 0.0


def test_two_ranks_make_the_mean_where_as_many_ask() -> None:
    queries, keys, _, kind = case(1)
    change = torch.ones(16, dtype=torch.bool)
    whole = vector_loss(queries, keys, change, kind)
    parts = [vector_loss(queries[n : n + 8], keys, change, kind, first=n) for n in (0, 8)]
    assert float(sum(parts)) / 2 == pytest.approx(float(whole))


@pytest.mark.parametrize("method", ["caco", "simclr"])
def test_it_is_trained_beside_a_methods_own_loss(method: str, tmp_path: Path) -> None:
    plain = new_trainer(tmp_path / "plain", method=method, epochs=1)
    more = new_trainer(tmp_path / "more", method=method, epochs=1, vector_weight=1.0, vector_labels=True)
    more.series.kind = torch.arange(32) % 5
    before = losses_of(plain, 1)[0]
    told = losses_of(more, 1)[0]
    assert told[:3] == pytest.approx(before[:3])
    assert told[4] > 0
    assert before[4] == 0
    same = [torch.equal(a, b) for a, b in zip(plain.model.trained(), more.model.trained(), strict=True)]
    assert not all(same)
