"""Pictures of a location on a day: which bands, how they are stretched, and the two caches before the archive.

Pixels are read on demand (`stac.read.read_location`), kept on disk under `$AFTERIMAGE_DATA/cache/chips` and, once
rendered, in memory. A read that fails becomes a sentence that stands where the picture would. The stretch is fixed,
never fitted to the picture: before and after, here and there, can be compared by eye.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
import threading
import time
import zipfile
import zlib
from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from stac.bands import RGB
from stac.errors import DataError, ReadError
from stac.files import write_whole
from stac.items import Scene
from stac.lattice import Location
from stac.raster import ReadOptions, UnreachableError
from stac.read import read_location

SMALLEST_MARGIN_PX = 48
"""assumed: context on each side of a small chip; a chip of 48 px or more has its own width of context."""

MAX_CACHE_BYTES = 512 * 2**20
"""assumed: room for about 4,000 pictures of 192 px; the oldest go first."""

FAILURE_SECONDS = 120.0
"""assumed: how long a failed read is remembered before it is tried again."""

SLOW_SECONDS = 4.0
SLOW_FAILURES = 3
"""After this many failures in a row that each took longer than `SLOW_SECONDS`, reads wait for `FAILURE_SECONDS`."""

_FOLDERS = re.compile(r"(?:\b[a-z0-9]+:/|(?<!\w))/\S*/")
"""What stands before a file's name: of no use to a reader of the page, and nobody else's business."""

APP_READ = ReadOptions(threads=4, retries=1, timeout=15.0)
"""A person waits for these reads: give up early and say so."""


@dataclass(frozen=True)
class Composite:
    """Three bands shown as red, green, blue."""

    key: str
    """Short name, part of cache keys."""
    title: str
    """As the page calls it."""
    choices: tuple[tuple[str, str, str], ...]
    """Band triples, best first; the first that the scenes carry is used."""
    white: Mapping[str, float] = field(hash=False)
    """Band → reflectance (0 to 1) shown as full brightness."""
    gamma: float
    """Exponent's inverse: above 1 lifts the shadows."""

    def offered(self, available: Collection[str]) -> list[tuple[str, str, str]]:
        """The triples whose bands are all available, best first."""
        return [bands for bands in self.choices if set(bands) <= set(available)]

    def title_of(self, bands: tuple[str, ...]) -> str:
        """What a picture of these bands is called: without a short-wave band it is no short-wave picture."""
        if self.key == "swir" and not {"B11", "B12"} & set(bands):
            return "Near infrared"
        return self.title


# assumed: white points and gammas by eye on simulated and real scenes; the surface reflectance of land is mostly below
# 0.3 in the visible and in B12, and healthy vegetation reaches 0.5 in the near infrared.
TRUE_COLOUR = Composite("true", "True colour", (("B04", "B03", "B02"),), dict.fromkeys(RGB, 0.23), 1.5)
SHORT_WAVE = Composite(
    "swir",
    "Short-wave infrared",
    (("B12", "B08", "B04"), ("B12", "B8A", "B04"), ("B11", "B08", "B04"), ("B11", "B8A", "B04"), ("B08", "B04", "B03")),
    {"B12": 0.40, "B11": 0.45, "B08": 0.55, "B8A": 0.55, "B04": 0.30, "B03": 0.30},
    1.2,
)


@dataclass(frozen=True)
class Shot:
    """One picture, or the sentence that stands for it."""

    uri: str | None
    """`data:` address of a PNG or WebP, ready for an `img` tag."""
    note: str | None = None
    """Why there is no picture, or why it is not of the bands that were wanted first."""
    bands: tuple[str, ...] = ()
    """Of the picture, as red, green, blue."""


@dataclass(frozen=True)
class ShotRequest:
    """What to show: a location, the scenes of one day, a composite."""

    location: Location
    item_ids: tuple[str, ...]
    """Ids of the scenes behind the observation, in the order they were merged."""
    composite: Composite


Reader = Callable[[Location, Sequence[Scene], tuple[str, ...]], NDArray[np.uint16]]
"""Location, scenes of one day, bands → (C, H, W) harmonised reflectance × 10,000, 0 = no data."""


def read_chip(location: Location, scenes: Sequence[Scene], bands: tuple[str, ...]) -> NDArray[np.uint16]:
    """The chip and its margin, (C, H, W), straight from the archive."""
    margin = margin_px(location.lattice.chip_size)
    cube = read_location(location, scenes, bands, margin=margin, options=APP_READ)
    return np.stack([cube[band].values[0] for band in bands])


def margin_px(chip_size: int) -> int:
    """Context on each side of a chip, pixels: the picture is at least three chips wide."""
    return max(chip_size, SMALLEST_MARGIN_PX)


def render(pixels: NDArray[np.uint16], composite: Composite, bands: Sequence[str] = RGB) -> NDArray[np.uint8]:
    """Colours of a picture.

    Args:
        pixels: (3, H, W) reflectance × 10,000, 0 = no data.
        composite: Fixes the stretch.
        bands: The bands of `pixels`.

    Returns:
        (H, W, 4) RGBA; transparent where any band has no data.
    """
    white = np.array([composite.white[band] for band in bands], dtype=np.float32)[:, None, None] * 10_000
    level = np.clip(pixels / white, 0, 1) ** (1 / composite.gamma)
    out = np.empty((*pixels.shape[1:], 4), np.uint8)
    out[..., :3] = np.moveaxis(np.rint(level * 255).astype(np.uint8), 0, -1)
    out[..., 3] = np.where((pixels > 0).all(axis=0), 255, 0)
    return out


