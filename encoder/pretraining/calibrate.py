"""How the parts of an embedding are scaled against each other, from simulated series, whose truth is known.

A change vector is searched by its direction. Directions in which embeddings wander where nothing changed, or among
changes of one class, say nothing about the class; so embeddings are whitened by their covariance *within classes*, of
which "nothing changed" is one, about no change at all.

Source: within-class covariance normalization, Hatch, Kajarekar and Stolcke, Interspeech 2006
(https://doi.org/10.21437/Interspeech.2006-183). The series are simulated: that it carries over to real pixels is
measured, not assumed (docs/pretraining.md).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..spectral import SpectralEncoder
from ..statistics import inverse_root, join_parts
from ..weights import WeightsSpec
from .series import Series

LEAST = 0.1
"""assumed: part of a chip that must differ between two dates for the pair to count as a change of its class."""

RIDGE = 0.1
"""Part of the mean variance that is added to all directions. assumed: 0.1; with less, what simulated series hardly ever
do is amplified more than real ones allow."""


@dataclass(frozen=True, eq=False)
class Pairs:
    """Dates before and after, with what lies between."""

    location: Tensor
    """int64 (N,), a place in the series."""
    dates: Tensor
    """int64 (N, 2), places of the two dates among the location's."""
    kind: Tensor
    """int64 (N,), class of the change, -1 where nothing changed."""


def draw_pairs(series: Series, each: int, seed: int) -> Pairs:
    """A date of the older half and one of the recent half, `each` times for every location of known truth.

    Locations of which too little changed for a change, yet something, are left out.

    Args:
        series: N locations, with truth.
        each: Pairs a location.
        seed: Of the choice.
    """
    changed, kind = series.changed, series.kind
    if changed is None or kind is None:
        raise ValueError("series without truth")
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=(77,))))
    usable = torch.nonzero((changed > LEAST) | (changed == 0))[:, 0].repeat_interleave(each)
    chance = torch.from_numpy(rng.random((2, len(usable), series.half.shape[1])))
    older, recent = (torch.where(series.half[usable] == h, chance[h], -1.0).argmax(dim=1) for h in (0, 1))
    told = torch.where(changed > LEAST, kind, -1)[usable]
    return Pairs(usable, torch.stack([older, recent], dim=1), told)


def embedded_changes(embed: Callable[[Tensor], Tensor], series: Series, pairs: Pairs, batch: int = 64) -> Tensor:
    """After less before, float32 (N, D) on the CPU.

    Args:
        embed: Raw images (B, C, H, W) → (B, D).
        series: What pairs point into.
        pairs: N of them.
        batch: Pairs at a time.
    """
    parts = []
    for start in range(0, len(pairs.location), batch):
        cut = slice(start, start + batch)
        images = series.take(pairs.location[cut], pairs.dates[cut])
        both = embed(images.flatten(0, 1)).float().cpu()
        parts.append(both[1::2] - both[0::2])
    return torch.cat(parts)


def within_classes(changes: Tensor, kind: Tensor, ridge: float = RIDGE) -> Tensor:
    """Covariance (D, D), float64, of changes (N, D) within their classes (N,); -1, no change, about 0.

    Args:
        changes: Of embeddings.
        kind: Classes; -1 where nothing changed.
        ridge: See `RIDGE`.
    """
    x = changes.double()
    centred = x.clone()
    for name in set(kind.tolist()):
        if name >= 0:
            centred[kind == name] -= x[kind == name].mean(dim=0)
    covariance: Tensor = centred.T @ centred / len(x)
    mean = float(covariance.diagonal().mean())
    return covariance + ridge * mean * torch.eye(len(covariance), dtype=torch.float64)


def projection(changes: Tensor, kind: Tensor, size: int, ridge: float = RIDGE) -> Tensor:
    """Matrix (D, size), float32: whitens within classes, then keeps the directions in which changes are largest."""
    whitening = inverse_root(within_classes(changes, kind, ridge)).double()
    white = changes.double() @ whitening
    _, vectors = torch.linalg.eigh(white.T @ white)
    kept: Tensor = whitening @ vectors.flip(1)[:, :size]
    return kept.float()


def calibrate(
    spec: WeightsSpec,
    state: dict[str, Tensor],
    embed: Callable[[Tensor], Tensor],
    series: Series,
    *,
    pairs: Pairs,
    size: int = 128,
    share: float = 0.5,
) -> tuple[WeightsSpec, dict[str, Tensor]]:
    """Weights whose embedding holds the network's features and the statistics, whitened and balanced.

    Args:
        spec: Of the trained network.
        state: Its parameters.
        embed: Runs it: raw images (B, C, H, W) → features (B, D).
        series: With truth and the spec's bands.
        pairs: Of the series.
        size: Numbers that the network part keeps.
        share: Length of the network part of a change vector over that of the statistics, root mean square.

    Returns:
        Spec and parameters for `save_weights`.
    """
    spectral = SpectralEncoder(spec.bands)

    def count(images: Tensor) -> Tensor:
        scaled = images.cpu().numpy().astype(np.float64) * (10_000 / series.full)
        return torch.from_numpy(spectral.embed(scaled.round().clip(0, 65535).astype(np.uint16)))

    own = embedded_changes(embed, series, pairs)
    statistics = embedded_changes(count, series, pairs)
    wander = within_classes(statistics, pairs.kind)
    matrix = projection(own, pairs.kind, size)
    lengths = [part.square().sum(dim=1).mean().sqrt() for part in (own @ matrix, statistics @ inverse_root(wander))]
    return join_parts(
        spec,
        state,
        {"projection": matrix, "wander": wander.float()},
        network_factor=float(share * lengths[1] / lengths[0]),
        statistics_factor=1.0,
    )
