"""From digital numbers to what a network was trained on: named steps with constants per band, kept beside the weights.

A normalization is a list of `Step`s applied in order to float32 (B, C, H, W), starting from harmonised reflectance ×
10,000. `Normalizer` runs it as a torch module, on any device.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from stac.bands import RGB
from stac.errors import WeightsError


@dataclass(frozen=True)
class Step:
    """One step of a normalization."""

    kind: str
    """One of `STEP_KINDS`."""
    values: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    """Constants by name: one number for all bands, or one a band."""


def _scale(x: Tensor, factor: Tensor) -> Tensor:
    return x / factor


def _clip(x: Tensor, low: Tensor, high: Tensor) -> Tensor:
    return torch.minimum(torch.maximum(x, low), high)


def _bytes(x: Tensor, full: Tensor) -> Tensor:
    # x · 255 is exact in float32 for any uint16 x, so only the quotient is rounded, and whole ones stay whole.
    return torch.floor((x * 255.0) / full).clamp(0.0, 255.0)


def _stretch(x: Tensor, low: Tensor, high: Tensor) -> Tensor:
    return torch.floor((x - low) * 255.0 / (high - low)).clamp(0.0, 255.0)


def _standardize(x: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    return (x - mean) / std


STEP_KINDS: dict[str, tuple[tuple[str, ...], Callable[..., Tensor]]] = {
    "scale": (("factor",), _scale),  # x / factor
    "clip": (("low", "high"), _clip),  # low ≤ x ≤ high
    "bytes": (("full",), _bytes),  # 8-bit: floor(255 x / full) within 0 … 255, so `full` becomes 255
    "stretch": (("low", "high"), _stretch),  # 8-bit to 8-bit: floor(255 (x − low) / (high − low)) within 0 … 255
    "standardize": (("mean", "std"), _standardize),  # (x − mean) / std
}
"""Kind → names of its constants, the function."""

# ImageNet, on inputs of 0 … 1: https://github.com/pytorch/vision/blob/v0.20.0/references/classification/presets.py#L38
_IMAGENET = Step("standardize", {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)})

CACO: tuple[Step, ...] = (
    # Reflectance 0 … 1 exported as 8 bit, truncated:
    # https://github.com/ServiceNow/seasonal-contrast/blob/8285173/datasets/seco_downloader.py (get_patch)
    Step("bytes", {"full": (10000.0,)}),
    # 2 % and 98 % quantiles of B04, B03, B02, truncated to 8 bit again:
    # https://github.com/ServiceNow/seasonal-contrast/blob/8285173/datasets/seco_dataset.py (QUANTILES), and the same at
    # https://github.com/utkarshmall13/CACo/blob/7c4fbc8/src/datasets/seco_dataset.py
    Step("stretch", {"low": (0.0, 2.0, 3.0), "high": (129.0, 103.0, 88.0)}),
    Step("scale", {"factor": (255.0,)}),
    _IMAGENET,
)
"""What CACo and SeCo were trained on, for bands B04, B03, B02."""

TRUE_COLOUR: tuple[Step, ...] = (
    # assumed: reflectance 0 … 0.3 fills the 8 bits, the usual rendering of Sentinel-2 (SeCo's previews:
    # https://github.com/ServiceNow/seasonal-contrast/blob/8285173/datasets/seco_downloader.py, save_patch). Networks
    # trained on photographs or on fMoW's colour images (ImageNet, MoCo, GSSL) never saw reflectance.
    Step("bytes", {"full": (3000.0,)}),
    Step("scale", {"factor": (255.0,)}),
    _IMAGENET,
)
"""Bands B04, B03, B02 as an 8-bit colour image, then ImageNet's mean and deviation."""

# Mean and standard deviation of level-2A digital numbers over SSL4EO-S12 (S2A_MEAN, S2A_STD):
# https://github.com/zhu-xlab/SSL4EO-S12/blob/1dc0c83/src/benchmark/pretrain_ssl/datasets/SSL4EO/ssl4eo_dataset.py
_L2A_STATISTICS: dict[str, tuple[float, float]] = {
    "B01": (752.40087073, 1108.02887453),
    "B02": (884.29673756, 1155.15170768),
    "B03": (1144.16202635, 1183.6292542),
    "B04": (1297.47289228, 1368.11351514),
    "B05": (1624.90992062, 1370.265037),
    "B06": (2194.6423161, 1355.55390699),
    "B07": (2422.21248945, 1416.51487101),
    "B08": (2517.76053101, 1474.78900051),
    "B8A": (2581.64687018, 1439.3086061),
    "B09": (2645.51888987, 1582.28010962),
    "B11": (2368.51236873, 1455.52084939),
    "B12": (1805.06846033, 1343.48379601),
}


def default_steps(bands: Sequence[str]) -> tuple[Step, ...]:
    """Normalization for weights that bring none: true colour for B04, B03, B02, else per-band mean and deviation."""
    if tuple(bands) == RGB:
        return TRUE_COLOUR
    mean, std = zip(*(_L2A_STATISTICS[band] for band in bands), strict=True)
    return (Step("standardize", {"mean": mean, "std": std}),)


def step_faults(step: Step, bands: Sequence[str]) -> list[str]:
    """What is wrong with a step for these bands, one sentence each; empty when nothing is."""
    if step.kind not in STEP_KINDS:
        return [f"normalization step '{step.kind}' is unknown"]
    names = STEP_KINDS[step.kind][0]
    if set(step.values) != set(names):
        return [f"step {step.kind} has the constants {sorted(step.values)}, not {sorted(names)}"]
    return [
        f"step {step.kind} has {len(values)} numbers for '{name}', not 1 or {len(bands)}, or one that is not finite"
        for name, values in step.values.items()
        if len(values) not in {1, len(bands)} or not all(math.isfinite(v) for v in values)
    ]


class Normalizer(nn.Module):
    """A normalization as a module without parameters."""

    def __init__(self, steps: Sequence[Step], bands: Sequence[str]) -> None:
        """Make it.

        Raises:
            WeightsError: A step is unknown or has another number of constants than there are bands.
        """
        super().__init__()
        faults = [fault for step in steps for fault in step_faults(step, bands)]
        if faults:
            raise WeightsError("; ".join(faults), "known steps with one number, or one a band", "mend the JSON file")
        self._order: list[tuple[str, list[str]]] = []
        for i, step in enumerate(steps):
            buffers = []
            for name in STEP_KINDS[step.kind][0]:
                values = torch.tensor(step.values[name], dtype=torch.float32).view(1, -1, 1, 1)
                self.register_buffer(f"step{i}_{name}", values, persistent=False)
                buffers.append(f"step{i}_{name}")
            self._order.append((step.kind, buffers))

    def forward(self, x: Tensor) -> Tensor:
        """Normalize float32 (B, C, H, W) in digital numbers."""
        for kind, buffers in self._order:
            x = STEP_KINDS[kind][1](x, *(getattr(self, name) for name in buffers))
        return x
