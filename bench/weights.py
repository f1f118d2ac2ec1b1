"""Frozen encoders side by side: EuroSAT, real fires, a real series of clear-cuts, and the simulated benchmark.

    python bench/weights.py --encoders spectral pixels random weights/own.safetensors --seeds 0 1 2 --json out.jsonl
    python bench/weights.py --only fires eurosat --train 2000 --test 1500 --encoders spectral random
    python bench/weights.py --only benchmark --archive data/archives/benchmark --work data/benchmark --encoders …

What each task asks stands at the head of `eurosat.py`, `fires.py`, `romania.py` and `index/evaluate.py`. Encoders that
take any bands are asked twice (`--bands`): with `all` that a task has, and with `rgb` alone, which is what weights
trained on colour images see; EuroSAT has no others. Weights get their own bands, or those of them that are there where
they can do without the rest; what cannot be asked is left out with a sentence. Those drawn at random get each of
`--seeds`, and a line with the mean and the least and most of the seeds.

The file of `--json` gets one JSON object a line, one figure each, as soon as an encoder has done a task. Weights that a
figure here has helped to choose are chosen on `--score val`, and on no fire.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import eurosat
import fires
import pandas as pd
import romania
import torch
from benchmark import (
    ANY_BANDS,
    evaluate_config,
    machine,
    new_config,
    new_parser,
    new_settings,
    open_archive,
    start,
    table,
)
from inputs import check_archive, check_real

from encoder.device import norm_device
from encoder.encoders import Encoder, open_encoder
from encoder.probe import open_frozen
from index.figures import json_lines, read_commit
from index.metrics import Interval
from index.pipeline import build_store
from index.plan import BuildConfig
from index.store import open_store
from stac.bands import BANDS, RGB
from stac.cli import check_folder, check_output, number, parse_args
from stac.errors import DataError, WeightsError, exit_code
from stac.files import write_whole

SHOWN = {
    "eurosat": ("kNN-5", "kNN-20", "linear", "linear, mean over classes", "mAP"),
    "fires": ("AP@10", "P@10", "AP@40", "AP@10, no smoke", "AP@10, 640 m"),
    "romania": ("P@10", "P@10, strict"),
    "benchmark": ("AP@10", "AP@40", "P@10"),
}
"""Task → figures of its table; the file has all."""
TASKS = tuple(SHOWN)


@dataclass(frozen=True)
class Asked:
    """One line of the tables."""

    name: str
    """Name or file."""
    bands: str
    """`all` or `rgb` for encoders that take any; `own` for weights."""
    seed: int

    @property
    def label(self) -> str:
        """What it is called in tables."""
        if self.bands == "own":
            return Path(self.name).stem
        return self.name + (f", seed {self.seed}" if self.name.startswith("random") else "") + f" ({self.bands})"


@dataclass(frozen=True)
class Line:
    """One figure."""

    metric: str
    score: Interval
    chance: float
    queries: int
    more: dict[str, Any]
    """What else the file says of it."""


def list_asked(names: Sequence[str], seeds: Sequence[int], bands: Sequence[str]) -> list[Asked]:
    """Every line: encoders, their bands, and seeds of those that are drawn at random."""
    found = []
    for name in names:
        own = tuple(bands) if name in ANY_BANDS else ("own",)
        drawn = seeds if name.startswith("random") else seeds[:1]
        found += [Asked(name, which, seed) for which in own for seed in drawn]
    return found


def open_asked(asked: Asked, there: Sequence[str], device: str = "cpu") -> Encoder:
    """Open an encoder for the bands that a task has."""
    bands = {"all": there, "rgb": RGB, "own": None}[asked.bands]
    return open_frozen(asked.name, there, bands=bands, device=device, seed=asked.seed)


def ask_eurosat(asked: Asked, args: argparse.Namespace) -> list[Line]:
    """EuroSAT's figures."""
    task = _eurosat_task(args.real, eurosat.Settings(args.score, args.train, args.test, args.level, 0, args.work))
    encoder = open_asked(asked, RGB, args.device)
    scores, notes = eurosat.evaluate(encoder, task)
    random, count = eurosat.chance(task), len(task.scored.labels)
    more = {"split": args.score, "level": args.level, "train": len(task.train.labels), **notes, **_who(encoder)}
    return [Line(metric, score, random[metric], count, more) for metric, score in scores.items()]


def ask_fires(asked: Asked, args: argparse.Namespace) -> list[Line]:
    """The fires' figures, for each size of chip, with and without smoke."""
    encoder = open_asked(asked, fires.BANDS, args.device)
    found = []
    for side in fires.SIDES:
        for result in fires.evaluate(encoder, _fire_chips(args.real, side)):
            more = {"side_m": result.side, "fires": result.fires, "by_fire": result.by_fire, **_who(encoder)}
            found.append(Line(result.name, result.score, result.chance, result.queries, more))
    return found


