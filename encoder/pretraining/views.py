"""Views of images for contrastive learning: whole batches on the device, with all chance drawn before on the CPU.

    views = Views(new_config("published", side=264, crop=224), normalization.CACO, RGB, full=255.0, device="cuda")
    draw = views.draw(256, torch.Generator().manual_seed(1))      # of the global batch
    x = views(raw[first:last], draw[first:last], augment=True)    # of this rank's rows

What is drawn for a row depends on nothing but the generator, and what is done to it on no other row: ranks that draw
the same and take their own rows get what one device would. Nothing waits for the device.

Two kinds. "published" is CACo's (as SeCo's and MoCo v2's): colour jitter, grey, blur, mirror, crop. Of bands other than
true colour it changes brightness and contrast only. "spectral" changes what differs between looks at the same ground
and keeps spectra: light, haze, noise, shift, the eight ways to lay a square, and milder crops.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from stac.bands import RGB
from stac.errors import DataError, WeightsError

from ..normalization import Normalizer, Step
from . import crops, views_published, views_spectral
from .crops import CropConfig
from .views_published import ColourConfig
from .views_spectral import SpectralConfig

KINDS = ("published", "spectral")

_DN = 10_000.0
"""Digital number of reflectance 1, in which normalizations are written."""

_CHUNK = 1 << 18
"""Numbers (images × bands × pixels) that a CPU works on at once, so that they stay in its cache. measured:
bench/views.py."""


@dataclass(frozen=True)
class ViewConfig:
    """How a view is made; `new_config` gives the two that are meant."""

    kind: str
    """One of `KINDS`."""
    crop: CropConfig
    """Geometry; mirrors, turns, shifts and blur only where augmented."""
    colour: ColourConfig = field(default_factory=ColourConfig)
    """Of "published"."""
    nuisance: SpectralConfig = field(default_factory=SpectralConfig)
    """Of "spectral"."""

    def __post_init__(self) -> None:
        """Check the kind.

        Raises:
            DataError: It is unknown.
        """
        if self.kind not in KINDS:
            raise DataError(f"views of the kind '{self.kind}'", " or ".join(KINDS), "choose one of them")


def new_config(kind: str, side: int, crop: int) -> ViewConfig:
    """Views as published, or for spectra.

    Args:
        kind: One of `KINDS`.
        side: Side of the images, pixels.
        crop: Side of the views, pixels. Published: 224 from 264.

    Raises:
        DataError: The kind is unknown, or a side is below 1.
    """
    shape = CropConfig(side=side, crop=crop)
    if kind == "spectral":
        # assumed: crops of half the area or more, for a chip of 640 m shows little; overhead nothing tells up from
        # left; 0.5 pixel of shift, the 5 m that 95 % of refined pairs stay within (`stac.simulation.passes.new_shift`);
        # no blur, which hides what roads are known by.
        shape = replace(shape, scale=(0.5, 1.0), mirror_y=0.5, turn=0.5, shift=0.5, blur=0.0)
    return ViewConfig(kind, shape)


@dataclass(frozen=True, eq=False)
class ViewDraw:
    """All chance of one view of some rows; of some of these rows, by slice or by numbers, in turn."""

    names: tuple[str, ...]
    """Of the columns: those of `crops`, then those of `views_published` or `views_spectral`."""
    values: Tensor
    """float32 (rows, columns) on the CPU."""

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, rows: slice | Tensor) -> ViewDraw:
        return ViewDraw(self.names, self.values[rows])

    def columns(self, device: torch.device | str = "cpu") -> dict[str, Tensor]:
        """Columns by name, float32 (rows,) on a device; copied in one piece, without waiting for the device."""
        values = self.values
        if torch.device(device).type == "cuda":
            values = values.pin_memory().to(device, non_blocking=True)
        return dict(zip(self.names, values.unbind(1), strict=True))


class Views:
    """Makes views of one kind from raw images of some bands."""

    def __init__(
        self, config: ViewConfig, steps: Sequence[Step], bands: Sequence[str], full: float, device: torch.device | str
    ) -> None:
        """Make it.

        Args:
            config: How.
            steps: Normalization from reflectance × 10,000; the last one standardizes.
            bands: Of the images, in order.
            full: Raw value of reflectance 1: 10000, or 255 in published archives.
            device: Where images are.

        Raises:
            WeightsError: The steps do not fit the bands, or do not end with standardizing.
        """
        self.config, self.bands, self.device = config, tuple(bands), torch.device(device)
        Normalizer(steps, bands)  # refuses what does not fit
        if not steps or steps[-1].kind != "standardize":
            found = f"a normalization that ends with '{steps[-1].kind if steps else 'nothing'}'"
            raise WeightsError(found, "'standardize', for views change an image before that", "give such steps")
        *before, last = in_raw_units(steps, full)
        self._before = Normalizer(before, bands).to(self.device) if before else None
        mean, std = (torch.tensor(last.values[name], device=self.device) for name in ("mean", "std"))
        self._scale = (1 / std).expand(len(bands)).contiguous()
        self._offset = (-mean / std).expand(len(bands)).contiguous()
        self._colour = config.kind == "published" and self.bands == RGB and _ends_at_one(before)
        self._nuisance = None
        if config.kind == "spectral":
            numbers = len(bands) * config.crop.side**2
            self._nuisance = views_spectral.Nuisance(bands, full, numbers, self.device)

    def draw(self, rows: int, generator: torch.Generator) -> ViewDraw:
        """Draw all chance of one view.

        Args:
            rows: Of the global batch.
            generator: On the CPU; always advanced by the same count for the same rows.
        """
        values = [crops.draw_crops(self.config.crop, rows, generator)]
        if self.config.kind == "published":
            values.append(views_published.draw_colour(self.config.colour, rows, generator))
            return ViewDraw((*crops.COLUMNS, *views_published.COLUMNS), torch.cat(values, 1))
        values.append(views_spectral.draw_nuisance(self.config.nuisance, rows, generator))
        return ViewDraw((*crops.COLUMNS, *views_spectral.COLUMNS), torch.cat(values, 1))

    @torch.no_grad()
    def __call__(self, raw: Tensor, draw: ViewDraw, augment: bool) -> Tensor:
        """Make views.

        Pixels without data get their image's mean, as in embedding (`encoder.embed.fill_unseen`).

        Args:
            raw: Integers (B, C, side, side) on the device, reflectance × `full`, 0 = no data: uint8, uint16, or int16
                with uint16's bits. In uint8, where 0 is dark as well, a pixel lacks data only if all bands do.
            draw: Of these rows.
            augment: False leaves only the crop (CACo's P), True makes all changes (its A and P).

        Returns:
            float32 (B, C, crop, crop) in channels-last memory, normalised.

        Raises:
            DataError: Images or draw are of another shape, or images are no integers.
        """
        config = self.config.crop
        if raw.shape[1:] != (len(self.bands), config.side, config.side) or len(draw) != len(raw):
            expected = f"{len(draw)} × {len(self.bands)} × {config.side} × {config.side}"
            raise DataError(f"images of {' × '.join(map(str, raw.shape))}", expected, "give the images of this draw")
        if raw.is_floating_point():
            raise DataError(f"images of {raw.dtype}", "raw integers", "give them before any normalization")
        if self.device.type != "cpu":
            x = self._make(raw, draw.columns(self.device), draw.columns(), augment)
            return x.contiguous(memory_format=torch.channels_last)
        shape = (len(raw), len(self.bands), config.crop, config.crop)
        out = torch.empty(shape, memory_format=torch.channels_last)
        chunk = max(1, _CHUNK // (len(self.bands) * config.side**2))
        order = self._alike(draw.columns()) if augment else None
        for first in range(0, len(raw), chunk):
            rows = slice(first, first + chunk)
            if order is None:
                columns = draw[rows].columns()
                out[rows] = self._make(raw[rows], columns, columns, augment)
            else:
                some = order[rows]
                columns = draw[some].columns()
                made = self._make(raw.index_select(0, some), columns, columns, augment)
                for row, image in zip(some.tolist(), made, strict=True):
                    out[row] = image  # half the time of out[some] = made
        return out

    def _alike(self, columns: Mapping[str, Tensor]) -> Tensor:
        """Numbers of all rows, those together that need the same steps: what no row of a chunk needs is left out."""
        effort = (columns["sigma"] > 0).to(torch.int64)
        if self._colour:
            effort = effort * 256 + views_published.slots_used(columns)
        return effort.argsort(stable=True)

    def _make(self, raw: Tensor, draw: Mapping[str, Tensor], known: Mapping[str, Tensor], augment: bool) -> Tensor:
        x = fill_no_data(widen(raw), each_band=raw.dtype != torch.uint8)
        if augment and self._nuisance is not None:
            x = self._spectral(x, draw, known, self._nuisance)
        if self._before is not None:
            x = self._before(x)
        scale, offset = self._scale, self._offset
        if augment and self._colour:
            x = views_published.change_colour(x, draw, known)
        elif augment and self._nuisance is None:
            # Both factors are gains and offsets by band, as standardizing is, so all of them come to one.
            gain, more = views_published.light_change(draw, x.mean((2, 3)))
            scale, offset = scale * gain, offset + scale * more
        blurred = augment and bool((known["sigma"] > 0).any())
        # Standardizing commutes with cropping, and is fastest before it, where a band's pixels lie together.
        x = x.mul_(scale[..., None, None]).add_(offset[..., None, None])
        return crops.crop_images(x, draw, self.config.crop, plain=not augment, blurred=blurred)

    def _spectral(
        self, x: Tensor, draw: Mapping[str, Tensor], known: Mapping[str, Tensor], nuisance: views_spectral.Nuisance
    ) -> Tensor:
        mean = x.mean((2, 3))
        gain, offset = nuisance.light(draw)
        x = x.mul_(gain[..., None, None]).add_(offset[..., None, None])
        if bool((known["noise"] > 0).any()):
            noise, spread = nuisance.noise(draw, mean)
            x = x.addcmul_(noise.view_as(x), spread[..., None, None])
        return x


def widen(raw: Tensor) -> Tensor:
    """float32 from raw integers: uint8, uint16, or int16 that holds uint16's bits."""
    if raw.dtype in (torch.int16, torch.uint16):
        # Few operations take uint16 on a GPU; the sign bit is put back after widening.
        raw = raw.view(torch.uint16) if raw.device.type == "cpu" else raw.view(torch.int16).to(torch.int32) & 0xFFFF
    return raw.to(torch.float32, memory_format=torch.contiguous_format)


def fill_no_data(x: Tensor, *, each_band: bool) -> Tensor:
    """Give pixels without data their image's own mean, band by band.

    Args:
        x: float32 (B, C, H, W), 0 = no data; may be changed.
        each_band: Whether 0 in one band is no data; else only 0 in all bands.

    Returns:
        float32 (B, C, H, W); 0 throughout a band without any data.
    """
    if x.device.type == "cpu" and bool((x.amin((2, 3)) > 0).all()):
        return x  # nothing lacks: only on a CPU is it free to ask
    seen = x > 0 if each_band else (x > 0).any(1, keepdim=True)
    mean = x.sum((2, 3), keepdim=True) / seen.sum((2, 3), keepdim=True).clamp_min(1)
    return torch.where(seen, x, mean)


def in_raw_units(steps: Sequence[Step], full: float) -> list[Step]:
    """The same normalization for raw values of which `full` is reflectance 1.

    Constants are scaled rather than the images: that costs nothing, and 8-bit values that were cut off once stay whole
    when they are cut off again.

    Args:
        steps: From reflectance × 10,000.
        full: Raw value of reflectance 1.
    """
    out, raw = [], True
    for step in steps:
        values = {name: tuple(v * full / _DN for v in numbers) for name, numbers in step.values.items()}
        out.append(Step(step.kind, values) if raw else step)
        raw = raw and step.kind == "clip"  # the others come out in units of their own
    return out


def _ends_at_one(steps: Sequence[Step]) -> bool:
    """Whether images lie between 0 and 1 after these steps: 8 bits, divided by 255."""
    if len(steps) < 2 or steps[-2].kind not in {"bytes", "stretch"}:
        return False
    return steps[-1].kind == "scale" and tuple(steps[-1].values["factor"]) == (255.0,)
