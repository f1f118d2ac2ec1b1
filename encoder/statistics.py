"""The spectral encoder's six features on any device, and how they stand beside a network's features in one embedding.

`Statistics` is the torch twin of `SpectralEncoder` (the slow, exact one): it runs inside the network's own pipeline, on
its device, over a whole batch at once, and never waits for the device. `Parts` puts an embedding together:

    network part      features, each less its mean and divided by how much it wanders where nothing changed, then
                      projected (whitening, fewer numbers), times a factor
    statistics part   the six features of bands and indices, which bring their own scale, whitened by how they wander
                      together within a class of change, times another factor

Mean, scale, projection and wander are tensors beside the network's parameters, under names that begin with `PREFIX`;
the factors stand in the JSON. Weights without any of them give the network's features as they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from math import isfinite
from typing import cast

import torch
from torch import Tensor, nn

from .networks import DIMS
from .spectral import WANDER, cell_edges, feature_names, index_bands, kind_of
from .weights import WeightsSpec, weights_sha256

PREFIX = "afterimage."
"""Begins the names of the tensors that are no parameters of the network."""
TENSORS: tuple[str, ...] = ("mean", "scale", "projection", "wander")
"""What such names end with: (D,), (D,) and (D, P), D of the network, in the order in which they are applied; and the
covariance (F, F) of the statistics of the weights' bands, order as `feature_names`."""


class Statistics(nn.Module):
    """Statistics of bands and indices, as `SpectralEncoder` gives them but for rounding. Nothing in it learns."""

    scale: Tensor

    def __init__(self, bands: Sequence[str]) -> None:
        """Make it for chips with these canonical bands, in the order of their axis C."""
        super().__init__()
        indices = index_bands(bands)
        self._indices = tuple(indices.values())
        rows = [WANDER[kind_of(channel)] for channel in (*bands, *indices)]
        self.register_buffer("scale", torch.tensor(rows, dtype=torch.float32), persistent=False)  # (K, F)
        self.dim = self.scale.numel()

    def forward(self, x: Tensor, valid: Tensor) -> Tensor:
        """Features of chips.

        Args:
            x: float32 (B, C, H, W), harmonised reflectance × 10,000, 0 = no data, of any size from one pixel.
            valid: bool (B, H, W); False pixels count for nothing. A pixel in which any band is 0 counts for nothing.

        Returns:
            float32 (B, 6 · K), K bands and indices, order as `feature_names`; zeros for a chip without a valid pixel.
        """
        weight = (valid & (x.amin(dim=1) > 0)).to(torch.float32)[:, None]
        return (_features(self._channels(x), weight) / self.scale).flatten(1)

    def _channels(self, x: Tensor) -> Tensor:
        """Reflectance, then the indices: (B, K, H, W), finite where nothing was seen too."""
        x = x.clamp_min(1.0)  # keeps the indices of unseen pixels finite; they are weighted by 0
        planes = list((x * 1e-4).unbind(dim=1))
        for plus, minus in self._indices:
            up, down = (sum((x[:, i] for i in which[1:]), x[:, which[0]]) for which in (plus, minus))
            planes.append((up - down) / (up + down))
        return torch.stack(planes, dim=1)


def _cell_sums(planes: Tensor) -> Tensor:
    """Sums of planes (B, K, H, W) over their cells, (B, K, cells).

    Slices and sums rather than products with matrices of ones, whose inputs a GPU may round to fewer bits.
    """
    strips = torch.stack([planes[:, :, a:b].sum(dim=2) for a, b in pairwise(cell_edges(planes.shape[2]))], dim=2)
    cells = [strips[..., a:b].sum(dim=3) for a, b in pairwise(cell_edges(planes.shape[3]))]
    return torch.stack(cells, dim=3).flatten(2)


