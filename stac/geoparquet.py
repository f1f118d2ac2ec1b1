"""stac-geoparquet: items as a table, which other tools read too.

Parquet has one type for a column, STAC has not: where items disagree about the type of a field, or hold what a column
cannot, each row carries its whole item as JSON text besides the columns that all agree on, and is read from that.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import rustac
from pystac_client.exceptions import APIError
from shapely.geometry import mapping

from .area import Area
from .document import footprint, times_of
from .errors import CatalogError
from .period import Period
from .retry import RetryIO, bare_url
from .static import Document, is_url, unreachable

TEXT = "afterimage:item"
"""Property that holds a whole item as JSON text, in files of items that fit no common columns."""

_ROWS = 2000  # turned into dictionaries at once: some 100 MB

# Top-level names of an item: rustac drops others, and properties of these names.
_TOP = {"type", "stac_version", "stac_extensions", "id", "geometry", "bbox", "links", "assets", "collection"}
# Properties and asset fields that rustac reads as times or text, whatever they hold.
_TIMES = {"datetime", "start_datetime", "end_datetime", "created", "updated", "published", "expires", "unpublished"}
_WORDS = {"href", "type", "title", "description"}


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
                yield from map(_document, rustac.read_sync(href, format="parquet")["features"])
                return
            else:
                path = Path(href)
            yield from _iter_row_groups(path, Path(folder) / "rows.parquet", area, period)
    except APIError as err:
        raise unreachable(href, err, http.tries(err)) from None
    except (OSError, pa.ArrowException, rustac.RustacError, KeyError, ValueError) as err:
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
            yield from map(_document, rustac.read_sync(str(rows), set_self_link=False)["features"])


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


def _document(row: Document) -> Document:
    """The item of a row: its text where there is one, else its columns."""
    text = row["properties"].get(TEXT)
    return dict(json.loads(text)) if isinstance(text, str) else dict(_clean(row))


def _clean(value: Any) -> Any:
    """An item from Parquet without the nulls that its columns brought, and with lists for tuples."""
    if isinstance(value, dict):
        return {key: _clean(part) for key, part in value.items() if part is not None or key in ("datetime", "geometry")}
    return [_clean(part) for part in value] if type(value) in (list, tuple) else value


def write_parquet(documents: Sequence[Document], path: Path) -> None:
    """Write items as stac-geoparquet.

    Items whose fields have one type each come back as they are, but for nulls, which are left out, and times, which are
    kept to the millisecond. Where one differs, all are kept as text too (`TEXT`), and come back exactly.

    Args:
        documents: Valid items with assets; at least one.
        path: File to write.

    Raises:
        CatalogError: The items cannot be written as such.
        OSError: The disk is full.
    """
    bare = [str(document["id"]) for document in documents if not document.get("assets")]
    if bare:
        raise CatalogError(f"item '{bare[0]}' has no assets", "items with assets in a .parquet", "write them as .json")
    plain = all(document.keys() - {"properties"} <= _TOP for document in documents)
    plain = plain and not any({*_TOP, TEXT} & document["properties"].keys() for document in documents)
    if plain:
        try:
            return _write(documents, path)
        except rustac.RustacError:
            pass  # no common type
    names = _common(documents)
    try:
        _write([_lean(document, names) for document in documents], path)
    except rustac.RustacError as err:
        raise CatalogError(
            f"the items cannot be written as stac-geoparquet ({str(err).splitlines()[0][:120]})",
            "items with a footprint and a time each",
            "write them as .json",
        ) from err


def _write(documents: Sequence[Document], path: Path) -> None:
    try:
        rustac.write_sync(str(path.resolve()), list(documents), format="parquet", parquet_compression="zstd(3)")
    except rustac.RustacError as err:
        code = re.search(r"\(os error (\d+)\)", str(err))
        if code:  # a fault of the disk, which Rust reports in words only
            raise OSError(int(code[1]), os.strerror(int(code[1])), str(path)) from err
        raise


def _common(documents: Sequence[Document]) -> set[str]:
    """Properties that are of one plain type in all items that have them."""
    kinds: dict[str, set[type | None]] = {}
    for document in documents:
        for name, value in document["properties"].items():
            if value is not None:
                kinds.setdefault(name, set()).add(_kind(value))
    kept = {name for name, found in kinds.items() if len(found) == 1 and None not in found}  # None: no plain type
    return kept - _TOP - _TIMES - {TEXT} - {name for name in _WORDS if kinds.get(name) != {str}}


def _kind(value: Any) -> type | None:
    """The type of a column that holds a value exactly: text, truth or number; None for any other."""
    if isinstance(value, bool | str):
        return type(value)
    return float if isinstance(value, int | float) and abs(value) < 2**53 else None


def _lean(document: Document, names: set[str]) -> Document:
    """An item as its columns that fit all items, and the whole of it as text."""
    start, end = (when.astimezone(UTC).isoformat() for when in times_of(document))
    spans = document["properties"].get("datetime") is None
    times = {"datetime": None, "start_datetime": start, "end_datetime": end} if spans else {"datetime": start}
    properties = {name: value for name, value in document["properties"].items() if name in names}
    assets = {
        key: {name: asset[name] for name in _WORDS if isinstance(asset.get(name), str)}
        for key, asset in document["assets"].items()
    }
    outline = footprint(document)
    top = {key: document[key] for key in ("type", "stac_version", "id", "collection") if document.get(key)}
    return {
        **top,
        "geometry": mapping(outline),
        "bbox": list(outline.bounds),
        "properties": {**properties, **times, TEXT: json.dumps(document)},
        "links": [],
        "assets": assets,
    }
