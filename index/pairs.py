"""Pairs of observations in time, their change vectors, magnitudes and change ratios, as pure NumPy.

The change ratio follows CACo (Mall, Hariharan, Bala: "Change-Aware Sampling and Contrastive Learning for Satellite
Images", CVPR 2023, eq. 3): the long-term distance of a place divided by its short-term, seasonal distance, so that a
place that always looks different from month to month needs a larger step to stand out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

Pairing = Literal["consecutive", "yearly"]
"""`consecutive`: each embedded observation with the next one; `yearly`: with the one nearest to a year later."""

PAIRINGS: tuple[str, ...] = get_args(Pairing)

YEAR_DAYS = 365.25
YEARLY_TOLERANCE_DAYS = 30.0
"""assumed: how far from a whole year the two dates of a yearly pair may lie; a month keeps them in one season."""

SHORT_TERM_DAYS = 366.0
"""Two dates at most this far apart count as short-term: CACo's sets span at most a year (CVPR 2023, §4.1)."""

SHORT_TERM_COUNT = 4
"""assumed: observations of one side that tell the short-term distance well enough (six pairs). measured on the demo
store: with two, the ratio of ordinary changes early in a series rose to 50–100 where fires had 2–7."""

SHORT_TERM_SPAN_DAYS = 180.0
"""assumed: days from the first to the last of these observations: half a year holds more than one season. Dense series
reach the count within weeks, and what one clear winter tells is too small."""

RATIO_EPSILON = 1e-4
"""Added to the short-term distance, as in CACo's released code (`src/models/moco2_module.py`)."""

_DAY = np.timedelta64(1, "D")


@dataclass(frozen=True, eq=False)
class Pairs:
    """Pairs of rows of one location."""

    before: NDArray[np.intp]
    """(P,) row of the earlier observation."""
    after: NDArray[np.intp]
    """(P,) row of the later observation."""


def pair_times(time: NDArray[np.datetime64], pairing: Pairing) -> Pairs:
    """Pair the embedded observations of one location.

    Args:
        time: (T,) increasing.
        pairing: `consecutive` or `yearly`. In a yearly pair the two lie within 30 days of a whole year; each
            observation is the later one of at most one pair.

    Returns:
        Pairs in order of the later date.
    """
    if pairing == "consecutive":
        rows = np.arange(max(len(time) - 1, 0))
        return Pairs(rows, rows + 1)
    if len(time) == 0:
        return Pairs(np.empty(0, np.intp), np.empty(0, np.intp))
    days = (time - time[0]) / _DAY
    offset = np.abs(days[:, None] - days[None, :] - YEAR_DAYS)  # (later, earlier)
    earlier = offset.argmin(axis=1)
    later = np.nonzero(offset[np.arange(len(time)), earlier] <= YEARLY_TOLERANCE_DAYS)[0]
    return Pairs(earlier[later], later)


def clearest_of_month(time: NDArray[np.datetime64], clear_fraction: NDArray[np.float32]) -> NDArray[np.intp]:
    """Rows of the clearest observation of each calendar month (UTC); the earlier one where two are as clear.

    Args:
        time: (T,) increasing.
        clear_fraction: (T,) 0 to 1.
    """
    months = time.astype("datetime64[M]")
    order = np.lexsort((np.arange(len(time)), -clear_fraction, months))
    first = np.ones(len(time), dtype=bool)
    first[1:] = months[order][1:] != months[order][:-1]
    return np.sort(order[first])


def change_vectors(embedding: NDArray[np.floating], pairs: Pairs) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Unit change vectors and their magnitudes.

    Args:
        embedding: (T, D).
        pairs: P pairs of its rows.

    Returns:
        (P, D) float32, after − before scaled to unit length (zero where nothing changed), and (P,) float32, the length
        before scaling.
    """
    wide = embedding.astype(np.float64)
    difference = wide[pairs.after] - wide[pairs.before]
    magnitude = np.linalg.norm(difference, axis=1)
    unit = difference / np.where(magnitude > 0, magnitude, 1)[:, None]
    return unit.astype(np.float32), magnitude.astype(np.float32)


def change_ratios(
    embedding: NDArray[np.floating], time: NDArray[np.datetime64], pairs: Pairs, magnitude: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Change ratio of each pair: its distance over the location's own short-term distance.

    The short-term distance is the median distance between any two observations that lie within a year of one another
    and on the same side of the change: both up to `before`, at most a year earlier, or both from `after`, at most one
    later. A side tells enough where it holds `SHORT_TERM_COUNT` observations over `SHORT_TERM_SPAN_DAYS`; the earlier
    one serves where it does, else the later one where that does. Where neither does, one with the count goes before one
    without, then the one that spans more days, then the earlier one.
    CACo divides the Euclidean distance of two dates some years apart by that of two seasons of one year; a median over
    all such pairs takes the place of its running average over training epochs.

    Args:
        embedding: (T, D).
        time: (T,) increasing.
        pairs: P pairs of rows.
        magnitude: (P,) distances of the pairs.

    Returns:
        (P,) float32; NaN where no two observations tell the short-term distance.
    """
    distance = _distances(embedding)
    days = (time - time[0]) / _DAY if len(time) else np.empty(0)
    ratio = np.full(len(magnitude), np.nan, dtype=np.float32)
    for row, (before, after) in enumerate(zip(pairs.before, pairs.after, strict=True)):
        early = np.nonzero((days >= days[before] - SHORT_TERM_DAYS) & (days <= days[before]))[0]
        late = np.nonzero((days >= days[after]) & (days <= days[after] + SHORT_TERM_DAYS))[0]
        side = _telling_side(days, early, late)
        if len(side) >= 2:
            upper = np.triu_indices(len(side), 1)
            short = float(np.median(distance[np.ix_(side, side)][upper]))
            ratio[row] = magnitude[row] / (short + RATIO_EPSILON)
    return ratio


def _telling_side(days: NDArray[np.float64], early: NDArray[np.intp], late: NDArray[np.intp]) -> NDArray[np.intp]:
    """The rows, of those before and those after a change, that tell the short-term distance (`change_ratios`)."""

    def told(side: NDArray[np.intp]) -> tuple[bool, float]:
        span = float(days[side[-1]] - days[side[0]]) if len(side) else -1.0
        return len(side) >= SHORT_TERM_COUNT, min(span, SHORT_TERM_SPAN_DAYS)

    return early if told(early) >= told(late) else late


def _distances(embedding: NDArray[np.floating]) -> NDArray[np.float64]:
    """(T, T) Euclidean distances, from differences: the expanded square cancels for near vectors."""
    wide = embedding.astype(np.float64)
    out = np.empty((len(wide), len(wide)))
    for row in range(len(wide)):
        out[row] = np.linalg.norm(wide - wide[row], axis=1)
    return out
