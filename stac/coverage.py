"""Which scenes may have pixels where: told from what their items say, before any file is opened."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.affinity import translate

from .bands import SCL
from .cube import view_chips
from .lattice import to_lonlat

if TYPE_CHECKING:
    from .blocks import Block
    from .items import Scene
    from .window import Grid

_FOOTPRINT_MARGIN = 0.05
"""assumed: degrees by which an item's footprint may fall short of its pixels (its edges are straight in degrees)."""
_TURNS = (0, -360, 360)
"""Outlines that cross the antimeridian go beyond ±180°, footprints may come from either side."""


def covering(block: Block, scenes: Sequence[Scene]) -> list[Scene]:
    """Scenes that may have pixels in a block; those in another CRS last, so that they only fill what is left."""
    over = [scene for scene in scenes if meets(block, scene)]
    return sorted(over, key=lambda scene: scene.epsg not in (None, block.lattice.epsg))


def meets(block: Block, scene: Scene) -> bool:
    """Whether a scene may have pixels in a block."""
    bounds = _raster_bounds(scene, block.lattice.epsg)
    if bounds is not None:
        west, south, east, north = bounds
        left, bottom, right, top = block.bounds
        if west >= right or east <= left or south >= top or north <= bottom:
            return False
    near = scene.footprint.buffer(_FOOTPRINT_MARGIN)
    return any(near.intersects(translate(block.footprint, xoff=turn)) for turn in _TURNS)


def may_supply(block: Block, scene: Scene, grid: Grid) -> NDArray[np.bool_]:
    """Where a scene may have pixels in a block: inside its raster, in the chips that its footprint meets.

    Args:
        block: Its mask is disregarded.
        scene: The scene.
        grid: Of the block; a chip holds whole pixels of it.

    Returns:
        (H, W) of the grid.
    """
    over = np.zeros(grid.shape, dtype=bool)
    near, chips = scene.footprint.buffer(_FOOTPRINT_MARGIN), _chip_footprints(block)
    meeting = [shapely.intersects(translate(near, xoff=turn), chips) for turn in _TURNS]
    view_chips(over, grid.shape[0] // block.nrows)[np.logical_or.reduce(meeting)] = True
    bounds = _raster_bounds(scene, grid.epsg)
    if bounds is not None:
        west, south, east, north = bounds
        over[: max(0, math.floor((grid.north - north) / grid.gsd))] = False
        over[max(0, math.ceil((grid.north - south) / grid.gsd)) :] = False
        over[:, : max(0, math.floor((west - grid.west) / grid.gsd))] = False
        over[:, max(0, math.ceil((east - grid.west) / grid.gsd)) :] = False
    return over


def _raster_bounds(scene: Scene, epsg: int) -> tuple[float, float, float, float] | None:
    """West, south, east, north of the classification, metres; None where it lies in another CRS or is not stated."""
    asset = scene.assets[SCL]
    if asset.epsg != epsg or asset.transform is None or asset.shape is None:
        return None
    east, south = asset.transform * (asset.shape[1], asset.shape[0])
    return asset.transform.c, south, east, asset.transform.f


def _chip_footprints(block: Block) -> NDArray[np.object_]:
    """Outlines (nrows, ncols) of a block's chips in longitude, latitude (degrees), each in one piece."""
    west, _, _, north = block.bounds
    x, y = np.meshgrid(
        west + block.lattice.side * np.arange(block.ncols + 1), north - block.lattice.side * np.arange(block.nrows + 1)
    )
    lon, lat = to_lonlat(block.lattice.epsg).transform(x, y)
    if np.ptp(lon) > 180:
        lon = np.where(lon < 0, lon + 360, lon)
    corners = np.stack([lon, lat], axis=-1)
    rings = [corners[:-1, :-1], corners[:-1, 1:], corners[1:, 1:], corners[1:, :-1], corners[:-1, :-1]]
    return np.asarray(shapely.polygons(np.stack(rings, axis=-2)))
