"""Each method's loss: one function from views to numbers for each family.

Keys are encoded in the batch's key order, gathered from all processes and put back into the rows' order.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from .config import PretrainConfig
from .looks import Looks
from .losses import caco_loss, gssl_loss, moco_loss, seco_loss, simclr_caco_loss, teco_loss, vector_loss
from .memory import ChangeMemory, change_distances
from .model import Model, level_targets
from .ranks import Ranks

SEASON = 1
"""The subspace whose distances estimate change: invariant to season, not augmented (CACo, moco2_module.py)."""


@dataclass(frozen=True, eq=False)
class Outcome:
    """What a step computes."""

    losses: Tensor
    """float32 (M,), the method's own parts, whose sum is trained on."""
    level: Tensor | None
    """Scalar; None without that head."""
    vector: Tensor | None
    """Scalar; None without contrast of change vectors."""
    distances: tuple[Tensor, Tensor, Tensor] | None
    """Long, short, ratio (B,) of the whole batch; None in methods without pairs."""
    own: Tensor | None
    """(S, B, E), each subspace's own keys, for its queue once the backward pass is done; None without queues."""


@dataclass(frozen=True, eq=False)
class Context:
    """What losses need besides views."""

    config: PretrainConfig
    model: Model
    memory: ChangeMemory
    ranks: Ranks
    encode: Callable[[torch.nn.Module, Tensor], tuple[Tensor, Tensor]]
    """Runs a branch on views in the run's precision: embeddings (b, D), projections (S, b, E), float32."""


def method_step(context: Context, looks: Looks) -> Outcome:
    """Losses of a step; the key network follows first.

    Args:
        context: Networks, memory, processes.
        looks: Views.

    Returns:
        The parts of the loss, with gradients towards what is trained; queue and memory are as they were.
    """
    if context.config.method == "simclr":
        return _simclr_step(context, looks)
    context.model.follow(context.config.ema)
    features, projections = context.encode(context.model.query, looks.query)
    queries = functional.normalize(projections, dim=2)
    keys, estimate, embedded = _encode_keys(context, looks)
    distances = None
    if estimate is not None:
        distances = change_distances(estimate, keys[SEASON, SEASON], squared=context.config.ratio == "squared")
    losses = _contrast(context, looks, queries, keys, projections[0])
    own = torch.stack([keys[i, i] for i in range(len(keys))])
    vector = _vector_loss(context, looks, features, embedded)
    return Outcome(losses, _level_loss(context.model, features, looks.query), vector, distances, own)


def _contrast(context: Context, looks: Looks, queries: Tensor, keys: Tensor, raw: Tensor) -> Tensor:
    """The method's own losses (M,); `raw` (b, E) are projections before they were scaled to unit length."""
    config, queue, first = context.config, context.model.queue, looks.rows.start
    if config.method == "caco":
        change = context.memory.change(looks.item)
        return caco_loss(
            queries,
            keys,
            queue.keys,
            change,
            temperature=config.temperature,
            gate=config.gate,
            blocks=config.blocks,
            first=first,
        )
    if config.method == "teco":
        return teco_loss(queries, keys, queue.keys, temperature=config.temperature, first=first)
    if config.method == "seco":
        return seco_loss(queries, keys, queue.keys, temperature=config.temperature, first=first)
    single = queries[0], keys[0, 0], queue.keys[0]
    if config.method == "moco":
        return moco_loss(*single, temperature=config.temperature, first=first)[None]
    answer = context.model.geography(raw)
    return gssl_loss(
        *single, answer, looks.cluster, temperature=config.temperature, weight=config.geo_weight, first=first
    )[None]


@torch.no_grad()
def _encode_keys(context: Context, looks: Looks) -> tuple[Tensor, Tensor | None, Tensor]:
    """Keys (S, V, B, E) of the whole batch, in the rows' order; what change is estimated from; what vectors are.

    CACo's code encodes the query's and key 1's views once more for its change estimate; key 1 comes out the same, so
    only the query's is encoded here: (B, E). The third are embeddings (B, D) of key 1, or of the only key.
    """
    encoded = [context.encode(context.model.key, view) for view in looks.keys]
    keys = torch.stack([functional.normalize(part, dim=2) for _, part in encoded], dim=1)  # (S, V, b, E)
    keys = context.ranks.gather(keys, dim=2)[:, :, looks.back]
    embedded = encoded[min(SEASON, len(encoded) - 1)][0]
    if context.config.vector_weight:
        embedded = context.ranks.gather(embedded, dim=0)[looks.back]
    if looks.estimate is None:
        return keys, None, embedded
    seen = functional.normalize(context.encode(context.model.key, looks.estimate)[1][SEASON], dim=1)
    return keys, context.ranks.gather(seen, dim=0)[looks.back], embedded


def _vector_loss(context: Context, looks: Looks, features: Tensor, embedded: Tensor) -> Tensor | None:
    """Contrast of change vectors: the query's dates against key 1's."""
    if not context.config.vector_weight:
        return None
    change = context.memory.change(looks.item) if looks.kind is None else looks.kind >= 0
    return vector_loss(
        features, embedded, change, looks.kind, temperature=context.config.temperature, first=looks.rows.start
    )


def _simclr_step(context: Context, looks: Looks) -> Outcome:
    """CACo without queue and momentum: every view through the one network, with gradients."""
    config, memory = context.config, context.memory
    features, own = context.encode(context.model.query, looks.query)
    queries = functional.normalize(own, dim=2)
    encoded = [context.encode(context.model.query, view) for view in looks.keys]
    parts = [functional.normalize(part, dim=2) for _, part in encoded]
    keys = context.ranks.gather_trained(torch.stack(parts, dim=1), dim=2)[:, :, looks.back]
    embedded = encoded[SEASON][0]
    if config.vector_weight:
        embedded = context.ranks.gather_trained(embedded, dim=0)[looks.back]
    with torch.no_grad():
        seen = context.ranks.gather(queries[SEASON].detach(), dim=0)
        distances = change_distances(seen, keys[SEASON, SEASON].detach(), squared=config.ratio == "squared")
    losses = simclr_caco_loss(
        queries,
        keys,
        memory.change(looks.item),
        temperature=config.temperature,
        gate=config.gate,
        first=looks.rows.start,
    )
    vector = _vector_loss(context, looks, features, embedded)
    return Outcome(losses, _level_loss(context.model, features, looks.query), vector, distances, None)


def _level_loss(model: Model, features: Tensor, views: Tensor) -> Tensor | None:
    """How badly embeddings tell their views' per-band levels."""
    if not list(model.levels.parameters()):
        return None
    return functional.smooth_l1_loss(model.levels(features), level_targets(views))