def image_uri(rgba: NDArray[np.uint8], kind: str = "PNG") -> str:
    """A `data:` address of an (H, W, 4) picture; `kind` is PNG or WEBP."""
    buffer = io.BytesIO()
    Image.fromarray(rgba).save(buffer, kind, **({"quality": 84} if kind == "WEBP" else {}))
    return f"data:image/{kind.lower()};base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"


class ChipPictures:
    """Renders requests through a memory and a disk cache; safe to use from several threads."""

    def __init__(self, scenes: Mapping[str, Scene], cache: Path, reader: Reader = read_chip) -> None:
        """Take the scenes of one store.

        Args:
            scenes: Item id → scene, as `index.store.open_scenes` gives them.
            cache: Folder of the disk cache; made when first needed.
            reader: Reads pixels; tests give their own.
        """
        self._scenes = scenes
        self._cache = cache
        self._reader = reader
        self._lock = threading.Lock()
        self._shots: OrderedDict[ShotRequest, tuple[float, Shot]] = OrderedDict()
        self._slow = 0  # reads that failed slowly, one after another
        self._slow_at = 0.0

    def show(self, request: ShotRequest) -> Shot:
        """The picture of a request, or a sentence; never raises for data that cannot be had."""
        with self._lock:
            kept = self._shots.get(request)
            if kept is not None and (not kept[1].note or time.monotonic() - kept[0] < FAILURE_SECONDS):
                self._shots.move_to_end(request)
                return kept[1]
        shot = self._make(request)
        with self._lock:
            self._shots[request] = (time.monotonic(), shot)
            while len(self._shots) > 1024:
                self._shots.popitem(last=False)
        return shot

    def _make(self, request: ShotRequest) -> Shot:
        if not request.item_ids:
            return Shot(None, "No scene is recorded for this date.")
        lacking = [item for item in request.item_ids if item not in self._scenes]
        if lacking:
            return Shot(None, f"Scene {lacking[0]} is not among the items saved with the store.")
        scenes = [self._scenes[item] for item in request.item_ids]
        offered = request.composite.offered(set.intersection(*(set(scene.assets) for scene in scenes)))
        if not offered:
            return Shot(None, f"The scenes have no bands for {request.composite.title.lower()}.")
        note = None
        # Where the best bands cannot be read, the plainest may: the next best share the band that failed.
        for bands in dict.fromkeys((offered[0], offered[-1])):
            try:
                pixels = self._patiently(request, scenes, bands)
            except (DataError, OSError) as err:
                note = note or f"The pixels could not be read: {_reason(err)}."
                continue
            if not (pixels > 0).any():
                return Shot(None, "The scenes hold no pixels here.")
            return Shot(image_uri(render(pixels, request.composite, bands)), note, bands)
        return Shot(None, note)

    def _patiently(self, request: ShotRequest, scenes: Sequence[Scene], bands: tuple[str, ...]) -> NDArray[np.uint16]:
        """Read; where several reads in a row took long only to fail, do not try for a while.

        Raises:
            ReadError: The pixels cannot be read, or were not tried.
        """
        start = time.monotonic()
        if self._slow >= SLOW_FAILURES and start - self._slow_at < FAILURE_SECONDS:
            raise ReadError("the archive did not answer a moment ago", "an answer", "try again in two minutes")
        try:
            pixels = self._pixels(request, scenes, bands)
        except (DataError, OSError):
            if time.monotonic() - start > SLOW_SECONDS:
                self._slow, self._slow_at = self._slow + 1, time.monotonic()
            raise
        self._slow = 0
        return pixels

    def _pixels(self, request: ShotRequest, scenes: Sequence[Scene], bands: tuple[str, ...]) -> NDArray[np.uint16]:
        """(3, H, W) from the disk cache, else from the archive."""
        path = self._cache / f"{_key(request, scenes, bands)}.npz"
        try:
            with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as kept:
                path.touch()
                return np.asarray(kept["pixels"], dtype=np.uint16)
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error):
            pass  # absent, or damaged by a full disk: read again
        pixels = self._reader(request.location, scenes, bands)
        try:
            with write_whole(path) as temporary:
                np.savez_compressed(temporary, pixels=pixels)
            prune_cache(self._cache, MAX_CACHE_BYTES)
        except OSError:
            pass  # a cache that cannot be written is no reason to withhold the picture
        return pixels


def _reason(err: Exception) -> str:
    """Why a read failed, in a few words, without folders."""
    if isinstance(err, UnreachableError):
        text = err.reason
    else:
        text = err.found if isinstance(err, DataError) else str(getattr(err, "strerror", None) or type(err).__name__)
    return _FOLDERS.sub("", text)[:160].rstrip(" .")


def _key(request: ShotRequest, scenes: Sequence[Scene], bands: tuple[str, ...]) -> str:
    """Name of a cached chip: everything that its pixels depend on."""
    lattice = request.location.lattice
    facts = [
        list(request.item_ids),
        [[scene.offset, *(scene.assets[band].href for band in bands)] for scene in scenes],
        request.location.location_id,
        list(bands),
        lattice.gsd,
        margin_px(lattice.chip_size),
    ]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:32]


def prune_cache(folder: Path, limit: int) -> None:
    """Remove the files used longest ago until a folder holds at most `limit` bytes."""
    entries = []
    for path in folder.glob("*.npz"):
        try:
            stat = path.stat()
        except FileNotFoundError:
            continue  # another session removed it
        entries.append((stat.st_mtime, stat.st_size, path))
    excess = sum(size for _, size, _ in entries) - limit
    for _, size, path in sorted(entries):
        if excess <= 0:
            return
        path.unlink(missing_ok=True)
        excess -= size
