"""The pre-training losses against the same formulas written out slowly, and against values worked out by hand."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import product

import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize

from encoder.pretraining import losses as real
from tests import pretraining_reference as twin

CHOICES = list(product(("all", "season"), ("open", "gated")))
SIZES = [(8, 24, 5), (10, 40, 128), (16, 32, 128)]
"""Rows, queue, size of a vector."""


@dataclass
class Inputs:
    queries: Tensor
    keys: Tensor
    queues: Tensor
    change: Tensor
    geo: Tensor
    cluster: Tensor

    def to(self, dtype: torch.dtype) -> Inputs:
        queries, keys, queues = self.queries.to(dtype), self.keys.to(dtype), self.queues.to(dtype)
        return Inputs(queries, keys, queues, self.change, self.geo.to(dtype), self.cluster)

    def part(self, first: int, last: int) -> Inputs:
        """What one rank has: its own rows of the queries, the keys of all."""
        own = slice(first, last)
        return Inputs(self.queries[:, own], self.keys, self.queues, self.change, self.geo[own], self.cluster[own])


def draw(seed: int, rows: int, queue: int, size: int) -> Inputs:
    noise = torch.Generator().manual_seed(seed)

    def unit(*shape: int, axis: int = -1) -> Tensor:
        return normalize(torch.randn(*shape, generator=noise, dtype=torch.float64), dim=axis)

    queries, keys, queues = unit(3, rows, size), unit(3, 3, rows, size), unit(3, size, queue, axis=1)
    weight, bias = torch.randn(7, size, generator=noise), torch.randn(7, generator=noise)
    geo = twin.geo_logits(torch.randn(rows, size, generator=noise).double(), weight.double(), bias.double())
    change = torch.rand(rows, generator=noise) < 0.4
    change[:2] = torch.tensor([True, False])  # a location whose two labels differ
    return Inputs(queries, keys, queues, change, geo, torch.randint(7, (rows,), generator=noise))


def same(found: Tensor, wanted: Tensor, relative: float = 1e-11) -> None:
    torch.testing.assert_close(found.double(), wanted, rtol=relative, atol=relative)


Method = Callable[[Inputs, int], Tensor]
"""Inputs of one rank, its first row → loss."""


def real_caco(gate: str, blocks: str) -> Method:
    return lambda x, first: real.caco_loss(x.queries, x.keys, x.queues, x.change, gate=gate, blocks=blocks, first=first)


REAL: dict[str, Method] = {
    **{f"caco {gate} {blocks}": real_caco(gate, blocks) for gate, blocks in CHOICES},
    "teco": lambda x, first: real.teco_loss(x.queries, x.keys, x.queues, first=first),
    "seco": lambda x, first: real.seco_loss(x.queries, x.keys, x.queues, first=first),
    "moco": lambda x, first: real.moco_loss(x.queries[0], x.keys[0, 0], x.queues[0], first=first),
    "gssl": lambda x, first: real.gssl_loss(
        x.queries[0], x.keys[0, 0], x.queues[0], x.geo, x.cluster, temperature=0.02, weight=0.7, first=first
    ),
    "simclr all": lambda x, first: real.simclr_caco_loss(x.queries, x.keys, x.change, gate="all", first=first),
    "simclr season": lambda x, first: real.simclr_caco_loss(x.queries, x.keys, x.change, gate="season", first=first),
}


def slow_caco(gate: str, blocks: str) -> Callable[[Inputs], Tensor]:
    return lambda x: twin.caco_loss(x.queries, x.keys, x.queues, x.change, gate=gate, blocks=blocks)


TWIN: dict[str, Callable[[Inputs], Tensor]] = {
    **{f"caco {gate} {blocks}": slow_caco(gate, blocks) for gate, blocks in CHOICES},
    "teco": lambda x: twin.teco_loss(x.queries, x.keys, x.queues),
    "seco": lambda x: twin.seco_loss(x.queries, x.keys, x.queues),
    "moco": lambda x: twin.moco_loss(x.queries[0], x.keys[0, 0], x.queues[0]),
    "gssl": lambda x: twin.gssl_loss(
        x.queries[0], x.keys[0, 0], x.queues[0], x.geo, x.cluster, temperature=0.02, weight=0.7
    ),
    "simclr all": lambda x: twin.simclr_loss(x.queries, x.keys, x.change, gate="all"),
    "simclr season": lambda x: twin.simclr_loss(x.queries, x.keys, x.change, gate="season"),
}


@pytest.mark.parametrize("method", REAL)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("seed", [1, 2])
def test_each_loss_is_its_formula(method: str, size: tuple[int, int, int], seed: int) -> None:
    inputs = draw(seed, *size)
    with torch.no_grad():
        wanted = TWIN[method](inputs)
        same(REAL[method](inputs, 0), wanted)
        single = REAL[method](inputs.to(torch.float32), 0)
    assert single.dtype == torch.float32
    same(single, wanted, relative=1e-5)


@pytest.mark.parametrize("method", REAL)
def test_gradients_are_those_of_the_formula(method: str) -> None:
    inputs = draw(3, 8, 24, 5)
    found, wanted = (gradients(inputs, function) for function in (lambda x: REAL[method](x, 0), TWIN[method]))
    for name in wanted:
        same(found[name], wanted[name])
    assert wanted["queries"].abs().max() > 0.01


def gradients(inputs: Inputs, function: Callable[[Inputs], Tensor]) -> dict[str, Tensor]:
    """Of the summed loss, with respect to everything that is a vector."""
    leaves = {
        name: getattr(inputs, name).detach().clone().requires_grad_() for name in ("queries", "keys", "queues", "geo")
    }
    loss = function(Inputs(**leaves, change=inputs.change, cluster=inputs.cluster)).sum()
    loss.backward()
    return {name: torch.zeros_like(leaf) if leaf.grad is None else leaf.grad for name, leaf in leaves.items()}


@pytest.mark.parametrize("method", REAL)
def test_two_ranks_make_the_loss_of_one(method: str) -> None:
    """Each rank has its rows of the queries and all keys; ranks are averaged."""
    inputs = draw(4, 12, 24, 9)
    whole = gradients(inputs, lambda x: REAL[method](x, 0))
    ranks = gradients(inputs, lambda x: (REAL[method](x.part(0, 6), 0) + REAL[method](x.part(6, 12), 6)) / 2)
    for name in whole:
        same(ranks[name], whole[name])
    halves = [REAL[method](inputs.part(first, first + 6), first) for first in (0, 6)]
    same((halves[0] + halves[1]) / 2, TWIN[method](inputs))


# B = 4 rows, a queue of 4: a queue's half 2, a whole-batch block 4, the opposite half 2.
BY_HAND = [
    ("all", "open", True, (4, 12, 12)),
    ("all", "open", False, (3, 11, 11)),
    ("season", "open", False, (4, 11, 12)),
    ("all", "gated", True, (4, 12, 12)),
    ("all", "gated", False, (3, 9, 9)),
    ("season", "gated", False, (4, 9, 12)),
]


@pytest.mark.parametrize(("gate", "blocks", "label", "counts"), BY_HAND)
def test_negatives_at_right_angles_count_themselves(
    gate: str, blocks: str, label: bool, counts: tuple[int, ...]
) -> None:
    """All logits are 0: the loss is the logarithm of their number."""
    x = right_angles(4, 4)
    x.change[:] = label
    wanted = torch.tensor([math.log(1 + count) for count in counts], dtype=torch.float64)
    same(REAL[f"caco {gate} {blocks}"](x, 0), wanted)
    same(TWIN[f"caco {gate} {blocks}"](x), wanted)


def right_angles(rows: int, queue: int) -> Inputs:
    """Every query is at a right angle to every key."""
    ones = torch.tensor([1.0, 0.0], dtype=torch.float64), torch.tensor([0.0, 1.0], dtype=torch.float64)
    return Inputs(
        ones[0].expand(3, rows, 2),
        ones[1].expand(3, 3, rows, 2),
        ones[1][:, None].expand(3, 2, queue),
        torch.zeros(rows, dtype=torch.bool),
        torch.zeros(rows, 5, dtype=torch.float64),
        torch.zeros(rows, dtype=torch.int64),
    )


@pytest.mark.parametrize("label", [False, True])
def test_same_view_keys_that_equal_the_query(label: bool) -> None:
    """Keys [i, i] are the query itself, everything else is at a right angle; the temperature is 1."""
    x = right_angles(4, 4)
    keys = x.keys.clone()
    for subspace in range(3):
        keys[subspace, subspace] = x.queries[subspace]
    opposite = (2 if label else 1) * math.e
    wanted = torch.tensor([math.log((math.e + zeros + opposite) / math.e) for zeros in (2, 10, 10)]).double()
    change = torch.full((4,), label)
    same(real.caco_loss(x.queries, keys, x.queues, change, temperature=1.0), wanted, relative=1e-6)
    same(twin.caco_loss(x.queries, keys, x.queues, change, temperature=1.0), wanted, relative=1e-6)


def test_other_methods_by_hand() -> None:
    x = right_angles(4, 8)
    logs = [torch.tensor([math.log(1 + n) for n in counts]).double() for counts in ((8, 16, 16), (3, 11, 11))]
    same(REAL["seco"](x, 0), logs[0], relative=1e-6)
    same(real.simclr_caco_loss(x.queries, x.keys, ~x.change), logs[1], relative=1e-6)
    same(REAL["moco"](x, 0), torch.tensor(math.log(9)).double(), relative=1e-6)
    same(REAL["gssl"](x, 0), torch.tensor(math.log(9) + 0.7 * math.log(5)).double(), relative=1e-6)


@pytest.mark.parametrize(("gate", "blocks"), CHOICES)
@pytest.mark.parametrize("first", [0, 4])
def test_each_row_meets_exactly_its_negatives(gate: str, blocks: str, first: int) -> None:
    """Every key and queue column is given a number of its own, which the query reads out."""
    rows, queue = 8, 16
    queries = torch.tensor([1.0, 0.0], dtype=torch.float64).expand(3, rows - first, 2)
    keys = torch.arange(9 * rows, dtype=torch.float64).view(3, 3, rows, 1).expand(-1, -1, -1, 2) + 1000
    queues = torch.arange(3 * queue, dtype=torch.float64).view(3, 1, queue).expand(-1, 2, -1)
    change = torch.tensor([True, False, False, False, True, True, False, True])
    found = real.caco_logits(queries, keys, queues, change, gate=gate, blocks=blocks, first=first)
    for subspace, row in product(range(3), range(first, rows)):
        entries = twin.caco_negatives(subspace, row, change, queue, gate, blocks)
        logits = found[subspace][row - first]
        assert logits[0] == keys[subspace, subspace, row, 0]
        open_entries = [entry for entry in entries if not entry.gated]
        wanted = [
            queues[subspace, 0, entry.index] if entry.view is None else keys[subspace, entry.view, entry.index, 0]
            for entry in open_entries
        ]
        assert sorted(logits[1:][logits[1:].isfinite()].tolist()) == sorted(map(float, wanted))
        assert int(logits.isneginf().sum()) == len(entries) - len(open_entries)


@pytest.mark.parametrize("label", [False, True])
def test_published_counts_of_negatives(label: bool) -> None:
    """Batch 256 and queue 16,384, as both papers have them: CACo 8,320 and 8,832, SeCo 16,384 and 16,896."""
    x = right_angles(256, 16_384)
    change = torch.full((256,), label)
    logits = real.caco_logits(x.queries, x.keys, x.queues, change)
    gated = 0 if label else 1
    for found, count in zip(logits, (8320, 8832, 8832), strict=True):
        assert found.shape == (256, 1 + count)
        assert (found.isfinite().sum(1) == 1 + count - gated).all()
    wanted = [math.log(1 + count) for count in (16_384, 16_896, 16_896)]
    same(REAL["seco"](x, 0), torch.tensor(wanted, dtype=torch.float64))


def opposite_pull(label: bool, subspace: int, gate: str = "all", blocks: str = "open") -> tuple[Tensor, Tensor]:
    """What row 2 alone does to the opposite half's keys of its own location (E,) and of another (E,)."""
    x = draw(5, 8, 24, 5)
    queries = torch.zeros_like(x.queries)
    queries[:, 2] = x.queries[:, 2]  # the other rows have no direction, and so no say
    keys = x.keys.clone().requires_grad_()
    change = torch.full((8,), label)
    real.caco_loss(queries, keys, x.queues, change, temperature=1.0, gate=gate, blocks=blocks)[subspace].backward()
    assert keys.grad is not None
    return keys.grad[subspace, :, 3], keys.grad[subspace, :, 5]


