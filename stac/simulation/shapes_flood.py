"""Floods: what a river drowns when it rises over its banks, and how long the water stays."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from .covers import (
    ASPHALT,
    BUILT,
    COVERS,
    FORESTS,
    GRAVEL,
    RIPARIAN,
    SEA,
    SHRUB,
    TIDAL_FLAT,
    TRACK,
    WATERS,
    WETLAND,
)
from .ground import Field
from .means import blur
from .noise import new_noise
from .shapes import Box, Mask, Shape, Survey, largest

_THROUGH: dict[int, float] = {
    **dict.fromkeys(FORESTS, 0.5),
    RIPARIAN: 0.65,
    **dict.fromkeys((SHRUB, WETLAND), 0.85),
    **dict.fromkeys(BUILT, 0.5),
    ASPHALT: 0.35,
}
"""Cover → part of a drowned pixel that shows water. assumed: half of it between crowns and between roofs."""

_STANDING = (0.3, 0.58, 0.82)
"""Parts of the drowned land, lowest first, at which the zones of a flood end. assumed."""


def new_flood(survey: Survey, rng: np.random.Generator) -> Shape | None:
    """Low ground along a reach of a river, whose own water turns muddy for a while.

    Zones: 0 deep, 1 middle, 2 shallow, 3 rim, by how long the water stays; 4 channel, where water always stands. The
    water rises to a stage above the river; the stage falls away along the river from the middle of the reach, so that
    the flood ends within the window.
    """
    goal = survey.goal("flood", rng)
    spot = _bank_spot(survey, rng)
    if spot is None or np.mean(survey.taken[survey.box(spot, 0.7 * math.sqrt(goal))]) > 0.3:
        return None
    reach = float(rng.uniform(1.4, 2.4)) * math.sqrt(goal)
    box = survey.box(spot, 1.35 * reach)
    if not np.isfinite(survey.above_river[box]).all():
        return None
    start = spot[0] - box[0].start, spot[1] - box[1].start
    need, along = _stage_needed(survey, box, (start, reach), rng)
    cover = survey.ground.cover[box]
    free = ~survey.taken[box] & ~np.isin(cover, (SEA, TIDAL_FLAT))
    land = ~np.isin(cover, WATERS)
    wet = _rise(need, free, start, (goal, np.where(land, 1.0, 0.3)))
    low, most = survey.limits("flood")
    if wet is None or not max(low, 0.6 * goal) <= np.count_nonzero(wet & land) <= most:
        return None
    rim = ndimage.binary_dilation(wet) & ~wet
    if np.count_nonzero(rim & ~free) > 0.06 * np.count_nonzero(rim) or np.mean(survey.built[box][wet]) > 0.15:
        return None
    return survey.finish(box, _flood_layers(cover, need, wet, along, rng))


def _bank_spot(survey: Survey, rng: np.random.Generator) -> tuple[int, int] | None:
    """A free place on a river, on open land if there is any: below closed crowns an analyst maps no flood."""
    if "river" not in survey.spots:
        open_land = blur(~(survey.forest | survey.water | survey.built), 12, 2)
        open_bank = survey.river & (open_land > 0.4)
        survey.pick("river", open_bank if np.count_nonzero(open_bank) > 50 else survey.river, rng)
    return survey.pick("river", None, rng)


def _stage_needed(
    survey: Survey, box: Box, reach: tuple[tuple[int, int], float], rng: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """How high the river must stand in the middle of a reach to drown each pixel, metres.

    Height above the river, ridges and swales of the flood plain, roads on their banks, fields behind their ditches, and
    what the stage loses on the way. assumed: 0.018 m a pixel away from the river, ridges of 0.15 m, road banks of
    0.6 m, fields that differ by 0.14 m.

    Args:
        survey: The ground.
        box: The window.
        reach: Row and column of its middle within the window, and its half length, pixels.
        rng: Where chance comes from.

    Returns:
        (h, w) metres; (h, w) distance of the nearest river pixel from the middle, pixels.
    """
    (row, col), length = reach
    river, cover = survey.river[box], survey.ground.cover[box]
    above = ndimage.gaussian_filter(survey.above_river[box].astype(np.float64), 2.0)
    banks, near = ndimage.distance_transform_edt(~river, return_indices=True)
    along = ndimage.gaussian_filter(np.hypot(near[0] - row, near[1] - col), 3.0)
    broad = new_noise(above.shape, rng, 2.4, 70, 16).astype(np.float64)
    swales = new_noise(above.shape, rng, 2.2, 26, 4).astype(np.float64)
    plots = 0.14 * rng.standard_normal(survey.ground.fields.crop.shape[1] + 1)
    plot = plots[np.maximum(cover - len(COVERS), -1)]
    raised = np.where(cover == ASPHALT, 0.6, np.where(cover == TRACK, 0.15, 0.0)) + 0.4 * survey.built[box]
    lost = 3.0 * (along / length) ** 3
    need = np.maximum(above, 0) + 0.018 * banks + 0.28 * broad + 0.15 * swales + plot + raised + lost
    bed = river | (cover == GRAVEL) & (banks < 12)
    need[bed] = np.minimum(need[bed], lost[bed])
    return need, along


def _rise(
    need: NDArray[np.float64], free: Mask, start: tuple[int, int], goal: tuple[float, NDArray[np.float64]]
) -> Mask | None:
    """The connected ground that the lowest stage with a goal drowns; None where it reaches the window's edge.

    Args:
        need: (h, w), the stage that drowns each pixel.
        free: (h, w), ground that may be drowned.
        start: Row and column from which it spreads.
        goal: Wanted size, and what each pixel counts, (h, w).
    """
    low, high = float(need[start]), float(need.max())
    size, worth = goal
    wet: Mask | None = None
    for _ in range(9):
        stage = 0.5 * (low + high)
        parts, _ = ndimage.label((need <= stage) & free)
        part = parts == parts[start] if parts[start] else np.zeros_like(free)
        if float(worth[part].sum()) >= size:
            wet, high = part, stage
        else:
            low = stage
    if wet is None or wet[0].any() or wet[-1].any() or wet[:, 0].any() or wet[:, -1].any():
        return None
    dry, count = ndimage.label(~wet)
    tiny = np.bincount(dry.ravel(), minlength=count + 1) < 5
    tiny[0] = False
    return largest((wet & ndimage.binary_opening(wet, np.ones((2, 2)))) | (tiny[dry] & free))


def _flood_layers(
    cover: NDArray[np.int16],
    need: NDArray[np.float64],
    wet: Mask,
    along: NDArray[np.float64],
    rng: np.random.Generator,
) -> tuple[Field, Field, NDArray[np.uint8]]:
    """Strength, onset and zone of a flood: the river first, then the low ground, its rim last.

    The water leaves in the opposite order, but for hollows without a way out.

    Args:
        cover: (h, w).
        need: (h, w), the stage that drowns each pixel, metres.
        wet: (h, w), what it drowns.
        along: (h, w), distance along the river from the middle of the reach: its mud fades.
        rng: Where chance comes from.
    """
    first, last = float(need[wet].min()), float(need[wet].max())
    level = np.clip((need - first) / max(last - first, 1e-6), 0, 1)
    channel = np.isin(cover, WATERS)
    land = wet & ~channel
    hollows = level + 0.16 * new_noise(level.shape, rng, 1.8, 30, 5)
    bounds = np.quantile(hollows[land], _STANDING)
    zone = np.where(channel, 4, np.searchsorted(bounds, hollows))
    edge = blur(wet.astype(np.float32), 1, 1)
    shown = np.array([_THROUGH.get(number, 1.0) for number in range(len(COVERS))] + [1.0])
    strength = shown[np.minimum(cover, len(COVERS))] * np.array((1.0, 1.0, 0.92, 0.75, 1.0))[zone]
    strength = strength * np.where(land & (edge < 0.8), 0.8, 1.0)
    fading = 1 - along / max(float(along[wet].max()), 1e-6)
    strength = np.where(channel, np.clip(1.4 * fading, 0.03, 0.85), strength)
    return np.where(wet, strength, 0).astype(np.float32), level.astype(np.float32), zone.astype(np.uint8)
