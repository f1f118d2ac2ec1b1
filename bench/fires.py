"""Real fires by frozen features: do the burnt chips of one fire find those of the other fires?

    python bench/weights.py --only fires --encoders spectral random --seeds 0 1 2

**Data.** Ten Californian fires of 2020 to 2025 (`calfire-style`: an image before, an image after, the perimeter), bands
B02 B03 B04 B08 B12 at 20 m. These are ten fires, not the published CalFire benchmark.

**Chips.** The images lie in degrees, taken by nearest from Sentinel-2's 20 m grids; they are brought back, by nearest,
to square pixels of 20 m in their UTM zone, and cut into chips side by side, centred in what there is. As in
`index.build` a chip is 10 m pixels, so each of 20 m stands 2 × 2 times: a chip of 320 m is 32 px (the headline: at
640 m, 64 px, six fires have three burnt chips or fewer), and counts when at least 0.8 of it has data on both dates; the
rest is masked. Bands of 10 m are therefore smoother than an encoder sees them in use.

**Truth.** A chip is burnt when at least half of its pixels with data lie within the perimeter, unburnt when none does;
others are left out. A perimeter holds unburnt islands, and one fire (5-6) lies among larger burns, whose chips count
as unburnt here: the truth is not clean.

**Question.** The change vector is the embedding after less the embedding before, of unit length, as `index.search`
ranks them: by cosine, without the magnitude. Each burnt chip asks; its gallery is the chips of the nine other fires,
never its own. Mean over the queries of a fire, then over fires; 95 % intervals by drawing fires, since chips of a fire
are not independent. Chance is a random order. AP@K divides by min(K, positives) (`index.metrics`).

**Strict.** Leaves out what is smoky or under smoke, told from pixels alone: chips whose blue rises by more than
`SMOKE`. Fires without a query then drop out: figures stand for the others.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
from inputs import check_real
from numpy.typing import NDArray
from rasterio.warp import Resampling, calculate_default_transform, reproject

from encoder.encoders import Encoder
from index.metrics import Interval, ap_at_k, bootstrap, chance_ap, chance_precision, precision_at_k
from stac.errors import DataError
from stac.lattice import utm_epsg

FOLDER = "calfire-style"
BANDS = ("B02", "B03", "B04", "B08", "B12")
SIDES = (16, 32)
"""Sides of chips, pixels of 20 m: 320 and 640 m; the first is the headline."""
GSD = 20
K = (10, 40)
"""Ranks that count, as in CACo's figures on CalFire (CVPR 2023, table 5)."""
SEEN = 0.8
"""Least share of a chip with data on both dates: `index.plan.BuildConfig.min_clear`."""
BURNT = 0.5
"""assumed: least share within the perimeter of a burnt chip."""
SMOKE = 0.03
"""assumed: rise of a chip's mean blue reflectance that no fire leaves on the ground. It leaves out all of 4-8 and
most of 1-12, which the data's notes call smoky, most of 5-6, and a part of the unburnt chips of CLEAR."""
_OUTSIDE = 255


@dataclass(frozen=True, eq=False)
class Chips:
    """Chips of all fires."""

    before: NDArray[np.uint16]
    """(N, 5, S, S) harmonised reflectance × 10,000 at 10 m, bands as `BANDS`, 0 = no data."""
    after: NDArray[np.uint16]
    valid: NDArray[np.bool_]
    """(N, S, S) data on both dates."""
    burnt: NDArray[np.bool_]
    """(N,) burnt, else unburnt."""
    fire: NDArray[np.int64]
    """(N,) number of the fire, by name."""
    names: tuple[str, ...]
    """Names of the fires."""

    def pick(self, which: NDArray[np.bool_]) -> Chips:
        """Some of the chips."""
        images = self.before[which], self.after[which], self.valid[which]
        return Chips(*images, self.burnt[which], self.fire[which], self.names)


@dataclass(frozen=True)
class Result:
    """A figure of one encoder."""

    metric: str
    """`AP@10`, `P@10` …"""
    side: int
    """Of the chips, metres."""
    strict: bool
    """Whether smoke is left out."""
    score: Interval
    chance: float
    queries: int
    fires: int
    """Fires that ask."""
    by_fire: dict[str, float]
    """Fire → mean over its queries."""

    @property
    def name(self) -> str:
        """The metric, and in what it differs from the headline."""
        size = "" if self.side == SIDES[0] * GSD else f", {self.side} m"
        return self.metric + size + (", no smoke" if self.strict else "")


def read_chips(real: Path, side: int) -> Chips:
    """Chips of every fire.

    Args:
        real: Folder of real data.
        side: Pixels of 20 m.

    Raises:
        DataError: There is no fire, or a file of another kind.
    """
    check_real(real, (FOLDER,))
    places = sorted(path.parent for path in (real / FOLDER).glob("*/before.tif"))
    parts: list[tuple[NDArray[np.uint16], ...]] = []
    burnt, fire = [], []
    for number, place in enumerate(places):
        for before, after, inside in _cut(*_read_fire(place), side):
            seen = (before > 0).all(axis=0) & (after > 0).all(axis=0) & (inside != _OUTSIDE)
            share = float((inside == 1)[seen].mean()) if seen.any() else 0.0
            if seen.mean() >= SEEN and (share == 0 or share >= BURNT):
                parts.append((before, after, seen))
                burnt.append(share > 0)
                fire.append(number)
    if not any(burnt):
        raise DataError(f"no burnt chip in {real / FOLDER}", "fires with perimeters", "name the real data with --real")
    before, after, valid = (np.stack(part).repeat(2, axis=-2).repeat(2, axis=-1) for part in zip(*parts, strict=True))
    names = tuple(place.name for place in places)
    return Chips(before, after, valid, np.array(burnt), np.array(fire, np.int64), names)


