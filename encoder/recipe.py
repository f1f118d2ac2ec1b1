"""The recipe of the weights that ship: every run, one after the other, in slices that can be stopped.

    python -m encoder.stream_pack --out data/weights/country.safetensors --grounds-per-biome 5 --seed 100
    python -m encoder.recipe --country data/weights/country.safetensors --out data/weights --minutes 10

Needs torch, torchvision, timm, NumPy and safetensors, and one file of ready grounds: a rented GPU's bare machine.
Series are drawn there by `encoder.stream`. The same command goes on where it stopped, until it says that all is done;
each run trains in a folder of its own, and its weights are written when it ends. `RUNS` is the list: CACo for true
colour and for ten bands, and the methods that it is compared with, on the same series and the same number of rows.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from stac.bands import RGB
from stac.cli import check_folder, number, parse_args
from stac.errors import exit_code

from .device import has_compiler, norm_device
from .networks import pooled_features
from .normalization import Normalizer
from .pretrain import run_spec, steps_for
from .pretraining.arguments import TEN_BANDS
from .pretraining.calibrate import calibrate, draw_pairs
from .pretraining.config import PretrainConfig
from .pretraining.loop import RunOptions, Trainer
from .pretraining.series import DrawnSeries
from .pretraining.views import Views, new_config
from .stream import SimulatedStream, StreamConfig
from .stream_pack import open_country
from .weights import check_weights, save_weights

CROP = 32
"""Side of the chips, pixels: 320 m, as the demo store has them. assumed."""


@dataclass(frozen=True)
class Size:
    """How much is trained: the same for all runs."""

    series: int
    """Locations drawn."""
    batch: int
    queue: int
    steps: int
    ema: float
    """Momentum of the key network: the published 0.999 leaves it near its random start for a thousand steps."""


SIZES = {
    # measured on no GPU yet: aims at two minutes a run there.
    "gpu": Size(series=20_000, batch=256, queue=16_384, steps=6_000, ema=0.996),
    # what two cores do overnight.
    "cpu": Size(series=3_000, batch=256, queue=4_096, steps=2_000, ema=0.99),
    # seconds, for a look at whether it works.
    "tiny": Size(series=16, batch=8, queue=16, steps=4, ema=0.99),
}

_COLOUR = PretrainConfig(method="caco", bands=RGB, crop=CROP, schedule="cosine", views="published")
_BANDS = PretrainConfig(
    method="caco",
    bands=TEN_BANDS,
    crop=CROP,
    schedule="cosine",
    views="spectral",
    keep_bands=False,
    vector_weight=1.0,
    vector_labels=True,
    level_weight=1.0,
)
_OTHERS = ("teco", "seco", "gssl", "moco")

RUNS: dict[str, PretrainConfig] = {
    "caco": _BANDS,
    "caco-rgb": _COLOUR,
    "caco-plain": replace(_BANDS, vector_weight=0.0, vector_labels=False, level_weight=0.0),
    **{
        name: replace(_BANDS, method=name, vector_weight=0.0, vector_labels=False, level_weight=0.0) for name in _OTHERS
    },
    **{f"{name}-rgb": replace(_COLOUR, method=name) for name in _OTHERS},
}
"""Name → its run. `caco` and `caco-rgb` ship; the others are what they are compared with."""


def main(argv: Sequence[str] | None = None) -> int:
    """Command line: `python -m encoder.recipe --help`."""
    return exit_code(lambda: _run(argv))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m encoder.recipe",
        description="Train the weights that ship, and what they are compared with, in slices.",
        epilog="example:\n  python -m encoder.recipe --country country.safetensors --out data/weights --minutes 10",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--country", required=True, metavar="FILE", help="ready grounds, from encoder.stream_pack")
    add("--out", required=True, metavar="DIR", help="where runs and weights go")
    minutes = number("--minutes", float, "a number above 0", lambda x: x > 0)
    add("--minutes", type=minutes, metavar="N", help="stop after so long, ready to go on (default: to the end)")
    add("--only", nargs="+", choices=list(RUNS), default=list(RUNS), metavar="RUN", help=f"some of {', '.join(RUNS)}")
    add("--size", choices=list(SIZES), metavar="|".join(SIZES), help="default: gpu where there is one, else cpu")
    seed = number("--seed", int, "a whole number from 0", lambda x: 0 <= x < 2**63)
    add("--seed", type=seed, default=0, metavar="N", help="of networks and batches (default: 0)")
    add("--device", default="auto", help="auto, cpu, cuda (default: auto)")
    add("--json", action="store_true", help="report as JSON")
    return parser


def _run(argv: Sequence[str] | None) -> int:
    """Train what is not done, as long as there is time, and report."""
    args = parse_args(_parser(), argv)
    out = check_folder(args.out, "--out")
    device = torch.device(norm_device(args.device))
    size = SIZES[args.size or ("gpu" if device.type == "cuda" else "cpu")]
    end = None if args.minutes is None else time.monotonic() + 60 * args.minutes
    country = open_country(Path(args.country), device)
    done = {name: not check_weights(out / f"{name}.safetensors") for name in args.only}
    series: dict[tuple[str, ...], DrawnSeries] = {}
    for name in [name for name, whole in done.items() if not whole]:
        config = replace(RUNS[name], batch=size.batch, queue=size.queue, steps=size.steps, ema=size.ema, seed=args.seed)
        if config.bands not in series:
            series.clear()  # one set on the device at a time
            stream = StreamConfig(
                country.config, CROP, 10, "halves", batch=min(64, size.series), clear=True, seed=args.seed
            )
            series[config.bands] = DrawnSeries(
                SimulatedStream(stream, device, country=country), size.series, config.bands
            )
        left = None if end is None else max(end - time.monotonic(), 1e-3) / 60  # a slice does one step at least
        done[name] = _train(name, config, series[config.bands], out, left)
        if end is not None and time.monotonic() >= end:
            break
    if args.json:
        text = json.dumps(
            {"done": [n for n, whole in done.items() if whole], "left": [n for n, w in done.items() if not w]}
        )
    else:
        rest = [name for name, whole in done.items() if not whole]
        text = (
            f"left: {', '.join(rest)}: run the same command again" if rest else f"all done: {', '.join(done)} in {out}"
        )
    sys.stdout.write(text + "\n")
    return 0


def _train(name: str, config: PretrainConfig, series: DrawnSeries, out: Path, minutes: float | None) -> bool:
    """Go on with one run; at its end write its weights. Whether it is done."""
    steps = steps_for(config.bands)
    views = Views(new_config(config.views, series.side, config.crop), steps, config.bands, series.full, series.device)
    words = f"simulated stream, {series.count} locations"
    options = RunOptions(
        folder=out / "runs" / name,
        resume=True,
        minutes=minutes,
        log_steps=50,
        compiled=series.device.type == "cuda" and has_compiler(),
        notes={"data": words},
    )
    sys.stderr.write(f"{name}\n")
    with closing(Trainer(config, series, views, options)) as trainer:
        if not trainer.run():
            return False
    network = trainer.model.query.network.eval()
    normalizer = Normalizer(steps, config.bands).to(series.device)

    def embed(images: Tensor) -> Tensor:
        with torch.inference_mode():
            return pooled_features(network, normalizer(images.float() * (10_000 / series.full)))

    state = {
        key: tensor.half() if tensor.is_floating_point() else tensor for key, tensor in network.state_dict().items()
    }
    spec, whole = calibrate(
        run_spec(name, config, steps, words, trainer.step),
        state,
        embed,
        series,
        pairs=draw_pairs(series, 2, config.seed),
    )
    save_weights(out / f"{name}.safetensors", spec, whole)
    return True


if __name__ == "__main__":
    sys.exit(main())
