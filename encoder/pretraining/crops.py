"""Where a view looks: crops of random size, mirrored, turned, shifted and blurred, for a whole batch at once.

Cropping, resizing with antialiasing, mirroring, shifting and Gaussian blur are all linear and act on rows and columns
apart. So they are one matrix (crop, side) an image and axis, and a crop is two batched matrix products; where nothing
is blurred and nothing shrinks, sampling between four neighbours gives the same for less work on a CPU.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from stac.errors import DataError

COLUMNS = ("top", "left", "height", "width", "shift_y", "shift_x", "mirror_y", "mirror_x", "turn", "sigma")
"""What `draw_crops` draws: box in whole pixels, shift in pixels, 1 where mirrored along an axis or transposed, and the
blur's sigma in pixels (0 none)."""

_AXES = (("top", "height", "shift_y", "mirror_y"), ("left", "width", "shift_x", "mirror_x"))

_ATTEMPTS = 10
"""Boxes tried before the whole image is taken. Source: torchvision's `RandomResizedCrop.get_params`,
https://github.com/pytorch/vision/blob/v0.20.0/torchvision/transforms/transforms.py."""

_REACH = 4.0
"""Sigmas at which the Gaussian is cut off; beyond lies 6e-5 of it. assumed."""

_LEAST_SIGMA = 0.05
"""Pixels; at this sigma a neighbour's weight is 1e-87, nought in float32, so no blur needs no case of its own."""

_WIDEST_SHIFT = 0.5
"""Pixels; farther, and an output pixel at a crop's edge could reach no pixel of the crop."""


@dataclass(frozen=True)
class CropConfig:
    """Geometry of a view."""

    side: int
    """Side of the images that come in, pixels."""
    crop: int
    """Side of the views that go out, pixels."""
    scale: tuple[float, float] = (0.2, 1.0)
    """Least and greatest part of the image's area. Source: (0.2, 1), CACo (https://github.com/utkarshmall13/CACo/blob/
    7c4fbc8/src/datasets/seco_dataset.py) after MoCo v2's --aug-plus (https://github.com/facebookresearch/moco/blob/
    7397dfe/main_moco.py)."""
    ratio: tuple[float, float] = (3 / 4, 4 / 3)
    """Least and greatest width over height. Source: torchvision's default."""
    mirror_x: float = 0.5
    """Chance of left for right. Source: 0.5, the same two."""
    mirror_y: float = 0.0
    """Chance of top for bottom. Source: 0, the same two."""
    turn: float = 0.0
    """Chance of rows for columns; with 0.5 here and for both mirrors all eight ways to lay a square come equally often,
    quarter turns among them."""
    shift: float = 0.0
    """Greatest shift down and right, pixels, of either sign."""
    blur: float = 0.5
    """Chance of a Gaussian blur. Source: 0.5, the same two."""
    sigma: tuple[float, float] = (0.1, 2.0)
    """Least and greatest sigma of the blur, pixels of the incoming image. Source: (0.1, 2), the same two: Pillow's
    radius is the sigma."""

    def __post_init__(self) -> None:
        """Check the numbers.

        Raises:
            DataError: A size is below one pixel, a part or chance is none, a shift is too far.
        """
        if self.side < 1 or self.crop < 1:
            raise DataError(f"views of {self.crop} from images of {self.side} pixels", "at least 1", "set the sides")
        if not 0 < self.scale[0] <= self.scale[1] <= 1 or not 0 < self.ratio[0] <= 1 <= self.ratio[1]:
            expected = "parts above 0 up to 1, and a ratio around 1"
            raise DataError(f"crops of scale {self.scale} and ratio {self.ratio}", expected, "set scale and ratio")
        if not all(0 <= p <= 1 for p in (self.mirror_x, self.mirror_y, self.turn, self.blur)):
            raise DataError("a chance of a mirror, turn or blur that is none", "0 to 1", "set the chances")
        if not 0 <= self.shift <= _WIDEST_SHIFT or not 0 < self.sigma[0] <= self.sigma[1]:
            expected = f"a shift up to {_WIDEST_SHIFT} pixels and a sigma above 0"
            raise DataError(f"a shift of {self.shift} and a sigma of {self.sigma}", expected, "set shift and sigma")


