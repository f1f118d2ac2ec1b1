"""How much frozen features tell: k nearest neighbours, a linear probe, retrieval, and intervals.

Features are what an encoder's `embed` gives, one row an image; nothing of the encoder is trained. `standardize` takes
mean and deviation from the training rows alone: without it the features of large scale decide, which differ between
encoders by nature (reflectance, activations), not by merit. All is exact and deterministic, on the CPU, in torch.

This is the strict frozen probe. The published linear probe of CACo and SeCo lets batch norm's statistics drift to the
data and gives other figures: the two are not to be compared.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize
from torch import Tensor
from torch.nn import functional

from stac.errors import DataError, WeightsError

from .encoders import Encoder, open_encoder

Features = NDArray[np.float32]
Labels = NDArray[np.int64]

STRENGTHS = (1.0, 0.1, 0.01, 0.001, 1e-4, 1e-5)
"""assumed: L2 strengths that the linear probe tries, strongest first; powers of ten around 1 / N for N from 10 to
100,000 rows."""
HELD = 0.2
"""assumed: part of the training rows that chooses the strength."""
ROUNDS = 1000
"""Bootstrap resamples: Efron & Tibshirani, "An Introduction to the Bootstrap" (1993), ch. 14: about 1,000 or more."""
LEVEL = 0.95
"""Share of the resamples that lies inside an interval."""
STEPS = 200
"""assumed: L-BFGS steps at most, for each strength; the weakest stop there, which only regularises them more."""

_AT_ONCE = 1024


@dataclass(frozen=True)
class Score:
    """An accuracy with its percentile interval, from 0 to 1."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


@dataclass(frozen=True, eq=False)
class Probe:
    """What a linear probe gave."""

    predicted: Labels
    """(M,) class of each test row."""
    l2: float
    """The strength that was chosen."""
    held: float
    """Accuracy on the part of the training rows that chose it, 0 to 1."""


def open_frozen(
    name: str, there: Sequence[str], *, bands: Sequence[str] | None = None, device: str = "auto", seed: int = 0
) -> Encoder:
    """Open an encoder for what a data set has.

    Args:
        name: As `open_encoder` takes it.
        there: Canonical bands of the data set.
        bands: Bands to ask for, of encoders that take any; None: the encoder's own, or, where the data set lacks
            some, those of them that it has.
        device: As `open_encoder` takes it.
        seed: For parameters drawn at random.

    Returns:
        An encoder whose bands are all among `there`.

    Raises:
        WeightsError: It cannot be opened, or cannot do without a band that is not there.
    """
    if bands is None:
        encoder = open_encoder(name, device=device, seed=seed)
        if set(encoder.bands) <= set(there):
            return encoder
        bands = [band for band in encoder.bands if band in there]
        if not bands:
            raise WeightsError(
                f"{encoder.name} sees {' '.join(encoder.bands)} alone", f"some of {' '.join(there)}", "use other data"
            )
    return open_encoder(name, bands=bands, device=device, seed=seed)


def standardize(train: Features, *others: Features) -> list[Features]:
    """Features with mean 0 and deviation 1 over the training rows; what never varies there becomes 0.

    Args:
        train: float32 (N, D).
        others: float32 (M, D), brought to the same scale.

    Returns:
        The training rows, then the others, float32.
    """
    mean, std = train.mean(axis=0, dtype=np.float64), train.std(axis=0, dtype=np.float64)
    # A column that is constant but for rounding (of its own size, in float32) says nothing.
    varies = std > 1e-6 * np.maximum(np.abs(mean), 1e-30)
    factor = np.where(varies, 1 / np.where(varies, std, 1.0), 0.0)
    return [((part - mean) * factor).astype(np.float32) for part in (train, *others)]


