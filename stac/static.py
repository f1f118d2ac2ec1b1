"""STAC documents as they lie in files and behind plain addresses: reading them, and walking through static catalogs.

Everything here works on dictionaries, as the documents are; `catalog` turns those that it keeps into `pystac.Item`.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import rustac
from pystac_client.exceptions import APIError

from .area import Area
from .errors import CatalogError
from .period import Period
from .retry import RetryIO, bare_url

Document = dict[str, Any]
"""A STAC catalog, collection, item or item collection, decoded from JSON."""

THREADS = 8
"""Documents of a static catalog that are fetched at once."""

_ROWS = 2000  # of stac-geoparquet turned into dictionaries at once: some 100 MB

_DO = "check the address, and that it is the one of a STAC API, catalog, collection or item"


def is_url(href: str) -> bool:
    """Whether an address is one of HTTP, not a path."""
    return urlsplit(href).scheme.lower() in ("http", "https")


def absolute_href(href: str, base: str) -> str:
    """An address made absolute.

    Args:
        href: Address or path, absolute or relative to `base`.
        base: Address or path of the document that states it.

    Returns:
        An address with its scheme, or an absolute path (for `file://` too, as GDAL takes those only as paths).
    """
    scheme = urlsplit(href).scheme.lower()
    if scheme == "file":
        return unquote(urlsplit(href).path)
    if len(scheme) > 1 or href.startswith("/vsi"):
        return href
    if is_url(base):
        return urljoin(base, href)
    return str((Path(base).parent / href).resolve()) if not Path(href).is_absolute() else href


def read_document(href: str, http: RetryIO) -> Document:
    """A STAC document behind an address or in a file.

    Raises:
        CatalogError: It cannot be reached or is no STAC.
    """
    text = _read_text(href, http)
    try:
        document: Any = json.loads(text)
    except ValueError as err:
        kind = "HTML" if text.lstrip()[:1] == "<" else "an empty answer" if not text.strip() else "what is no JSON"
        verb = "answered with" if is_url(href) else "holds"
        raise CatalogError(f"{bare_url(href)} {verb} {kind}", "STAC JSON", _DO) from err
    known = ("Catalog", "Collection", "Feature", "FeatureCollection")
    if not isinstance(document, dict):
        document = {"type": type(document).__name__}
    if "type" not in document and "stac_version" in document and "links" in document:
        document["type"] = "Collection" if "extent" in document else "Catalog"  # before STAC 1.0
    if document.get("type") not in known:
        found = f"{bare_url(href)} is JSON but no STAC (type {document.get('type')})"
        raise CatalogError(found, f"one of {', '.join(known)}", _DO)
    return dict(document)


def _read_text(href: str, http: RetryIO) -> str:
    if is_url(href):
        try:
            return http.request(href)
        except APIError as err:
            raise unreachable(href, err) from None  # pystac-client's text may quote the whole address
    try:
        return Path(href).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as err:
        reason = getattr(err, "strerror", None) or "not text"
        raise CatalogError(f"{href} cannot be read ({reason})", "a STAC file", "check the path") from err


def unreachable(href: str, err: APIError) -> CatalogError:
    """The error for a server that does not answer, or not with what was asked for."""
    status, text = getattr(err, "status_code", None), str(err).lower()
    if status:
        words = {404: "not found", 403: "forbidden", 401: "not authorised", 429: "too many requests"}
        found = f"{bare_url(href)} answered with status {status} ({words.get(status, 'an error')})"
        wait = status in (403, 429) or status >= 500
        return CatalogError(found, "STAC JSON", "wait some minutes and run the same command again" if wait else _DO)
    causes = {
        "refused": "connection refused",
        "resol": "host name unknown",
        "name or service": "host name unknown",
        "unreachable": "network unreachable",
        "timed out": "no answer in time",
        "certificate": "its certificate is not trusted",
    }
    reason = next((meaning for sign, meaning in causes.items() if sign in text), "the connection failed")
    return CatalogError(
        f"{bare_url(href)} cannot be reached: {reason}", "a STAC catalog", "check the address and the network"
    )


def iter_static(
    document: Document, href: str, http: RetryIO, *, collection: str | None = None
) -> Iterator[tuple[Document, str]]:
    """Items of a static document and of everything below it, with the address each was found at.

    Extents that catalogs state are not used to leave branches out: in hand-made ones they are often wrong.

    Args:
        document: A catalog, collection, item or item collection; further pages of an item collection are followed.
        href: Address or path of the document.
        http: Session for what lies on a server.
        collection: Other collections are not opened, unless they have children.

    Raises:
        CatalogError: A linked document cannot be read.
    """
    kind = document["type"]
    if kind == "Feature":
        yield document, href
    elif kind == "FeatureCollection":
        yield from _iter_pages(document, href, http)
    elif kind == "Catalog" or collection in (None, document.get("id")) or links_of(document, "child"):
        links = [link for rel in ("child", "item", "items") for link in links_of(document, rel)]
        targets = [absolute_href(link["href"], href) for link in links]
        with ThreadPoolExecutor(THREADS if is_url(href) else 1) as pool:
            for target, found in zip(targets, pool.map(lambda t: read_document(t, http), targets), strict=True):
                if found["type"] == "Feature" and not found.get("collection") and kind == "Collection":
                    found["collection"] = document.get("id")
                yield from iter_static(found, target, http, collection=collection)


def _iter_pages(page: Document, href: str, http: RetryIO) -> Iterator[tuple[Document, str]]:
    """Items of an item collection and of the pages that follow it."""
    seen = {href}
    while True:
        for item in page.get("features", []):
            yield item, _self_href(item) or href
        following = [absolute_href(link["href"], href) for link in links_of(page, "next")]
        if not following or following[0] in seen or not page.get("features"):
            return
        href = following[0]
        seen.add(href)
        page = read_document(href, http)


def iter_parquet(
    href: str, http: RetryIO, *, area: Area | None = None, period: Period | None = None
) -> Iterator[Document]:
    """Items of a stac-geoparquet file, row group by row group, so that memory stays bounded.

    Args:
        href: Path, or address; object stores (`s3://`, `gs://`, `az://`) are read by rustac, whole.
        http: Session for `http(s)://`.
        area: Rows whose box lies outside are left out early.
        period: Likewise rows whose `datetime` lies outside.

    Raises:
        CatalogError: The file cannot be read.
    """
    try:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "all.parquet"
            if is_url(href):
                path.write_bytes(http.content(href))
            elif "://" in href:
                yield from map(_clean, rustac.read_sync(href, format="parquet")["features"])
                return
            else:
                path = Path(href)
            yield from _iter_row_groups(path, Path(folder) / "rows.parquet", area, period)
    except APIError as err:
        raise unreachable(href, err) from None
    except (OSError, pa.ArrowException, rustac.RustacError, KeyError) as err:
        raise CatalogError(
            f"{bare_url(href)} is no stac-geoparquet file ({str(err).splitlines()[0][:120]})",
            "stac-geoparquet, as save_items writes it",
            "check the file, or write it again",
        ) from err


def _iter_row_groups(path: Path, rows: Path, area: Area | None, period: Period | None) -> Iterator[Document]:
    file = pq.ParquetFile(path)
    if not {"id", "geometry", "assets"} <= set(file.schema_arrow.names):
        raise KeyError("columns id, geometry and assets are not all there")
    # Arrow's own copy of the schema must not travel along: it no longer fits what is written.
    metadata = {key: value for key, value in (file.metadata.metadata or {}).items() if key != b"ARROW:schema"}
    for k in range(file.num_row_groups):
        table = file.read_row_group(k)
        if area is not None or period is not None:
            table = table.filter(_early(table, area, period))
        for start in range(0, table.num_rows, _ROWS):
            pq.write_table(table.slice(start, _ROWS).replace_schema_metadata(metadata), rows)
            yield from map(_clean, rustac.read_sync(str(rows), set_self_link=False)["features"])


def _early(table: pa.Table, area: Area | None, period: Period | None) -> pa.ChunkedArray:
    """Rows that may lie in the area and period; those without a box or time may."""
    keep = pa.chunked_array([pa.array([True] * table.num_rows)])
    if (
        period is not None
        and "datetime" in table.schema.names
        and pa.types.is_timestamp(table.schema.field("datetime").type)
    ):
        kind = table.schema.field("datetime").type
        start, end = (pa.scalar(_floor(when, kind), kind) for when in (period.start, period.end))
        inside = pc.and_(pc.greater_equal(table["datetime"], start), pc.less_equal(table["datetime"], end))
        keep = pc.and_(keep, pc.fill_null(inside, True))
    if area is not None and "bbox" in table.schema.names and pa.types.is_struct(table.schema.field("bbox").type):
        west, south, east, north = (pc.struct_field(table["bbox"], name) for name in ("xmin", "ymin", "xmax", "ymax"))
        crossing = pc.less(east, west)
        hit = pa.chunked_array([pa.array([False] * table.num_rows)])
        for box in area.bboxes:
            high = pc.and_(pc.less_equal(south, box[3]), pc.greater_equal(north, box[1]))
            wide = pc.and_(pc.less_equal(west, box[2]), pc.greater_equal(east, box[0]))
            hit = pc.or_(hit, pc.and_(high, pc.or_(wide, crossing)))
        keep = pc.and_(keep, pc.fill_null(hit, True))
    return keep


def _floor(when: datetime, kind: pa.DataType) -> datetime:
    """An instant that a timestamp of coarser unit can hold."""
    digits = {"s": 1_000_000, "ms": 1000}.get(kind.unit, 1)
    when = when.replace(microsecond=when.microsecond // digits * digits)
    return when if kind.tz else when.replace(tzinfo=None)


def _clean(value: Any) -> Any:
    """An item from Parquet without the nulls that its columns brought, and with lists for tuples."""
    if isinstance(value, dict):
        return {key: _clean(part) for key, part in value.items() if part is not None or key in ("datetime", "geometry")}
    return [_clean(part) for part in value] if type(value) in (list, tuple) else value


def links_of(document: Document, rel: str) -> list[Document]:
    """Links of a document that stand in one relation to it and lead somewhere."""
    return [link for link in document.get("links", []) if link.get("rel") == rel and link.get("href")]


def _self_href(item: Document) -> str | None:
    """The address that an item gives itself, if absolute."""
    hrefs = [str(link["href"]) for link in links_of(item, "self")]
    return next((href for href in hrefs if is_url(href) or Path(href).is_absolute()), None)
