"""Smoke of the fires that burn on a day: it rises from the active front and drifts the way the fire runs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import numpy as np
from numpy.typing import NDArray

from .change import Change
from .ground import Field
from .noise import new_noise
from .sky import displace, heading, plume
from .weather import NOISES, SMOKE_DEPTH, SMOKE_VEER, SMOKE_WIDTH

SOURCES = 4
"""Places along the front from which smoke rises, at most. assumed."""

ACTIVE = 1.5
"""Days for which burnt ground goes on smoking. assumed: heavy fuel smoulders for a day or two."""


def new_smoke(changes: Sequence[Change], shape: tuple[int, int], day: date, rng: np.random.Generator) -> Field | None:
    """Optical depth in B02 of the smoke over a ground on a day.

    Args:
        changes: What happens on the ground; classes other than `wildfire` are passed over.
        shape: Height and width of the ground, pixels of 10 m.
        day: The day.
        rng: Where chance comes from; nothing is drawn where nothing burns.

    Returns:
        (h / 2, w / 2) float32, or None where no fire burns.
    """
    fires = [change for change in changes if change.kind == "wildfire" and change.start <= day <= change.end]
    fronts = [(fire, places) for fire in fires if len(places := burning(fire, day))]
    if not fronts:
        return None
    half = (shape[0] // 2, shape[1] // 2)
    torn = new_noise(half, rng, *NOISES["torn"])
    total = np.zeros(half, dtype=np.float32)
    for turn, (fire, places) in enumerate(fronts):
        wind = float(heading(fire.onset, fire.strength > 0)) + float(rng.uniform(-SMOKE_VEER, SMOKE_VEER))
        density = float(rng.uniform(*SMOKE_DEPTH))
        sources, width = _sources(places, wind)
        for n, (row, col) in enumerate(sources):
            puffs = displace(torn, 37 * n + 61 * turn, 91 * n + 23 * turn)
            veer, share = float(rng.uniform(-5, 5)), float(rng.uniform(0.5, 1.5)) / len(sources) ** 0.5
            at = float(fire.top + row) / 2, float(fire.left + col) / 2
            total += plume(puffs, *at, wind + veer, density * share, width)
    return total


def burning(fire: Change, day: date) -> NDArray[np.int64]:
    """Rows and columns (N, 2), within the fire's window, of the pixels that burn on a day."""
    age = np.float32((day - fire.start).days)
    since = age - fire.onset * np.float32((fire.end - fire.start).days)
    return np.argwhere((fire.strength > 0) & (since >= 0) & (since < ACTIVE))


def _sources(places: NDArray[np.int64], wind: float) -> tuple[list[tuple[int, int]], float]:
    """Places at the head of the front, spread evenly across the wind; half width of each one's plume, pixels of 20 m.

    assumed: the half of the front that lies downwind gives the smoke, for flanks and rear burn low.
    """
    turn = np.radians(wind)
    along = places[:, 1] * np.sin(turn) - places[:, 0] * np.cos(turn)
    places = places[along >= np.median(along)]
    across = places[:, 1] * np.cos(turn) + places[:, 0] * np.sin(turn)
    order = np.argsort(across, kind="stable")
    count = min(SOURCES, len(places))
    chosen = places[order[((np.arange(count) + 0.5) / count * len(places)).astype(np.int64)]]
    extent = float(across[order[-1]] - across[order[0]]) / 2
    width = float(np.clip(0.45 * extent / count, *SMOKE_WIDTH))
    return [(int(row), int(col)) for row, col in chosen], width
