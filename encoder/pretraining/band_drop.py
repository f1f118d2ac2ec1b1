"""Networks of many bands learn with some of them missing, so that later a subset of them can be embedded.

A missing band is 0 after standardizing, which is the band's mean over the training data; embedding a subset puts the
same there. How many rows keep the same bands is the caller's choice, and so is whether a row's views do. Beware: where
a row's views do and other rows' do not, what is missing tells a row's own keys from others without a look at the
ground; where its views do not, the change estimate measures what is missing too.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from stac.errors import DataError

_VISIBLE = ("B02", "B03", "B04")


@dataclass(frozen=True)
class BandDropConfig:
    """Which bands are kept how often."""

    usual: tuple[tuple[tuple[str, ...], float], ...] = field(
        default=((_VISIBLE, 0.15), ((*_VISIBLE, "B08"), 0.15), ((*_VISIBLE, "B08", "B12"), 0.15))
    )
    """Subsets that people have, each with its chance: true colour, with near infrared, with short-wave infrared.
    assumed: the chances."""
    other: float = 0.15
    """Chance of any other subset: a count from `least` up to all, each as likely, then that many bands. assumed."""
    least: int = 3
    """Bands kept at least."""

    def __post_init__(self) -> None:
        """Check the chances; what they lack to 1 is the chance of all bands.

        Raises:
            DataError: One is below 0, they come to more than 1, or no band needs to be kept.
        """
        chances = [*(chance for _, chance in self.usual), self.other]
        if min(chances) < 0 or math.fsum(chances) > 1 or self.least < 1:
            found = f"chances {chances} of band subsets of at least {self.least}"
            raise DataError(found, "chances that come to 1 at most, and at least 1 band", "set the chances")


def draw_kept(
    bands: Sequence[str], rows: int, generator: torch.Generator, config: BandDropConfig | None = None, together: int = 1
) -> Tensor:
    """Draw the bands that rows keep.

    A usual subset is taken as far as `bands` has it; where that is less than `least`, all bands are kept instead.

    Args:
        bands: Of the network.
        rows: How many.
        generator: On the CPU; always advanced by the same count for the same rows and bands.
        config: None for the usual chances.
        together: Rows that follow each other and keep the same bands: 2 where the halves of a location do, `rows` for
            one subset a batch.

    Returns:
        bool (rows, C) on the CPU.

    Raises:
        DataError: There are fewer bands than are kept at least, or rows that come together do not fill the batch.
    """
    config = config or BandDropConfig()
    count, groups = len(bands), rows // max(1, together)
    if count < config.least or together < 1 or rows % together:
        found = f"{rows} rows, {together} together, of {count} bands"
        raise DataError(found, f"whole groups of rows, and at least {config.least} bands", "set least or together")
    kept = [torch.tensor([band in subset for band in bands]) for subset, _ in config.usual]
    kept = [subset if int(subset.sum()) >= config.least else torch.ones_like(subset) for subset in kept]
    draw = torch.rand((groups, count + 2), generator=generator)
    many = config.least + (draw[:, 1:2] * (count - config.least + 1)).floor()
    any_ = draw[:, 2:].argsort(1).argsort(1) < many
    table = torch.stack([*kept, torch.ones(count, dtype=torch.bool)])
    ends = torch.tensor([config.other, *(chance for _, chance in config.usual)]).cumsum(0)
    choice = torch.bucketize(draw[:, 0].contiguous(), ends, right=True)  # 0 any, then the usual ones, then all
    out = torch.where((choice == 0)[:, None], any_, table[(choice - 1).clamp_min(0)])
    return out.repeat_interleave(together, 0)


def drop_bands(x: Tensor, kept: Tensor, *, rescale: bool = False) -> Tensor:
    """Put 0 where a band is missing.

    Args:
        x: float32 (B, C, H, W), standardized; changed in place.
        kept: bool (B, C) on any device.
        rescale: Multiply what is left by C / (bands kept), as dropout does, so that the first layer's sums keep their
            size. Off: batch norm follows the first layer, and embedding then needs no factor either.

    Returns:
        `x`.
    """
    factor = kept.to(torch.float32)
    if rescale:
        factor = factor * (kept.shape[1] / factor.sum(1, keepdim=True).clamp_min(1))
    if x.device.type == "cuda" and factor.device.type == "cpu":
        factor = factor.pin_memory()
    return x.mul_(factor.to(x.device, non_blocking=True)[..., None, None])
