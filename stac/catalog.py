"""Finding items: one call for STAC APIs, static catalogs, item collections and stac-geoparquet.

`find_items` gives `pystac.Item`s whose geometry truly meets the area and whose time lies in the period, each once, in
the order of time, with absolute asset addresses: the same items whichever way the catalog is served. `save_items` and
`open_items` keep them for the next run, which is also kinder to servers than searching again.

    python -m stac.catalog earth-search --area California --period 2023-07 --out items.parquet
"""

from __future__ import annotations

import argparse
import contextlib
import difflib
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pystac
from pystac_client.exceptions import APIError
from tqdm import tqdm

from .api import find_api, iter_search
from .area import Area, norm_area
from .cli import check_output, parse_args
from .document import check_max_cloud, matches, new_item, times_of
from .errors import AreaError, CatalogError, exit_code
from .files import write_whole
from .geoparquet import iter_parquet, write_parquet
from .period import Period, norm_period
from .retry import Retry, RetryIO, bare_url
from .sign import sign_href
from .static import Document, absolute_href, is_url, iter_static, links_of, read_document, unreachable

__all__ = ["PRESETS", "Preset", "Retry", "find_items", "open_items", "save_items", "sign_href"]


@dataclass(frozen=True)
class Preset:
    """A known STAC API."""

    name: str
    """What it is called on the command line."""
    url: str
    """Address of its root."""
    collection: str
    """Its collection of Sentinel-2 level 2A, searched unless another is named."""
    sign: bool
    """Whether its asset addresses must be signed before the read."""


# https://element84.com/earth-search/, https://planetarycomputer.microsoft.com/docs/quickstarts/reading-stac/ and
# https://documentation.dataspace.copernicus.eu/APIs/STAC.html. CDSE's assets lie on s3://eodata: reading them wants the
# variables AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_S3_ENDPOINT=eodata.dataspace.copernicus.eu.
PRESETS: dict[str, Preset] = {
    preset.name: preset
    for preset in (
        Preset("earth-search", "https://earth-search.aws.element84.com/v1", "sentinel-2-l2a", sign=False),
        Preset(
            "planetary-computer", "https://planetarycomputer.microsoft.com/api/stac/v1", "sentinel-2-l2a", sign=True
        ),
        Preset("cdse", "https://stac.dataspace.copernicus.eu/v1", "sentinel-2-l2a", sign=False),
    )
}
"""Name → preset."""

MOST_ON_PAGE = 10_000
"""Most items in one answer. Source: STAC API item search, parameter `limit`."""

_TABLES = (".parquet", ".geoparquet")


def find_items(
    source: str | Path,
    *,
    area: Area,
    period: Period,
    collection: str | None = None,
    page_size: int = 100,
    retry: Retry | None = None,
    max_cloud: float | None = None,
    progress: bool = False,
) -> list[pystac.Item]:
    """Items of a catalog within an area and a period.

    Args:
        source: A preset's name; the address of a STAC API or of one of its collections; the address or path of a static
            catalog, collection, item or item collection (JSON), of items line by line (`.ndjson`), or of
            stac-geoparquet (`.parquet`); a folder with a `catalog.json` or `collection.json`.
        area: Items must share a point with it.
        period: Items' time, UTC, must lie in it.
        collection: Only this one. None means the preset's, or all that a catalog has.
        page_size: Items in one answer of an API, from 1 to `MOST_ON_PAGE`. Small pages keep servers within their
            limits.
        retry: How patiently to ask.
        max_cloud: Leave out items whose `eo:cloud_cover`, percent, is higher; items without one are kept.
        progress: Show a progress bar on standard error.

    Returns:
        Items in the order of time, then id; none twice.

    Raises:
        CatalogError: The catalog cannot be reached, read or understood; `page_size` or `max_cloud` is out of bounds.
        AreaError: No item lies in the area and period.
    """
    check_max_cloud(max_cloud)
    if not 1 <= page_size <= MOST_ON_PAGE:
        raise CatalogError(f"page size {page_size}", f"1 to {MOST_ON_PAGE} items on a page", "correct --page-size")
    http = RetryIO(retry or Retry())
    roots = {preset.url: preset for preset in PRESETS.values()}
    preset = PRESETS.get(str(source)) or roots.get(str(source).rstrip("/"))
    href = preset.url if preset else _locate(source)
    collection = collection or (preset.collection if preset else None)
    found: dict[tuple[str, str], tuple[datetime, str, pystac.Item]] = {}
    seen = 0
    documents = _iter_documents(
        href, http, area=area, period=period, collection=collection, page_size=page_size, max_cloud=max_cloud
    )
    for document, base in tqdm(documents, desc="items", unit="", disable=not progress):
        seen += 1
        key = (str(document.get("collection") or ""), str(document.get("id")))
        if key not in found and matches(document, area, period, collection, max_cloud):
            found[key] = times_of(document)[0], key[1], new_item(document, base)
    if not found:
        where = f"in {preset.name if preset else bare_url(href)}" + (f", collection {collection}" if collection else "")
        cloud = "" if max_cloud is None else f" and with clouds up to {max_cloud:g} %"
        raise AreaError(
            f"no item lies in {area.name} within {period}{cloud} ({seen} looked at {where})",
            "at least one item",
            "check the coordinates (longitude first), widen the area or period, or name another catalog or collection",
        )
    return [item for _, _, item in sorted(found.values(), key=lambda row: row[:2])]


