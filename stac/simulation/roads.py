"""Roads of the simulated ground: least-cost ways between towns and to the edges, and tracks that branch off them.

Ways are sought on cells of 40 m and drawn at 10 m. NumPy, SciPy and scikit-image only.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.graph import MCP_Geometric

from .ground import Field, Relief
from .means import blur
from .noise import new_noise
from .relief import CELL, steepness

Way = NDArray[np.intp]
"""(n, 2), rows and columns of cells, from a way's start to its end; neighbours touch."""


@dataclass(frozen=True, eq=False)
class Roads:
    """The network at 10 m; each mask is (H, W)."""

    highway: NDArray[np.bool_]
    """Two pixels wide, from edge to edge."""
    minor: NDArray[np.bool_]
    """One pixel wide, paved, between towns."""
    tracks: NDArray[np.bool_]
    """One pixel wide, unpaved; one end on the network, the other at a farm, in a forest or at the edge."""

    @property
    def paved(self) -> NDArray[np.bool_]:
        """(H, W), highways and minor roads."""
        return np.asarray(self.highway | self.minor)


def new_cost(
    relief: Relief, lake: NDArray[np.bool_], river: NDArray[np.bool_], rng: np.random.Generator
) -> NDArray[np.float64]:
    """Cost of a road through each cell of 40 m: slopes are dear, bridges dearer, lakes and the sea dearest.

    assumed: weights chosen so that roads follow valleys, climb in bends and cross a river where they must.

    Args:
        relief: The ground's shape.
        lake: (H, W), True on lakes and the sea.
        river: (H, W), True on the river.
        rng: Where chance comes from.
    """
    steep = steepness(relief, 2).astype(np.float64)
    cost = 1 + 250 * steep**2 + 6 * steep + 150 * blur(lake, 2, 1) + 10 * blur(river, 2, 1)
    cells = cost[CELL // 2 :: CELL, CELL // 2 :: CELL]
    wiggle = new_noise((cells.shape[0], cells.shape[1]), rng, 2.0, 30, 3).astype(np.float64)
    return np.asarray(cells * np.clip(1 + 0.3 * wiggle, 0.3, 3))


def new_roads(
    cost: NDArray[np.float64],
    towns: list[tuple[int, int]],
    shape: tuple[int, int],
    tracks: int,
    rng: np.random.Generator,
) -> Roads:
    """Join towns and edges, then let tracks branch off.

    Ways of least cost: Dijkstra 1959 with diagonal steps, `skimage.graph.MCP_Geometric`.

    Args:
        cost: From `new_cost`.
        towns: Rows and columns of the towns, pixels; the first is the main one.
        shape: Height and width of the ground, pixels.
        tracks: How many tracks.
        rng: Where chance comes from.
    """
    last = (cost.shape[0] - 1, cost.shape[1] - 1)
    cells = [(min(r // CELL, last[0]), min(c // CELL, last[1])) for r, c in towns]
    exits = _exits(cost, rng)
    start = cells[0] if cells else exits.pop(0)
    search = MCP_Geometric(cost)
    search.find_costs([start])
    out = Roads(*(np.zeros(shape, dtype=bool) for _ in range(3)))
    network = np.full((*cost.shape, 2), np.nan)
    for k, goal in enumerate(exits + cells[1:]):
        way = np.array(search.traceback(goal), dtype=np.intp)
        _draw(out.highway if k < 2 else out.minor, way, network)
    out.highway[1:] |= out.highway[:-1].copy()
    out.highway[:, 1:] |= out.highway[:, :-1].copy() & ~_upright(out.highway)[:, 1:]
    _branch(out.tracks, cost, network, tracks, rng)
    return out


def _upright(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(H, W), True where the row to the east already belongs to a line two pixels wide."""
    wide = np.zeros_like(mask)
    wide[1:] = mask[1:] & mask[:-1]
    return wide


def _exits(cost: NDArray[np.float64], rng: np.random.Generator) -> list[tuple[int, int]]:
    """Four cells at the edges, opposite ones first, each at the cheapest of a few places."""
    rows, cols = cost.shape
    out = []
    for side in (1, 3, 0, 2) if rng.random() < 0.6 else (0, 2, 1, 3):
        span = rows if side % 2 else cols
        places = rng.integers(span // 8, max(span - span // 8, span // 8 + 1), 6).tolist()
        at = {
            0: [(0, p) for p in places],
            1: [(p, cols - 1) for p in places],
            2: [(rows - 1, p) for p in places],
            3: [(p, 0) for p in places],
        }[side]
        best = min(at, key=lambda cell: float(cost[cell]))
        if cost[best] < 40:  # no road ends in the sea
            out.append(best)
    return out if out else [(0, 0)]


def _branch(
    mask: NDArray[np.bool_],
    cost: NDArray[np.float64],
    network: NDArray[np.float64],
    count: int,
    rng: np.random.Generator,
) -> None:
    """Tracks from places in the land to the nearest part of the network; writes into `mask`."""
    known = np.isfinite(network[..., 0])
    starts = np.argwhere(known)
    if count < 1 or starts.size == 0:
        return
    search = MCP_Geometric(cost)
    total, _ = search.find_costs(starts.tolist())
    away = ndimage.distance_transform_edt(~known)
    dry = np.argwhere((cost < 40) & (away > 5) & np.isfinite(total))
    for goal in rng.permutation(dry)[:count].tolist():
        _draw(mask, np.array(search.traceback(tuple(goal)), dtype=np.intp), network.copy())


def _draw(mask: NDArray[np.bool_], way: Way, network: NDArray[np.float64]) -> None:
    """Draw a way as a smooth line one pixel wide; where it leaves the edge cells it reaches the ground's edge.

    Args:
        mask: (H, W), written into.
        way: The way's cells.
        network: (h, w, 2), rows and columns at which roads pass through each cell, NaN where none does: a way that
            begins on one begins there; this way's own are added.
    """
    line = way.astype(np.float64) * CELL + (CELL - 1) / 2
    if len(line) > 5:
        padded = np.pad(line, ((3, 3), (0, 0)), mode="reflect", reflect_type="odd")
        line = ndimage.uniform_filter1d(padded, 7, axis=0, mode="nearest")[3:-3]
    passed = network[way[:, 0], way[:, 1]]
    network[way[:, 0], way[:, 1]] = np.where(np.isfinite(passed), passed, line)
    if np.isfinite(passed[0, 0]):
        line[0] = passed[0]
    ends = [_at_edge(way[k], line[k], network.shape, mask.shape) for k in (0, -1)]
    line = np.concatenate(([ends[0]], line, [ends[1]]))
    step = np.abs(np.diff(line, axis=0)).max(axis=1)
    at = np.concatenate(([0.0], np.cumsum(step)))
    fine = np.linspace(0, at[-1], int(at[-1] * 2) + 2)
    row = np.clip(np.rint(np.interp(fine, at, line[:, 0])), 0, mask.shape[0] - 1).astype(np.intp)
    col = np.clip(np.rint(np.interp(fine, at, line[:, 1])), 0, mask.shape[1] - 1).astype(np.intp)
    mask[row, col] = True


def _at_edge(
    cell: NDArray[np.intp], point: NDArray[np.float64], cells: tuple[int, ...], shape: tuple[int, ...]
) -> NDArray[np.float64]:
    """A way's end, brought to the ground's edge where its cell lies at the edge of the cells."""
    end = point.copy()
    for axis in (0, 1):
        if cell[axis] == 0:
            end[axis] = 0
        elif cell[axis] == cells[axis] - 1:
            end[axis] = shape[axis] - 1
    return end


def distance(mask: NDArray[np.bool_]) -> Field:
    """(H, W), distance to a mask, pixels; the ground's longer side where the mask is empty."""
    if not mask.any():
        return np.full(mask.shape, float(max(mask.shape)), dtype=np.float32)
    return np.asarray(ndimage.distance_transform_edt(~mask), dtype=np.float32)