def _features(planes: Tensor, weight: Tensor) -> Tensor:
    """The six features, unscaled, (B, K, F), of planes (B, K, H, W); weight (B, 1, H, W) is 1 where a pixel counts."""
    counts = _cell_sums(weight)  # (B, 1, cells)
    sums = _cell_sums(planes * weight)  # (B, K, cells)
    count = counts.sum(dim=2).clamp_min(1.0)  # (B, 1)
    level = sums.sum(dim=2) / count  # (B, K)
    cells = torch.where(counts > 0, sums / counts.clamp_min(1.0), level[..., None])
    ranked = cells.sort(dim=2).values - level[..., None]
    last = ranked.shape[2] - 1
    spread = ranked[..., round(0.75 * last)] - ranked[..., round(0.25 * last)]
    away = (planes - level[..., None, None]).mul_(weight).square_()
    std = (away.sum(dim=(2, 3)) / count).sqrt()
    return torch.stack([level, ranked[..., 0], ranked[..., last], spread, std, _edge(planes, weight)], dim=2)


def _edge(planes: Tensor, weight: Tensor) -> Tensor:
    """Mean absolute step between neighbours that both count, (B, K); 0 where there are none."""
    below, right = weight[:, :, 1:] * weight[:, :, :-1], weight[..., 1:] * weight[..., :-1]
    total = (planes[:, :, 1:] - planes[:, :, :-1]).abs_().mul_(below).sum(dim=(2, 3))
    total = total + (planes[..., 1:] - planes[..., :-1]).abs_().mul_(right).sum(dim=(2, 3))
    return total / (below.sum(dim=(2, 3)) + right.sum(dim=(2, 3))).clamp_min(1.0)


class Parts(nn.Module):
    """An embedding from a network's features and the statistics of the same chips (see the module's head)."""

    def __init__(self, spec: WeightsSpec, tensors: Mapping[str, Tensor]) -> None:
        """Make it.

        Args:
            spec: Gives bands and factors.
            tensors: By the names of `TENSORS`, any of them; what `split_parameters` gives.
        """
        super().__init__()
        for name in TENSORS[:3]:
            self.register_buffer(name, tensors[name].float() if name in tensors else None, persistent=False)
        whitening = inverse_root(tensors["wander"]) if "wander" in tensors else None
        self.register_buffer("whitening", whitening, persistent=False)
        self.factors = (spec.network_factor, spec.statistics_factor)
        self.statistics = Statistics(spec.bands) if spec.statistics_factor else None

    def forward(self, features: Tensor, x: Tensor, valid: Tensor) -> Tensor:
        """Embeddings float32 (B, D) of features float32 (B, N) and their chips as `Statistics` takes them."""
        mean, scale, projection = (cast("Tensor | None", getattr(self, name)) for name in TENSORS[:3])
        if mean is not None:
            features = features - mean
        if scale is not None:
            features = features / scale
        if projection is not None:
            features = features @ projection
        if self.factors[0] != 1.0:
            features = features * self.factors[0]
        if self.statistics is None:
            return features
        statistics = self.statistics(x, valid)
        whitening = cast("Tensor | None", self.whitening)
        if whitening is not None:
            statistics = statistics @ whitening
        return torch.cat([features, statistics * self.factors[1]], dim=1)


def inverse_root(covariance: Tensor) -> Tensor:
    """The symmetric matrix (F, F), float32, whose product with numbers of this covariance leaves them uncorrelated.

    Worked out in float64, on the CPU. Symmetric, rather than triangular or sorted, so that it stays near its former
    self when the covariance does (ZCA: Kessy et al. 2018, https://doi.org/10.1080/00031305.2016.1277159).
    """
    values, vectors = torch.linalg.eigh(covariance.detach().cpu().double())
    root: Tensor = (vectors / values.sqrt()) @ vectors.T
    return root.float()


