from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import shapely
from shapely.geometry.base import BaseGeometry

from stac.blocks import SQUARE, iter_blocks
from stac.errors import AreaError
from stac.lattice import to_lonlat

AREAS: dict[str, BaseGeometry] = {
    "one zone": shapely.box(-122.6, 39.4, -122.4, 39.6),
    "two zones": shapely.box(11.9, 45, 12.1, 45.2),
    "two hemispheres": shapely.box(30, -0.1, 30.2, 0.1),
    "the antimeridian": shapely.MultiPolygon(
        [shapely.box(179.9, -17, 180, -16.8), shapely.box(-180, -17, -179.9, -16.8)]
    ),
    "south-west Norway": shapely.box(2.8, 59.9, 3.2, 60.1),
    "Svalbard": shapely.box(8.8, 78, 9.2, 78.05),
    "a slanted strip": shapely.Polygon([(15, 46), (15.6, 46.4), (15.61, 46.39), (15.01, 45.99)]),
    "less than a chip": shapely.box(15.1, 46.1, 15.1001, 46.1001),
}


@pytest.mark.parametrize("name", AREAS)
@pytest.mark.parametrize("block_px", [640, 4096, 10_240, 25_000])
def test_blocks_cover_the_area_and_hold_each_location_once(name: str, block_px: int) -> None:
    area, blocks = AREAS[name], list(iter_blocks(AREAS[name], 64, 10, block_px))
    places = Counter(location.location_id for block in blocks for location in block.locations)
    assert set(places.values()) == {1}
    outlines = [location.outline for block in blocks for location in block.locations]
    turned = [shapely.affinity.translate(outline, -360) for outline in outlines if outline.bounds[2] > 180]
    assert area.difference(shapely.union_all([*outlines, *turned])).area < 1e-6 * area.area


@pytest.mark.parametrize("name", AREAS)
def test_no_chip_lies_wholly_outside(name: str) -> None:
    for block in iter_blocks(AREAS[name], 64, 10):
        for location in block.locations:
            # A chip's edges are straight in metres, not in degrees: a metre's grace.
            outline = location.outline.buffer(1e-5)
            assert any(shapely.affinity.translate(outline, turn).intersects(AREAS[name]) for turn in (0, -360))


FIJI = shapely.MultiPolygon([shapely.box(176, -19, 180, -15), shapely.box(-180, -19, -178, -15)])


@pytest.mark.parametrize(
    ("area", "shown"),
    [
        (shapely.box(14, 45, 19, 48), shapely.box(17.8, 46.2, 18.3, 46.6)),  # in two zones
        (
            shapely.box(14, 45, 19, 48),
            shapely.union_all([shapely.box(14, 45, 14.1, 45.1), shapely.box(18, 47, 19, 48)]),
        ),
        (FIJI, shapely.box(179.5, -17, 180, -16.5)),
        (FIJI, shapely.box(-180, -17, -179.5, -16.5)),
        (shapely.box(5, 77, 20, 83.9), shapely.box(8.9, 83.5, 9.4, 83.9)),
    ],
)
@pytest.mark.parametrize("block_px", [2048, 40_960])
def test_blocks_where_nothing_is_shown_are_left_out_and_the_others_are_the_same(
    area: BaseGeometry, shown: BaseGeometry, block_px: int
) -> None:
    def is_near(footprint: BaseGeometry) -> bool:
        near = shown.buffer(0.05)  # as `coverage.meets` has it
        return any(near.intersects(shapely.affinity.translate(footprint, turn)) for turn in (0, -360, 360))

    every = list(iter_blocks(area, 512, 10, block_px))
    given = list(iter_blocks(area, 512, 10, block_px, within=shown))
    if block_px == 2048:
        assert len(given) < len(every) / 3
    wanted, found = ([b for b in blocks if is_near(b.footprint)] for blocks in (every, given))
    assert [b.block_id for b in found] == [b.block_id for b in wanted] != []
    for one, other in zip(found, wanted, strict=True):
        assert (one.col0, one.row0, one.cell) == (other.col0, other.row0, other.cell)
        assert np.array_equal(one.mask, other.mask)


@pytest.mark.parametrize("block_px", [-640, 0, 63, 10**9])
def test_blocks_of_no_use_are_refused(block_px: int) -> None:
    with pytest.raises(AreaError, match=rf"block of {block_px} pixels.*from 64 .a chip. to 40960"):
        next(iter_blocks(AREAS["one zone"], 64, 10, block_px))


def test_locations_do_not_depend_on_the_area_or_on_the_blocks() -> None:
    wide, narrow = shapely.box(15.0, 46.0, 15.4, 46.3), shapely.box(15.1, 46.1, 15.2, 46.2)

    def ids(area: BaseGeometry, block_px: int) -> set[str]:
        return {location.location_id for block in iter_blocks(area, 64, 10, block_px) for location in block.locations}

    assert ids(narrow, 10_240) == ids(narrow, 1000)
    assert ids(narrow, 10_240) < ids(wide, 10_240)


def test_a_block_keeps_its_name_and_centre_whatever_the_area() -> None:
    wide = {b.block_id: b.centre for b in iter_blocks(shapely.box(15.0, 46.0, 16.4, 46.9), 64, 10)}
    (small,) = iter_blocks(shapely.box(15.2, 46.2, 15.21, 46.21), 64, 10)
    assert wide[small.block_id] == small.centre


def test_blocks_lie_in_the_squares_of_the_tiles() -> None:
    for block in iter_blocks(shapely.box(15.0, 45.5, 16.4, 46.9), 64, 10):
        west, south, east, north = block.bounds
        for low, high in ((west, east), (south, north)):
            square = low // SQUARE
            # A chip counts to the square of its south-west corner and may reach a chip beyond.
            assert square * SQUARE <= low
            assert high < (square + 1) * SQUARE + block.lattice.side


def test_rows_and_columns_run_as_images_do() -> None:
    (block,) = iter_blocks(shapely.box(15.1, 46.1, 15.13, 46.13), 64, 10)
    first, last = block.locations[0], block.locations[-1]
    assert first.row > last.row
    west, south, east, north = block.bounds
    assert block.transform * (0, 0) == (west, north)
    height, width = block.shape
    assert block.transform * (width, height) == (east, south)
    x, y = to_lonlat(block.lattice.epsg).transform(*first.outline.centroid.coords[0], direction="INVERSE")
    row, col = np.argwhere(block.mask)[0]
    left, bottom, right, top = west + col * 640, north - (row + 1) * 640, west + (col + 1) * 640, north - row * 640
    assert left < x < right
    assert bottom < y < top
