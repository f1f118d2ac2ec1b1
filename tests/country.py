"""A small piece of country for the tests of planted events: quick to make, with a place for every class."""

from __future__ import annotations

import numpy as np

from stac.simulation.covers import ASPHALT, CONIFER, COVERS, CROPS, GARDEN, GRASS, RIVER, ROOF_TILE, SHRUB, TRACK, WATER
from stac.simulation.ground import Fields, Ground, Relief
from stac.simulation.noise import new_noise
from stac.simulation.shapes import MARGIN, Survey

SHAPE = (288, 448)
FOOT = 260  # column where the hills end and the plain begins


def new_country(biome: str = "temperate") -> Ground:
    """Wooded hills with two valleys in the west, a plain with a river, a lake, a town and fields in the east."""
    rng = np.random.default_rng(5)
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]].astype(np.float64)
    river = 350 + 14 * np.sin(y / 40)
    up = np.clip(FOOT - x, 0, None)
    ridge = (1 - np.cos(2 * np.pi * y / (SHAPE[0] / 2))) / 2
    height = 40 + 0.02 * np.abs(x - river) + 0.25 * up + 190 * ridge * np.clip(up / 60, 0, 1)
    height = (height + 0.6 * new_noise(SHAPE, rng, 2.4, 60, 8) * np.clip(up / 40, 0.1, 1)).astype(np.float32)
    south, east = np.gradient(height.astype(np.float64), 10.0)
    valley = np.minimum(np.minimum(np.abs(y), np.abs(y - SHAPE[0] / 2)), np.abs(y - SHAPE[0] + 1))
    drainage = np.where(x < FOOT, 0.4 + 2.2 * np.exp(-((valley / 2) ** 2)), 0.5)
    cover = np.full(SHAPE, CONIFER, dtype=np.int16)
    cover[new_noise(SHAPE, rng, 2.4, 120, 12) > 1.4] = SHRUB
    cover[(x > 215) & (x < FOOT)] = GRASS
    plain = x >= FOOT + 6
    parcels = (y // 22).astype(int) * 32 + (x // 26).astype(int)
    cover[plain] = (len(COVERS) + parcels)[plain]
    cover[np.hypot((y - 60) / 22, (x - 400) / 30) < 1] = WATER
    town = np.hypot(y - 210, x - 400) < 17
    cover[town] = rng.choice([ROOF_TILE, GARDEN, ASPHALT], int(town.sum()))
    cover[:, FOOT + 2] = ASPHALT
    cover[88, 30:FOOT] = TRACK
    cover[np.abs(x - river) < 3] = RIVER
    drainage[cover == RIVER] = 3.5
    fields = Fields(
        rng.integers(0, len(CROPS), (3, int(parcels.max()) + 1)),
        np.zeros(int(parcels.max()) + 1),
        np.ones(int(parcels.max()) + 1),
    )
    relief = Relief(height, east.astype(np.float32), (-south).astype(np.float32), drainage.astype(np.float32))
    tint = new_noise(SHAPE, rng, 2.0, 60, 4)
    shore = np.full(SHAPE, np.inf, dtype=np.float32)
    return Ground(biome, relief, cover, tint, tint, tint, tint, shore, fields)


def new_survey(ground: Ground) -> Survey:
    """A survey of ground on which nothing is planted yet."""
    taken = np.ones(ground.shape, dtype=bool)
    taken[MARGIN:-MARGIN, MARGIN:-MARGIN] = False
    return Survey(ground, taken)
