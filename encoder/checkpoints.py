"""Checkpoints that others published (CACo, SeCo, GSSL, MoCo, torchvision, timm), recognised from their keys.

Published layouts (S is a position in `Sequential(conv1, bn1, relu, maxpool, layer1 … layer4)`):

    CACo `.pth`               `S.…`                        https://github.com/utkarshmall13/CACo
    CACo, SeCo `.ckpt`        `encoder_q.S.…`, heads, queue https://github.com/ServiceNow/seasonal-contrast
    GSSL, MoCo `.pth.tar`     `module.encoder_q.NAME`       https://github.com/sustainlab-group/geography-aware-ssl,
                                                            https://github.com/facebookresearch/moco
    torchvision, timm, others `NAME`, classifier `fc`

Security: a `.pth` or `.ckpt` is a pickle, and unpickling can run any code. Here the unpickler knows the few names of
which tensors and plain containers are made (Python's documentation, pickle, "Restricting Globals"); every other class
or function that a file names, as Lightning's checkpoints do, is replaced by an inert stand-in that runs nothing.
"""

from __future__ import annotations

import codecs
import pickle
import tarfile
import warnings
import zipfile
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Self

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


class _Inert(dict[Any, Any]):
    """Stands for any class or function of a pickle that is not known to be harmless, and for what it would have made.

    It takes whatever an unpickler may do to an object and does nothing, save to keep items, as a dictionary's own.
    """

    def __new__(cls, *_args: Any, **_named: Any) -> Self:
        return super().__new__(cls)

    def __init__(self, *_args: Any, **_named: Any) -> None:
        super().__init__()

    def __call__(self, *_args: Any, **_named: Any) -> _Inert:
        return _Inert()

    def __setstate__(self, _state: Any) -> None:
        pass

    def append(self, _item: Any) -> None:
        """Drop an item, where the object would have been a list."""

    extend = add = append

    def __hash__(self) -> int:  # type: ignore[override]
        return id(self)


class _Unpickler(pickle.Unpickler):
    """Builds tensors and plain containers, and stand-ins for everything else."""

    def find_class(self, module: str, name: str) -> Any:
        """The object of that name when it is harmless, else a stand-in."""
        if module == "torch" and isinstance(getattr(torch, name, None), torch.dtype | torch.layout):
            return getattr(torch, name)
        return _HARMLESS.get((module, name), _Inert)


_HARMLESS: Mapping[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch._utils", "_rebuild_tensor"): torch._utils._rebuild_tensor,
    ("torch._utils", "_rebuild_tensor_v2"): torch._utils._rebuild_tensor_v2,
    ("torch._utils", "_rebuild_parameter"): torch._utils._rebuild_parameter,
    ("torch", "Size"): torch.Size,
    ("torch", "device"): torch.device,
    ("torch.storage", "UntypedStorage"): torch.UntypedStorage,
    ("_codecs", "encode"): codecs.encode,
}


def _load(file: Any, **options: Any) -> Any:
    """`pickle.load` by the unpickler above."""
    return _Unpickler(file, **options).load()


_PICKLE = SimpleNamespace(Unpickler=_Unpickler, load=_load, __name__=__name__)
"""What torch.load takes for a pickle module."""


def read_pickle(path: Path) -> Any:
    """What a torch file holds, without running any of it.

    Raises:
        WeightsError: It is no torch file, or is damaged.
        OSError: The file cannot be opened.
    """
    try:
        _refuse_other_archives(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of classes whose source is not here
            return torch.load(path, map_location="cpu", weights_only=False, pickle_module=_PICKLE)
    except OSError:
        raise
    except Exception as err:  # a broken pickle can raise anything
        reason = str(err).strip().splitlines()[0] if str(err).strip() else type(err).__name__
        raise WeightsError(
            f"{path.name} cannot be read as weights ({reason[:160]})", "a whole torch file of tensors", _DO
        ) from err


def _refuse_other_archives(path: Path) -> None:
    """Refuse what torch.load would read by other means than the unpickler: programs (TorchScript) and tar archives."""
    kind = "tar archive" if tarfile.is_tarfile(path) else ""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            if any(name.endswith("constants.pkl") for name in archive.namelist()):
                kind = "TorchScript program"
    if kind:
        raise ValueError(f"it is a {kind}")


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