def draw_crops(config: CropConfig, rows: int, generator: torch.Generator) -> Tensor:
    """Draw the geometry of views.

    Boxes are those of torchvision's `RandomResizedCrop`: area and logarithm of the ratio uniform, sides rounded, drawn
    again while they do not fit, the whole image after ten times. Always the same count of random numbers.

    Args:
        config: What to draw from.
        rows: How many.
        generator: On the CPU.

    Returns:
        float32 (rows, len(COLUMNS)) on the CPU.
    """
    draw = torch.rand((rows, 2 * _ATTEMPTS + 9), generator=generator, dtype=torch.float64)
    area, bend, rest = draw[:, :_ATTEMPTS], draw[:, _ATTEMPTS : 2 * _ATTEMPTS], draw[:, 2 * _ATTEMPTS :].unbind(1)
    area = config.side**2 * _between(area, config.scale)
    ratio = _between(bend, (math.log(config.ratio[0]), math.log(config.ratio[1]))).exp()
    sides = torch.stack([(area / ratio).sqrt().round(), (area * ratio).sqrt().round()], dim=-1)
    fits = ((sides > 0) & (sides <= config.side)).all(-1)
    box = sides[torch.arange(rows), fits.to(torch.int8).argmax(1)]
    box = torch.where(fits.any(1, keepdim=True), box, float(config.side))
    corner = (torch.stack(rest[:2], 1) * (config.side - box + 1)).floor()
    shift = _between(torch.stack(rest[2:4], 1), (-config.shift, config.shift))
    flags = [u < p for u, p in zip(rest[4:7], (config.mirror_y, config.mirror_x, config.turn), strict=True)]
    sigma = torch.where(rest[7] < config.blur, _between(rest[8], config.sigma), 0.0)
    return torch.cat([corner, box, shift, torch.stack(flags, 1), sigma[:, None]], 1).to(torch.float32)


def _between(u: Tensor, ends: tuple[float, float]) -> Tensor:
    return ends[0] + (ends[1] - ends[0]) * u


def crop_images(x: Tensor, draw: Mapping[str, Tensor], config: CropConfig, *, plain: bool, blurred: bool) -> Tensor:
    """Cut views out of images.

    Nothing outside a box is looked at, as when cutting comes before resizing, unless blur carried it in. Weights sum to
    one: a constant image stays as it is. Edges are repeated outwards for the blur, as Pillow does.

    Args:
        x: float32 (B, C, side, side), contiguous.
        draw: Columns of `draw_crops`, float32 (B,) on the device of `x`.
        config: Sides of images and views.
        plain: Leave mirrors, turns, shifts and blur out.
        blurred: Whether any sigma is above 0, which the caller knows without asking the device.

    Returns:
        float32 (B, C, crop, crop), in channels-last memory where the matrices made it.
    """
    turn = None if plain or config.turn == 0 else draw["turn"].bool().view(-1, 1, 1, 1)
    if x.device.type == "cpu" and config.crop >= config.side and (plain or not blurred):
        return _sample(x, _centres(draw, config, plain), draw, turn)
    sigma = None if plain or not blurred else draw["sigma"]
    rows, columns = _matrices(_centres(draw, config, plain), draw, config, sigma)
    b, c, side, _ = x.shape
    x = torch.bmm(x.view(b, c * side, side), columns.transpose(1, 2))
    # The one change of layout on the way to channels last is made between the products, where the image is smallest.
    x = x.view(b, c, side, config.crop).permute(0, 2, 3, 1).reshape(b, side, config.crop * c)
    x = torch.bmm(rows, x).view(b, config.crop, config.crop, c)
    if turn is not None:
        x = torch.where(turn, x.transpose(1, 2), x, out=torch.empty_like(x))
    return x.permute(0, 3, 1, 2)


