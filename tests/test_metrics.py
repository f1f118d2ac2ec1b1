from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from index.metrics import (
    ap_at_k,
    bootstrap,
    chance_ap,
    chance_precision,
    macro_mean,
    precision_at_k,
    recall,
)


def _row(text: str) -> np.ndarray:
    return np.array([[letter == "+" for letter in text]])


@pytest.mark.parametrize(
    ("ranking", "positives", "k", "precision", "by_min", "by_k"),
    [
        ("+++", 5, 3, 1, 1, 1),
        ("---", 5, 3, 0, 0, 0),
        ("++-", 2, 3, 2 / 3, 1, 2 / 3),  # nothing more could be found
        ("-+-+", 2, 4, 0.5, (1 / 2 + 2 / 4) / 2, (1 / 2 + 2 / 4) / 4),
        ("+-+-", 9, 4, 0.5, (1 + 2 / 3) / 4, (1 + 2 / 3) / 4),
        ("+", 1, 4, 0.25, 1, 0.25),  # a gallery smaller than K
        ("+--+", 2, 2, 0.5, 0.5, 0.5),  # what lies beyond K counts for nothing
    ],
)
def test_figures_worked_out_by_hand(ranking, positives, k, precision, by_min, by_k):
    relevant, count = _row(ranking), np.array([positives])
    assert precision_at_k(relevant, k) == pytest.approx([precision])
    assert ap_at_k(relevant, count, k) == pytest.approx([by_min])
    assert ap_at_k(relevant, count, k, "k") == pytest.approx([by_k])


def test_ap_prefers_positives_that_come_first():
    early, late = (ap_at_k(_row(text), np.array([2]), 4)[0] for text in ("++--", "--++"))
    assert early == 1
    assert late == pytest.approx((1 / 3 + 2 / 4) / 2)


def test_a_query_without_positives_has_no_ap():
    nothing = np.array([0])
    assert np.isnan(ap_at_k(_row("--"), nothing, 2)).all()
    assert np.isnan(chance_ap(np.zeros(1), np.zeros(1), np.array([5]), nothing, 2)).all()


@pytest.mark.parametrize("divide_by", ["min", "k"])
@pytest.mark.parametrize(("size", "positives", "k"), [(6, 2, 3), (5, 4, 5), (6, 1, 4), (4, 2, 9)])
def test_chance_is_the_mean_over_every_order(size, positives, k, divide_by):
    orders = np.array(list(permutations([i < positives for i in range(size)])))
    count, n = np.full(len(orders), positives), np.array([size])
    sums = np.array([float(positives)])
    expected = ap_at_k(orders, count, k, divide_by).mean()
    assert chance_ap(sums, sums, n, np.array([positives]), k, divide_by) == pytest.approx([expected])
    assert chance_precision(sums, n, k) == pytest.approx([precision_at_k(orders, k).mean()])


def test_chance_of_places_that_stand_for_one_of_their_rows():
    shares, k = np.array([1.0, 0.5, 0.25, 0.0, 0.0]), 3
    rng = np.random.default_rng(1)
    hits = rng.random((40_000, 5)) < rng.permuted(np.tile(shares, (40_000, 1)), axis=1)
    count, n = np.full(len(hits), 3), np.array([5])
    sums, squares = np.array([shares.sum()]), np.array([(shares**2).sum()])
    assert chance_ap(sums, squares, n, np.array([3]), k)[0] == pytest.approx(ap_at_k(hits, count, k).mean(), abs=0.01)
    assert chance_precision(sums, n, k)[0] == pytest.approx(precision_at_k(hits, k).mean(), abs=0.01)


def test_recall_is_against_exact_search():
    exact = np.array([[4, 2, 9], [1, 5, -1], [-1, -1, -1]])
    found = np.array([[2, 4, 7], [5, 1, -1], [3, -1, -1]])
    np.testing.assert_allclose(recall(found, exact), [2 / 3, 1, np.nan])


def test_each_class_counts_once():
    values, groups = np.array([1.0, 1, 1, 0]), np.array([0, 0, 0, 2])
    assert macro_mean(values, groups) == pytest.approx(0.5)
    assert bootstrap(values, groups).value == pytest.approx(0.5)


def test_the_interval_covers_as_often_as_it_says():
    rng = np.random.default_rng(0)
    covered = []
    for seed in range(200):
        drawn = bootstrap(rng.random(60), seed=seed, rounds=400)
        assert drawn.low < drawn.value < drawn.high
        covered.append(drawn.low <= 0.5 <= drawn.high)
    assert 0.88 <= np.mean(covered) <= 0.99


def test_the_interval_of_a_macro_mean_draws_within_classes():
    values, groups = np.array([0.0] * 5 + [1.0] * 5), np.repeat([0, 1], 5)
    alike = bootstrap(values, groups)
    assert (alike.low, alike.high) == (0.5, 0.5)  # no class varies
    mixed = bootstrap(values)
    assert mixed.low < 0.4 < 0.6 < mixed.high


def test_the_same_seed_gives_the_same_interval():
    values = np.random.default_rng(3).random(30)
    assert bootstrap(values, seed=1) == bootstrap(values, seed=1) != bootstrap(values, seed=2)
