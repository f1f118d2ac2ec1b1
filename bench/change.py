r"""Does pre-training learn what it should: caco, teco, seco and the paper's ablation on the simulated stream.

    python -m encoder.stream_pack --out data/grounds.safetensors --grounds-per-biome 4 --seed 0
    python -m encoder.stream_pack --out data/held.safetensors --grounds-per-biome 1 --seed 1
    python bench/change.py --country data/grounds.safetensors --held-country data/held.safetensors --work data/change \
      --steps 400 --json change.jsonl
    python bench/change.py … --minutes 50          # the same command again goes on where it stopped
    python bench/change_page.py --figures change.jsonl

Every run draws a pool of series, trains on it for the same number of rows, and is measured as it goes by
`encoder.pretraining.measure` on series that no run trains on: another seed of the stream and grounds of another seed
(`--held-country`, else one a biome is made). All of that is simulated. `--also eurosat fires` asks the finished
backbones real questions besides, as `bench/weights.py` does; what these help to choose is asked with `--score val`.

**Runs** (`--runs`), in the order of CACo's ablation (CVPR 2023, table 6):

    seco-quiet   SeCo's loss, five dates of one year, country where one location in ten holds a change
    seco-year    the same where every second one does: + sampling
    teco         two halves of five dates, four years apart, contrasted: + long-term
    caco         the same, gated by the change estimate: + change-aware
    seco         for comparison, out of the order: SeCo's loss on teco's and caco's dates

Two of these are analogues of what the paper did. Its sampling draws around cities, for things change there; here the
chips are drawn over places that change more or less often. Its SeCo has dates of one year, here the recent half of the
same series. A run with seed s has the pool, the first parameters and the order of seed s, whatever its method; an
epoch of seco is half as many rows, so that runs are compared at equal rows.

A run stands in `--work`/NAME-SEED: its checkpoint, curves and weights, and `change.jsonl`, its figures.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from change_runs import (
    ARMS,
    EVENTFUL,
    HELD_SEED,
    LOG,
    Held,
    Record,
    Run,
    check_run,
    is_finished,
    measure_pixels,
    new_series,
    read_log,
    train,
)

from encoder.device import norm_device
from encoder.pretrain import WEIGHTS
from encoder.pretraining.arguments import TEN_BANDS
from encoder.pretraining.config import PretrainConfig
from encoder.pretraining.memory import MIXTURES
from encoder.pretraining.series import DrawnSeries
from encoder.stream import SimulatedStream, StreamConfig
from encoder.stream_country import Country, CountryConfig
from encoder.stream_pack import open_country
from stac.bands import RGB, norm_bands
from stac.cli import check_folder, check_output, number, parse_args
from stac.errors import DataError, ItemError, exit_code
from stac.files import write_whole

TASKS = ("eurosat", "fires")
"""Of `--also`: tasks of `weights.py`."""


class Pools:
    """Series to learn from; the last ones drawn are kept, for runs of one seed mostly share them."""

    def __init__(self, country: Country, count: int) -> None:
        """Of some country, `count` locations each."""
        self._country, self._count = country, count
        self._kept: tuple[tuple[float, int], DrawnSeries] | None = None

    def words(self, name: str, seed: int) -> str:
        """What a run learns from."""
        arm = ARMS[name]
        years = "dates of the recent half" if arm.one_year else "ten dates over four years"
        return f"{self._count} simulated locations, seed {seed}, changed {arm.changed}, {years}; {_of(self._country)}"

    def draw(self, run: Run) -> DrawnSeries:
        """A run's series."""
        key = ARMS[run.name].changed, run.config.seed
        if self._kept is None or self._kept[0] != key:
            self._kept = None  # before there are others
            self._kept = key, new_series(self._country, run.config, self._count, *key)
        return self._kept[1]


def _of(country: Country) -> str:
    """A country in words."""
    made = country.config
    return f"{len(made.biomes)} grounds of {len(set(made.biomes))} biomes, {made.ground_px} px, seed {made.seed}"


def open_countries(args: argparse.Namespace, device: torch.device) -> tuple[Country, Country]:
    """Grounds to train on and others to measure on.

    Raises:
        DataError: A file is not there or damaged, or both hold the same grounds.
    """
    own = _made(CountryConfig(years=6), device) if args.country is None else open_country(args.country, device)
    if args.held_country is not None:
        held = open_country(args.held_country, device)
    else:
        biomes = tuple(dict.fromkeys(own.config.biomes))
        held = _made(replace(own.config, biomes=biomes, seed=own.config.seed + HELD_SEED), device)
    if held.config.seed == own.config.seed:
        raise DataError(
            f"grounds of seed {held.config.seed} to train on and to measure on", "two seeds", "set --held-country"
        )
    return own, held


