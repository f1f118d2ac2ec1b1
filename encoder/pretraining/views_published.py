"""Colour as MoCo v2, SeCo and CACo change it: jitter of four kinds in random order, and grey.

Brightness, contrast, saturation and grey are all one formula: a pixel is mixed with something grey of its own, of its
image, or with black. So each is a 3 × 3 matrix and an offset an image, whatever the order: up to three of them before
the hue, up to three after it, then grey; those that a row does not need are the identity. Nothing depends on what the
device finds, and slots that no row needs are left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from stac.errors import DataError

_SLOTS = 3
"""Mixtures before the hue, and as many after it: the three others may all fall on one side."""

COLUMNS = (
    "brightness",
    "contrast",
    "saturation",
    "hue",
    *(f"{part}{slot}" for slot in range(2 * _SLOTS + 1) for part in ("own", "mean", "grey")),
)
"""What `draw_colour` draws: the four factors (1, 1, 1 and 0 where a row is left alone), then for each slot the weight
of the pixel itself, of its image's mean grey, and of its own grey; what they lack to 1 is black."""

_LUMA = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in grey. Source: Recommendation ITU-R BT.601, as Pillow's mode L has them."""

_TINY = 1e-12
"""Least chroma that is divided by: below it there is no hue."""


@dataclass(frozen=True)
class ColourConfig:
    """Strength of the colour's changes.

    Source of all numbers: CACo (https://github.com/utkarshmall13/CACo/blob/7c4fbc8/src/datasets/seco_dataset.py) after
    MoCo v2's --aug-plus (https://github.com/facebookresearch/moco/blob/7397dfe/main_moco.py).
    """

    jitter: float = 0.8
    """Chance that an image's brightness, contrast, saturation and hue are changed, all four."""
    brightness: float = 0.4
    """Greatest departure of the factor from 1."""
    contrast: float = 0.4
    """Greatest departure of the factor from 1."""
    saturation: float = 0.4
    """Greatest departure of the factor from 1; true colour only."""
    hue: float = 0.1
    """Greatest turn of the hue, in parts of the full circle, of either sign; true colour only."""
    grey: float = 0.2
    """Chance that an image becomes grey; true colour only."""

    def __post_init__(self) -> None:
        """Check the numbers.

        Raises:
            DataError: A chance or departure is outside 0 to 1, or a hue outside 0 to 0.5.
        """
        parts = (self.jitter, self.brightness, self.contrast, self.saturation, self.grey)
        if not all(0 <= part <= 1 for part in parts) or not 0 <= self.hue <= 0.5:
            raise DataError(f"colour changes of {self}", "0 to 1, and a hue of 0 to 0.5", "set the strengths")


def draw_colour(config: ColourConfig, rows: int, generator: torch.Generator) -> Tensor:
    """Draw changes of colour; always the same count of random numbers.

    Args:
        config: What to draw from.
        rows: How many.
        generator: On the CPU.

    Returns:
        float32 (rows, len(COLUMNS)) on the CPU.
    """
    draw = torch.rand((rows, 10), generator=generator)
    wide = torch.tensor([config.brightness, config.contrast, config.saturation, config.hue])
    still = torch.tensor([1.0, 1.0, 1.0, 0.0])
    factors = torch.where(draw[:, 8:9] < config.jitter, still + wide * (2 * draw[:, :4] - 1), still)
    place = draw[:, 4:8].argsort(1)  # place of each of the four in the order
    slots = torch.zeros((rows, 2 * _SLOTS + 1, 3))
    slots[:, :, 0] = 1.0
    row, hue = torch.arange(rows), place[:, 3]
    for kind in range(3):
        after = place[:, kind] > hue
        slot = torch.where(after, _SLOTS - 1 + place[:, kind], place[:, kind])
        slots[row, slot, 0] = factors[:, kind]
        if kind:
            slots[row, slot, kind] = 1.0 - factors[:, kind]
    grey = draw[:, 9] < config.grey
    slots[:, -1, 0] = torch.where(grey, 0.0, 1.0)
    slots[:, -1, 2] = torch.where(grey, 1.0, 0.0)
    return torch.cat([factors, slots.flatten(1)], 1)


def slots_used(columns: Mapping[str, Tensor]) -> Tensor:
    """Which slots rows need, and whether the hue turns, as the bits of int64 (rows,)."""
    bits = [columns["hue"] != 0, *(columns[f"own{slot}"] != 1 for slot in range(2 * _SLOTS + 1))]
    return sum(
        (bit.to(torch.int64) << place for place, bit in enumerate(bits)), torch.zeros_like(bits[0], dtype=torch.int64)
    )


