"""Probes of frozen features: exact against plain NumPy; they tell where there is something to tell, and only there."""

from __future__ import annotations

import numpy as np
import pytest

from encoder.per_pixel import PixelsEncoder
from encoder.probe import (
    accuracy,
    class_accuracy,
    knn_predict,
    linear_predict,
    open_frozen,
    retrieve,
    standardize,
)
from stac.errors import DataError, WeightsError


def clouds(count: int, apart: float, seed: int, dim: int = 8, classes: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """Features around one centre a class."""
    centres = np.random.default_rng(0).normal(size=(classes, dim)) * apart
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, count)
    return (centres[labels] + rng.normal(size=(count, dim))).astype(np.float32), labels.astype(np.int64)


def test_neighbours_are_those_of_plain_numpy() -> None:
    train, labels = clouds(300, 0.3, 1)
    test, _ = clouds(1100, 0.3, 2)  # more than one part
    found = knn_predict(train, labels, test, (1, 7))
    cosine = (test @ train.T) / np.linalg.norm(test, axis=1)[:, None] / np.linalg.norm(train, axis=1)
    order = np.argsort(-cosine, axis=1)
    assert np.array_equal(found[1], labels[order[:, 0]])
    for row, near in enumerate(order[:, :7]):
        votes = np.bincount(labels[near], minlength=4)
        sums = np.bincount(labels[near], cosine[row, near], minlength=4)
        most = [c for c in range(4) if votes[c] == votes.max()]
        assert found[7][row] == max(most, key=lambda c: sums[c])


def test_a_tie_goes_to_the_nearer_voters() -> None:
    train = np.array([[1, 0.1], [1, 0.9], [1, -0.2], [1, -0.3]], np.float32)
    labels = np.array([0, 0, 1, 1], np.int64)
    assert knn_predict(train, labels, np.array([[1, 0]], np.float32), (4,))[4].tolist() == [1]


def test_neighbours_without_test_rows() -> None:
    train, labels = clouds(5, 1, 0)
    assert knn_predict(train, labels, train[:0], (1,))[1].shape == (0,)


@pytest.mark.parametrize(("apart", "low", "high"), [(2.0, 0.95, 1.0), (0.0, 0.15, 0.35)])
def test_both_tell_classes_apart_only_where_they_differ(apart: float, low: float, high: float) -> None:
    (train, labels), (test, truth) = clouds(800, apart, 1), clouds(800, apart, 2)
    probe = linear_predict(train, labels, test)
    assert low <= (probe.predicted == truth).mean() <= high
    assert low <= (knn_predict(train, labels, test, (20,))[20] == truth).mean() <= high


def test_the_linear_probe_does_not_depend_on_the_features_scale_or_level() -> None:
    (train, labels), (test, _) = clouds(300, 0.7, 1), clouds(200, 0.7, 2)
    scale = np.array([1e-3, 1, 1e3, 1, 10, 0.1, 5, 1], np.float32)
    probe = linear_predict(train, labels, test)
    other = linear_predict(train * scale + 2 * scale, labels, test * scale + 2 * scale)
    assert (probe.predicted == other.predicted).mean() > 0.98
    assert probe.l2 == other.l2


def test_the_linear_probe_reaches_the_minimum_and_is_the_same_twice() -> None:
    (train, labels), (test, truth) = clouds(400, 0.5, 1), clouds(400, 0.5, 2)
    one, two = (linear_predict(train, labels, test, strengths=(0.01,)) for _ in range(2))
    assert np.array_equal(one.predicted, two.predicted)
    # Its twin: plain gradient descent in float64 to the same minimum.
    x, y = (part.astype(np.float64) for part in standardize(train, test))
    weights, bias, onehot = np.zeros((4, 8)), np.zeros(4), np.eye(4)[labels]
    for _ in range(3000):
        logits = x @ weights.T + bias
        share = np.exp(logits - logits.max(axis=1, keepdims=True))
        wrong = share / share.sum(axis=1, keepdims=True) - onehot
        weights -= 0.5 * (wrong.T @ x / len(x) + 0.01 * weights)
        bias -= 0.5 * wrong.mean(axis=0)
    assert (one.predicted == (y @ weights.T + bias).argmax(axis=1)).mean() > 0.995
    assert (one.predicted == truth).mean() > 0.5


def test_a_strong_penalty_is_chosen_where_there_is_little_to_learn_from() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 200)
    train = rng.normal(size=(200, 300)).astype(np.float32)
    train[:, :3] += 1.2 * labels[:, None]
    assert linear_predict(train, labels, train[:1]).l2 > 1e-4


def test_of_strengths_that_do_equally_well_the_strongest_is_chosen() -> None:
    train, labels = clouds(200, 9.0, 1)
    probe = linear_predict(train, labels, train, strengths=(0.001, 0.1, 0.01))
    assert (probe.l2, probe.held) == (0.1, 1.0)


