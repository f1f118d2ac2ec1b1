"""Whether a network tells change from season: all dates of series that it was not trained on, against known truth.

    measure_change(trainer.model.key, held, views, torch.arange(300))

Each date of a location is encoded once, without augmentation, and all pairs of dates are compared by cosine. Changes:
how well a location's change ratio, or its long distance alone, tells the locations that changed from the others.
Similarities: what season does to a code (same half, other date), what years do (other half), what a change does (other
half, changed), and what another location is. Everything is computed in float32, whatever the run's precision.

Source of the ratio: CACo (Mall et al., CVPR 2023), section 3.4. There a row's ratio rests on one pair of dates at a
time, smoothed over epochs, and on crops; here on the means over all pairs, of whole chips: it is less noisy than what
training goes by (`memory.ChangeMemory.against` measures that).
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm

from stac.errors import DataError

from ..stream_country import KINDS
from .auroc import auroc, average_precision
from .curves import ratio_histogram
from .looks import CHANGED
from .memory import EPSILON
from .methods import SEASON
from .series import Series
from .views import ViewDraw, Views

NORMS = ("running", "batch")
"""How batch norm is run: `running`, by its running statistics, as weights are used; `batch`, by each batch's own, as
CACo's code estimates change (moco2_module.py). Running statistics are of little use in a run's first steps."""

GROUPS = ("season", "years", "event", "others")
"""Pairs of images: same location and half, other date; across the halves of a location that has not changed; across
those of one that has; two locations."""

SEPARATIONS = (("season", "event"), ("years", "event"), ("season", "years"), ("season", "others"))
"""Groups that are told apart: the first is the more alike one, if all is well (0.5: no difference)."""

COSINES: NDArray[np.float64] = np.linspace(-1.0, 1.0, 201)
"""Edges of the similarity histograms' bins, 0.01 apart."""

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)

LEAST = 5
"""assumed: changed locations of a class from which it gets a figure of its own."""

Record = dict[str, Any]


@dataclass(frozen=True, eq=False)
class Cosines:
    """Cosines between the codes of L locations with K dates in each half, float64 on the CPU."""

    season: Tensor
    """(L, K (K - 1)): all pairs of dates within the older half, then within the recent one."""
    years: Tensor
    """(L, K²): all pairs of an older and a recent date."""
    others: Tensor
    """(L, 2 K): each image and that of the location before it, same place in the same half."""

    def distances(self) -> tuple[Tensor, Tensor, Tensor]:
        """Mean distance over years and within a half of each location, and their ratio, (L,) each."""
        long, short = ((2.0 - 2.0 * part).clamp_min(0.0).sqrt().mean(dim=1) for part in (self.years, self.season))
        return long, short, long / (short + EPSILON)


def measure_change(
    branch: nn.Module,
    series: Series,
    views: Views,
    locations: Tensor,
    *,
    norm: str = "running",
    rows: int = 128,
    histograms: bool = True,
) -> Record:
    """How well a network tells changes from seasons. Nothing of the network is changed.

    Args:
        branch: Gives embeddings (b, D) and projections (S, b, E) of views: `Model.key`, by which change is estimated;
            `Model.query` in methods without a key network, or to see what is saved as weights.
        series: With truth, not trained on.
        views: For these series, of the run's kind and normalization.
        locations: int64 (L,) on the CPU, which locations of the series.
        norm: One of `NORMS`.
        rows: Images that the network takes at a time, half of each half: `batch` norm rests on them.
        histograms: Whether the record has them.

    Returns:
        `norm`, `locations`, `changed` (how many), `dates` (of a half), and for `projection` (subspace 1, invariant to
        season and not augmented; of methods with one projection that one) and `features` (the backbone's) what
        `rate_changes` and `rate_similarities` tell. Plain numbers, for JSON.

    Raises:
        DataError: The series have no truth, a location lacks two dates in a half, or a code is no number.
    """
    if series.changed is None:
        raise DataError("series without truth", "simulated ones, whose changes are known", "measure on simulated data")
    changed = series.changed[locations] > CHANGED
    kind = torch.full_like(locations, -1) if series.kind is None else series.kind[locations]
    features, projections = encode_dates(branch, series, views, locations, norm=norm, rows=rows)
    found: Record = {
        "norm": norm,
        "locations": len(locations),
        "changed": int(changed.sum()),
        "dates": features.shape[2],
    }
    for name, codes in (("projection", projections), ("features", features)):
        cosines = compare_dates(codes)
        found[name] = rate_changes(cosines, changed, kind, histograms=histograms)
        found[name] |= rate_similarities(cosines, changed, histograms=histograms)
    return found


