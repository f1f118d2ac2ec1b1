"""What hangs between the ground and the instrument: clouds and their shadows, cirrus, haze, smoke.

For NumPy arrays and torch tensors with leading batch dimensions. Fields of the sky are drawn at 20 m (h, w) from noise
that comes in, and laid over bands of 20 m as they are, over bands of 10 m after `Sky.at_10m`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .arrays import array_namespace
from .light import sun_vector
from .optics import to_10m, weigh
from .render import Array, Lookup, per_band, per_image
from .steps import smooth_step
from .weather import CIRRUS_CORE

PIXEL = 20.0
"""Metres a side of a pixel of the sky's fields."""

# Centre wavelengths over that of B02, by band of `covers.BANDS`: see `stac.bands`.
_RATIO = tuple(w / 492.7 for w in (492.7, 559.8, 664.6, 704.1, 740.5, 782.8, 832.8, 864.7, 1613.7, 2202.4))

HAZE_BY_BAND: tuple[float, ...] = tuple(1.0 / (r * r**0.5) for r in _RATIO)
"""Light scattered by aerosol, over that in B02: wavelength to the power −1.5.

Source: A. Ångström 1929, Geografiska Annaler 11, 156: exponents about 1.3 for the optical depth. assumed: 1.5, for what
correction leaves of air molecules falls faster."""

SMOKE_BY_BAND: tuple[float, ...] = tuple(1.0 / (r * r**0.75) for r in _RATIO)
"""Optical depth of fresh smoke, over that in B02: wavelength to the power −1.75.

assumed: of the order of the Ångström exponents of smoke, about 2, in the review of J. S. Reid et al. 2005, Atmospheric
Chemistry and Physics 5, 827, https://doi.org/10.5194/acp-5-827-2005."""

# The spectrum of smoke is that of optical depth 2 to 3 in B02 over dark ground; this makes it that of endless depth.
_THICK_SMOKE = tuple(1.0 / (1.0 - math.exp(-2.5 * share)) for share in SMOKE_BY_BAND)

# Part of the light lost in full shadow. assumed: skylight keeps a share that falls with wavelength.
_SHADOW = (0.54, 0.59, 0.64, 0.66, 0.68, 0.69, 0.70, 0.71, 0.78, 0.80)

# Cirrus over cloud of water: ice absorbs at 1.6 and 2.2 µm. assumed: half the light.
_ICE = (0.85, 0.85, 0.85, 0.85, 0.85, 0.85, 0.85, 0.85, 0.5, 0.4)

# Reflectance at which haze neither brightens nor darkens.
# Source of the idea: R. S. Fraser and Y. J. Kaufman 1985, IEEE TGRS GE-23 (5), 625. assumed: 0.45.
_CRITICAL = 0.45


@dataclass(frozen=True, eq=False)
class Sky:
    """Fields (..., h, w) over the ground; None where the sky has none of it."""

    haze: Array
    """Aerosol left in the image: reflectance it adds to dark ground in B02."""
    cloud: Array | None = None
    """Opacity of clouds, 0 to 1."""
    tops: Array | None = None
    """Brightness of clouds, about 1."""
    shadow: Array | None = None
    """Depth of the clouds' shadows, 0 to 1."""
    cirrus: Array | None = None
    """Opacity of cirrus, 0 to 1."""
    smoke: Array | None = None
    """Optical depth of smoke in B02."""

    def at_10m(self) -> Sky:
        """The same sky at twice the resolution."""
        fields = (self.haze, self.cloud, self.tops, self.shadow, self.cirrus, self.smoke)
        return Sky(*(None if field is None else to_10m(field) for field in fields))


def displace(field: Array, down: Any, right: Any) -> Array:
    """A field moved by whole pixels towards higher rows and columns, periodic as the noise is.

    Args:
        field: (..., h, w).
        down: Pixels, rounded; a number, or (...).
        right: Likewise.
    """
    xp = array_namespace(field)
    h, w = field.shape[-2], field.shape[-1]
    device = field.device
    rows = xp.reshape(xp.arange(h, dtype=xp.int64, device=device), (h, 1))
    cols = xp.reshape(xp.arange(w, dtype=xp.int64, device=device), (1, w))
    rows = xp.remainder(rows - per_image(_whole(down)), h)
    cols = xp.remainder(cols - per_image(_whole(right)), w)
    index = xp.broadcast_to(rows * w + cols, tuple(field.shape))
    return Lookup(index, h * w, batched=True)(field)


