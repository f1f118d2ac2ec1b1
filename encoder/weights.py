"""Weights: what travels with a network's parameters, and how both are kept on disk.

A saved network is two files: `NAME.safetensors` (parameters) and `NAME.json` beside it, whose fields follow the STAC
Machine Learning Model extension where it has one (https://github.com/stac-extensions/mlm) and are prefixed
`afterimage:` where it has none. Nothing is unpickled. `open_weights` refuses files that do not belong together.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from stac.bands import BANDS
from stac.errors import WeightsError

from .normalization import Step, step_faults

_SCHEMA = "https://stac-extensions.github.io/mlm/v1.5.0/schema.json"
_KIND = "afterimage"


@dataclass(frozen=True)
class WeightsSpec:
    """What a network needs to be fed and what it gives: the record beside its parameters."""

    name: str
    """Name by which it is opened, or the file's stem."""
    arch: str
    """`resnet18`, `resnet50`, `spectral` or `pixels`."""
    bands: tuple[str, ...]
    """Canonical bands, in the order of the input's axis C."""
    normalization: tuple[Step, ...]
    """Steps from harmonised reflectance × 10,000 to the network's input, in order."""
    chip_size: int | None
    """Side in pixels of the images that it was trained on; None where any will do."""
    dim: int
    """Length D of an embedding."""
    source: str
    """Where the parameters come from."""
    licence: str
    """SPDX name, or a word on it."""
    sha256: str
    """Of the parameters (see `parameters_sha256`)."""
    remarks: str = ""
    """What a user must know: assumptions, bands that were left out."""
    data: str = ""
    """What it was trained on."""
    commit: str = ""
    """Commit of the code that trained it."""
    subsets: bool = False
    """Whether it was trained with bands left out at random, so that `encoder.narrow` can leave some out."""
    network_factor: float = 1.0
    """By which the network's part of an embedding is multiplied (see `encoder/statistics.py`)."""
    statistics_factor: float = 0.0
    """The same of the spectral statistics that stand behind it; 0: there are none."""


def computed_spec(name: str, bands: tuple[str, ...], dim: int, made_of: str, sha256: str) -> WeightsSpec:
    """The record of an encoder that computes and has learned nothing.

    Args:
        name: Of the encoder and of its `arch`.
        bands: Canonical bands, in the order of the input's axis C.
        dim: Length D of an embedding.
        made_of: What an embedding holds, in words.
        sha256: Of its recipe.
    """
    scale = (Step("scale", {"factor": (10000.0,)}),)
    source = f"computed: {made_of}, nothing learned"
    return WeightsSpec(name, name, bands, scale, None, dim, source, "Apache-2.0", sha256)


def parameters_sha256(state: Mapping[str, Tensor]) -> str:
    """SHA-256 over names, types, shapes and bytes of parameters, in the order of their names."""
    digest = hashlib.sha256()
    for name in sorted(state):
        tensor = state[name].detach().cpu().contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def weights_sha256(spec: WeightsSpec, state: Mapping[str, Tensor]) -> str:
    """`parameters_sha256`, over the factors of an embedding's parts too where they are not 1 and 0."""
    factors = (spec.network_factor, spec.statistics_factor)
    extra = {} if factors == (1.0, 0.0) else {"afterimage.factors": torch.tensor(factors, dtype=torch.float64)}
    return parameters_sha256({**state, **extra})


def spec_to_json(spec: WeightsSpec) -> dict[str, Any]:
    """A spec as the JSON object that is kept beside the parameters."""
    side = -1 if spec.chip_size is None else spec.chip_size
    steps = [{"kind": step.kind, **{k: list(v) for k, v in step.values.items()}} for step in spec.normalization]
    parts = {"network": spec.network_factor, "statistics": spec.statistics_factor}
    return {
        "stac_extensions": [_SCHEMA],
        "mlm:name": spec.name,
        "mlm:architecture": spec.arch,
        "mlm:tasks": ["similarity-search"],
        "mlm:framework": "pytorch",
        "mlm:pretrained": not spec.source.startswith("random"),
        "mlm:pretrained_source": spec.source,
        "mlm:input": [
            {
                "name": "harmonised reflectance × 10000, uint16",
                "bands": list(spec.bands),
                "input": {
                    "shape": [-1, len(spec.bands), side, side],
                    "dim_order": ["batch", "bands", "height", "width"],
                    "data_type": "float32",
                },
                "value_scaling": [{"type": "processing", "format": _KIND, "expression": steps}],
            }
        ],
        "mlm:output": [
            {
                "name": "embedding",
                "tasks": ["similarity-search"],
                "result": {"shape": [-1, spec.dim], "dim_order": ["batch", "embedding"], "data_type": "float32"},
            }
        ],
        "license": spec.licence,
        "afterimage:parameters_sha256": spec.sha256,
        "afterimage:remarks": spec.remarks,
        "afterimage:data": spec.data,
        "afterimage:commit": spec.commit,
        "afterimage:subsets": spec.subsets,
        **({"afterimage:parts": parts} if parts != {"network": 1.0, "statistics": 0.0} else {}),
    }


