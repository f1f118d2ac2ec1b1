"""Weights of many bands for some of them: what training with bands left out makes possible."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from torch import Tensor

from stac.errors import WeightsError

from .normalization import Step
from .spectral import feature_names
from .statistics import PREFIX, statistics_dim
from .weights import WeightsSpec, weights_sha256


def narrow_weights(
    spec: WeightsSpec, state: Mapping[str, Tensor], bands: Sequence[str]
) -> tuple[WeightsSpec, dict[str, Tensor]]:
    """The same network for some of its bands, as if the others were at their mean.

    A band at its mean is 0 after normalisation and adds nothing to the first convolution, whose weights for it are
    simply left out. Statistics are those of the bands that are left; the network's features keep their scale.

    Args:
        spec: Of the weights.
        state: Parameters by timm's names.
        bands: Canonical bands, in the order in which chips will hold them.

    Returns:
        Spec and parameters for those bands.

    Raises:
        WeightsError: The weights were not trained with bands left out, or lack one of these.
    """
    bands = tuple(bands)
    if bands == spec.bands:
        return spec, dict(state)
    lacking = [band for band in bands if band not in spec.bands]
    if lacking or not bands or not (spec.subsets or set(bands) == set(spec.bands)):
        kind = "some of" if spec.subsets else "exactly"
        raise WeightsError(
            f"{spec.name} was made for the bands {' '.join(spec.bands)}, and {' '.join(bands)} were asked for",
            f"{kind} the weights' own bands",
            "leave the bands out, or choose 'spectral' or weights made for them",
        )
    at = [spec.bands.index(band) for band in bands]
    steps = tuple(
        Step(step.kind, {k: tuple(v[i] for i in at) if len(v) > 1 else v for k, v in step.values.items()})
        for step in spec.normalization
    )
    narrowed = {**state, "conv1.weight": state["conv1.weight"][:, at].contiguous()}
    wander = narrowed.get(PREFIX + "wander")
    if wander is not None:
        narrowed[PREFIX + "wander"] = _narrow_wander(wander, spec.bands, bands)
    other = replace(spec, bands=bands, normalization=steps)
    dim = spec.dim - statistics_dim(spec) + statistics_dim(other)
    return replace(other, dim=dim, sha256=weights_sha256(other, narrowed)), narrowed


def _narrow_wander(wander: Tensor, held: Sequence[str], bands: Sequence[str]) -> Tensor:
    """The rows and columns of a covariance (F, F) that belong to the statistics of some bands."""
    place = {name: n for n, name in enumerate(feature_names(held))}
    at = [place[name] for name in feature_names(bands)]
    return wander[at][:, at].contiguous()
