"""How people cut up land: parcels of a wanted size, in districts that each have their own direction and pattern.

A pattern of boxes is drawn once, upright; each district looks it up under its own turn, and a gentle warp bends it.
NumPy and SciPy only.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from .noise import new_noise

Box = tuple[int, int, int, int]
"""Top, left, bottom, right, pixels; bottom and right are past the end."""

Labels = NDArray[np.int32]
"""(H, W), number of the parcel or district of each pixel."""


@dataclass(frozen=True)
class Pattern:
    """How land is cut."""

    area: float
    """Typical size of a parcel, pixels."""
    shapes: tuple[float, ...]
    """Length over breadth of parcels; one is drawn for each tract."""
    spread: float
    """Spread of the logarithm of sizes."""
    warp: float
    """How far outlines are bent, pixels."""
    square: bool
    """Whether every district has the same direction: land surveyed in sections."""


def new_districts(shape: tuple[int, int], rng: np.random.Generator, side: float, warp: float) -> Labels:
    """Irregular districts of about `side` pixels across: the nearest of scattered points, outlines bent by `warp`.

    Returns:
        (H, W) int32, 0 to the number of districts less 1.
    """
    half = (shape[0] // 2 + 1, shape[1] // 2 + 1)
    away = np.ones(half, dtype=bool)
    step = max(side / 2, 3.0)
    y, x = np.mgrid[-0.5 * step : half[0] + step : step, -0.5 * step : half[1] + step : step]
    y = np.clip(y + rng.uniform(-0.48, 0.48, y.shape) * step, 0, half[0] - 1).astype(np.intp)
    x = np.clip(x + rng.uniform(-0.48, 0.48, x.shape) * step, 0, half[1] - 1).astype(np.intp)
    away[y, x] = False
    near = ndimage.distance_transform_edt(away, return_distances=False, return_indices=True)
    number = (np.cumsum(~away.ravel()) - 1).reshape(half)[near[0], near[1]].astype(np.int32)
    rows, cols = _bent(shape, rng, warp, side)
    i = np.clip(np.rint(rows / 2), 0, half[0] - 1).astype(np.intp)
    j = np.clip(np.rint(cols / 2), 0, half[1] - 1).astype(np.intp)
    return _compact(number[i, j])


def _bent(
    shape: tuple[int, int], rng: np.random.Generator, warp: float, longest: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Rows and columns (H, W) float64, displaced by smooth noise of `warp` pixels."""
    rows, cols = np.mgrid[0 : shape[0], 0 : shape[1]].astype(np.float64)
    if warp > 0:
        long = max(3.0 * longest, 60)
        for part in (rows, cols):
            part += warp * new_noise(shape, rng, 3.6, long, long / 5).astype(np.float64)
    return rows, cols


def _compact(labels: NDArray[np.int32] | NDArray[np.int64]) -> Labels:
    """Labels renumbered from 0 without gaps."""
    used = np.zeros(int(labels.max()) + 1, dtype=bool)
    used[labels] = True
    return (np.cumsum(used) - 1).astype(np.int32)[labels]


def split(box: Box, rng: np.random.Generator, area: float, ratio: float, spread: float) -> list[Box]:
    """Cut a box in two, again and again, to pieces of about `area` pixels, `ratio` times as long as broad.

    Long sides lie along the columns.
    """
    todo, done = [box], []
    while todo:
        top, left, bottom, right = todo.pop()
        tall, wide = bottom - top, right - left
        limit = 1.9 * area * np.exp(spread * rng.standard_normal())
        if tall * wide <= limit or max(tall, wide) < 5:
            done.append((top, left, bottom, right))
            continue
        part = rng.uniform(0.36, 0.64)
        if tall * ratio > wide and tall > 3:
            cut = top + min(max(round(tall * part), 1), tall - 1)
            todo += [(top, left, cut, right), (cut, left, bottom, right)]
        else:
            cut = left + min(max(round(wide * part), 1), wide - 1)
            todo += [(top, left, bottom, cut), (top, cut, bottom, right)]
    return done


def new_parcels(shape: tuple[int, int], rng: np.random.Generator, pattern: Pattern, districts: Labels) -> Labels:
    """Cut every district into parcels.

    Args:
        shape: Height and width, pixels.
        rng: Where chance comes from.
        pattern: Sizes and shapes of parcels.
        districts: (H, W), from `new_districts`: parcels end at their outlines.

    Returns:
        (H, W) int32, 0 to the number of parcels less 1.
    """
    side = int(np.hypot(*shape)) + 8
    board = np.zeros((side, side), dtype=np.int32)
    tracts = split((0, 0, side, side), rng, max(40.0 * pattern.area, 6_000.0), 1.3, 0.3)
    count = 0
    for tract in tracts:
        ratio = float(rng.choice(pattern.shapes))
        for top, left, bottom, right in split(tract, rng, pattern.area, ratio, pattern.spread):
            board[top:bottom, left:right] = count
            count += 1
    number = int(districts.max()) + 1
    turn = np.full(number, rng.normal(0, 0.03)) if pattern.square else rng.uniform(0, 2 * np.pi, number)
    rows, cols = _bent(shape, rng, pattern.warp, 3 * np.sqrt(pattern.area))
    rows, cols = rows - shape[0] / 2, cols - shape[1] / 2
    cos, sin = np.cos(turn)[districts], np.sin(turn)[districts]
    shift = np.zeros((2, number)) if pattern.square else rng.uniform(0, side, (2, number))
    v = np.rint(rows * cos - cols * sin + side / 2 + shift[0][districts]).astype(np.intp) % side
    u = np.rint(rows * sin + cols * cos + side / 2 + shift[1][districts]).astype(np.intp) % side
    if pattern.square:
        return _compact(board[v, u])
    return _compact(board[v, u].astype(np.int64) * number + districts)


def outlines(labels: Labels) -> NDArray[np.bool_]:
    """(H, W), True where the parcel to the right or below is another: lines one pixel wide."""
    edge = np.zeros(labels.shape, dtype=bool)
    edge[:, :-1] |= labels[:, :-1] != labels[:, 1:]
    edge[:-1] |= labels[:-1] != labels[1:]
    return edge


def means(field: NDArray[np.float32] | NDArray[np.float64], labels: Labels) -> NDArray[np.float64]:
    """Mean of a field (H, W) over each parcel, (parcels,) float64."""
    number = int(labels.max()) + 1
    total = np.bincount(labels.ravel(), field.ravel().astype(np.float64), number)
    return np.asarray(total / np.maximum(np.bincount(labels.ravel(), minlength=number), 1))
