"""The ground's shape: hills that running water has carved, above a valley line or a sea.

Water is routed on cells of 40 m; the result is drawn at 10 m with a little roughness. NumPy and SciPy only.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from .ground import Field, Relief
from .means import blur, sample
from .noise import new_noise
from .steps import smooth_step

CELL = 4
"""Pixels a side of a cell in which water is routed (40 m): fine enough for gullies, coarse enough to be quick."""

ROUNDS = 24
"""Rounds of lifting and cutting. assumed: streams reach the crests of hills; more changes little."""

STEEPEST = 0.085
"""Largest height range as a part of the ground's longer side, so that small grounds do not become walls. assumed."""


@dataclass(frozen=True, eq=False)
class Drainage:
    """How water runs over the cells of 40 m: what dams and streams need."""

    height: NDArray[np.float64]
    """(h, w), metres above the sea."""
    area: NDArray[np.float64]
    """(h, w), cells that drain through a cell, itself included."""
    receiver: NDArray[np.intp]
    """(h·w,), flat index of the cell that takes a cell's water; itself where water leaves the ground."""


def new_relief(
    height: tuple[float, float], plain: float, low: Field, wet: NDArray[np.bool_], rng: np.random.Generator
) -> tuple[Relief, Drainage]:
    """Hills that drain into a valley line or a sea.

    Args:
        height: Lowest and highest ground, metres.
        plain: Breadth of the plain beside the line or sea, as a part of the ground's longer side.
        low: (H, W), distance from the line or sea into which water runs, pixels (not below 0).
        wet: (H, W), the sea: its ground lies at height 0.
        rng: Where chance comes from.

    Returns:
        The relief at 10 m, slopes still those of dry ground everywhere, and the drainage of the cells.
    """
    shape = low.shape
    rows, cols = -(-shape[0] // CELL) + 1, -(-shape[1] // CELL) + 1
    extent = max(shape) * 10.0
    span = min(height[1] - height[0], STEEPEST * extent) * rng.uniform(0.85, 1.0)
    y = np.minimum(np.arange(rows) * CELL, shape[0] - 1)
    x = np.minimum(np.arange(cols) * CELL, shape[1] - 1)
    far = low[np.ix_(y, x)].astype(np.float64) * 10 / extent
    sea = wet[np.ix_(y, x)]
    wide = max(rows, cols)
    broad = new_noise((rows, cols), rng, 2.6, wide * 0.9, 6).astype(np.float64)
    hilly = float(np.clip(span / 500, 0.25, 1.0))
    lift = smooth_step(far + 0.045 * broad, plain, plain + 0.06 + 0.36 / (1 + 2 * hilly)).astype(np.float64)
    lift *= 0.15 + 0.85 * smooth_step(broad, -1.3, 1.4)
    start = 40 * far + lift * 6 + 1.5 * new_noise((rows, cols), rng, 2.4, wide / 2)
    outlet = (far <= 0) | sea
    drained = _carve(start, lift * 34, outlet, ROUNDS)
    shaped = _levelled(drained.height, drained.area, outlet, span, height[0])
    shaped[sea] = 0.0
    drained = Drainage(shaped, drained.area, drained.receiver)
    return _drawn(drained, shape, span, rng), drained


def _levelled(
    carved: NDArray[np.float64], area: NDArray[np.float64], outlet: NDArray[np.bool_], span: float, base: float
) -> NDArray[np.float64]:
    """Carved heights brought into the wanted range; 0.995 of the ground lies below its top."""
    rise = np.maximum(carved - carved[outlet].mean(), 0) if outlet.any() else carved - carved.min()
    top = float(np.quantile(rise, 0.995))
    return np.asarray(base + rise * (span / max(top, 1e-6)), dtype=np.float64)


def _drawn(drained: Drainage, shape: tuple[int, int], span: float, rng: np.random.Generator) -> Relief:
    """The cells' heights and drainage at 10 m, warped so that no cell shows, roughened where it is hilly."""
    yy, xx = np.mgrid[0 : shape[0], 0 : shape[1]].astype(np.float64) / CELL
    for part in (yy, xx):
        part += new_noise(shape, rng, 2.4, 60, 5).astype(np.float64) * (1.1 / CELL)
    height = blur(sample(blur(drained.height, 1, 1), yy, xx), 1, 1)
    drainage = sample(np.log10(drained.area), yy, xx)
    low = float(height.min())
    hill = smooth_step(height, low + 0.06 * span, low + 0.6 * span).astype(np.float64)
    rough = 0.008 * min(span, 500.0)
    height = (height + (0.05 + hill) * rough * new_noise(shape, rng, 2.8, 40, 6)).astype(np.float32)
    east, north = slopes(height)
    return Relief(height, east, north, drainage)


def slopes(height: Field) -> tuple[Field, Field]:
    """Rise towards the east and towards the north, (H, W) metres per metre, of heights on 10 m pixels."""
    smooth = blur(height, 1, 1).astype(np.float64)
    south, east = np.gradient(smooth, 10.0)
    return np.asarray(east, dtype=np.float32), np.asarray(-south, dtype=np.float32)


def steepness(relief: Relief, radius: int = 0) -> Field:
    """Length of the slope, (H, W) metres per metre, its parts first averaged over `radius` pixels around."""
    east, north = (blur(part, radius, 1).astype(np.float64) for part in (relief.east, relief.north))
    return np.asarray(np.sqrt(east * east + north * north), dtype=np.float32)


def upstream(receiver: NDArray[np.intp], cell: int) -> NDArray[np.bool_]:
    """(cells,): True for each cell whose water passes through one cell, itself included; pointer doubling."""
    ahead = receiver.copy()
    ahead[cell] = cell
    while True:
        further = ahead[ahead]
        if np.array_equal(further, ahead):
            return np.asarray(ahead == cell)
        ahead = further


def _carve(height: NDArray[np.float64], lift: NDArray[np.float64], outlet: NDArray[np.bool_], rounds: int) -> Drainage:
    """Raise the ground and let streams cut it.

    Stream-power erosion with the implicit scheme, uphill from the outlets.
    Source: Braun and Willett 2013, Geomorphology 180-181, 170-179, https://doi.org/10.1016/j.geomorph.2012.10.008
    assumed: exponents m = 7/16, n = 1, and the rate of cutting, chosen by eye.
    """
    if not outlet.any():
        outlet = height <= np.quantile(height, 0.002)
    flat_lift = np.where(outlet, 0, lift).ravel() * (50 / rounds)
    area, receiver = np.ones(height.size), np.arange(height.size)
    height = fill_pits(height, outlet)
    for turn in range(rounds):
        height = height + flat_lift.reshape(height.shape)
        receiver, distance = _receivers(height, outlet)
        levels = _levels(receiver)
        area = np.ones(height.size)
        for cells in reversed(levels[1:]):
            np.add.at(area, receiver[cells], area[cells])
        fourth = np.sqrt(np.sqrt(area))  # square roots are exact on every machine, powers are not
        power = (
            1.4 * fourth * np.sqrt(fourth) * np.sqrt(np.sqrt(fourth)) * (flat_lift > 0.02) / distance * (50 / rounds)
        )
        flat = height.ravel().copy()
        for cells in levels[1:]:
            f = power[cells]
            flat[cells] = (flat[cells] + f * flat[receiver[cells]]) / (1 + f)
        height = flat.reshape(height.shape)
        if turn % 3 == 2:  # soil creep rounds the ridges and leaves the beds of streams alone
            ridge = 0.4 * (area.reshape(height.shape) < 5)
            height = (1 - ridge) * height + ridge * ndimage.uniform_filter(height, 3, mode="nearest")
    return Drainage(height, area.reshape(height.shape), receiver)


def fill_pits(height: NDArray[np.float64], outlet: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Raise every hollow until its water reaches an outlet.

    Source: priority-flood, Barnes, Lehman and Mulla 2014, Computers & Geosciences 62, 117-127,
    https://doi.org/10.1016/j.cageo.2013.04.024

    Args:
        height: (h, w), metres.
        outlet: (h, w), where water leaves; at least one.

    Returns:
        (h, w) float64: each cell has a way down to an outlet that never rises.
    """
    rows, cols = height.shape
    filled = np.pad(height, 1, constant_values=-np.inf).ravel().tolist()
    stride = cols + 2
    seen = np.pad(outlet, 1, constant_values=True).ravel().tolist()
    heap = [(filled[i], i) for i in np.flatnonzero(np.pad(outlet, 1)).tolist()]
    heapq.heapify(heap)
    around = (-stride - 1, -stride, -stride + 1, -1, 1, stride - 1, stride, stride + 1)
    while heap:
        level, cell = heapq.heappop(heap)
        for step in around:
            near = cell + step
            if not seen[near]:
                seen[near] = True
                filled[near] = max(filled[near], level + 0.01)
                heapq.heappush(heap, (filled[near], near))
    return np.array(filled).reshape(rows + 2, stride)[1:-1, 1:-1]


def _receivers(height: NDArray[np.float64], outlet: NDArray[np.bool_]) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """The neighbour of steepest descent of each cell (flat index; itself in a pit) and its distance, cells."""
    rows, cols = height.shape
    index = np.arange(rows * cols).reshape(rows, cols)
    padded = np.pad(height, 1, constant_values=np.inf)
    best, receiver, distance = np.zeros_like(height), index.copy(), np.ones_like(height)
    for dy, dx in ((-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1)):
        far = float(np.hypot(dy, dx))
        fall = (height - padded[1 + dy : 1 + dy + rows, 1 + dx : 1 + dx + cols]) / far
        steeper = (fall > best) & ~outlet
        best[steeper] = fall[steeper]
        receiver[steeper] = index[steeper] + dy * cols + dx
        distance[steeper] = far
    return receiver.ravel(), distance.ravel()


def _levels(receiver: NDArray[np.intp]) -> list[NDArray[np.intp]]:
    """Cells grouped by how many steps they are from where their water ends; pointer doubling counts the steps."""
    ahead = receiver.copy()
    depth = (receiver != np.arange(receiver.size)).astype(np.int64)
    while True:
        more = depth[ahead]
        if not more.any():
            break
        depth += more
        ahead = ahead[ahead]
    order = np.argsort(depth, kind="stable")
    return np.split(order, np.cumsum(np.bincount(depth))[:-1])
