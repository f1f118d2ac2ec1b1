"""What covers the simulated ground where nobody farms or builds: each pixel's best suited cover, in natural shapes.

NumPy and SciPy only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .covers import (
    BARE,
    BROADLEAF,
    CONIFER,
    FORESTS,
    GRASS,
    GRAVEL,
    RAINFOREST,
    RIPARIAN,
    ROCK,
    SAND,
    SHRUB,
    TRACK,
    WETLAND,
)
from .ground import Field, Relief
from .means import blur
from .noise import new_noise
from .parcels import Labels, means, outlines
from .relief import steepness
from .steps import smooth_step

STEP = 4
"""Every fourth pixel is counted while shares are being met."""


@dataclass(frozen=True)
class Liking:
    """What a cover likes, as weights on fields of about unit spread."""

    height: float
    moist: float
    steep: float
    stream: float
    patch: float
    grain: float


# assumed: signs from textbook plant geography (Walter 1985, Vegetation of the Earth, 3rd ed., Springer), sizes by eye.
LIKINGS: Mapping[int, Liking] = {
    CONIFER: Liking(0.7, 0.35, 0.2, -0.2, 0.55, 0.22),
    BROADLEAF: Liking(-0.2, 0.35, 0.1, 0.1, 0.55, 0.25),
    RAINFOREST: Liking(0.0, 0.1, 0.0, 0.0, 0.5, 0.1),
    SHRUB: Liking(0.2, -0.4, 0.15, 0.0, 0.55, 0.28),
    GRASS: Liking(-0.3, -0.1, -0.3, -0.1, 0.55, 0.2),
    RIPARIAN: Liking(-0.3, 0.2, -0.2, 2.2, 0.25, 0.15),
    WETLAND: Liking(-0.3, 0.7, -1.0, 0.6, 0.7, 0.12),
    BARE: Liking(-0.2, -0.5, -0.1, -0.2, 0.6, 0.22),
    SAND: Liking(-0.5, -0.4, -0.9, 0.2, 0.8, 0.1),
    ROCK: Liking(0.7, -0.2, 1.3, -0.5, 0.5, 0.3),
    GRAVEL: Liking(-0.3, -0.2, -0.4, 1.8, 0.2, 0.1),
}
"""Liking of each cover that grows or lies without people."""


def new_moisture(relief: Relief, south: bool, rng: np.random.Generator) -> Field:
    """Shady slopes and hollows are moist, sunny slopes and crests dry; (H, W), about -1 to 1.

    Args:
        relief: The ground's shape.
        south: Whether the sun stands in the north (southern hemisphere).
        rng: Where chance comes from.
    """
    shady = blur(relief.north, 2, 1) * (1.0 if south else -1.0)
    hollow = smooth_step(blur(relief.drainage, 2, 2), 0.1, 1.3) - 0.35
    moist = 1.3 * shady + 0.6 * hollow + 0.34 * new_noise(relief.height.shape, rng, 2.2, 160, 3)
    return np.asarray(np.clip(moist, -1.2, 1.2), dtype=np.float32)


def _scored(field: NDArray[np.float32]) -> NDArray[np.float64]:
    """A field with zero mean and unit spread, bounded to 2.5 spreads."""
    wide = field.astype(np.float64)
    spread = wide.std()
    return np.asarray(np.clip((wide - wide.mean()) / (spread if spread > 0 else 1.0), -2.5, 2.5))


def new_wild_cover(
    relief: Relief, moist: Field, shares: Mapping[int, float], stands: tuple[Labels, float], rng: np.random.Generator
) -> NDArray[np.int16]:
    """Cover without people, (H, W): shares come out about as wished, each where it is best suited.

    A constant for each cover is raised while it covers too little and lowered while it covers too much: the auction of
    Bertsekas 1988, Annals of Operations Research 14, https://doi.org/10.1007/BF02186476, with small steps.

    Args:
        relief: The ground's shape.
        moist: (H, W), from `new_moisture`.
        shares: Wanted shares by number of cover; covers that are not in `LIKINGS` are left out.
        stands: Stands (H, W) and how far covers follow them, 0 (natural shapes) to 0.9 (whole stands).
        rng: Where chance comes from.
    """
    wanted = {what: share for what, share in sorted(shares.items()) if what in LIKINGS and share > 0}
    names = np.array(list(wanted), dtype=np.int16)
    part = np.array(list(wanted.values()))
    part = part / part.sum()
    suit = _suitability(relief, moist, list(wanted), rng)
    labels, weight = stands
    if weight > 0:
        for layer in suit:
            layer *= 1 - weight
            layer += weight * means(layer, labels)[labels] / (1 - weight)
    seen = suit[:, ::STEP, ::STEP].reshape(len(names), -1)
    price = np.zeros(len(names))
    for turn in range(40):
        got = np.bincount((seen + price[:, None]).argmax(axis=0), minlength=len(names)) / seen.shape[1]
        price += 0.5 * 0.96**turn * np.clip(np.log(part / np.maximum(got, part / 20)), -1, 1)
    suit += price[:, None, None]
    cover = names[suit.argmax(axis=0)]
    if wanted.get(BARE, 0) > 0.2:  # dry washes: sand that rare floods leave
        cover[(relief.drainage > 1.5) & (relief.drainage < 2.6)] = SAND
    return without_salt(cover)


def _suitability(relief: Relief, moist: Field, names: list[int], rng: np.random.Generator) -> NDArray[np.float64]:
    """(covers, H, W): how well each cover fits each pixel."""
    shape = relief.height.shape
    high, wet = _scored(relief.height), _scored(moist)
    steep = _scored(steepness(relief, 2))
    stream = smooth_step(blur(relief.drainage, 1, 1), 1.2, 2.6).astype(np.float64) * 1.6
    out = np.empty((len(names), *shape))
    for k, name in enumerate(names):
        like = LIKINGS[name]
        patch = new_noise(shape, rng, 2.7, 160, 7).astype(np.float64)
        grain = new_noise(shape, rng, 1.7, 20, 3).astype(np.float64)
        out[k] = like.height * high + like.moist * wet + like.steep * steep + like.stream * stream
        out[k] += like.patch * patch + 0.7 * like.grain * grain
    return out


def without_salt(cover: NDArray[np.int16], rounds: int = 2) -> NDArray[np.int16]:
    """A cover (H, W) whose pixels without any like neighbour (of eight) took their western or northern neighbour's."""
    out = cover.copy()
    rows, cols = out.shape
    for _ in range(rounds):
        padded = np.pad(out, 1, mode="constant", constant_values=-1)
        alone = np.ones(out.shape, dtype=bool)
        for dy in (0, 1, 2):
            for dx in (0, 1, 2):
                if (dy, dx) != (1, 1):
                    alone &= padded[dy : dy + rows, dx : dx + cols] != out
        west = np.where(np.arange(cols)[None, :] > 0, padded[1:-1, :-2], padded[1:-1, 2:])
        out[alone] = west[alone]
    return out


