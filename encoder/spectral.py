"""The encoder without a network: per-band and index statistics of a chip, scaled so that their differences compare.

It needs no training and no file, works with any bands (at least one), and is the baseline that networks must beat. Each
band, and each index whose bands are present, is one *channel* of the chip; each channel gives six features:

    level   mean over the valid pixels
    low     mean of the darkest of 4 × 4 cells, less the level: a burn or clearing that fills a corner of the chip
    high    the same of the brightest cell
    spread  interquartile range of the 16 cells: how patchy the chip is
    std     standard deviation over the valid pixels
    edge    mean absolute step between neighbouring pixels: roads and other thin things

Cells are ranked, not kept in place, so the vector does not depend on where in the chip a thing lies, and the difference
of two vectors tells what changed. Every feature is divided by how much it wanders between two dates at places where
nothing happened (`WANDER`): what is left stands out of ordinary variation by about the same factor in each feature.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from stac.bands import norm_bands
from stac.errors import WeightsError

from .weights import computed_spec

DEFAULT_BANDS: tuple[str, ...] = ("B02", "B03", "B04", "B08", "B11", "B12")
"""Enough for all the indices, and what the three providers all carry."""

FEATURES: tuple[str, ...] = ("level", "low", "high", "spread", "std", "edge")
"""The features of each channel, in order."""

INDICES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    # Rouse et al. 1974, "Monitoring vegetation systems in the Great Plains with ERTS", NASA SP-351: red, near infrared.
    "NDVI": (("B08",), ("B04",)),
    # Key & Benson 2006, "Landscape assessment", USDA RMRS-GTR-164-CD (with S2's B12): burns.
    "NBR": (("B08",), ("B12",)),
    # https://www.usgs.gov/landsat-missions/landsat-normalized-burn-ratio-2: burns, bare soil.
    "NBR2": (("B11",), ("B12",)),
    # McFeeters 1996, https://doi.org/10.1080/01431169608948714: open water.
    "NDWI": (("B03",), ("B08",)),
    # Zha et al. 2003, https://doi.org/10.1080/01431160304987: built-up land. NDMI (moisture; Wilson & Sader 2002,
    # https://doi.org/10.1016/S0034-4257(01)00318-2) is exactly its negative and so would only count it twice.
    "NDBI": (("B11",), ("B08",)),
    # Rikimaru et al. 2002, "Tropical forest cover density mapping", Tropical Ecology 43(1): bare soil.
    "BSI": (("B11", "B04"), ("B08", "B02")),
}
"""Index → bands that are added, bands that are taken away: (sum a − sum b) / (sum a + sum b)."""

_NARROW_NIR = "B8A"
_GRID = 4
_TILE_PIXELS = 32768
"""Pixels of a band worked on at once. measured (bench/embed.py): more fall out of the cache, fewer pay more calls."""

Planes: TypeAlias = NDArray[np.float32]
"""float32 (B, K, H, W) or what is made of it."""

# How much each feature wanders between two dates, by kind of channel, in reflectance or index units. measured
# (bench/wander.py): robust standard deviation of the differences over all 778 chips (64 px of 10 m) of the nine city
# pairs of OSCD (https://ieee-dataport.org/open-access/oscd-onera-satellite-change-detection); its masks are not used.
WANDER: dict[str, tuple[float, ...]] = {
    #           level   low     high    spread  std     edge
    "visible": (0.0187, 0.0076, 0.0092, 0.0068, 0.0088, 0.0031),
    "infrared": (0.0387, 0.0134, 0.0164, 0.0124, 0.0098, 0.0019),
    "index": (0.0514, 0.0263, 0.0267, 0.0235, 0.0194, 0.0077),
    "NBR2": (0.0263, 0.0127, 0.0142, 0.0116, 0.0081, 0.0018),
}
_VISIBLE = {"B01", "B02", "B03", "B04", "B05"}


def index_bands(bands: Sequence[str]) -> dict[str, tuple[tuple[int, ...], tuple[int, ...]]]:
    """The indices that a list of bands allows, as positions in that list.

    B8A stands in for B08 where B08 is absent.

    Args:
        bands: Canonical band names.

    Returns:
        Index name → positions of the bands added, positions of the bands taken away.
    """
    place = {band: i for i, band in enumerate(bands)}
    if "B08" not in place and _NARROW_NIR in place:
        place["B08"] = place[_NARROW_NIR]
    return {
        name: (tuple(place[b] for b in plus), tuple(place[b] for b in minus))
        for name, (plus, minus) in INDICES.items()
        if all(b in place for b in plus + minus)
    }


def feature_names(bands: Sequence[str]) -> list[str]:
    """Names of the features in order, `B04 level` … `NBR edge`, for canonical `bands`."""
    channels = [*bands, *index_bands(bands)]
    return [f"{channel} {feature}" for channel in channels for feature in FEATURES]


def kind_of(channel: str) -> str:
    """Which row of `WANDER` a channel goes by."""
    if channel in INDICES:
        return channel if channel in WANDER else "index"
    return "visible" if channel in _VISIBLE else "infrared"


class SpectralEncoder:
    """Statistics of bands and indices (see the module's head). The same chip gives the same bits in any batch."""

    def __init__(self, bands: Sequence[str] | None = None, threads: int | None = None) -> None:
        """Make the encoder.

        Args:
            bands: Band names in the order of the chips' axis C; `DEFAULT_BANDS` when None.
            threads: Threads that share the tiles; None for one a processor.
        """
        self.name = "spectral"
        self.bands = norm_bands(DEFAULT_BANDS if bands is None else bands)
        self.threads = threads or os.cpu_count() or 1
        self._indices = index_bands(self.bands)
        channels = [*self.bands, *self._indices]
        self.dim = len(channels) * len(FEATURES)
        self.scale = np.array([WANDER[kind_of(channel)] for channel in channels], np.float32)  # (K, F)
        recipe = json.dumps([feature_names(self.bands), [WANDER[kind_of(c)] for c in channels], INDICES, _GRID])
        self.sha256 = hashlib.sha256(recipe.encode()).hexdigest()
        made_of = "statistics of bands and indices"
        self.spec = computed_spec(self.name, self.bands, self.dim, made_of, self.sha256)

    def embed(self, chips: NDArray[np.uint16], valid: NDArray[np.bool_] | None = None) -> NDArray[np.float32]:
        """Features of chips.

        Args:
            chips: uint16 (B, C, H, W), harmonised reflectance × 10,000, 0 = no data, bands as in `self.bands`.
            valid: bool (B, H, W); False pixels count for nothing. A pixel in which any band is 0 counts for nothing.

        Returns:
            float32 (B, D); zeros for a chip without a valid pixel.

        Raises:
            WeightsError: The chips are not of this shape.
        """
        check_chips(chips, self.bands, valid)
        features = np.empty((len(chips), self.dim), np.float32)
        tile = max(1, _TILE_PIXELS // (chips.shape[2] * chips.shape[3]))
        workers = max(1, min(self.threads, -(-len(chips) // tile)))
        if workers == 1:
            self._work(chips, valid, features, tile, 0, tile)
        else:
            with ThreadPoolExecutor(workers) as pool:
                jobs = [
                    pool.submit(self._work, chips, valid, features, tile, i * tile, workers * tile)
                    for i in range(workers)
                ]
                for job in jobs:
                    job.result()
        return features

    def _work(
        self,
        chips: NDArray[np.uint16],
        valid: NDArray[np.bool_] | None,
        features: Planes,
        tile: int,
        first: int,
        stride: int,
    ) -> None:
        """Write the features of the tiles that begin at `first`, `first + stride` and so on.

        Each tile is padded to `tile` chips, so that all run the very same operations, and the buffers are made once:
        made anew for every tile, their page faults cost more than the arithmetic.
        """
        part = np.empty((tile, *chips.shape[1:]), np.uint16)
        planes = np.empty((tile, len(self.scale), *chips.shape[2:]), np.float32)
        work = np.empty_like(planes)
        for start in range(first, len(chips), stride):
            stop = min(start + tile, len(chips))
            part[: stop - start], part[stop - start :] = chips[start:stop], 1
            weight = _weight(part, None if valid is None else valid[start:stop])
            self._fill(planes, work, part, weight)
            stats = _statistics(planes, work, weight) / self.scale  # (B, K, F)
            features[start:stop] = stats.reshape(tile, -1)[: stop - start]

    def _fill(self, planes: Planes, work: Planes, part: NDArray[np.uint16], weight: Planes | None) -> None:
        """Write the channels of chips (B, C, H, W) to planes (B, K, H, W): reflectance, then the indices."""
        bands = planes[:, : len(self.bands)]
        bands[:] = part
        if weight is not None:
            np.maximum(bands, 1.0, out=bands)  # keeps the indices of unseen pixels finite; they are weighted by 0
        for k, (plus, minus) in enumerate(self._indices.values(), start=len(self.bands)):
            up, down = _total(bands, plus), _total(bands, minus)
            total = np.add(up, down, out=work[:, 0])
            index = np.subtract(up, down, out=planes[:, k])
            np.divide(index, total, out=index)
        np.multiply(bands, np.float32(1e-4), out=bands)


def _weight(chips: NDArray[np.uint16], valid: NDArray[np.bool_] | None) -> Planes | None:
    """1 where a pixel counts, 0 elsewhere, (B, 1, H, W); None where all count. `valid` may lack the padding."""
    if chips.min() > 0 and (valid is None or valid.all()):
        return None
    mask: Planes = (chips.min(axis=1, keepdims=True) > 0).astype(np.float32)
    if valid is not None:
        mask[: len(valid), 0] *= valid
    return mask


def check_chips(chips: NDArray[np.uint16], bands: Sequence[str], valid: NDArray[np.bool_] | None) -> None:
    """Refuse chips that are not uint16 (B, C, H, W) with C = the number of bands, or a mask that does not fit them.

    Raises:
        WeightsError: They are not.
    """
    if chips.ndim != 4 or chips.shape[1] != len(bands) or chips.dtype != np.uint16 or 0 in chips.shape[2:]:
        raise WeightsError(
            f"chips of shape {chips.shape} and type {chips.dtype}",
            f"uint16 (B, {len(bands)}, H, W) with bands {' '.join(bands)}",
            "read the encoder's own bands, in its order, as harmonised reflectance × 10,000",
        )
    expected = (chips.shape[0], *chips.shape[2:])
    if valid is not None and (valid.shape != expected or valid.dtype != np.bool_):
        raise WeightsError(
            f"a mask of shape {valid.shape} and type {valid.dtype}", f"bool {expected}", "give one value a pixel"
        )


def _total(bands: Planes, which: tuple[int, ...]) -> Planes:
    """Sum of some bands of (B, C, H, W), as (B, H, W)."""
    total = bands[:, which[0]]
    for band in which[1:]:
        total = total + bands[:, band]
    return total


def cell_edges(length: int) -> list[int]:
    """Where cells start and end along a side: `_GRID` cells, fewer on a side shorter than that."""
    cells = min(_GRID, length)
    return [round(i * length / cells) for i in range(cells + 1)]


def _cell_sums(planes: Planes) -> Planes:
    """Sums of planes (B, K, H, W) over their cells, (B, K, cells)."""
    rows, cols = cell_edges(planes.shape[2]), cell_edges(planes.shape[3])
    # einsum rather than sum: measured three to five times faster on short axes, and it runs on one thread.
    strips = [np.einsum("bkhw->bkw", planes[:, :, a:b]) for a, b in pairwise(rows)]
    return np.stack([np.einsum("bkw->bk", strip[..., a:b]) for strip in strips for a, b in pairwise(cols)], axis=2)


def _statistics(planes: Planes, work: Planes, weight: Planes | None) -> Planes:
    """The six features, unscaled, of each channel.

    Args:
        planes: float32 (B, K, H, W), finite.
        work: A buffer of the same shape, overwritten.
        weight: 1 where a pixel counts, 0 elsewhere, (B, 1, H, W); None where all count. Multiplying by exactly 1
            changes no bit, so a chip that is wholly seen gives the same numbers on both ways.

    Returns:
        float32 (B, K, F), order as `FEATURES`; zeros where no pixel counts.
    """
    counts = _cell_sums(np.ones_like(planes[:, :1]) if weight is None else weight)  # (B, 1, cells)
    sums = _cell_sums(planes if weight is None else np.multiply(planes, weight, out=work))  # (B, K, cells)
    count = np.maximum(counts.sum(axis=2), 1.0)  # (B, 1)
    level = sums.sum(axis=2) / count  # (B, K)
    cells = np.where(counts > 0, sums / np.maximum(counts, 1.0), level[..., None])
    ranked = np.sort(cells, axis=2) - level[..., None]
    last = ranked.shape[2] - 1
    spread = ranked[..., round(0.75 * last)] - ranked[..., round(0.25 * last)]
    away = np.subtract(planes, level[..., None, None], out=work)
    if weight is not None:
        np.multiply(away, weight, out=away)
    std = np.sqrt(np.einsum("bkhw,bkhw->bk", away, away) / count)
    edge = _edge(planes, work, weight)
    return np.stack([level, ranked[..., 0], ranked[..., last], spread, std, edge], axis=2)


def _edge(planes: Planes, work: Planes, weight: Planes | None) -> Planes:
    """Mean absolute step between neighbours that both count, (B, K); 0 where there are none."""
    height, width = planes.shape[2:]
    total, pairs = np.zeros(planes.shape[:2], np.float32), np.zeros((planes.shape[0], 1), np.float32)
    # Rows laid end to end are one long contiguous axis: the neighbour below lies `width` further, that to the right 1.
    flat, room = planes.reshape(*planes.shape[:2], -1), work.reshape(*planes.shape[:2], -1)
    for across, reach, count in ((False, width, (height - 1) * width), (True, 1, height * (width - 1))):
        if count == 0:
            continue
        step = np.subtract(flat[..., reach:], flat[..., :-reach], out=room[..., :-reach])
        if across:
            step[..., width - 1 :: width] = 0.0  # from the end of a row to the beginning of the next
        np.abs(step, out=step)
        if weight is None:
            pairs += count
        else:
            counts = weight.reshape(len(weight), 1, -1)
            both = counts[..., reach:] * counts[..., :-reach]
            np.multiply(step, both, out=step)
            if across:
                both[..., width - 1 :: width] = 0.0
            pairs += both.sum(axis=2)
        total += np.einsum("bkp->bk", step)
    return np.divide(total, np.maximum(pairs, 1.0), dtype=np.float32)
