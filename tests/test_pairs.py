from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from index.pairs import (
    YEAR_DAYS,
    YEARLY_TOLERANCE_DAYS,
    Pairs,
    change_ratios,
    change_vectors,
    clearest_of_month,
    pair_times,
)


def days(*offsets: int) -> np.ndarray:
    return np.datetime64("2020-01-01", "ms") + np.array(offsets, dtype="timedelta64[D]")


def test_consecutive_pairs_each_with_the_next() -> None:
    pairs = pair_times(days(0, 10, 50), "consecutive")
    assert pairs.before.tolist() == [0, 1]
    assert pairs.after.tolist() == [1, 2]


@pytest.mark.parametrize("pairing", ["consecutive", "yearly"])
@pytest.mark.parametrize("count", [0, 1])
def test_too_few_observations_make_no_pair(pairing: str, count: int) -> None:
    assert len(pair_times(days(*range(count)), pairing).before) == 0


def test_yearly_pairs_take_the_nearest_to_a_year_earlier() -> None:
    # 366 days after day 0; 350 after day 20 would be 15 days off, 366 after day 0 less than one.
    pairs = pair_times(days(0, 20, 366), "yearly")
    assert (pairs.before.tolist(), pairs.after.tolist()) == ([0], [2])


def test_yearly_pairs_stay_in_the_season() -> None:
    assert len(pair_times(days(0, 365 + 31), "yearly").before) == 0
    assert len(pair_times(days(0, 365 + 29), "yearly").before) == 1


@given(st.lists(st.integers(0, 2500), unique=True, max_size=40))
def test_yearly_pairs_agree_with_a_plain_loop(offsets: list[int]) -> None:
    time = days(*sorted(offsets))
    expected = []
    for later in range(len(time)):
        gaps = [abs((time[later] - t) / np.timedelta64(1, "D") - YEAR_DAYS) for t in time]
        if min(gaps) <= YEARLY_TOLERANCE_DAYS:
            expected.append((int(np.argmin(gaps)), later))
    pairs = pair_times(time, "yearly")
    assert list(zip(pairs.before.tolist(), pairs.after.tolist(), strict=True)) == expected
    assert all(before < after for before, after in expected)


def test_clearest_of_month_keeps_one_a_month_and_the_earlier_of_equals() -> None:
    rows = clearest_of_month(days(0, 5, 20, 40, 45), np.array([0.8, 0.9, 0.9, 1.0, 0.9], np.float32))
    assert rows.tolist() == [1, 3]


def test_change_vectors_are_after_minus_before_at_unit_length() -> None:
    embedding = np.array([[1.0, 1.0], [4.0, 5.0]], np.float16)
    unit, magnitude = change_vectors(embedding, Pairs(np.array([0]), np.array([1])))
    assert unit.tolist() == [[np.float32(0.6), np.float32(0.8)]]
    assert magnitude.tolist() == [5.0]


def test_no_change_gives_a_zero_vector() -> None:
    unit, magnitude = change_vectors(np.ones((2, 3), np.float16), Pairs(np.array([0]), np.array([1])))
    assert not unit.any()
    assert magnitude.tolist() == [0.0]


def test_change_ratio_is_the_step_over_the_median_short_term_distance() -> None:
    # Positions 0, 1, 3 on a line within a year: distances 1, 2, 3, median 2; then a step of 10.
    embedding = np.array([[0.0], [1.0], [3.0], [13.0]])
    time, pairs = days(0, 30, 60, 90), Pairs(np.array([2]), np.array([3]))
    _, magnitude = change_vectors(embedding, pairs)
    assert change_ratios(embedding, time, pairs, magnitude)[0] == pytest.approx(10 / 2, rel=1e-3)


def test_change_ratio_looks_after_the_change_where_nothing_lies_before() -> None:
    embedding = np.array([[0.0], [10.0], [10.5]])
    pairs = Pairs(np.array([0]), np.array([1]))
    ratio = change_ratios(embedding, days(0, 30, 60), pairs, np.array([10.0], np.float32))
    assert ratio[0] == pytest.approx(10 / 0.5, rel=1e-3)


def test_change_ratio_prefers_the_side_that_tells_enough() -> None:
    # Two observations lie before, nearly alike by chance; four after, 1 apart: median of 1, 1, 1, 2, 2, 3.
    embedding = np.array([[0.0], [0.01], [6.0], [7.0], [8.0], [9.0]])
    pairs = Pairs(np.array([1]), np.array([2]))
    ratio = change_ratios(embedding, days(0, 30, 60, 90, 120, 150), pairs, np.array([6.0], np.float32))
    assert ratio[0] == pytest.approx(6 / 1.5, rel=1e-3)


def test_change_ratio_passes_over_a_side_of_one_season() -> None:
    # Four observations within six weeks lie before, alike; six over eight months after, 2 apart: median of 15 pairs, 4.
    embedding = np.array([[0.0], [0.1], [0.2], [0.3], [20.0], [22.0], [24.0], [26.0], [28.0], [30.0]])
    time, pairs = days(0, 15, 30, 45, 60, 108, 156, 204, 252, 300), Pairs(np.array([3]), np.array([4]))
    ratio = change_ratios(embedding, time, pairs, np.array([20.0], np.float32))
    assert ratio[0] == pytest.approx(20 / 4, rel=1e-3)


def test_change_ratio_takes_the_earlier_side_where_both_tell_enough() -> None:
    embedding = np.array([[0.0], [1.0], [2.0], [3.0], [20.0], [26.0], [32.0], [38.0]])
    time, pairs = days(0, 60, 120, 180, 200, 260, 320, 400), Pairs(np.array([3]), np.array([4]))
    ratio = change_ratios(embedding, time, pairs, np.array([17.0], np.float32))
    assert ratio[0] == pytest.approx(17 / 1.5, rel=1e-3)


def test_change_ratio_of_a_short_store_rests_on_the_side_that_spans_more() -> None:
    embedding = np.array([[0.0], [0.1], [0.2], [0.3], [10.0], [13.0], [16.0], [19.0]])
    time, pairs = days(0, 5, 10, 15, 20, 40, 60, 80), Pairs(np.array([3]), np.array([4]))
    ratio = change_ratios(embedding, time, pairs, np.array([9.7], np.float32))
    assert ratio[0] == pytest.approx(9.7 / 4.5, rel=1e-3)


def test_change_ratio_forgets_what_is_older_than_a_year() -> None:
    embedding = np.array([[100.0], [0.0], [1.0], [5.0]])
    pairs = Pairs(np.array([2]), np.array([3]))
    ratio = change_ratios(embedding, days(0, 700, 730, 760), pairs, np.array([4.0], np.float32))
    assert ratio[0] == pytest.approx(4 / 1, rel=1e-3)


def test_change_ratio_of_two_observations_alone_is_unknown() -> None:
    pairs = Pairs(np.array([0]), np.array([1]))
    assert np.isnan(change_ratios(np.eye(2), days(0, 30), pairs, np.array([1.0], np.float32))).all()
