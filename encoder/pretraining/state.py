"""Checkpoints of a run: everything that goes on, in one file that is whole or absent, without pickle.

`state.safetensors` holds networks, queues, momentum, change memory and labels; its header the step and the config.
Random state is not kept: all chance derives from seed, epoch and step (`batches.Plan`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from stac.errors import DataError

from .config import PretrainConfig, config_changes, config_from_json, config_to_json

STATE = "state.safetensors"
"""Name of the file within a run's folder."""

_VERSION = "1"
_DO = "take an earlier copy of the folder, or train anew in another one"


@dataclass(frozen=True, eq=False)
class Saved:
    """An opened checkpoint."""

    step: int
    """Steps done."""
    config: PretrainConfig
    tensors: Mapping[str, Tensor]
    """On the CPU, by `part/name`."""
    notes: Mapping[str, str]
    """What else was said, such as the data's name."""

    def part(self, name: str) -> dict[str, Tensor]:
        """Tensors of one part, by their own names.

        Raises:
            DataError: There are none.
        """
        prefix = f"{name}/"
        found = {k.removeprefix(prefix): v for k, v in self.tensors.items() if k.startswith(prefix)}
        if not found:
            raise DataError(f"a checkpoint without the part '{name}'", "one of the same method", _DO)
        return found


def save_state(
    folder: Path, step: int, config: PretrainConfig, parts: Mapping[str, Mapping[str, Tensor]], notes: Mapping[str, str]
) -> None:
    """Write a checkpoint under a temporary name, then put it in the last one's place."""
    tensors = {
        f"{part}/{name}": value.detach().cpu().contiguous().clone()
        for part, values in parts.items()
        for name, value in values.items()
    }
    head = {
        "version": _VERSION,
        "step": str(step),
        "config": json.dumps(config_to_json(config)),
        "notes": json.dumps(notes),
    }
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f"{STATE}.part"
    save_file(tensors, part, metadata=head)
    part.replace(folder / STATE)


def open_state(folder: Path) -> Saved:
    """Open a run's checkpoint.

    Raises:
        DataError: There is none, or it is damaged or of another version.
    """
    path = folder / STATE
    if not path.is_file():
        raise DataError(f"no {STATE} in {folder}", "a run that was begun there", "begin one, or correct its folder")
    try:
        with safe_open(path, "pt") as file:
            head = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no dictionary
        if head.get("version") != _VERSION:
            raise DataError(f"{path} of version {head.get('version')}", f"version {_VERSION}", _DO)
        config = config_from_json(json.loads(head["config"]))
        return Saved(int(head["step"]), config, tensors, json.loads(head["notes"]))
    except (SafetensorError, KeyError, ValueError) as err:
        raise DataError(f"{path} cannot be read ({err})", "a whole checkpoint", _DO) from err


def check_same(saved: Saved, config: PretrainConfig, notes: Mapping[str, str]) -> None:
    """Refuse to go on with another config or other data.

    Raises:
        DataError: Something differs; all of it is named.
    """
    changes = config_changes(saved.config, config)
    changes += [f"{k} {v} → {notes.get(k)}" for k, v in saved.notes.items() if notes.get(k) != v]
    if changes:
        raise DataError(
            "a run of other arguments: " + "; ".join(changes), "the same ones", "repeat them, or choose another --out"
        )


def momentum_of(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The momentum of each parameter that has one, by its place in the optimizer."""
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    held = {str(i): optimizer.state[p].get("momentum_buffer") for i, p in enumerate(parameters) if p in optimizer.state}
    return {name: value for name, value in held.items() if value is not None}


def put_momentum(optimizer: torch.optim.Optimizer, momentum: Mapping[str, Tensor]) -> None:
    """What `momentum_of` gave, back in place."""
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    for name, value in momentum.items():
        parameter = parameters[int(name)]
        held = torch.empty_like(parameter)  # in the parameter's own memory format
        optimizer.state[parameter]["momentum_buffer"] = held.copy_(value)


def put_module(module: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Parameters and buffers into a module.

    Raises:
        DataError: They do not fit.
    """
    try:
        module.load_state_dict(dict(tensors))
    except RuntimeError as err:
        raise DataError(
            f"a checkpoint of another network ({str(err).splitlines()[-1].strip()})", "the same one", _DO
        ) from err
