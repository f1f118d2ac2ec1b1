"""The ground of one day, drawn as reflectance: covers, changes, water and snow.

Written once for NumPy arrays and torch tensors (array API, https://data-apis.org/array-api), with any leading batch
dimensions `...`: the archive draws one whole ground, the stream draws batches of windows. Functions that take an
`image` change it in place. A number that holds for a whole image may be a plain number or an array of shape (...).
"""

from __future__ import annotations

from typing import Any, Protocol

from .arrays import array_namespace
from .change import AGES
from .covers import BANDS
from .steps import smooth_step

Array = Any
"""A NumPy array or a torch tensor; shapes and dtypes stand in each docstring."""

_NEAR = range(4, 8)
"""Places of B06, B07, B08, B8A in `covers.BANDS`: light that leaves pass and scatter."""

# assumed: shadows reach farther below the mean than lit crowns and roofs above it.
_SKEW = 0.14

# Pixels by which near infrared sees crowns and tussocks further north than red does. Light from the south falls on one
# side of them; near infrared passes through leaves and is bright on both. assumed: the size, towards the difference
# between the correlations of B03 and B04 with B08 at one row up and one row down in real chips (0.18 and 0.23 in
# forest); the sun stands in the south, as it does north of the tropics; the
# two southern biomes are drawn likewise, for no real chips tell how they differ.
_LEAD = 0.5

# How far a dry pixel is brighter, by band of `covers.BANDS`: water in leaves and soil absorbs beyond 1.4 µm, and where
# there is less of it there are fewer leaves. Source: P. Ceccato et al. 2001, Remote Sensing of Environment 77, 22
# (1.6 µm and equivalent water thickness). assumed: the sizes, so that bands differ by as much as within real chips.
_DRY = (-0.02, -0.04, 0.03, -0.02, -0.055, -0.06, -0.05, -0.03, 0.06, 0.08)

# Absorption of pure water per metre, doubled for the way down and up, by band of `covers.BANDS`.
# Source: Pope and Fry 1997, Applied Optics 36, 8710 (to 728 nm); Kou et al. 1993, Applied Optics 32, 3531 (beyond).
# assumed: 0.8 per metre is added for what floats in shallow water.
_ATTENUATION = (0.84, 0.92, 1.7, 2.3, 5.8, 5.7, 6.9, 9.8, 1000.0, 4000.0)


class Tables(Protocol):
    """How covers look on a day: `season.Season`, or the same names holding tensors with batch dimensions."""

    @property
    def poor(self) -> Array:
        """(..., M, C) or (M, C), reflectance where greenness is 0."""

    @property
    def rich(self) -> Array:
        """The same shape, reflectance where greenness is 1."""

    @property
    def green(self) -> Array:
        """(..., M) or (M,), greenness from 0 to 1."""

    @property
    def eager(self) -> Array:
        """The same shape, how far moisture moves the greenness."""

    @property
    def grain(self) -> Array:
        """The same shape, spread of the texture as a part of the reflectance."""


def per_image(value: Any) -> Any:
    """A number for each image, (...), made to fit its fields, (..., 1, 1); plain numbers stay."""
    return value if isinstance(value, int | float) else value[..., None, None]


def per_band(spectrum: Array, band: int) -> Array:
    """One band of spectra (..., C), made to fit fields: (..., 1, 1)."""
    return spectrum[..., band][..., None, None]


class Lookup:
    """Values of tables at the places that an index field names, for one index field and many tables."""

    def __init__(self, index: Array, rows: int, batched: bool) -> None:
        """Prepare an index.

        Args:
            index: (..., H, W), any integer dtype: rows of the tables.
            rows: How many rows each table has.
            batched: Whether tables have the index's leading dimensions; otherwise one table serves all.
        """
        xp = array_namespace(index)
        wide = xp.astype(index, xp.int64)
        if batched and index.ndim > 2:
            count = 1
            for length in index.shape[:-2]:
                count *= length
            first = xp.arange(count, dtype=xp.int64, device=index.device) * rows
            wide = wide + xp.reshape(first, (*index.shape[:-2], 1, 1))
        self._flat = xp.reshape(wide, (-1,))
        self._shape = tuple(index.shape)
        self._xp = xp

    def __call__(self, table: Array) -> Array:
        """Values (..., H, W) of a table (..., rows) or (rows,)."""
        return self._xp.reshape(self._xp.take(self._xp.reshape(table, (-1,)), self._flat, axis=0), self._shape)


