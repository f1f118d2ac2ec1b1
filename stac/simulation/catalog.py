"""The simulated archive's catalog: a static STAC catalog shaped as Earth Search v1 shapes its `sentinel-2-l2a`.

Nothing here depends on the clock: a seed gives the same bytes again.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry import MultiPoint, Polygon, mapping
from shapely.geometry.polygon import orient

from ..bands import BANDS, SCL, SCL_CLASSES
from ..lattice import to_lonlat
from .areas import PIXEL, Area
from .products import Product

COLLECTION = "sentinel-2-l2a-simulated"
CREATED = "2024-02-01T00:00:00Z"
"""Stands in every item as the time of making: the archive holds no time of now."""
NOTICE = "SIMULATED: drawn by a program, not observed by any satellite. Places, dates and changes in it are invented."

STAMP = "afterimage:archive"
"""Property of an item: which archive it belongs to. Stores keep items, so they know what they were built from."""

_TIME = "%Y%m%dT%H%M%S"
_REPROCESSED = datetime(2024, 1, 8, tzinfo=UTC)
_DATATAKE = timedelta(minutes=11)
"""assumed: from the start of the datatake to the area."""
_IN_STRIP = timedelta(seconds=40)
"""assumed: from the start of the datastrip, the part of the datatake that one station received, to the area."""

_EXTENSIONS = [
    "https://stac-extensions.github.io/eo/v1.1.0/schema.json",
    "https://stac-extensions.github.io/raster/v1.1.0/schema.json",
    "https://stac-extensions.github.io/projection/v1.1.0/schema.json",
    "https://stac-extensions.github.io/view/v1.0.0/schema.json",
    "https://stac-extensions.github.io/grid/v1.0.0/schema.json",
    "https://stac-extensions.github.io/mgrs/v1.0.0/schema.json",
]
_COG_TYPE = "image/tiff; application=geotiff; profile=cloud-optimized"


def stamp_text(stamp: Mapping[str, Any]) -> str:
    """What tells archives apart, as a text: `size demo, seed 0, version 3`.

    Args:
        stamp: With the keys `size`, `seed` and `version`, as `simulation.json` has them.

    Raises:
        KeyError: One is missing.
    """
    return ", ".join(f"{key} {stamp[key]}" for key in ("size", "seed", "version"))


def west_of(product: Product) -> int:
    """West edge of a product's tile, metres."""
    return product.area.west + PIXEL * product.area.left(product.tile)


def _grid(shape: Sequence[int], product: Product, gsd: int) -> dict[str, Any]:
    """Projection fields of an asset."""
    return {"proj:shape": list(shape), "proj:transform": [gsd, 0, west_of(product), 0, -gsd, product.area.north]}


def band_asset(name: str, shape: Sequence[int], product: Product) -> dict[str, Any]:
    """One band's asset.

    `raster:bands.offset` is -0.1 from baseline 04.00 on even where the pixels are already corrected: Earth Search says
    so too (https://github.com/microsoft/PlanetaryComputer/issues/349), and `earthsearch:boa_offset_applied` decides.
    """
    band = BANDS[name]
    scaling = {"scale": 0.0001, "offset": -0.1 if product.baseline >= "04.00" else 0}
    raster = {"nodata": 0, "data_type": "uint16", "bits_per_sample": 15, "spatial_resolution": band.gsd, **scaling}
    centre = {
        "name": band.common_name,
        "common_name": band.common_name,
        "center_wavelength": round(band.wavelength / 1000, 3),
    }
    return {
        "href": f"./{name}.tif",
        "type": _COG_TYPE,
        "title": f"{band.common_name} ({name}) - {band.gsd}m, simulated",
        "eo:bands": [centre],
        "gsd": band.gsd,
        **_grid(shape, product, band.gsd),
        "raster:bands": [raster],
        "roles": ["data", "reflectance"],
    }


def scl_asset(shape: Sequence[int], product: Product) -> dict[str, Any]:
    """The classification's asset."""
    return {
        "href": f"./{SCL}.tif",
        "type": _COG_TYPE,
        "title": "Scene classification map (SCL), simulated",
        "gsd": 20,
        **_grid(shape, product, 20),
        "raster:bands": [{"nodata": 0, "data_type": "uint8", "spatial_resolution": 20}],
        "roles": ["data"],
    }


