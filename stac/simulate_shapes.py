"""Where the planted events lie: shapes of wildfires, clear-cuts, roads and solar farms on the simulated ground.

Each maker proposes one shape, or None where the place that chance chose has no room for it.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from .simulate_landscape import Landscape
from .simulate_spectra import (
    ASPHALT,
    CONIFER,
    COVERS,
    GRASS,
    GRAVEL,
    OAK,
    RIPARIAN,
    RIVER,
    ROCK,
    SHRUB,
    WATER,
)
from .simulate_terrain import Field, blur, new_noise

Shape = tuple[Field, Field] | None
"""Strength and onset, each (H, W): how much of a pixel an event takes (0 outside), and when its turn comes (0 to 1)."""


def _fire(land: Landscape, taken: NDArray[np.bool_], rng: np.random.Generator) -> Shape:
    """A scar: the pixels that fire reaches first, from one place, over fuel, slope and wind (Dijkstra's search)."""
    speed = np.zeros(len(COVERS) + land.fields.late.size, dtype=np.float32)
    speed[[CONIFER, OAK, SHRUB, GRASS, RIPARIAN, ROCK]] = (0.8, 0.8, 1.1, 1.0, 0.3, 0.12)
    ease = speed[land.cover] * np.exp(1.1 * new_noise(land.shape, rng, 1.9, 80, 2))
    ease[taken] = 0
    wooded = np.isin(land.cover, (CONIFER, OAK, SHRUB)) & ~taken
    goal = int(min(np.exp(rng.uniform(np.log(3200), np.log(29000))), wooded.size * 0.035))
    spots = np.flatnonzero(wooded)
    if spots.size < goal:
        return None
    arrival = _spread(land, ease, int(rng.choice(spots)), goal, rng.uniform(0, 2 * np.pi))
    burnt = np.isfinite(arrival)
    border = burnt[8], burnt[-9], burnt[:, 8], burnt[:, -9]
    if burnt.sum() < goal or any(line.any() for line in border):
        return None
    near = blur(burnt.astype(np.float32), 2, 1)
    severity = 0.80 + 0.16 * new_noise(land.shape, rng, 2.0, 40, 2) + 0.10 * land.moist * -1
    severity = np.clip(severity, 0.30, 1.0) * np.clip(near * 1.25, 0.55, 1)
    islands = new_noise(land.shape, rng, 2.2, 24, 4) > 2.1
    strength = np.where(burnt, np.where(islands, 0.12, severity), 0).astype(np.float32)
    onset = np.where(burnt, arrival, 0) / max(float(arrival[burnt].max()), 1e-6)
    return strength, onset.astype(np.float32)


def _spread(land: Landscape, ease: Field, origin: int, goal: int, wind: float) -> NDArray[np.float64]:
    """Arrival time at each of the first `goal` pixels, infinite elsewhere (H, W)."""
    rows, cols = land.shape
    height, speed = land.relief.height.ravel(), ease.ravel()
    time = np.full(rows * cols, np.inf)
    steps = [(a, b, float(np.hypot(a, b))) for a in (-1, 0, 1) for b in (-1, 0, 1) if a or b]
    push = [float(np.exp(0.75 * (a * np.sin(wind) + b * np.cos(wind)) / far)) for a, b, far in steps]
    best, heap, done = {origin: 0.0}, [(0.0, origin)], 0
    while heap and done < goal:
        now, cell = heapq.heappop(heap)
        if np.isfinite(time[cell]):
            continue
        time[cell] = now
        done += 1
        for (a, b, far), blow in zip(steps, push, strict=True):
            near = cell + a * cols + b
            if speed[near] <= 0:
                continue
            uphill = min(max((height[near] - height[cell]) / (10 * far), -0.5), 0.8)
            then = now + far / float(speed[near] * blow * np.exp(1.2 * uphill))
            if then < best.get(near, np.inf):
                best[near] = then
                heapq.heappush(heap, (then, near))
    return time.reshape(rows, cols)


def _clear_cut(land: Landscape, taken: NDArray[np.bool_], rng: np.random.Generator) -> Shape:
    """A block with straight sides in forest, 5 to 30 hectares."""
    forest = blur(np.isin(land.cover, (CONIFER, OAK)).astype(np.float32), 9, 1)
    spots = np.flatnonzero((forest > 0.8) & ~taken)
    if spots.size == 0:
        return None
    row, col = divmod(int(rng.choice(spots)), land.shape[1])
    area = rng.uniform(500, 2900)
    stretch, turn = rng.uniform(1.0, 1.8), rng.uniform(0, np.pi)
    y, x = np.mgrid[0 : land.shape[0], 0 : land.shape[1]].astype(np.float32)
    u = (x - col) * np.cos(turn) + (y - row) * np.sin(turn)
    v = -(x - col) * np.sin(turn) + (y - row) * np.cos(turn)
    half_u, half_v = np.sqrt(area * stretch) / 2, np.sqrt(area / stretch) / 2
    block = (np.abs(u) < half_u) & (np.abs(v) < half_v)
    block &= np.abs(u) / half_u + np.abs(v) / half_v + rng.uniform(-0.3, 0.3) * np.sign(u) < 1.7
    if (block & taken).any() or np.isin(land.cover[block], (CONIFER, OAK)).mean() < 0.72 or block.sum() < 480:
        return None
    onset = np.clip(0.5 + 0.5 * u / half_u, 0, 1)
    return block.astype(np.float32), np.where(block, onset, 0).astype(np.float32)


def _road(land: Landscape, taken: NDArray[np.bool_], rng: np.random.Generator) -> Shape:
    """A winding line 2 to 6 km long, cleared 45 m wide, surfaced 30 m wide."""
    rows, cols = land.shape
    i, j, heading = rng.uniform(0.1, 0.9) * rows, rng.uniform(0.03, 0.6) * cols, rng.uniform(0, 2 * np.pi)
    length = rng.uniform(240, 620) * min(1.0, cols / 1200)
    path, bend, aim = [], 0.0, heading
    for _ in range(int(length * 2)):
        if not (8 <= i < rows - 8 and 8 <= j < cols - 8) or taken[int(i), int(j)]:
            break
        if land.cover[int(i), int(j)] in (WATER, RIVER, ASPHALT, GRAVEL):
            break
        path.append((i, j))
        bend = 0.97 * bend + rng.normal(0, 0.0055) - 0.0006 * (heading - aim)
        heading += bend
        i, j = i + 0.5 * np.sin(heading), j + 0.5 * np.cos(heading)
    if len(path) < length * 1.2 or len(path) < 160:
        return None
    points = np.array(path)
    wild = np.isin(land.cover[points[:, 0].astype(int), points[:, 1].astype(int)], (CONIFER, OAK, SHRUB, GRASS))
    if wild.mean() < 0.8:
        return None
    strength, onset = np.zeros(land.shape, dtype=np.float32), np.zeros(land.shape, dtype=np.float32)
    for n, (a, b) in enumerate(path):
        r, c = int(a) - 4, int(b) - 4
        y, x = np.mgrid[r : r + 10, c : c + 10]
        cover = np.clip(2.7 - np.hypot(y - a, x - b), 0, 1).astype(np.float32)
        view = strength[r : r + 10, c : c + 10]
        new = (view == 0) & (cover > 0)
        onset[r : r + 10, c : c + 10][new] = n / len(path)
        np.maximum(view, cover, out=view)
    return strength, onset


def _solar_farm(land: Landscape, taken: NDArray[np.bool_], rng: np.random.Generator) -> Shape:
    """A notched rectangle on flat open ground, 25 to 70 hectares."""
    rows, cols = land.shape
    high, wide = (int(v) for v in rng.integers(44, 84, 2) * min(1.0, cols / 900))
    top, left = int(rng.integers(8, rows - high - 8)), int(rng.integers(int(cols * 0.5), cols - wide - 8))
    site = np.zeros(land.shape, dtype=bool)
    site[top : top + high, left : left + wide] = True
    notch_high, notch_wide = int(high * rng.uniform(0.2, 0.5)), int(wide * rng.uniform(0.2, 0.5))
    site[top : top + notch_high, left : left + notch_wide] = False
    steep = np.hypot(land.relief.east, land.relief.north)[site].mean()
    usable = (land.cover[site] >= len(COVERS)) | (land.cover[site] == GRASS)
    if (site & taken).any() or usable.mean() < 0.85 or steep > 0.08:
        return None
    onset = (np.arange(cols) - left) / wide * np.ones((rows, 1))
    return site.astype(np.float32), np.where(site, np.clip(onset, 0, 1), 0).astype(np.float32)


MAKERS: dict[str, Callable[[Landscape, NDArray[np.bool_], np.random.Generator], Shape]] = {
    "wildfire": _fire,
    "road": _road,
    "clear_cut": _clear_cut,
    "solar_farm": _solar_farm,
}
"""Class → maker of one shape from the ground, the pixels already taken (H, W), and chance."""