def _made(config: CountryConfig, device: torch.device) -> Country:
    """A country made anew: seconds a ground."""
    return SimulatedStream(StreamConfig(config, chip_size=8, batch=1, clear=True), device).country


def new_run(name: str, seed: int, args: argparse.Namespace, pools: Pools) -> Run:
    """A run as the arguments want it.

    Raises:
        DataError: They do not go together.
    """
    config = PretrainConfig(
        method=ARMS[name].method,
        bands=args.bands,
        keep_bands=not args.drop_bands,
        steps=args.steps,
        seed=seed,
        **{key: getattr(args, key) for key in CONFIG},
    )
    return Run(name, config, args.work / f"{name}-{seed}", pools.words(name, seed))


def said_of(args: argparse.Namespace, held: Held, device: torch.device) -> Record:
    """What every figure says besides itself."""
    card = f", {torch.cuda.get_device_name(device)}" if device.type == "cuda" else ""
    where = f"{os.cpu_count()} cores, {platform.machine()}{card}"
    settings = {key: getattr(args, key) for key in (*CONFIG, "series", "drop_bands")}
    context = {"bands": list(args.bands), **settings, "held": held.words, "simulated": True}
    return {**context, "machine": where, "torch": torch.__version__, "commit": args.commit or read_commit()}


def read_commit() -> str | None:
    """As `index.figures.read_commit`, which bare machines cannot import."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    try:
        told = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return told.stdout.strip() or None


def run_all(args: argparse.Namespace) -> bool:
    """Train and measure whatever is not finished, ask what else is asked, write; False where time ran out."""
    began, device = time.monotonic(), torch.device(args.device)
    country, held_country = open_countries(args, device)
    pools = Pools(country, args.series)
    runs = [new_run(name, seed, args, pools) for seed in args.seeds for name in args.runs]
    for run in runs:
        check_run(run)
    words = f"{args.held} simulated locations, seed {HELD_SEED}, changed {EVENTFUL}; {_of(held_country)}"
    held = Held(new_series(held_country, runs[0].config, args.held, EVENTFUL, HELD_SEED), words, args.every)
    context = said_of(args, held, device)
    pixels = measure_pixels(runs[0].config, held, context)
    for run in runs:
        if is_finished(run):
            continue
        left = None if args.minutes is None else args.minutes - (time.monotonic() - began) / 60
        if left is not None and left <= 0:
            break
        print(f"{run.label}: {ARMS[run.name].words}", file=sys.stderr, flush=True)
        train(run, pools.draw(run), held, context, left)
        write_lines(args.json, [pixels, *read_all(runs)])
    for run in runs:
        if args.also and is_finished(run):
            ask(run, args, context)
    write_lines(args.json, [pixels, *read_all(runs)])
    unfinished = [run.label for run in runs if not is_finished(run)]
    done = len(runs) - len(unfinished)
    more = f"; go on with the same command: {', '.join(unfinished)}" if unfinished else ""
    print(f"{done} of {len(runs)} runs are finished{more}")
    return not unfinished


def read_all(runs: Sequence[Run]) -> Iterator[Record]:
    """Figures of all runs, begun or finished."""
    for run in runs:
        yield from read_log(run.folder / LOG)


def write_lines(path: Path | None, records: Sequence[Mapping[str, Any]]) -> None:
    """JSON lines, whole or not at all; None: nowhere."""
    if path is not None:
        with write_whole(path) as temporary:
            temporary.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")


def ask(run: Run, args: argparse.Namespace, context: Mapping[str, Any]) -> None:
    """Ask a finished run's frozen backbone the real tasks that it was not asked yet."""
    import weights  # it needs rasterio and more, which bare machines lack

    known = read_log(run.folder / LOG)
    last = next(record for record in known if record["what"] == "run")
    asks = {"eurosat": weights.ask_eurosat, "fires": weights.ask_fires}
    for task in args.also:
        if any(record["what"] == "task" and record["task"] == task for record in known):
            continue
        given = argparse.Namespace(**{**vars(args), "level": "surface", "work": args.work})
        lines = asks[task](weights.Asked(str(run.folder / WEIGHTS), "own", run.config.seed), given)
        who = {key: last[key] for key in ("step", "rows", "epoch", "arm", "method", "seed", "pool", "batch", "steps")}
        for line in lines:
            score = {"value": line.score.value, "interval": [line.score.low, line.score.high], "chance": line.chance}
            told = {"what": "task", "task": task, "metric": line.metric, **score, "queries": line.queries}
            known.append({**told, **line.more, **who, **context, "simulated": False})
        write_lines(run.folder / LOG, known)