def draw_ground(cover: Array, moist: Array, texture: Array, tint: Array, dryness: Array, tables: Tables) -> Array:
    """Reflectance of the ground as the season has it, evenly lit and without changes.

    Greenness moves with moisture and tint as far as the cover is eager; texture is a factor on all bands, for light and
    shade between crowns hold them together.
    assumed: weights 0.6, 0.12, 0.06 and 0.03, so that a cover's NDVI spreads by about 0.05 as in summer forest.

    Args:
        cover: (..., H, W), integer, number of the cover or field.
        moist: (..., H, W), −1 to 1.
        texture: (..., H, W), zero mean, unit spread.
        tint: (..., H, W), zero mean, unit spread (a quarter on water).
        dryness: (..., H, W), zero mean, unit spread (a quarter on water).
        tables: How covers look on the day.

    Returns:
        (..., C, H, W) float32, 0 to 1.
    """
    xp = array_namespace(texture)
    bands = tables.poor.shape[-1]
    find = Lookup(cover, tables.poor.shape[-2], tables.green.ndim > 1)
    calm, dry = xp.clip(tint, -2.0, 2.0), xp.clip(dryness, -2.5, 2.5)
    green = xp.clip(find(tables.green) + find(tables.eager) * (0.6 * moist + 0.12 * calm), 0.0, 1.0)
    grain = xp.clip(texture, -2.2, 2.5)
    rough = find(tables.grain) * (grain - _SKEW * (grain * grain - 1.0))
    light = 1.0 + 0.06 * calm + rough
    near = light + 0.03 * calm + _toward_pole(rough)
    image = xp.empty((*texture.shape[:-2], bands, *texture.shape[-2:]), dtype=xp.float32, device=texture.device)
    gain = tables.rich - tables.poor
    for b in range(bands):
        band = find(gain[..., b])
        band *= green
        band += find(tables.poor[..., b])
        band *= near if b in _NEAR else light
        if _DRY[b]:
            band *= 1.0 + _DRY[b] * dry
        image[..., b, :, :] = band
    return image


def _toward_pole(rough: Array) -> Array:
    """What a texture (..., H, W) gains where its pattern lies `_LEAD` pixels further north; nothing on the edges."""
    xp = array_namespace(rough)
    out = xp.zeros_like(rough)
    out[..., 1:-1, :] = (0.5 * _LEAD) * (rough[..., 2:, :] - rough[..., :-2, :])
    return out


def change_weight(strength: Array, onset: Array, zone: Array, looks: Array, age: Any, span: Any) -> Array:
    """How much of each pixel a change has taken on a day: strength × opacity of its looks, (..., H, W).

    Args:
        strength: (..., H, W), 0 to 1.
        onset: (..., H, W), 0 to 1.
        zone: (..., H, W), integer, 0 to Z − 1.
        looks: (..., Z, A, 11), see `looks.new_looks`.
        age: Days since the start; a number, or (...).
        span: Days from start to end; a number, or (...).
    """
    find, begun = _age_lookup(onset, zone, looks, age, span)
    return strength * begun * find(looks[..., 0])


def lay_changes(
    image: Array, strength: Array, onset: Array, zone: Array, looks: Array, texture: Array, age: Any, span: Any
) -> Array:
    """Draw a change over the ground as it looks on a day; before a pixel's turn nothing.

    A pixel's own age is the event's less onset × span; it takes the last of `change.AGES` that is not above it.
    assumed: laid-bare ground varies by 6 % with the texture, water, which is dark in B11, by 2 %.

    Args:
        image: (..., C, h, w), changed in place.
        strength: (..., h, w), 0 to 1.
        onset: (..., h, w), 0 to 1.
        zone: (..., h, w), integer.
        looks: (..., Z, A, 1 + C), opacity, then reflectance in all bands of `covers.BANDS`.
        texture: (..., h, w), zero mean, unit spread.
        age: Days since the start; a number, or (...).
        span: Days from start to end; a number, or (...).

    Returns:
        (..., h, w), how much of each pixel was drawn over.
    """
    xp = array_namespace(image)
    find, begun = _age_lookup(onset, zone, looks, age, span)
    weight = strength * begun * find(looks[..., 0])
    rough = 0.02 + 0.04 * xp.clip(10.0 * find(looks[..., 1 + BANDS.index("B11")]) - 0.2, 0.0, 1.0)
    light = 1.0 + rough * xp.clip(texture, -2.2, 2.5)
    for b in range(image.shape[-3]):
        band = image[..., b, :, :]
        band += weight * (find(looks[..., 1 + b]) * light - band)
    return weight


