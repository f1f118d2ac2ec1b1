"""The mixture is scikit-learn's, less its luck, and labels the memory; AUROC is what counting gives."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from encoder.pretraining.auroc import auroc, average_precision
from encoder.pretraining.memory import FIGURES, ChangeMemory, change_distances
from encoder.pretraining.mixture import Mixture, fit_mixture
from stac.errors import DataError

Values = NDArray[np.float64]

# Made with scikit-learn 1.9.1 and NumPy 2.4.6 from x = _values(name), p being either group of its best 2-means, so:
# published is GaussianMixture(2, means_init=[[p.mean()] …], weights_init=[p.size / x.size …], precisions_init=[[[1 /
# (p.var() + 1e-6)]] …]).fit(x[:, None]); settled is the same with tol=1e-10, max_iter=20000; lowest and highest are of
# GaussianMixture(2, random_state=seed).fit(x[:, None]) over the seeds 0 to 19. In a row, ordered by mean: means_ (2),
# square roots of covariances_ (2), weights_ (2), n_iter_.
SKLEARN = {
    "ratio": {
        "published": (1.000464094, 1.420166196, 0.120783466, 0.182912067, 0.807576269, 0.192423731, 3),
        "settled": (1.001040044, 1.418830282, 0.121448276, 0.185480505, 0.808074274, 0.191925726, 68),
        "lowest": (1.000276, 1.418942, 0.120662, 0.182766, 0.80665, 0.192193, 3),
        "highest": (1.000511, 1.420472, 0.120814, 0.183496, 0.807807, 0.19335, 3),
    },
    "lognormal": {
        "published": (0.908373706, 1.235874629, 0.171141195, 0.258415655, 0.623088383, 0.376911617, 7),
        "settled": (0.933513533, 1.237181288, 0.184490683, 0.280130574, 0.676293995, 0.323706005, 378),
        "lowest": (0.906498, 1.231824, 0.17016, 0.258394, 0.614803, 0.375121, 7),
        "highest": (0.90878, 1.23676, 0.171354, 0.258517, 0.624879, 0.385197, 7),
    },
    "few": {
        "published": (0.952104163, 2.074188285, 0.141019287, 0.184347913, 0.69999764, 0.30000236, 2),
        "settled": (0.952104163, 2.074188285, 0.141019287, 0.184347913, 0.69999764, 0.30000236, 3),
        "lowest": (0.952104, 2.074188, 0.141019, 0.184348, 0.699998, 0.300002, 2),
        "highest": (0.952104, 2.074188, 0.141019, 0.184348, 0.699998, 0.300002, 2),
    },
    "tail": {
        "published": (0.994594822, 1.009321385, 0.674026423, 0.197677977, 0.17952355, 0.82047645, 19),
        "settled": (0.995512748, 1.008033622, 0.815202414, 0.216165615, 0.10829931, 0.89170069, 85),
        "lowest": (0.994568, 1.009308, 0.665124, 0.196256, 0.178435, 0.814041, 17),
        "highest": (0.994758, 1.009401, 0.675575, 0.197922, 0.185959, 0.821565, 19),
    },
}


def _values(name: str) -> Values:
    """Numbers that the constants above were fitted to."""
    rng = np.random.default_rng({"ratio": 0, "lognormal": 2, "few": 3, "tail": 4}[name])
    match name:
        case "ratio":
            return np.concatenate([rng.normal(1.0, 0.12, 8000), rng.normal(1.4, 0.2, 2000)])
        case "lognormal":
            return np.exp(rng.normal(0, 0.25, 5000))
        case "few":
            return np.concatenate([rng.normal(1.0, 0.1, 7), rng.normal(2, 0.1, 3)])
        case _:
            return 1 + rng.standard_t(3, 4000) * 0.2


def _numbers(mixture: Mixture) -> tuple[float, ...]:
    return (*mixture.means, *mixture.stds, *mixture.weights, mixture.rounds)


@pytest.mark.parametrize("name", SKLEARN)
def test_it_is_what_scikit_learn_finds_from_the_same_start(name: str) -> None:
    mixture = fit_mixture(_values(name))
    assert mixture.converged
    assert _numbers(mixture) == pytest.approx(SKLEARN[name]["published"], rel=1e-6)


@pytest.mark.parametrize("name", SKLEARN)
def test_it_settles_where_scikit_learn_settles(name: str) -> None:
    mixture = fit_mixture(_values(name), tolerance=1e-10, rounds=20_000)
    assert _numbers(mixture)[:6] == pytest.approx(SKLEARN[name]["settled"][:6], rel=1e-4)


@pytest.mark.parametrize("name", SKLEARN)
def test_it_is_one_of_what_scikit_learn_finds_from_random_starts(name: str) -> None:
    found = np.array(_numbers(fit_mixture(_values(name))))
    assert np.all(found >= np.array(SKLEARN[name]["lowest"]) * (1 - 1e-3))
    assert np.all(found <= np.array(SKLEARN[name]["highest"]) * (1 + 1e-3))


def test_it_finds_the_groups_of_a_full_data_set() -> None:
    rng = np.random.default_rng(7)
    values = np.concatenate([rng.normal(1.0, 0.1, 320_000), rng.normal(1.6, 0.2, 80_000)]).astype(np.float32)
    mixture = fit_mixture(values)
    assert mixture.means == pytest.approx((1.0, 1.6), abs=0.01)
    assert mixture.stds == pytest.approx((0.1, 0.2), abs=0.01)
    assert mixture.weights == pytest.approx((0.8, 0.2), abs=0.01)
    assert mixture.separation == pytest.approx(0.6 / np.sqrt((0.1**2 + 0.2**2) / 2), abs=0.2)


def test_neither_order_nor_unit_matters() -> None:
    values = _values("ratio")
    plain = fit_mixture(values)
    shuffled = fit_mixture(np.random.default_rng(0).permutation(values))
    assert _numbers(shuffled) == pytest.approx(_numbers(plain), rel=1e-9)
    scaled = fit_mixture(50 * values - 7)
    assert scaled.means == pytest.approx(50 * np.array(plain.means) - 7, rel=1e-3)
    assert scaled.weights == pytest.approx(plain.weights, rel=1e-3)


def test_it_begins_with_the_best_of_all_cuts() -> None:
    rng = np.random.default_rng(3)
    for _ in range(50):
        values = rng.gamma(2.0, 1.0, rng.integers(4, 12)).round(1)
        if np.unique(values).size < 2:
            continue
        cuts = [(values <= cut, values > cut) for cut in np.unique(values)[:-1]]
        best = min(sum(float(values[rows].var() * rows.sum()) for rows in cut) for cut in cuts)
        try:
            start = fit_mixture(values, rounds=0)
        except DataError:
            continue  # a group of one
        within = sum(w * values.size * (s**2 - 1e-6) for w, s in zip(start.weights, start.stds, strict=True))
        assert within == pytest.approx(best, abs=1e-6)


@pytest.mark.parametrize("name", ["ratio", "lognormal", "few"])
def test_the_crossing_is_where_the_odds_turn(name: str) -> None:
    mixture = fit_mixture(_values(name))
    crossing = mixture.crossing()
    assert crossing is not None
    assert mixture.means[0] < crossing < mixture.means[1]
    around = mixture.log_odds(np.array([crossing - 1e-4, crossing, crossing + 1e-4]))
    assert around[0] < 0 < around[2]
    assert abs(around[1]) < 1e-9


def test_the_crossing_of_equal_deviations_lies_midway() -> None:
    assert Mixture((1.0, 2.0), (0.3, 0.3), (0.5, 0.5), 1, True).crossing() == pytest.approx(1.5)
    heavier = Mixture((1.0, 2.0), (0.3, 0.3), (0.8, 0.2), 1, True).crossing()
    assert heavier == pytest.approx(1.5 + 0.3**2 * np.log(4))


def test_there_is_no_crossing_where_one_group_outweighs_the_other() -> None:
    assert Mixture((1.0, 1.01), (0.7, 0.2), (0.2, 0.8), 1, True).crossing() is None


def test_odds_are_those_of_the_two_densities() -> None:
    mixture = Mixture((1.0, 1.5), (0.1, 0.4), (0.7, 0.3), 1, True)
    points = np.linspace(0.2, 3, 30)
    normal = [
        w / s * np.exp(-((points - m) ** 2) / (2 * s**2))
        for m, s, w in zip(mixture.means, mixture.stds, mixture.weights, strict=True)
    ]
    np.testing.assert_allclose(mixture.log_odds(points), np.log(normal[1]) - np.log(normal[0]), atol=1e-9)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([], "0 distinct values among 0"),
        ([1.2], "1 distinct value among 1"),
        ([1.2] * 9, "1 distinct value among 9"),
        ([1.0, 2.0, np.nan, np.inf], "2 of 4 values are not finite"),
        ([*np.linspace(0.8, 1.2, 50), 9000.0], "a component of 1 of 51 values"),
        (1.0 + np.linspace(0, 1e-4, 50), "two components around the same value, 1"),
    ],
)
def test_what_cannot_be_split_is_refused(values: list[float], words: str) -> None:
    with pytest.raises(DataError, match=words) as caught:
        fit_mixture(np.array(values))
    assert caught.value.do


def test_the_smaller_mean_stands_first_where_they_pass_each_other() -> None:
    rng = np.random.default_rng(154)
    values = np.concatenate([rng.normal(1, 0.05, 300), 1 + rng.standard_t(2, 200) * 0.3])
    mixture = fit_mixture(values[np.abs(values) < 20])
    assert mixture.means[0] < mixture.means[1]
    assert mixture.stds[0] > mixture.stds[1]  # the wide group, which began as the upper tail


def _pairs(scores: Values, truth: NDArray[np.bool_]) -> float:
    """AUROC by counting pairs."""
    above = scores[truth][:, None] - scores[~truth][None, :]
    return float(((above > 0) + 0.5 * (above == 0)).mean())


def _steps(scores: Values, truth: NDArray[np.bool_]) -> float:
    """Average precision by trying every threshold."""
    total, before = 0.0, 0.0
    for threshold in sorted(set(scores.tolist()), reverse=True):
        chosen = scores >= threshold
        recall = float(truth[chosen].sum() / truth.sum())
        total += (recall - before) * float(truth[chosen].mean())
        before = recall
    return total


@pytest.mark.parametrize("digits", [0, 1, 12])
@pytest.mark.parametrize("share", [0.05, 0.5])
def test_auroc_and_average_precision_are_what_counting_gives(digits: int, share: float) -> None:
    rng = np.random.default_rng(digits)
    truth = rng.random(200) < share
    scores = (rng.normal(size=200) + truth).round(digits)
    assert (np.unique(scores).size < 200) == (digits < 2)  # ties where they are meant
    assert auroc(scores, truth) == pytest.approx(_pairs(scores, truth), abs=1e-12)
    assert average_precision(scores, truth) == pytest.approx(_steps(scores, truth), abs=1e-12)


def test_auroc_of_a_score_that_knows_all_none_and_the_opposite() -> None:
    truth = np.array([False] * 30 + [True] * 10)
    scores = np.arange(40.0)
    assert (auroc(scores, truth), average_precision(scores, truth)) == (1.0, 1.0)
    assert auroc(-scores, truth) == 0.0
    assert auroc(np.zeros(40), truth) == 0.5
    assert average_precision(np.zeros(40), truth) == 0.25


@pytest.mark.parametrize(
    ("scores", "truth"),
    [([], []), ([1.0, 2.0], [True, True]), ([1.0, 2.0], [False, False]), ([1.0, np.nan], [True, False])],
)
def test_auroc_is_none_where_there_is_nothing_to_tell_apart(scores: list[float], truth: list[bool]) -> None:
    assert auroc(np.array(scores), np.array(truth, bool)) is None
    assert average_precision(np.array(scores), np.array(truth, bool)) is None


def test_auroc_takes_tensors_of_any_kind() -> None:
    scores = torch.tensor([0.5, 1.5, 1.0, 2.0], dtype=torch.bfloat16, requires_grad=True)
    assert auroc(scores, torch.tensor([0, 1, 1, 0])) == pytest.approx(0.5)
    assert auroc(scores, np.array([False, True, True, False])) == pytest.approx(0.5)


def _seen(ratios: Values, unseen: int = 0) -> ChangeMemory:
    """A memory that saw rows of these ratios once, long distances falling as ratios rise."""
    ratio = torch.as_tensor(ratios, dtype=torch.float32)
    memory = ChangeMemory(ratio.numel() + unseen)
    memory.update(torch.arange(ratio.numel()), torch.stack([-ratio, ratio, ratio], dim=1))
    return memory


def test_a_split_labels_what_is_nearer_to_the_larger_mean() -> None:
    rng = np.random.default_rng(5)
    memory = _seen(np.concatenate([rng.normal(1.0, 0.05, 70), rng.normal(2.0, 0.05, 30)]), unseen=4)
    split = memory.split()
    assert split.fitted
    assert memory.label.tolist() == [0] * 70 + [1] * 30 + [0] * 4
    assert (split.seen, split.share, split.low, split.reason) == (100, 0.3, 0.0, "")
    assert split.crossing == pytest.approx(1.5, abs=0.2)
    assert str(split).startswith("30.0% of 100 rows count as changed (ratio: unchanged 0.99")
    assert tuple(split.figures()) == FIGURES
    assert memory.change(torch.tensor([0, 99, 103])).tolist() == [False, True, False]


def test_a_wide_group_also_claims_what_lies_below_the_narrow_one() -> None:
    rng = np.random.default_rng(6)
    ratios = np.exp(np.concatenate([rng.normal(0, 0.1, 800), rng.normal(0.5, 0.4, 200)]))
    memory = _seen(ratios)
    split = memory.split()
    below = (memory.label.numpy() == 1) & (memory.values[:, 2].numpy() < split.figures()["mean_0"])
    assert split.low == below.mean() > 0


def test_logarithms_split_where_one_huge_ratio_spoils_the_raw_ones() -> None:
    rng = np.random.default_rng(8)
    ratios = np.concatenate([np.exp(rng.normal(0, 0.1, 700)), np.exp(rng.normal(1, 0.1, 300)), [9000.0]])
    memory = _seen(ratios)
    raw = memory.split()
    assert not raw.fitted
    assert raw.reason.startswith("change ratios: a component of 1 of 1001 values")
    assert str(raw).startswith("no rows count as changed")
    assert set(raw.figures().values()) == {0.0, 1001.0, None}
    ratios[-1] = 0.0  # has no logarithm
    memory = _seen(ratios[:-1])
    split = memory.split("log")
    assert memory.label.tolist() == [0] * 700 + [1] * 300
    assert split.crossing == pytest.approx(np.exp(0.5), rel=0.1)
    assert split.figures()["mean_1"] == pytest.approx(1.0, abs=0.05)
    assert np.isfinite(_seen(np.array([0.0, 0.0, 1.0, 1.1])).split("log").figures()["mean_0"] or np.nan)


def test_a_failed_split_takes_back_all_labels() -> None:
    memory = _seen(np.array([1.0, 1.0, 1.1, 2.0, 2.0, 2.1]))
    assert memory.split().share == 0.5
    memory.values.fill_(1.0)
    assert not memory.split().fitted
    assert memory.label.sum() == 0


def test_numbers_that_are_not_finite_never_enter_the_memory() -> None:
    memory = ChangeMemory(4)
    memory.update(torch.arange(3), torch.tensor([[1.0, 1, 1], [1, 1, torch.nan], [torch.inf, 1, 1]]))
    memory.update(torch.arange(2), torch.tensor([[torch.nan, 2.0, 2], [2, 2, 2]]))
    assert memory.seen.tolist() == [True, True, False, False]
    assert memory.values.tolist() == [[1, 1, 1], [2, 2, 2], [0, 0, 0], [0, 0, 0]]


def test_a_memory_is_judged_by_what_is_known() -> None:
    memory = _seen(np.array([1.0, 1.1, 2.0, 1.05, 2.1, 2.2]), unseen=2)
    memory.split()
    figures = memory.against(torch.tensor([0.0, 0.3, 0.5, 0.9]), least=0.1)
    truth, ratios = np.array([0, 0, 1, 1, 1, 1]), np.array([1.0, 1.1, 2.0, 1.05, 2.1, 2.2])
    assert figures["ratio_auroc"] == pytest.approx(_pairs(ratios, truth == 1))
    assert figures["long_auroc"] == pytest.approx(1 - _pairs(ratios, truth == 1))
    assert figures["ratio_ap"] == pytest.approx(_steps(ratios, truth == 1))
    assert (figures["precision"], figures["recall"]) == (1.0, 0.75)
    assert set(ChangeMemory(4).against(torch.ones(2)).values()) == {None}


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
def test_an_update_does_not_wait_for_the_device() -> None:
    memory = ChangeMemory(64, device="cuda")
    rows = torch.nn.functional.normalize(torch.randn(2, 16, 8, device="cuda"), dim=2)
    item = torch.arange(16)
    torch.cuda.set_sync_debug_mode("error")
    try:
        memory.update(item, change_distances(rows[0], rows[1]))
        memory.change(item)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert memory.seen.sum() == 16