def _whole(value: Any) -> Any:
    """The nearest whole number, or whole numbers."""
    if isinstance(value, int | float):
        return round(value)
    xp = array_namespace(value)
    return xp.astype(xp.round(value), xp.int64)


def cloud_opacity(field: Array, edge: Any, softness: Any = 0.5) -> Array:
    """Opacity of clouds where a noise field exceeds `edge`: thin at the rim, full `softness` above it."""
    return smooth_step(field, per_image(edge) - 0.05, per_image(edge) + per_image(softness))


def shadow_offsets(base: Any, thick: Any, azimuth: Any, elevation: Any) -> list[tuple[Any, Any]]:
    """How far the shadows of a cloud's base, middle and top lie from it: height over the tangent of the elevation.

    Args:
        base: Height of the clouds' base above the ground, metres; a number, or (...).
        thick: From base to top, metres; likewise.
        azimuth: Of the sun, degrees clockwise from north; likewise.
        elevation: Of the sun, degrees; likewise.

    Returns:
        Three pairs, pixels of 20 m towards higher rows and columns.
    """
    east, north, up = sun_vector(azimuth, elevation)
    fars = [height / PIXEL / up for height in (base, base + 0.5 * thick, base + thick)]
    return [(far * north, -far * east) for far in fars]


def merge_shadows(layers: Sequence[Array]) -> Array:
    """Depth of shadow (..., h, w), 0 to 1, with soft edges, from the opacities that were moved by `shadow_offsets`."""
    xp = array_namespace(layers[0])
    shadow = layers[0]
    for layer in layers[1:]:
        shadow = xp.maximum(shadow, layer)
    return weigh(weigh(shadow, _SOFT, -2), _SOFT, -1)


_SOFT = [0.0, 0.0, 0.25, 0.5, 0.25, 0.0, 0.0]


def cast_shadow(opacity: Array, base: Any, thick: Any, azimuth: Any, elevation: Any) -> Array:
    """Shadows of clouds (..., h, w) on the side away from the sun; arguments as for `shadow_offsets`."""
    offsets = shadow_offsets(base, thick, azimuth, elevation)
    return merge_shadows([displace(opacity, down, right) for down, right in offsets])


def behind_offset(azimuth: Any, elevation: Any) -> tuple[Any, Any]:
    """How far to move a field so that each pixel shows what lies three pixels away from the sun, for `displace`."""
    east, north, up = sun_vector(azimuth, elevation)
    flat = (1.0 - up * up) ** 0.5 / 3.0
    return -north / flat, east / flat


def cloud_tops(field: Array, behind: Array) -> Array:
    """Brightness of clouds (..., h, w), about 1: the sides that face the sun are brighter.

    Args:
        field: (..., h, w), the clouds' noise.
        behind: The same, moved by `behind_offset`.
    """
    xp = array_namespace(field)
    return xp.clip(0.88 + 0.3 * (behind - field) + 0.05 * field, 0.55, 1.2)


def cirrus_opacity(streaks: Array, rim: Any, depth: Any) -> Array:
    """Opacity of cirrus (..., h, w) from noise: 0 below `rim`, `depth` above `weather.CIRRUS_CORE`."""
    return smooth_step(streaks, per_image(rim), CIRRUS_CORE) * per_image(depth)


def add_halo(haze: Array, field: Array, edge: Any) -> Array:
    """Haze made thicker next to clouds, whose light is scattered over their surroundings.

    assumed: 0.012 in B02 at the rim, of the order of G. Wen et al. 2007, Journal of Geophysical Research 112, D13204.
    """
    return haze + 0.012 * smooth_step(field, per_image(edge) - 0.8, per_image(edge) + 0.2)


