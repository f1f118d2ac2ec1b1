"""Which passes show a change's place: the dates before and after it that the archive's truth names."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from ..bands import CLEAR_SCL
from .biomes import Biome
from .change import Change
from .classify import SNOW
from .ground import Ground
from .looks import new_looks
from .render import change_weight
from .season import Season
from .shot import Shot
from .weather import CLEAR_SKIES

CLEAR_ENOUGH = 0.7
"""Part of an event's pixels that a pass must show. assumed: most of it."""

NEAR_DAYS = 60
"""Days before an event's start, and after its end, within which passes are sought. assumed: what lies further off is of
another season."""

WINTER_DAYS = 220
"""The same where snow lay on the place meanwhile: what is felled in winter is first seen in spring.

assumed: snow from October to May, as in the north."""

SHOWN = 0.5
"""Part of a flood that must still stand for a pass to show it. assumed."""

PASSING = frozenset({"flood"})
"""Classes that may be gone within weeks of their end."""


def is_smoky(shot: Shot, changes: Sequence[Change]) -> bool:
    """Whether a fire burns on the day of a pass."""
    day = shot.time.date()
    return any(change.kind == "wildfire" and change.start <= day <= change.end for change in changes)


def clear_part(seen: NDArray[np.uint8], change: Change, shot: Shot, ground: Ground, smoky: bool) -> float:
    """Part of a change's pixels that a pass shows: delivered, without cloud and without snow.

    By truth where that is known: under a clear or hazy sky without smoke nothing hides the ground but snow, whatever
    the classification says of roofs and fresh char. Under other skies the classification decides.

    Args:
        seen: (H/2, W/2), the pass's classification on the whole ground, 0 = not delivered.
        change: The change.
        shot: The pass.
        ground: Its heights tell where snow lies.
        smoky: Whether a fire burns that day.
    """
    taken = change.strength > 0
    rows, cols = change.window
    scl = np.repeat(np.repeat(seen, 2, axis=0), 2, axis=1)[rows, cols][taken]
    is_open = shot.sky in CLEAR_SKIES and not smoky
    clear = (scl > 0) & (scl != SNOW) if is_open else np.isin(scl, CLEAR_SCL)
    return float((clear & _bare(ground, shot, change)).mean())


def _bare(ground: Ground, shot: Shot, change: Change) -> NDArray[np.bool_]:
    """Which of a change's pixels lie below the snow, (n,)."""
    rows, cols = change.window
    if not math.isfinite(shot.snow_line):
        return np.ones(int((change.strength > 0).sum()), dtype=bool)
    return np.asarray(ground.relief.height[rows, cols][change.strength > 0] < shot.snow_line)


def shows(change: Change, shot: Shot, season: Season, biome: Biome) -> bool:
    """Whether a pass after the end of a change still shows at least `SHOWN` of it: a flood may have fallen by then.

    Args:
        change: The change.
        shot: The pass, on or after the change's first day.
        season: Looks of that day.
        biome: The kind of country.
    """
    span, age = ((day - change.start).days for day in (change.end, shot.time.date()))
    table = new_looks(change.kind, season, biome, span)
    weight = change_weight(change.strength, change.onset, change.zone, table, float(age), float(span))
    return float(weight.sum()) >= SHOWN * float(change.strength.sum())


def event_dates(
    change: Change, shots: Sequence[Shot], clear: Sequence[float], ground: Ground, still: Callable[[Shot], bool]
) -> tuple[str | None, str | None]:
    """Days of the last pass before a change and of the first after it that show its place, and then it.

    Args:
        change: The change.
        shots: All passes, in order of time.
        clear: Part of the change's pixels that each shows.
        ground: Its heights tell where snow lies.
        still: Whether a pass still shows the change; asked for classes that pass.

    Returns:
        Dates; None where no pass within `NEAR_DAYS` does, or, where snow lay on the place then, within `WINTER_DAYS`.
    """

    def nearest(passes: Sequence[tuple[int, Shot, float]], fleeting: bool) -> str | None:
        snow = False
        for days, shot, part in passes:
            snow = snow or bool(_bare(ground, shot, change).mean() < CLEAR_ENOUGH)
            if days > (WINTER_DAYS if snow else NEAR_DAYS):
                return None
            if part >= CLEAR_ENOUGH and (not fleeting or still(shot)):
                return shot.time.date().isoformat()
        return None

    found = [(shot.time.date(), shot, part) for shot, part in zip(shots, clear, strict=True)]
    early = [((change.start - day).days, shot, part) for day, shot, part in reversed(found) if day < change.start]
    late = [((day - change.end).days, shot, part) for day, shot, part in found if day > change.end]
    return nearest(early, False), nearest(late, change.kind in PASSING)