def test_what_never_varies_says_nothing() -> None:
    train = np.array([[1, 1e6 + 0.0625], [2, 1e6]], np.float32)
    train[:, 1] = 0.3
    one, other = standardize(train, np.array([[1.5, 9]], np.float32))
    assert one.tolist() == [[-1, 0], [1, 0]]
    assert other.tolist() == [[0, 0]]


def test_the_interval_is_that_of_the_bootstrap_over_rows() -> None:
    right = np.random.default_rng(0).random(400) < 0.7
    found = accuracy(right)
    rng = np.random.default_rng(1)
    drawn = [right[rng.integers(0, 400, 400)].mean() for _ in range(4000)]
    assert found.value == right.mean()
    assert [found.low, found.high] == pytest.approx(np.quantile(drawn, [0.025, 0.975]), abs=0.012)
    assert accuracy(right[:50]).high - accuracy(right[:50]).low > 2 * (found.high - found.low)


def test_each_class_counts_once_in_the_mean_over_classes() -> None:
    labels = np.array([0] * 90 + [1] * 10)
    found = class_accuracy(labels == 0, labels)
    assert (found.value, found.low, found.high) == (0.5, 0.5, 0.5)
    assert accuracy(labels == 0).value == 0.9


def test_retrieval_is_that_of_plain_numpy() -> None:
    features, labels = clouds(60, 0.4, 3)
    average, precision = retrieve(features, labels, (5,))
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    for row in range(60):
        order = [other for other in np.argsort(-(unit @ unit[row]), kind="stable") if other != row]
        relevant = labels[order] == labels[row]
        expected = np.mean([relevant[: rank + 1].mean() for rank in np.flatnonzero(relevant)])
        assert average[row] == pytest.approx(expected, abs=1e-6)
        assert precision[5][row] == pytest.approx(relevant[:5].mean())


def test_one_that_is_alone_in_its_class_has_no_average_precision() -> None:
    features, _ = clouds(4, 1, 0)
    assert np.isnan(retrieve(features, np.array([0, 0, 0, 1]), (1,))[0]).tolist() == [False, False, False, True]


@pytest.mark.parametrize(
    ("train", "labels", "test"),
    [
        (np.ones((3, 2), np.float32), np.zeros(2, np.int64), np.ones((1, 2), np.float32)),
        (np.ones((3, 2), np.float32), np.zeros(3, np.int64), np.ones((1, 3), np.float32)),
        (np.full((3, 2), np.nan, np.float32), np.zeros(3, np.int64), np.ones((1, 2), np.float32)),
        (np.ones((3, 2), np.float32), np.array([0, -1, 0]), np.ones((1, 2), np.float32)),
        (np.ones((3, 2), np.float32), np.zeros(3, np.int64), np.ones((1, 2), np.float32)),  # one class
        (np.ones((2, 2), np.float32), np.array([0, 1]), np.ones((1, 2), np.float32)),  # one row of each
    ],
)
def test_rows_that_tell_nothing_are_refused(train: np.ndarray, labels: np.ndarray, test: np.ndarray) -> None:
    with pytest.raises(DataError, match=r"take more rows|a label for each|check the encoder"):
        linear_predict(train, labels, test)


@pytest.mark.parametrize("k", [(), (0,), (6,)])
def test_more_neighbours_than_rows_are_refused(k: tuple[int, ...]) -> None:
    train, labels = clouds(5, 1, 0)
    with pytest.raises(DataError, match="ask for fewer neighbours"):
        knn_predict(train, labels, train, k)
    with pytest.raises(DataError, match="ask for fewer ranks"):
        retrieve(train, labels, (5,))


def test_an_encoder_is_opened_for_the_bands_that_are_there(monkeypatch: pytest.MonkeyPatch) -> None:
    there = ("B02", "B03", "B04", "B08", "B12")
    assert open_frozen("pixels", there, bands=there[:2]).bands == there[:2]
    assert open_frozen("pixels", (*there, "B11")).bands == PixelsEncoder().bands
    assert open_frozen("pixels", there).bands == there  # its own, but for B11

    def only_own(name: str, *, bands: list[str] | None = None, **more: object) -> object:
        if bands is not None:
            raise WeightsError("made for three", "these", "leave the bands out")
        return PixelsEncoder(("B04", "B03", "B02"))

    monkeypatch.setattr("encoder.probe.open_encoder", only_own)
    assert open_frozen("three.safetensors", there).bands == ("B04", "B03", "B02")
    with pytest.raises(WeightsError, match="made for three"):
        open_frozen("three.safetensors", ("B04", "B08"))
    with pytest.raises(WeightsError, match=r"sees B04 B03 B02 alone .expected some of B11.: use other data"):
        open_frozen("three.safetensors", ("B11",))