CONFIG = ("arch", "batch", "crop", "queue", "views", "lr", "ema", "schedule", "mixture", "precision")
"""Fields of `PretrainConfig` that are flags of this command."""

SMALL = {"batch": 128, "queue": 4096, "schedule": "cosine"}
"""assumed: defaults that fit a processor, where they are not the published ones."""


def _parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python bench/change.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--work", required=True, metavar="DIR", help="folder of the runs")
    add("--json", type=Path, metavar="FILE", help="figures of all runs, JSON lines")
    add("--runs", nargs="+", choices=tuple(ARMS), default=list(ARMS), metavar="NAME", help=f"of {', '.join(ARMS)}")
    seed = number("--seeds", int, f"whole numbers from 0 to {HELD_SEED - 1}", range(HELD_SEED).__contains__)
    add("--seeds", type=seed, nargs="+", default=[0, 1, 2], help="(default 0 1 2)")
    for name, default in (("steps", 400), ("series", 1000), ("held", 300), ("threads", 1)):
        limit = number(f"--{name}", int, "a whole number from 1", lambda value: value >= 1)
        add(f"--{name}", type=limit, default=default, metavar="N", help=f"(default {default})")
    minutes = number("--minutes", float, "a number above 0", lambda value: value > 0)
    add("--minutes", type=minutes, metavar="N", help="in all, for training; then stop, ready to go on")
    every = number("--every", int, "a whole number from 1", lambda value: value >= 1)
    add("--every", type=every, default=1, metavar="N", help="steps between measurements at ends of epochs, at least")
    add("--country", type=Path, metavar="FILE", help="grounds of encoder.stream_pack (default: one a biome, made)")
    add("--held-country", type=Path, metavar="FILE", help="grounds of another seed to measure on (default: made)")
    add("--bands", nargs="+", metavar="B", help="B04 B03 B02 (default), or all: ten bands")
    add("--drop-bands", action="store_true", help="learn with bands left out, so that subsets can be embedded")
    for name in CONFIG:
        default = SMALL.get(name, getattr(PretrainConfig, name))
        add(f"--{name}", type=type(default), default=default, help=f"of encoder.pretrain (default {default})")
    add("--device", default="auto", help="auto, cpu, cuda (default auto)")
    add("--commit", help="of the code, where git cannot tell")
    add("--also", nargs="+", choices=TASKS, default=[], help="real questions to the finished backbones")
    add("--real", type=Path, default=Path("../shared/data"), metavar="DIR", help="folder of real data")
    add("--score", choices=("test", "val"), default="test", help="split of EuroSAT that is scored (default test)")
    for name in ("train", "test"):
        some = number(f"--{name}", int, "a whole number from 50", lambda value: value >= 50)
        add(f"--{name}", type=some, metavar="N", help="EuroSAT's images, drawn (default: all)")
    return parser


def _start(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read and check the arguments.

    Raises:
        DataError: Something is not there, cannot be written, or does not go together.
    """
    args = parse_args(_parser(), argv)
    args.work = check_folder(args.work, "--work")
    if args.json is not None:
        check_output(args.json, "--json")
    try:
        args.bands = RGB if args.bands is None else TEN_BANDS if args.bands == ["all"] else norm_bands(args.bands)
    except ItemError as err:
        raise DataError(f"--bands {' '.join(args.bands)}: {err.found}", err.expected, "correct --bands") from err
    if args.mixture not in MIXTURES:
        raise DataError(f"--mixture {args.mixture}", " or ".join(MIXTURES), "correct --mixture")
    if args.also and not args.real.is_dir():
        raise DataError(f"no {args.real}", "the folder of real data", "name it with --real")
    args.device = norm_device(args.device)
    torch.set_num_threads(args.threads)
    return args


def _run(argv: Sequence[str] | None) -> int:
    """Check, run, say."""
    run_all(_start(argv))
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    return exit_code(lambda: _run(argv))


if __name__ == "__main__":
    sys.exit(main())