def ask_romania(asked: Asked, args: argparse.Namespace) -> list[Line]:
    """The clear-cuts' figures."""
    check_real(args.real.parent, ("data/romania-series",))
    encoder, series = open_asked(asked, romania.BANDS, "cpu"), romania.open_series(args.real.parent)
    with tempfile.TemporaryDirectory() as folder:
        config = BuildConfig(
            catalog=str(romania.write_catalog(series, Path(folder))),
            store=f"{folder}/store",
            area="22.144,45.199,22.160,45.211",
            period="2015-08-01/2021-02-01",
            encoder=asked.name,
            bands=encoder.bands,
            pairs="yearly",
            chip_size=romania.CHIP,
            seed=asked.seed,
            device=args.device,
        )
        build_store(config)
        store, fine = open_store(Path(config.store)), series["10m"]
        said = romania.score(store, romania.chip_shares(store, romania.cut_years(fine), romania.transform_of(fine)))
    more, found = {"patches": said["patches"], **_who(encoder)}, []
    for metric, word, ends in (("P@10", "", ""), ("P@10, strict", "_strict", "strict_")):
        score = [said[f"precision_at_10{word}"], *(said[f"{ends}interval_{end}"] for end in ("low", "high"))]
        found.append(Line(metric, Interval(*score), said["chance"], int(said["queries"]), more))
    return found


def ask_benchmark(asked: Asked, args: argparse.Namespace) -> list[Line]:
    """Figures of the simulated archive: means over classes, each location once, galleries of other areas."""
    words = ["--archive", str(args.archive), "--work", str(args.work), "--seed", str(asked.seed)]
    words += ["--threads", str(args.threads), "--monthly", "--max-cloud", "20"]  # as in docs/benchmark.md
    words += ["--bands", ",".join(RGB)] if asked.bands == "rgb" else []
    given = start(new_parser("weights.py", ""), words)
    encoder = open_asked(asked, given.bands.split(",") if asked.bands == "all" else tuple(BANDS), "cpu")
    store = given.work / f"{encoder.name}-{encoder.sha256[:12]}".replace(":", "-")
    archive = open_archive(given.archive, given.work)
    config = new_config(archive, given, asked.name, store)
    evaluation, _ = evaluate_config(config, archive, new_settings(archive, given))
    more = {key: evaluation.context[key] for key in ("protocol", "split", "pairs", "chip_size")} | _who(encoder)
    return [
        Line(f"{figure.metric}@{figure.k}", figure.score, figure.chance, figure.queries, more)
        for figure in evaluation.figures
        if figure.unit == "place" and figure.name is None
    ]


_ASK = dict(zip(TASKS, (ask_eurosat, ask_fires, ask_romania, ask_benchmark), strict=True))
_fire_chips = cache(fires.read_chips)
_eurosat_task = cache(eurosat.open_task)


def _who(encoder: Encoder) -> dict[str, Any]:
    """What an encoder is."""
    return {"weights_sha256": encoder.sha256, "bands": list(encoder.bands)}


def new_record(task: str, asked: Asked, line: Line, context: dict[str, Any]) -> dict[str, Any]:
    """One figure as a plain object."""
    return {
        "encoder": Path(asked.name).name,
        "label": asked.label,
        "task": task,
        "data": kind_of(task),
        "seed": asked.seed,
        "asked_bands": asked.bands,
        "metric": line.metric,
        "class": None,
        "value": round(line.score.value, 6),
        "interval": [round(line.score.low, 6), round(line.score.high, 6)],
        "chance": round(line.chance, 6),
        "queries": line.queries,
        **line.more,
        **context,
    }


def kind_of(task: str) -> str:
    """`real` or `simulated` imagery."""
    return "simulated" if task == "benchmark" else "real"


def task_table(records: Sequence[dict[str, Any]], task: str) -> str:
    """Markdown of one task: a line an encoder, then the means over seeds, then chance."""
    own = pd.DataFrame([record for record in records if record["task"] == task and record["metric"] in SHOWN[task]])
    columns = [metric for metric in SHOWN[task] if metric in set(own["metric"])]
    lines = [["encoder", "bands", *(f"{metric} ({kind_of(task)})" for metric in columns)]]
    for label, part in own.groupby("label", sort=False):
        cells = {r["metric"]: str(Interval(r["value"], *r["interval"])) for r in part.to_dict("records")}
        lines.append([str(label), " ".join(part["bands"].iloc[0]), *(cells.get(metric, "–") for metric in columns)])
    for (name, bands), part in own.groupby(["encoder", "asked_bands"], sort=False):
        values = {metric: own["value"].to_numpy() for metric, own in part.groupby("metric")}
        if part["seed"].nunique() > 1:
            words = f"{name}, mean [least, most] of {part['seed'].nunique()} seeds ({bands})"
            cells = {metric: str(Interval(v.mean(), v.min(), v.max())) for metric, v in values.items()}
            lines.append([words, "", *(cells.get(metric, "–") for metric in columns)])
    chance = own.groupby("metric")["chance"].first()
    lines.append(["chance", "", *(f"{chance[metric]:.3f}" for metric in columns)])
    return f"*{kind_of(task)}*: {task}\n\n{table(lines)}\n"


