"""torchgeo's published Sentinel-2 weights by name, `torchgeo:ResNet18_Weights.SENTINEL2_ALL_MOCO` and so on.

Bands come from torchgeo's own record. Normalization is stated here rather than taken from torchgeo's transforms, which
resize, and which for SeCo put the quantiles in another order than the bands and feed 0 … 255
(https://github.com/torchgeo/torchgeo/issues/1324). Weights trained on level 1C take B10, which level 2A lacks: its
filter is left out, which comes to exactly the same as a channel that is 0 after normalization.
"""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Sequence
from typing import Any

from torch import Tensor

from stac.bands import BANDS, norm_band
from stac.errors import WeightsError

from .checkpoints import backbone, read_pickle
from .download import fetch_weights
from .networks import DIMS
from .normalization import CACO, TRUE_COLOUR, Step
from .weights import WeightsSpec, parameters_sha256

PREFIX = "torchgeo:"
"""Begins the name of each of these encoders."""

_REFLECTANCE = Step("scale", {"factor": (10000.0,)})
_COLOUR_10K = (_REFLECTANCE,)
# Mean and deviation of level 1C by band, B10 left out:
# https://github.com/microsoft/torchgeo/blob/v0.8.1/torchgeo/models/resnet.py (_mean_s2, _std_s2)
_SOFTCON = Step(
    "standardize",
    {
        "mean": (1612.9, 1397.6, 1322.3, 1373.1, 1561.0, 2108.4, 2390.7, 2318.7, 2581.0, 837.7, 2195.2, 1537.4),
        "std": (791.0, 854.3, 878.7, 1144.9, 1127.5, 1164.2, 1276.0, 1249.5, 1345.9, 577.5, 1340.0, 1142.9),
    },
)
# Satlas takes ESA's true-colour image as 0 … 1 and other bands as digital number / 8160, both clipped:
# https://github.com/allenai/satlas/blob/main/Normalization.md. 255 of level 1C's colour image is reflectance 0.3558:
# https://sentiwiki.copernicus.eu/web/s2-products (True Colour Image).
_CLIP = Step("clip", {"low": (0.0,), "high": (1.0,)})
_SATLAS_RGB = (Step("scale", {"factor": (3558.0,)}), _CLIP)
_SATLAS_MS = (Step("scale", {"factor": (3558.0,) * 3 + (8160.0,) * 6}), _CLIP)

NORMALIZATIONS: dict[str, tuple[Step, ...]] = {
    "ResNet18_Weights.SENTINEL2_ALL_MOCO": (_REFLECTANCE,),
    "ResNet18_Weights.SENTINEL2_RGB_MOCO": _COLOUR_10K,
    "ResNet18_Weights.SENTINEL2_RGB_SECO": CACO,
    "ResNet50_Weights.FMOW_RGB_GASSL": TRUE_COLOUR,
    "ResNet50_Weights.SENTINEL2_ALL_CLOSP": (_REFLECTANCE,),
    "ResNet50_Weights.SENTINEL2_ALL_DECUR": (_REFLECTANCE,),
    "ResNet50_Weights.SENTINEL2_ALL_DINO": (_REFLECTANCE,),
    "ResNet50_Weights.SENTINEL2_ALL_GEOCLOSP": (_REFLECTANCE,),
    "ResNet50_Weights.SENTINEL2_ALL_MOCO": (_REFLECTANCE,),
    "ResNet50_Weights.SENTINEL2_ALL_SECO_ECO": (_REFLECTANCE,),
    "ResNet50_Weights.SENTINEL2_ALL_SOFTCON": (_SOFTCON,),
    "ResNet50_Weights.SENTINEL2_MI_MS_SATLAS": _SATLAS_MS,
    "ResNet50_Weights.SENTINEL2_MI_RGB_SATLAS": _SATLAS_RGB,
    "ResNet50_Weights.SENTINEL2_RGB_MOCO": _COLOUR_10K,
    "ResNet50_Weights.SENTINEL2_RGB_SECO": CACO,
    "ResNet50_Weights.SENTINEL2_SI_MS_SATLAS": _SATLAS_MS,
    "ResNet50_Weights.SENTINEL2_SI_RGB_SATLAS": _SATLAS_RGB,
}
"""torchgeo's name → normalization. Left out: Landsat, Sentinel-1, ResNet-152, and weights that take NDVI as a band."""


def _entry(name: str) -> Any:
    """Record of torchgeo for of the weights `ResNet18_Weights.…`."""
    if name not in NORMALIZATIONS:
        raise WeightsError(
            f"torchgeo weights '{name}' are not offered",
            "one of " + ", ".join(NORMALIZATIONS),
            "correct the name, or pass the file itself",
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what torchgeo's dependencies warn of is not the user's to mend
        module = importlib.import_module("torchgeo.models.resnet")
    enum, member = name.split(".")
    try:
        return getattr(module, enum)[member]
    except KeyError as err:
        raise WeightsError(
            f"this torchgeo has no weights {name}", "torchgeo 0.8.1 or newer", "install a newer torchgeo"
        ) from err


def torchgeo_bands(name: str) -> tuple[tuple[str, ...], list[int]]:
    """Bands of torchgeo's weights, as far as level 2A has them.

    Args:
        name: Without the prefix: `ResNet18_Weights.SENTINEL2_ALL_MOCO`.

    Returns:
        Canonical bands in the network's order, and the input channels that they are (B10's is left out).

    Raises:
        WeightsError: The name is not offered.
    """
    stated: Sequence[str] = _entry(name).meta.get("bands") or ("B4", "B3", "B2")  # fMoW's are red, green, blue
    kept = [i for i, band in enumerate(stated) if band.upper() != "B10"]
    bands = tuple(norm_band(stated[i]) for i in kept)
    if any(band not in BANDS for band in bands):
        raise WeightsError(f"bands {' '.join(stated)} of {name}", "Sentinel-2's", "choose other weights")
    return bands, kept


def open_torchgeo(name: str) -> tuple[WeightsSpec, dict[str, Tensor]]:
    """Weights of torchgeo, downloaded once.

    Args:
        name: Without the prefix.

    Raises:
        WeightsError: The name is not offered, or the file cannot be had.
    """
    bands, kept = torchgeo_bands(name)
    entry = _entry(name)
    path = fetch_weights(entry.url)
    _, _, state = backbone(read_pickle(path))
    if "conv1.weight" not in state or state["conv1.weight"].shape[1] < max(kept) + 1:
        raise WeightsError(
            f"{path.name} holds no ResNet for {len(kept)} bands", "the published file", f"delete {path} and try again"
        )
    state["conv1.weight"] = state["conv1.weight"][:, kept].contiguous()
    arch = "resnet18" if name.startswith("ResNet18") else "resnet50"
    spec = WeightsSpec(
        name=PREFIX + name,
        arch=arch,
        bands=bands,
        normalization=NORMALIZATIONS[name],
        chip_size=None,
        dim=DIMS[arch],
        source=entry.url,
        licence="as published (see torchgeo's table of weights)",
        sha256=parameters_sha256(state),
        remarks="trained on level 1C; B10's filter is left out" if len(kept) < max(kept) + 1 else "",
        data=str(entry.meta.get("dataset", "")),
    )
    return spec, state
