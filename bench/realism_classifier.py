"""Classifiers that tell simulated chips from real ones, and what they need for it.

Two small CNNs see the chips, as they are and standardised, and vote; plain logistic regressions see numbers that a
person can name. Folds part groups (clusters of real chips that look like one scene; squares of the simulated ground, or
whole areas), so a held-out chip has no neighbour in training. Both sides hold the same number of chips of each kind.
Intervals draw groups with replacement.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from realism_read import Chips
from scipy.ndimage import gaussian_filter
from scipy.stats import rankdata
from torch import Tensor, nn

FOLDS = 5
EPOCHS, BATCH, RATE = 16, 32, 3e-3
CROP = 5 / 8
"""Side of the random squares that the net is trained on, in chips: 40 of 64 px; it is tested on whole chips. assumed:
less to learn by heart, and more than twice as fast."""
BLUR = 1.5
"""assumed: pixels; takes away what is smaller than about 50 m."""


@dataclass(frozen=True)
class Match:
    """Two sides of the same composition, mixed."""

    chips: Chips
    simulated: NDArray[np.int64]
    """(N,) 1 = simulated, 0 = real."""
    kind: NDArray[np.int8]
    fold: NDArray[np.int64]
    """(N,) which fold holds a chip out."""
    group: NDArray[np.int64]


def match(real: Chips, simulated: Chips, kinds: tuple[NDArray[np.int8], NDArray[np.int8]], seed: int) -> Match:
    """As many chips of each kind from both sides, in folds that part no group.

    Kinds of which either side has fewer than `FOLDS`, or the real one a single group, are left out: held out, that
    group would be known from nothing.
    """
    rng = np.random.default_rng(seed)
    parts: tuple[list[int], list[int]] = ([], [])
    for number in np.unique(kinds[0]):
        own = [np.flatnonzero(kind == number) for kind in kinds]
        count = min(len(index) for index in own)
        if count >= FOLDS and len(np.unique(real.groups[own[0]])) > 1:
            for part, index in zip(parts, own, strict=True):
                part += sorted(rng.permutation(index)[:count].tolist())
    sides = [chips.pick(np.array(part)) for chips, part in zip((real, simulated), parts, strict=True)]
    groups = [sides[0].groups, sides[1].groups + real.groups.max() + 1]  # the same name in every draw
    mixed = Chips(
        real.bands,
        np.concatenate([side.pixels for side in sides]),
        np.concatenate(groups),
        sides[0].places + sides[1].places,
    )
    label = np.repeat([0, 1], [len(side.pixels) for side in sides])
    folds = np.concatenate([_deal(group, rng) for group in groups])
    kind = np.concatenate([kinds[0][parts[0]], kinds[1][parts[1]]])
    return Match(mixed, label.astype(np.int64), kind, folds, mixed.groups)


def halves(
    real: Chips, kind: NDArray[np.int8], seed: int
) -> tuple[tuple[Chips, Chips], tuple[NDArray[np.int8], NDArray[np.int8]]]:
    """Real chips and their kinds on two sides, whole groups dealt at random: what tells these apart is chance."""
    rng = np.random.default_rng(seed)
    names = np.unique(real.groups)
    first = np.isin(real.groups, rng.permutation(names)[: len(names) // 2])
    return (real.pick(first), real.pick(~first)), (kind[first], kind[~first])


def _deal(groups: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    """Groups into folds of about equal size: the largest first, each into the emptiest."""
    names, counts = np.unique(groups, return_counts=True)
    order = np.lexsort((rng.random(len(names)), -counts))
    filled, fold_of = np.zeros(FOLDS), {}
    for n in order:
        fold_of[names[n]] = int(filled.argmin())
        filled[filled.argmin()] += counts[n]
    return np.array([fold_of[group] for group in groups])


class Net(nn.Sequential):
    """Four blocks of convolution, batch norm, ReLU and pooling, the mean, a line: 48,000 weights at 10 bands."""

    def __init__(self, bands: int, widths: Sequence[int] = (16, 32, 48, 64)) -> None:
        layers: list[nn.Module] = []
        for width in widths:
            layers += [nn.Conv2d(bands, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
            layers += [nn.MaxPool2d(2)]
            bands = width
        super().__init__(*layers[:-1], nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.2), nn.Linear(bands, 1))


def cnn_scores(
    pixels: NDArray[np.float32], found: Match, seed: int, folds: int = FOLDS, epochs: int = EPOCHS
) -> NDArray[np.float64]:
    """(N,) held-out scores, above 0 = taken for simulated; NaN in folds that were not asked for.

    Args:
        pixels: (N, C, H, W), standardised here by the training part of each fold.
        found: Labels and folds.
        seed: Of weights, order and flips.
        folds: How many folds to hold out.
        epochs: Times that each training chip is seen.
    """
    out = np.full(len(pixels), np.nan)
    for fold in range(folds):
        train, test = np.flatnonzero(found.fold != fold), np.flatnonzero(found.fold == fold)
        middle = pixels[train].mean(axis=(0, 2, 3), keepdims=True)
        spread = pixels[train].std(axis=(0, 2, 3), keepdims=True) + 1e-4
        x = torch.from_numpy(np.clip((pixels - middle) / spread, -5, 5).astype(np.float32))
        x = x.contiguous(memory_format=torch.channels_last)  # half the time on a processor
        y = torch.from_numpy(found.simulated.astype(np.float32))
        net = _train(x[train], y[train], seed * FOLDS + fold, epochs)
        with torch.inference_mode():
            out[test] = torch.cat([net(part).squeeze(1) for part in torch.split(x[test], BATCH)]).double().numpy()
    return out


def _train(x: Tensor, y: Tensor, seed: int, epochs: int) -> Net:
    """Train a net; the same seed gives the same net on one machine."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        net = Net(x.shape[1]).to(memory_format=torch.channels_last)
        steps = epochs * -(-len(x) // BATCH)
        optimiser = torch.optim.AdamW(net.parameters(), RATE, weight_decay=0.01)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=steps)
        for _ in range(epochs):
            for part in torch.split(torch.randperm(len(x)), BATCH):
                batch = _cut_and_turn(x[part])
                loss = nn.functional.binary_cross_entropy_with_logits(net(batch).squeeze(1), 0.9 * y[part] + 0.05)
                optimiser.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimiser.step()
                schedule.step()
    return net.eval()


