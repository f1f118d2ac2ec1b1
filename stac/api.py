"""Searching a STAC API, page by page.

Pages are small and asked for again when the server is busy (`retry`); one that is too large for the server is asked for
in smaller pieces; pages that lead in a circle are an error, as what lies beyond them is not known.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass

from pystac_client import ItemSearch
from pystac_client.exceptions import APIError

from .antimeridian import Bbox
from .errors import CatalogError
from .period import Period
from .retry import RetryIO, bare_url
from .static import Document, absolute_href, circle, is_url, links_of, read_document, unreachable

_log = logging.getLogger(__name__)

# A page over the server's own limit is answered with these: a smaller one may pass.
# https://github.com/Element84/earth-search/issues/17
_TOO_LARGE = (413, 500, 502, 504)
_SMALLEST_PAGE = 10


@dataclass(frozen=True)
class Api:
    """Where and how a STAC API is searched."""

    url: str
    """Address of its search."""
    method: str
    """`POST`, or `GET` where it takes no other."""
    query: bool
    """Whether it can compare properties on its side (query extension)."""
    collection: str | None
    """The collection that its address named, if it was a collection's."""


def find_api(document: Document, href: str, http: RetryIO) -> Api | None:
    """The API whose root, or one of whose collections, a document is; None for a static document.

    Raises:
        CatalogError: The document is a collection of an API whose root cannot be read.
    """
    collection = None
    if document["type"] == "Collection" and links_of(document, "items") and not links_of(document, "item"):
        roots = [absolute_href(link["href"], href) for link in links_of(document, "root")]
        if roots and is_url(roots[0]):
            collection, href = str(document.get("id")), roots[0]
            document = read_document(href, http)
    links = links_of(document, "search") if document["type"] == "Catalog" else []
    if not links:
        return None
    posting = [link for link in links if str(link.get("method", "")).upper() == "POST"]
    link = (posting or links)[0]
    query = "item-search#query" in json.dumps(document.get("conformsTo"))
    return Api(absolute_href(link["href"], href), "POST" if posting else "GET", query, collection)


def iter_search(
    api: Api,
    http: RetryIO,
    *,
    box: Bbox,
    period: Period,
    collection: str | None,
    page_size: int,
    max_cloud: float | None = None,
) -> Iterator[Document]:
    """Items of one search, as dictionaries, none twice.

    Args:
        api: Where to search.
        http: Session.
        box: West, south, east, north, degrees; not across the antimeridian.
        period: Widened to whole seconds in the request.
        collection: None searches all, or the one that the API's address named.
        page_size: Items in one answer.
        max_cloud: Percent; sent only where the API can compare properties.

    Raises:
        CatalogError: The API fails, answers with something else, or its pages lead in a circle.
    """
    one = collection or api.collection
    query = {"eo:cloud_cover": {"lte": max_cloud}} if api.query and max_cloud is not None else None
    size, seen, http = page_size, set[tuple[str, str]](), http.for_search()
    while True:
        stale, followed = 0, set[str]()
        search = ItemSearch(
            api.url,
            method=api.method,
            stac_io=http,
            limit=size,
            bbox=list(box),
            datetime=period.interval,
            collections=[one] if one else None,
            query=query,
        )
        try:
            for page in search.pages_as_dicts():
                fresh = {(str(item.get("collection")), str(item["id"])): item for item in page["features"]}
                news = fresh.keys() - seen
                yield from (item for key, item in fresh.items() if key in news)
                seen |= news
                # After a restart in smaller pieces, pages without news come first: each known item once.
                stale = 0 if news else stale + len(fresh)
                links = {json.dumps(link, sort_keys=True) for link in links_of(page, "next")}
                if links and (stale > len(seen) or (stale and links <= followed)):
                    raise circle(api.url)
                followed |= links
        except APIError as err:
            if getattr(err, "status_code", None) not in _TOO_LARGE or size <= _SMALLEST_PAGE:
                raise unreachable(api.url, err, http.tries(err)) from None
            size = max(size // 4, _SMALLEST_PAGE)
            _log.info("%s fails on large pages: asking for %d items at a time", bare_url(api.url), size)
        except (ValueError, KeyError, TypeError, AttributeError) as err:
            found = f"{bare_url(api.url)} answered a search with what is no item collection"
            raise CatalogError(found, "STAC JSON", "check the address") from err
        else:
            return
