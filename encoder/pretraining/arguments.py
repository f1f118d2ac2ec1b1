"""Arguments of `python -m encoder.pretrain`: one flag for each field of the config, and those of the run around it."""

from __future__ import annotations

import argparse
from dataclasses import fields

from stac.bands import norm_bands
from stac.cli import number
from stac.errors import DataError, ItemError

from .config import METHODS, PretrainConfig
from .losses import BLOCKS, GATES
from .memory import MIXTURES

SIMULATED = "simulated"
"""What `--data` says for series drawn by `encoder.stream`."""

TEN_BANDS = ("B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B11", "B12")
"""What `--bands all` means: all bands of 10 and 20 m."""

_EXAMPLES = """examples:
  python -m encoder.pretrain --method caco --data simulated --out data/caco
  python -m encoder.pretrain --method caco --data data/shards --out data/caco-rgb --crop 224 --epochs 1000
  python -m encoder.pretrain --method seco --data data/shards --out data/seco --bands all --drop-bands --views spectral
  torchrun --nproc-per-node 4 -m encoder.pretrain --method caco --data data/shards --out data/caco --norm-groups 4
  python -m encoder.pretrain --method caco --data data/shards --out data/caco --resume --minutes 10"""

_WORDS = {
    "batch": "rows a step over all processes; two are a location",
    "epochs": "passes over the rows",
    "steps": "length of the run, in place of epochs",
    "crop": "side of a view, pixels; published 224",
    "queue": "keys a subspace",
    "projection": "length of a projection",
    "norm_groups": "parts of the batch that batch norm keeps apart; a multiple of the processes",
    "clusters": "of gssl's geography",
    "warmup": "steps over which the learning rate rises",
    "seed": "of networks, batches and views",
    "lr": "learning rate",
    "temperature": "of the softmax",
    "ema": "momentum of the key network; lower for short runs",
    "sgd_momentum": "of SGD",
    "weight_decay": "of SGD",
    "geo_weight": "of gssl's second term",
    "level_weight": "of telling each view's per-band level; ours",
    "vector_weight": "of the contrast of change vectors; ours",
    "beta": "share of the old in the memory of ratios",
}
"""Numbers of the config in words."""

_DEFAULTS = {field.name: field.default for field in fields(PretrainConfig)}


def new_parser() -> argparse.ArgumentParser:
    """The command's parser."""
    parser = argparse.ArgumentParser(
        prog="python -m encoder.pretrain",
        description="Train an encoder by change-aware contrast (CACo) or one of its family, from time series.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add_run(parser)
    _add_training(parser.add_argument_group("training"))
    _add_switches(parser.add_argument_group("where CACo's code and paper differ (defaults: the code)"))
    return parser


def _add_run(parser: argparse.ArgumentParser) -> None:
    """What, from what, where to."""
    parser.add_argument("--method", default="caco", metavar="|".join(METHODS), help="(default: caco)")
    parser.add_argument("--arch", default="resnet18", metavar="resnet18|resnet50", help="(default: resnet18)")
    parser.add_argument("--data", required=True, metavar=f"DIR|{SIMULATED}", help="packed shards, or drawn series")
    parser.add_argument("--out", required=True, metavar="DIR", help="the run's folder")
    parser.add_argument("--resume", action="store_true", help="go on with the run in --out, where there is one")
    minutes = number("--minutes", float, "a number above 0", lambda x: x > 0)
    parser.add_argument("--minutes", type=minutes, metavar="N", help="stop after so long, ready to go on")
    parser.add_argument("--save-minutes", type=minutes, default=5.0, metavar="N", help="between checkpoints (5)")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1 (default: auto)")
    compiled = parser.add_mutually_exclusive_group()
    compiled.add_argument("--compile", action="store_true", dest="compiled", default=None, help="use torch.compile")
    compiled.add_argument("--no-compile", action="store_false", dest="compiled", help="do not (default: on a GPU)")
    parser.add_argument("--tensorboard", action="store_true", help="write events for TensorBoard beside curves.csv")
    series = number("--series", int, "a whole number from 1", lambda x: x >= 1)
    parser.add_argument("--series", type=series, default=2000, metavar="N", help="locations to draw (simulated; 2000)")
    parser.add_argument("--country", metavar="FILE", help="packed grounds of encoder.stream_pack (simulated)")
    parser.add_argument("--json", action="store_true", help="report as JSON")


def _add_training(group: argparse._ArgumentGroup) -> None:
    """What the run computes."""
    group.add_argument("--bands", nargs="+", metavar="B", help="B04 B03 B02 (default), or all: ten bands")
    group.add_argument("--drop-bands", action="store_false", dest="keep_bands", help="so that subsets can be embedded")
    group.add_argument("--views", default="published", metavar="published|spectral", help="augmentation (published)")
    for name, kind, least in (
        *(("batch", int, 1), ("epochs", int, 1), ("steps", int, 1), ("crop", int, 8), ("queue", int, 1)),
        *(("projection", int, 1), ("norm_groups", int, 1), ("clusters", int, 1), ("warmup", int, 0), ("seed", int, 0)),
    ):
        _add_number(group, name, kind, least)
    for name in (
        "lr",
        "temperature",
        "ema",
        "sgd_momentum",
        "weight_decay",
        "geo_weight",
        "level_weight",
        "vector_weight",
    ):
        _add_number(group, name, float, 0)
    group.add_argument("--vector-labels", action="store_true", help="classes of change are known (simulated)")
    group.add_argument("--schedule", default="step", metavar="step|cosine", help="of the learning rate (step)")
    group.add_argument("--precision", default="bf16", metavar="bf16|float32", help="of convolutions (bf16)")


def _add_switches(group: argparse._ArgumentGroup) -> None:
    """Choices that the published sources leave open."""
    group.add_argument("--ratio", default="distance", metavar="distance|squared", help="(distance)")
    group.add_argument("--mixture", default="ratio", metavar="|".join(MIXTURES), help="fitted to (ratio)")
    group.add_argument("--gate", default="all", metavar="|".join(GATES), help="subspaces gated (all)")
    group.add_argument("--blocks", default="open", metavar="|".join(BLOCKS), help="whole-batch blocks (open)")
    _add_number(group, "beta", float, 0)


def _add_number(group: argparse._ArgumentGroup, name: str, kind: type[int] | type[float], least: int) -> None:
    """A flag for a number of the config."""
    flag = f"--{name.replace('_', '-')}"
    word = "whole number" if kind is int else "number"
    read = number(flag, kind, f"a {word} from {least}", lambda x: least <= x < 2**63)
    words = f"{_WORDS[name]} ({'none' if _DEFAULTS[name] is None else _DEFAULTS[name]})"
    group.add_argument(flag, type=read, default=_DEFAULTS[name], metavar="N", help=words)


def read_config(args: argparse.Namespace) -> PretrainConfig:
    """The config that arguments ask for.

    Raises:
        DataError: They do not go together, or name no bands.
    """
    given = {field.name: getattr(args, field.name) for field in fields(PretrainConfig)}
    bands = given["bands"]
    try:
        if bands is None:
            given["bands"] = _DEFAULTS["bands"]
        else:
            given["bands"] = TEN_BANDS if bands == ["all"] else norm_bands(bands)
    except ItemError as err:
        raise DataError(f"--bands {' '.join(bands)}: {err.found}", err.expected, "correct --bands") from err
    return PretrainConfig(**given)
