"""Which passes the truth names as before and after: clear, near, without snow, and of floods those that show water."""

import math
from datetime import date, datetime, time, timedelta
from types import SimpleNamespace

import numpy as np
import pytest

from stac.simulation.biomes import BIOMES
from stac.simulation.change import Change
from stac.simulation.dates import clear_part, event_dates, is_smoky, shows
from stac.simulation.ground import Fields
from stac.simulation.phenology import new_season

START = date(2022, 3, 1)
HILL = SimpleNamespace(relief=SimpleNamespace(height=np.full((40, 40), 500, dtype=np.float32)))
CLEAR = math.inf


def new_change(kind="clear_cut"):
    """20 × 16 pixels in the corner of the hill, done in four days."""
    whole = np.ones((20, 16), dtype=np.float32)
    return Change("x-01", kind, START, START + timedelta(days=4), 0, 0, whole, 0 * whole, (whole > 2).astype(np.uint8))


def new_shot(day, line=CLEAR, sky="clear"):
    return SimpleNamespace(time=datetime.combine(START, time()) + timedelta(days=day), snow_line=line, sky=sky)


def dates(passes, kind="clear_cut", still=lambda shot: True):
    """Dates, as days from the start, of passes (day from the start, clear part, snow line)."""
    shots = [new_shot(day, line) for day, _, line in passes]
    found = event_dates(new_change(kind), shots, [part for _, part, _ in passes], HILL, still)
    return tuple(None if day is None else (date.fromisoformat(day) - START).days for day in found)


def test_dates_are_the_nearest_passes_that_are_clear_enough():
    parts = ((-70, 1.0), (-9, 0.8), (-4, 0.6), (2, 1.0), (4, 1.0), (6, 0.5), (9, 0.76), (14, 1.0))
    assert dates([(day, part, CLEAR) for day, part in parts]) == (-9, 9)


def test_dates_are_not_sought_beyond_two_months_but_for_snow():
    assert dates([(-70, 1.0, CLEAR), (-30, 0.0, CLEAR), (30, 0.0, CLEAR), (70, 1.0, CLEAR)]) == (None, None)
    assert dates([(-70, 1.0, CLEAR), (-30, 0.0, 300.0), (30, 0.0, 300.0), (70, 1.0, CLEAR)]) == (-70, 70)
    assert dates([(-230, 1.0, CLEAR), (-30, 0.0, 300.0), (30, 0.0, 300.0), (230, 1.0, CLEAR)]) == (None, None)
    dark = [(-100, 1.0, CLEAR), (-70, 0.0, 300.0), (70, 0.0, 300.0), (100, 1.0, CLEAR)]  # no pass in the polar night
    assert dates(dark) == (-100, 100)


def test_a_flood_that_has_fallen_is_passed_over():
    soon = lambda shot: shot.time.date() < START + timedelta(days=30)  # noqa: E731
    assert dates([(-5, 1.0, CLEAR), (40, 1.0, CLEAR)], "flood", soon) == (-5, None)
    assert dates([(-5, 1.0, CLEAR), (14, 1.0, CLEAR)], "flood", soon) == (-5, 14)
    assert dates([(-5, 1.0, CLEAR), (40, 1.0, CLEAR)], "mine", soon) == (-5, 40)


def test_a_flood_shows_soon_after_its_end_and_not_months_later():
    biome = BIOMES["temperate"]
    season = new_season(biome, 90, 1, Fields(np.zeros((1, 0), dtype=np.int64), np.zeros(0), np.zeros(0)))
    assert shows(new_change("flood"), new_shot(5), season, biome)
    assert not shows(new_change("flood"), new_shot(400), season, biome)


def test_roofs_that_are_taken_for_cloud_are_clear_under_a_clear_sky_and_snow_is_not():
    scl = np.full((20, 20), 9, dtype=np.uint8)
    scl[:5] = 0  # not delivered
    change = new_change()
    assert clear_part(scl, change, new_shot(0), HILL, False) == pytest.approx(0.5)
    assert clear_part(scl, change, new_shot(0, sky="broken"), HILL, False) == 0
    assert clear_part(scl, change, new_shot(0), HILL, True) == 0
    assert clear_part(scl, change, new_shot(0, line=400.0), HILL, False) == 0


def test_smoke_is_there_while_a_fire_burns():
    assert [is_smoky(new_shot(day), [new_change("wildfire")]) for day in (-1, 0, 4, 5)] == [False, True, True, False]
    assert not is_smoky(new_shot(2), [new_change("mine")])
