"""What makers of shapes share: a survey of the ground, sizes, windows, and the shape that they hand over.

A maker proposes one shape in a window of the ground, or None where the place that chance chose has no room for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import cKDTree

from .covers import ASPHALT, BARE, BUILT, COVERS, FORESTS, GRASS, GRAVEL, RIVER, SAND, SHRUB, TIDAL_FLAT, TRACK, WATERS
from .ground import Field, Ground
from .means import blur

Mask = NDArray[np.bool_]
"""A part of the ground or of a window, (h, w)."""

Box = tuple[slice, slice]
"""Rows and columns of a window of the ground."""

MARGIN = 6
"""Pixels kept free along the ground's edge."""

CLEARANCE = 16
"""Pixels kept free between two events, so that each has its own truth."""

SIZES: dict[str, tuple[float, float, float]] = {
    "wildfire": (30, 600, 0.030),
    "road": (2.5, 28, 0.0022),
    "clear_cut": (3, 30, 0.004),
    "logging": (14, 150, 0.014),
    "urban": (8, 60, 0.008),
    "solar_farm": (10, 80, 0.008),
    "reservoir_fill": (10, 150, 0.014),
    "reservoir_drain": (4, 600, 1.0),
    "flood": (20, 250, 0.018),
    "landslide": (1.5, 12, 0.002),
    "mine": (6, 80, 0.009),
}
"""Class → smallest and largest size, hectares, and the largest part of the ground that one event may take.

assumed: sizes as they are usual for each kind; parts so that 55 events fit a ground of 640 × 1024 pixels. The size of
`logging` is that of the whole site; a drained lake is as large as the lake.
"""


@dataclass(frozen=True, eq=False)
class Shape:
    """Where an event lies: a window, and what happens in it (see `change.Change` for the fields)."""

    top: int
    left: int
    strength: Field
    onset: Field
    zone: NDArray[np.uint8]
    site: Mask
    """(h, w), ground that the event keeps to itself: its strong pixels and what lies between them."""