def _outline(valid: NDArray[np.bool_], product: Product) -> Polygon:
    """Outline of the valid pixels (h, w) of 20 m, degrees: a rectangle, or what a slanted edge leaves of it."""
    rows = np.flatnonzero(valid.any(axis=1))
    left, right = valid[rows].argmax(axis=1), valid.shape[1] - valid[rows, ::-1].argmax(axis=1)
    x = west_of(product) + 20 * np.concatenate([left, left, right, right])
    y = product.area.north - 20 * np.concatenate([rows, rows + 1, rows, rows + 1])
    # The hull of an edge in steps lies within a pixel of a line.
    hull = MultiPoint(np.column_stack([x, y])).convex_hull.simplify(20)
    lon, lat = to_lonlat(product.area.epsg).transform(*shapely.get_coordinates(hull).T)
    return orient(Polygon(np.column_stack([lon, lat])))


def new_item(product: Product, scl: NDArray[np.uint8], assets: Mapping[str, Any], stamp: str = "") -> dict[str, Any]:
    """The item's JSON.

    Args:
        product: What is delivered.
        scl: (h, w), the tile's classification at 20 m, 0 where there is no data; not all of it is 0.
        assets: As `band_asset` and `scl_asset` give them, by name.
        stamp: Which archive it belongs to, as `stamp_text` says it.
    """
    outline = _outline(scl > 0, product)
    seen = np.bincount(scl.ravel(), minlength=12).astype(float)
    total = max(seen[1:].sum(), 1.0)
    share = {code: round(100 * float(seen[code]) / total, 4) for code in SCL_CLASSES}
    links = [
        {"rel": "root", "href": "../../catalog.json", "type": "application/json"},
        {"rel": "parent", "href": "../collection.json", "type": "application/json"},
        {"rel": "collection", "href": "../collection.json", "type": "application/json"},
    ]
    return {
        "type": "Feature",
        "stac_version": "1.0.0",
        "stac_extensions": _EXTENSIONS,
        "id": product.item_id,
        "collection": COLLECTION,
        "bbox": [round(v, 7) for v in outline.bounds],
        "geometry": rounded(mapping(outline)),
        "properties": {
            STAMP: stamp,
            **_properties(product, share, 100 * float(seen[0]) / scl.size),
            "proj:centroid": {"lat": round(outline.centroid.y, 5), "lon": round(outline.centroid.x, 5)},
        },
        "links": links,
        "assets": dict(assets),
    }


