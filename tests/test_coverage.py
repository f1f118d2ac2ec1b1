"""Where a scene may have pixels, by its footprint and by its raster."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest
import shapely
from affine import Affine
from shapely.affinity import translate

from stac.blocks import Block
from stac.coverage import covering, may_supply, meets
from stac.items import Asset, Scene
from stac.lattice import Lattice, from_lonlat
from stac.window import Grid

MOMENT = datetime(2023, 6, 1, 10, tzinfo=UTC)


def new_scene(footprint: shapely.Polygon, epsg: int = 32633, transform: Affine | None = None, name: str = "a") -> Scene:
    asset = Asset("f.tif", epsg, transform, (1000, 1000))
    return Scene(name, "c", "33TWM", MOMENT, MOMENT.date(), "05.09", 0, epsg, footprint, {"SCL": asset})


def block_at(lon: float, lat: float, epsg: int, side: int = 12) -> Block:
    lattice = Lattice(epsg, 256, 10)
    x, y = from_lonlat(epsg).transform(lon, lat)
    return Block(lattice, "b", int(x // 2560) - side // 2, int(y // 2560) - side // 2, np.ones((side, side), bool))


@pytest.mark.parametrize(("lon", "epsg"), [(15.1, 32633), (179.99, 32760), (-179.99, 32701)])
def test_a_footprint_tells_the_chips_that_a_scene_may_supply(lon: float, epsg: int) -> None:
    lat = 46 if epsg < 32700 else -17
    block = block_at(lon, lat, epsg)
    # A corner of the footprint lies in the block; it is told on the other side of the antimeridian where there is one.
    near = shapely.Polygon([(lon, lat), (lon + 0.4, lat + 0.3), (lon + 0.4, lat - 0.3)])
    told = translate(near, xoff=0 if abs(lon) < 90 else -360 if lon > 0 else 360)
    over = may_supply(block, new_scene(told, epsg), Grid.of_block(block, 2))
    assert over.shape == (block.shape[0] // 2, block.shape[1] // 2)
    chips = over.reshape(block.nrows, 128, block.ncols, 128).any(axis=(1, 3))
    assert chips.sum() * 128**2 == over.sum()  # whole chips
    away = np.array(
        [
            min(near.distance(translate(location.outline, xoff=turn)) for turn in (0, -360, 360))
            for location in block.locations
        ]
    ).reshape(chips.shape)
    assert chips[away == 0].all()
    assert not chips[away > 0.051].any()
    assert 0 < chips.sum() < chips.size


def test_a_raster_bounds_what_its_scene_may_supply() -> None:
    block = block_at(15.1, 46, 32633, 4)
    west, _, _, north = block.bounds
    everywhere = shapely.box(14, 45, 16, 47)
    grid = Grid.of_block(block)
    inside = new_scene(everywhere, transform=Affine(20, 0, west + 1000, 0, -20, north + 12_000))
    expected = np.zeros(grid.shape, bool)
    expected[:800, 100:] = True
    np.testing.assert_array_equal(may_supply(block, inside, grid), expected)
    beside = new_scene(everywhere, transform=Affine(20, 0, west + 100_000, 0, -20, north))
    assert not may_supply(block, beside, grid).any()
    assert not meets(block, beside)
    assert may_supply(block, new_scene(everywhere), grid).all()
    # In another zone its bounds say nothing here, and it only fills what is left.
    other = new_scene(everywhere, 32634, beside.assets["SCL"].transform, name="other")
    assert may_supply(block, other, grid).all()
    assert covering(block, [other, beside, inside]) == [inside, other]
