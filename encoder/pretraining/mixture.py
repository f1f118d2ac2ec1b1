"""Two normal distributions fitted to numbers on a line, by expectation-maximization in float64.

What scikit-learn's `GaussianMixture(2)` does with its defaults (https://scikit-learn.org/stable/modules/generated/
sklearn.mixture.GaussianMixture.html), which CACo's code splits its change ratios with (utils/histogram_callback.py of
https://github.com/utkarshmall13/CACo/blob/7c4fbc8/src), without drawing lots: its k-means starts at random points and
its labels differ a little from call to call, since EM ends before it has settled; on a line the best split of k-means
is found outright. NumPy, so that the answer is the same whatever device the numbers came from.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stac.errors import DataError

TOLERANCE = 1e-3
"""EM ends when the mean log-likelihood moves by less; scikit-learn's `tol`."""

ROUNDS = 100
"""Rounds of EM at most; scikit-learn's `max_iter`."""

FLOOR = 1e-6
"""Added to each variance; scikit-learn's `reg_covar`."""

LEAST = 2.0
"""assumed: a component of fewer values than this has closed in on a single value."""


@dataclass(frozen=True)
class Mixture:
    """Two weighted normal distributions, the one with the smaller mean first. In the units of the values."""

    means: tuple[float, float]
    stds: tuple[float, float]
    """Standard deviations."""
    weights: tuple[float, float]
    """Shares of the values, 1 together."""
    rounds: int
    """Rounds of EM that were run."""
    converged: bool
    """False where `ROUNDS` were too few."""

    def log_odds(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Natural logarithm of (density of the second : density of the first), weights included, at values (n,)."""
        (low, high), (narrow, wide) = self.means, self.stds
        return self._level() + 0.5 * ((values - low) / narrow) ** 2 - 0.5 * ((values - high) / wide) ** 2

    def crossing(self) -> float | None:
        """The value between the means where the odds turn to the second; None where one outweighs all of that span."""
        span = self.means[1] - self.means[0]
        below, above = (float(odds) for odds in self.log_odds(np.array(self.means)))
        if not below < 0.0 < above:
            return None
        first, second = (std**-2 for std in self.stds)
        # As a quadratic in the distance from the first mean; c < 0 < b, so this root is the first above that mean.
        a, b, c = 0.5 * (first - second), span * second, self._level() - 0.5 * span**2 * second
        return self.means[0] - 2.0 * c / (b + float(np.sqrt(max(b * b - 4.0 * a * c, 0.0))))

    @property
    def separation(self) -> float:
        """Distance of the means in root mean square deviations: above 2 the groups are apart.

        Ashman, Bird & Zepf, "Detecting bimodality in astronomical datasets", AJ 108 (1994), eq. 1: their D.
        """
        return (self.means[1] - self.means[0]) / float(np.sqrt((self.stds[0] ** 2 + self.stds[1] ** 2) / 2))

    def _level(self) -> float:
        """The part of the log odds that does not depend on the value."""
        return float(np.log(self.weights[1] / self.weights[0]) + np.log(self.stds[0] / self.stds[1]))


def fit_mixture(values: NDArray[np.floating], *, tolerance: float = TOLERANCE, rounds: int = ROUNDS) -> Mixture:
    """Fit two components, beginning with the best split of k-means.

    Args:
        values: (n,), any order, any unit.
        tolerance: Of the mean log-likelihood, nats.
        rounds: At most; 0 leaves the split of k-means as it is.

    Returns:
        The components, the smaller mean first.

    Raises:
        DataError: Two groups cannot be told apart: values that are not finite, fewer than two distinct ones, or
            components that closed in on one value or on each other.
    """
    x = np.asarray(values, np.float64)
    if not np.isfinite(x).all():
        raise DataError(
            f"{np.count_nonzero(~np.isfinite(x))} of {x.size} values are not finite",
            "numbers",
            "lower the learning rate: the networks may have diverged",
        )
    if x.size < 2 or x.min() == x.max():
        raise DataError(
            f"{min(x.size, 1)} distinct value{'s' * (x.size == 0)} among {x.size}",
            "2 or more",
            "train on more locations, or check that their dates and halves differ",
        )
    second = (x > _best_cut(x)).astype(np.float64)
    with np.errstate(under="ignore", over="ignore", divide="ignore", invalid="ignore"):
        return _checked(_maximize(x, second, tolerance, rounds), x.size)


def _maximize(x: NDArray[np.float64], second: NDArray[np.float64], tolerance: float, rounds: int) -> Mixture:
    """EM from each value's part in the second component (n,)."""
    mixture = _weigh(x, second, 0, False)
    before = -np.inf
    for done in range(1, rounds + 1):
        odds = mixture.log_odds(x)
        small = np.exp(-np.abs(odds))  # never overflows
        first = np.log(mixture.weights[0] / mixture.stds[0]) - 0.5 * ((x - mixture.means[0]) / mixture.stds[0]) ** 2
        likelihood = float((first + np.maximum(odds, 0.0) + np.log1p(small)).mean() - 0.5 * np.log(2.0 * np.pi))
        second = np.where(odds >= 0.0, 1.0, small) / (1.0 + small)
        # As scikit-learn does: the likelihood is that of the components before this step, which is still taken.
        mixture = _weigh(x, second, done, abs(likelihood - before) < tolerance)
        if mixture.converged:
            break
        before = likelihood
    if mixture.means[0] <= mixture.means[1]:
        return mixture
    return Mixture(mixture.means[::-1], mixture.stds[::-1], mixture.weights[::-1], mixture.rounds, mixture.converged)


def _weigh(x: NDArray[np.float64], second: NDArray[np.float64], rounds: int, converged: bool) -> Mixture:
    """Components of which each value has these parts: weighted means, deviations and shares."""
    counts, means, stds = [], [], []
    for part in (1.0 - second, second):
        count = float(part.sum()) + 10.0 * float(np.finfo(np.float64).eps)  # against an empty one, as in scikit-learn
        mean = float(part @ x) / count
        counts.append(count)
        means.append(mean)
        stds.append(float(np.sqrt(float(part @ (x - mean) ** 2) / count + FLOOR)))
    total = counts[0] + counts[1]
    return Mixture((means[0], means[1]), (stds[0], stds[1]), (counts[0] / total, counts[1] / total), rounds, converged)


def _best_cut(x: NDArray[np.float64]) -> float:
    """The largest value of the lower group when n ≥ 2 values are cut in two with the least sum of squares within.

    On a line both groups of the best 2-means are runs of the sorted values, so all n - 1 cuts can be tried: Wang &
    Song, "Ckmeans.1d.dp", The R Journal 3/2 (2011).
    """
    ordered = np.sort(x)
    centred = ordered - ordered.mean()
    count = np.arange(1, x.size)
    # Sum of squares between the groups; the total of the centred values is 0.
    between = np.cumsum(centred)[:-1] ** 2 * (1.0 / count + 1.0 / (x.size - count))
    between[ordered[1:] == ordered[:-1]] = -np.inf  # equal values stay together
    return float(ordered[int(np.argmax(between))])


def _checked(mixture: Mixture, count: int) -> Mixture:
    """The mixture, unless its components have collapsed.

    Raises:
        DataError: They have.
    """
    numbers = (*mixture.means, *mixture.stds, *mixture.weights)
    fewest = min(mixture.weights) * count
    # Nearer than the width that FLOOR alone gives a component, means are one.
    near = mixture.means[1] - mixture.means[0] <= FLOOR**0.5
    if not np.isfinite(numbers).all():
        found = "a mixture with numbers that are not finite"
    elif fewest < LEAST:
        found = f"a component of {fewest:.2g} of {count} values"
    elif near:
        found = f"two components around the same value, {mixture.means[0]:.4g}"
    else:
        return mixture
    raise DataError(found, "two groups of values", "train on; if it stays so, split the logarithm of the ratio instead")
