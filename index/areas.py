"""Areas: which part of the world each location belongs to, so that a query is never answered by its own neighbourhood.

Areas are polygons with names, given in a file; or, without one, the groups into which the locations fall when all that
lie within some kilometres of each other are linked.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import geopandas as gpd
import numpy as np
import pyarrow as pa
import pyogrio.errors
import shapely
from numpy.typing import NDArray
from pyproj.exceptions import CRSError
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import KDTree

from stac.errors import AreaError

from .parts import first_line

APART_KM = 20.0
"""assumed: places farther apart than this have neither an event nor a day's weather at one spot in common. Weather
fronts and droughts reach further; areas given by name are the surer way."""

_EARTH_KM = 6371.0088
"""Mean radius of the Earth, IUGG (Moritz 2000, https://doi.org/10.1007/s001900050278)."""

_NAMES = ("area", "name", "id")
"""Columns that may name an area, in the order in which they are looked for."""


@dataclass(frozen=True, eq=False)
class Areas:
    """The area of each location."""

    of_place: NDArray[np.int64]
    """(P,) index into `names`; −1 outside all areas."""
    names: tuple[str, ...]
    splits: tuple[str | None, ...]
    """For each area `train`, `val`, `test` …; None where nothing is stated."""


def open_areas(path: Path, centres: NDArray[np.float64]) -> Areas:
    """The areas of a file.

    Args:
        path: A vector file of polygons with a column `area`, `name` or `id`, and optionally `split`. Polygons of one
            name are one area.
        centres: (P, 2) longitude and latitude of the locations, degrees; the area that holds the centre counts, the
            first one where several do.

    Raises:
        AreaError: The file cannot be read, names no area, or holds none of the locations.
    """
    try:
        table = gpd.read_parquet(path) if path.suffix.lower() == ".parquet" else gpd.read_file(path)
        table = table.to_crs(4326)
    except (OSError, ValueError, AttributeError, pa.ArrowException, pyogrio.errors.DataSourceError, CRSError) as err:
        found = f"areas {path} cannot be read ({first_line(err)})"
        raise AreaError(found, "a vector file of polygons", "check --areas") from err
    column = next((name for name in _NAMES if name in table), None)
    if column is None or not len(table):
        raise AreaError(
            f"areas {path}: there is no column {' or '.join(_NAMES)}", "polygons with a name", "add it to the file"
        )
    labels = table[column].astype(str).tolist()
    names = tuple(dict.fromkeys(labels))
    splits = _splits_of(table, labels, names)
    of_place = np.full(len(centres), -1, np.int64)
    for label, polygon in list(zip(labels, table.geometry, strict=True))[::-1]:  # the first one is written last
        if polygon is not None:
            of_place[shapely.intersects_xy(polygon, centres[:, 0], centres[:, 1])] = names.index(label)
    if (of_place < 0).all():
        found = f"areas {path}: none of the {len(centres)} locations of the store lies inside"
        raise AreaError(found, "the areas that the store was built over", "check --areas")
    return Areas(of_place, names, splits)


def _splits_of(table: gpd.GeoDataFrame, labels: Sequence[str], names: Sequence[str]) -> tuple[str | None, ...]:
    """The split of each name, by its first polygon."""
    if "split" not in table:
        return (None,) * len(names)
    stated = [None if value is None or value != value else str(value) for value in table["split"].tolist()]
    return tuple(stated[labels.index(name)] for name in names)


def group_areas(
    centres: NDArray[np.float64], apart_km: float = APART_KM, same: Sequence[NDArray[np.integer]] = ()
) -> Areas:
    """Areas as groups: locations within `apart_km` of each other, directly or through others, are one area.

    Args:
        centres: (P, 2) longitude and latitude of the locations, degrees.
        apart_km: Kilometres.
        same: Locations that are one area in any case, such as those of one name in the labels.

    Returns:
        Areas `area-1`, `area-2` … in order of their first location.
    """
    links = list(_links(centres, apart_km))
    links += [(int(group[0]), int(other)) for group in same for other in group[1:]]
    first, second = np.array(links, np.int64).reshape(-1, 2).T
    graph = coo_array((np.ones(len(first), bool), (first, second)), shape=(len(centres), len(centres)))
    count, labels = connected_components(graph, directed=False)
    _, earliest = np.unique(labels, return_index=True)
    order = np.empty(count, np.int64)
    order[labels[np.sort(earliest)]] = np.arange(count)
    return Areas(order[labels], tuple(f"area-{number}" for number in range(1, count + 1)), (None,) * count)


def _links(centres: NDArray[np.float64], apart_km: float) -> Iterator[tuple[int, int]]:
    """Enough pairs of points within `apart_km` to join all that belong together (single linkage).

    Points are sorted into cubes whose diagonal is `apart_km`: the points of one cube are linked without asking, and of
    two near cubes the nearest two points alone are compared.
    """
    lon, lat = np.radians(centres).T
    points = _EARTH_KM * np.column_stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)])
    chord = 2 * _EARTH_KM * np.sin(min(apart_km / (2 * _EARTH_KM), np.pi / 2))
    cubes: dict[tuple[int, ...], list[int]] = {}
    for row, cube in enumerate(np.floor(points / (chord / np.sqrt(3))).astype(np.int64).tolist()):
        cubes.setdefault(tuple(cube), []).append(row)
    trees = {cube: KDTree(points[rows]) for cube, rows in cubes.items()}
    reach = [step for step in product(range(-2, 3), repeat=3) if step > (0, 0, 0)]  # each pair of cubes once
    for cube, rows in cubes.items():
        yield from ((rows[0], row) for row in rows[1:])
        for step in reach:
            other = tuple(a + b for a, b in zip(cube, step, strict=True))
            if other in cubes:
                distance, at = trees[other].query(points[rows], distance_upper_bound=chord * (1 + 1e-12))
                nearest = int(np.argmin(distance))
                if np.isfinite(distance[nearest]):
                    yield rows[nearest], cubes[other][int(at[nearest])]