def save_items(items: Iterable[pystac.Item], path: Path) -> None:
    """Write items as an item collection (`.json`, `.geojson`) or as stac-geoparquet (`.parquet`), whole or not at all.

    Raises:
        CatalogError: The name ends otherwise, or there is no item.
        OSError: The file cannot be written.
    """
    documents = [item.to_dict(include_self_link=True, transform_hrefs=False) for item in items]
    _check_name(path)
    if not documents:
        raise CatalogError("there is no item to write", "at least one item", "find items first")
    with write_whole(path) as temporary:
        if path.suffix.lower() in _TABLES:
            write_parquet(documents, temporary)
        else:
            content = {"type": "FeatureCollection", "features": documents}
            temporary.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")


def _check_name(path: Path) -> None:
    if path.suffix.lower() not in (*_TABLES, ".json", ".geojson"):
        raise CatalogError(f"items cannot be written to {path.name}", "a name in .parquet or .json", "rename the file")


def open_items(path: Path) -> list[pystac.Item]:
    """Items of a file that `save_items` wrote, in its order.

    Raises:
        CatalogError: The file is missing or holds no items.
    """
    http = RetryIO(Retry())
    href = _locate(path)
    if path.suffix.lower() in _TABLES:
        pairs: Iterable[tuple[Document, str]] = ((document, href) for document in iter_parquet(href, http))
    else:
        pairs = iter_static(read_document(href, http), href, http)
    return [new_item(document, base) for document, base in pairs]


def _locate(source: str | Path) -> str:
    """Address, or absolute path, of a source that is no preset."""
    text = str(source)
    if isinstance(source, str) and "://" in text:
        if not is_url(text) and not text.endswith(_TABLES) and not text.startswith("file://"):
            scheme = text.partition(":")[0]
            found = f"catalog {bare_url(text)} lies behind {scheme}://"
            raise CatalogError(found, "http(s)://, a path, or .parquet in an object store", "give another address")
        return absolute_href(text, "") if text.startswith("file://") else text
    path = None
    with contextlib.suppress(OSError, RuntimeError, ValueError):  # longer than any name; the home of nobody
        whole = Path(source).expanduser().resolve()
        below = [whole / name for name in ("catalog.json", "collection.json")] if whole.is_dir() else [whole]
        path = next((file for file in below if file.is_file()), None)
    if path is None:
        near = difflib.get_close_matches(text, [*PRESETS], n=1, cutoff=0.6)
        raise CatalogError(
            f"catalog '{text[:200]}' is neither known by name nor a file",
            f"{', '.join(PRESETS)}, an http(s) address, or a STAC file or folder",
            f"did you mean {near[0]}?" if near else "correct the name or path",
        )
    return str(path)


