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
from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from stac.errors import DataError
from stac.files import write_whole
from stac.items import Scene
from stac.lattice import Location
from stac.raster import ReadOptions
from stac.read import read_location

SMALLEST_MARGIN_PX = 48
"""assumed: context on each side of a small chip; a chip of 48 px or more has its own width of context."""

MAX_CACHE_BYTES = 512 * 2**20
"""assumed: room for about 4,000 pictures of 192 px; the oldest go first."""

FAILURE_SECONDS = 120.0
"""assumed: how long a failed read is remembered before it is tried again."""

_FOLDERS = re.compile(r"\S*/")
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
    white: tuple[float, float, float]
    """Reflectance (0 to 1) shown as full brightness in each of the three."""
    gamma: float
    """Exponent's inverse: above 1 lifts the shadows."""

    def pick_bands(self, available: Collection[str]) -> tuple[str, str, str] | None:
        """The first triple whose bands are all available, or None."""
        return next((bands for bands in self.choices if set(bands) <= set(available)), None)


# assumed: white points and gammas by eye on simulated and real scenes; the surface reflectance of land is mostly below
# 0.3 in the visible and in B12, and healthy vegetation reaches 0.5 in the near infrared.
TRUE_COLOUR = Composite("true", "True colour", (("B04", "B03", "B02"),), (0.23, 0.23, 0.23), 1.5)
SHORT_WAVE = Composite(
    "swir",
    "Short-wave infrared",
    (("B12", "B08", "B04"), ("B12", "B8A", "B04"), ("B11", "B08", "B04"), ("B11", "B8A", "B04"), ("B08", "B04", "B03")),
    (0.40, 0.55, 0.30),
    1.2,
)


@dataclass(frozen=True)
class Shot:
    """One picture, or the sentence that stands for it."""

    uri: str | None
    """`data:` address of a PNG or WebP, ready for an `img` tag."""
    note: str | None = None
    """Why there is no picture."""


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


def render(pixels: NDArray[np.uint16], composite: Composite) -> NDArray[np.uint8]:
    """Colours of a picture.

    Args:
        pixels: (3, H, W) reflectance × 10,000, 0 = no data.
        composite: Fixes the stretch.

    Returns:
        (H, W, 4) RGBA; transparent where any band has no data.
    """
    white = np.array(composite.white, dtype=np.float32)[:, None, None] * 10_000
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

    def show(self, request: ShotRequest) -> Shot:
        """The picture of a request, or a sentence; never raises for data that cannot be had."""
        with self._lock:
            kept = self._shots.get(request)
            if kept is not None and (kept[1].uri or time.monotonic() - kept[0] < FAILURE_SECONDS):
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
        bands = request.composite.pick_bands(set.intersection(*(set(scene.assets) for scene in scenes)))
        if bands is None:
            return Shot(None, f"The scenes have no bands for {request.composite.title.lower()}.")
        try:
            pixels = self._pixels(request, scenes, bands)
        except DataError as err:
            return Shot(None, f"The pixels could not be read: {_FOLDERS.sub('', err.found)[:160]}.")
        except OSError as err:
            return Shot(None, f"The pixels could not be read: {err.strerror or type(err).__name__}.")
        if not (pixels > 0).any():
            return Shot(None, "The scenes hold no pixels here.")
        return Shot(image_uri(render(pixels, request.composite)))

    def _pixels(self, request: ShotRequest, scenes: Sequence[Scene], bands: tuple[str, ...]) -> NDArray[np.uint16]:
        """(3, H, W) from the disk cache, else from the archive."""
        path = self._cache / f"{_key(request, scenes, bands)}.npz"
        try:
            with np.load(path, allow_pickle=False) as kept:
                path.touch()
                return np.asarray(kept["pixels"], dtype=np.uint16)
        except (OSError, ValueError, KeyError, EOFError):
            pass  # absent, or damaged by a full disk: read again
        pixels = self._reader(request.location, scenes, bands)
        try:
            with write_whole(path) as temporary:
                np.savez_compressed(temporary, pixels=pixels)
            prune_cache(self._cache, MAX_CACHE_BYTES)
        except OSError:
            pass  # a cache that cannot be written is no reason to withhold the picture
        return pixels


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
