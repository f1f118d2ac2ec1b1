"""Several processes that train one network, one device each: who has which rows, gathered keys, averaged gradients.

Gradients are averaged by one `all_reduce` over a flat buffer after the backward pass, in plain sight of the loop,
rather than by a wrapper around the network: a step runs one network several times and another without gradients.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, distributed, nn
from torch.distributed.nn import functional as differentiable

from stac.errors import DataError


@dataclass(frozen=True)
class Ranks:
    """This process among all."""

    rank: int = 0
    count: int = 1

    @property
    def lead(self) -> bool:
        """Whether this process writes and speaks."""
        return self.rank == 0

    def rows(self, batch: int) -> slice:
        """Rows of the batch that this process answers for.

        Raises:
            DataError: The batch cannot be shared out evenly, pairs kept whole.
        """
        if batch % (2 * self.count):
            raise DataError(
                f"a batch of {batch} for {self.count} processes", f"a multiple of {2 * self.count}", "set --batch"
            )
        size = batch // self.count
        return slice(self.rank * size, (self.rank + 1) * size)

    def gather(self, part: Tensor, dim: int) -> Tensor:
        """All processes' parts side by side along a dimension, without gradients."""
        if self.count == 1:
            return part
        parts = [torch.empty_like(part) for _ in range(self.count)]
        distributed.all_gather(parts, part.contiguous())
        return torch.cat(parts, dim=dim)

    def gather_trained(self, part: Tensor, dim: int) -> Tensor:
        """Likewise, gradients flowing back to the process that each part came from."""
        if self.count == 1:
            return part
        return torch.cat(differentiable.all_gather(part.contiguous()), dim=dim)  # type: ignore[no-untyped-call]

    def average_gradients(self, parameters: Sequence[nn.Parameter]) -> None:
        """Replace each gradient by its mean over all processes."""
        if self.count == 1:
            return
        gradients = [p.grad for p in parameters if p.grad is not None]
        flat = torch.cat([gradient.reshape(-1) for gradient in gradients])
        distributed.all_reduce(flat)
        flat /= self.count
        place = 0
        for gradient in gradients:
            gradient.copy_(flat[place : place + gradient.numel()].view_as(gradient))
            place += gradient.numel()

    def share(self, value: Tensor) -> None:
        """Put the lead's tensor in place of everyone's."""
        if self.count > 1:
            distributed.broadcast(value, 0)

    def agree(self, value: bool, device: torch.device) -> bool:
        """Whether any process says so."""
        if self.count == 1:
            return value
        told = torch.tensor(float(value), device=device)
        distributed.all_reduce(told, op=distributed.ReduceOp.MAX)
        return bool(told.item())


def join_ranks(device: str) -> tuple[Ranks, str]:
    """Join the processes that `torchrun` started, if it did.

    Args:
        device: `cuda` or `cpu`; each process takes the GPU of its own number.

    Returns:
        This process among all, and its device.
    """
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        return Ranks(), device
    rank, local = int(os.environ["RANK"]), int(os.environ.get("LOCAL_RANK", "0"))
    if device.startswith("cuda"):
        device = f"cuda:{local}"
        torch.cuda.set_device(local)
    distributed.init_process_group("nccl" if device.startswith("cuda") else "gloo")
    return Ranks(rank, count), device


def leave_ranks(ranks: Ranks) -> None:
    """Part from the other processes."""
    if ranks.count > 1 and distributed.is_initialized():
        distributed.destroy_process_group()
