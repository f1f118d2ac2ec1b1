"""Pixels of one window, day by day: first the scene classification, then, where that will do, the bands.

The same pixels as `stac.read` gives for the window, read with its parts (`stac.window.Fill`): harmonised, the first
scene with data first, retried. Two differences serve the purpose: the classification is looked at before any band is
opened, and bands of 20 and 60 m stay on pixels of 20 m. A window's threads are those of the locations beside it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray

from ..bands import BANDS, SCL
from ..items import Scene
from ..raster import ReadOptions, UnreachableError
from ..window import Fill
from .windows import COARSE, GSD, Window

CLOUD_SCL = (8, 9, 10)
"""Classes of cloud: medium and high probability, thin cirrus, which are what SeCo's QA60 bits tell. Snow is left in:
it is a season."""

# As GDAL words it, see `stac.raster`.
_GONE = re.compile(r"HTTP (?:response code|error code)\s*:?\s*(?:404|410)\b|does not exist", re.IGNORECASE)


@dataclass(frozen=True, eq=False)
class Sky:
    """A window's classification on one day."""

    scenes: tuple[Scene, ...]
    """In the order of `source`."""
    source: NDArray[np.uint8]
    """(S/2, S/2), pixels of 20 m: 1 + index into `scenes` of the one that supplies the pixel, 0 = none."""
    cloud: float
    """Percent of the pixels under cloud."""
    whole: bool
    """Whether every pixel has data."""


@dataclass(frozen=True, eq=False)
class Picture:
    """A window's bands on one day, harmonised reflectance × 10,000, 0 = no data."""

    images10: NDArray[np.uint16]
    """(C10, S, S)."""
    images20: NDArray[np.uint16]
    """(C20, S/2, S/2)."""
    item_ids: str
    """Items that supplied pixels, joined by a space."""

    @property
    def whole(self) -> bool:
        """Whether no pixel of any band is missing."""
        return bool(self.images10.all() and self.images20.all())


def split_bands(bands: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Canonical bands of 10 m, and those coarser, each in the order given."""
    fine = tuple(band for band in bands if BANDS[band].gsd == GSD)
    return fine, tuple(band for band in bands if band not in fine)


class WindowReader:
    """Reads the days of one window; each at most once. Run it within `rasterio.Env` (`stac.raster.enter_env`)."""

    def __init__(
        self, window: Window, days: Mapping[date, Sequence[Scene]], bands: Sequence[str], options: ReadOptions
    ) -> None:
        """Make the reader.

        Args:
            window: What to read.
            days: Solar day → scenes, in the order in which they are to supply pixels, all in the window's zone.
            bands: Canonical names.
            options: How to fetch; its threads are not used.
        """
        self.window, self.days, self.options = window, days, options
        self.bands10, self.bands20 = split_bands(bands)
        self._skies: dict[date, Sky | None] = {}
        self._pictures: dict[date, Picture | None] = {}

    def sky(self, day: date) -> Sky | None:
        """The classification; None where its file is not there any more.

        Raises:
            ReadError: A local file cannot be read.
            UnreachableError: A remote file cannot be read now.
        """
        if day not in self._skies:
            try:
                self._skies[day] = self._read_sky(day)
            except UnreachableError as err:
                _raise_unless_gone(err)
                self._skies[day] = None
        return self._skies[day]

    def picture(self, day: date) -> Picture | None:
        """The bands; None where the classification or a band is not there any more.

        Raises:
            ReadError: A local file cannot be read.
            UnreachableError: A remote file cannot be read now.
        """
        sky = self.sky(day)
        if sky is not None and day not in self._pictures:
            try:
                self._pictures[day] = self._read_picture(sky)
            except UnreachableError as err:
                _raise_unless_gone(err)
                self._pictures[day] = None
        return self._pictures.get(day)

    def _read_sky(self, day: date) -> Sky:
        grid = self.window.grid(COARSE)
        scl, source = np.zeros(grid.shape, np.uint8), np.zeros(grid.shape, np.uint8)
        used: list[Scene] = []
        for scene in self.days[day]:
            number = len(used) + 1
            Fill(scene.assets[SCL], grid, scl, source, wanted=0, mark=number).run(0, 1, self.options)
            if (source == number).any():
                used.append(scene)
            if source.all():
                break
        cloud = 100 * float(np.isin(scl, CLOUD_SCL).mean())
        return Sky(tuple(used), source, cloud, bool(source.all()))

    def _read_picture(self, sky: Sky) -> Picture:
        images: list[NDArray[np.uint16]] = []
        for gsd, bands in ((GSD, self.bands10), (COARSE, self.bands20)):
            grid, step = self.window.grid(gsd), COARSE // gsd
            source = np.repeat(np.repeat(sky.source, step, axis=0), step, axis=1)
            image = np.zeros((len(bands), *grid.shape), np.uint16)
            for number, scene in enumerate(sky.scenes, start=1):
                whole = bool((source == number).all())
                for band, out in zip(bands, image, strict=True):
                    fill = Fill(scene.assets[band], grid, out, source, number, offset=scene.offset, whole=whole)
                    fill.run(0, 1, self.options)
            images.append(image)
        return Picture(images[0], images[1], " ".join(scene.item_id for scene in sky.scenes))


def _raise_unless_gone(err: UnreachableError) -> None:
    """Pass over a file that will not come back; raise for one that may."""
    if not _GONE.search(err.reason):
        raise err
