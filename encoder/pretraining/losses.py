"""Contrastive losses of CACo and its family, each a few lines of tensor algebra.

Shapes: S = 3 subspaces, B rows of the global batch, b rows that this process answers for (from row `first` on), E
length of a projection, K keys in a queue. Rows 2e and 2e + 1 are the older and the recent half of one location. All
that comes in is of unit length. Views: key 0 is another date, augmented; key 1 another date, not augmented; key 2 the
query's own date, augmented. Subspace 0 is invariant to season and augmentation, 1 to season, 2 to augmentation: the
positive of subspace i is key i.

Sources, as digested in the functions: CACo, Mall et al., CVPR 2023, section 3.3 and eq. 1-2, and its code
https://github.com/utkarshmall13/CACo/blob/7c4fbc8/src/models/moco2_module.py; SeCo, Mañas et al., ICCV 2021, and
https://github.com/ServiceNow/seasonal-contrast/blob/8285173/models/moco2_module.py; MoCo v2, Chen et al. 2020,
https://github.com/facebookresearch/moco/blob/7397dfe/moco/builder.py; GSSL, Ayush et al., ICCV 2021, and
https://github.com/sustainlab-group/geography-aware-ssl/blob/4251731/moco_fmow/main_moco_geo%2Btp.py; SimCLR, Chen et
al., ICML 2020, eq. 1.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

TEMPERATURE = 0.07
"""CACo's and SeCo's: moco2_module.py, `softmax_temperature`."""

GATES = ("all", "season")
"""Where unchanged locations are gated: in all three subspaces, as CACo's code does, or in the season-invariant one
only, of which its paper speaks (section 3.3)."""

BLOCKS = ("open", "gated")
"""Whether the own location's other half, as it stands among whole-batch negatives, is left open, as in CACo's code, or
gated as well, which the paper's formula (eq. 2) asks for."""

_OTHERS = {0: (), 1: (0, 2), 2: (0, 1)}
"""Subspace → views whose keys, of the whole batch, are negatives in it: what it must tell apart."""


def caco_loss(
    queries: Tensor,
    keys: Tensor,
    queues: Tensor,
    change: Tensor,
    *,
    temperature: float = TEMPERATURE,
    gate: str = "all",
    blocks: str = "open",
    first: int = 0,
) -> Tensor:
    """CACo's loss, one value a subspace (S,), whose plain sum is trained on. `caco_logits` tells of the arguments."""
    logits = caco_logits(queries, keys, queues, change, gate=gate, blocks=blocks, first=first)
    return torch.stack([_info_nce(part, temperature) for part in logits])


