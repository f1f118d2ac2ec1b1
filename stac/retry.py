"""Asking a server again: which answers are worth it, how long to wait, and one session that does so.

Searches are POST requests, which HTTP libraries do not repeat by default although a search changes nothing; and a
connection may drop while the answer's body is under way, which they never repeat. Both are covered here.
"""

from __future__ import annotations

import json
import logging
import random
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import requests
import requests.adapters
import urllib3
from pystac_client.exceptions import APIError
from pystac_client.stac_api_io import StacApiIO

_log = logging.getLogger(__name__)

RETRY_STATUS = (429, 502, 503, 504)
"""Answers that mean "later": too many requests, and a server or gateway that is down or overloaded (RFC 9110 §15)."""

SEARCH_STATUS = (403, *RETRY_STATUS)
"""The same for a search: Earth Search answers Forbidden when it throttles, as with its files (see `raster`)."""

# A host that is unknown or refuses connections is mostly a mistyped address: no use in waiting half a minute.
_CONNECT_TRIES = 3


@dataclass(frozen=True)
class Retry:
    """How patiently a server is asked."""

    tries: int = 6
    """Further attempts after the first."""
    backoff: float = 0.5
    """Wait before the second further attempt, seconds; it doubles each time, with some jitter."""
    timeout: float = 60.0
    """Longest silence of the server, seconds, before an attempt counts as failed."""
    longest_wait: float = 120.0
    """Longest wait between two attempts, seconds, whatever the server's Retry-After asks for."""

    def urllib3(self, statuses: tuple[int, ...] = RETRY_STATUS) -> urllib3.Retry:
        """The same for urllib3: any method, some statuses, Retry-After honoured."""
        return urllib3.Retry(
            total=self.tries,
            connect=min(self.tries, _CONNECT_TRIES),
            allowed_methods=None,
            status_forcelist=statuses,
            backoff_factor=self.backoff,
            backoff_max=self.longest_wait,
            backoff_jitter=self.backoff / 2,
            retry_after_max=int(self.longest_wait) or 1,
            raise_on_status=False,
        )

    def wait(self, attempt: int) -> None:
        """Sleep before a further attempt (0 is the first further one)."""
        delay = self.backoff * (2**attempt) * (1 + random.random() / 2)
        time.sleep(min(delay, self.longest_wait))


class RetryIO(StacApiIO):
    """pystac-client's door to a server, asking again when the connection drops within an answer's body."""

    def __init__(
        self, retry: Retry, headers: dict[str, str] | None = None, *, statuses: tuple[int, ...] = RETRY_STATUS
    ) -> None:
        """Open a session.

        Args:
            retry: How patiently to ask.
            headers: Further headers of each request.
            statuses: Answers that are worth asking again.
        """
        logging.getLogger("urllib3.connectionpool").addFilter(_log_quietly)
        super().__init__(headers=headers, timeout=retry.timeout, max_retries=retry.urllib3(statuses))
        self._retry, self._headers, self._statuses = retry, headers, statuses

    def for_search(self) -> RetryIO:
        """A session for searches: it asks again where this one would take Forbidden for an answer."""
        return RetryIO(self._retry, self._headers, statuses=SEARCH_STATUS)

    def tries(self, err: APIError) -> int:
        """How often a server was asked before it was left at an error."""
        return self._retry.tries + 1 if getattr(err, "status_code", None) in self._statuses else 1

    def request(
        self,
        href: str,
        method: str | None = None,
        headers: dict[str, str] | None = None,
        parameters: dict[str, Any] | None = None,
    ) -> str:
        """The text of an answer; see `StacApiIO.request`."""
        for attempt in range(self._retry.tries + 1):
            try:
                text: str = super().request(href, method, headers, parameters)
            except APIError as err:
                if attempt == self._retry.tries or not _broke_off(err.__context__):
                    raise
            else:
                if attempt == self._retry.tries or not _is_cut(text):
                    return text
            _log.info("the connection to %s dropped: asking again", bare_url(href))
            self._retry.wait(attempt)
        raise AssertionError("unreachable")

    def content(self, href: str) -> bytes:
        """The bytes behind an address, for files that are not text.

        Raises:
            APIError: As `request` does.
        """
        for attempt in range(self._retry.tries + 1):
            try:
                answer = self.session.get(href, timeout=self._retry.timeout)
            except (requests.RequestException, ValueError) as err:  # ValueError: some addresses that are none
                if attempt == self._retry.tries or not _broke_off(err):
                    raise APIError(str(err)) from err
                self._retry.wait(attempt)
            else:
                if not answer.ok:
                    raise APIError.from_response(answer)
                return answer.content
        raise AssertionError("unreachable")


def _log_quietly(record: logging.LogRecord) -> bool:
    """Turn urllib3's warnings, which quote whole addresses though all may yet go well, into a line for the log."""
    if not str(record.msg).startswith("Retrying ("):
        return True
    _log.info("a server does not answer: asking again")
    return False


def _broke_off(err: BaseException | None) -> bool:
    """Whether an answer broke off, or fell silent, within its body: what fails before, urllib3 repeats already."""
    if isinstance(err, requests.exceptions.ChunkedEncodingError | requests.exceptions.ContentDecodingError):
        return True
    cause = err.args[0] if isinstance(err, requests.exceptions.ConnectionError) and err.args else None
    return isinstance(cause, urllib3.exceptions.ReadTimeoutError)


def _is_cut(text: str) -> bool:
    """Whether a text is JSON that ends too early, as when the connection closes and no length was stated."""
    try:
        json.loads(text)
    except json.JSONDecodeError as err:
        at_end = err.msg.startswith("Unterminated") or not text[err.pos :].strip()
        return at_end and text.lstrip().startswith(("{", "["))
    return False


def bare_url(href: str) -> str:
    """An address fit for logs and messages: without user, password, query and fragment, which may hold secrets."""
    try:
        parts = urlsplit(href)
    except ValueError:  # "https://[host": nothing to tell the parts by
        scheme, _, rest = href.partition("?")[0].partition("#")[0].rpartition("://")
        return f"{scheme}://{rest.rpartition('@')[2]}"
    if not parts.netloc:
        return href
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
