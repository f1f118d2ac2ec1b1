"""The networks of a run: the query's, the key's that follows it, their heads, and the queues of keys."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..networks import DIMS, new_network, pooled_features
from .config import PretrainConfig


class GroupedBatchNorm(nn.BatchNorm2d):
    """Batch norm that keeps equal, consecutive parts of a training batch apart, as if each were on its own device.

    One process with G groups computes what G processes do. Running statistics take the groups one after the other.
    Source: the question is MoCo's shuffling of batch norm (He et al., CVPR 2020, section 3.3), the answer for one
    device its CIFAR demo's split batch norm (https://colab.research.google.com/github/facebookresearch/moco).
    """

    groups: int = 1

    def forward(self, x: Tensor) -> Tensor:
        """Normalize (B, C, H, W)."""
        if self.groups == 1 or not self.training:
            return super().forward(x)
        return torch.cat([super(GroupedBatchNorm, self).forward(part) for part in x.chunk(self.groups)])


class Branch(nn.Module):
    """A backbone and one projection head a subspace."""

    def __init__(self, config: PretrainConfig, norm_groups: int) -> None:
        """Random parameters; batch norm keeps `norm_groups` parts of this process's batch apart.

        Heads are Linear(D, D), ReLU, Linear(D, E): CACo, models/moco2_module.py.
        """
        super().__init__()
        self.network = _group_norms(new_network(config.arch, len(config.bands)), norm_groups)
        dim = DIMS[config.arch]
        self.heads = nn.ModuleList(
            nn.Sequential(nn.Linear(dim, dim), nn.ReLU(), nn.Linear(dim, config.projection))
            for _ in range(config.subspaces)
        )

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Embeddings float32 (B, D) and projections float32 (S, B, E), not scaled, of views (B, C, H, W)."""
        features = pooled_features(self.network, x)
        projections = torch.stack([head(features) for head in self.heads])
        return features, projections.float()


def _group_norms(network: nn.Module, groups: int) -> nn.Module:
    """The network with its batch norms told to keep groups apart."""
    for module in network.modules():
        if groups > 1 and isinstance(module, nn.BatchNorm2d):
            module.__class__ = GroupedBatchNorm
            cast(GroupedBatchNorm, module).groups = groups
    return network


class Queue(nn.Module):
    """The last K keys of each subspace (S, E, K), all of unit length; even places hold even rows of batches."""

    keys: Tensor
    place: Tensor

    def __init__(self, subspaces: int, projection: int, size: int, generator: torch.Generator) -> None:
        """Random keys to begin with, as in MoCo's code (moco/builder.py)."""
        super().__init__()
        keys = torch.randn(subspaces, projection, size, generator=generator)
        self.register_buffer("keys", functional.normalize(keys, dim=1))
        self.register_buffer("place", torch.zeros((), dtype=torch.int64))

    @torch.no_grad()
    def push(self, keys: Tensor) -> None:
        """Put keys (S, B, E) in place of the oldest ones; B divides K."""
        size, count = self.keys.shape[2], keys.shape[1]
        where = (self.place + torch.arange(count, device=keys.device)) % size
        self.keys.index_copy_(2, where, keys.transpose(1, 2).to(self.keys.dtype))
        self.place.copy_((self.place + count) % size)


@dataclass(frozen=True, eq=False)
class Model:
    """All that is trained or carried along."""

    query: Branch
    key: Branch
    queue: Queue
    """Of size 0 in `simclr`."""
    geography: nn.Module
    """`gssl`: ReLU and Linear(E, G) over the query's projection; https://github.com/sustainlab-group/
    geography-aware-ssl/blob/4251731/moco_fmow/moco/builder_geo.py. Else nothing."""
    levels: nn.Module
    """Linear(D, 2 C) from an embedding to its view's per-band mean and deviation; nothing where it has no weight."""

    def trained(self) -> list[nn.Parameter]:
        """Parameters that the optimizer moves, in a fixed order."""
        return [p for part in (self.query, self.geography, self.levels) for p in part.parameters()]

    def named(self) -> dict[str, nn.Module]:
        """The parts that hold something, by the names under which they are saved."""
        parts = {name: getattr(self, name) for name in ("query", "key", "queue", "geography", "levels")}
        return {name: part for name, part in parts.items() if part.state_dict()}

    @torch.no_grad()
    def follow(self, ema: float) -> None:
        """Move the key's parameters towards the query's; batch norm keeps running statistics of its own, as in CACo."""
        ours: list[Tensor] = list(self.key.parameters())
        theirs: list[Tensor] = list(self.query.parameters())
        torch._foreach_lerp_(ours, theirs, 1.0 - ema)


def new_model(config: PretrainConfig, clusters: int, device: torch.device, processes: int = 1) -> Model:
    """Networks with random parameters that depend on the seed alone.

    Args:
        config: Of the run.
        clusters: G, how many geographic clusters there are (`gssl`).
        device: Where they go, convolutions in channels-last order.
        processes: How many share the batch; they divide the norm groups.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        query = Branch(config, config.norm_groups // processes)
        generator = torch.Generator().manual_seed(config.seed)
        queue = Queue(config.subspaces, config.projection, config.queue if config.has_queue else 0, generator)
        geography: nn.Module = nn.Identity()
        levels: nn.Module = nn.Identity()
        if config.method == "gssl":
            geography = nn.Sequential(nn.ReLU(), nn.Linear(config.projection, clusters))
        if config.level_weight:
            levels = nn.Linear(DIMS[config.arch], 2 * len(config.bands))
    query = query.to(device=device, memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    key = copy.deepcopy(query)
    key.requires_grad_(False)
    return Model(query, key, queue.to(device), geography.to(device), levels.to(device))


def level_targets(views: Tensor) -> Tensor:
    """Per-band mean and deviation (B, 2 C) of normalized views (B, C, H, W), float32: what `Model.levels` must tell."""
    x = views.float()
    return torch.cat([x.mean(dim=(2, 3)), x.std(dim=(2, 3))], dim=1)
