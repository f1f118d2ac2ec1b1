"""Checkpoints that others published (CACo, SeCo, GSSL, MoCo, torchvision, timm), recognised from their keys.

Published layouts (S is a position in `Sequential(conv1, bn1, relu, maxpool, layer1 … layer4)`):

    CACo `.pth`               `S.…`                        https://github.com/utkarshmall13/CACo
    CACo, SeCo `.ckpt`        `encoder_q.S.…`, heads, queue https://github.com/ServiceNow/seasonal-contrast
    GSSL, MoCo `.pth.tar`     `module.encoder_q.NAME`       https://github.com/sustainlab-group/geography-aware-ssl,
                                                            https://github.com/facebookresearch/moco
    torchvision, timm, others `NAME`, classifier `fc`

Security: a `.pth` or `.ckpt` is a pickle, and unpickling can run any code. Files are read with `weights_only=True`,
which rebuilds tensors and plain containers only. Lightning checkpoints hold objects of classes that are not installed
here; each such class or function is replaced by an inert stand-in that runs nothing, so the tensors can still be read.
"""

from __future__ import annotations

import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from stac.bands import RGB
from stac.errors import WeightsError

from .networks import DIMS, infer_arch
from .normalization import CACO, TRUE_COLOUR, Step, default_steps
from .weights import WeightsSpec, parameters_sha256

SUFFIXES = (".pth", ".ckpt", ".pt", ".tar", ".bin")
"""Files that are read here; `.safetensors` belong to `open_weights`."""

_POSITIONS = {"0": "conv1", "1": "bn1", "4": "layer1", "5": "layer2", "6": "layer3", "7": "layer4"}
_PREFIXES = ("module.encoder_q.", "encoder_q.", "module.backbone.", "backbone.", "module.", "model.", "encoder.", "")
_DO = "pass the original file as it was published, or save the network by encoder.weights.save_weights"


class _Record:
    """Stands for any instance of an unknown class; a plain ordered dictionary takes its place."""

    def __new__(cls, *_args: Any, **_named: Any) -> OrderedDict[Any, Any]:  # type: ignore[misc]
        return OrderedDict()


class _Blank:
    """Stands for NumPy scalars and their types, whose state is no dictionary."""

    def __init__(self, *_args: Any, **_named: Any) -> None:
        pass

    def __setstate__(self, _state: Any) -> None:
        pass


def _stand_ins(path: Path) -> list[Any]:
    """An inert stand-in for each class or function that the pickle names and that is not known to be harmless."""
    if not zipfile.is_zipfile(path):
        return []  # files of before torch 1.6: read with the plain list of harmless classes
    names = torch.serialization.get_unsafe_globals_in_checkpoint(path)
    return [(_Blank if name.startswith("numpy.") else _Record, name) for name in names]


def read_pickle(path: Path) -> Any:
    """What a torch file holds, without running any of it.

    Raises:
        WeightsError: It is no torch file, is damaged, or cannot be read without running code.
    """
    try:
        with torch.serialization.safe_globals(_stand_ins(path)):
            return torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, ValueError, EOFError, TypeError, KeyError, AttributeError) as err:
        reason = str(err).strip().splitlines()[0] if str(err).strip() else type(err).__name__
        raise WeightsError(
            f"{path.name} cannot be read as weights ({reason[:160]})",
            "a torch file of tensors that can be read without running code",
            _DO,
        ) from err


def _tensors(content: Any) -> dict[str, Tensor]:
    """The flat name → tensor part of what a file holds."""
    if isinstance(content, Mapping):
        for key in ("state_dict", "model_state_dict", "model"):
            if isinstance(content.get(key), Mapping):
                return _tensors(content[key])
        return {str(k): v for k, v in content.items() if isinstance(v, Tensor)}
    return {}


def backbone(tensors: Mapping[str, Tensor]) -> tuple[str, bool, dict[str, Tensor]]:
    """Find the backbone among named tensors and give it timm's names.

    Args:
        tensors: All tensors of a checkpoint.

    Returns:
        The prefix under which it stood, whether its keys were positions, and its parameters; empty when there is none.
    """
    for prefix in _PREFIXES:
        own = {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
        positional = "0.weight" in own and any(k.startswith("4.0.") for k in own)
        if positional:
            split = [(k.split(".", 1), v) for k, v in own.items()]
            own = {f"{_POSITIONS[k[0]]}.{k[1]}": v for k, v in split if k[0] in _POSITIONS}
        if "conv1.weight" in own:
            kept = ("conv1.", "bn1.", "layer1.", "layer2.", "layer3.", "layer4.")
            return prefix, positional, {k: v.clone() for k, v in own.items() if k.startswith(kept)}
    return "", False, {}


def _family(name: str, content: Any, prefix: str, positional: bool, chans: int) -> tuple[str, str, tuple[Step, ...]]:
    """Source, licence and normalization of a checkpoint, from what tells them apart; no steps when nothing does."""
    if positional:
        who = "CACo" if "caco" in name.lower() else "SeCo or CACo"
        licence = "CACo: code MIT, weights CC-BY-NC-4.0 by its page; SeCo: as published"
        return f"{who} checkpoint {name}", licence, CACO
    if prefix == "module.encoder_q.":
        geo = isinstance(content, Mapping) and "geo_dict" in content
        return f"{'GSSL' if geo else 'MoCo or GSSL'} checkpoint {name}", "as published", TRUE_COLOUR
    steps = TRUE_COLOUR if chans == len(RGB) else ()
    return f"state dict {name}", "as published", steps


def open_checkpoint(path: Path, bands: tuple[str, ...] | None = None) -> tuple[WeightsSpec, dict[str, Tensor]]:
    """The backbone of a published checkpoint and the record that belongs to it.

    Args:
        path: `.pth`, `.ckpt`, `.pth.tar`, `.pt` or `.bin`.
        bands: Needed when the network has not three input channels, for then nothing in the file names them.

    Returns:
        The spec and the parameters by timm's names, classifier and heads left out.

    Raises:
        WeightsError: The file is missing, damaged, no ResNet-18 or -50, or its bands are not known.
    """
    if not path.is_file():
        raise WeightsError(f"no file {path}", "a checkpoint", "check the path")
    content = read_pickle(path)
    prefix, positional, state = backbone(_tensors(content))
    arch = infer_arch(state)
    if arch is None:
        raise WeightsError(
            f"{path.name} holds no ResNet-18 or ResNet-50 backbone",
            "the layouts of CACo, SeCo, GSSL, MoCo or timm",
            _DO,
        )
    chans = int(state["conv1.weight"].shape[1])
    source, licence, steps = _family(path.name, content, prefix, positional, chans)
    if bands is None or (steps and chans == len(RGB)):
        if chans != len(RGB):
            raise WeightsError(
                f"{path.name} takes {chans} bands and does not say which", "their names", "give them with --bands"
            )
        bands = RGB
    if len(bands) != chans:
        raise WeightsError(f"{len(bands)} bands for {path.name}", f"{chans}", "name as many as the network takes")
    spec = WeightsSpec(
        name=path.name.split(".")[0],
        arch=arch,
        bands=bands,
        normalization=steps or default_steps(bands),
        chip_size=None,
        dim=DIMS[arch],
        source=source,
        licence=licence,
        sha256=parameters_sha256(state),
    )
    if spec.normalization == TRUE_COLOUR:
        spec = replace(spec, remarks="assumed: reflectance 0 … 0.3 rendered as an 8-bit colour image")
    elif not steps:
        spec = replace(spec, remarks="assumed: per-band mean and deviation of SSL4EO-S12 level 2A")
    return spec, state