@dataclass(eq=False)
class Survey:
    """What makers ask about the ground; each answer is worked out once."""

    ground: Ground
    taken: Mask
    """(H, W), ground that no further event may touch; changes as events are planted."""
    crowding: float = 1.0
    """Factor on the largest sizes, so that all the events that are wanted fit; falls while no room is found."""

    @cached_property
    def slope(self) -> Field:
        """(H, W), rise in the steepest direction, metres per metre, over about 50 m."""
        relief = self.ground.relief
        return blur(np.hypot(relief.east.astype(np.float64), relief.north.astype(np.float64)), 2, 1)

    @cached_property
    def forest(self) -> Mask:
        """(H, W), trees."""
        return np.isin(self.ground.cover, FORESTS)

    @cached_property
    def field(self) -> Mask:
        """(H, W), farmed fields."""
        return np.asarray(self.ground.cover >= len(COVERS))

    @cached_property
    def water(self) -> Mask:
        """(H, W), lakes, rivers, the sea and what the tide covers."""
        return np.isin(self.ground.cover, (*WATERS, TIDAL_FLAT))

    @cached_property
    def built(self) -> Mask:
        """(H, W), towns and sealed roads."""
        return np.isin(self.ground.cover, BUILT)

    @cached_property
    def road(self) -> Mask:
        """(H, W), roads and tracks."""
        return np.isin(self.ground.cover, (ASPHALT, TRACK))

    @cached_property
    def road_distance(self) -> Field:
        """(H, W), pixels to the nearest road or track; far everywhere where there is none."""
        return _distance_to(self.road)

    @cached_property
    def open_flat(self) -> Mask:
        """(H, W), flat ground without trees, water or buildings."""
        open_ = self.field | np.isin(self.ground.cover, (GRASS, SHRUB, BARE, SAND, GRAVEL))
        return open_ & (self.slope < 0.08)

    @cached_property
    def river(self) -> Mask:
        """(H, W), rivers; where there is none, the lines in which most water gathers on flat ground."""
        river = np.asarray(self.ground.cover == RIVER)
        if river.any():
            return river
        drainage = self.ground.relief.drainage
        wet = drainage > max(2.3, float(np.quantile(drainage, 0.985)))
        return np.asarray(wet & (self.slope < 0.06) & ~self.built)

    @cached_property
    def above_river(self) -> Field:
        """(H, W), height above the nearest river pixel, metres; infinite where there is no river.

        Source: height above the nearest drainage, Nobre et al. 2011, Journal of Hydrology 404, 13-29,
        https://doi.org/10.1016/j.jhydrol.2011.03.051; nearest by distance here, not along the flow.
        """
        height = self.ground.relief.height
        if not self.river.any():
            return np.full_like(height, np.inf)
        near = ndimage.distance_transform_edt(~self.river, return_distances=False, return_indices=True)
        return np.asarray(height - height[near[0], near[1]], dtype=np.float32)

    @cached_property
    def spots(self) -> dict[str, NDArray[np.intp]]:
        """Name of a kind of place → flat indices of its pixels, filled by the makers on first use."""
        return {}

    def pick(self, name: str, mask: Mask | None, rng: np.random.Generator) -> tuple[int, int] | None:
        """A free pixel of a kind of place, or None where 24 draws found none.

        Args:
            name: Kind of place, under which its pixels are kept.
            mask: (H, W), its pixels; looked at on the first call only, may be None later.
            rng: Where chance comes from.
        """
        if name not in self.spots:
            self.spots[name] = np.flatnonzero(mask if mask is not None else False)
        spots = self.spots[name]
        if spots.size == 0:
            return None
        drawn = spots[rng.integers(0, spots.size, 24)]
        free = drawn[~self.taken.ravel()[drawn]]
        if free.size == 0:
            return None
        row, col = divmod(int(free[0]), self.ground.shape[1])
        return row, col

    def box(self, spot: tuple[int, int], half: float) -> Box:
        """The window of `half` pixels around a spot, cut off at the ground's edge."""
        rows, cols = self.ground.shape
        reach, (row, col) = int(half), spot
        return (
            slice(max(row - reach, 0), min(row + reach + 1, rows)),
            slice(max(col - reach, 0), min(col + reach + 1, cols)),
        )

    def limits(self, kind: str) -> tuple[float, float]:
        """Smallest and largest size of an event here, pixels."""
        return limits(kind, self.ground.shape, self.crowding)

    def goal(self, kind: str, rng: np.random.Generator) -> float:
        """A size for an event, pixels, log-uniform within the limits of this ground."""
        low, high = self.limits(kind)
        return float(np.exp(rng.uniform(np.log(low), np.log(high))))

    def finish(
        self, box: Box, layers: tuple[Field, Field, NDArray[np.uint8]], site: Mask | None = None
    ) -> Shape | None:
        """The shape in its own window with a border of two pixels; None if it is empty or touches what is taken.

        Args:
            box: The window in which the maker worked.
            layers: Strength, onset (any range; it is stretched from 0 to 1 over the pixels that change) and zone of
                the window.
            site: (h, w), ground that the event keeps to itself beyond its own pixels.
        """
        strength, onset, zone = layers
        changed = strength > 0
        whole = changed if site is None else changed | site
        if not changed.any() or (whole & self.taken[box]).any():
            return None
        rows, cols = np.nonzero(whole)
        cut = (
            slice(max(int(rows.min()) - 2, 0), int(rows.max()) + 3),
            slice(max(int(cols.min()) - 2, 0), int(cols.max()) + 3),
        )
        first, last = float(onset[changed].min()), float(onset[changed].max())
        turn = np.where(changed, (onset.astype(np.float64) - first) / max(last - first, 1e-9), 0)
        return Shape(
            top=(box[0].start or 0) + cut[0].start,
            left=(box[1].start or 0) + cut[1].start,
            strength=np.clip(strength[cut], 0, 1).astype(np.float32),
            onset=np.clip(turn[cut], 0, 1).astype(np.float32),
            zone=np.where(changed, zone, 0)[cut].astype(np.uint8),
            site=whole[cut].copy(),
        )

    def take(self, shape: Shape) -> None:
        """Mark a planted shape and its clearance."""
        rows, cols = shape.site.shape
        reach = CLEARANCE
        wide = np.pad(ndimage.binary_fill_holes(shape.site), reach)
        near = ndimage.distance_transform_edt(~wide) <= reach
        top, left = shape.top - reach, shape.left - reach
        high, wide_ = self.ground.shape
        up, west = max(-top, 0), max(-left, 0)
        down, east = min(rows + 2 * reach, high - top), min(cols + 2 * reach, wide_ - left)
        self.taken[top + up : top + down, left + west : left + east] |= near[up:down, west:east]


