"""Relief of the simulated archive: fractal noise, and hills that running water has carved.

Numpy only. Everything here is a pure function of its generator, so that a seed gives the same hills again.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.float32]
"""A field over the ground, (H, W), float32."""

CELL = 4
"""Pixels a side of a cell in which water is routed (40 m): fine enough for gullies, coarse enough to be quick."""


@dataclass(frozen=True, eq=False)
class Relief:
    """The ground's shape."""

    height: Field
    """(H, W), metres above the sea."""
    east: Field
    """(H, W), rise towards the east, metres per metre."""
    north: Field
    """(H, W), rise towards the north, metres per metre."""
    drainage: Field
    """(H, W), log10 of the area that drains through a pixel, in cells of 40 m."""


def new_noise(
    shape: tuple[int, int], rng: np.random.Generator, beta: float, longest: float, shortest: float = 2
) -> Field:
    """Noise with a power spectrum 1/f^beta, zero mean and unit spread, periodic over its edges.

    Spectral synthesis: white noise is filtered in the frequency domain.
    Source: R. F. Voss, "Fractals in nature", in The Science of Fractal Images, Springer 1988, §2.4.

    Args:
        shape: Height and width, pixels.
        rng: Where chance comes from.
        beta: Exponent of the power spectrum; 2 to 3 look like land.
        longest: Longest wavelength, pixels.
        shortest: Shortest wavelength, pixels.
    """
    fy = np.fft.fftfreq(shape[0])[:, None]
    fx = np.fft.rfftfreq(shape[1])[None, :]
    freq = np.hypot(fy, fx)
    with np.errstate(divide="ignore"):
        gain = np.where(freq > 0, freq, np.inf) ** (-beta / 2)
    gain[(freq < 1 / longest) | (freq > 1 / shortest)] = 0
    field = np.fft.irfft2(np.fft.rfft2(rng.standard_normal(shape)) * gain, s=shape)
    spread = field.std()
    return (field / (spread if spread > 0 else 1.0)).astype(np.float32)


def smooth_step(field: Field, low: float, high: float) -> Field:
    """0 below `low`, 1 above `high`, with a soft passage (3t² − 2t³) between."""
    t = np.clip((field - np.float32(low)) / np.float32(high - low), 0, 1)
    return np.asarray(t * t * (3 - 2 * t), dtype=np.float32)


def blur(field: Field, radius: int, rounds: int = 2) -> Field:
    """Mean over a square of 2·radius + 1 pixels, repeated; edges are continued."""
    out = field.astype(np.float64)
    for _ in range(rounds):
        for axis in (0, 1):
            pad = [(0, 0), (0, 0)]
            pad[axis] = (radius + 1, radius)
            total = np.cumsum(np.pad(out, pad, mode="edge"), axis=axis)
            n = 2 * radius + 1
            out = (total[n:] - total[:-n]) / n if axis == 0 else (total[:, n:] - total[:, :-n]) / n
    return out.astype(np.float32)


def sample(field: Field, row: Field, col: Field) -> Field:
    """Bilinear values of a field at fractional rows and columns (same shape as these), edges continued."""
    row = np.clip(row, 0, field.shape[0] - 1.001)
    col = np.clip(col, 0, field.shape[1] - 1.001)
    i, j = row.astype(np.int32), col.astype(np.int32)
    v, u = row - i, col - j
    flat, base = field.ravel(), i * field.shape[1] + j
    top = flat[base] * (1 - u) + flat[base + 1] * u
    base += field.shape[1]
    return np.asarray(top * (1 - v) + (flat[base] * (1 - u) + flat[base + 1] * u) * v, dtype=np.float32)


