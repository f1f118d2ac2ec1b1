"""The pre-training formulas written out once more, slowly: the exact twin that the tests hold the real code against.

Nothing here is shared with `encoder.pretraining`: it was written from the fact sheet of the published methods alone,
in float64, one row and one column at a time. It follows:

- `caco_negatives`, `row_logits`, `caco_loss`: CACo's released code, `src/models/moco2_module.py` of
  github.com/utkarshmall13/CACo @7c4fbc8, with the two places where paper and code part ways as `gate` and `blocks`;
- `teco_loss`: the same file, mode `teco`: CACo without its gate;
- `seco_negatives`, `seco_loss`: `models/moco2_module.py` of github.com/ServiceNow/seasonal-contrast @8285173;
- `moco_loss`: MoCo v2, github.com/facebookresearch/moco @7397dfe;
- `geo_logits`, `gssl_loss`: `builder_geo.py`, `main_moco_geo+tp.py` of
  github.com/sustainlab-group/geography-aware-ssl @4251731;
- `simclr_negatives`, `simclr_loss`: CACo's Table 7 names such a variant, whose layout was not found: ours;
- `change_distances`: CACo's `moco2_module.py`; squared as equation 3 of its paper;
- `remember`: CACo's memory, same file; `fit_mixture`, `split`: its `utils/histogram_callback.py`, that is
  scikit-learn's `GaussianMixture(2)`, all defaults: tol 1e-3, reg_covar 1e-6, 100 steps, k-means start.

Row 2e of a batch is the older half of a location, row 2e + 1 the recent half of the same.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

SUBSPACES = 3
WHOLE_BLOCKS: dict[int, tuple[int, ...]] = {0: (), 1: (0, 2), 2: (0, 1)}
"""The views whose keys of all rows are negatives in subspaces 0 (season and synthetic), 1 (season), 2 (synthetic)."""


@dataclass(frozen=True)
class Entry:
    """One negative of one row: a column of the queue (`view` is None) or a key of the batch."""

    view: int | None
    index: int
    gated: bool = False
    """True where -1e8 is added to the logit."""


def caco_negatives(
    subspace: int, row: int, change: Tensor, queue_size: int, gate: str = "all", blocks: str = "open"
) -> list[Entry]:
    """What row `row` is pushed from in one subspace: queue of its half, whole-batch blocks, opposite half."""
    half = row % 2
    negatives = [Entry(None, position) for position in range(queue_size) if position % 2 == half]
    return negatives + _in_batch(subspace, row, change, gate, blocks)


def simclr_negatives(subspace: int, row: int, change: Tensor, gate: str = "all") -> list[Entry]:
    """As CACo, the queue replaced by the same half's keys of the other locations."""
    negatives = [Entry(subspace, other) for other in range(len(change)) if other % 2 == row % 2 and other != row]
    return negatives + _in_batch(subspace, row, change, gate, "open")


