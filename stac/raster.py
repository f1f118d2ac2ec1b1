"""One raster file: its address, its georeference, and what to do when it cannot be read.

Owns everything between an asset's `href` and an open dataset lying on a known pixel grid: signing just before the open,
GDAL's settings, the georeference an item states for files that have none, retries of remote reads, and the two ways in
which a read ends badly: `ReadError` (a local file: somebody can mend it) and `UnreachableError` (a remote one:
what its scene supplies is recorded as missing).

Every read must happen inside `rasterio.Env`: outside it a truncated JPEG 2000 file is returned as zeros, without an
error (seen with rasterio 1.4.4, GDAL 3.10.3). `gdal_env` is that environment.
"""

from __future__ import annotations

import logging
import os
import re
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import rasterio
from affine import Affine
from rasterio._env import del_gdal_config, set_gdal_config
from rasterio._err import CPLE_BaseError
from rasterio.crs import CRS
from rasterio.env import hasenv
from rasterio.errors import NotGeoreferencedWarning, RasterioError

from .errors import ReadError

if TYPE_CHECKING:
    from .items import Asset

_REMOTE = ("http://", "https://", "s3://", "gs://", "az://", "/vsicurl", "/vsis3", "/vsigs", "/vsiaz")
_VSI = {"http": "/vsicurl/http://", "https": "/vsicurl/https://", "s3": "/vsis3/", "gs": "/vsigs/", "az": "/vsiaz/"}
# 403 is kept among the errors worth another try: Earth Search answers Forbidden when it throttles, and a signature may
# have run out (https://github.com/Element84/earth-search/issues/19).
_FINAL = re.compile(r"HTTP (?:response code|error code)\s*:?\s*(?:400|401|404|410)\b|does not exist", re.IGNORECASE)

_FORBIDDEN = re.compile(r"HTTP (?:response code|error code)\s*:?\s*403\b", re.IGNORECASE)


class UnreachableError(ReadError):
    """A remote file could not be read, after all retries."""

    def __init__(self, reason: str) -> None:
        """Make the error.

        Args:
            reason: The address and what the last try said, in one line without any signature; kept as `reason`.
        """
        self.reason = reason
        super().__init__(
            f"the remote file {reason} could not be read",
            "pixels",
            "check the network and the address, then run the same command again",
        )


@dataclass(frozen=True)
class ReadOptions:
    """How pixels are fetched. None of it changes a pixel's value."""

    threads: int = 8
    """Reads at once. Decoding leaves Python's lock: as many as cores for local files, more for remote ones."""
    retries: int = 4
    """Further tries of a remote read that failed."""
    backoff: float = 0.5
    """Seconds before the first further try; doubled each time."""
    timeout: float = 60.0
    """Seconds after which a single HTTP request is given up."""
    cache_mb: int = 256
    """GDAL's block cache, MB. Each block is decoded once, so it need not be large; its size made no difference
    (bench/read.py), and GDAL's default, 5 % of memory, would only be memory taken."""
    sign: Callable[[str], str] | None = None
    """Turns an address into one that can be read, just before the open; None takes `stac.sign.sign_href`."""


def gdal_env(options: ReadOptions) -> dict[str, Any]:
    """GDAL's settings for reading cloud-optimised files.

    No per-file cache (`VSI_CACHE`): every byte is read once, and its memory would grow with the number of open files.
    GDAL asks again for single requests (answers 429, 500, 502, 503, 504); the retries here reopen and sign anew.

    Returns:
        Keyword arguments of `rasterio.Env`.

    Source: https://developmentseed.org/titiler/advanced/performance_tuning/ and https://gdal.org/user/configoptions.html.
    """
    env: dict[str, Any] = {
        # Bytes: rasterio passes it on as such. Each warping thread wants a row of blocks kept, else it decodes anew.
        "GDAL_CACHEMAX": max(options.cache_mb, 32 * options.threads) << 20,
        "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
        "GDAL_INGESTED_BYTES_AT_OPEN": 32768,
        "GDAL_HTTP_MERGE_CONSECUTIVE_RANGES": "YES",
        "GDAL_HTTP_MULTIPLEX": "YES",
        "GDAL_HTTP_VERSION": "2",
        "GDAL_HTTP_TIMEOUT": options.timeout,
        "GDAL_HTTP_CONNECTTIMEOUT": min(10.0, options.timeout),
        # A file is read by hundreds of requests: one that is refused for a moment is asked again by itself.
        "GDAL_HTTP_MAX_RETRY": 2,
        "GDAL_HTTP_RETRY_DELAY": options.backoff,
        "CPL_VSIL_CURL_CACHE_SIZE": 64 << 20,
        "GTIFF_IGNORE_READ_ERRORS": "NO",
    }
    if not any(os.environ.get(name) for name in ("AWS_ACCESS_KEY_ID", "AWS_PROFILE", "AWS_WEB_IDENTITY_TOKEN_FILE")):
        env["AWS_NO_SIGN_REQUEST"] = "YES"
    return env


def enter_env(options: ReadOptions) -> None:
    """Enter GDAL's environment in this thread and stay in it: for the threads of a pool."""
    rasterio.Env(**gdal_env(options)).__enter__()


