"""What a Sentinel-2 product says of itself in its STAC item: tile, acquisition, processing, the offset in its pixels.

Harmonisation. Since processing baseline 04.00 the pixels carry +1000
(https://sentiwiki.copernicus.eu/web/s2-processing, "Processing baseline 04.00"). Whether an asset still does is taken
from the item, never from its date, as old scenes are processed anew with the offset:

- `earthsearch:boa_offset_applied` (formerly `sentinel:…`) true: the provider has removed it, nothing to add;
- otherwise the baseline decides: −1000 from 04.00 on, else 0. It is read from `s2:processing_baseline`,
  `processing:version`, or `_N0509_` in the product's name or the item's id.

`raster:bands[].offset` is never used: Earth Search leaves −0.1 there even where the pixels are corrected
(https://github.com/microsoft/PlanetaryComputer/issues/349).
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import pystac

from .errors import ItemError

OFFSET = -1000
"""To add to pixels of baseline 04.00 and later, DN (BOA_ADD_OFFSET; source above)."""

NEVER = datetime(1, 1, 1, tzinfo=UTC)
"""Stands for a time of processing that is not stated: before any other."""

_TILE = re.compile(r"(?:^|[_-]|T|MGRS-)(\d{1,2}[C-HJ-NP-X][A-HJ-NP-Z]{2})(?=[_-]|$)")
_PRODUCT = re.compile(r"(S2[A-D])_MSIL2A_(\d{8}T\d{6})(?:_N(\d{2})(\d{2}))?")
_DATATAKE = re.compile(r"G?(S2[A-D])_(\d{8}T\d{6})")
_SATELLITE = re.compile(r"(?:SENTINEL[-_ ]?|(?<![A-Z])G?S)(2[A-D])(?![A-Z0-9])")
_STRIP = re.compile(
    r"_DS_\w+_S(\d{8}T\d{6})"  # a datastrip's id
    r"|^S2[A-D]_T\w{5}_(\d{8}T\d{6})_L2A"  # an item's id in Earth Search's collection 1
    r"|L2A_T\w{5}_A\d{6}_(\d{8}T\d{6})"  # a granule's folder
)
_DATATAKES = ("s2:datatake_id", "eopf:datatake_id")
_GENERATED = re.compile(r"_(\d{8}T\d{6})(?:\.SAFE)?$")


def radiometry_of(item: pystac.Item) -> tuple[str, int]:
    """Processing baseline, and what is to be added to the pixels."""
    properties = item.properties
    keys = ("s2:processing_baseline", "processing:version", "sentinel:processing_baseline")
    stated = [properties.get(key) for key in keys]
    named = [_PRODUCT.search(str(properties.get(key, ""))) for key in ("s2:product_uri", "sentinel:product_id")]
    named.append(_PRODUCT.search(item.id))
    spelled = [str(text) for text in stated if text is not None]
    spelled += [f"{match[3]}.{match[4]}" for match in named if match and match[3]]
    found = next((match for match in (re.fullmatch(r"(\d{1,2})\.(\d{1,2})", text) for text in spelled) if match), None)
    baseline = f"{int(found[1]):02d}.{found[2]:0<2}" if found else None
    if any(properties.get(f"{prefix}:boa_offset_applied") is True for prefix in ("earthsearch", "sentinel")):
        return baseline or "00.00", 0
    if baseline is None:
        raise lacks(
            item,
            "states no processing baseline",
            "s2:processing_baseline, processing:version, _Nxxyy_ in its id, or earthsearch:boa_offset_applied",
            "add the property to the item: without it the offset of its pixels is unknown",
        )
    return baseline, OFFSET if baseline >= "04.00" else 0


def tile_of(item: pystac.Item) -> str:
    """MGRS tile from the item's properties, else its id or product name."""
    properties = item.properties
    texts = [properties.get("s2:mgrs_tile"), properties.get("grid:code")]
    for prefix in ("mgrs", "sentinel"):
        parts = [properties.get(f"{prefix}:{part}") for part in ("utm_zone", "latitude_band", "grid_square")]
        texts.append("".join(map(str, parts)) if all(parts) else None)
    for text in (*texts, item.id, properties.get("s2:product_uri"), properties.get("s2:granule_id")):
        match = _TILE.search(str(text or ""))
        if match:
            return match[1].rjust(5, "0")
    raise lacks(item, "names no MGRS tile", "s2:mgrs_tile, grid:code or the tile in its id", "add the property")


def utm_epsg_of(tile: str) -> int:
    """UTM zone of an MGRS tile: bands C to M lie in the south, N to X in the north."""
    return (32600 if tile[2] >= "N" else 32700) + int(tile[:2])


def satellite_of(item: pystac.Item) -> str:
    """`S2A` to `S2D`; empty where the item names none."""
    properties = item.properties
    texts = [properties.get(key) for key in ("platform", "s2:product_uri", "sentinel:product_id", *_DATATAKES)]
    for text in (*texts, item.id):
        match = _SATELLITE.search(str(text or "").upper())
        if match:
            return f"S{match[1]}"
    return ""


def datatake_of(item: pystac.Item) -> datetime | None:
    """Start of the datatake, UTC, the same for every processing of it; None where it is not stated."""
    properties = item.properties
    stated = [_DATATAKE.match(str(properties.get(key) or "")) for key in _DATATAKES]
    names = (properties.get("s2:product_uri"), properties.get("sentinel:product_id"), item.id)
    stated += [_PRODUCT.search(str(text or "")) for text in names]
    return next((instant for match in stated if match and (instant := instant_of(match[2]))), None)


def strip_of(item: pystac.Item) -> datetime | None:
    """Start of the datastrip that the granule was cut from, UTC; None where it is not stated.

    The parts of a tile that lies in two datastrips differ in it, the processings of one part do not.
    """
    properties = item.properties
    stated = [properties.get(key) for key in ("s2:datastrip_id", "eopf:datastrip_id", "s2:granule_id")]
    texts = [*stated, item.id, *(asset.href for asset in item.assets.values())]
    found = (_STRIP.search(str(text or "")) for text in texts)
    return next((instant for match in found if match and (instant := instant_of(match[match.lastindex or 0]))), None)


def generated_of(item: pystac.Item) -> datetime:
    """When the product was made, else the earliest instant."""
    properties = item.properties
    names = [_GENERATED.search(str(text or "")) for text in (properties.get("s2:product_uri"), item.id)]
    stated = [properties.get(key) for key in ("s2:generation_time", "processing:datetime")]
    texts = [*stated, *(match[1] for match in names if match), properties.get("created")]
    instants = (instant_of(text) for text in texts)
    return next((instant for instant in instants if instant), NEVER)


def instant_of(text: Any) -> datetime | None:
    """An instant in ISO 8601, UTC where it names no zone; None for anything else."""
    try:
        when = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)


def lacks(item: pystac.Item, fault: str, expected: str, do: str) -> ItemError:
    """The error for an item that does not say what is needed of it."""
    where = f" of {item.collection_id}" if item.collection_id else ""
    return ItemError(f"item {item.id}{where} {fault}", expected, do)