@torch.no_grad()
def encode_dates(
    branch: nn.Module, series: Series, views: Views, locations: Tensor, *, norm: str = "running", rows: int = 128
) -> tuple[Tensor, Tensor]:
    """Features (L, 2, K, D) and projections (L, 2, K, E) of all dates, not scaled, float32 on the CPU.

    K is the count of dates that every half has; of more the first ones are taken. A batch holds one date of each half
    of its locations, as in training.

    Args:
        branch: See `measure_change`; a copy of it is run.
        series: Anything with halves.
        views: For these series.
        locations: int64 (L,) on the CPU.
        norm: One of `NORMS`.
        rows: Images at a time.

    Raises:
        DataError: The norm is unknown, a location lacks two dates in a half, or a code is no number.
    """
    network = _copy_with(branch, norm)
    where = _date_places(series.half[locations])
    parts: list[tuple[Tensor, Tensor]] = []
    for some in torch.arange(len(locations)).chunk(math.ceil(2 * len(locations) / rows)):
        dates = [_encode(network, series, views, locations[some], at) for at in where[some].unbind(dim=2)]
        features, projections = (torch.stack(part, dim=2) for part in zip(*dates, strict=True))
        parts.append((features, projections))
    features, projections = torch.cat([f for f, _ in parts]), torch.cat([p for _, p in parts])
    if not bool(features.isfinite().all() and projections.isfinite().all()):
        raise DataError("codes that are no numbers", "finite ones", "train anew with another --lr or --precision")
    return features, projections


def _copy_with(branch: nn.Module, norm: str) -> nn.Module:
    """A copy of a network whose batch norm runs as told, and keeps no statistics."""
    if norm not in NORMS:
        raise DataError(f"batch norm '{norm}'", " or ".join(NORMS), "choose one of them")
    network = copy.deepcopy(branch).train(norm == "batch")
    if norm == "batch":
        for module in network.modules():
            if isinstance(module, _BatchNorm):
                module.track_running_stats = False
    return network


def _date_places(half: Tensor) -> Tensor:
    """Places (L, 2, K) of each half's dates, of `Series.half` (L, T)."""
    own = torch.stack([half == 0, half == 1], dim=1)
    least = int(own.sum(dim=2).min()) if len(own) else 0
    if least < 2:
        found = f"locations with {least} dates in a half" if len(own) else "no locations"
        raise DataError(found, "two dates or more in each half", "leave these locations out")
    return own.to(torch.int8).argsort(dim=2, descending=True, stable=True)[:, :, :least]


def _encode(network: nn.Module, series: Series, views: Views, location: Tensor, date: Tensor) -> tuple[Tensor, Tensor]:
    """Features (l, 2, D) and projections (l, 2, E) of one date (l, 2) of each half."""
    raw = series.take(location, date).flatten(0, 1)
    features, projections = network(views(raw, whole_chips(views, len(raw)), augment=False))
    own = projections[SEASON if len(projections) > 1 else 0]
    return features.float().unflatten(0, (-1, 2)).cpu(), own.float().unflatten(0, (-1, 2)).cpu()


def whole_chips(views: Views, rows: int) -> ViewDraw:
    """A draw that leaves nothing to chance: the whole chip, or its middle at full resolution where it is larger."""
    names = views.draw(1, torch.Generator().manual_seed(0)).names
    values = torch.zeros(rows, len(names))
    shape = views.config.crop
    box = min(shape.side, shape.crop)
    start = (shape.side - box) // 2
    for name, value in (("top", start), ("left", start), ("height", box), ("width", box)):
        values[:, names.index(name)] = value
    return ViewDraw(names, values)


