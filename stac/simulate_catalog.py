"""The simulated archive's catalog: a static STAC catalog shaped as Earth Search v1 shapes its `sentinel-2-l2a`.

Nothing here depends on the clock: a seed gives the same bytes again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from shapely.geometry import Polygon, mapping

from .bands import BANDS as BAND_TABLE
from .bands import SCL, SCL_CLASSES
from .lattice import to_lonlat
from .simulate_scene import Pass

EPSG = 32610
ORIGIN = (525_940, 4_388_300)
"""West and north edge of the ground, metres: multiples of 20, like every tile's, and not of 640, the side of a chip."""
COLLECTION = "sentinel-2-l2a-simulated"
CREATED = "2024-02-01T00:00:00Z"
"""Stands in every item as the time of making: the archive holds no time of now."""
NOTICE = "SIMULATED: drawn by a program, not observed by any satellite. Places, dates and changes in it are invented."
ORBIT = 113
"""Relative orbit that passes over northern California."""
TILES: tuple[str, ...] = ("10SEJ", "10SFJ")
"""Names of the two tiles, west and east. Neighbours in MGRS; size and place are the simulation's."""

_EXTENSIONS = [
    "https://stac-extensions.github.io/eo/v1.1.0/schema.json",
    "https://stac-extensions.github.io/raster/v1.1.0/schema.json",
    "https://stac-extensions.github.io/projection/v1.1.0/schema.json",
    "https://stac-extensions.github.io/view/v1.0.0/schema.json",
    "https://stac-extensions.github.io/grid/v1.0.0/schema.json",
    "https://stac-extensions.github.io/mgrs/v1.0.0/schema.json",
]
_COG_TYPE = "image/tiff; application=geotiff; profile=cloud-optimized"


@dataclass(frozen=True)
class Product:
    """One item to write: a tile of a pass, as one processing baseline delivered it."""

    tile: str
    """MGRS name, one of `TILES`."""
    shot: Pass
    """The pass that saw it."""
    baseline: str
    """Processing baseline, `05.09`."""
    offset_applied: bool
    """What `earthsearch:boa_offset_applied` says."""
    sequence: int = 0
    """0, or 1 for the second delivery of the same tile and pass."""
    gain: float = 1.0
    """Factor on the reflectance: reprocessed deliveries differ a little in brightness."""

    @property
    def offset(self) -> int:
        """What stands in the pixels besides reflectance × 10,000: 1000 from baseline 04.00 on, unless removed."""
        return 1000 if self.baseline >= "04.00" and not self.offset_applied else 0

    @property
    def platform(self) -> str:
        """`S2A` or `S2B`: they take turns."""
        return "S2A" if self.shot.index % 2 == 0 else "S2B"

    @property
    def item_id(self) -> str:
        """As Earth Search names items."""
        return f"{self.platform}_{self.tile}_{self.shot.time:%Y%m%d}_{self.sequence}_L2A"


def _grid(shape: Sequence[int], west: int, gsd: int) -> dict[str, Any]:
    """Projection fields of an asset."""
    return {"proj:shape": list(shape), "proj:transform": [gsd, 0, west, 0, -gsd, ORIGIN[1]]}


def band_asset(name: str, shape: Sequence[int], west: int, product: Product) -> dict[str, Any]:
    """One band's asset.

    `raster:bands.offset` is -0.1 from baseline 04.00 on even where the pixels are already corrected: Earth Search says
    so too (https://github.com/microsoft/PlanetaryComputer/issues/349), and `earthsearch:boa_offset_applied` decides.
    """
    band = BAND_TABLE[name]
    scaling = {"scale": 0.0001, "offset": -0.1 if product.baseline >= "04.00" else 0}
    raster = {"nodata": 0, "data_type": "uint16", "bits_per_sample": 15, "spatial_resolution": band.gsd, **scaling}
    centre = {"name": band.common_name, "common_name": band.common_name, "center_wavelength": band.wavelength / 1000}
    return {
        "href": f"./{name}.tif",
        "type": _COG_TYPE,
        "title": f"{band.common_name} ({name}) - {band.gsd}m, simulated",
        "eo:bands": [centre],
        "gsd": band.gsd,
        **_grid(shape, west, band.gsd),
        "raster:bands": [raster],
        "roles": ["data", "reflectance"],
    }


