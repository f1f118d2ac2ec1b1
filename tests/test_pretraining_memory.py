"""The change memory and its split against the same rules written out slowly, and against values worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import logsumexp
from scipy.stats import norm
from torch import Tensor
from torch.nn.functional import normalize

from encoder.pretraining.memory import ChangeMemory, change_distances
from encoder.pretraining.mixture import fit_mixture
from tests import pretraining_reference as twin


def unit(seed: int, *shape: int) -> Tensor:
    return normalize(torch.randn(*shape, generator=torch.Generator().manual_seed(seed)), dim=-1)


def measured(a: Tensor, b: Tensor, squared: bool = False) -> NDArray[np.float64]:
    """(B, 3), as the twin gives it."""
    return np.stack([part.double().numpy() for part in change_distances(a, b, squared)], axis=1)


@pytest.mark.parametrize("squared", [False, True])
@pytest.mark.parametrize("shape", [(2, 3), (14, 5), (16, 128)])
def test_distances_are_their_formula(squared: bool, shape: tuple[int, int]) -> None:
    a = unit(1, *shape)
    b = normalize(a + 0.05 * unit(2, *shape), dim=-1)  # a short distance is short
    wanted = twin.change_distances(a.double().numpy(), b.double().numpy(), squared)
    np.testing.assert_allclose(measured(a, b, squared), wanted, rtol=2e-5)


@pytest.mark.parametrize(("squared", "power"), [(False, 1), (True, 2)])
def test_distances_by_hand(squared: bool, power: int) -> None:
    """Corners of a square: sides of the root of 2, a diagonal of 2."""
    east, north, west = torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0]), torch.tensor([-1.0, 0.0])
    a = torch.stack([east, west, east, north])
    b = torch.stack([north, west, east, west])
    root = math.sqrt(2)
    long, short = [2, 2, root, root], [root, 0, 0, root]
    wanted = [(x**power, y**power, x**power / (y**power + 1e-4)) for x, y in zip(long, short, strict=True)]
    np.testing.assert_allclose(measured(a, b, squared), wanted, rtol=1e-6)
    np.testing.assert_allclose(twin.change_distances(a.numpy(), b.numpy(), squared), wanted, rtol=1e-6)


def test_neighbours_are_swapped_within_a_location() -> None:
    """A row that moves changes the long distance of its location only, and its own short one."""
    a, b = unit(3, 8, 6), unit(4, 8, 6)
    moved = a.clone()
    moved[4] = -a[4]
    before, after = measured(a, b), measured(moved, b)
    assert np.flatnonzero(before[:, 0] != after[:, 0]).tolist() == [4, 5]
    assert np.flatnonzero(before[:, 1] != after[:, 1]).tolist() == [4]
    np.testing.assert_array_equal(after[0::2, 0], after[1::2, 0])  # one distance, seen from both its ends


def test_no_gradient_flows_into_distances() -> None:
    a = unit(3, 4, 6).requires_grad_()
    assert not any(part.requires_grad for part in change_distances(a, unit(4, 4, 6)))


def test_memory_stores_the_first_value_and_smooths_later_ones() -> None:
    memory = ChangeMemory(6)
    assert not memory.values.any()
    assert not memory.seen.any()
    memory.update(torch.tensor([4, 1]), torch.tensor([[1.0, 2.0, 0.5], [3.0, 1.0, 3.0]]))
    assert memory.values[4].tolist() == [1.0, 2.0, 0.5]
    assert memory.values[1].tolist() == [3.0, 1.0, 3.0]
    memory.update(torch.tensor([1]), torch.tensor([[8.0, 1.0, 13.0]]))
    # By hand: (4 · 3 + 8) / 5, (4 · 1 + 1) / 5, (4 · 3 + 13) / 5: the ratio is smoothed itself, not made anew.
    np.testing.assert_allclose(memory.values[1], [4.0, 1.0, 5.0], rtol=1e-6)
    assert memory.values[4].tolist() == [1.0, 2.0, 0.5]
    assert not memory.values[[0, 2, 3, 5]].any()
    assert memory.seen.tolist() == [False, True, False, False, True, False]


def test_memory_over_many_steps_is_its_rule() -> None:
    noise = np.random.default_rng(5)
    memory, values, seen = ChangeMemory(14), np.zeros((14, 3)), np.zeros(14, dtype=bool)
    for _ in range(30):
        items = [int(item) for item in noise.permutation(12)[:6]]  # 12 and 13 are never seen
        new = noise.lognormal(size=(6, 3))
        memory.update(torch.tensor(items), torch.tensor(new))
        values, seen = twin.remember(values, seen, items, new)
    np.testing.assert_allclose(memory.values, values, rtol=1e-5)
    assert memory.seen.tolist() == seen.tolist()
    assert seen.sum() == 12


def test_memory_takes_what_the_distances_give() -> None:
    a, b = unit(6, 8, 5), unit(7, 8, 5)
    memory = ChangeMemory(8)
    memory.update(torch.arange(8), change_distances(a, b))
    wanted = twin.change_distances(a.double().numpy(), b.double().numpy())
    np.testing.assert_allclose(memory.values, wanted, rtol=1e-5)


def test_a_row_without_a_number_is_passed_over() -> None:
    memory = ChangeMemory(4)
    memory.update(torch.arange(2), torch.tensor([[1.0, 1.0, 1.0], [math.nan, 1.0, math.nan]]))
    memory.update(torch.arange(2), torch.tensor([[1.0, 1.0, math.inf], [2.0, 2.0, 1.0]]))
    assert memory.values[:2].tolist() == [[1.0, 1.0, 1.0], [2.0, 2.0, 1.0]]
    assert memory.seen.tolist() == [True, True, False, False]


def two_groups(seed: int, low: tuple[float, float], high: tuple[float, float], count: int = 240) -> NDArray[np.float64]:
    """A fifth of the numbers belongs to the higher group, as in the paper's figure 3."""
    noise = np.random.default_rng(seed)
    many = count - count // 5
    return np.concatenate([noise.normal(*low, size=many), noise.normal(*high, size=count // 5)])


def filled(ratios: NDArray[np.float64]) -> ChangeMemory:
    """A memory whose first rows have these ratios; one row more has never been seen."""
    memory = ChangeMemory(len(ratios) + 1)
    values = torch.ones(len(ratios), 3)
    values[:, 2] = torch.from_numpy(ratios)
    memory.update(torch.arange(len(ratios)), values)
    return memory


GROUPS = [((1.0, 0.1), (2.0, 0.1)), ((1.0, 0.1), (1.4, 0.2)), ((1.0, 0.08), (1.21, 0.3)), ((3.0, 0.5), (1.0, 0.1))]
"""Apart; touching; a wide group over a narrow one, as measured ratios look; the larger group above."""


@pytest.mark.parametrize(("low", "high"), GROUPS)
@pytest.mark.parametrize("seed", [1, 2])
def test_split_is_the_mixture_written_out(seed: int, low: tuple[float, float], high: tuple[float, float]) -> None:
    ratios = two_groups(seed, low, high).astype(np.float32).astype(np.float64)
    memory = filled(ratios)
    memory.split()
    wanted = twin.split(ratios.tolist())
    assert memory.label[:-1].tolist() == wanted
    assert memory.label[-1] == 0  # never seen
    assert 0 < sum(wanted) < len(wanted)
    found, slow = fit_mixture(ratios), twin.fit_mixture(ratios.tolist())
    order = sorted((0, 1), key=lambda component: slow.means[component])
    for component, twins in enumerate(order):
        assert found.means[component] == pytest.approx(slow.means[twins], rel=1e-9)
        assert found.weights[component] == pytest.approx(slow.weights[twins], rel=1e-9)
        assert found.stds[component] ** 2 == pytest.approx(slow.variances[twins], rel=1e-9)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_change_is_the_group_of_the_larger_mean(seed: int) -> None:
    """Two groups far apart, in either order and size: no row is in the wrong one."""
    few, many = np.full(60, 1.0), np.full(180, 4.0)
    noise = np.random.default_rng(seed).normal(0, 0.1, 240)
    for ratios in (np.concatenate([few, many]), np.concatenate([5.0 - few, 5.0 - many])):
        memory = filled(ratios + noise)
        memory.split()
        assert memory.label[:-1].tolist() == (ratios > 2.5).astype(int).tolist()
        assert memory.change(torch.arange(240)).tolist() == (ratios > 2.5).tolist()


def test_fit_reaches_the_likeliest_mixture() -> None:
    """Run to its end, EM stands where SciPy's simplex search ends."""
    x = two_groups(4, (1.0, 0.1), (1.6, 0.2))

    def loss(p: NDArray[np.float64]) -> float:
        logs = [
            norm.logpdf(x, p[0], math.exp(p[2])) - np.logaddexp(0, -p[4]),
            norm.logpdf(x, p[1], math.exp(p[3])) - np.logaddexp(0, p[4]),
        ]
        return -float(np.mean(logsumexp(logs, axis=0)))

    options = {"xatol": 1e-8, "fatol": 1e-12, "maxiter": 5000, "maxfev": 5000}
    best = minimize(loss, [1.0, 1.6, -2.0, -2.0, 1.0], method="Nelder-Mead", options=options)
    assert best.success
    found = fit_mixture(x, tolerance=1e-12, rounds=2000)
    slow = twin.fit_mixture(x.tolist(), tolerance=1e-12, steps=2000)
    assert found.means == pytest.approx(best.x[:2], rel=1e-3)
    assert found.stds == pytest.approx(np.exp(best.x[2:4]), rel=1e-3)
    assert slow.bound == pytest.approx(-best.fun, abs=1e-6)


def test_split_is_the_same_each_time_and_in_any_order() -> None:
    ratios = two_groups(8, (1.0, 0.1), (1.4, 0.2))
    order = np.random.default_rng(8).permutation(len(ratios))
    memories = [filled(ratios), filled(ratios), filled(ratios[order])]
    for memory in memories:
        memory.split()
    assert memories[0].label.equal(memories[1].label)
    assert memories[0].label[:-1][torch.from_numpy(order)].equal(memories[2].label[:-1])


def test_labels_start_and_are_made_anew() -> None:
    memory = filled(two_groups(9, (1.0, 0.1), (2.0, 0.1)))
    assert not memory.label.any()  # before the first split nothing has changed
    memory.split()
    first = memory.label.clone()
    assert first.any()
    values = memory.values[:-1].clone()
    values[:, 2] = 100 - 50 * values[:, 2]  # so strongly that after smoothing the order is turned round
    memory.update(torch.arange(len(values)), values)
    assert memory.label.equal(first)  # steps leave labels alone
    memory.split()
    assert memory.label[:-1].equal(1 - first[:-1])


DEGENERATE = {
    "nothing seen": np.empty(0),
    "one row": np.ones(1),
    "all equal": np.full(40, 1.25),
    "no numbers": np.full(40, math.nan),
}


@pytest.mark.parametrize("case", DEGENERATE)
def test_ratios_that_cannot_be_split_are_no_change(case: str) -> None:
    memory = filled(DEGENERATE[case])
    memory.label.fill_(1)
    split = memory.split()
    assert not split.fitted
    assert split.reason in str(split)
    assert len(split.reason) > 20
    assert not memory.label.any()


def test_one_number_that_is_none_does_not_stop_the_run() -> None:
    """Memory of an older run: `update` lets none in."""
    memory = filled(two_groups(9, (1.0, 0.1), (2.0, 0.1)))
    memory.values[3, 2] = math.nan
    split = memory.split()
    assert not split.fitted
    assert not memory.label.any()


def test_memory_goes_on_where_it_was_saved() -> None:
    memory = filled(two_groups(9, (1.0, 0.1), (2.0, 0.1)))
    memory.split()
    copy = ChangeMemory(len(memory.label))
    copy.load_state_dict({name: tensor.clone() for name, tensor in memory.state_dict().items()})
    for one in (memory, copy):
        one.update(torch.tensor([0, 7]), torch.tensor([[1.0, 2.0, 3.0], [1.0, 2.0, 5.0]]))
    for name, tensor in memory.state_dict().items():
        assert tensor.equal(copy.state_dict()[name])
