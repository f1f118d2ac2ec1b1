"""Everything that a pre-training run is told, as one record that is saved with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from stac.bands import RGB
from stac.errors import DataError

from .losses import BLOCKS, GATES, TEMPERATURE
from .memory import MIXTURES

METHODS = ("caco", "teco", "seco", "gssl", "moco", "simclr")
"""Of `encoder.pretrain --method`."""

PAIRED = ("caco", "teco", "simclr")
"""Methods whose batches hold both halves of a location."""


@dataclass(frozen=True)
class PretrainConfig:
    """A run. Defaults are CACo's published ones where there are any.

    Source: https://github.com/utkarshmall13/CACo/blob/7c4fbc8/src/main_pretrain.py and its models/moco2_module.py.
    """

    method: str = "caco"
    """One of `METHODS`."""
    arch: str = "resnet18"
    """`resnet18` or `resnet50`."""
    bands: tuple[str, ...] = RGB
    """Canonical bands, in the order of the network's input."""
    batch: int = 256
    """Rows a step over all processes: B. In paired methods two rows are a location."""
    epochs: int = 200
    """Passes over the rows."""
    steps: int | None = None
    """Stops there, and sets the schedule's length, in place of `epochs`: equal budgets for unequal methods."""
    crop: int = 64
    """Side of a view, pixels. Published: 224, from images of 264."""
    views: str = "published"
    """`published` (colour jitter, grey, blur, flip) or `spectral` (what the sky and the instrument do)."""
    keep_bands: bool = True
    """False drops bands at random, so that any subset can be embedded later."""
    queue: int = 16384
    """Keys in each subspace's queue: K."""
    projection: int = 128
    """Length E of a projection."""
    temperature: float = TEMPERATURE
    ema: float = 0.999
    """Momentum of the key network's parameters."""
    lr: float = 0.03
    sgd_momentum: float = 0.9
    weight_decay: float = 1e-4
    schedule: str = "step"
    """`step` (a tenth after 0.6 and again after 0.8 of the run: 120 and 160 of 200 epochs) or `cosine`."""
    warmup: int = 0
    """Steps over which the learning rate rises from nothing."""
    beta: float = 0.8
    """Share of the old in the memory of change ratios; the code's (4 · old + new) / 5. The paper prints no value."""
    ratio: str = "distance"
    """`distance` as CACo's code, which made the published weights, or `squared` as its eq. 3 prints."""
    mixture: str = "ratio"
    """What the mixture is fitted to: `ratio` as published, or its logarithm (`log`)."""
    gate: str = "all"
    """One of `losses.GATES`; `all` as the code that made the published weights."""
    blocks: str = "open"
    """One of `losses.BLOCKS`; `open` for the same reason."""
    norm_groups: int = 1
    """Equal parts of the batch that batch norm keeps apart, over all processes; above 1, keys are grouped otherwise
    than queries, which is MoCo's shuffling of batch norm. Published: one GPU, one group."""
    clusters: int = 100
    """Of `gssl`'s geography: GSSL's K, README of its code."""
    geo_weight: float = 1.0
    """Of `gssl`'s second term."""
    level_weight: float = 0.0
    """Of a head that must tell each view's per-band mean and deviation from its embedding; 0 for none. Ours: keeps the
    spectral level, which contrast alone throws away."""
    vector_weight: float = 0.0
    """Of the contrast of change vectors (`losses.vector_loss`) in paired methods; 0 for none. Ours."""
    vector_labels: bool = False
    """Whether that contrast knows the classes of change, which simulated series tell."""
    precision: str = "bf16"
    """Of convolutions: `bf16`, or `float32` where results must agree to the last digits."""
    seed: int = 0

    def __post_init__(self) -> None:
        """Check what needs no data.

        Raises:
            DataError: A value is not one that training can use; all of them are named.
        """
        faults = config_faults(self)
        if faults:
            raise DataError("; ".join(faults), "values that training can use", "correct these arguments")

    @property
    def subspaces(self) -> int:
        """S: how many projections there are."""
        return 1 if self.method in {"moco", "gssl"} else 3

    @property
    def has_queue(self) -> bool:
        """Whether negatives come from queues, filled by a momentum network."""
        return self.method != "simclr"


def config_faults(config: PretrainConfig) -> list[str]:
    """Every fault of a config, one clause each; empty when there is none."""
    choices = {
        "method": METHODS,
        "arch": ("resnet18", "resnet50"),
        "views": ("published", "spectral"),
        "schedule": ("step", "cosine"),
        "ratio": ("distance", "squared"),
        "mixture": MIXTURES,
        "precision": ("bf16", "float32"),
        "gate": GATES,
        "blocks": BLOCKS,
    }
    faults = [
        f"{name} '{getattr(config, name)}' is none of {', '.join(allowed)}"
        for name, allowed in choices.items()
        if getattr(config, name) not in allowed
    ]
    positive = ("batch", "epochs", "crop", "projection", "norm_groups", "clusters", "temperature", "lr")
    faults += [f"{name} {getattr(config, name)} is not above 0" for name in positive if not getattr(config, name) > 0]
    parts = ("ema", "beta", "sgd_momentum")
    faults += [
        f"{name} {getattr(config, name)} is not in 0 … 1" for name in parts if not 0 <= getattr(config, name) <= 1
    ]
    least = ("weight_decay", "geo_weight", "level_weight", "vector_weight", "warmup", "seed")
    faults += [f"{name} {getattr(config, name)} is below 0" for name in least if not getattr(config, name) >= 0]
    if config.steps is not None and config.steps < 1:
        faults.append(f"steps {config.steps} is not above 0")
    if config.has_queue and config.batch > 0 and (config.queue < config.batch or config.queue % config.batch):
        faults.append(f"a queue of {config.queue} keys cannot be filled by batches of {config.batch}")
    if config.method in PAIRED and config.batch % 2:
        faults.append(f"a batch of {config.batch} rows splits a location's two halves")
    if config.vector_weight and config.method not in PAIRED:
        faults.append(f"{config.method} has no pairs of halves for a vector_weight of {config.vector_weight}")
    if config.norm_groups > 0 and config.batch % config.norm_groups:
        faults.append(f"a batch of {config.batch} rows has no {config.norm_groups} equal norm groups")
    return faults


def config_to_json(config: PretrainConfig) -> dict[str, Any]:
    """The config as it is saved."""
    return asdict(config)


def config_from_json(record: Mapping[str, Any]) -> PretrainConfig:
    """The config that `config_to_json` gave.

    Raises:
        DataError: A field is unknown or missing.
    """
    names = {field.name for field in fields(PretrainConfig)}
    if set(record) != names:
        odd = ", ".join(sorted(set(record) ^ names))
        raise DataError(f"a saved config that differs in {odd}", "one of this version", "train anew in another folder")
    return PretrainConfig(**{**record, "bands": tuple(record["bands"])})


def config_changes(old: PretrainConfig, new: PretrainConfig) -> list[str]:
    """Fields in which two configs differ, as `name old → new`."""
    before, after = asdict(old), asdict(new)
    return [f"{name} {before[name]} → {after[name]}" for name in before if before[name] != after[name]]