def knn_predict(train: Features, labels: Labels, test: Features, k: Sequence[int]) -> dict[int, Labels]:
    """Classes by the vote of the k nearest training rows, exactly.

    Nearness is the cosine (Wu et al., "Unsupervised Feature Learning via Non-Parametric Instance Discrimination", CVPR
    2018, §3.4, with one vote each instead of weights). Of classes with as many votes, the one wins whose voters are
    nearer (greater sum of cosines). A row of zeros has the cosine 0 to all.

    Args:
        train: float32 (N, D); as they are, or from `standardize`.
        labels: int64 (N,) from 0.
        test: float32 (M, D).
        k: Numbers of neighbours, each at most N.

    Returns:
        k → int64 (M,).

    Raises:
        DataError: The arrays do not fit one another, or a k is not from 1 to N.
    """
    _check(train, labels, test)
    if not k or not all(1 <= n <= len(train) for n in k):
        raise DataError(f"k = {list(k)}", f"whole numbers from 1 to {len(train)}", "ask for fewer neighbours")
    bank, asked = (functional.normalize(torch.from_numpy(part), dim=1) for part in (train, test))
    truth, classes = torch.from_numpy(labels), int(labels.max()) + 1
    found: dict[int, list[Tensor]] = {n: [] for n in k}
    for part in torch.split(asked, _AT_ONCE):
        near, rows = (part @ bank.T).topk(max(k), dim=1)
        for n in k:
            votes = functional.one_hot(truth[rows[:, :n]], classes).float()
            nearer = (votes * near[:, :n, None]).sum(dim=1) / (4 * n)  # below half a vote between any two classes
            found[n].append((votes.sum(dim=1) + nearer).argmax(dim=1))
    return {n: torch.cat([torch.empty(0, dtype=torch.int64), *parts]).numpy() for n, parts in found.items()}


def linear_predict(
    train: Features, labels: Labels, test: Features, *, seed: int = 0, strengths: Sequence[float] = STRENGTHS
) -> Probe:
    """Multinomial logistic regression on standardised features, its L2 strength chosen on a part of the training rows.

    Minimises the mean cross-entropy + ½ · l2 · ‖weights‖² (biases are free) over the whole set by L-BFGS. A
    fifth of the rows of each class is held out to choose the strength, the strongest of those
    that do equally well; then all rows are fitted.

    Args:
        train: float32 (N, D), not standardised yet.
        labels: int64 (N,) from 0.
        test: float32 (M, D).
        seed: Of the part that is held out.
        strengths: l2 to try.

    Raises:
        DataError: The arrays do not fit one another, or there are fewer than two classes.
    """
    _check(train, labels, test)
    classes = int(labels.max()) + 1
    if len(np.unique(labels)) < 2:
        raise DataError("training rows of one class", "two classes or more", "take more rows")
    held = _hold_out(labels, seed)
    fit, choose = (torch.from_numpy(part).double() for part in standardize(train[~held], train[held]))
    truth, wanted = torch.from_numpy(labels[~held]), torch.from_numpy(labels[held])
    best, chosen = -1.0, 0.0
    weights = none = torch.zeros(classes, train.shape[1] + 1, dtype=torch.float64)
    for l2 in sorted(strengths, reverse=True):
        weights = _fit(fit, truth, l2, weights)
        right = float((_logits(choose, weights).argmax(dim=1) == wanted).float().mean())
        if right > best:
            best, chosen = right, l2
    whole, asked = (torch.from_numpy(part).double() for part in standardize(train, test))
    weights = _fit(whole, torch.from_numpy(labels), chosen, none)
    return Probe(_logits(asked, weights).argmax(dim=1).numpy(), chosen, best)


def accuracy(right: NDArray[np.bool_], *, seed: int = 0, rounds: int = ROUNDS) -> Score:
    """Share of test rows that are right, with a bootstrap interval over them.

    To draw n rows with replacement from n of which a share p is right is to draw from the binomial of n and p: so the
    resamples are drawn (exactly the percentile bootstrap of Efron & Tibshirani, 1993, ch. 13).

    Args:
        right: (M,) whether each test row is right, at least one.
        seed: Of the drawing.
        rounds: Resamples.
    """
    share = float(right.mean())
    drawn = np.random.default_rng(seed).binomial(len(right), share, rounds) / len(right)
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Score(share, float(low), float(high))


