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
nothing happened (`_WANDER`): what is left stands out of ordinary variation by about the same factor in each feature.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from stac.bands import norm_bands
from stac.errors import WeightsError

from .normalization import Step
from .weights import WeightsSpec

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
_TILE = {"cpu": 16, "cuda": 1024}
"""Chips worked on at once. measured (bench/embed.py): on a CPU more fall out of the cache, fewer pay more calls."""

# How much each feature wanders between two dates where nothing happened, by kind of channel, in reflectance or index
# units. measured: root mean square of the differences over 272 chips (64 px of 10 m) without a labelled change in seven
# cities of OSCD (https://ieee-dataport.org/open-access/oscd-onera-satellite-change-detection), the two dates one to
# three years and often a season apart; averaged over the channels of a kind and rounded.
_WANDER: dict[str, tuple[float, ...]] = {
    #           level  low    high   spread std    edge
    "visible": (0.020, 0.010, 0.015, 0.010, 0.010, 0.0025),
    "infrared": (0.050, 0.018, 0.028, 0.018, 0.016, 0.0025),
    "index": (0.090, 0.050, 0.050, 0.050, 0.030, 0.0080),
    "NBR2": (0.040, 0.022, 0.025, 0.022, 0.013, 0.0035),
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


def _wander(channel: str) -> tuple[float, ...]:
    """What the features of a channel are divided by."""
    if channel in INDICES:
        return _WANDER.get(channel, _WANDER["index"])
    return _WANDER["visible" if channel in _VISIBLE else "infrared"]


class SpectralEncoder:
    """Statistics of bands and indices (see the module's head). The same chip gives the same numbers in any batch."""

    def __init__(self, bands: Sequence[str] | None = None, device: str = "cpu") -> None:
        """Make the encoder.

        Args:
            bands: Band names in the order of the chips' axis C; `DEFAULT_BANDS` when None.
            device: A torch device.
        """
        self.name = "spectral"
        self.bands = norm_bands(DEFAULT_BANDS if bands is None else bands)
        self.device = torch.device(device)
        self._tile_size = _TILE.get(self.device.type, _TILE["cuda"])
        self._indices = index_bands(self.bands)
        channels = [*self.bands, *self._indices]
        self.dim = len(channels) * len(FEATURES)
        self._scale = torch.tensor([_wander(c) for c in channels], dtype=torch.float32, device=self.device)  # (K, F)
        recipe = json.dumps([feature_names(self.bands), [_wander(c) for c in channels], INDICES, _GRID])
        self.sha256 = hashlib.sha256(recipe.encode()).hexdigest()
        self.spec = WeightsSpec(
            name=self.name,
            arch="spectral",
            bands=self.bands,
            normalization=(Step("scale", {"factor": (10000.0,)}),),
            chip_size=None,
            dim=self.dim,
            source="computed: statistics of bands and indices, nothing learned",
            licence="Apache-2.0",
            sha256=self.sha256,
        )

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
        size = self._tile_size
        # Buffers are made once a call: made anew for every tile, their page faults cost more than the arithmetic.
        part = np.empty((size, *chips.shape[1:]), np.uint16)
        shape = (size, len(self._scale), *chips.shape[2:])
        planes, work = (torch.empty(shape, dtype=torch.float32, device=self.device) for _ in range(2))
        with torch.inference_mode():
            for start in range(0, len(chips), size):
                stop = min(start + size, len(chips))
                part[: stop - start], part[stop - start :] = chips[start:stop], 1
                mask = _seen(part, None if valid is None else valid[start:stop])
                x = torch.from_numpy(part).to(self.device)
                weight = None if mask is None else torch.from_numpy(mask).to(self.device).to(torch.float32)[:, None]
                self._fill(planes, work, x, weight)
                stats = _statistics(planes, work, weight) / self._scale  # (B, K, F)
                features[start:stop] = stats.flatten(1)[: stop - start].cpu().numpy()
        return features

    def _fill(self, planes: Tensor, work: Tensor, x: Tensor, weight: Tensor | None) -> None:
        """Write the channels of x, uint16 (B, C, H, W), to planes (B, K, H, W): reflectance, then the indices."""
        bands = planes[:, : len(self.bands)]
        bands.copy_(x)
        if weight is not None:
            bands.clamp_min_(1.0)  # keeps the indices of unseen pixels finite; they are weighted by 0
        for k, (plus, minus) in enumerate(self._indices.values(), start=len(self.bands)):
            up, down = _total(bands, plus), _total(bands, minus)
            total = torch.add(up, down, out=work[:, 0])
            torch.sub(up, down, out=planes[:, k])
            planes[:, k].div_(total)
        bands.mul_(1e-4)


def _seen(chips: NDArray[np.uint16], valid: NDArray[np.bool_] | None) -> NDArray[np.bool_] | None:
    """Pixels that count, bool (B, H, W); None where all do. `valid` may hold fewer chips: the rest is padding."""
    if chips.all() and (valid is None or valid.all()):
        return None
    mask = np.asarray(chips.all(axis=1))
    if valid is not None:
        mask[: len(valid)] &= valid
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


def _total(x: Tensor, bands: tuple[int, ...]) -> Tensor:
    """Sum of some bands of x (B, C, H, W), as (B, H, W)."""
    total = x[:, bands[0]]
    for band in bands[1:]:
        total = total + x[:, band]
    return total


def _edges(length: int) -> list[int]:
    """Where cells start and end along a side: `_GRID` cells, fewer on a side shorter than that."""
    cells = min(_GRID, length)
    return [round(i * length / cells) for i in range(cells + 1)]


def _cell_sums(planes: Tensor) -> Tensor:
    """Sums of planes (B, K, H, W) over their cells, (B, K, G, G)."""
    rows, cols = _edges(planes.shape[2]), _edges(planes.shape[3])
    strips = torch.stack([planes[:, :, a:b].sum(dim=2) for a, b in pairwise(rows)], dim=2)  # (B, K, G, W)
    return torch.stack([strips[..., a:b].sum(dim=3) for a, b in pairwise(cols)], dim=3)


def _statistics(planes: Tensor, work: Tensor, weight: Tensor | None) -> Tensor:
    """The six features, unscaled, of each channel.

    Args:
        planes: float32 (B, K, H, W), finite.
        work: A buffer of the same shape, overwritten.
        weight: 1 where a pixel counts, 0 elsewhere, (B, 1, H, W); None where all count. Multiplying by exactly 1
            changes no bit, so a chip that is wholly seen gives the same numbers on both ways.

    Returns:
        float32 (B, K, F), order as `FEATURES`; zeros where no pixel counts.
    """
    ones = planes.new_ones((planes.shape[0], 1, *planes.shape[2:])) if weight is None else weight
    counts = _cell_sums(ones)  # (B, 1, G, G)
    sums = _cell_sums(planes if weight is None else torch.mul(planes, weight, out=work))  # (B, K, G, G)
    count = counts.sum(dim=(2, 3)).clamp_min(1.0)  # (B, 1)
    level = sums.flatten(2).sum(dim=2) / count  # (B, K)
    cells = torch.where(counts > 0, sums / counts.clamp_min(1.0), level[..., None, None]).flatten(2)
    ranked = cells.sort(dim=2).values - level[..., None]  # (B, K, G·G)
    last = ranked.shape[2] - 1
    spread = ranked[..., round(0.75 * last)] - ranked[..., round(0.25 * last)]
    away = torch.sub(planes, level[..., None, None], out=work)
    if weight is not None:
        away.mul_(weight)
    std = torch.linalg.vector_norm(away.flatten(2), dim=2) / count.sqrt()
    return torch.stack([level, ranked[..., 0], ranked[..., last], spread, std, _edge(planes, work, weight)], dim=2)


def _edge(planes: Tensor, work: Tensor, weight: Tensor | None) -> Tensor:
    """Mean absolute step between neighbours that both count, (B, K); 0 where there are none."""
    total, pairs = planes.new_zeros(planes.shape[:2]), planes.new_zeros((planes.shape[0], 1))
    for axis in (2, 3):
        reach = planes.shape[axis] - 1
        near, far = planes.narrow(axis, 0, reach), planes.narrow(axis, 1, reach)
        step = torch.sub(far, near, out=work.flatten()[: near.numel()].view(near.shape)).abs_()
        if weight is None:
            pairs += float(step[0, 0].numel())
        else:
            both = weight.narrow(axis, 1, reach) * weight.narrow(axis, 0, reach)
            step.mul_(both)
            pairs += both.flatten(2).sum(dim=2)
        total += step.flatten(2).sum(dim=2)  # not vector_norm(ord=1): measured eight times slower on a CPU
    return total / pairs.clamp_min(1.0)
