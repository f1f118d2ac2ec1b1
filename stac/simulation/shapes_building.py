"""Where sites are built over: new quarters beside towns, and solar farms on flat open ground."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from .covers import ASPHALT
from .covers import TRACK as FARM_TRACK
from .ground import Field
from .means import blur
from .shapes import Box, Mask, Shape, Survey, axes, largest

_ROOFS, _STREET, _YARD = 3, 3, 4
_PANEL, _TRACK = 0, 1


def new_quarter(survey: Survey, rng: np.random.Generator) -> Shape | None:
    """A new quarter beside a town: houses, or halls on paved yards.

    Zones: 0 to 2 roofs (light, dark, tile), 3 street, 4 yard.

    Streets come first, farther from the town later; houses follow plot by plot.
    """
    goal = survey.goal("urban", rng)
    spot = _edge_of_town(survey, rng)
    if spot is None:
        return None
    box = survey.box(spot, 1.9 * math.sqrt(goal) + 8)
    town = survey.spots["town"]
    away = _from_town(survey, town, box)
    half = math.sqrt(goal * float(rng.uniform(0.6, 1.0))) / 2
    other = goal / (4 * half)
    turn = _outwards(away, (spot[0] - box[0].start, spot[1] - box[1].start))
    centre = spot[0] + 0.9 * half * math.sin(turn), spot[1] + 0.9 * half * math.cos(turn)
    u, v = axes(box, centre, turn)
    site, strength, late, zone = _streets_and_plots(u + half, v, (half, other), rng)
    usable = ~survey.taken[box] & ~survey.water[box] & (survey.slope[box] < 0.16)
    wanted = int(np.count_nonzero(site))
    site = largest(site & usable)
    built = survey.built[box] | survey.road[box]
    size = np.count_nonzero(site & ~built)
    low, most = survey.limits("urban")
    if size < max(low, 0.72 * wanted) or size > 1.2 * most:
        return None
    onset = 0.6 * (u + half) / (2 * half) + late
    strength = np.where(site & ~built, strength, 0).astype(np.float32)
    return survey.finish(box, (strength, onset.astype(np.float32), zone), site)


def _edge_of_town(survey: Survey, rng: np.random.Generator) -> tuple[int, int] | None:
    """A free place a few pixels outside a town, or beside a road where there is no town."""
    if "edge of town" not in survey.spots:
        houses = survey.built & (survey.ground.cover != ASPHALT)
        town = blur(houses.astype(np.float32), 3, 1) > 0.25
        town = town if town.any() else survey.road
        survey.spots["town"] = np.flatnonzero(town)
        if town.any():
            away = ndimage.distance_transform_edt(~town)
            ok = (away > 2) & (away < 9) & ~survey.water & (survey.slope < 0.12)
        else:
            ok = town
        survey.pick("edge of town", ok, rng)
    return survey.pick("edge of town", None, rng)


def _from_town(survey: Survey, town: NDArray[np.intp], box: Box) -> NDArray[np.float64]:
    """(h, w), distance to the town's pixels in a window, pixels."""
    mask = np.zeros(survey.ground.shape, dtype=bool)
    mask.ravel()[town] = True
    if not mask[box].any():
        return np.zeros(mask[box].shape)
    return np.asarray(ndimage.distance_transform_edt(~mask[box]), dtype=np.float64)


def _outwards(away: NDArray[np.float64], spot: tuple[int, int]) -> float:
    """The direction in which the distance from town grows, radians from east towards south.

    Rounded, so that a last bit which differs between machines moves no pixel.
    """
    soft = ndimage.gaussian_filter(away, 4)
    row = min(max(spot[0], 1), away.shape[0] - 2)
    col = min(max(spot[1], 1), away.shape[1] - 2)
    south = float(soft[row + 1, col] - soft[row - 1, col])
    east = float(soft[row, col + 1] - soft[row, col - 1])
    return round(math.atan2(south, east), 6)


