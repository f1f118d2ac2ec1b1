"""Smoke of active fires: where it rises and where it drifts."""

from datetime import date, timedelta

import numpy as np
import pytest

from stac.simulation.change import Change
from stac.simulation.shapes_burn import spread
from stac.simulation.smoke import burning, new_smoke

START, DAYS, SHAPE = date(2021, 7, 4), 6, (320, 320)


def fire(wind: float, kind: str = "wildfire") -> Change:
    """A fire on level ground in the middle of 320 × 320 pixels; wind in degrees towards which it blows."""
    side = 80
    turn = np.radians(wind - 90)  # from east towards south
    level = np.zeros((side, side), dtype=np.float32)
    time = spread(level, np.ones((side, side)), (40, 40), 900, (float(turn), 2.0))
    burnt = np.isfinite(time)
    onset = np.where(burnt, time / time[burnt].max(), 0).astype(np.float32)
    zone = np.zeros((side, side), np.uint8)
    return Change(
        "wildfire-01", kind, START, START + timedelta(days=DAYS), 120, 120, burnt * np.float32(1), onset, zone
    )


def day(number: int) -> date:
    return START + timedelta(days=number)


@pytest.mark.parametrize("wind", [0.0, 70.0, 180.0, 290.0])
def test_smoke_lies_downwind_of_the_wind_that_drove_the_fire(wind: float) -> None:
    down, right = -np.cos(np.radians(wind)), np.sin(np.radians(wind))
    y, x = np.mgrid[: SHAPE[0] // 2, : SHAPE[1] // 2] - 80.0
    for seed in range(4):
        smoke = new_smoke([fire(wind)], SHAPE, day(4), np.random.default_rng(seed))
        assert smoke is not None
        along = y * down + x * right
        assert smoke[along > 10].sum() > 20 * smoke[along < -15].sum()
        centre = np.average(y, weights=smoke), np.average(x, weights=smoke)
        apart = np.degrees(np.arctan2(centre[1], -centre[0])) - wind
        assert abs((apart + 180) % 360 - 180) < 32


def test_smoke_rises_from_the_head_of_the_active_front() -> None:
    one = fire(90.0)
    head = burning(one, day(4))[:, 1].max() + one.left
    smoke = new_smoke([one], SHAPE, day(4), np.random.default_rng(1))
    assert smoke is not None
    begins = 2 * int(np.flatnonzero(smoke.max(axis=0) > 0.2)[0])
    assert head - 40 < begins <= head


def test_there_is_smoke_only_while_a_fire_burns() -> None:
    rng = np.random.default_rng(2)
    assert new_smoke([fire(0.0)], SHAPE, day(-1), rng) is None
    assert new_smoke([fire(0.0)], SHAPE, day(DAYS + 1), rng) is None
    assert new_smoke([fire(0.0, "flood")], SHAPE, day(3), rng) is None
    assert rng.random() == np.random.default_rng(2).random()
    smoke = new_smoke([fire(0.0)], SHAPE, day(3), rng)
    assert smoke is not None
    assert smoke.shape == (160, 160)
    assert smoke.dtype == np.float32
    assert 0.3 < smoke.max() < 8


def test_the_wind_differs_a_little_between_passes() -> None:
    first, second = (new_smoke([fire(45.0)], SHAPE, day(3), np.random.default_rng(seed)) for seed in (5, 6))
    again = new_smoke([fire(45.0)], SHAPE, day(3), np.random.default_rng(5))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, second)