def caco_logits(
    queries: Tensor,
    keys: Tensor,
    queues: Tensor,
    change: Tensor,
    *,
    gate: str = "all",
    blocks: str = "open",
    first: int = 0,
) -> list[Tensor]:
    """Similarities that CACo's loss is made of: the positive first, then the negatives.

    Negatives of a row of half h, the other half being h': the queue's keys of half h; the other half's keys of the own
    view, in which the own location's entry is gated where nothing changed; in subspaces 1 and 2 all keys of both other
    views. With B = 256 and K = 16,384 these are 8,320, 8,832 and 8,832.

    Args:
        queries: (S, b, E).
        keys: (S, 3, B, E): subspace, view, row.
        queues: (S, E, K); even places hold keys of older halves, odd ones of recent halves.
        change: bool (B,), whether a row's location is taken to have changed.
        gate: One of `GATES`.
        blocks: One of `BLOCKS`.
        first: Global number of the first query, even.

    Returns:
        For each subspace (b, 1 + negatives); -inf where an entry is gated, so that its gradient is exactly zero.
    """
    count = queries.shape[1]
    here = slice(first, first + count)
    unchanged = ~change[here]
    own = torch.arange(first, first + count, device=queries.device)
    logits = []
    for i, others in _OTHERS.items():
        gated = unchanged if gate == "all" or i == 1 else torch.zeros_like(unchanged)
        paired = _by_half(queries[i])  # (2, b/2, E)
        queue = torch.stack([queues[i][:, 0::2], queues[i][:, 1::2]])  # (2, E, K/2)
        opposite = _by_half(keys[i, i]).flip(0)  # (2, B/2, E)
        block = _in_order(paired @ opposite.transpose(1, 2))  # (b, B/2)
        block = _hide(block, own // 2, gated)
        parts = [_positive(queries[i], keys[i, i, here]), _in_order(paired @ queue), block]
        for j in others:
            whole = queries[i] @ keys[i, j].T  # (b, B)
            parts.append(_hide(whole, own ^ 1, gated) if blocks == "gated" else whole)
        logits.append(torch.cat(parts, dim=1))
    return logits


def teco_loss(
    queries: Tensor, keys: Tensor, queues: Tensor, *, temperature: float = TEMPERATURE, first: int = 0
) -> Tensor:
    """CACo's loss without the gate (its ablation "+ long-term contrast"): every location's halves repel; (S,)."""
    everything = torch.ones(keys.shape[2], dtype=torch.bool, device=keys.device)
    return caco_loss(queries, keys, queues, everything, temperature=temperature, first=first)


def seco_loss(
    queries: Tensor, keys: Tensor, queues: Tensor, *, temperature: float = TEMPERATURE, first: int = 0
) -> Tensor:
    """SeCo's loss, one value a subspace (S,): rows are locations, halves play no part.

    Negatives: the subspace's whole queue and, in subspaces 1 and 2, all keys of both other views.

    Args:
        queries: (S, b, E).
        keys: (S, 3, B, E).
        queues: (S, E, K).
        temperature: Of the softmax.
        first: Global number of the first query.
    """
    here = slice(first, first + queries.shape[1])
    losses = []
    for i, others in _OTHERS.items():
        parts = [_positive(queries[i], keys[i, i, here]), queries[i] @ queues[i]]
        parts += [queries[i] @ keys[i, j].T for j in others]
        losses.append(_info_nce(torch.cat(parts, dim=1), temperature))
    return torch.stack(losses)


def moco_loss(query: Tensor, key: Tensor, queue: Tensor, *, temperature: float = TEMPERATURE, first: int = 0) -> Tensor:
    """MoCo's InfoNCE: query (b, E) against its own key of (B, E) and the queue (E, K); a scalar."""
    positive = _positive(query, key[first : first + len(query)])
    return _info_nce(torch.cat([positive, query @ queue], dim=1), temperature)


def gssl_loss(
    query: Tensor,
    key: Tensor,
    queue: Tensor,
    geo_logits: Tensor,
    cluster: Tensor,
    *,
    temperature: float = TEMPERATURE,
    weight: float = 1.0,
    first: int = 0,
) -> Tensor:
    """GSSL's loss: InfoNCE over two dates of a location, plus naming the geographic cluster; a scalar.

    Args:
        query: (b, E).
        key: (B, E).
        queue: (E, K).
        geo_logits: (b, G), a classifier's answer from the projection before it was scaled to unit length.
        cluster: int64 (b,), the cluster that each row lies in.
        temperature: Of the softmax.
        weight: Of the second term; 1 in the paper's code.
        first: Global number of the first query.
    """
    contrast = moco_loss(query, key, queue, temperature=temperature, first=first)
    return contrast + weight * functional.cross_entropy(geo_logits, cluster)


def simclr_caco_loss(
    queries: Tensor,
    keys: Tensor,
    change: Tensor,
    *,
    temperature: float = TEMPERATURE,
    gate: str = "all",
    first: int = 0,
) -> Tensor:
    """CACo without queue and momentum (its table 7), one value a subspace (S,).

    assumed: the paper does not print which negatives it took. Here they are `caco_logits`', the queue replaced by what
    it stands for: keys of the same half of the batch's other locations. Keys carry gradients.

    Args:
        queries: (S, b, E).
        keys: (S, 3, B, E).
        change: bool (B,).
        temperature: Of the softmax.
        gate: One of `GATES`.
        first: Global number of the first query, even.
    """
    count = queries.shape[1]
    own = torch.arange(first, first + count, device=queries.device)
    always = torch.ones(count, dtype=torch.bool, device=queries.device)
    none = keys.new_empty((queries.shape[0], queries.shape[2], 0))
    gated = caco_logits(queries, keys, none, change, gate=gate, first=first)
    losses = []
    for i, rest in enumerate(gated):
        same = _in_order(_by_half(queries[i]) @ _by_half(keys[i, i]).transpose(1, 2))  # (b, B/2)
        same = _hide(same, own // 2, always)  # the own entry is the positive, which `rest` begins with
        losses.append(_info_nce(torch.cat([rest, same], dim=1), temperature))
    return torch.stack(losses)


def vector_loss(
    queries: Tensor,
    keys: Tensor,
    change: Tensor,
    kind: Tensor | None = None,
    *,
    temperature: float = TEMPERATURE,
    first: int = 0,
) -> Tensor:
    """Contrast of change vectors, which are what is searched for; a scalar. Ours, beside a method's own loss.

    A location's change vector seen on two dates must be like that seen on two others, and unlike those of other
    locations. Only locations that count as changed ask; where nothing changed the vector is season and noise, which is
    a good negative and no positive. With classes known, all vectors of the class are positives (supervised contrast,
    Khosla et al., NeurIPS 2020, eq. 2).

    Args:
        queries: (b, D) embeddings of the query network, older and recent halves in turn, not scaled.
        keys: (B, D) embeddings of the same rows on other dates, likewise.
        change: bool (B,), whether a row's location counts as changed; either half is enough.
        kind: int64 (B,), class of a location's change, -1 for none; None where not known.
        temperature: Of the softmax.
        first: Global number of the first query, even.
    """
    asked = functional.normalize(queries[1::2] - queries[0::2], dim=1)
    held = functional.normalize(keys[1::2] - keys[0::2], dim=1)
    here = slice(first // 2, first // 2 + len(asked))
    own = torch.arange(here.start, here.stop, device=queries.device)
    asks = (change[0::2] | change[1::2])[here].to(queries.dtype)
    positive = torch.zeros((len(asked), len(held)), dtype=queries.dtype, device=queries.device)
    positive.scatter_(1, own[:, None], 1.0)
    if kind is not None:
        same = (kind[0::2][here][:, None] == kind[None, 0::2]) & (kind[0::2][here] >= 0)[:, None]
        positive = torch.maximum(positive, same.to(positive.dtype))
    logits = asked @ held.T / temperature
    told = logits - logits.logsumexp(dim=1, keepdim=True)
    each = -(told * positive).sum(dim=1) / positive.sum(dim=1)
    return (each * asks).sum() / asks.sum().clamp_min(1.0)


def _info_nce(logits: Tensor, temperature: float) -> Tensor:
    """Mean cross-entropy with the first column as the answer."""
    scaled = logits / temperature
    return (scaled.logsumexp(dim=1) - scaled[:, 0]).mean()


def _positive(queries: Tensor, keys: Tensor) -> Tensor:
    """Similarity of each row's two vectors, (b, 1)."""
    return (queries * keys).sum(dim=1, keepdim=True)


def _by_half(rows: Tensor) -> Tensor:
    """Rows (b, E) as (2, b/2, E): older halves, recent halves."""
    return rows.reshape(-1, 2, rows.shape[-1]).transpose(0, 1)


def _in_order(halves: Tensor) -> Tensor:
    """(2, b/2, M) as rows (b, M): the inverse of `_by_half`."""
    return halves.transpose(0, 1).flatten(0, 1)


def _hide(block: Tensor, column: Tensor, rows: Tensor) -> Tensor:
    """Entries (row, column[row]) of a block (b, M) set to -inf in the rows that are true."""
    entry = torch.zeros_like(block, dtype=torch.bool).scatter_(1, column[:, None], rows[:, None])
    return block.masked_fill(entry, -torch.inf)