def _in_batch(subspace: int, row: int, change: Tensor, gate: str, blocks: str) -> list[Entry]:
    batch = len(change)
    half, location = row % 2, row // 2
    unchanged = not bool(change[row])
    gated_here = unchanged and (gate == "all" or (gate == "season" and subspace == 1))
    negatives = []
    for view in WHOLE_BLOCKS[subspace]:
        for other in range(batch):
            own_opposite = other // 2 == location and other % 2 != half
            negatives.append(Entry(view, other, gated_here and own_opposite and blocks == "gated"))
    for other in range(batch):
        if other % 2 != half:
            negatives.append(Entry(subspace, other, gated_here and other // 2 == location))
    return negatives


def seco_negatives(subspace: int, batch: int, queue_size: int) -> list[Entry]:
    """The whole queue, and in subspaces 1 and 2 all keys of the two other views, the row's own included."""
    negatives = [Entry(None, position) for position in range(queue_size)]
    return negatives + [Entry(view, other) for view in WHOLE_BLOCKS[subspace] for other in range(batch)]


def row_logits(query: Tensor, positive: Tensor, negatives: list[Entry], keys: Tensor, queue: Tensor) -> list[Tensor]:
    """Logits of one row before the temperature, the positive first; `keys` (view, row, E), `queue` (E, K)."""
    logits = [_dot(query, positive)]
    for entry in negatives:
        other = queue[:, entry.index] if entry.view is None else keys[entry.view, entry.index]
        logit = _dot(query, other)
        logits.append(logit - 1e8 if entry.gated else logit)
    return logits


def _dot(first: Tensor, second: Tensor) -> Tensor:
    return (first * second).sum()


def cross_entropy_of_first(logits: list[Tensor], temperature: float) -> Tensor:
    """-log of the softmax's first entry."""
    scaled = [logit / temperature for logit in logits]
    peak = max(float(value.detach()) for value in scaled)
    total = torch.zeros((), dtype=torch.float64)
    for value in scaled:
        total = total + torch.exp(value - peak)
    return torch.log(total) + peak - scaled[0]


def _mean(losses: list[Tensor]) -> Tensor:
    total = torch.zeros((), dtype=torch.float64)
    for loss in losses:
        total = total + loss
    return total / len(losses)


def _subspace_losses(
    queries: Tensor, keys: Tensor, queues: Tensor, negatives: Callable[[int, int], list[Entry]], temperature: float
) -> Tensor:
    """(3,) of queries (3, B, E), keys (3, 3, B, E), queues (3, E, K); row n's positive is row n of key [i, i]."""
    losses = []
    for subspace in range(SUBSPACES):
        rows = []
        for row in range(queries.shape[1]):
            positive = keys[subspace, subspace, row]
            others = negatives(subspace, row)
            logits = row_logits(queries[subspace, row], positive, others, keys[subspace], queues[subspace])
            rows.append(cross_entropy_of_first(logits, temperature))
        losses.append(_mean(rows))
    return torch.stack(losses)


def caco_loss(
    queries: Tensor,
    keys: Tensor,
    queues: Tensor,
    change: Tensor,
    *,
    temperature: float = 0.07,
    gate: str = "all",
    blocks: str = "open",
) -> Tensor:
    """(3,), whose plain sum is trained on; `change` (B,)."""
    size = queues.shape[2]
    return _subspace_losses(
        queries, keys, queues, lambda i, row: caco_negatives(i, row, change, size, gate, blocks), temperature
    )


def teco_loss(queries: Tensor, keys: Tensor, queues: Tensor, *, temperature: float = 0.07) -> Tensor:
    """CACo's with the gate taken out: no label is looked at."""
    batch, size = queries.shape[1], queues.shape[2]

    def ungated(subspace: int, row: int) -> list[Entry]:
        entries = caco_negatives(subspace, row, torch.zeros(batch), size)
        return [Entry(entry.view, entry.index) for entry in entries]

    return _subspace_losses(queries, keys, queues, ungated, temperature)


def seco_loss(queries: Tensor, keys: Tensor, queues: Tensor, *, temperature: float = 0.07) -> Tensor:
    """(3,), whose plain sum is trained on."""
    batch, size = queries.shape[1], queues.shape[2]
    return _subspace_losses(queries, keys, queues, lambda i, row: seco_negatives(i, batch, size), temperature)


def simclr_loss(
    queries: Tensor, keys: Tensor, change: Tensor, *, temperature: float = 0.07, gate: str = "all"
) -> Tensor:
    """(3,), whose plain sum is trained on; there is no queue."""
    none = torch.zeros(SUBSPACES, queries.shape[2], 0, dtype=torch.float64)
    return _subspace_losses(queries, keys, none, lambda i, row: simclr_negatives(i, row, change, gate), temperature)


def moco_loss(query: Tensor, key: Tensor, queue: Tensor, *, temperature: float = 0.07) -> Tensor:
    """InfoNCE of query (B, E) with key (B, E) against the whole queue (E, K)."""
    rows = []
    for row in range(len(query)):
        negatives = [Entry(None, position) for position in range(queue.shape[1])]
        rows.append(cross_entropy_of_first(row_logits(query[row], key[row], negatives, key[None], queue), temperature))
    return _mean(rows)


def geo_logits(projection: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """ReLU, then Linear, of the query's projection before it is normalised: (B, G)."""
    rows = []
    for row in range(len(projection)):
        positive = [torch.clamp(value, min=0) for value in projection[row]]
        scores = []
        for group in range(len(weight)):
            score = bias[group]
            for column, value in enumerate(positive):
                score = score + weight[group, column] * value
            scores.append(score)
        rows.append(torch.stack(scores))
    return torch.stack(rows)


def gssl_loss(
    query: Tensor,
    key: Tensor,
    queue: Tensor,
    geo: Tensor,
    cluster: Tensor,
    *,
    temperature: float = 0.07,
    weight: float = 1.0,
) -> Tensor:
    """InfoNCE plus `weight` times the cross-entropy of the geographic cluster."""
    rows = []
    for row in range(len(geo)):
        right = int(cluster[row])
        others = [geo[row, group] for group in range(geo.shape[1]) if group != right]
        rows.append(cross_entropy_of_first([geo[row, right], *others], 1.0))
    return moco_loss(query, key, queue, temperature=temperature) + weight * _mean(rows)


def change_distances(
    query: NDArray[np.float64], key: NDArray[np.float64], squared: bool = False
) -> NDArray[np.float64]:
    """(B, 3) of long-term distance, short-term distance and ratio; with `squared` both distances are squares."""
    rows = []
    for row in range(len(query)):
        neighbour = row + 1 if row % 2 == 0 else row - 1
        long = sum((float(x) - float(y)) ** 2 for x, y in zip(query[row], query[neighbour], strict=True))
        short = sum((float(x) - float(y)) ** 2 for x, y in zip(query[row], key[row], strict=True))
        if not squared:
            long, short = math.sqrt(long), math.sqrt(short)
        rows.append((long, short, long / (short + 1e-4)))
    return np.array(rows)


def remember(
    values: NDArray[np.float64], seen: NDArray[np.bool_], items: list[int], new: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """The memory after one step: a first value as it is, later ones (4 old + new) / 5, column by column."""
    values, seen = values.copy(), seen.copy()
    for row, item in enumerate(items):
        for column in range(3):
            old, now = float(values[item, column]), float(new[row, column])
            values[item, column] = (4 * old + now) / 5 if seen[item] else now
        seen[item] = True
    return values, seen


@dataclass(frozen=True)
class Mixture:
    """Two normal distributions on a line; `component` is each observation's more probable one."""

    weights: tuple[float, float]
    means: tuple[float, float]
    variances: tuple[float, float]
    bound: float
    """Mean log-likelihood."""
    component: list[int]


def fit_mixture(x: list[float], tolerance: float = 1e-3, steps: int = 100, floor: float = 1e-6) -> Mixture:
    """Expectation-maximisation from the best cut into two groups by squared error (what k-means looks for)."""
    cut = _best_cut(x)
    shares = [(1.0, 0.0) if value <= cut else (0.0, 1.0) for value in x]
    bound = -math.inf
    weights, means, variances = _maximise(x, shares, floor)
    for _ in range(steps):
        previous = bound
        bound, shares = expect(x, weights, means, variances)
        weights, means, variances = _maximise(x, shares, floor)
        if abs(bound - previous) < tolerance:
            break
    bound, shares = expect(x, weights, means, variances)
    return Mixture(weights, means, variances, bound, [0 if first >= second else 1 for first, second in shares])


def _best_cut(x: list[float]) -> float:
    best, cut = math.inf, x[0]
    for candidate in sorted(set(x))[:-1]:
        error = 0.0
        for group in ([v for v in x if v <= candidate], [v for v in x if v > candidate]):
            mean = sum(group) / len(group)
            error += sum((v - mean) ** 2 for v in group)
        if error < best:
            best, cut = error, candidate
    return cut


def _maximise(
    x: list[float], shares: list[tuple[float, float]], floor: float
) -> tuple[tuple[float, float], tuple[float, float], tuple[float, float]]:
    weights, means, variances = [], [], []
    for component in (0, 1):
        total = sum(share[component] for share in shares) + 10 * np.finfo(np.float64).eps
        mean = sum(share[component] * v for share, v in zip(shares, x, strict=True)) / total
        spread = sum(share[component] * (v - mean) ** 2 for share, v in zip(shares, x, strict=True)) / total
        weights.append(total / len(x))
        means.append(mean)
        variances.append(spread + floor)
    return (weights[0], weights[1]), (means[0], means[1]), (variances[0], variances[1])


def expect(
    x: list[float], weights: tuple[float, float], means: tuple[float, float], variances: tuple[float, float]
) -> tuple[float, list[tuple[float, float]]]:
    """Mean log-likelihood, and each observation's share in the two components."""
    bound, shares = 0.0, []
    for value in x:
        logs = []
        for component in (0, 1):
            square = (value - means[component]) ** 2 / variances[component]
            normal = -0.5 * (math.log(2 * math.pi * variances[component]) + square)
            logs.append(math.log(weights[component]) + normal)
        peak = max(logs)
        total = peak + math.log(sum(math.exp(value - peak) for value in logs))
        bound += total / len(x)
        shares.append((math.exp(logs[0] - total), math.exp(logs[1] - total)))
    return bound, shares


def split(ratios: list[float]) -> list[int]:
    """1 (change) for the members of the component with the larger mean, 0 for the others."""
    mixture = fit_mixture(ratios)
    larger = 0 if mixture.means[0] > mixture.means[1] else 1
    return [1 if component == larger else 0 for component in mixture.component]