def split_parameters(state: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """A network's own parameters, and the tensors of `Parts` with `PREFIX` taken off their names."""
    own = {name: tensor for name, tensor in state.items() if not name.startswith(PREFIX)}
    return own, {name.removeprefix(PREFIX): tensor for name, tensor in state.items() if name not in own}


def statistics_dim(spec: WeightsSpec) -> int:
    """Numbers of an embedding that are statistics."""
    return len(feature_names(spec.bands)) if spec.statistics_factor else 0


def join_parts(
    spec: WeightsSpec,
    state: Mapping[str, Tensor],
    tensors: Mapping[str, Tensor],
    *,
    network_factor: float = 1.0,
    statistics_factor: float = 0.0,
) -> tuple[WeightsSpec, dict[str, Tensor]]:
    """Weights whose embedding is put together otherwise; what they held of parts before is left out.

    Args:
        spec: Of a network.
        state: Its parameters.
        tensors: By the names of `TENSORS`, any of them, float.
        network_factor: By which the network part is multiplied, above 0.
        statistics_factor: By which the statistics are multiplied; 0 for an embedding without them.

    Returns:
        Spec and parameters for `save_weights` or `NetworkEncoder`, which refuse what does not fit.
    """
    own, _ = split_parameters(state)
    joined = {**own, **{PREFIX + name: tensor for name, tensor in tensors.items()}}
    spec = replace(spec, network_factor=network_factor, statistics_factor=statistics_factor)
    spec = replace(spec, dim=_network_dim(spec, tensors) + statistics_dim(spec))
    return replace(spec, sha256=weights_sha256(spec, joined)), joined


def _network_dim(spec: WeightsSpec, tensors: Mapping[str, Tensor]) -> int:
    """Numbers of an embedding that come from the network."""
    projection = tensors.get("projection")
    return DIMS.get(spec.arch, 0) if projection is None or projection.ndim != 2 else projection.shape[1]


def part_faults(spec: WeightsSpec, state: Mapping[str, Tensor]) -> list[str]:
    """What is wrong with the parts of an embedding, one sentence each; empty for weights that name none."""
    tensors = split_parameters(state)[1]
    factors = (spec.network_factor, spec.statistics_factor)
    if not tensors and factors == (1.0, 0.0):
        return []
    faults = [f"the tensor {PREFIX}{name} is unknown" for name in tensors if name not in TENSORS]
    if not all(map(isfinite, factors)) or factors[0] <= 0 or factors[1] < 0:
        faults.append(f"the embedding's parts have the factors {factors[0]} (network) and {factors[1]} (statistics)")
    if "wander" in tensors:
        faults += _wander_faults(spec, tensors["wander"])
    width = DIMS.get(spec.arch, 0)
    for name in TENSORS[:3]:
        tensor = tensors.get(name)
        if tensor is None:
            continue
        if tensor.ndim != (2 if name == "projection" else 1) or tensor.shape[0] != width:
            faults.append(f"{PREFIX}{name} has the shape {tuple(tensor.shape)} for {width} features")
        if not (tensor.is_floating_point() and tensor.isfinite().all()):
            faults.append(f"{PREFIX}{name} holds numbers that are not finite, or whole ones")
        elif name == "scale" and not (tensor > 0).all():
            faults.append(f"{PREFIX}{name} holds numbers that are not above 0")
    dim = _network_dim(spec, tensors) + statistics_dim(spec)
    if dim != spec.dim:
        faults.append(f"the parts of an embedding have {dim} numbers together, the JSON says {spec.dim}")
    return faults


def _wander_faults(spec: WeightsSpec, wander: Tensor) -> list[str]:
    """What is wrong with the covariance of the statistics."""
    count = len(feature_names(spec.bands))
    if not spec.statistics_factor:
        return [f"{PREFIX}wander stands beside an embedding without statistics"]
    if wander.shape != (count, count) or not wander.is_floating_point() or not wander.isfinite().all():
        return [f"{PREFIX}wander of the shape {tuple(wander.shape)} is no covariance of {count} statistics"]
    if not bool((torch.linalg.eigvalsh(wander.double()) > 0).all()):
        return [f"{PREFIX}wander has directions in which nothing wanders"]
    return []
