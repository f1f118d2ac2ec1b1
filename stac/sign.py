"""Signing addresses on the Planetary Computer's storage, just before they are read.

Blobs there want a shared access signature (SAS), a token for one storage account and container that lives for some 45
minutes. A token is fetched on first need, kept, and replaced while it still has `MARGIN` to live, so that a read that
starts now can end. Signed addresses and tokens never reach a log, a message or a file.

Source: https://planetarycomputer.microsoft.com/docs/concepts/sas/ (end point, answer, environment variables of the same
names as the `planetary-computer` package's). That package is not used: its token request has no time limit, is not safe
between threads, leaves a signed address as it is even after its end, and warns on import.
"""

from __future__ import annotations

import json
import os
import threading
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from pystac_client.exceptions import APIError

from .errors import ReadError
from .retry import Retry, RetryIO

TOKEN_URL = "https://planetarycomputer.microsoft.com/api/sas/v1/token"
"""Where tokens are had: `<this>/<account>/<container>`. The environment variable `PC_SDK_SAS_URL` takes precedence."""

MARGIN = timedelta(minutes=5)
"""A token with less than this to live is replaced. assumed: no single read of a window lasts longer."""

_HOST = ".blob.core.windows.net"
_PUBLIC_ACCOUNTS = {"ai4edatasetspublicassets"}
# Fields of a SAS: https://learn.microsoft.com/rest/api/storageservices/create-service-sas
_SAS_FIELDS = {"st", "se", "sp", "sv", "sr", "sig", "skoid", "sktid", "skt", "ske", "sks", "skv", "rscd", "rsct"}


class SignError(ReadError, OSError):
    """An address could not be signed. An `OSError` too, so that it is tried again like any remote read that fails."""


_YOUNG = timedelta(minutes=1)
"""assumed: a token this new is not what an answer 403 is about; many reads may get one at once."""

_tokens: dict[tuple[str, str], tuple[str, datetime, datetime]] = {}  # token, its end, when it was fetched
_lock = threading.Lock()


def sign_href(href: str, retry: Retry | None = None) -> str:
    """An address that can be read now.

    Args:
        href: Any address or path. One on the Planetary Computer's storage is signed, anew if it already was; others
            come back as they are.
        retry: How patiently to ask for a token. By default briefly, as a read that fails is tried again anyway.

    Raises:
        SignError: No token could be had.
    """
    parts = urlsplit(href)
    host = (parts.hostname or "").lower()
    account = host.removesuffix(_HOST)
    container = parts.path.strip("/").partition("/")[0]
    if parts.scheme not in ("http", "https") or account == host or account in _PUBLIC_ACCOUNTS or not container:
        return href
    own = [(key, value) for key, value in parse_qsl(parts.query, keep_blank_values=True) if key not in _SAS_FIELDS]
    token = _token(account, container, retry or Retry(tries=2, timeout=20))
    query = "&".join(part for part in (urlencode(own), token) if part)
    return urlunsplit((parts.scheme, parts.netloc, parts.path, query, ""))


def forget_tokens(age: timedelta = _YOUNG) -> None:
    """Drop the tokens that are at least this old, as after an answer 403 to a signed address."""
    with _lock:
        now = datetime.now(UTC)
        for key in [key for key, (_, _, fetched) in _tokens.items() if now - fetched >= age]:
            del _tokens[key]


def _token(account: str, container: str, retry: Retry) -> str:
    """The container's token, fetched when there is none or it nears its end."""
    # One thread fetches while the others wait: a build starts with many reads in the same container.
    with _lock:
        never = datetime.min.replace(tzinfo=UTC)
        token, end, _ = _tokens.get((account, container), ("", never, never))
        if end - datetime.now(UTC) < MARGIN:
            token, end = _fetch(account, container, retry)
            _tokens[account, container] = token, end, datetime.now(UTC)
        return token


def _fetch(account: str, container: str, retry: Retry) -> tuple[str, datetime]:
    key = os.environ.get("PC_SDK_SUBSCRIPTION_KEY")
    headers = {"Ocp-Apim-Subscription-Key": key} if key else None
    url = f"{os.environ.get('PC_SDK_SAS_URL') or TOKEN_URL}/{account}/{container}"
    try:
        answer = json.loads(RetryIO(retry, headers).content(url))  # `request` would log the key
        end = datetime.fromisoformat(answer["msft:expiry"])
        return str(answer["token"]), end if end.tzinfo else end.replace(tzinfo=UTC)
    except (APIError, ValueError, KeyError, TypeError) as err:
        status = getattr(err, "status_code", None)
        reason = f"status {status}" if status else "no answer" if isinstance(err, APIError) else "an answer without one"
        raise SignError(
            f"no access token for {account}/{container} ({reason})",
            "the Planetary Computer's token service to answer",
            "try again in some minutes, and check that the network allows planetarycomputer.microsoft.com",
        ) from None  # the cause may quote an address with a secret
