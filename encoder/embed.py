"""Embedding in batches of one fixed shape, so that a chip's result does not depend on its neighbours in the batch.

On a GPU convolutions run in bfloat16 with channels last, through torch.compile where a C compiler is at hand, and the
next batch is copied while the present one is computed. On a CPU all is float32. The statistics that weights may ask for
beside the network's features are computed in the same module, in float32 everywhere.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from stac.errors import WeightsError

from .device import has_compiler
from .networks import load_parameters, new_network, pooled_features
from .normalization import Normalizer
from .spectral import check_chips
from .statistics import Parts, part_faults, split_parameters
from .weights import WeightsSpec

_BATCH = {"cpu": 32, "cuda": 1024}
"""Chips a batch. measured: bench/embed.py."""


def fill_unseen(x: Tensor, valid: Tensor) -> Tensor:
    """Give pixels without data their chip's own mean, band by band, so that they carry no contrast.

    Args:
        x: float32 (B, C, H, W) in digital numbers, 0 = no data.
        valid: bool (B, H, W).

    Returns:
        float32 (B, C, H, W); 0 throughout a band without any valid pixel.
    """
    seen = (x > 0) & valid[:, None]
    x = torch.where(seen, x, 0.0)
    mean = x.sum(dim=(2, 3), keepdim=True) / seen.sum(dim=(2, 3), keepdim=True).clamp_min(1)
    return torch.where(seen, x, mean)


class Pipeline(nn.Module):
    """Everything from raw chips to embeddings as one module, so that it can be compiled as one."""

    def __init__(
        self, network: nn.Module, spec: WeightsSpec, dtype: torch.dtype, tensors: Mapping[str, Tensor] | None = None
    ) -> None:
        """Make it; convolutions get `dtype`, batch norm and everything before and after stay float32.

        Args:
            network: A timm module with its parameters.
            spec: Gives bands, normalization and the factors of an embedding's parts.
            dtype: Of the convolutions.
            tensors: What `Parts` takes.
        """
        super().__init__()
        self.network = network
        self.normalizer = Normalizer(spec.normalization, spec.bands)
        self.parts = Parts(spec, tensors or {})
        self.dtype = dtype
        for module in network.modules():
            if isinstance(module, nn.Conv2d):
                module.to(dtype)

    def forward(self, raw: Tensor, valid: Tensor) -> Tensor:
        """Embeddings float32 (B, D) of raw chips: uint16 seen as int16 (B, C, H, W), valid bool (B, H, W)."""
        # Few operations take uint16 on a GPU; the sign bit is put back after widening.
        counts = (raw.to(torch.int32) & 0xFFFF).to(torch.float32)
        x = self.normalizer(fill_unseen(counts, valid))
        x = x.to(dtype=self.dtype, memory_format=torch.channels_last)
        embedding: Tensor = self.parts(pooled_features(self.network, x), counts, valid)
        return embedding


class NetworkEncoder:
    """A network with its weights, ready to embed. One call at a time runs; others wait."""

    def __init__(
        self,
        spec: WeightsSpec,
        state: dict[str, Tensor],
        device: str = "cpu",
        *,
        batch_size: int | None = None,
        compiled: bool | None = None,
    ) -> None:
        """Build the network and put the parameters in.

        Args:
            spec: Of the weights.
            state: Parameters by timm's names, and the tensors of `Parts`.
            device: A torch device.
            batch_size: Chips a batch, at least 2; None for what was measured best.
            compiled: Whether torch.compile is used; None: on a GPU where kernels can be built.

        Raises:
            WeightsError: The parameters do not fit.
        """
        self.name, self.bands, self.dim, self.spec, self.sha256 = spec.name, spec.bands, spec.dim, spec, spec.sha256
        self.device = torch.device(device)
        # A batch of one chip takes other kernels, and comes out another way in the last bits.
        self.batch_size = max(2, batch_size or _BATCH.get(self.device.type, _BATCH["cuda"]))
        gpu = self.device.type == "cuda"
        network = new_network(spec.arch, len(spec.bands))
        own, tensors = split_parameters(state)
        load_parameters(network, own)
        faults = part_faults(spec, state)
        if faults:
            raise WeightsError("; ".join(faults), "parts that belong together", "fetch or save the weights again")
        dtype = torch.bfloat16 if gpu else torch.float32
        pipeline = Pipeline(network, spec, dtype, tensors).eval().to(self.device)
        self._run: Callable[[Tensor, Tensor], Tensor] = pipeline.to(memory_format=torch.channels_last)
        if compiled if compiled is not None else gpu and has_compiler():
            self._run = torch.compile(pipeline, dynamic=False)
        self._lock = threading.Lock()

    def embed(self, chips: NDArray[np.uint16], valid: NDArray[np.bool_] | None = None) -> NDArray[np.float32]:
        """Embeddings of chips.

        Args:
            chips: uint16 (B, C, H, W), harmonised reflectance × 10,000, 0 = no data, bands as in `self.bands`.
            valid: bool (B, H, W); False pixels are filled with their chip's mean, as are zeros.

        Returns:
            float32 (B, D).

        Raises:
            WeightsError: The chips are not of this shape.
        """
        check_chips(chips, self.bands, valid)
        out = torch.empty((len(chips), self.dim), dtype=torch.float32, device=self.device)
        if len(chips):
            with self._lock, torch.inference_mode():
                if self.device.type == "cuda":
                    self._embed_cuda(chips, valid, out)
                else:
                    self._embed_cpu(chips, valid, out)
        return out.cpu().numpy()

    def _embed_cpu(self, chips: NDArray[np.uint16], valid: NDArray[np.bool_] | None, out: Tensor) -> None:
        raw, seen = self._staging(chips.shape[1:])
        for start in range(0, len(chips), self.batch_size):
            stop = self._stage(raw, seen, chips, valid, start)
            out[start:stop] = self._run(raw, seen)[: stop - start]

    def _embed_cuda(self, chips: NDArray[np.uint16], valid: NDArray[np.bool_] | None, out: Tensor) -> None:
        """Pinned buffers take turns: while one batch is computed, the next is filled and copied on its own stream."""
        buffers = [self._staging(chips.shape[1:]) for _ in range(3)]
        done = [torch.cuda.Event() for _ in buffers]  # type: ignore[no-untyped-call]
        copying = torch.cuda.Stream(self.device)  # type: ignore[no-untyped-call]
        computing = torch.cuda.current_stream(self.device)
        for turn, start in enumerate(range(0, len(chips), self.batch_size)):
            raw, seen = buffers[turn % len(buffers)]
            done[turn % len(buffers)].synchronize()  # its last batch is computed: it may be overwritten
            stop = self._stage(raw, seen, chips, valid, start)
            with torch.cuda.stream(copying):
                raw_there = raw.to(self.device, non_blocking=True)
                seen_there = seen.to(self.device, non_blocking=True)
            computing.wait_stream(copying)
            raw_there.record_stream(computing)
            seen_there.record_stream(computing)
            out[start:stop] = self._run(raw_there, seen_there)[: stop - start]
            done[turn % len(buffers)].record(computing)

    def _staging(self, shape: tuple[int, ...]) -> tuple[Tensor, Tensor]:
        """Buffers for one batch of chips (C, H, W): int16 and bool, in pinned memory when bound for a GPU."""
        pin = self.device.type == "cuda"
        raw = torch.empty((self.batch_size, *shape), dtype=torch.int16, pin_memory=pin)
        return raw, torch.empty((self.batch_size, *shape[1:]), dtype=torch.bool, pin_memory=pin)

    def _stage(
        self, raw: Tensor, seen: Tensor, chips: NDArray[np.uint16], valid: NDArray[np.bool_] | None, start: int
    ) -> int:
        """Copy the batch that begins at `start` into the buffers, padded with zeros; returns where it ends."""
        stop = min(start + self.batch_size, len(chips))
        raw.numpy()[: stop - start] = chips[start:stop].view(np.int16)
        raw.numpy()[stop - start :] = 0
        seen.numpy()[: stop - start] = True if valid is None else valid[start:stop]
        seen.numpy()[stop - start :] = True
        return stop