def class_accuracy(right: NDArray[np.bool_], labels: Labels, *, seed: int = 0, rounds: int = ROUNDS) -> Score:
    """Mean over classes of the share that is right, with a bootstrap interval over the rows of each class.

    Args:
        right: (M,) whether each test row is right, at least one.
        labels: int64 (M,).
        seed: Of the drawing.
        rounds: Resamples.
    """
    rng = np.random.default_rng(seed)
    shares, drawn = [], np.zeros(rounds)
    for number in np.unique(labels):
        own = right[labels == number]
        shares.append(float(own.mean()))
        drawn += rng.binomial(len(own), shares[-1], rounds) / len(own)
    low, high = np.quantile(drawn / len(shares), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Score(float(np.mean(shares)), float(low), float(high))


def retrieve(features: Features, labels: Labels, k: Sequence[int]) -> tuple[NDArray[np.float64], dict[int, Features]]:
    """Every row asks all the others by cosine: average precision over the whole ranking, and precision@K.

    AP = (1 / R) Σ over the R positives (other rows of the query's class) of the precision at the positive's rank: mean
    over queries, it is mAP. Precision@20 and @100 are what CACo's notebook shows of EuroSAT, there for 50 queries.

    Args:
        features: float32 (N, D).
        labels: int64 (N,).
        k: Ranks that count, each below N.

    Returns:
        AP (N,), NaN where no other row has the query's class; K → precision@K, float32 (N,).

    Raises:
        DataError: The arrays do not fit one another, or a K is not from 1 to N - 1.
    """
    _check(features, labels, features)
    if not all(1 <= n < len(features) for n in k):
        raise DataError(f"k = {list(k)}", f"whole numbers from 1 to {len(features) - 1}", "ask for fewer ranks")
    unit, truth = functional.normalize(torch.from_numpy(features), dim=1), torch.from_numpy(labels)
    rank = torch.arange(1, len(features), dtype=torch.float64)
    average, precision = [], {n: [torch.empty(0)] for n in k}
    for start in range(0, len(features), _AT_ONCE):
        near = unit[start : start + _AT_ONCE] @ unit.T
        own = torch.arange(start, start + len(near))
        near[own - start, own] = -torch.inf
        order = near.argsort(dim=1, descending=True, stable=True)[:, :-1]
        relevant = (truth[order] == truth[own][:, None]).double()
        average.append((relevant.cumsum(dim=1) / rank * relevant).sum(dim=1) / relevant.sum(dim=1))
        for n in k:
            precision[n].append(relevant[:, :n].mean(dim=1).float())
    return torch.cat(average).numpy(), {n: torch.cat(parts).numpy() for n, parts in precision.items()}


def _check(train: Features, labels: Labels, test: Features) -> None:
    """Refuse arrays that do not fit one another, or hold what is no number."""
    if train.ndim != 2 or test.ndim != 2 or train.shape[1] != test.shape[1] or labels.shape != train.shape[:1]:
        raise DataError(
            f"features {train.shape} and {test.shape} with labels {labels.shape}",
            "(N, D), (M, D) and (N,)",
            "give rows of one encoder, and a label for each training row",
        )
    if not len(train) or not (np.isfinite(train).all() and np.isfinite(test).all()) or labels.min() < 0:
        raise DataError(
            "no training rows, features that are not finite, or labels below 0",
            "finite features of at least one row, labels from 0",
            "check the encoder and the labels",
        )


def _hold_out(labels: Labels, seed: int) -> NDArray[np.bool_]:
    """Which rows choose the strength: a part of each class, none of a class of one row."""
    rng, held = np.random.default_rng(seed), np.zeros(len(labels), bool)
    for number in np.unique(labels):
        own = np.flatnonzero(labels == number)
        count = min(max(1, round(HELD * len(own))), len(own) - 1)
        held[rng.permutation(own)[:count]] = True
    if not held.any():
        raise DataError("one training row of each class", "two rows or more of a class", "take more rows")
    return held


def _logits(features: Tensor, weights: Tensor) -> Tensor:
    """(N, G) of features (N, D) and weights (G, D + 1), the bias last."""
    return functional.linear(features, weights[:, :-1], weights[:, -1])


def _fit(features: Tensor, labels: Tensor, l2: float, start: Tensor) -> Tensor:
    """Weights float64 (G, D + 1) that minimise the regularised cross-entropy, from a start.

    SciPy's L-BFGS-B: torch's own first imports its compiler, which takes longer than most fits.
    """
    rows = torch.arange(len(labels))

    def loss(flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        weights = torch.from_numpy(flat).view_as(start)
        chances = functional.log_softmax(_logits(features, weights), dim=1)
        value = l2 / 2 * weights[:, :-1].square().sum() - chances[rows, labels].mean()
        wrong = chances.exp_()
        wrong[rows, labels] -= 1
        wrong /= len(labels)
        slope = torch.cat([wrong.T @ features + l2 * weights[:, :-1], wrong.sum(dim=0)[:, None]], dim=1)
        return float(value), slope.numpy().ravel()

    options = {"maxiter": STEPS, "gtol": 1e-6, "ftol": 1e-10}
    found = minimize(loss, start.numpy().ravel(), jac=True, method="L-BFGS-B", options=options)
    return torch.from_numpy(found.x).view_as(start)