def limits(kind: str, shape: tuple[int, int], crowding: float = 1.0) -> tuple[float, float]:
    """Smallest and largest size of an event on a ground of this shape, pixels (100 to the hectare).

    Args:
        kind: Class of event.
        shape: Height and width of the ground, pixels.
        crowding: Factor on the largest size, which stays above 1.5 times the smallest.
    """
    low, high, share = SIZES[kind]
    most = min(high * 100, share * shape[0] * shape[1])
    least = min(low * 100, most / 3)
    return least, most if kind == "reservoir_drain" else max(most * crowding, 1.5 * least)


def crowding(counts: Mapping[str, int], shape: tuple[int, int]) -> float:
    """The factor on the largest sizes with which the events, each with its clearance, take at most 0.4 of the ground.

    assumed: 0.4, above which proposals seldom find room. Events count as squares of their mean size.
    """
    for factor in (1.0, 0.8, 0.64, 0.5, 0.4, 0.32, 0.25, 0.2, 0.16, 0.12, 0.1):
        need = 0.0
        for kind, count in counts.items():
            low, most = limits(kind, shape, factor)
            mean = 0.0 if kind == "reservoir_drain" else (most - low) / float(np.log(most / low))
            need += count * (mean**0.5 + CLEARANCE) ** 2
        if need <= 0.4 * shape[0] * shape[1]:
            return factor
    return 0.1


def _distance_to(mask: Mask) -> Field:
    """(H, W), pixels to the nearest true pixel; 9999 everywhere where there is none."""
    if not mask.any():
        return np.full(mask.shape, 9999, dtype=np.float32)
    return np.asarray(ndimage.distance_transform_edt(~mask), dtype=np.float32)


def axes(box: Box, spot: tuple[float, float], turn: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Pixels along and across a direction from a spot, (h, w) each; turn in radians from east towards south."""
    y, x = np.mgrid[box].astype(np.float64)
    y, x = y - spot[0], x - spot[1]
    return x * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - x * np.sin(turn)


def largest(mask: Mask) -> Mask:
    """The largest connected part of a mask (four neighbours)."""
    parts, count = ndimage.label(mask)
    if count < 2:
        return mask
    return np.asarray(parts == 1 + int(np.argmax(np.bincount(parts.ravel())[1:])))


def along(points: NDArray[np.float64], box: Box, reach: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Distance of each pixel of a window to a line, and the place on it that is nearest.

    Args:
        points: (n, 2), rows and columns on the ground, in order along the line, a pixel or two apart.
        box: The window.
        reach: Distance beyond which pixels are not looked at, pixels.

    Returns:
        (h, w) distance, pixels, infinite beyond `reach`; (h, w) length of the line up to the nearest place, pixels.
    """
    steps = np.hypot(*np.diff(points, axis=0).T)
    length = np.concatenate([[0.0], np.cumsum(steps)])
    fine = np.linspace(0, length[-1], max(int(length[-1] * 4), 2))
    line = np.column_stack([np.interp(fine, length, points[:, 0]), np.interp(fine, length, points[:, 1])])
    y, x = np.mgrid[box]
    pixels = np.column_stack([y.ravel(), x.ravel()]).astype(np.float64)
    away, nearest = cKDTree(line).query(pixels, distance_upper_bound=reach)
    place = np.append(fine, 0.0)[nearest]
    return away.reshape(y.shape), place.reshape(y.shape)
