"""Planted events: where and when, none touches another, outlines, and how many of each class."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pytest
import shapely
from scipy import ndimage

from stac.errors import DataError
from stac.simulation.biomes import BIOMES
from stac.simulation.change import Change
from stac.simulation.events import BORDER, LENGTHS, MAKERS, PROPOSALS, month_weights, new_counts, outline, plant_changes
from stac.simulation.ground import Ground
from stac.simulation.looks import finish_days
from stac.simulation.shapes import CLEARANCE, MARGIN
from tests.country import new_country

DATES = date(2021, 1, 1), date(2023, 12, 31)
COUNTS = {"wildfire": 2, "road": 2, "clear_cut": 3, "solar_farm": 1} | dict.fromkeys(MAKERS, 1)


@pytest.fixture(scope="module")
def ground() -> Ground:
    return new_country()


@pytest.fixture(scope="module")
def changes(ground: Ground) -> list[Change]:
    return plant_changes(ground, COUNTS, DATES, np.random.default_rng(2))


def test_most_events_find_room_and_are_numbered(changes: list[Change]) -> None:
    assert len(changes) >= 0.8 * sum(COUNTS.values())
    assert len({change.event_id for change in changes}) == len(changes)
    assert all(change.event_id.startswith(change.kind.replace("_", "-") + "-0") for change in changes)
    kinds = [change.kind for change in changes]
    assert kinds == sorted(kinds, key=list(COUNTS).index)


def test_the_same_seed_plants_the_same(ground: Ground, changes: list[Change]) -> None:
    again = plant_changes(ground, COUNTS, DATES, np.random.default_rng(2))
    assert [(c.event_id, c.start, c.end, c.top, c.left) for c in again] == [
        (c.event_id, c.start, c.end, c.top, c.left) for c in changes
    ]
    for one, other in zip(again, changes, strict=True):
        for name in ("strength", "onset", "zone"):
            assert getattr(one, name).tobytes() == getattr(other, name).tobytes()
    third = plant_changes(ground, {"clear_cut": 3}, DATES, np.random.default_rng(3))
    assert [(c.top, c.left) for c in third] != [(c.top, c.left) for c in changes if c.kind == "clear_cut"]


def test_the_last_turn_leaves_time_for_what_is_built(changes: list[Change]) -> None:
    for change in changes:
        span, rest = (change.end - change.start).days, finish_days(change.kind, (change.end - change.start).days)
        latest = float(change.onset[change.strength > 0].max()) * span
        assert latest <= span - rest + 1e-3
        if change.kind in ("road", "urban", "solar_farm", "mine"):
            assert rest > 30
            assert latest > 0.5 * (span - rest)


def test_events_keep_their_distance(ground: Ground, changes: list[Change]) -> None:
    others = np.zeros((len(changes), *ground.shape), dtype=bool)
    for mask, change in zip(others, changes, strict=True):
        mask[change.window] = change.strength > 0
    assert not others[:, :MARGIN].any()
    assert not others[:, -MARGIN:].any()
    assert not others[:, :, :MARGIN].any()
    assert not others[:, :, -MARGIN:].any()
    for n, mask in enumerate(others):
        rest = np.delete(others, n, axis=0).any(axis=0)
        assert ndimage.distance_transform_edt(~mask)[rest].min() > CLEARANCE


def test_events_lie_inside_the_period_in_their_season(ground: Ground) -> None:
    biome = BIOMES["mediterranean"]
    ground = replace(ground, biome=biome.name)
    for seed in range(3):
        counts = {"clear_cut": 3, "wildfire": 2, "flood": 1, "mine": 1, "landslide": 1}
        for change in plant_changes(ground, counts, DATES, np.random.default_rng(seed)):
            assert change.start >= DATES[0] + timedelta(days=BORDER)
            assert change.end <= DATES[1] - timedelta(days=BORDER)
            shortest, longest = LENGTHS[change.kind]
            assert shortest <= (change.end - change.start).days <= longest
            dry = biome.dry[change.start.month - 1]
            assert dry >= 0.4 or change.kind != "wildfire"
            assert dry <= 0.65 or change.kind not in {"flood", "landslide"}


def test_events_of_a_class_are_spread_in_time(ground: Ground) -> None:
    found = plant_changes(ground, {"clear_cut": 4}, DATES, np.random.default_rng(1))
    starts = [change.start for change in found]
    assert len(starts) == 4
    assert starts == sorted(starts)
    assert (starts[-1] - starts[0]).days > 365


@pytest.mark.parametrize("name", BIOMES)
def test_every_class_has_a_season(name: str) -> None:
    for kind in MAKERS:
        weights = month_weights(kind, BIOMES[name])
        assert weights.shape == (12,)
        assert weights.max() > 0
        assert weights.min() >= 0
    assert month_weights("wildfire", BIOMES[name])[int(np.argmax(BIOMES[name].dry))] > 0


def test_one_event_without_room_does_not_end_its_class(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    maker, calls = MAKERS["clear_cut"], iter(range(10_000))
    monkeypatch.setitem(MAKERS, "clear_cut", lambda *given: maker(*given) if next(calls) >= PROPOSALS else None)
    found = plant_changes(ground, {"clear_cut": 3}, DATES, np.random.default_rng(1))
    assert [change.event_id for change in found] == ["clear-cut-02", "clear-cut-03"]


def test_a_short_period_shortens_long_events(ground: Ground) -> None:
    dates = date(2021, 1, 1), date(2021, 12, 31)
    for change in plant_changes(ground, {"mine": 1, "solar_farm": 1}, dates, np.random.default_rng(1)):
        assert change.start >= dates[0] + timedelta(days=BORDER)
        assert change.end <= dates[1] - timedelta(days=BORDER)


def test_wrong_classes_and_periods_are_refused(ground: Ground) -> None:
    with pytest.raises(DataError, match="eruption"):
        plant_changes(ground, {"eruption": 1}, DATES, np.random.default_rng(0))
    with pytest.raises(DataError, match="90 days"):
        plant_changes(ground, {"road": 1}, (date(2021, 1, 1), date(2021, 4, 1)), np.random.default_rng(0))


@pytest.mark.parametrize("name", BIOMES)
@pytest.mark.parametrize("total", [0, 3, 12, 55, 200])
def test_counts_sum_to_the_total(name: str, total: int) -> None:
    biome = BIOMES[name]
    counts = new_counts(biome, total)
    assert sum(counts.values()) == total
    assert set(counts) == {kind for kind, often in biome.events.items() if often > 0}
    whole = sum(biome.events.values())
    if total >= len(counts):
        assert min(counts.values()) >= 1
    if total == 200:
        assert all(abs(count - total * biome.events[kind] / whole) <= 2 for kind, count in counts.items())


def test_outlines_are_valid_and_cover_the_strong_pixels(changes: list[Change]) -> None:
    west, north = 500_000.0, 4_200_000.0
    for change in changes:
        shape = outline(change, west, north)
        assert shape.is_valid
        assert isinstance(shape, shapely.Polygon | shapely.MultiPolygon)
        rows, cols = np.nonzero(change.strength > 0.5)
        x, y = west + 10 * (change.left + cols + 0.5), north - 10 * (change.top + rows + 0.5)
        assert shapely.contains_xy(shape, x, y).mean() > 0.98, change.event_id
        on = np.count_nonzero(change.strength > (0.5 if change.kind == "road" else 0)) * 100
        assert 0.9 * on < shape.area < (20 if change.kind == "logging" else 1.3) * on


def test_an_outline_of_logging_takes_in_the_trees_between_the_gaps(changes: list[Change]) -> None:
    logged = [change for change in changes if change.kind == "logging"]
    assert logged
    for change in logged:
        assert outline(change, 0, 0).area > 2.5 * 100 * np.count_nonzero(change.strength > 0)