def _iter_documents(
    href: str,
    http: RetryIO,
    *,
    area: Area,
    period: Period,
    collection: str | None,
    page_size: int,
    max_cloud: float | None,
) -> Iterator[tuple[Document, str]]:
    """Items that may match, each with the address that its relative addresses refer to."""
    name = href.partition("?")[0].lower()
    if name.endswith(_TABLES):
        yield from ((document, href) for document in iter_parquet(href, http, area=area, period=period))
        return
    if name.endswith((".ndjson", ".jsonl")):
        yield from _iter_lines(href, http)
        return
    document = read_document(href, http)
    api = find_api(document, href, http)
    if api is None:
        yield from iter_static(document, href, http, collection=collection)
        return
    for box in area.search_bboxes:
        for item in iter_search(
            api, http, box=box, period=period, collection=collection, page_size=page_size, max_cloud=max_cloud
        ):
            yield item, next((link["href"] for link in links_of(item, "self")), api.url)


def _iter_lines(href: str, http: RetryIO) -> Iterator[tuple[Document, str]]:
    """Items of newline-delimited JSON."""
    try:
        text = http.request(href) if is_url(href) else Path(href).read_text(encoding="utf-8")
        for line in text.splitlines():
            if line.strip():
                yield dict(json.loads(line)), href
    except APIError as err:
        raise unreachable(href, err, http.tries(err)) from None
    except (OSError, ValueError, TypeError, RecursionError) as err:
        raise CatalogError(
            f"{bare_url(href)} is no file of items", "one item in JSON a line", "check the file"
        ) from err


def main(argv: Sequence[str] | None = None) -> int:
    """Find items and write them to a file."""
    parser = argparse.ArgumentParser(
        prog="python -m stac.catalog",
        description="Find Sentinel-2 items in an area and a period, and keep them in a file for later runs.",
        epilog="examples:\n"
        "  python -m stac.catalog earth-search --area California --period 2023-07 --out items.parquet\n"
        "  python -m stac.catalog planetary-computer --area 177,-20,-178,-15 --period 2022 --max-cloud 30\n"
        "  python -m stac.catalog archive/catalog.json --area field.geojson --period 2023 --out items.json",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("source", help=f"{', '.join(PRESETS)}, an address, or a STAC file (.json, .ndjson, .parquet)")
    parser.add_argument("--collection", metavar="ID", help="only this collection (default: the preset's, else all)")
    parser.add_argument(
        "--area", required=True, metavar="FILE|W,S,E,N|NAME", help="where: box, vector file or place name"
    )
    parser.add_argument("--period", required=True, metavar="START/END", help="when: dates, or a year or month alone")
    parser.add_argument("--max-cloud", type=float, metavar="PERCENT", help="leave out cloudier items")
    parser.add_argument("--page-size", type=int, default=100, metavar="N", help="items in one answer (default: 100)")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the items: .parquet (stac-geoparquet) or .json")
    parser.add_argument("--json", action="store_true", help="print the summary as JSON")
    arguments = parse_args(parser, argv)
    return exit_code(lambda: _run(arguments))


def _run(arguments: argparse.Namespace) -> int:
    if arguments.out is not None:
        _check_name(check_output(arguments.out))
    items = find_items(
        arguments.source,
        area=norm_area(arguments.area),
        period=norm_period(arguments.period),
        collection=arguments.collection,
        page_size=arguments.page_size,
        max_cloud=arguments.max_cloud,
        progress=sys.stderr.isatty(),
    )
    if arguments.out is not None:
        save_items(items, arguments.out)
    first, last = (times_of(item.to_dict(False, False))[0] for item in (items[0], items[-1]))
    summary = {
        "items": len(items),
        "collections": sorted({item.collection_id or "" for item in items}),
        "first": first.isoformat(),
        "last": last.isoformat(),
        "file": str(arguments.out) if arguments.out else None,
    }
    if arguments.json:
        sys.stdout.write(json.dumps(summary) + "\n")
    else:
        where = f", written to {arguments.out}" if arguments.out else ""
        sys.stdout.write(f"{len(items)} items from {first:%Y-%m-%d} to {last:%Y-%m-%d}{where}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
