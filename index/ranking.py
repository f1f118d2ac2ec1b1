"""Ranking: the first hits of many queries at once, by exact search over a store's vectors, in bounded memory.

Two lists come out of one pass. **Rows**: every row is a candidate. **Places**: a location is one candidate and stands
with its best row, so that a place with many dates does not fill the list. Scores are inner products of unit change
vectors, as in `index.search`; equal ones stand in order of their rows.

Letters: Q queries, K ranks, n rows of a piece, p places of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from .store import Store
from .truth import Places, Queries

Unit = Literal["place", "row"]
"""What a list is made of (the module's head)."""

UNITS: tuple[str, ...] = get_args(Unit)

PIECE_NUMBERS = 1 << 22
"""assumed: scores, and numbers of the vectors, that are in memory together: 16 MB each."""

_SPREAD_ROWS = 4
"""Rows that lie within so many times their number are read in one go. measured: a row of 72 numbers takes 2.5 µs
alone and 0.05 µs in a slice of 20,000; the slice bounds what is read in vain."""


@dataclass(frozen=True, eq=False)
class Ranking:
    """The first K hits of each query, and what there was to be found."""

    rows: NDArray[np.int64]
    """(Q, K) rows, best first; −1 where the gallery holds fewer."""
    relevant: NDArray[np.bool_]
    """(Q, K) whether the row is a positive of the query's class."""
    size: NDArray[np.int64]
    """(Q,) candidates in the gallery."""
    positives: NDArray[np.int64]
    """(Q,) candidates that are positives; a place is one when any of its rows is."""
    chances: NDArray[np.float64]
    """(Q,) sum over candidates of the chance that one of its rows, drawn at random, is a positive."""
    squares: NDArray[np.float64]
    """(Q,) sum of the squares of these."""


@dataclass(frozen=True, eq=False)
class Gallery:
    """What may be found."""

    area: NDArray[np.int64]
    """(N,) area of each row; −1: never found."""
    positive: Mapping[int, NDArray[np.int64]]
    """Class → rows that are its positives, sorted."""
    unclear: Mapping[int, NDArray[np.int64]]
    """Class → rows that its queries do not find, sorted."""


class _List:
    """The best K candidates so far, and the tallies."""

    def __init__(self, queries: int, k: int) -> None:
        self.scores = np.full((queries, k), -np.inf, np.float32)
        self.rows = np.full((queries, k), -1, np.int64)
        self.relevant = np.zeros((queries, k), bool)
        self.size, self.positives = (np.zeros(queries, np.int64) for _ in range(2))
        self.chances, self.squares = (np.zeros(queries) for _ in range(2))

    def count(self, candidate: NDArray[np.bool_], positive: NDArray[np.bool_], chance: NDArray[np.floating]) -> None:
        """Add candidates (Q, p) to the tallies: which there are, which are positives, with what chance."""
        self.size += candidate.sum(axis=1)
        self.positives += positive.sum(axis=1)
        self.chances += chance.sum(axis=1, dtype=np.float64)
        self.squares += np.square(chance, dtype=np.float64).sum(axis=1)

    def add(self, scores: NDArray[np.float32], rows: NDArray[np.int64], relevant: NDArray[np.bool_]) -> None:
        """Merge candidates (Q, p), later in order of row than all before them; −inf stands for none."""
        scores = np.concatenate([self.scores, scores], axis=1)
        rows = np.concatenate([self.rows, np.where(np.isneginf(scores[:, self.rows.shape[1] :]), -1, rows)], axis=1)
        relevant = np.concatenate([self.relevant, relevant], axis=1)
        best = np.argsort(-scores, axis=1, kind="stable")[:, : self.rows.shape[1]]
        self.scores, self.rows = np.take_along_axis(scores, best, axis=1), np.take_along_axis(rows, best, axis=1)
        self.relevant = np.take_along_axis(relevant, best, axis=1)

    def to_ranking(self) -> Ranking:
        """What came out."""
        relevant = self.relevant & (self.rows >= 0)
        return Ranking(self.rows, relevant, self.size, self.positives, self.chances, self.squares)


def rank(
    store: Store, places: Places, queries: Queries, gallery: Gallery, k: int, *, progress: bool = False
) -> dict[Unit, Ranking]:
    """The first hits of every query.

    Args:
        store: The store; its vectors are read once, piece by piece.
        places: Its locations.
        queries: What is asked.
        gallery: What may be found.
        k: Ranks to keep.
        progress: Show a progress bar on standard error.

    Raises:
        StoreError: A shard cannot be read.
    """
    asked = read_vectors(store, queries.row)
    lists: dict[Unit, _List] = {"place": _List(len(asked), k), "row": _List(len(asked), k)}
    with tqdm(total=len(gallery.area), unit="row", unit_scale=True, desc="ranking", disable=not progress) as bar:
        for first, last in _pieces(places, max(1, PIECE_NUMBERS // max(asked.shape))):
            span = slice(int(places.starts[first]), int(places.starts[last]))
            keep, positive = _masks(queries, gallery, span)
            scores = asked @ read_vectors(store, np.arange(span.start, span.stop)).T
            scores[~keep] = -np.inf
            _add_rows(lists["row"], scores, keep, positive, span.start)
            _add_places(lists["place"], scores, keep, positive, places.starts[first : last + 1])
            bar.update(span.stop - span.start)
    return {unit: found.to_ranking() for unit, found in lists.items()}


def read_vectors(store: Store, rows: NDArray[np.int64]) -> NDArray[np.float32]:
    """(n, D) float32 change vectors of some rows of the whole store.

    Raises:
        StoreError: A shard cannot be read.
    """
    out = np.empty((len(rows), store.manifest.dim), np.float32)
    for block, start in store.shard_rows:
        inside = np.flatnonzero((rows >= start) & (rows < start + block.events.rows))
        if len(inside):
            shard, own = store.shard(block), rows[inside] - start
            low, high = int(own.min()), int(own.max()) + 1
            if high - low <= _SPREAD_ROWS * len(inside):  # near one another: read together
                out[inside] = shard.vectors(low, high)[own - low]
            else:
                out[inside] = [shard.vector(int(row)) for row in own]
    return out


def _pieces(places: Places, rows: int) -> Iterator[tuple[int, int]]:
    """First and last + 1 place of each piece of about `rows` rows; a place is never cut."""
    first = 0
    while first < len(places.ids):
        last = int(np.searchsorted(places.starts, places.starts[first] + rows, side="right")) - 1
        last = min(max(last, first + 1), len(places.ids))
        yield first, last
        first = last


def _masks(queries: Queries, gallery: Gallery, span: slice) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """(Q, n) which rows of a piece are in each query's gallery, and which of these are positives."""
    area = gallery.area[span]
    keep = np.broadcast_to(area >= 0, (len(queries.row), len(area))).copy()
    if queries.own_area_out:
        keep &= area != queries.area[:, None]
    positive = np.zeros_like(keep)
    for number in np.unique(queries.classes).tolist():
        own = np.flatnonzero(queries.classes == number)
        positive[np.ix_(own, _within(gallery.positive[number], span))] = True
        keep[np.ix_(own, _within(gallery.unclear[number], span))] = False
    for query, rows in enumerate(queries.left_out):
        keep[query, _within(rows, span)] = False
    return keep, positive & keep


def _within(rows: NDArray[np.int64], span: slice) -> NDArray[np.int64]:
    """Those of some sorted rows that lie in a span, counted from its beginning."""
    low, high = np.searchsorted(rows, [span.start, span.stop])
    inside: NDArray[np.int64] = rows[low:high] - span.start
    return inside


def _best(scores: NDArray[np.float32], k: int) -> NDArray[np.int64]:
    """(Q, ≤ k) columns that hold the k largest scores of each line, in order of column."""
    if scores.shape[1] <= k:
        return np.broadcast_to(np.arange(scores.shape[1]), scores.shape)
    return np.sort(np.argpartition(-scores, k - 1, axis=1)[:, :k], axis=1)


def _add_rows(
    found: _List, scores: NDArray[np.float32], keep: NDArray[np.bool_], positive: NDArray[np.bool_], start: int
) -> None:
    """Put a piece (Q, n) into the list of rows."""
    found.count(keep, positive, positive.astype(np.float32))
    best = _best(scores, found.rows.shape[1])
    found.add(np.take_along_axis(scores, best, 1), best + start, np.take_along_axis(positive, best, 1))


def _add_places(
    found: _List,
    scores: NDArray[np.float32],
    keep: NDArray[np.bool_],
    positive: NDArray[np.bool_],
    starts: NDArray[np.int64],
) -> None:
    """Put a piece (Q, n) of whole places, whose rows begin at `starts` (p + 1,), into the list of places."""
    cuts = starts[:-1] - starts[0]
    rows, shown = (np.add.reduceat(mask, cuts, axis=1, dtype=np.int32) for mask in (keep, positive))
    found.count(rows > 0, shown > 0, shown / np.maximum(rows, 1))
    peak = np.maximum.reduceat(scores, cuts, axis=1)
    best = _best(peak, found.rows.shape[1])
    row = np.empty(best.shape, np.int64)
    for query, at in np.ndindex(best.shape):
        low, high = starts[best[query, at]] - starts[0], starts[best[query, at] + 1] - starts[0]
        row[query, at] = low + int(np.argmax(scores[query, low:high]))
    found.add(np.take_along_axis(peak, best, 1), row + starts[0], np.take_along_axis(positive, row, 1))