def test_no_change_leaves_the_other_half_alone() -> None:
    for subspace in range(3):
        unchanged, changed = opposite_pull(False, subspace), opposite_pull(True, subspace)
        assert (unchanged[0][subspace] == 0).all()  # exactly: not merely small
        assert changed[0][subspace].abs().max() > 1e-3
        assert unchanged[1][subspace].abs().max() > 1e-3  # other locations always push
    assert (opposite_pull(False, 0)[0] == 0).all()  # subspace 0 has no other in-batch block


def test_the_two_switches_reach_what_they_name() -> None:
    assert (opposite_pull(False, 1, gate="season")[0][1] == 0).all()
    for subspace in (0, 2):
        assert opposite_pull(False, subspace, gate="season")[0][subspace].abs().max() > 1e-3
    for subspace, views in ((1, (0, 2)), (2, (0, 1))):
        for view in views:
            assert opposite_pull(False, subspace)[0][view].abs().max() > 1e-3  # the released code's quirk
            assert (opposite_pull(False, subspace, blocks="gated")[0][view] == 0).all()
            assert opposite_pull(True, subspace, blocks="gated")[0][view].abs().max() > 1e-3


@pytest.mark.parametrize(("gate", "blocks"), CHOICES)
def test_teco_is_caco_with_change_everywhere(gate: str, blocks: str) -> None:
    x = draw(6, 8, 24, 5)
    x.change[:] = True
    assert torch.equal(REAL[f"caco {gate} {blocks}"](x, 0), REAL["teco"](x, 0))


def test_a_half_meets_its_own_half_of_the_queue() -> None:
    """Even places of the queue are older halves', odd ones recent halves'."""
    for half in (0, 1):
        x = draw(7, 8, 24, 5)
        queries = x.queries.clone()
        queries[:, 1 - half :: 2] = 0
        x.queries = queries
        pull = gradients(x, lambda part: REAL["caco all open"](part, 0))["queues"]
        assert (pull[:, :, 1 - half :: 2] == 0).all()
        assert (pull[:, :, half::2].abs().amax(1) > 0).all()
