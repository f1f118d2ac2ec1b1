"""Fine and broad variation within covers: crowns, roofs, furrows and waves; stands, soils and currents.

NumPy only. Each class of cover has its own noise, of zero mean and unit spread over its own pixels.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from .covers import BUILT, COVERS, FORESTS, RIPARIAN, RIVER, SEA, TRACK, WATER
from .ground import Field
from .noise import new_noise

WAVE = 4.6
"""Typical length of waves at sea, pixels. assumed, from the stripes of about 3 to 6 pixels in real chips; sun glint
shows waves in Sentinel-2: Kudryavtsev et al. 2017, https://doi.org/10.1002/2016JC012425."""

EVEN = 0.25
"""Spread of tint and dryness on water, where land has 1. assumed: beyond its waves the open water of real chips is as
even as the instrument's noise: its spectrum is flat from 320 to 60 m."""

FOREST, BUILT_UP, FIELD, STILL, SALT, OPEN = range(6)
"""Classes of cover that share a texture."""


def classes(cover: NDArray[np.int16]) -> NDArray[np.uint8]:
    """(H, W), class of each pixel: `FOREST`, `BUILT_UP`, `FIELD`, `STILL` (water), `SALT` (the sea) or `OPEN`."""
    table = np.full(len(COVERS) + 1, OPEN, dtype=np.uint8)
    table[[*FORESTS, RIPARIAN]] = FOREST
    table[[*BUILT, TRACK]] = BUILT_UP
    table[[WATER, RIVER]] = STILL
    table[SEA] = SALT
    table[len(COVERS)] = FIELD
    return np.asarray(table[np.minimum(cover, len(COVERS))])


def new_texture(cover: NDArray[np.int16], kind: NDArray[np.uint8], rng: np.random.Generator) -> Field:
    """Variation at the scale of a pixel or a few, (H, W), zero mean and unit spread.

    assumed: exponents and lengths so that chips drawn with them have the autocorrelation of real ones (B04, median of
    64 px chips of Europe in summer: 0.88, 0.69, 0.55, 0.38 at lags of 1, 2, 3, 5 pixels, with their structure).
    """
    shape = cover.shape
    crowns = new_noise(shape, rng, 0.6, 20, 2)
    rough = new_noise(shape, rng, 0.4, 8, 2)
    open_land = new_noise(shape, rng, 1.0, 40, 2)
    rows = _furrows(cover, rng)
    waves = new_waves(shape, rng, rng.uniform(0, np.pi), WAVE)
    calm = new_noise(shape, rng, 1.6, 50, 2)
    loud = new_loudness(cover, 0.35, rng)
    return _put(
        kind,
        {
            FOREST: loud * crowns,
            BUILT_UP: rough,
            FIELD: loud * (0.5 * rows + calm),
            STILL: calm,
            SALT: waves,
            OPEN: loud * open_land,
        },
    )


def new_loudness(cover: NDArray[np.int16], spread: float, rng: np.random.Generator) -> Field:
    """How strong fine variation is here against elsewhere, (H, W), above 0: even and ragged stands, smooth fields.

    assumed: in patches of 60 to 600 m and from field to field, towards how much more the fine variance of near infrared
    differs between squares of 80 m in real chips than where it is equally strong.

    Args:
        cover: (H, W), covers' numbers.
        spread: Of its logarithm.
        rng: Where chance comes from.
    """
    patches = new_noise((cover.shape[0], cover.shape[1]), rng, 2.2, 60, 6).astype(np.float64)
    fields = rng.standard_normal(max(int(cover.max()) - len(COVERS) + 1, 1))
    own = np.where(cover < len(COVERS), patches, 0.6 * patches + 0.8 * fields[np.maximum(cover - len(COVERS), 0)])
    return np.asarray(np.exp(spread * np.clip(own, -2.5, 2.5)), dtype=np.float32)


