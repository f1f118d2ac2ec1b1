"""Retrieval metrics in plain NumPy: defined here once, with what they are on a random ranking, and their intervals.

Letters: Q queries, M ranks that were kept of each ranking, K ranks that count, R positives in a query's gallery.

    precision@K = (1 / K) Σ_{k ≤ K} rel_k
    AP@K        = (1 / min(K, R)) Σ_{k ≤ K} rel_k · precision@k

rel_k is 1 where the k-th hit is a positive, else 0. AP@K is the truncated average precision of Weyand et al., "Google
Landmarks Dataset v2", CVPR 2020 (https://arxiv.org/abs/2004.01804, there mAP@100): 1 for a ranking that
begins with positives only, whether a class has many or few. Dividing by K instead (`divide_by="k"`) caps a class with
R < K at R / K. CACo's tables do not say which one they use (CVPR 2023, §4.5). Precision@K, AP@K: against labels.
Recall: against exact search over the same vectors; the two are never mixed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

Divisor = Literal["min", "k"]
"""What AP@K divides by: `min(K, positives)` or `K`."""

DIVISORS: tuple[str, ...] = get_args(Divisor)

ROUNDS = 2000
"""Bootstrap resamples. Efron & Tibshirani, "An Introduction to the Bootstrap" (1993), ch. 14: about 1,000 or more for
an interval's ends."""

LEVEL = 0.95
"""Share of the resamples that lies inside an interval."""

_DRAWN_AT_ONCE = 1 << 22