def draw_stands(
    cover: NDArray[np.int16], stands: Labels, districts: Labels, felled: float, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Cut forests into stands: glades, fellings of other years, rides and tracks; writes into `cover`.

    Args:
        cover: (H, W), covers' numbers.
        stands: (H, W), from `parcels.new_parcels`.
        districts: (H, W), whose outlines rides follow.
        felled: Share of stands that were felled in the last decades.
        rng: Where chance comes from.

    Returns:
        (H, W) float32, about zero mean and unit spread: age or density by stand.
    """
    number = int(stands.max()) + 1
    forest = np.isin(cover, FORESTS)
    state = rng.random(number)
    fresh = rng.choice(np.array([GRASS, SHRUB, SHRUB, SHRUB, BARE], dtype=np.int16), number)
    open_now = forest & (state < felled * 0.45)[stands]
    kept = new_noise(cover.shape, rng, 1.2, 14, 2.5) > 1.9  # seed trees stay
    cover[open_now & ~kept] = fresh[stands][open_now & ~kept]
    young = (state >= felled * 0.45) & (state < felled)
    age = np.where(young, rng.uniform(1.2, 2.4, number), 0.75 * rng.standard_normal(number) - 0.3)
    pairs = int(districts.max()) + 1
    line = outlines(districts) & forest & ~open_now
    kind = (np.arange(pairs) * 0.618034 + rng.random()) % 1.0
    ride = kind[districts]
    cover[line & (ride < 0.22)] = TRACK
    cover[line & (ride > 0.75)] = GRASS
    return age[stands].astype(np.float32)