def scl_asset(shape: Sequence[int], west: int) -> dict[str, Any]:
    """The classification's asset."""
    return {
        "href": f"./{SCL}.tif",
        "type": _COG_TYPE,
        "title": "Scene classification map (SCL), simulated",
        "gsd": 20,
        **_grid(shape, west, 20),
        "raster:bands": [{"nodata": 0, "data_type": "uint8", "spatial_resolution": 20}],
        "roles": ["data"],
    }


def _outline(valid: NDArray[np.bool_], west: int) -> Polygon:
    """Outline of the valid pixels (h, w), longitude and latitude: a rectangle, or what a slanted edge leaves of it."""
    rows, cols = np.nonzero(valid)
    edge = np.unique(rows)[[0, -1]]
    left = [int(cols[rows == r].min()) for r in edge]
    right = [int(cols[rows == r].max()) + 1 for r in edge]
    top, bottom = ORIGIN[1] - 10 * int(edge[0]), ORIGIN[1] - 10 * (int(edge[1]) + 1)
    corners = [(left[1], bottom), (right[1], bottom), (right[0], top), (left[0], top)]
    return Polygon([to_lonlat(EPSG).transform(west + 10 * c, y) for c, y in corners])


def new_item(
    product: Product, valid: NDArray[np.bool_], scl: NDArray[np.uint8], west: int, assets: Mapping[str, Any]
) -> dict[str, Any]:
    """The item's JSON."""
    outline = _outline(valid, west)
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
        "geometry": _rounded(mapping(outline)),
        "properties": _properties(product, share, 100 * float(seen[0]) / scl.size),
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
    shot, baseline = product.shot, product.baseline
    short = "N" + baseline.replace(".", "")
    sensed, made = (
        f"{shot.time:%Y%m%dT%H%M%S}",
        f"{shot.time + timedelta(hours=5 + 24 * 400 * product.sequence):%Y%m%dT%H%M%S}",
    )
    orbit = (
        28_900 + round(14.3 * 5 * shot.index) if product.platform == "S2A" else 20_000 + round(14.3 * 5 * shot.index)
    )
    return {
        "datetime": f"{shot.time + timedelta(minutes=11):%Y-%m-%dT%H:%M:%S}.000000Z",
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
        "proj:epsg": EPSG,
        "mgrs:utm_zone": int(product.tile[:2]),
        "mgrs:latitude_band": product.tile[2],
        "mgrs:grid_square": product.tile[3:],
        "grid:code": f"MGRS-{product.tile}",
        "view:sun_azimuth": round(shot.sun_azimuth, 6),
        "view:sun_elevation": round(shot.sun_elevation, 6),
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
        "s2:product_uri": f"{product.platform}_MSIL2A_{sensed}_{short}_R{ORBIT}_T{product.tile}_{made}.SAFE",
        "s2:datatake_id": f"G{product.platform}_{sensed}_{orbit:06d}_N{baseline}",
        "s2:datatake_type": "INS-NOBS",
        "s2:sequence": str(product.sequence),
        "earthsearch:boa_offset_applied": product.offset_applied,
    }


def _rounded(value: Any) -> Any:
    """A GeoJSON geometry with coordinates rounded to 1e-7 degrees (1 cm): last bits differ between machines."""
    if isinstance(value, dict):
        return {key: _rounded(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_rounded(part) for part in value]
    return round(value, 7) if isinstance(value, float) else value


def write_geojson(path: Path, features: Sequence[tuple[Mapping[str, Any], Mapping[str, Any]]]) -> None:
    """Write (GeoJSON geometry, properties) pairs as a feature collection."""
    content = {
        "type": "FeatureCollection",
        "features": [
            {
                "type": "Feature",
                "id": properties["event_id"],
                "properties": dict(properties),
                "geometry": _rounded(shape),
            }
            for shape, properties in features
        ],
    }
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


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
    (root / COLLECTION / "collection.json").write_text(json.dumps(collection, indent=1) + "\n", encoding="utf-8")
    (root / "catalog.json").write_text(json.dumps(catalog, indent=1) + "\n", encoding="utf-8")