def new_tint(kind: NDArray[np.uint8], stands: NDArray[np.float32], rng: np.random.Generator) -> Field:
    """Broad variation within a cover, (H, W), of zero mean: ages of stands, soils of fields, currents.

    Its spread is 1, and `EVEN` on water.

    Args:
        kind: (H, W), from `classes`.
        stands: (H, W), age or density by stand, from `wild.draw_stands`.
        rng: Where chance comes from.
    """
    shape = kind.shape
    broad = new_noise(shape, rng, 2.4, max(max(shape) / 4, 24), 5)
    soil = new_noise(shape, rng, 2.1, 70, 4)
    blocks = new_noise(shape, rng, 1.4, 40, 4)
    return _put(
        kind,
        {
            FOREST: stands + 0.45 * soil + 0.45 * broad,
            BUILT_UP: blocks,
            FIELD: soil + 0.4 * broad,
            STILL: broad,
            SALT: broad,
            OPEN: 0.8 * soil + broad,
        },
        spreads=_SPREADS,
    )


def new_dryness(cover: NDArray[np.int16], kind: NDArray[np.uint8], rng: np.random.Generator) -> Field:
    """Differences in water content within a cover, (H, W), of zero mean, in patches and pixel by pixel.

    Its spread is 1, and `EVEN` on water.

    Args:
        cover: (H, W), covers' numbers.
        kind: (H, W), from `classes`.
        rng: Where chance comes from.
    """
    patches, fine = new_noise(kind.shape, rng, 2.0, 60, 4), new_noise(kind.shape, rng, 1.6, 16, 4)
    mixed = patches + np.float32(0.8) * new_loudness(cover, 0.7, rng) * fine
    return _put(kind, dict.fromkeys(np.unique(kind).tolist(), mixed), spreads=_SPREADS)


_SPREADS = {STILL: EVEN, SALT: EVEN}


def _put(
    kind: NDArray[np.uint8], parts: dict[int, NDArray[np.float32]], spreads: Mapping[int, float] = MappingProxyType({})
) -> Field:
    """Each class's own field on its pixels, brought to zero mean there and to a spread of 1 or of its own."""
    out = np.zeros(kind.shape, dtype=np.float32)
    for number, field in parts.items():
        at = kind == number
        if not at.any():
            continue
        values = field[at].astype(np.float64)
        spread = values.std()
        out[at] = (values - values.mean()) * (spreads.get(number, 1.0) / (spread if spread > 0 else 1.0))
    return out


def _furrows(cover: NDArray[np.int16], rng: np.random.Generator) -> NDArray[np.float32]:
    """Stripes along one of four directions, by field: passes of drills and sprayers."""
    shape = (cover.shape[0], cover.shape[1])
    way = (np.maximum(cover, len(COVERS)).astype(np.int64) * 2_654_435_761 >> 7) % 4
    out = np.zeros(shape, dtype=np.float32)
    for k in range(4):
        striped = new_waves(shape, rng, k * np.pi / 4, 5.0, spread=0.12, band=0.5)
        out = np.where(way == k, striped, out)
    return out


def new_waves(
    shape: tuple[int, int],
    rng: np.random.Generator,
    heading: float,
    length: float,
    spread: float = 0.4,
    band: float = 0.28,
) -> Field:
    """Short-crested waves: noise in a band of wavelengths and directions, zero mean and unit spread.

    Source: directional spectra of waves, Holthuijsen 2007, Waves in Oceanic and Coastal Waters, Cambridge. assumed: a
    Gaussian shape.

    Args:
        shape: Height and width, pixels.
        rng: Where chance comes from.
        heading: Direction across the crests, radians from the columns' axis.
        length: Typical wavelength, pixels.
        spread: Spread of directions, radians: the smaller, the longer the crests.
        band: Spread of the logarithm of wavelengths.
    """
    fy = np.fft.fftfreq(shape[0])[:, None]
    fx = np.fft.rfftfreq(shape[1])[None, :]
    freq = np.hypot(fy, fx)
    freq[0, 0] = 1.0
    turn = np.arctan2(fy, fx) - heading
    turn = np.abs((turn + np.pi / 2) % np.pi - np.pi / 2)
    gain = np.exp(-0.5 * (np.log(freq * length) / band) ** 2 - 0.5 * (turn / spread) ** 2) / freq
    gain[0, 0] = 0
    field = np.fft.irfft2(np.fft.rfft2(rng.standard_normal(shape)) * gain, s=shape)
    deviation = field.std()
    return (field / (deviation if deviation > 0 else 1.0)).astype(np.float32)