def compare_dates(codes: Tensor) -> Cosines:
    """Cosines between the dates of each location, and to the location before it, of codes (L, 2, K, D)."""
    unit = functional.normalize(codes.double(), dim=3)
    count = codes.shape[2]
    own = unit.flatten(1, 2)
    gram = own @ own.mT  # (L, 2K, 2K)
    i, j = torch.triu_indices(count, count, 1)
    season = torch.cat([gram[:, i, j], gram[:, count + i, count + j]], dim=1)
    others = (unit * unit.roll(1, 0)).sum(dim=3).flatten(1)
    return Cosines(season, gram[:, :count, count:].flatten(1), others)


def rate_changes(cosines: Cosines, changed: Tensor, kind: Tensor, *, histograms: bool = True) -> Record:
    """How well distances tell the changed locations from the others.

    Args:
        cosines: Of L locations.
        changed: bool (L,), truth.
        kind: int64 (L,), class of the change as a place in `KINDS`, -1 for none.
        histograms: Whether the record has those of the ratio.

    Returns:
        `ratio_auroc`, `ratio_ap`, `long_auroc`, `short_auroc` (of the distance within a half, which should know
        nothing); `by_kind`: the same AUROCs of each class with `LEAST` changed locations against all unchanged ones;
        `ratios`: quantiles of the unchanged and changed; `ratio_histogram`: their counts by `curves.EDGES`. None where
        a figure is not defined.
    """
    long, short, ratio = cosines.distances()
    found: Record = {
        "ratio_auroc": auroc(ratio, changed),
        "ratio_ap": average_precision(ratio, changed),
        "long_auroc": auroc(long, changed),
        "short_auroc": auroc(short, changed),
        "by_kind": {},
    }
    for number, name in enumerate(KINDS):
        own = changed & (kind == number)
        if int(own.sum()) >= LEAST:
            some = own | ~changed
            rated = {"ratio_auroc": auroc(ratio[some], own[some]), "long_auroc": auroc(long[some], own[some])}
            found["by_kind"][name] = {"changed": int(own.sum()), **rated}
    groups = {"unchanged": ratio[~changed].numpy(), "changed": ratio[changed].numpy()}
    found["ratios"] = {name: _quantiles(values) for name, values in groups.items()}
    if histograms:
        found["ratio_histogram"] = {name: ratio_histogram(values).tolist() for name, values in groups.items()}
    return found


def rate_similarities(cosines: Cosines, changed: Tensor, *, histograms: bool = True) -> Record:
    """How alike images are of another season, other years, before and after a change, and of other locations.

    Args:
        cosines: Of L locations.
        changed: bool (L,), truth.
        histograms: Whether the record has them.

    Returns:
        `similarity`: for each of `GROUPS` `pairs` (how many), `quantiles` (`QUANTILES`) of the cosines and their
        `histogram` by `COSINES`; `separation`: for each of `SEPARATIONS` the AUROC with which unlikeness tells the
        second group's pairs from the first one's.
    """
    groups = {
        "season": cosines.season,
        "years": cosines.years[~changed],
        "event": cosines.years[changed],
        "others": cosines.others,
    }
    values = {name: part.flatten().numpy() for name, part in groups.items()}
    found: Record = {"similarity": {}, "separation": {}}
    for name in GROUPS:
        found["similarity"][name] = {"pairs": values[name].size, "quantiles": _quantiles(values[name])}
        if histograms:
            counts, _ = np.histogram(np.clip(values[name], -1.0, 1.0), COSINES)
            found["similarity"][name]["histogram"] = counts.tolist()
    for alike, other in SEPARATIONS:
        unlike = -np.concatenate([values[alike], values[other]])
        truth = np.repeat([False, True], [values[alike].size, values[other].size])
        found["separation"][f"{alike}-{other}"] = auroc(unlike, truth)
    return found


def _quantiles(values: NDArray[np.float64]) -> list[float] | None:
    """`QUANTILES` of some numbers; None of none."""
    return [float(value) for value in np.quantile(values, QUANTILES)] if values.size else None