def _cut_and_turn(x: Tensor) -> Tensor:
    """A batch cut at random, flipped and turned, all its chips alike; cuts begin on whole 20 m pixels."""
    crop = int(CROP * x.shape[2])
    steps = (x.shape[2] - crop) // 2 + 1
    top, left, flip, turn = (int(torch.randint(most, (1,)).item()) for most in (steps, steps, 2, 4))
    x = x[:, :, 2 * top : 2 * top + crop, 2 * left : 2 * left + crop]
    return torch.rot90(x.flip(3) if flip else x, turn, (2, 3))


def line_scores(table: NDArray[np.float64], found: Match) -> NDArray[np.float64]:
    """(N,) held-out scores of a logistic regression on numbers (N, F), their ranks and the ranks' squares.

    Ranks (among all chips: no label is seen) keep far-off numbers from ruling the fit; squares let a side stand in the
    middle of the other. Weights are held small: penalty 0.01 |w|².
    """
    rank = rankdata(table, axis=0) / (len(table) + 1) * 2 - 1
    x = torch.from_numpy(np.hstack([rank, rank**2 - 1 / 3]))
    y = torch.from_numpy(found.simulated.astype(np.float64))
    out = np.full(len(table), np.nan)
    for fold in range(FOLDS):
        train, test = found.fold != fold, found.fold == fold
        out[test] = _fit_line(x[train], y[train], x[test])
    return out


