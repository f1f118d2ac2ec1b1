"""What differs between two looks at ground that stayed as it was: light, haze and noise.

All of it is smooth over the wavelength, so that the shape of the spectrum – what tells a burn scar from a harvest – is
left. Gains and offsets are drawn for an image (a scene and date), not for a pixel.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from stac.bands import BANDS
from stac.errors import DataError
from stac.simulation.covers import BANDS as OPTICS_BANDS
from stac.simulation.optics import SNR

COLUMNS = ("gain", "tilt", "haze", "steepness", "noise", "start")
"""What `draw_nuisance` draws: gain of all bands less 1, its tilt from B02 to B12, haze in B02 as reflectance, exponent
of its fall over the wavelength, noise as a multiple of the instrument's, and where in the bank the noise begins (0 to
1)."""

_SNR = dict(zip(OPTICS_BANDS, SNR, strict=True)) | {"B01": 129.0, "B09": 114.0}
"""Signal-to-noise ratio at the reference radiance. Source: as `stac.simulation.optics.SNR`, for B01 and B09 too."""

_BANK = 1 << 20
"""Numbers in the bank of noise, at least. A view takes a run of them that begins anywhere: two runs with the same
beginning are one in a million. float32 still holds each beginning exactly."""

_BANK_SEED = 20230618
"""Of the bank: it never changes, so that a run that goes on sees the same noise. assumed."""


@dataclass(frozen=True)
class SpectralConfig:
    """Strength of what differs between looks; 0 switches each off."""

    gain: float = 0.1
    """Greatest change of all bands together. assumed: 0.1, for light by slope and sun's height, which correction over
    flat ground leaves in; processors alone differ by a few per cent (`stac.simulation.weather.GAIN`)."""
    tilt: float = 0.03
    """Greatest change of B12 against that of B02, half each, linear in the logarithm of the wavelength. assumed: 0.03,
    near two and a half times the spread in `stac.simulation.weather.GAIN`."""
    haze: tuple[float, float] = (-0.01, 0.02)
    """Least and greatest reflectance that is added in B02: what correction leaves, or takes too much. assumed: within
    the −0.015 to 0.03 of `stac.simulation.weather.new_weather`, whose spread is measured (0.011 in B02)."""
    steepness: tuple[float, float] = (1.0, 2.0)
    """Least and greatest exponent with which haze falls over the wavelength. Source: about 1.3 for aerosol, A. Ångström
    1929, Geografiska Annaler 11, 156; assumed: the range, around the 1.5 of `stac.simulation.sky.HAZE_BY_BAND`."""
    noise: float = 2.0
    """Greatest noise as a multiple of the instrument's at an image's mean. assumed: 2, for shade and level 2A have more
    than the ratio at the reference radiance says (`stac.simulation.optics`)."""

    def __post_init__(self) -> None:
        """Check the numbers.

        Raises:
            DataError: A strength is below 0 or would turn reflectance over, a range runs backwards.
        """
        if not (0 <= self.gain < 1 and 0 <= self.tilt < 1 and self.noise >= 0):
            raise DataError(f"a gain, tilt or noise of {self}", "0 or more, gain and tilt below 1", "set them")
        if self.haze[0] > self.haze[1] or not 0 <= self.steepness[0] <= self.steepness[1]:
            raise DataError(f"haze of {self.haze}, {self.steepness}", "the least before the greatest", "set haze")


def draw_nuisance(config: SpectralConfig, rows: int, generator: torch.Generator) -> Tensor:
    """Draw what differs; always the same count of random numbers.

    Args:
        config: What to draw from.
        rows: How many.
        generator: On the CPU.

    Returns:
        float32 (rows, len(COLUMNS)) on the CPU.
    """
    ends = [(-config.gain, config.gain), (-config.tilt, config.tilt), config.haze, config.steepness]
    low, high = torch.tensor([*ends, (0.0, config.noise), (0.0, 1.0)]).unbind(1)
    return low + (high - low) * torch.rand((rows, len(COLUMNS)), generator=generator)


class Nuisance:
    """Applies what was drawn, in the units of reflectance × `full`."""

    def __init__(self, bands: Sequence[str], full: float, numbers: int, device: torch.device) -> None:
        """Make it, with its bank of noise.

        Args:
            bands: Of the images.
            full: Value of reflectance 1.
            numbers: Of one image: bands × rows × columns.
            device: Where images are.
        """
        wavelength = torch.tensor([BANDS[band].wavelength for band in bands])
        blue, last = BANDS["B02"].wavelength, BANDS["B12"].wavelength
        self._full = full
        self._log = (wavelength / blue).log().to(device)
        self._tilt = (self._log / math.log(last / blue) - 0.5).to(device)
        self._snr = torch.tensor([_SNR[band] for band in bands], device=device)
        generator = torch.Generator().manual_seed(_BANK_SEED)
        bank = torch.randn(max(_BANK, 2 * numbers), generator=generator).to(device)
        self._starts = len(bank) - numbers
        self._bank = bank.unfold(0, numbers, 1)

    def light(self, draw: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Gain (B, C) and offset (B, C) from columns of `draw_nuisance`, float32 (B,) on the device."""
        gain = (1 + draw["gain"])[:, None] * (1 + draw["tilt"][:, None] * self._tilt)
        return gain, self._full * draw["haze"][:, None] * torch.exp(-draw["steepness"][:, None] * self._log)

    def noise(self, draw: Mapping[str, Tensor], mean: Tensor) -> tuple[Tensor, Tensor]:
        """Standard normal numbers (B, C × H × W) and their spread by image and band (B, C).

        Args:
            draw: Columns of `draw_nuisance`, float32 (B,) on the device.
            mean: float32 (B, C), mean of the image.
        """
        start = (draw["start"] * self._starts).to(torch.int64).clamp_(0, self._starts)
        return self._bank.index_select(0, start), draw["noise"][:, None] * mean / self._snr
