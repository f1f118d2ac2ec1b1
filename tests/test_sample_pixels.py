"""A window's pixels against the reader's, where it matters: across two tiles, with an offset, at the archive's edge."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from stac.catalog import find_items
from stac.items import Scene, nearest_first, resolve_scenes, solar_days
from stac.period import norm_period
from stac.raster import ReadOptions, UnreachableError
from stac.read import read_cube
from stac.sampling.pixels import CLOUD_SCL, WindowReader, split_bands
from stac.sampling.sources import GLOBE
from stac.sampling.windows import Window
from stac.simulation.areas import SIZES
from stac.window import Fill

AREA = SIZES["demo"].areas[0]
TILE_M = 2560  # of the small archive
BANDS = ("B11", "B04", "B8A", "B02")
WAYS = ReadOptions(threads=2, retries=0)


def window_at(east: int, south: int) -> Window:
    """A window of 48 pixels so far, metres, from the archive's north-west corner."""
    return Window(AREA.epsg, AREA.west + east, AREA.north - south, 48)


@pytest.fixture(scope="module")
def scenes(small_archive: Path) -> list[Scene]:
    return resolve_scenes(find_items(str(small_archive), area=GLOBE, period=norm_period("2021")), BANDS)


def days_of(scenes: Sequence[Scene], window: Window) -> Mapping[date, list[Scene]]:
    days = solar_days(scenes, window.epsg % 100 * 6 - 183)
    return {day: nearest_first(over, *window.centre, epsg=window.epsg) for day, over in days.items()}


def test_across_two_tiles_with_an_offset_each_pixel_is_the_readers(scenes: list[Scene]) -> None:
    window = window_at(TILE_M - 240, 700)  # half of it lies beyond the first tile
    shifted = [replace(scene, offset=-300 if scene.tile == AREA.tiles[0] else 0) for scene in scenes]
    days = {day: over for day, over in days_of(shifted, window).items() if len(over) > 1}
    seams = 0
    for day in [*days][:12]:
        reader = WindowReader(window, {day: days[day][::-1]}, BANDS, WAYS)
        picture, sky = reader.picture(day), reader.sky(day)
        cube = read_cube(window.block, {day: days[day][::-1]}, BANDS)
        fine, coarse = split_bands(BANDS)
        assert (fine, coarse) == (("B04", "B02"), ("B11", "B8A"))
        np.testing.assert_array_equal(picture.images10, np.stack([cube[band].values[0] for band in fine]))
        wide = picture.images20.repeat(2, axis=1).repeat(2, axis=2)
        np.testing.assert_array_equal(wide, np.stack([cube[band].values[0] for band in coarse]))
        assert sky.cloud == pytest.approx(100 * np.isin(cube["scl"].values, CLOUD_SCL).mean())
        assert picture.item_ids == str(cube["item_ids"].values[0])
        seams += len(sky.scenes) > 1
    assert seams > 3


def test_a_window_that_reaches_beyond_the_scenes_is_not_whole(scenes: list[Scene]) -> None:
    window = window_at(-200, 700)
    days = days_of(scenes, window)
    reader = WindowReader(window, days, BANDS, WAYS)
    day = next(iter(days))
    assert not reader.sky(day).whole
    assert not reader.picture(day).whole
    assert (reader.picture(day).images10[:, :, :20] == 0).all()


def test_no_band_is_opened_for_the_sky_and_nothing_is_read_twice(
    scenes: list[Scene], monkeypatch: pytest.MonkeyPatch
) -> None:
    opened, run = [], Fill.run
    monkeypatch.setattr(Fill, "run", lambda fill, *rest: (opened.append(Path(fill.asset.href).stem), run(fill, *rest)))
    window = window_at(500, 700)
    days = days_of(scenes, window)
    reader = WindowReader(window, days, BANDS, WAYS)
    day = next(iter(days))
    reader.sky(day)
    assert set(opened) == {"SCL"}
    reader.picture(day)
    count = len(opened)
    reader.sky(day)
    reader.picture(day)
    assert len(opened) == count


@pytest.mark.parametrize(("reason", "gone"), [("HTTP response code: 404", True), ("Timed out after 40400 ms", False)])
def test_a_file_that_is_gone_is_told_from_one_that_is_out_of_reach(
    scenes: list[Scene], monkeypatch: pytest.MonkeyPatch, reason: str, gone: bool
) -> None:
    def fail(fill: Fill, *rest: object) -> None:
        raise UnreachableError(f"https://there/SCL.tif: {reason} (1 try)")

    monkeypatch.setattr(Fill, "run", fail)
    window = window_at(500, 700)
    days = days_of(scenes, window)
    reader = WindowReader(window, days, BANDS, WAYS)
    day = next(iter(days))
    if gone:
        assert (reader.sky(day), reader.picture(day)) == (None, None)
    else:
        with pytest.raises(UnreachableError):
            reader.sky(day)