def _parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python bench/weights.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    seed = number("--seeds", int, "whole numbers from 0 to 2^63 - 1", lambda value: 0 <= value < 2**63)
    count = number("--train and --test", int, "a whole number from 50", lambda value: value >= 50)
    threads = number("--threads", int, "a whole number from 1 to 1024", range(1, 1025).__contains__)
    add = parser.add_argument
    add("--encoders", nargs="+", default=["spectral", "pixels", "random"], metavar="NAME", help="names or files")
    add("--only", nargs="+", choices=TASKS, help="tasks (default: all; benchmark where --archive is given)")
    add("--bands", nargs="+", choices=("all", "rgb"), default=["all", "rgb"], help="of encoders that take any")
    add("--seeds", type=seed, nargs="+", default=[0], help="of parameters drawn at random (default 0)")
    add("--real", type=Path, default=Path("../shared/data"), metavar="DIR", help="folder of real data")
    add("--score", choices=("test", "val"), default="test", help="split of EuroSAT that is scored (default test)")
    add("--train", type=count, metavar="N", help="EuroSAT's training images, drawn (default: all)")
    add("--test", type=count, metavar="N", help="EuroSAT's scored images, drawn (default: all)")
    add("--level", choices=("surface", "toa"), default="surface", help="of EuroSAT's counts (default surface)")
    add("--archive", type=Path, metavar="DIR", help="simulated archive with catalog.json and events.geojson")
    add("--work", metavar="DIR", help="folder for stores and decoded images (with --archive it must be given)")
    add("--json", type=Path, metavar="FILE", help="JSON lines, one figure each")
    add("--device", default="auto", help="auto, cpu, cuda … (default auto)")
    add("--threads", type=threads, default=1, metavar="N", help="of torch (default 1: two wait for one another)")
    return parser


def _start(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read and check the arguments.

    Raises:
        DataError: Something is not there, cannot be written, or does not go together.
    """
    args = parse_args(_parser(), argv)
    if args.json is not None:
        check_output(args.json, "--json")
    args.only = args.only or [task for task in TASKS if task != "benchmark" or args.archive is not None]
    if "benchmark" in args.only and (args.archive is None or args.work is None):
        raise DataError("no --archive or no --work", "both, for the simulated benchmark", "name the two folders")
    if args.archive is not None:
        check_archive(args.archive)
    if args.work is not None:
        args.work = check_folder(args.work, "--work")
        args.work.mkdir(parents=True, exist_ok=True)
    args.device = norm_device(args.device)
    torch.set_num_threads(args.threads)
    for name in args.encoders:
        open_encoder(name, device=args.device)  # one that cannot be opened is told before any work
    return args


def _run(argv: Sequence[str] | None) -> int:
    """Ask, write, print."""
    args = _start(argv)
    context = {"machine": machine(), "commit": read_commit()}
    records, left_out = list[dict[str, Any]](), []
    for asked in list_asked(args.encoders, args.seeds, args.bands):
        for task in args.only:
            if task == "eurosat" and asked.bands == "all" and "rgb" in args.bands:
                continue  # it has no bands but these
            try:
                lines = _ASK[task](asked, args)
            except WeightsError as err:
                left_out.append(f"{task} was not asked of {asked.label}: {err}")
                continue
            records += [new_record(task, asked, line, context) for line in lines]
            if args.json is not None:
                with write_whole(args.json) as temporary:
                    temporary.write_bytes(json_lines(records))
            shown = "; ".join(f"{line.metric} {line.score}" for line in lines if line.metric in SHOWN[task])
            print(f"{task}, {asked.label}: {shown}", file=sys.stderr, flush=True)
    print(f"{json.dumps(context['machine'])}; commit {context['commit']}\n")
    for task in args.only:
        if any(record["task"] == task for record in records):
            print(task_table(records, task))
    print(*left_out, sep="\n")
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    return exit_code(lambda: _run(argv))


if __name__ == "__main__":
    sys.exit(main())
