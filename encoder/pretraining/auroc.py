"""How well a score tells two groups apart, over all thresholds at once; ties count half."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

Numbers = Tensor | NDArray[Any]
"""A tensor on any device, or an array."""


def auroc(scores: Numbers, truth: Numbers) -> float | None:
    """Area under the ROC curve: the chance that a positive scores above a negative, ties counting half.

    By ranks, ties sharing their mean rank: the Mann-Whitney U over the number of pairs. Hanley & McNeil, "The meaning
    and use of the area under a ROC curve", Radiology 143 (1982). 0.5 for a score that knows nothing.

    Args:
        scores: (n,), higher means more likely positive.
        truth: bool (n,).

    Returns:
        From 0 to 1; None where one group is empty or a score is NaN.
    """
    found = _groups(scores, truth)
    if found is None:
        return None
    positive, total = found
    negative = total - positive
    # A positive beats all negatives below its score and half of those at it.
    below = np.cumsum(negative) - negative
    pairs = float(positive.sum()) * float(negative.sum())
    return float((positive * (below + 0.5 * negative)).sum() / pairs)


def average_precision(scores: Numbers, truth: Numbers) -> float | None:
    """Mean precision over the positives as the threshold falls; equal scores pass it together.

    Σ (recall_k - recall_{k-1}) · precision_k over the distinct scores from the highest, without interpolation:
    https://scikit-learn.org/stable/modules/generated/sklearn.metrics.average_precision_score.html. A score that knows
    nothing gets about the share of positives.

    Args:
        scores: (n,), higher means more likely positive.
        truth: bool (n,).

    Returns:
        From 0 to 1; None where one group is empty or a score is NaN.
    """
    found = _groups(scores, truth)
    if found is None:
        return None
    positive, total = (counts[::-1] for counts in found)
    precision = np.cumsum(positive) / np.cumsum(total)
    return float((positive * precision).sum() / positive.sum())


def _groups(scores: Numbers, truth: Numbers) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """Positives and all rows at each distinct score, from the lowest; None where there is nothing to tell apart."""
    values, flags = _array(scores).astype(np.float64), _array(truth).astype(bool)
    if np.isnan(values).any() or flags.all() or not flags.any():
        return None
    distinct, place = np.unique(values, return_inverse=True)
    positive, total = (np.bincount(place[rows], minlength=distinct.size) for rows in (flags, np.ones_like(flags)))
    return positive.astype(np.float64), total.astype(np.float64)


def _array(numbers: Numbers) -> NDArray[Any]:
    if not isinstance(numbers, Tensor):
        return numbers
    # NumPy has no bfloat16; float64 holds any score.
    return numbers.detach().double().cpu().numpy()
