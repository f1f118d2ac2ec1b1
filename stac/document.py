"""One STAC item as a dictionary: its time, its footprint, whether it is looked for, and the `pystac.Item` of it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import pystac
from shapely.errors import ShapelyError
from shapely.geometry import MultiPolygon, Polygon, shape

from . import antimeridian
from .area import Area
from .errors import CatalogError
from .period import Period
from .static import Document, absolute_href, is_url, links_of


def check_max_cloud(percent: float | None) -> None:
    """Refuse a limit of cloud cover that is none.

    Raises:
        CatalogError: It is neither None nor a number from 0 to 100.
    """
    if percent is not None and not 0 <= percent <= 100:
        raise CatalogError(f"cloud cover up to {percent:g} %", "a number from 0 to 100", "correct --max-cloud")


def matches(document: Document, area: Area, period: Period, collection: str | None, max_cloud: float | None) -> bool:
    """Whether an item is of the collection, in the period, clear enough, and truly meets the area."""
    if document.get("type", "Feature") != "Feature" or collection not in (None, document.get("collection")):
        return False
    cloud = _properties(document).get("eo:cloud_cover")
    if max_cloud is not None and isinstance(cloud, int | float) and cloud > max_cloud:
        return False
    return period.overlaps(*times_of(document)) and area.intersects(footprint(document))


def times_of(document: Document) -> tuple[datetime, datetime]:
    """First and last instant of an item, UTC."""
    properties = _properties(document)
    when = properties.get("datetime")
    try:
        ends = [properties[key] for key in ("start_datetime", "end_datetime")] if when is None else [when, when]
        start, end = (datetime.fromisoformat(str(text)) for text in ends)
        start, end = (t.astimezone(UTC) if t.tzinfo else t.replace(tzinfo=UTC) for t in (start, end))
    except (KeyError, ValueError, OverflowError) as err:
        raise _invalid(document, "has no time") from err
    return start, end


def _properties(document: Document) -> Document:
    properties = document.get("properties") or {}
    if not isinstance(properties, dict):
        raise _invalid(document, "has no properties")
    return properties


def footprint(document: Document) -> Polygon | MultiPolygon:
    """Footprint of an item: polygons, degrees, split at the antimeridian.

    Args:
        document: The item, or just its `id`, `geometry` and `bbox`.

    Raises:
        CatalogError: It has neither a polygon nor a box.
    """
    try:
        if document.get("geometry"):
            outline = antimeridian.split_polygons(shape(document["geometry"]), wrapped=True)
            if not outline.is_empty:
                return outline
        box = [float(value) for value in document["bbox"]]
        return antimeridian.box(*((box[0], box[1], box[3], box[4]) if len(box) == 6 else box))
    except (KeyError, ValueError, TypeError, AttributeError, IndexError, ShapelyError) as err:
        raise _invalid(document, "has no footprint") from err


def new_item(document: Document, base: str) -> pystac.Item:
    """The item of a dictionary, its asset addresses absolute; of its links only its own address is kept.

    Args:
        document: The item; it may be changed.
        base: Address or path that its relative addresses refer to.

    Raises:
        CatalogError: It is no valid item.
    """
    own = [link for link in links_of(document, "self") if is_url(link["href"])][:1]
    content = {**document, "type": "Feature", "links": own}
    try:
        content["assets"] = {
            key: {**asset, "href": _asset_href(str(asset["href"]), base)}
            for key, asset in (document.get("assets") or {}).items()
            if isinstance(asset, dict) and asset.get("href")
        }
        if document["id"] is None:
            raise KeyError("id")
        content["id"] = str(document["id"])
        return pystac.Item.from_dict(content, preserve_dict=False, migrate=False)
    except (KeyError, ValueError, TypeError, AttributeError, pystac.STACError) as err:
        raise _invalid(document, "is no valid STAC item") from err


def _asset_href(href: str, base: str) -> str:
    """An asset's address, absolute; a server on this machine may name this machine's files by their paths."""
    here = is_url(base) and urlsplit(base).hostname in ("127.0.0.1", "localhost", "::1")
    return href if here and Path(href).is_absolute() else absolute_href(href, base)


def _invalid(document: Document, fault: str) -> CatalogError:
    return CatalogError(
        f"item '{document.get('id')}' {fault}", "a STAC item with id, time, geometry and assets", "mend or remove it"
    )