def change_colour(x: Tensor, draw: Mapping[str, Tensor], known: Mapping[str, Tensor]) -> Tensor:
    """Change the colour of true-colour images.

    Each step gives what torchvision's `adjust_brightness`, `adjust_contrast`, `adjust_saturation`, `adjust_hue` and
    `to_grayscale` give, cut off at 0 and 1 each time.

    Args:
        x: float32 (B, 3, H, W), red, green, blue from 0 to 1, contiguous.
        draw: Columns of `draw_colour`, float32 (B,) on the device of `x`.
        known: The same on the CPU: what nobody needs is left out without asking the device.

    Returns:
        float32 (B, 3, H, W) from 0 to 1.
    """
    for slot in range(2 * _SLOTS + 1):
        if slot == _SLOTS and bool((known["hue"] != 0).any()):
            x = turn_hue(x, draw["hue"])
        if bool((known[f"own{slot}"] != 1).any()):
            mean = draw[f"mean{slot}"] if bool((known[f"mean{slot}"] != 0).any()) else None
            x = mix_grey(x, draw[f"own{slot}"], mean, draw[f"grey{slot}"])
    return x


def mix_grey(x: Tensor, own: Tensor, mean: Tensor | None, grey: Tensor) -> Tensor:
    """Mix pixels with their image's mean grey and with their own grey, cut off at 0 and 1.

    Args:
        x: float32 (B, 3, H, W).
        own: float32 (B,), weight of the pixel itself.
        mean: float32 (B,), weight of the mean grey; None for none.
        grey: float32 (B,), weight of the pixel's grey.

    Returns:
        float32 (B, 3, H, W).
    """
    b = len(x)
    luma = torch.tensor(_LUMA, device=x.device) if x.device.type == "cpu" else _luma(x)
    matrix = own[:, None, None] * torch.eye(3, device=x.device) + grey[:, None, None] * luma
    out = torch.bmm(matrix, x.reshape(b, 3, -1))
    if mean is not None:
        out += (mean * (x.mean((2, 3)) @ luma))[:, None, None]
    return out.clamp_(0.0, 1.0).view_as(x)


def _luma(x: Tensor) -> Tensor:
    """The weights on a GPU, filled there: copying them would wait for the device."""
    return torch.stack([torch.full((), weight, device=x.device) for weight in _LUMA])


def turn_hue(x: Tensor, by: Tensor) -> Tensor:
    """Turn the hue, with value and chroma as they are.

    Source: A. R. Smith 1978, Computer Graphics 12 (3), 12 (the hexcone: hue, saturation, value). Here the three colours
    are piecewise linear in the turned hue, so that saturation is never worked out.

    Args:
        x: float32 (B, 3, H, W) from 0 to 1.
        by: float32 (B,), in parts of the full circle.

    Returns:
        float32 (B, 3, H, W).
    """
    red, green, blue = x.unbind(1)
    value = torch.maximum(torch.maximum(red, green), blue)
    low = torch.minimum(torch.minimum(red, green), blue)
    chroma = value - low
    part = chroma.clamp_min(_TINY).reciprocal_()
    hue = torch.where(green == value, (blue - red) * part + 2.0, (red - green) * part + 4.0)
    hue = torch.where(red == value, (green - blue) * part, hue) + 6.0 * by[:, None, None]
    hue = hue.sub_(torch.floor(hue / 6.0), alpha=6.0)  # 0 to 6
    out = torch.empty_like(x, memory_format=torch.contiguous_format)
    out[:, 0] = (hue - 3.0).abs_().sub_(1.0).clamp_(0.0, 1.0).mul_(chroma).add_(low)
    out[:, 1] = (hue - 2.0).abs_().neg_().add_(2.0).clamp_(0.0, 1.0).mul_(chroma).add_(low)
    out[:, 2] = (hue - 4.0).abs_().neg_().add_(2.0).clamp_(0.0, 1.0).mul_(chroma).add_(low)
    return out


def light_change(draw: Mapping[str, Tensor], mean: Tensor) -> tuple[Tensor, Tensor]:
    """Brightness and contrast for any bands, as a gain and an offset for each image and band.

    Bands other than true colour have no hue, no saturation and no grey, and their reflectance has no upper end: the
    factors are shared by all bands, contrast is about each band's own mean, nothing is cut off. Then the order of the
    two does not matter.

    Args:
        draw: Columns of `draw_colour`, float32 (B,).
        mean: float32 (B, C), mean of the image.

    Returns:
        Gain (B, 1) and offset (B, C).
    """
    brightness, contrast = draw["brightness"][:, None], draw["contrast"][:, None]
    return brightness * contrast, brightness * (1.0 - contrast) * mean