def _streets_and_plots(
    u: NDArray[np.float64], v: NDArray[np.float64], half: tuple[float, float], rng: np.random.Generator
) -> tuple[Mask, Field, NDArray[np.float64], NDArray[np.uint8]]:
    """Site, strength, lateness (0 to 0.4) and zone of a grid of streets with plots, (h, w) each.

    Args:
        u: (h, w), pixels from the town's side of the quarter outwards.
        v: (h, w), pixels along that side from its middle.
        half: Half the quarter's size along u and v, pixels; whole blocks are built, so that it comes out ragged.
        rng: Where chance comes from.
    """
    halls = rng.random() < 0.3  # assumed: three quarters in ten are for trade and storage
    scale = 1.8 if halls else 1.0
    deep, long = scale * float(rng.uniform(5.5, 8)), scale * float(rng.uniform(9, 15))
    i, j = np.floor(u / long).astype(int), np.floor(v / deep).astype(int)
    middle_u, middle_v = ((i + 0.5) * long - half[0]) / half[0], (j + 0.5) * deep / half[1]
    i, j = i - i.min(), j - j.min()
    blocks = (int(i.max()) + 1, int(j.max()) + 1)
    site = np.maximum(np.abs(middle_u), np.abs(middle_v)) + 0.25 * rng.standard_normal(blocks)[i, j] < 1
    main = int(rng.random() < 0.25) if halls else int(rng.integers(0, _ROOFS))
    roof = np.where(rng.random(blocks) < 0.72, main, rng.integers(0, _ROOFS, blocks))[i, j]
    sort = rng.random(blocks)[i, j]
    gone = rng.random(u.shape)
    from_u, from_v = u / long - np.floor(u / long), v / deep - np.floor(v / deep)
    middle = (np.abs(from_u - 0.5) < 0.30) & (np.abs(from_v - 0.5) < 0.28)
    house = np.where(sort < (1.0 if halls else 0.16), middle, gone < 0.5)
    house &= sort < 0.9
    street = np.minimum(np.minimum(from_u, 1 - from_u) * long, np.minimum(from_v, 1 - from_v) * deep) < 0.55
    paved = street | (halls & (sort < 0.75))
    zone = np.where(street, _STREET, np.where(house, roof, np.where(paved, _STREET, _YARD))).astype(np.uint8)
    tight = np.where(middle & (halls | (sort < 0.16)), 0.97, 0.6 + 0.4 * rng.random(u.shape))
    strength = np.where(street, 0.85, np.where(house, tight, np.where(sort < 0.9, 0.6, 0.35)))
    late = 0.22 * rng.random(blocks)[i, j] + np.where(street, 0, 0.06 + 0.12 * rng.random(u.shape))
    return site, strength.astype(np.float32), late, zone


def new_solar_farm(survey: Survey, rng: np.random.Generator) -> Shape | None:
    """A notched rectangle, or two side by side, of panel blocks with access tracks. Zones: 0 panel, 1 track."""
    goal = survey.goal("solar_farm", rng)
    if "open" not in survey.spots:
        survey.pick("open", survey.open_flat & (blur(survey.open_flat.astype(np.float32), 14, 1) > 0.8), rng)
    spot = survey.pick("open", None, rng)
    if spot is None:
        return None
    stretch = float(rng.uniform(0.6, 1.7))
    half = math.sqrt(goal * 1.15 * stretch) / 2, math.sqrt(goal * 1.15 / stretch) / 2
    turn = float(rng.normal(0, 0.10)) if rng.random() < 0.6 else float(rng.uniform(-0.6, 0.6))
    box = survey.box(spot, 1.5 * max(half) + 6)
    u, v = axes(box, spot, turn)
    site = _notched(u, v, half, rng)
    free = survey.open_flat[box] | ((survey.ground.cover[box] == FARM_TRACK) & (survey.slope[box] < 0.08))
    wanted = np.count_nonzero(site)
    if (site & survey.taken[box]).any() or np.count_nonzero(site & free) < 0.9 * wanted:
        return None
    if np.count_nonzero(site & survey.built[box]) > 0.01 * wanted:
        return None
    low, most = survey.limits("solar_farm")
    if not low <= np.count_nonzero(site & free) <= 1.15 * most:
        return None
    long, deep = float(rng.uniform(16, 30)), float(rng.uniform(8, 15))
    i, j = np.floor((u + half[0]) / long), np.floor((v + half[1]) / deep)
    from_u, from_v = (u + half[0]) / long - i, (v + half[1]) / deep - j
    track = (np.minimum(from_u, 1 - from_u) * long < 0.5) | (np.minimum(from_v, 1 - from_v) * deep < 0.5)
    rim = site & ~ndimage.binary_erosion(site)
    zone = np.where(track | rim, _TRACK, _PANEL).astype(np.uint8)
    free &= ndimage.binary_opening(site & free, iterations=2)
    strength = np.where(site & free, np.where(rim | track, 0.7, 0.96), 0).astype(np.float32)
    columns = max(float(i[site].max()), 1.0) + 1
    onset = (i + 0.8 * np.clip(from_v * 0.3 + 0.7 * (v + half[1]) / (2 * half[1]), 0, 1)) / columns
    return survey.finish(box, (strength, onset.astype(np.float32), zone), site)


def _notched(
    u: NDArray[np.float64], v: NDArray[np.float64], half: tuple[float, float], rng: np.random.Generator
) -> Mask:
    """(h, w), a rectangle without one or two of its corners, as parcels leave it."""
    site = (np.abs(u) < half[0]) & (np.abs(v) < half[1])
    corners = rng.permutation(4)[: int(rng.integers(1, 3))].tolist()
    for corner in corners:
        side_u, side_v = (1 if corner % 2 else -1), (1 if corner // 2 else -1)
        keep_u, keep_v = half[0] * float(rng.uniform(0.15, 0.65)), half[1] * float(rng.uniform(0.15, 0.65))
        site &= ~((side_u * u > keep_u) & (side_v * v > keep_v))
    return np.asarray(site)