def _properties(product: Product, share: Mapping[int, float], nodata: float) -> dict[str, Any]:
    """The item's properties.

    Args:
        product: What is delivered.
        share: Class of the scene classification → percent of the pixels that hold data.
        nodata: Percent of the pixels that hold none.
    """
    shot, slot, baseline = product.shot, product.overpass.slot, product.baseline
    short = "N" + baseline.replace(".", "")
    orbit = f"{1 + zlib.crc32(product.area.name.encode()) % 143:03d}"
    start, made = f"{shot.time - _DATATAKE:{_TIME}}", _made(product)
    system = f"{product.platform}_OPER_MSI_L2A"
    # A satellite turns 143 times in 10 days: https://sentiwiki.copernicus.eu/web/s2-mission.
    revolution = (28_900 if product.platform == "S2A" else 20_000) + 143 * (slot // 2)
    return {
        "datetime": f"{shot.time:%Y-%m-%dT%H:%M:%S}.000000Z",
        "created": CREATED,
        "updated": CREATED,
        "title": f"{product.item_id} (simulated)",
        "afterimage:simulated": True,
        "platform": "sentinel-2a" if product.platform == "S2A" else "sentinel-2b",
        "constellation": "sentinel-2",
        "instruments": ["msi"],
        "gsd": 10,
        "eo:cloud_cover": round(share[8] + share[9] + share[10], 4),
        "eo:snow_cover": share[11],
        "proj:epsg": product.area.epsg,
        "mgrs:utm_zone": int(product.tile[:2]),
        "mgrs:latitude_band": product.tile[2],
        "mgrs:grid_square": product.tile[3:],
        "grid:code": f"MGRS-{product.tile}",
        "view:sun_azimuth": round(shot.sun_azimuth, 6),
        "view:sun_elevation": round(shot.sun_elevation, 6),
        "s2:tile_id": f"{system}_TL_2BPS_{made:{_TIME}}_A{revolution:06d}_T{product.tile}_N{baseline}",
        "s2:datastrip_id": f"{system}_DS_2BPS_{made:{_TIME}}_S{shot.time - _IN_STRIP:{_TIME}}_N{baseline}",
        "s2:degraded_msi_data_percentage": 0,
        "s2:saturated_defective_pixel_percentage": 0,
        "s2:nodata_pixel_percentage": round(nodata, 4),
        "s2:dark_features_percentage": share[2],
        "s2:cloud_shadow_percentage": share[3],
        "s2:vegetation_percentage": share[4],
        "s2:not_vegetated_percentage": share[5],
        "s2:water_percentage": share[6],
        "s2:unclassified_percentage": share[7],
        "s2:medium_proba_clouds_percentage": share[8],
        "s2:high_proba_clouds_percentage": share[9],
        "s2:thin_cirrus_percentage": share[10],
        "s2:snow_ice_percentage": share[11],
        "s2:product_type": "S2MSI2A",
        "s2:processing_baseline": baseline,
        "s2:product_uri": f"{product.platform}_MSIL2A_{start}_{short}_R{orbit}_T{product.tile}_{made:{_TIME}}.SAFE",
        "s2:datatake_id": f"G{product.platform}_{start}_{revolution:06d}_N{baseline}",
        "s2:datatake_type": "INS-NOBS",
        "s2:generation_time": f"{made:%Y-%m-%dT%H:%M:%S}.000000Z",
        "s2:sequence": str(product.sequence),
        "earthsearch:boa_offset_applied": product.offset_applied,
    }


def _made(product: Product) -> datetime:
    """When a product was processed: the same day, or in the reprocessing of early 2024."""
    if product.reprocessed:
        return _REPROCESSED + timedelta(minutes=17 * product.overpass.slot)
    return product.shot.time + timedelta(hours=5)


def rounded(value: Any) -> Any:
    """A GeoJSON geometry with coordinates rounded to 1e-7 degrees (1 cm): last bits differ between machines."""
    if isinstance(value, dict):
        return {key: rounded(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [rounded(part) for part in value]
    return round(value, 7) if isinstance(value, float) else value


def write_geojson(path: Path, features: Sequence[tuple[Mapping[str, Any], Mapping[str, Any]]], key: str) -> None:
    """Write (GeoJSON geometry, properties) pairs as a feature collection; `key` names the property that is the id."""
    content = {
        "type": "FeatureCollection",
        "features": [
            {
                "type": "Feature",
                "id": properties[key],
                "properties": dict(properties),
                "geometry": rounded(shape),
            }
            for shape, properties in features
        ],
    }
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def write_areas(path: Path, areas: Sequence[Area]) -> None:
    """Write where the areas lie, and to which split they belong, as GeoJSON."""
    features = [
        (
            mapping(area.outline),
            {
                "name": area.name,
                "biome": area.biome,
                "split": area.split,
                "epsg": area.epsg,
                "tiles": list(area.tiles),
                "simulated": True,
            },
        )
        for area in areas
    ]
    write_geojson(path, features, "name")


def write_catalog(root: Path, items: Sequence[Mapping[str, Any]]) -> None:
    """Write `catalog.json` and the collection, with links to all items in the order given."""
    boxes = np.array([item["bbox"] for item in items])
    times = sorted(str(item["properties"]["datetime"]) for item in items)
    box = [*boxes[:, :2].min(axis=0).tolist(), *boxes[:, 2:].max(axis=0).tolist()]
    children = [
        {"rel": "item", "href": f"./{item['id']}/{item['id']}.json", "type": "application/geo+json"} for item in items
    ]
    up = [{"rel": rel, "href": "../catalog.json", "type": "application/json"} for rel in ("root", "parent")]
    collection = {
        "type": "Collection",
        "stac_version": "1.0.0",
        "id": COLLECTION,
        "title": "SIMULATED Sentinel-2 level 2A",
        "description": f"{NOTICE} Written in the form of the Earth Search v1 collection sentinel-2-l2a.",
        "license": "CC0-1.0",
        "afterimage:simulated": True,
        "keywords": ["simulated", "sentinel-2", "change"],
        "extent": {"spatial": {"bbox": [box]}, "temporal": {"interval": [[times[0], times[-1]]]}},
        "links": [*up, *children],
    }
    catalog = {
        "type": "Catalog",
        "stac_version": "1.0.0",
        "id": "afterimage-simulated",
        "title": "SIMULATED archive of Afterimage",
        "description": NOTICE,
        "links": [
            {"rel": "root", "href": "./catalog.json", "type": "application/json"},
            {"rel": "child", "href": f"./{COLLECTION}/collection.json", "type": "application/json"},
        ],
    }
    (root / COLLECTION).mkdir(exist_ok=True)
    (root / COLLECTION / "collection.json").write_text(json.dumps(collection, indent=1) + "\n", encoding="utf-8")
    (root / "catalog.json").write_text(json.dumps(catalog, indent=1) + "\n", encoding="utf-8")