def spec_from_json(record: Mapping[str, Any]) -> WeightsSpec:
    """The spec that `spec_to_json` wrote.

    Raises:
        WeightsError: A field is missing or of another kind.
    """
    try:
        taken = record["mlm:input"][0]
        scaling = taken["value_scaling"][0]
        if scaling["format"] != _KIND:
            raise KeyError(f"value_scaling of format {_KIND}")
        steps = tuple(
            Step(str(s["kind"]), {k: tuple(float(x) for x in v) for k, v in s.items() if k != "kind"})
            for s in scaling["expression"]
        )
        side = int(taken["input"]["shape"][-1])
        return WeightsSpec(
            name=str(record["mlm:name"]),
            arch=str(record["mlm:architecture"]),
            bands=tuple(str(b) for b in taken["bands"]),
            normalization=steps,
            chip_size=None if side < 0 else side,
            dim=int(record["mlm:output"][0]["result"]["shape"][-1]),
            source=str(record["mlm:pretrained_source"]),
            licence=str(record["license"]),
            sha256=str(record["afterimage:parameters_sha256"]),
            remarks=str(record.get("afterimage:remarks", "")),
            data=str(record.get("afterimage:data", "")),
            commit=str(record.get("afterimage:commit", "")),
            subsets=bool(record.get("afterimage:subsets", False)),
            network_factor=float(record.get("afterimage:parts", {}).get("network", 1.0)),
            statistics_factor=float(record.get("afterimage:parts", {}).get("statistics", 0.0)),
        )
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as err:
        raise WeightsError(
            f"weights JSON without a usable {err}", "the JSON that save_weights writes", "save the weights again"
        ) from err


def spec_faults(spec: WeightsSpec) -> list[str]:
    """Every fault of a spec on its own, one sentence each; empty when there is none."""
    faults = [f"band '{band}' is unknown" for band in spec.bands if band not in BANDS]
    if not spec.bands or len(set(spec.bands)) != len(spec.bands):
        faults.append("there is no band, or one stands twice")
    if spec.dim < 1:
        faults.append(f"the embedding has length {spec.dim}")
    return faults + [fault for step in spec.normalization for fault in step_faults(step, spec.bands)]


def save_weights(path: Path, spec: WeightsSpec, state: Mapping[str, Tensor]) -> Path:
    """Write `path` (.safetensors) and the JSON beside it, each under a temporary name first.

    Args:
        path: Ends in `.safetensors`.
        spec: The record; its sha256 is set from the parameters.
        state: Parameters by timm's names, and the tensors that `encoder/statistics.py` names.

    Returns:
        `path`.

    Raises:
        WeightsError: The path ends otherwise, or the spec or the parts of the embedding are faulty.
    """
    from .statistics import part_faults  # late: it needs this module

    faults = spec_faults(spec) + part_faults(spec, state)
    if path.suffix != ".safetensors" or faults:
        found = "; ".join(faults) or f"the path {path.name}"
        raise WeightsError(found, "a sound spec and a path that ends in .safetensors", "correct it and save again")
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}
    record = spec_to_json(spec) | {"afterimage:parameters_sha256": weights_sha256(spec, tensors)}
    path.parent.mkdir(parents=True, exist_ok=True)
    part, part_json = path.with_suffix(".safetensors.part"), path.with_suffix(".json.part")
    save_file(tensors, part, metadata={"format": "pt"})
    part_json.write_text(json.dumps(record, indent=2, ensure_ascii=False), encoding="utf-8")
    part.replace(path)
    part_json.replace(path.with_suffix(".json"))
    return path


def _read(path: Path) -> tuple[WeightsSpec, dict[str, Tensor]]:
    """Both files, not yet compared with each other."""
    tensors, record = path.with_suffix(".safetensors"), path.with_suffix(".json")
    for file in (tensors, record):
        if not file.is_file():
            raise WeightsError(
                f"no file {file}", "parameters (.safetensors) and their JSON beside them", "put both in one folder"
            )
    try:
        spec = spec_from_json(json.loads(record.read_text(encoding="utf-8")))
        return spec, load_file(tensors)
    except (SafetensorError, json.JSONDecodeError, UnicodeDecodeError) as err:
        raise WeightsError(
            f"{path.name} cannot be read: {err}", "a whole safetensors file and its JSON", "fetch or save it again"
        ) from err


def _faults(spec: WeightsSpec, state: Mapping[str, Tensor]) -> list[str]:
    """Every fault of a spec and its parameters together."""
    from .statistics import part_faults  # late: it needs this module

    faults = spec_faults(spec) + part_faults(spec, state)
    found = weights_sha256(spec, state)
    if found != spec.sha256:
        faults.append(f"the parameters have SHA-256 {found[:12]}…, the JSON says {spec.sha256[:12]}…")
    first = state.get("conv1.weight")
    if first is not None and first.shape[1] != len(spec.bands):
        faults.append(f"the network takes {first.shape[1]} bands, the JSON names {len(spec.bands)}")
    return faults


def check_weights(path: Path) -> list[str]:
    """Every fault of saved weights, one sentence each; empty when there is none."""
    try:
        return _faults(*_read(path))
    except WeightsError as err:
        return [str(err)]


def open_weights(path: Path) -> tuple[WeightsSpec, dict[str, Tensor]]:
    """The spec and parameters that `save_weights` wrote, checked against each other.

    Args:
        path: The `.safetensors` or the `.json` file.

    Raises:
        WeightsError: A file is missing or damaged, or the two disagree.
    """
    spec, state = _read(path)
    faults = _faults(spec, state)
    if faults:
        raise WeightsError(
            f"{path.name}: " + "; ".join(faults),
            "parameters and JSON that belong together",
            "fetch or save both files again",
        )
    return spec, state
