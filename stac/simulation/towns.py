"""Towns of the simulated ground: where they lie, and their streets, houses, works and parks.

Streets and blocks are drawn upright on a board around the town's centre; each quarter of the town looks the board up
under its own turn, so that street grids meet at angles as they do in towns that grew. NumPy and SciPy only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .biomes import Biome
from .covers import (
    ASPHALT,
    BARE,
    BROADLEAF,
    CONCRETE,
    GARDEN,
    GRASS,
    ROOF_DARK,
    ROOF_LIGHT,
    TRACK,
)
from .ground import Field
from .noise import new_noise
from .parcels import Box, means, new_districts, outlines, split

KEEP = np.int16(-1)
"""On a town's board: what was there stays."""


@dataclass(frozen=True)
class Town:
    """A town or village."""

    row: int
    """Row of the centre, pixels."""
    col: int
    """Column of the centre, pixels."""
    radius: float
    """Typical radius, pixels."""


def choose_towns(biome: Biome, fit: Field, rng: np.random.Generator) -> list[Town]:
    """Towns at the best places, villages and hamlets between them; the first is the largest.

    Args:
        biome: Kind of country.
        fit: (H, W), how well a place suits a town, spread about 1; -inf where none may stand.
        rng: Where chance comes from.
    """
    rows, cols = fit.shape
    area = rows * cols / 1e6  # of 100 km2
    towns = max(1, round(biome.towns * area * rng.uniform(0.9, 1.5)))
    villages = round(2.2 * biome.towns * area)
    largest = 0.2 * min(rows, cols)
    out: list[Town] = []
    step = 4
    worth = fit[::step, ::step].astype(np.float64)
    worth = worth + 0.8 * new_noise((worth.shape[0], worth.shape[1]), rng, 1.5, 60, 3)
    y, x = np.mgrid[0 : worth.shape[0], 0 : worth.shape[1]] * step
    inside = np.minimum(np.minimum(y, rows - 1 - y), np.minimum(x, cols - 1 - x))
    for k in range(towns + villages):
        factor = rng.uniform(1.1, 1.9) if k == 0 else rng.uniform(0.5, 1.0) if k < towns else rng.uniform(0.16, 0.36)
        radius = min(max(biome.town_px * factor, 5.0), largest)
        open_to = np.where(inside > 0.5 * radius, worth, -np.inf)
        best = int(open_to.argmax())
        if not np.isfinite(open_to.ravel()[best]):
            break
        row, col = int(y.ravel()[best]), int(x.ravel()[best])
        out.append(Town(row, col, radius))
        away = np.hypot(y - row, x - col)
        worth = worth - 6 * np.exp(-((away / (1.5 * radius + 0.09 * min(rows, cols) + 20)) ** 2))
    return out


def build_town(
    cover: NDArray[np.int16], town: Town, biome: Biome, free: NDArray[np.bool_], rng: np.random.Generator
) -> NDArray[np.bool_]:
    """Build a town; writes into `cover`.

    Args:
        cover: (H, W), covers' numbers.
        town: Where and how large.
        biome: Kind of country: its roofs.
        free: (H, W), True where building is possible (no water, no main road, not too steep).
        rng: Where chance comes from.

    Returns:
        (H, W), True where the town was built.
    """
    reach = int(town.radius * 1.7) + 6
    top, left = max(town.row - reach, 0), max(town.col - reach, 0)
    bottom, right = min(town.row + reach, cover.shape[0]), min(town.col + reach, cover.shape[1])
    shape = (bottom - top, right - left)
    board = _new_board(reach, town.radius, biome, rng)
    works = _new_works(board.shape[0], rng) if town.radius > 14 else board
    rows, cols = np.mgrid[0 : shape[0], 0 : shape[1]].astype(np.float64)
    rows, cols = rows - (town.row - top), cols - (town.col - left)
    edge = np.hypot(rows, cols) / town.radius + 0.22 * new_noise(shape, rng, 2.2, 1.2 * town.radius, 6)
    for part in (rows, cols):
        part += 2.2 * new_noise(shape, rng, 3.2, max(town.radius, 40.0), 16).astype(np.float64)
    quarters = new_districts(shape, rng, max(0.75 * town.radius, 14.0), 3.0)
    turn = rng.uniform(0, 2 * np.pi, int(quarters.max()) + 1)
    cos, sin = np.cos(turn)[quarters], np.sin(turn)[quarters]
    side = board.shape[0]
    v = np.clip(np.rint(rows * cos - cols * sin + side / 2), 0, side - 1).astype(np.intp)
    u = np.clip(np.rint(rows * sin + cols * cos + side / 2), 0, side - 1).astype(np.intp)
    industry = (rng.random(turn.size) < 0.2) & (means(edge, quarters) > 0.45)
    what = np.where(industry[quarters], works[v, u], board[v, u])
    what = np.where(outlines(quarters), np.int16(ASPHALT), what)
    within = (edge < 1) & free[top:bottom, left:right] & (what != KEEP)
    cover[top:bottom, left:right][within] = what[within]
    built = np.zeros(cover.shape, dtype=bool)
    built[top:bottom, left:right] = within
    return built


def _new_board(reach: int, radius: float, biome: Biome, rng: np.random.Generator) -> NDArray[np.int16]:
    """Streets and blocks, upright, (side, side): covers' numbers or `KEEP`; the town's centre in its middle."""
    side = int(2 * reach * 1.42) + 8
    board = np.full((side, side), KEEP)
    for tract in split((0, 0, side, side), rng, min(620.0, 40.0 + 3.0 * radius**2), 1.4, 0.3):
        away = _from_middle(tract, side) / radius
        if away > 1.6 + 6 / radius:
            continue
        if radius > 14 and away > 0.3 and rng.random() < 0.05:
            _draw_works(board, tract, rng)
            continue
        fine = min(90.0 + 60.0 * min(away, 1.0), 30.0 + 1.2 * radius**2)
        for block in split(tract, rng, fine, 1.6, 0.2):
            _draw_block(board, block, _from_middle(block, side) / radius, biome.roofs, rng)
    return board