def _fit_line(x: Tensor, y: Tensor, other: Tensor) -> NDArray[np.float64]:
    """Scores of `other` by a penalised logistic regression of y on x."""
    weights = torch.zeros(x.shape[1] + 1, dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS([weights], max_iter=100, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimiser.zero_grad()
        value = nn.functional.binary_cross_entropy_with_logits(x @ weights[1:] + weights[0], y)
        value = value + 0.01 * (weights[1:] ** 2).sum()
        value.backward()  # type: ignore[no-untyped-call]
        return value

    optimiser.step(loss)  # type: ignore[no-untyped-call]
    return np.asarray((other @ weights[1:] + weights[0]).detach().numpy())


def accuracy(scores: Sequence[NDArray[np.float64]], matches: Sequence[Match]) -> dict[str, object]:
    """Balanced accuracy over runs, and its 95 % interval over groups drawn with replacement (1,000 times).

    A run is one draw of chips and one seed. A group's accuracy is its mean over runs.
    """
    rng = np.random.default_rng(0)
    draws = np.zeros((1000, 2))
    middle = np.zeros(2)
    per_run = []
    for side in (0, 1):
        right: dict[int, list[float]] = {}
        for run, found in zip(scores, matches, strict=True):
            own = (found.simulated == side) & np.isfinite(run)
            for n in np.flatnonzero(own):
                right.setdefault(int(found.group[n]), []).append(float((run[n] > 0) == bool(side)))
        total = np.array([sum(v) for v in right.values()])
        count = np.array([len(v) for v in right.values()])
        chosen = rng.integers(0, len(total), (1000, len(total)))
        draws[:, side] = total[chosen].sum(axis=1) / count[chosen].sum(axis=1)
        middle[side] = total.sum() / count.sum()
    for run, found in zip(scores, matches, strict=True):
        own = np.isfinite(run)
        hit = (run > 0) == (found.simulated == 1)
        per_run.append(round(float(np.mean([hit[own & (found.simulated == side)].mean() for side in (0, 1)])), 4))
    low, high = np.quantile(draws.mean(axis=1), [0.025, 0.975])
    return {
        "accuracy": round(float(middle.mean()), 4),
        "low": round(float(low), 4),
        "high": round(float(high), 4),
        "runs": per_run,
    }


def views(bands: Sequence[str]) -> dict[str, Callable[[NDArray[np.float32]], NDArray[np.float32]]]:
    """Parts of log reflectance that are shown to a net: no fine scale, nothing else, no texture, one band."""
    found: dict[str, Callable[[NDArray[np.float32]], NDArray[np.float32]]] = {
        "blurred (nothing below 50 m)": lambda x: gaussian_filter(x, (0, 0, BLUR, BLUR)),
        "fine scale only (blurred taken off)": lambda x: x - gaussian_filter(x, (0, 0, BLUR, BLUR)),
        "level only (chip means)": lambda x: np.broadcast_to(x.mean(axis=(2, 3), keepdims=True), x.shape).copy(),
    }
    for n, band in enumerate(bands):
        found[f"{band} alone"] = lambda x, n=n: x[:, n : n + 1]  # type: ignore[misc]
    return found


def standardise(x: NDArray[np.float32]) -> NDArray[np.float32]:
    """Every band of every chip to mean 0 and spread 1."""
    return np.asarray((x - x.mean(axis=(2, 3), keepdims=True)) / (x.std(axis=(2, 3), keepdims=True) + 1e-3), np.float32)


def single_numbers(found: Match, tables: Mapping[str, Mapping[str, NDArray[np.float64]]]) -> list[dict[str, object]]:
    """How well each number tells the sides apart, the best first: mean AUC within each kind of chip."""
    rows = []
    for group, table in tables.items():
        for name, values in table.items():
            aucs, weights = [], []
            for kind in np.unique(found.kind):
                own = found.kind == kind
                mine, theirs = own & (found.simulated == 1), own & (found.simulated == 0)
                rank = rankdata(values[own])[found.simulated[own] == 1].sum()
                n, m = int(mine.sum()), int(theirs.sum())
                aucs.append((rank - n * (n + 1) / 2) / (n * m))
                weights.append(n)
            auc = float(np.average(aucs, weights=weights))
            sides = {
                f"{word} median": round(float(np.median(values[found.simulated == side])), 4)
                for side, word in enumerate(("real", "simulated"))
            }
            rows.append({"number": name, "group": group, "auc": round(auc, 3), **sides})
    return sorted(rows, key=lambda row: -abs(float(str(row["auc"])) - 0.5))