@dataclass(frozen=True)
class Interval:
    """A mean with its percentile interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


def precision_at_k(relevant: NDArray[np.bool_], k: int) -> NDArray[np.float64]:
    """Precision@K of each ranking (see the module's head).

    Args:
        relevant: (Q, M) whether the hit of each rank is a positive, best first; ranks beyond M count as no positives.
        k: K, from 1.

    Returns:
        (Q,) from 0 to 1.
    """
    found: NDArray[np.float64] = relevant[:, :k].sum(axis=1) / np.float64(k)
    return found


def ap_at_k(
    relevant: NDArray[np.bool_], positives: NDArray[np.integer], k: int, divide_by: Divisor = "min"
) -> NDArray[np.float64]:
    """Average precision of the first K ranks of each ranking (see the module's head).

    Args:
        relevant: (Q, M) whether the hit of each rank is a positive, best first; ranks beyond M count as no positives.
        positives: (Q,) R of each query.
        k: K, from 1.
        divide_by: `min`: by min(K, R); `k`: by K.

    Returns:
        (Q,) from 0 to 1; NaN where there is no positive to find.
    """
    first = relevant[:, :k]
    precision = np.cumsum(first, axis=1) / np.arange(1, first.shape[1] + 1)
    total = (precision * first).sum(axis=1)
    return np.where(positives > 0, total / _divisor(positives, k, divide_by), np.nan)


def _divisor(positives: NDArray[np.integer], k: int, divide_by: Divisor) -> NDArray[np.float64]:
    """(Q,) what AP@K divides by, at least 1."""
    most = np.minimum(k, positives) if divide_by == "min" else np.full(len(positives), k)
    out: NDArray[np.float64] = np.maximum(most, 1).astype(np.float64)
    return out


def recall(found: NDArray[np.integer], exact: NDArray[np.integer]) -> NDArray[np.float64]:
    """Recall@K of an approximate search: the share of the exact search's K rows that it found.

    Source: https://github.com/facebookresearch/faiss/wiki (intersection measure, "k-recall@k").

    Args:
        found: (Q, K) rows, −1 where there is none.
        exact: (Q, K) rows of exact search over the same vectors.

    Returns:
        (Q,) from 0 to 1; NaN where exact search found nothing.
    """
    wanted = exact >= 0
    hit = (found[:, None, :] == exact[:, :, None]).any(axis=2) & wanted
    count = wanted.sum(axis=1)
    return np.where(count > 0, hit.sum(axis=1) / np.maximum(count, 1), np.nan)


def chance_precision(chances: NDArray[np.float64], size: NDArray[np.integer], k: int) -> NDArray[np.float64]:
    """Expected precision@K of a random ranking.

    Args:
        chances: (Q,) sum over the gallery's candidates of the chance that a candidate counts as a positive: R where a
            candidate is a row; where it is a place that stands for one of its rows at random, the sum over places of
            the share of positive rows.
        size: (Q,) candidates in the gallery.
        k: K, from 1.

    Returns:
        (Q,) the mean chance; less where the gallery has fewer than K candidates.
    """
    expected: NDArray[np.float64] = chances / np.maximum(size, 1) * np.minimum(size, k) / k
    return expected


def chance_ap(
    chances: NDArray[np.float64],
    squares: NDArray[np.float64],
    size: NDArray[np.integer],
    positives: NDArray[np.integer],
    k: int,
    divide_by: Divisor = "min",
) -> NDArray[np.float64]:
    """Expected AP@K of a random ranking, exactly.

    In a random order of n candidates the one at rank k is a positive with chance p = S₁ / n, and two different ranks
    both are with chance q = (S₁² − S₂) / (n (n − 1)), S₁ and S₂ being the sums of the chances and of their squares. So
    E[rel_k · precision@k] = (p + (k − 1) q) / k. For chances of 0 and 1: Manzhos, Ianevych, Melnyk, "Average precision
    at cutoff k under random rankings: expectation and variance" (2026, https://doi.org/10.15559/26-VMSTA298).

    Args:
        chances: (Q,) S₁, as in `chance_precision`.
        squares: (Q,) S₂; R where a candidate is a row.
        size: (Q,) n.
        positives: (Q,) R, for the divisor.
        k: K, from 1.
        divide_by: As in `ap_at_k`.

    Returns:
        (Q,) from 0 to 1; NaN where there is no positive.
    """
    one = chances / np.maximum(size, 1)
    both = (chances**2 - squares) / np.maximum(size.astype(np.float64) * (size - 1.0), 1.0)
    rank = np.arange(1, k + 1)
    expected = np.where(rank <= size[:, None], (one[:, None] + (rank - 1) * both[:, None]) / rank, 0.0).sum(axis=1)
    return np.where(positives > 0, expected / _divisor(positives, k, divide_by), np.nan)


def macro_mean(values: NDArray[np.float64], groups: NDArray[np.integer]) -> float:
    """Mean over groups (classes) of the mean over each one's values: a class counts once, however many events it has.

    Args:
        values: (Q,).
        groups: (Q,) from 0.
    """
    counts = np.bincount(groups)
    filled = counts > 0
    return float((np.bincount(groups, values)[filled] / counts[filled]).mean())


def bootstrap(
    values: NDArray[np.float64], groups: NDArray[np.integer] | None = None, *, seed: int = 0, rounds: int = ROUNDS
) -> Interval:
    """Macro mean over groups with its percentile interval, by drawing queries anew within each group.

    Source: Efron & Tibshirani (1993), ch. 13; over queries, as Sakai, "Evaluating evaluation metrics based on the
    bootstrap", SIGIR 2006 (https://doi.org/10.1145/1148170.1148261). For two systems on the same queries give the
    differences: that is the paired bootstrap. A group of one query adds no width: intervals of tiny classes are too
    narrow, which is why the number of queries stands beside every figure.

    Args:
        values: (Q,), at least one.
        groups: (Q,) class of each, from 0; None for one group.
        seed: Of the drawing.
        rounds: Resamples.
    """
    strata = np.zeros(len(values), np.intp) if groups is None else np.asarray(groups)
    rng = np.random.default_rng(seed)
    numbers = np.unique(strata)
    total = np.zeros(rounds)
    for number in numbers:
        own = values[strata == number]
        step = max(1, _DRAWN_AT_ONCE // len(own))
        for start in range(0, rounds, step):
            part = slice(start, min(start + step, rounds))
            total[part] += own[rng.integers(0, len(own), (part.stop - part.start, len(own)))].mean(axis=1)
    low, high = np.quantile(total / len(numbers), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(macro_mean(values, strata), float(low), float(high))