def _new_works(side: int, rng: np.random.Generator) -> NDArray[np.int16]:
    """A board (side, side) of nothing but works, markets and yards."""
    board = np.full((side, side), KEEP)
    for tract in split((0, 0, side, side), rng, 700.0, 1.5, 0.4):
        if rng.random() < 0.85:
            _draw_works(board, tract, rng)
    return board


def _from_middle(box: Box, side: int) -> float:
    """Distance of a box's middle from the board's middle, pixels."""
    return float(np.hypot(box[0] + box[2] - side, box[1] + box[3] - side) / 2)


def _draw_works(board: NDArray[np.int16], tract: Box, rng: np.random.Generator) -> None:
    """Factories, warehouses, markets: large roofs on concrete and asphalt with a little grass; writes into `board`."""
    top, left, bottom, right = tract
    yard = board[top:bottom, left:right]
    yard[:] = rng.choice(np.array([CONCRETE, CONCRETE, ASPHALT, GRASS, BARE, TRACK], dtype=np.int16))
    for r0, c0, r1, c1 in split((1, 1, bottom - top, right - left), rng, rng.uniform(35, 130), 1.5, 0.5):
        if rng.random() < 0.28:
            yard[r0:r1, c0:c1] = rng.choice([GRASS, ASPHALT, CONCRETE])
            continue
        margin = 1 if min(r1 - r0, c1 - c0) < 5 else int(rng.integers(1, 4))
        yard[r0 : max(r1 - margin, r0 + 1), c0 : max(c1 - margin, c0 + 1)] = rng.choice(
            np.array([ROOF_LIGHT, ROOF_DARK], dtype=np.int16), p=[0.6, 0.4]
        )
    yard[0], yard[:, 0] = ASPHALT, ASPHALT


def _draw_block(
    board: NDArray[np.int16], block: Box, away: float, roofs: Mapping[int, float], rng: np.random.Generator
) -> None:
    """A block of houses, flats, a park or open land with streets on two sides; writes into `board`."""
    top, left, bottom, right = block
    part = board[top:bottom, left:right]
    kinds = np.array(sorted(roofs), dtype=np.int16)
    chance = np.array([roofs[int(kind)] for kind in kinds])
    chance = 0.35 * chance / chance.sum() + 0.65 * np.eye(kinds.size)[rng.choice(kinds.size, p=chance / chance.sum())]
    roof = rng.choice(kinds, part.shape, p=chance)
    draw = rng.random()
    if draw < 0.10 + 0.12 * max(away - 0.6, 0):
        part[:] = np.where(rng.random(part.shape) < 0.35, np.int16(BROADLEAF), np.int16(GRASS))
        part[2:-2, 2:-2] = rng.choice(np.array([GRASS, GARDEN, BROADLEAF, BARE], dtype=np.int16))
    elif away < 0.28:
        _fill(part, roof, 0.68, rng)
        if min(part.shape) > 6:
            part[3:-2, 3:-2] = rng.choice(np.array([GARDEN, CONCRETE, ASPHALT], dtype=np.int16))
    elif draw < 0.22 and away < 0.8:
        _draw_flats(part, roof, rng)
    elif draw > 0.1 + 0.75 * max(away - 0.55, 0):  # further out, more blocks stay fields
        _draw_houses(part, roof, away, rng)
    part[0], part[:, 0] = ASPHALT, ASPHALT


def _fill(part: NDArray[np.int16], roof: NDArray[np.int16], density: float, rng: np.random.Generator) -> None:
    """Roofs two pixels across, the rest yards; writes into `part`."""
    rows, cols = part.shape
    coarse = rng.random((rows // 2 + 1, cols // 2 + 1)).repeat(2, 0).repeat(2, 1)[:rows, :cols]
    yard = rng.choice(np.array([GARDEN, CONCRETE, ASPHALT], dtype=np.int16), p=[0.5, 0.3, 0.2])
    same = roof[::2, ::2].repeat(2, 0).repeat(2, 1)[:rows, :cols]
    part[:] = np.where(coarse < density, same, yard)


def _draw_flats(part: NDArray[np.int16], roof: NDArray[np.int16], rng: np.random.Generator) -> None:
    """Slabs of flats on lawns with parked cars between; writes into `part`."""
    part[:] = rng.choice(np.array([GRASS, GARDEN, CONCRETE], dtype=np.int16))
    long = int(rng.integers(4, 8))
    for row in range(2, part.shape[0] - 1, 4):
        part[row : row + 1 + int(rng.random() < 0.4), 2 : 2 + long] = roof[0, 0]
        part[row : row + 1, 4 + long : 4 + 2 * long] = roof[0, 0]
    part[-1] = ASPHALT


def _draw_houses(part: NDArray[np.int16], roof: NDArray[np.int16], away: float, rng: np.random.Generator) -> None:
    """Houses in rows along the streets, gardens and trees behind them; writes into `part`."""
    rows, cols = part.shape
    part[:] = np.where(rng.random(part.shape) < 0.16 + 0.15 * away, np.int16(BROADLEAF), np.int16(GARDEN))
    density = rng.uniform(0.62, 0.9) - 0.32 * min(away, 1.0)
    pace = int(rng.integers(3, 5))
    for row in range(1, rows, pace):
        built = (rng.random(cols // 2 + 1) < density).repeat(2)[:cols]
        part[row] = np.where(built, roof[row].repeat(2)[:cols], part[row])
