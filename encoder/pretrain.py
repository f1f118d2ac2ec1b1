"""Pre-training: CACo, its ablations and the methods that it builds on, from time series to weights.

    python -m encoder.pretrain --method caco --data simulated --out data/caco

A run stands in its folder: `state.safetensors` (what it goes on from), `curves.csv`, `ratios.csv`, and at its end the
query's backbone as `weights.safetensors` with its JSON, which every command takes as `--encoder`. A run that was
stopped, or killed, goes on with `--resume` and ends with the same numbers as one that was not. The loop is
`encoder.pretraining.loop`; how methods differ stands in `encoder.pretraining.methods`.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import torch

from stac.bands import RGB
from stac.cli import check_folder, parse_args
from stac.errors import DataError, exit_code
from stac.shards import open_shards

from .device import has_compiler, norm_device
from .networks import DIMS
from .normalization import CACO, Step, default_steps
from .pretraining.arguments import SIMULATED, new_parser, read_config
from .pretraining.config import PretrainConfig
from .pretraining.loop import RunOptions, Trainer
from .pretraining.ranks import Ranks, join_ranks, leave_ranks
from .pretraining.series import DrawnSeries, Series, ShardSeries
from .pretraining.views import Views, new_config
from .stream import SimulatedStream, StreamConfig
from .stream_country import CountryConfig
from .stream_pack import open_country
from .weights import WeightsSpec, save_weights

WEIGHTS = "weights.safetensors"
"""Name of the trained backbone within a run's folder."""


def main(argv: Sequence[str] | None = None) -> int:
    """Command line: `python -m encoder.pretrain --help`."""
    parser = new_parser()

    def command() -> int:
        args = parse_args(parser, argv)
        config = read_config(args)
        folder = check_folder(args.out, "--out")
        ranks, device = join_ranks(norm_device(args.device))
        try:
            return _train(args, config, folder, ranks, torch.device(device))
        finally:
            leave_ranks(ranks)

    return exit_code(command)


def _train(args: argparse.Namespace, config: PretrainConfig, folder: Path, ranks: Ranks, device: torch.device) -> int:
    """Run the training and report."""
    series, source = open_series(args, config, device)
    steps = steps_for(config.bands)
    views = Views(new_config(config.views, series.side, config.crop), steps, config.bands, series.full, device)
    compiled = args.compiled if args.compiled is not None else device.type == "cuda" and has_compiler()
    options = RunOptions(
        folder=folder,
        resume=args.resume,
        minutes=args.minutes,
        save_minutes=args.save_minutes,
        compiled=compiled,
        tensorboard=args.tensorboard,
        notes={"data": source},
    )
    with closing(Trainer(config, series, views, options, ranks)) as trainer:
        done = trainer.run()
    if not ranks.lead:
        return 0
    weights = _save(trainer, folder, steps, source) if done else None
    report = {
        "steps": trainer.step,
        "of": trainer.plan.total,
        "locations": series.count,
        "left_out": trainer.plan.left_out,
        "weights": None if weights is None else str(weights),
    }
    if args.json:
        text = json.dumps(report)
    elif weights is None:
        text = f"step {trainer.step:,} of {trainer.plan.total:,}: go on with the same command and --resume"
    else:
        text = f"{weights} ({trainer.step:,} steps, {series.count:,} locations, {trainer.plan.left_out:,} left out)"
    sys.stdout.write(text + "\n")
    return 0


def open_series(args: argparse.Namespace, config: PretrainConfig, device: torch.device) -> tuple[Series, str]:
    """The series that `--data` names, and what they are in words.

    Raises:
        DataError: They are not there, damaged, or of other bands or sizes.
    """
    if args.data == SIMULATED:
        country = None if args.country is None else open_country(Path(args.country), device)
        own = CountryConfig(years=6, seed=config.seed) if country is None else country.config
        stream = StreamConfig(own, config.crop, dates=10, batch=64, clear=True, seed=config.seed, plan="halves")
        words = f"simulated stream, seed {config.seed}, {args.series} locations of {len(own.biomes)} grounds"
        return DrawnSeries(SimulatedStream(stream, device, country=country), args.series, config.bands), words
    shards = open_shards(Path(args.data))
    series = ShardSeries(shards, config.bands, device)
    if series.side < config.crop and series.side % 2:
        raise DataError(f"images of {series.side} px", "an even side", "gather them anew")
    return series, f"{shards.spec.source} ({shards.count} locations)"


def steps_for(bands: tuple[str, ...]) -> tuple[Step, ...]:
    """Normalization that training begins with: CACo's for true colour, per-band mean and deviation otherwise."""
    return CACO if bands == RGB else default_steps(bands)


def run_spec(name: str, config: PretrainConfig, steps: tuple[Step, ...], data: str, done: int) -> WeightsSpec:
    """The record of a run's weights.

    Args:
        name: Of the weights.
        config: Of the run.
        steps: Its normalization.
        data: What it was trained on, in words.
        done: Steps of training.
    """
    return WeightsSpec(
        name=name,
        arch=config.arch,
        bands=config.bands,
        normalization=steps,
        chip_size=config.crop,
        dim=DIMS[config.arch],
        source=f"trained here: {config.method}, {done} steps of {config.batch} rows, seed {config.seed}",
        licence="Apache-2.0",
        sha256="",
        data=data,
        commit=_commit(),
        subsets=not config.keep_bands,
    )


def _save(trainer: Trainer, folder: Path, steps: tuple[Step, ...], source: str) -> Path:
    """Write the query's backbone as weights."""
    spec = run_spec(folder.name, trainer.config, steps, source, trainer.step)
    return save_weights(folder / WEIGHTS, spec, trainer.model.query.network.state_dict())


def _commit() -> str:
    """Commit of the code that runs, where git can tell."""
    here = Path(__file__).resolve().parent
    try:
        told = subprocess.run(["git", "-C", str(here), "rev-parse", "HEAD"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return told.stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