def new_relief(shape: tuple[int, int], rng: np.random.Generator, river: NDArray[np.float32]) -> Relief:
    """Hills in the west that drain into a plain with a river in the east.

    Args:
        shape: Height and width, pixels.
        rng: Where chance comes from.
        river: (H,) column of the river at each row, pixels.
    """
    rows, cols = shape[0] // CELL + 1, shape[1] // CELL + 1
    y, x = np.mgrid[0:rows, 0:cols].astype(np.float32)
    stream = river[np.minimum(np.arange(rows) * CELL, shape[0] - 1)] / CELL
    foot = cols * 0.58 + new_noise((rows, cols), rng, 2.5, rows) * cols * 0.045
    lift = 1 - smooth_step((x - foot) / cols, -0.22, 0.05)
    plain = 70 + np.abs(x - stream[:, None]) * CELL * 10 * 0.004 + (rows - y) * 0.05
    climb = np.maximum(foot - x, 0) * (CELL * 10 * 0.045)
    start = plain + climb + new_noise((rows, cols), rng, 2.4, rows / 2) * np.minimum(0.25 + climb * 0.06, 9)
    outlet = np.abs(x - stream[:, None]) < 1.5
    carved, area = _carve(start.astype(np.float64), lift.astype(np.float64) * 34, outlet, rounds=50)
    warp = [new_noise(shape, rng, 2.4, 60, 5) * 1.1 for _ in range(2)]
    yy, xx = np.mgrid[0 : shape[0], 0 : shape[1]].astype(np.float32) / CELL
    height = sample(blur(carved.astype(np.float32), 1, 1), yy + warp[0] / CELL, xx + warp[1] / CELL)
    drainage = sample(np.log10(area).astype(np.float32), yy + warp[0] / CELL, xx + warp[1] / CELL)
    hill = smooth_step(height, 110, 500)
    height = blur(height, 1, 1) + hill * new_noise(shape, rng, 2.8, 40, 6) * 4
    smooth = blur(height, 1, 1)
    south, east = np.gradient(smooth, 10.0, axis=0), np.gradient(smooth, 10.0, axis=1)
    return Relief(height, np.asarray(east, dtype=np.float32), np.asarray(-south, dtype=np.float32), drainage)


def _carve(
    height: NDArray[np.float64], lift: NDArray[np.float64], outlet: NDArray[np.bool_], rounds: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Raise the ground and let streams cut it; returns height (metres) and drained area (cells).

    Stream-power erosion with the implicit scheme, uphill from the outlets.
    Source: Braun and Willett 2013, Geomorphology 180-181, 170-179, https://doi.org/10.1016/j.geomorph.2012.10.008
    assumed: exponents m = 0.45, n = 1, chosen by eye with the rate of cutting.
    """
    flat_lift = np.where(outlet, 0, lift).ravel()
    area = np.ones(height.size)
    height = _fill_pits(height, outlet)
    for turn in range(rounds):
        height = height + flat_lift.reshape(height.shape)
        receiver, distance = _receivers(height, outlet)
        levels = _levels(receiver)
        area = np.ones(height.size)
        for cells in reversed(levels[1:]):
            np.add.at(area, receiver[cells], area[cells])
        power = 1.25 * area**0.45 * (flat_lift > 0.02) / distance
        flat = height.ravel().copy()
        for cells in levels[1:]:
            f = power[cells]
            flat[cells] = (flat[cells] + f * flat[receiver[cells]]) / (1 + f)
        height = flat.reshape(height.shape)
        if turn % 5 == 4:  # soil creep rounds the ridges and leaves the beds of streams alone
            ridge = 0.4 * (area.reshape(height.shape) < 5)
            height = (1 - ridge) * height + ridge * blur(height.astype(np.float32), 1, 1)
    return height, area.reshape(height.shape)


def _fill_pits(height: NDArray[np.float64], outlet: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Raise every hollow until its water reaches an outlet.

    Source: priority-flood, Barnes, Lehman and Mulla 2014, Computers & Geosciences 62, 117-127,
    https://doi.org/10.1016/j.cageo.2013.04.024
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
