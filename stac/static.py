"""STAC documents as they lie in files and behind plain addresses: reading them, and walking through static catalogs.

Everything here works on dictionaries, as the documents are; `catalog` turns those that it keeps into `pystac.Item`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit

from pystac_client.exceptions import APIError

from .errors import CatalogError
from .retry import RetryIO, bare_url

Document = dict[str, Any]
"""A STAC catalog, collection, item or item collection, decoded from JSON."""

THREADS = 8
"""Documents of a static catalog that are fetched at once."""

_DEEPEST = 50  # assumed: no catalog nests so deep; one whose addresses change on the way round does

_DO = "check the address, and that it is the one of a STAC API, catalog, collection or item"


def is_url(href: str) -> bool:
    """Whether an address is one of HTTP, not a path."""
    return href.lower().startswith(("http:", "https:"))


def absolute_href(href: str, base: str) -> str:
    """An address made absolute.

    Args:
        href: Address or path, absolute or relative to `base`.
        base: Address or path of the document that states it.

    Returns:
        An address with its scheme, or an absolute path (for `file://` too, as GDAL takes those only as paths).

    Raises:
        CatalogError: It can be neither an address nor a path.
    """
    try:
        scheme = urlsplit(href).scheme.lower()
        if scheme == "file":
            return unquote(urlsplit(href).path)
        if len(scheme) > 1 or href.startswith("/vsi"):
            return href
        if is_url(base):
            return urljoin(base, href)
        return str((Path(base).parent / href).resolve()) if not Path(href).is_absolute() else href
    except ValueError as err:
        raise CatalogError(
            f"{bare_url(href)} in {bare_url(base)} is no address", "an address or a path", "mend it"
        ) from err


def read_document(href: str, http: RetryIO) -> Document:
    """A STAC document behind an address or in a file.

    Raises:
        CatalogError: It cannot be reached or is no STAC.
    """
    text = _read_text(href, http)
    try:
        document: Any = json.loads(text)
    except (ValueError, RecursionError) as err:
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
            raise unreachable(href, err, http.tries(err)) from None  # pystac-client may quote the whole address
    try:
        return Path(href).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as err:
        reason = getattr(err, "strerror", None) or "not text"
        raise CatalogError(f"{href} cannot be read ({reason})", "a STAC file", "check the path") from err


def unreachable(href: str, err: APIError, tries: int = 1) -> CatalogError:
    """The error for a server that does not answer, or not with what was asked for.

    Args:
        href: Address that was asked.
        err: What came of it.
        tries: How often it was asked.
    """
    status, text = getattr(err, "status_code", None), str(err).lower()
    if status:
        words = {404: "not found", 403: "forbidden", 401: "not authorised", 429: "too many requests"}
        often = f" to each of {tries} tries" if tries > 1 else ""
        found = f"{bare_url(href)} answered with status {status} ({words.get(status, 'an error')}){often}"
        wait = status in (403, 429) or status >= 500
        return CatalogError(found, "STAC JSON", "wait some minutes and run the same command again" if wait else _DO)
    causes = {
        "invalid": "no valid address",
        "failed to parse": "no valid address",
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
    document: Document, href: str, http: RetryIO, *, collection: str | None = None, above: tuple[str, ...] = ()
) -> Iterator[tuple[Document, str]]:
    """Items of a static document and of everything below it, with the address each was found at.

    Extents that catalogs state are not used to leave branches out: in hand-made ones they are often wrong.

    Args:
        document: A catalog, collection, item or item collection; further pages of an item collection are followed.
        href: Address or path of the document.
        http: Session for what lies on a server.
        collection: Other collections are not opened, unless they have children.
        above: Addresses of the documents that led here.

    Raises:
        CatalogError: A linked document cannot be read, or leads back to one above it.
    """
    kind, path = document["type"], (*above, href)
    if kind == "Feature":
        yield document, href
    elif kind == "FeatureCollection":
        yield from _iter_pages(document, href, http)
    elif kind == "Catalog" or collection in (None, document.get("id")) or links_of(document, "child"):
        links = [link for rel in ("child", "item", "items") for link in links_of(document, rel)]
        targets = [absolute_href(link["href"], href) for link in links]
        if len(path) > _DEEPEST or not set(path).isdisjoint(targets):
            raise circle(href)
        with ThreadPoolExecutor(THREADS if is_url(href) else 1) as pool:
            for target, found in zip(targets, pool.map(lambda t: read_document(t, http), targets), strict=True):
                if found["type"] == "Feature" and not found.get("collection") and kind == "Collection":
                    found["collection"] = document.get("id")
                yield from iter_static(found, target, http, collection=collection, above=path)


def _iter_pages(page: Document, href: str, http: RetryIO) -> Iterator[tuple[Document, str]]:
    """Items of an item collection and of the pages that follow it."""
    seen = {href}
    while True:
        items = features_of(page, href)
        for item in items:
            yield item, _self_href(item) or href
        following = [absolute_href(link["href"], href) for link in links_of(page, "next")]
        if not following or not items:
            return
        if following[0] in seen:
            raise circle(href)
        href = following[0]
        seen.add(href)
        page = read_document(href, http)


def features_of(page: Document, href: str) -> list[Document]:
    """The items of an item collection.

    Raises:
        CatalogError: It has none, or something else in their place.
    """
    items = page.get("features")
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        found = f"the features of {bare_url(href)} are no list of items"
        raise CatalogError(found, "STAC items in GeoJSON", "mend the file, or give another catalog")
    return items


def circle(href: str) -> CatalogError:
    """The error for pages or catalogs, the last of them at an address, that lead in a circle."""
    return CatalogError(
        f"the links of {bare_url(href)} lead in a circle",
        "each page and each child catalog once",
        "mend the catalog, or give another one: what lies beyond the circle cannot be found",
    )


def links_of(document: Document, rel: str) -> list[Document]:
    """Links of a document that stand in one relation to it and lead somewhere."""
    links = document.get("links")
    links = [link for link in links if isinstance(link, dict)] if isinstance(links, list) else []
    return [link for link in links if link.get("rel") == rel and link.get("href") and isinstance(link["href"], str)]


def _self_href(item: Document) -> str | None:
    """The address that an item gives itself, if absolute."""
    hrefs = [str(link["href"]) for link in links_of(item, "self")]
    return next((href for href in hrefs if is_url(href) or Path(href).is_absolute()), None)