def plume(noise: Array, row: Any, col: Any, wind: Any, density: Any, width: Any = 4.0) -> Array:
    """Optical depth in B02 of the smoke from one fire: it widens downwind and thins out.

    A Gaussian plume seen from above: width grows with distance, density falls as the width grows.
    Source: F. Pasquill 1961, Meteorological Magazine 90, 33. assumed: it widens by 0.13 of the distance; noise bends
    it, frays its sides and tears it, into puffs over the fire and less so once they have mixed 2 km downwind.

    Args:
        noise: (..., h, w), zero mean, unit spread.
        row: Of the fire, pixels of 20 m; a number, or (...).
        col: Likewise.
        wind: Direction towards which smoke drifts, degrees clockwise from north; likewise.
        density: Optical depth over the fire, about 1 to 4; likewise.
        width: Half width at the fire, pixels; likewise.
    """
    xp = array_namespace(noise)
    device = noise.device
    east, north, _ = sun_vector(wind, 0.0 if isinstance(wind, int | float) else wind * 0.0)
    south = xp.reshape(xp.arange(noise.shape[-2], dtype=xp.float32, device=device), (-1, 1)) - per_image(row)
    right = xp.reshape(xp.arange(noise.shape[-1], dtype=xp.float32, device=device), (1, -1)) - per_image(col)
    along = right * per_image(east) - south * per_image(north)
    across = right * per_image(north) + south * per_image(east)
    far = xp.clip(along, 0.0, 1e6)
    wide = per_image(width) + 0.13 * far
    across = across + (0.4 * per_image(width) + 0.09 * far) * noise
    ratio = xp.astype(across / wide, xp.float64)
    shape = xp.astype(xp.exp(-ratio * ratio), xp.float32)
    torn = xp.clip(0.8 + (0.35 + 0.35 / (1.0 + far / 40.0)) * noise, 0.08, 2.2)
    start = smooth_step(along, per_image(width) * -0.8, per_image(width) * 0.8)
    return per_image(density) * shape * torn * start * (per_image(width) / wide)


def heading(onset: Array, burnt: Array) -> Array:
    """Direction in which a fire ran: from where it began towards where it still burnt at the end.

    The covariance of onset with place: ground that burns late lies downwind of ground that burns early. In whole
    numbers, so that it is the same on every machine; tenths of a degree.

    Args:
        onset: (..., h, w), 0 to 1.
        burnt: (..., h, w), bool, the fire's pixels.

    Returns:
        (...), degrees clockwise from north, 0 to 360; 90 where the fire ran nowhere.
    """
    xp = array_namespace(onset)
    device = onset.device
    here = xp.astype(burnt, xp.int64)
    late = xp.astype(xp.round(onset * 1_000.0), xp.int64) * here
    rows = xp.reshape(xp.arange(onset.shape[-2], dtype=xp.int64, device=device), (-1, 1))
    cols = xp.reshape(xp.arange(onset.shape[-1], dtype=xp.int64, device=device), (1, -1))
    count, total = xp.sum(here, axis=(-2, -1)), xp.sum(late, axis=(-2, -1))
    east = count * xp.sum(late * cols, axis=(-2, -1)) - total * xp.sum(here * cols, axis=(-2, -1))
    south = count * xp.sum(late * rows, axis=(-2, -1)) - total * xp.sum(here * rows, axis=(-2, -1))
    turn = xp.atan2(xp.astype(south, xp.float64), xp.astype(east, xp.float64)) * (1_800.0 / math.pi)
    return xp.remainder(90.0 + xp.round(turn) / 10.0, 360.0)


def lay_sky(image: Array, bands: Sequence[int], sky: Sky, cloud: Array, smoke: Array) -> None:
    """Lay shadow, haze, smoke, cirrus and clouds over an image, from the ground up.

    Args:
        image: (..., n, H, W), changed in place.
        bands: Place in `covers.BANDS` of each of the n bands.
        sky: Fields of the image's resolution.
        cloud: (C,) or (..., C), reflectance of thick cloud.
        smoke: Likewise, of smoke of optical depth 2.5 in B02.
    """
    xp = array_namespace(image)
    for place, b in enumerate(bands):
        band = image[..., place, :, :]
        white = per_band(cloud, b)
        if sky.shadow is not None:
            band *= 1.0 - _SHADOW[b] * sky.shadow
        band += (HAZE_BY_BAND[b] / _CRITICAL) * sky.haze * (_CRITICAL - band)
        if sky.smoke is not None:
            depth = xp.astype(sky.smoke, xp.float64) * -SMOKE_BY_BAND[b]
            hidden = xp.astype(1.0 - xp.exp(depth), xp.float32)
            band += hidden * (per_band(smoke, b) * _THICK_SMOKE[b] - band)
        if sky.cirrus is not None:
            band += sky.cirrus * (white * _ICE[b] - band)
        if sky.cloud is not None:
            band += sky.cloud * (white * sky.tops - band)