def quiet_rasterio() -> None:
    """Stop what rasterio says beside its exceptions: about files without a georeference, and about damaged ones.

    The item's georeference is used instead, and the exception is told in one sentence. GDAL's own lines are logged
    where the program logs as much as information. Call it before threads start: both settings belong to the process.
    """
    warnings.filterwarnings("ignore", category=NotGeoreferencedWarning)
    if not logging.getLogger().isEnabledFor(logging.INFO):
        logging.getLogger("rasterio").setLevel(logging.CRITICAL)


def is_remote(href: str) -> bool:
    """Whether an address goes over a network."""
    return href.lower().startswith(_REMOTE)


def public_href(href: str) -> str:
    """An address without query, so without any signature."""
    return href.split("?", 1)[0] if is_remote(href) else href


def gdal_path(href: str) -> str:
    """An asset's address as GDAL spells it: `/vsis3/bucket/key`, `/vsicurl/https://…`, or a plain path."""
    scheme, sep, rest = href.partition("://")
    if not sep or href.startswith("/vsi"):
        return href
    if scheme.lower() == "file":
        return unquote(urlsplit(href).path)
    return _VSI[scheme.lower()] + rest if scheme.lower() in _VSI else href


@dataclass(frozen=True)
class Georeference:
    """Where a raster's pixels lie."""

    crs: CRS
    transform: Affine
    """Pixel (column, row) → metres."""
    shape: tuple[int, int]
    """Height and width, pixels."""


def resolve_georeference(dataset: Any, asset: Asset) -> Georeference:
    """The file's own georeference, else the one its item states, scaled to the file's real size.

    Args:
        dataset: An open rasterio dataset.
        asset: The asset it was opened for.

    Raises:
        ReadError: Neither file nor item says where the pixels lie.
    """
    shape = (int(dataset.height), int(dataset.width))
    if dataset.crs is not None and dataset.transform != Affine.identity():
        return Georeference(dataset.crs, dataset.transform, shape)
    if asset.epsg is None or asset.transform is None or asset.shape is None:
        raise ReadError(
            f"{public_href(asset.href)} has no georeference, and its item states none",
            "proj:epsg (or proj:code), proj:transform and proj:shape in the item",
            "add them to the item, or use files with a georeference",
        )
    scale = Affine.scale(asset.shape[1] / shape[1], asset.shape[0] / shape[0])
    return Georeference(CRS.from_epsg(asset.epsg), asset.transform * scale, shape)


@contextmanager
def open_raster(asset: Asset, options: ReadOptions) -> Iterator[tuple[Any, Georeference]]:
    """Open an asset, signed just now, inside GDAL's environment.

    Yields:
        The rasterio dataset and its georeference.

    Raises:
        RasterioError: GDAL cannot open it; `retrying` turns that into one of ours.
    """
    # Leaving an environment resets the block cache for all threads: those of a pool have entered theirs for good.
    env = nullcontext() if hasenv() else rasterio.Env(**gdal_env(options))
    with env, rasterio.open(gdal_path(_signed(asset.href, options))) as dataset:
        yield dataset, resolve_georeference(dataset, asset)


def _signed(href: str, options: ReadOptions) -> str:
    """The address to open now."""
    if options.sign is not None:
        return options.sign(href)
    if not is_remote(href):
        return href
    from .sign import sign_href  # late: local files need none of what it imports

    return sign_href(href)


def retrying(href: str, attempt: Callable[[], None], options: ReadOptions) -> None:
    """Run an attempt to read, again after a pause when a remote one fails.

    Args:
        href: The address being read, for the message.
        attempt: Opens and reads; may go on where an earlier attempt stopped.
        options: How often and after how long to try again.

    Raises:
        ReadError: A local file cannot be read.
        UnreachableError: A remote one could not be read after `options.retries` further tries.
    """
    for number in range(options.retries + 1):
        try:
            # The second try may still meet what the first one left; when it ends, that is gone.
            with _uncached(href) if number else nullcontext():
                attempt()
        except (RasterioError, CPLE_BaseError, OSError) as err:
            reason = _reason(err)
            if not is_remote(href):
                raise ReadError(
                    f"{href} cannot be read: {reason}",
                    "a complete raster file",
                    "put the whole file there again and run the same command again, "
                    "or build without its item into another folder",
                ) from err
            if number == options.retries or _FINAL.search(reason):
                tries = "1 try" if number == 0 else f"{number + 1} tries"
                # GDAL's own text may hold the signature.
                raise UnreachableError(f"{public_href(href)}: {reason} ({tries})") from None
            if _FORBIDDEN.search(reason):
                _renew_signature()
            time.sleep(options.backoff * 2**number)
        else:
            return


def _renew_signature() -> None:
    """Have the next open signed by a new token: this one may have been withdrawn before its end."""
    from .sign import forget_tokens  # late, as above

    forget_tokens()


@contextmanager
def _uncached(href: str) -> Iterator[None]:
    """Make GDAL drop what it has downloaded of a file when the file is closed.

    After a body that was cut short it would go on reading that, try after try. An option that rasterio sets for this
    thread alone.
    """
    set_gdal_config("CPL_VSIL_CURL_NON_CACHED", gdal_path(href).split("?")[0])
    try:
        yield
    finally:
        del_gdal_config("CPL_VSIL_CURL_NON_CACHED")


def _reason(err: BaseException) -> str:
    """The deepest cause that GDAL gives, in one line, without queries of addresses."""
    cause = err
    while cause.__cause__ is not None:
        cause = cause.__cause__
    text = str(cause) or str(err)
    return re.sub(r"\?\S+", "", " ".join(text.split())).strip("' ")
