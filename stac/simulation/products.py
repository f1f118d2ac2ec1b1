"""Products of the passes: which tiles came, by which processing baseline, and which of them twice.

The offset of baseline 04.00 is met in every way in which catalogs hold it, and some items deny what was done to their
pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta

import numpy as np

from .areas import Area, Plan
from .passes import ANEW, OFFSET_SINCE, REFINED, Overpass, baseline_of, cut_tile, new_shift, swath
from .shot import Shot

_TILE_LOST = 0.04  # assumed

# What is processed anew mostly had a reason: ESA's quality reports list products with a poor fit to the reference and
# with auxiliary data missing. assumed: misplaced by 13 to 19 m, 2 to 5 % too bright, haze left in.
_POOR_SHIFT, _POOR_GAIN, _POOR_HAZE = (1.3, 1.9), (1.02, 1.05), (0.012, 0.03)

# Items of Earth Search that say `boa_offset_applied: false` of pixels from which the offset was taken, until they are
# processed anew: https://github.com/cirrus-geo/cirrus-earth-search/issues/33, and of 2022 mostly:
# https://github.com/Element84/earth-search/issues/66. assumed: this share of the first deliveries since 04.00.
_MISTAGGED = 0.7


@dataclass(frozen=True)
class Product:
    """One item to write: a tile of a pass, as one processing baseline delivered it."""

    area: Area
    tile: str
    """MGRS name, one of the area's."""
    overpass: Overpass
    """The pass that saw it."""
    shot: Shot
    """What is drawn: the overpass's, or the same with another misregistration."""
    baseline: str
    """Processing baseline, `05.09`."""
    offset_applied: bool
    """What `earthsearch:boa_offset_applied` says."""
    sequence: int = 0
    """0, or 1 for the second delivery of the same tile and pass."""
    gain: float = 1.0
    """Factor on the reflectance: deliveries differ a little in brightness."""
    mistagged: bool = False
    """Whether the item denies an offset's removal that did take place."""

    @property
    def offset(self) -> int:
        """What stands in the pixels besides reflectance × 10,000: 1000 from baseline 04.00 on, unless removed."""
        stands = self.baseline >= "04.00" and not (self.offset_applied or self.mistagged)
        return 1000 if stands else 0

    @property
    def platform(self) -> str:
        """`S2A` or `S2B`."""
        return "S2A" if self.overpass.slot % 2 == 0 else "S2B"

    @property
    def reprocessed(self) -> bool:
        """Whether the baseline is a later one than that of its day."""
        return self.baseline > baseline_of(self.shot.time.date())

    @property
    def item_id(self) -> str:
        """As Earth Search names items."""
        return f"{self.platform}_{self.tile}_{self.shot.time:%Y%m%d}_{self.sequence}_L2A"


def plan_products(
    area: Area, overpasses: Sequence[Overpass], plan: Plan, rng: np.random.Generator
) -> list[list[Product]]:
    """Which tiles each pass delivered, and how: every way in which the offset of baseline 04.00 is met in catalogs.

    Some tiles come twice: as first delivered (sequence 0: placed worse, brighter, hazy, with the offset of its own
    baseline) and as processed anew (sequence 1). Both stay in the catalog, as they do in life. In a campaign all of
    them do, as in ESA's reprocessing to Collection 1 (https://sentiwiki.copernicus.eu/web/s2-processing): there the
    first delivery is as good as the second, but for what its item says of the offset.

    Args:
        area: Where.
        overpasses: As `plan_overpasses` gives them.
        plan: Says how many come twice.
        rng: Where chance comes from.

    Returns:
        The products of each overpass; no pass is without any.
    """
    found: list[list[Product]] = []
    for overpass in overpasses:
        seen = swath(area, overpass)
        tiles = [t for t in area.tiles if seen is None or cut_tile(area, t, seen, 2).mean() > 0.02]
        lost, which = rng.random() < _TILE_LOST, int(rng.integers(0, 2))
        tiles = [tiles[which]] if lost and len(tiles) == 2 else tiles
        shot, baseline, applied = overpass.shot, overpass.baseline, overpass.offset_applied
        found.append([Product(area, tile, overpass, shot, baseline, applied) for tile in tiles])
    again = [(n, k) for n, products in enumerate(found) for k, p in enumerate(products) if p.reprocessed]
    wanted = max(1, round(plan.twins * sum(map(len, found))))
    twins = {again[m] for m in rng.permutation(len(again))[:wanted].tolist()}
    campaign = _plan_campaign(plan, rng)
    older: dict[int, tuple[bool, Shot, float]] = {}  # of a pass: both of its tiles are alike
    for n, products in enumerate(found):
        for k, product in enumerate(list(products)):
            anew = product.shot.time.date() in campaign
            if not anew and (n, k) not in twins:
                continue
            if n not in older:
                older[n] = (bool(rng.random() < 0.5), *_first_look(product.shot, poor=not anew, rng=rng))
            applied, shot, gain = older[n]
            products.append(
                replace(product, baseline=max(product.baseline, ANEW) if anew else product.baseline, sequence=1)
            )
            products[k] = _first_delivery(product, applied, shot, gain, rng)
    return [products for products in found if products]


def _plan_campaign(plan: Plan, rng: np.random.Generator) -> set[date]:
    """Days in a row whose products were all processed anew; none where the plan wants none."""
    if not plan.campaign_days:
        return set()
    latest = (plan.last - OFFSET_SINCE).days + 1 - plan.campaign_days
    first = OFFSET_SINCE + timedelta(days=int(rng.integers(0, max(1, latest // 3))))
    return {first + timedelta(days=n) for n in range(plan.campaign_days)}


def _first_look(shot: Shot, *, poor: bool, rng: np.random.Generator) -> tuple[Shot, float]:
    """What the first delivery of a pass shows, and the factor on its reflectance: poor, or as good as the second."""
    if not poor:
        return replace(shot, shift=new_shift(REFINED, rng)), 1.0
    haze = round(float(rng.uniform(*_POOR_HAZE)), 5)
    return replace(shot, shift=new_shift(_POOR_SHIFT, rng), haze=haze), round(float(rng.uniform(*_POOR_GAIN)), 4)


def _first_delivery(late: Product, applied: bool, shot: Shot, gain: float, rng: np.random.Generator) -> Product:
    """The product as it was on its own day, by the baseline of that day; `applied`: whether the offset was taken."""
    baseline = baseline_of(late.shot.time.date())
    mistagged = baseline >= "04.00" and bool(rng.random() < _MISTAGGED)
    applied = applied and baseline >= "04.00" and not mistagged
    return replace(
        late, sequence=0, baseline=baseline, offset_applied=applied, mistagged=mistagged, shot=shot, gain=gain
    )
