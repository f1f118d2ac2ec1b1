"""Planted events: apart from each other, inside the archive's dates, invisible before they begin."""

from datetime import date, timedelta

import numpy as np
import pytest

from stac.simulate_events import apply_event, plant_events
from stac.simulate_landscape import new_landscape
from stac.simulate_spectra import BANDS, new_season

DATES = (date(2021, 1, 4), date(2023, 12, 5))
COUNTS = {"wildfire": 2, "solar_farm": 1, "clear_cut": 3, "road": 1}
NIR, SWIR = BANDS.index("B08"), BANDS.index("B12")


@pytest.fixture(scope="module")
def land():
    return new_landscape((400, 640), np.random.default_rng(3))


@pytest.fixture(scope="module")
def events(land):
    return plant_events(land, COUNTS, DATES, np.random.default_rng(8))


def look(land, event, day):
    """Mean spectrum inside an event, from forest reflectance everywhere."""
    image = np.ones((len(BANDS), *land.shape), dtype=np.float32) * np.array(
        [0.02, 0.04, 0.03, 0.25, 0.12, 0.05], dtype=np.float32
    ).reshape(-1, 1, 1)
    apply_event(event, image, day, new_season(day.timetuple().tm_yday, day.year - 2021, land.fields), land.texture)
    return image[:, *event.window][:, event.strength > 0.5].mean(axis=1), image


def test_wanted_events_are_planted_apart_and_inside_the_dates(land, events):
    taken = np.zeros(land.shape, dtype=int)
    for event in events:
        taken[event.window] += event.strength > 0
        assert DATES[0] < event.start < event.end < DATES[1]
    assert taken.max() == 1
    kinds = [event.kind for event in events]
    assert {kind: kinds.count(kind) for kind in COUNTS} == COUNTS


def test_sizes_are_those_of_the_real_things(events):
    hectares = {e.event_id: (e.strength > 0).sum() / 100 for e in events}
    assert all(30 <= h <= 300 for name, h in hectares.items() if name.startswith("wildfire"))
    assert all(4.5 <= h <= 30 for name, h in hectares.items() if name.startswith("clear-cut"))


def test_fires_start_in_the_dry_months(events):
    assert {e.start.month for e in events if e.kind == "wildfire"} <= {6, 7, 8, 9, 10}


def test_nothing_shows_before_the_start(land, events):
    for event in events:
        before, image = look(land, event, event.start - timedelta(days=1))
        np.testing.assert_allclose(before, [0.02, 0.04, 0.03, 0.25, 0.12, 0.05], rtol=1e-3)
        assert np.ptp(image[NIR]) == 0


def test_nothing_shows_outside_the_window(land, events):
    for event in events:
        _, image = look(land, event, event.end + timedelta(days=5))
        outside = np.ones(land.shape, dtype=bool)
        outside[event.window] = event.strength == 0
        assert np.ptp(image[NIR][outside]) == 0


def test_a_scar_fades_over_the_years(land, events):
    fire = next(e for e in events if e.kind == "wildfire")
    ratio = []
    for days in (5, 400, 1500):
        spectrum, _ = look(land, fire, fire.end + timedelta(days=days))
        ratio.append((spectrum[NIR] - spectrum[SWIR]) / (spectrum[NIR] + spectrum[SWIR]))
    assert ratio[0] < -0.05
    assert ratio[0] < ratio[1] < ratio[2]


def test_a_felling_advances_over_its_days(land, events):
    cut = next(e for e in events if e.kind == "clear_cut")
    middle, _ = look(land, cut, cut.start + (cut.end - cut.start) / 2)
    after, _ = look(land, cut, cut.end + timedelta(days=1))
    assert 0.25 > middle[NIR] > after[NIR]


def test_where_there_is_no_forest_nothing_is_felled():
    land = new_landscape((128, 224), np.random.default_rng(3))
    land.cover[:] = 3
    assert plant_events(land, {"clear_cut": 2}, DATES, np.random.default_rng(0)) == []
