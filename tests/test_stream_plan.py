"""Series in two halves: their days, where their changes lie, and the truth between them."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from encoder.stream import SeriesBatch, SimulatedStream, StreamConfig
from encoder.stream_country import SLOT_DAYS, CountryConfig
from encoder.stream_plan import APART, GAP, OFFSET, WINDOW, Aim, Halves
from stac.errors import DataError

COUNTRY = CountryConfig(biomes=("temperate", "boreal"), ground_px=128, changes=10, years=6, seed=3)
CONFIG = StreamConfig(country=COUNTRY, chip_size=16, dates=10, plan="halves", batch=16, changed=0.7, seed=1)
REACH = WINDOW + SLOT_DAYS


@pytest.fixture(scope="module")
def stream() -> SimulatedStream:
    return SimulatedStream(CONFIG)


@pytest.fixture(scope="module")
def batches(stream: SimulatedStream) -> list[SeriesBatch]:
    return [stream.draw() for _ in range(8)]


def plan(stream: SimulatedStream, light: np.ndarray | None = None, dates: int = 10) -> Halves:
    """The stream's plan, or one under other light."""
    return Halves(stream.country, stream.almanac.light if light is None else light, dates)


def test_each_half_is_five_dates_of_one_year_four_years_apart(batches: list[SeriesBatch]) -> None:
    days = torch.cat([batch.days for batch in batches])
    temperate = days[torch.cat([batch.place[:, 0] for batch in batches]) == 0]
    assert len(temperate) > 10
    older, recent = temperate[:, :5], temperate[:, 5:]
    for half in (older, recent):
        steps = half.diff(dim=1)
        assert int(steps.min()) >= APART - REACH
        assert int(steps.max()) <= APART + REACH
        assert int((half[:, -1] - half[:, 0]).max()) <= 365
    assert int((recent - older - GAP).abs().max()) <= REACH
    assert len(older[:, 0].unique()) > 8  # locations have offsets of their own
    assert int(older[:, 0].max()) <= OFFSET + REACH


def test_days_are_light_and_rise_through_the_polar_night(stream: SimulatedStream, batches: list[SeriesBatch]) -> None:
    light = stream.almanac.light
    assert not light[COUNTRY.biomes.index("boreal")].all()
    for batch in batches:
        assert bool((batch.days.diff(dim=1) > 0).all())
        assert light[batch.place[:, :1].numpy(), (batch.days // SLOT_DAYS).numpy()].all()


def test_where_all_but_ten_days_are_dark_those_ten_are_taken(stream: SimulatedStream) -> None:
    light = np.zeros_like(stream.almanac.light)
    light[:, [3, 4, 5, 6, 7, 160, 161, 162, 163, 164]] = True
    none = np.full(4, -1)
    slots = plan(stream, light).draw(np.zeros(4, dtype=np.int64), Aim(none, none, none > 0), np.random.default_rng(0))
    assert (slots == np.flatnonzero(light[0])).all()


def test_a_change_lies_between_the_halves_where_that_is_wanted_and_can_be(stream: SimulatedStream) -> None:
    bright, rng = np.ones_like(stream.almanac.light), np.random.default_rng(1)
    start = rng.integers(0, 2_000, 2_000)
    end = start + rng.integers(1, 730, 2_000)
    ground = np.zeros(2_000, dtype=np.int64)
    apart = {}
    for wanted in (True, False):
        aim = Aim(start, end, np.full(2_000, wanted))
        days = plan(stream, bright).draw(ground, aim, rng) * SLOT_DAYS
        apart[wanted] = (days[:, 4] < start) & (end < days[:, 5])
    # with the offset that suits it best it lies between the last older and the first recent day
    can = np.maximum(end - GAP + SLOT_DAYS, 0) <= np.minimum(start - 4 * APART - WINDOW - SLOT_DAYS, OFFSET)
    assert 200 < can.sum() < 1_800
    assert apart[True][can].all()
    assert not apart[False][can].all()


def test_changes_that_can_lie_between_are_sought(stream: SimulatedStream) -> None:
    country, halves = stream.country, plan(stream)
    every = np.arange(len(country.kind))
    kept = halves.narrow(every)
    assert 0 < len(kept) < len(every)
    early = np.flatnonzero(country.start < 4 * APART)
    assert len(early) > 0
    np.testing.assert_array_equal(halves.narrow(early), early)  # none can: any will do
    assert not set(early) & set(kept)


def test_most_changes_lie_between_the_halves_but_not_all(batches: list[SeriesBatch]) -> None:
    inside = []
    for batch in batches:
        changed = batch.kind >= 0
        inside.append(((batch.days[:, 4] < batch.start) & (batch.end < batch.days[:, 5]))[changed])
    assert 0.6 < float(torch.cat(inside).float().mean()) < 0.98


def test_the_truth_between_is_what_the_halves_differ_by(batches: list[SeriesBatch]) -> None:
    seen = 0
    for batch in batches:
        assert batch.between is not None
        assert batch.between.shape == (CONFIG.batch,)
        assert batch.between.dtype == torch.float32
        far = batch.changed[:, 5:].mean(dim=1) - batch.changed[:, :5].mean(dim=1)
        torch.testing.assert_close(batch.between, far.abs())
        assert (batch.between[batch.kind < 0] == 0).all()
        apart = (batch.days[:, 4] < batch.start) & (batch.end < batch.days[:, 5]) & (batch.kind >= 0)
        seen += int((batch.between[apart] > 0.01).sum())
    assert seen > 10


def test_the_plan_any_tells_nothing_between() -> None:
    country = replace(COUNTRY, biomes=("temperate",), changes=1, years=1)
    batch = SimulatedStream(StreamConfig(country=country, chip_size=16, dates=1, batch=2)).draw()
    assert batch.between is None


def test_plans_that_do_not_fit_are_refused(stream: SimulatedStream) -> None:
    with pytest.raises(DataError, match="the plan 'thirds'"):
        StreamConfig(plan="thirds")  # type: ignore[arg-type]
    for dates in (0, 7, 12):
        with pytest.raises(DataError, match=f"{dates} dates in two halves"):
            StreamConfig(plan="halves", dates=dates)
    short = replace(COUNTRY, years=5)
    country = replace(stream.country, config=short, slots=182)
    with pytest.raises(DataError, match=r"two halves in 5 years.*set the country's years to 6"):
        SimulatedStream(replace(CONFIG, country=short), country=country)