def _age_lookup(onset: Array, zone: Array, looks: Array, age: Any, span: Any) -> tuple[Lookup, Array]:
    """Where each pixel stands in tables (..., Z, A), and 1.0 where its turn has come."""
    xp = array_namespace(onset)
    device = onset.device
    own = per_image(age) - onset * per_image(span)
    day = xp.astype(xp.clip(xp.floor(own), 0.0, float(AGES[-1])), xp.int64)
    entries = [0] * (AGES[-1] + 1)
    for place, first in enumerate(AGES):
        entries[first:] = [place] * (AGES[-1] + 1 - first)
    entry = Lookup(day, 1, batched=False)(xp.asarray(entries, dtype=xp.int64, device=device))
    zones, ages = looks.shape[-3], looks.shape[-2]
    find = Lookup(xp.astype(zone, xp.int64) * ages + entry, zones * ages, looks.ndim > 3)
    return find, xp.astype(own >= 0, xp.float32)


def lay_flames(image: Array, burning: Array) -> None:
    """Add the glow of flames to the shortwave infrared, in place.

    Source: X. Hu, Y. Ban and A. Nascetti 2021, International Journal of Applied Earth Observation and Geoinformation
    101, 102347: active fires stand out in B12, less in B11. assumed: as reflectance 0.8 and 0.35 at most.

    Args:
        image: (..., C, H, W), all bands of `covers.BANDS`.
        burning: (..., H, W), part of each pixel in flames.
    """
    for band, glow in (("B11", 0.35), ("B12", 0.8)):
        image[..., BANDS.index(band), :, :] += glow * burning


def lay_water(image: Array, shore: Array, wet: Array, level: Any, water: Array, mud: Array) -> None:
    """Let the water rise over ground below its level, and fall from its bed.

    Ground shows through shallow water: the mix follows exp(−2kd) by depth d, taken as 1 / (1 + x + x²/2 + x³/6), which
    stays the same on every machine.

    Args:
        image: (..., C, H, W), changed in place.
        shore: (..., H, W), height above the mean level, metres; may be infinite.
        wet: (..., H, W), 1.0 where the cover is water, otherwise 0.0.
        level: Water level above its mean, metres; a number, or (...).
        water: (..., C) or (C,), reflectance of the water that comes.
        mud: (..., C) or (C,), reflectance of the bed that is laid bare.
    """
    xp = array_namespace(image)
    depth = xp.clip(per_image(level) - shore, -10.0, 10.0)
    drowned = xp.clip(depth, 0.0, 10.0)
    drowned *= 1.0 - wet
    # assumed: the bed of water that fell by 0.1 m is all mud.
    bare = wet * xp.clip(depth * -10.0, 0.0, 1.0)
    for b in range(image.shape[-3]):
        band = image[..., b, :, :]
        x = drowned * _ATTENUATION[b]
        x = 1.0 - 1.0 / (1.0 + x * (1.0 + x * (0.5 + x * (1 / 6))))
        band += x * (per_band(water, b) - band)
        band += bare * (per_band(mud, b) - band)


def lay_ice(image: Array, frozen: Array, snow: Array) -> None:
    """Cover water with bare ice, in place.

    assumed: grey ice of 0.4 of the reflectance of snow, between clear and white ice.

    Args:
        image: (..., C, H, W).
        frozen: (..., H, W), part of each pixel that is ice.
        snow: (C,) or (..., C), reflectance of snow.
    """
    for b in range(image.shape[-3]):
        band = image[..., b, :, :]
        band += frozen * (0.4 * per_band(snow, b) - band)


def lay_snow(
    image: Array, height: Array, sunny: Array, hidden: Array, noise: Array, snow_line: Any, spectrum: Array
) -> Array:
    """Cover high ground with snow.

    assumed: the line frays by 45 m of noise and rises by 60 m for each 1 m/m that the slope faces the noon sun; it
    takes 110 m from the first patches to full cover.

    Args:
        image: (..., C, H, W), changed in place.
        height: (..., H, W), metres.
        sunny: (..., H, W), rise of the ground away from the noon sun, metres per metre (`Relief.north` in the north).
        hidden: (..., H, W), part of a pixel whose snow is not seen: under trees, on open water.
        noise: (..., H, W), zero mean, unit spread.
        snow_line: Metres, infinite for none; a number, or (...).
        spectrum: (C,) or (..., C), reflectance of snow.

    Returns:
        (..., H, W), part of each pixel that shows snow.
    """
    xp = array_namespace(image)
    above = height + 45.0 * noise - 60.0 * sunny - per_image(snow_line)
    snow = smooth_step(above, 0.0, 110.0) * xp.clip(1.0 - hidden, 0.0, 0.97)
    for b in range(image.shape[-3]):
        band = image[..., b, :, :]
        band += snow * (per_band(spectrum, b) - band)
    return snow