def _read_fire(place: Path) -> tuple[NDArray[np.uint16], NDArray[np.uint16], NDArray[np.uint16]]:
    """Before and after (5, H, W) and the perimeter (H, W) of a fire, in square pixels of 20 m of its zone."""
    images = []
    for name, empty in (("before", 0), ("after", 0), ("perimeter", _OUTSIDE)):
        with rasterio.open(place / f"{name}.tif") as file:
            lon, lat = (file.bounds.left + file.bounds.right) / 2, (file.bounds.bottom + file.bounds.top) / 2
            zone = f"EPSG:{utm_epsg(lon, lat)}"
            transform, width, height = calculate_default_transform(
                file.crs, zone, file.width, file.height, *file.bounds, resolution=GSD
            )
            order = [1] if empty else [file.descriptions.index(band) + 1 for band in BANDS]
            image = np.full((len(order), height, width), empty, np.uint16)
            reproject(
                file.read(order).astype(np.uint16),
                image,
                src_transform=file.transform,
                src_crs=file.crs,
                dst_transform=transform,
                dst_crs=zone,
                dst_nodata=empty,
                resampling=Resampling.nearest,
            )
            images.append(image)
    return images[0], images[1], images[2][0]


def _cut(
    before: NDArray[np.uint16], after: NDArray[np.uint16], inside: NDArray[np.uint16], side: int
) -> Iterator[tuple[NDArray[np.uint16], NDArray[np.uint16], NDArray[np.uint16]]]:
    """Chips side by side; what is left over is split between the edges."""
    top, left = ((size % side) // 2 for size in inside.shape)
    for row in range(top, inside.shape[0] - side + 1, side):
        for column in range(left, inside.shape[1] - side + 1, side):
            part = (..., slice(row, row + side), slice(column, column + side))
            yield before[part], after[part], inside[part]


def is_smoky(chips: Chips) -> NDArray[np.bool_]:
    """(N,) whether blue rises by more than `SMOKE`."""
    blue = BANDS.index("B02")
    count = chips.valid.sum(axis=(1, 2))
    rise = np.where(chips.valid, chips.after[:, blue].astype(np.float64) - chips.before[:, blue], 0)
    smoky: NDArray[np.bool_] = rise.sum(axis=(1, 2)) / count / 10_000 > SMOKE
    return smoky


def change_vectors(encoder: Encoder, chips: Chips) -> NDArray[np.float32]:
    """(N, D) of unit length (zeros where nothing changes) by an encoder whose bands are among `BANDS`."""
    order = [BANDS.index(band) for band in encoder.bands]
    before, after = (
        encoder.embed(np.ascontiguousarray(part[:, order]), chips.valid) for part in (chips.before, chips.after)
    )
    change = after - before
    unit: NDArray[np.float32] = change / np.maximum(np.linalg.norm(change, axis=1, keepdims=True), 1e-12)
    return unit


def evaluate(encoder: Encoder, chips: Chips, *, seed: int = 0) -> list[Result]:
    """Figures of an encoder on chips of one size, plain and strict."""
    vectors, clear = change_vectors(encoder, chips), ~is_smoky(chips)
    side = chips.before.shape[-1] * GSD // 2
    plain = score(vectors, chips, (side, False), seed=seed)
    return plain + score(vectors[clear], chips.pick(clear), (side, True), seed=seed)


def score(vectors: NDArray[np.float32], chips: Chips, kind: tuple[int, bool], *, seed: int = 0) -> list[Result]:
    """Figures of vectors.

    Args:
        vectors: float32 (N, D) of unit length.
        chips: The N chips.
        kind: Side in metres, and whether smoke was left out.
        seed: Of the bootstrap.

    Raises:
        DataError: No burnt chip has one to find.
    """
    others = chips.fire[:, None] != chips.fire[None]
    positives = (others & chips.burnt[None]).sum(axis=1)
    asking = chips.burnt & (positives > 0)
    if not asking.any():
        raise DataError("no burnt chip has one of another fire to find", "two fires or more", "check the real data")
    near = np.where(others[asking], vectors[asking] @ vectors.T, -np.inf)
    # Nothing of the own fire comes before the gallery's end, and rows beyond it are no positives.
    order = np.argsort(-near, axis=1, kind="stable")
    relevant = np.take_along_axis(others[asking] & chips.burnt[None], order, axis=1)[:, : max(K)]
    found, size = positives[asking], others[asking].sum(axis=1)
    sums = found.astype(np.float64)
    results = []
    for k in K:
        figures = {
            f"AP@{k}": (ap_at_k(relevant, found, k), chance_ap(sums, sums, size, found, k)),
            f"P@{k}": (precision_at_k(relevant, k), chance_precision(sums, size, k)),
        }
        for metric, (values, random) in figures.items():
            own, by_chance = (_by_fire(part, chips.fire[asking]) for part in (values, random))
            interval = bootstrap(np.array(list(own.values())), seed=seed)
            expected = float(np.mean(list(by_chance.values())))
            named = {chips.names[number]: round(value, 4) for number, value in own.items()}
            results.append(Result(metric, *kind, interval, expected, int(asking.sum()), len(own), named))
    return results


def _by_fire(values: NDArray[np.float64], fire: NDArray[np.int64]) -> dict[int, float]:
    """Fire → mean over its queries."""
    return {int(number): float(values[fire == number].mean()) for number in np.unique(fire)}
