"""The one table of Sentinel-2 bands, their names at the three providers, and the scene classification (SCL).

`norm_band` turns any provider's asset name into the canonical one (`B02 … B8A … B12`, or `SCL`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from .errors import ItemError


@dataclass(frozen=True)
class Band:
    """One band of the MultiSpectral Instrument."""

    name: str
    """Canonical name, two digits (`B02`)."""
    common_name: str
    """Name in the STAC EO extension as Earth Search uses it (`blue`)."""
    gsd: int
    """Native ground sampling distance, metres."""
    wavelength: float
    """Centre wavelength of Sentinel-2A, nanometres."""


# Centre wavelengths and sampling of S2A:
# https://sentiwiki.copernicus.eu/web/s2-mission (table "Spectral bands"); common names as in Earth Search v1 items.
_TABLE = (
    Band("B01", "coastal", 60, 442.7),
    Band("B02", "blue", 10, 492.7),
    Band("B03", "green", 10, 559.8),
    Band("B04", "red", 10, 664.6),
    Band("B05", "rededge1", 20, 704.1),
    Band("B06", "rededge2", 20, 740.5),
    Band("B07", "rededge3", 20, 782.8),
    Band("B08", "nir", 10, 832.8),
    Band("B8A", "nir08", 20, 864.7),
    Band("B09", "nir09", 60, 945.1),
    Band("B11", "swir16", 20, 1613.7),
    Band("B12", "swir22", 20, 2202.4),
)

BANDS: dict[str, Band] = {band.name: band for band in _TABLE}
"""Canonical name → band, in the order of wavelength. B10 is absent: level 2A does not carry it."""

SCL = "SCL"
"""Canonical name of the scene classification layer (20 m, classes 0–11)."""

SCL_CLASSES: dict[int, str] = {
    0: "no data",
    1: "saturated or defective",
    2: "dark area or topographic shadow",
    3: "cloud shadow",
    4: "vegetation",
    5: "not vegetated",
    6: "water",
    7: "unclassified",
    8: "cloud, medium probability",
    9: "cloud, high probability",
    10: "thin cirrus",
    11: "snow or ice",
}
"""Class → meaning. Source: https://sentiwiki.copernicus.eu/web/s2-processing (L2A, scene classification)."""

CLEAR_SCL: tuple[int, ...] = (2, 4, 5, 6, 7)
"""Classes in which the ground is seen. Fresh burn scars are commonly classed as dark area (2), so 2 is kept. Snow (11)
hides the ground, comes and goes, and bright cloud is often taken for it: docs/experiments.md."""

RGB: tuple[str, ...] = ("B04", "B03", "B02")
"""True colour, in display order."""

_ALIASES = {band.common_name: band.name for band in _TABLE} | {"scl": SCL}


def norm_band(name: str) -> str:
    """Canonical band of any provider's spelling.

    Args:
        name: `red` (Earth Search), `B04` or `B4` (Planetary Computer and others), `B04_10m` (CDSE), any case.

    Raises:
        ItemError: The name is no Sentinel-2 level-2A band.
    """
    text = name.strip()
    if text.lower() in _ALIASES:
        return _ALIASES[text.lower()]
    code = text.upper().split("_")[0]
    if code.startswith("B") and code[1:].isdigit():
        code = f"B{int(code[1:]):02d}"
    if code in BANDS or code == SCL:
        return code
    raise ItemError(
        f"band '{name}' is unknown",
        "one of " + " ".join(BANDS) + " or a common name such as red, nir08, swir16",
        "correct the band's name",
    )


def norm_bands(names: str | Iterable[str]) -> tuple[str, ...]:
    """Canonical bands of a comma-separated text or a sequence, in the order given.

    Raises:
        ItemError: A name is unknown, stands twice, is the scene classification's, or none is given.
    """
    parts: Sequence[str] = names.split(",") if isinstance(names, str) else list(names)
    bands = tuple(norm_band(part) for part in parts if part.strip())
    if not bands or len(set(bands)) != len(bands):
        raise ItemError(f"bands '{','.join(parts)}'", "at least one band and none twice", "correct the list of bands")
    if SCL in bands:
        raise ItemError(
            f"bands '{','.join(parts)}' hold the scene classification, whose values are classes",
            "bands of reflectance only",
            "leave SCL out: it is read along with any bands, to tell cloud",
        )
    return bands
