"""The true-colour picture of an area."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pytest
import rasterio
import shapely
from affine import Affine
from PIL import Image

from app.overview import find_overview
from stac.items import Asset, Scene
from stac.lattice import to_lonlat

WEST, NORTH, SIDE = 500_000, 4_400_000, 64
"""A square of 64 pixels of 10 m in EPSG:32610."""


def new_scene(folder: Path, day: int, *, red: int, cloudy: slice = slice(0, 0), offset: int = 0) -> Scene:
    """A scene of one colour, cloudy in some rows."""
    scl = np.full((SIDE, SIDE), 4, np.uint8)
    scl[cloudy] = 9
    assets = {}
    for band, value in (("B04", red), ("B03", 500), ("B02", 500), ("SCL", scl)):
        path = folder / f"{day}_{band}.tif"
        pixels = np.broadcast_to(np.asarray(value, np.uint16), (SIDE, SIDE)).copy()
        if band != "SCL":
            pixels[scl == 9] = 9000
        profile = {"driver": "GTiff", "width": SIDE, "height": SIDE, "count": 1, "dtype": "uint16"}
        with rasterio.open(path, "w", crs="EPSG:32610", transform=Affine(10, 0, WEST, 0, -10, NORTH), **profile) as out:
            out.write(pixels, 1)
        assets[band] = Asset(str(path), None, None, None)
    time = datetime(2021, 7, day, tzinfo=UTC)
    box = shapely.box(-180, -90, 180, 90)
    return Scene(f"s{day}", "c", "10SEJ", time, date(2021, 7, day), "05.00", offset, 32610, box, assets)


@pytest.fixture
def area() -> shapely.Polygon:
    """The inner part of the square, degrees."""
    lon, lat = to_lonlat(32610).transform([WEST + 100, WEST + 540], [NORTH - 540, NORTH - 100])
    return shapely.box(lon[0], lat[0], lon[1], lat[1])


def colours_of(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path).convert("RGBA")).astype(int)


def test_clear_pixels_come_first_and_other_days_fill_the_clouds(tmp_path: Path, area: shapely.Polygon) -> None:
    clearest = new_scene(tmp_path, 1, red=2000, cloudy=slice(0, 20))
    other = new_scene(tmp_path, 2, red=200, cloudy=slice(20, 64))
    found = find_overview(area, [clearest, other], tmp_path / "cache")
    assert found is not None
    assert found.bbox == area.bounds
    colours = colours_of(found.path)
    assert colours[..., 3].min() == 255
    assert colours[:4, :, 0].mean() < colours[-10:, :, 0].mean() - 60  # the other day's red above, the clearest's below


def test_the_offset_is_removed_once(tmp_path: Path, area: shapely.Polygon) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    plain = find_overview(area, [new_scene(tmp_path / "a", 1, red=500)], tmp_path / "one")
    scene = new_scene(tmp_path / "b", 1, red=1500, offset=-1000)
    shifted = find_overview(area, [scene], tmp_path / "two")
    assert plain is not None
    assert shifted is not None
    assert abs(colours_of(plain.path)[..., 0].mean() - colours_of(shifted.path)[..., 0].mean()) < 2


def test_a_picture_is_made_once(tmp_path: Path, area: shapely.Polygon) -> None:
    scene = new_scene(tmp_path, 1, red=500)
    first = find_overview(area, [scene], tmp_path / "cache")
    for asset in scene.assets.values():
        Path(asset.href).unlink()
    assert find_overview(area, [scene], tmp_path / "cache") == first


def test_no_picture_where_nothing_can_be_read(tmp_path: Path, area: shapely.Polygon) -> None:
    scene = new_scene(tmp_path, 1, red=500)
    for asset in scene.assets.values():
        Path(asset.href).write_bytes(b"no raster")
    assert find_overview(area, [scene], tmp_path / "cache") is None
    assert find_overview(area, [], tmp_path / "cache") is None


def test_no_picture_of_a_large_area(tmp_path: Path) -> None:
    scene = new_scene(tmp_path, 1, red=500)
    assert find_overview(shapely.box(-125, 32, -114, 42), [scene], tmp_path / "cache") is None
    assert find_overview(shapely.box(-180, -1, 180, 1), [scene], tmp_path / "cache") is None