def _centres(draw: Mapping[str, Tensor], config: CropConfig, plain: bool) -> tuple[Tensor, Tensor]:
    """Where rows and columns of a view look, pixels from the image's edge: two (B, crop)."""
    at = torch.arange(config.crop, device=draw["top"].device, dtype=torch.float32) + 0.5
    out = []
    for start, length, shift, mirror in _AXES:
        first, step = draw[start][:, None], draw[length][:, None] / config.crop
        if plain:
            out.append(first + at * step)
        else:
            along = torch.where(draw[mirror][:, None].bool(), config.crop - at, at)
            out.append(first + draw[shift][:, None] + along * step)
    return out[0], out[1]


def _matrices(
    centres: tuple[Tensor, Tensor], draw: Mapping[str, Tensor], config: CropConfig, sigma: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Matrices (B, crop, side) for rows and columns.

    Source of the weights: triangles as wide as the pixel that goes out, at least as one that comes in, as Pillow's and
    torchvision's bilinear resizing with antialiasing have them.
    """
    starts = torch.stack([draw["top"], draw["left"]])[..., None, None]
    lengths = torch.stack([draw["height"], draw["width"]])[..., None, None]
    at = torch.arange(config.side, device=starts.device, dtype=torch.float32) + 0.5
    weights = torch.stack(centres)[..., None] - at
    weights = (1 - weights.abs() / (lengths / config.crop).clamp_min(1)).clamp_min(0)
    weights = weights * ((at > starts) & (at < starts + lengths))
    weights = weights / weights.sum(-1, keepdim=True)
    if sigma is not None:
        weights = weights @ _gaussian(sigma, config)
    return weights[0], weights[1]


def _gaussian(sigma: Tensor, config: CropConfig) -> Tensor:
    """Matrices (B, side, side) that blur along an axis, what lies beyond an edge being the edge's pixel."""
    reach = math.ceil(_REACH * config.sigma[1])
    at = torch.arange(config.side, device=sigma.device, dtype=torch.float32)
    beyond = torch.arange(-reach, config.side + reach, device=sigma.device, dtype=torch.float32)
    apart = beyond - at[:, None]
    weights = torch.exp(-0.5 * (apart / sigma.clamp_min(_LEAST_SIGMA)[:, None, None]) ** 2) * (apart.abs() <= reach)
    weights = weights / weights.sum(-1, keepdim=True)
    inside = weights[..., reach:-reach].clone()
    inside[..., 0] += weights[..., :reach].sum(-1)
    inside[..., -1] += weights[..., -reach:].sum(-1)
    return inside


def _sample(x: Tensor, centres: tuple[Tensor, Tensor], draw: Mapping[str, Tensor], turn: Tensor | None) -> Tensor:
    """Views sampled between four neighbours: what the matrices give where nothing shrinks and nothing is blurred."""
    side, at = x.shape[-1], []
    for (start, length, *_), centre in zip(_AXES, centres, strict=True):
        first = draw[start][:, None] + 0.5
        # grid_sample counts from -1 to 1, edge to edge; held inside the box, as the matrices are.
        at.append(torch.clamp(centre, first, first + draw[length][:, None] - 1) * (2 / side) - 1)
    crop = at[0].shape[1]
    y, x_ = at[0][:, :, None].expand(-1, -1, crop), at[1][:, None, :].expand(-1, crop, -1)
    grid = torch.stack([x_, y], -1)
    if turn is not None:
        grid = torch.where(turn, grid.transpose(1, 2), grid)
    return functional.grid_sample(x, grid, mode="bilinear", padding_mode="border", align_corners=False)
