"""The runs of `change.py`: what each is, the series it learns from, its training, and its figures as they come.

Needs only what the bare machines have that train (torch, NumPy, safetensors, timm).
"""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from encoder.pretrain import WEIGHTS, run_spec, steps_for
from encoder.pretraining.config import PAIRED, PretrainConfig, config_to_json
from encoder.pretraining.curves import EDGES, RATIOS, read_curves
from encoder.pretraining.loop import RunOptions, Trainer
from encoder.pretraining.measure import NORMS, measure_change
from encoder.pretraining.memory import FIGURES
from encoder.pretraining.series import DrawnSeries
from encoder.pretraining.state import STATE, check_same, open_state
from encoder.pretraining.views import Views, new_config
from encoder.stream import SimulatedStream, StreamConfig
from encoder.stream_country import Country
from encoder.weights import save_weights
from stac.files import write_whole

Record = dict[str, Any]

QUIET, EVENTFUL = 0.1, 0.5
"""Part of a pool's locations that hold a change. assumed: what a place at random, and one near where people build, are
to each other; the second is the stream's default."""

HELD_SEED = 1_000_003
"""Of the stream that is measured on; training pools have the runs' own seeds, which are smaller."""

LOG = "change.jsonl"


@dataclass(frozen=True)
class Arm:
    """One kind of run."""

    method: str
    changed: float
    """Part of the pool's locations that hold a change."""
    one_year: bool
    """Whether it sees the dates of the recent half alone."""
    words: str


ARMS = {
    "seco-quiet": Arm("seco", QUIET, True, "SeCo: dates of one year, uneventful country"),
    "seco-year": Arm("seco", EVENTFUL, True, "+ sampling: the same, eventful country"),
    "teco": Arm("teco", EVENTFUL, False, "+ long-term contrast: two halves, four years apart"),
    "caco": Arm("caco", EVENTFUL, False, "+ change-aware: gated by the change estimate"),
    "seco": Arm("seco", EVENTFUL, False, "SeCo's loss on the ten dates of teco and caco"),
}
"""Name → kind of run: CACo's ablation (CVPR 2023, table 6) in its order, then what stands beside it."""


@dataclass(frozen=True, eq=False)
class Held:
    """What all runs are measured on."""

    series: DrawnSeries
    words: str
    every: int
    """Steps between two measurements, at least."""

    @property
    def locations(self) -> Tensor:
        """All of them."""
        return torch.arange(self.series.count)


@dataclass(frozen=True)
class Run:
    """One run."""

    name: str
    """One of `ARMS`."""
    config: PretrainConfig
    folder: Path
    pool: str
    """What it learns from, in words: must stay the same when it goes on."""

    @property
    def label(self) -> str:
        """As its folder is called."""
        return self.folder.name


class Pixels(nn.Module):
    """What needs no network: a view of 8 × 8 means, every band's, as features and as its one projection."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Features (B, 64 C) and projections (1, B, 64 C) of views (B, C, H, W)."""
        values = functional.adaptive_avg_pool2d(x, 8).flatten(1)
        return values, values[None]


def new_series(country: Country, config: PretrainConfig, count: int, changed: float, seed: int) -> DrawnSeries:
    """Draw series of a run's size from a country, on the country's device."""
    settings = StreamConfig(
        country.config,
        chip_size=config.crop,
        dates=10,
        batch=min(64, count),
        changed=changed,
        clear=True,
        seed=seed,
        plan="halves",
    )
    return DrawnSeries(SimulatedStream(settings, country.hidden.device, country=country), count, config.bands)


def recent_half(series: DrawnSeries) -> DrawnSeries:
    """The same series without the older half's dates; images are shared."""
    half = copy.copy(series)
    half.half = torch.where(series.half == 1, series.half, -1)
    return half


def views_of(config: PretrainConfig, series: DrawnSeries) -> Views:
    """Views of a run, from series of its size."""
    shape = new_config(config.views, series.side, config.crop)
    return Views(shape, steps_for(config.bands), config.bands, series.full, series.device)


def read_log(path: Path) -> list[Record]:
    """Figures of a run; a last line that was not finished is passed over."""
    if not path.is_file():
        return []
    lines = path.read_text(encoding="utf-8").split("\n")[:-1]
    return [json.loads(line) for line in lines]


def check_run(run: Run) -> None:
    """Refuse to go on with another run than was begun in the folder.

    Raises:
        DataError: It was one of other arguments, or is damaged.
    """
    if (run.folder / STATE).is_file():
        check_same(open_state(run.folder), run.config, {"data": run.pool})


def is_finished(run: Run) -> bool:
    """Whether a run has come to its end."""
    return any(record["what"] == "run" for record in read_log(run.folder / LOG))


class Journal:
    """A run's figures, one JSON object a line, each written when it is known."""

    def __init__(self, run: Run, trainer: Trainer, context: Mapping[str, Any]) -> None:
        """Go on after the last figure that the checkpoint knows of."""
        self._path, self._trainer = run.folder / LOG, trainer
        said = {"arm": run.name, "method": run.config.method, "seed": run.config.seed, "pool": run.pool}
        self._said = {**said, "batch": run.config.batch, "steps": trainer.plan.total, **context}
        kept = [record for record in read_log(self._path) if record["step"] <= trainer.step]
        with write_whole(self._path) as temporary:
            temporary.write_text("".join(json.dumps(record) + "\n" for record in kept), encoding="utf-8")
        self.last = max((record["step"] for record in kept if record["what"] == "change"), default=-1)
        """Step of the last measurement; -1 where there is none."""

    def add(self, what: str, record: Mapping[str, Any]) -> None:
        """Add a figure."""
        step = self._trainer.step
        at = {"step": step, "rows": step * self._said["batch"], "epoch": round(step / self._trainer.plan.steps, 4)}
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"what": what, **at, **record, **self._said}) + "\n")
        self.last = step if what == "change" else self.last


def train(run: Run, pool: DrawnSeries, held: Held, context: Mapping[str, Any], minutes: float | None) -> bool:
    """Train a run to its end, or for as long as there is, and measure it.

    A measurement is taken before the first step, at ends of epochs, and at the end: then of both networks and both
    kinds of batch norm, with histograms. Epochs of seco have half the rows: every second one of theirs is measured.

    Args:
        run: Begun or not.
        pool: What it learns from.
        held: What it is measured on.
        context: What else every figure says.
        minutes: None for as long as it takes.

    Returns:
        Whether it is done.

    Raises:
        DataError: As the trainer raises it.
    """
    series = recent_half(pool) if ARMS[run.name].one_year else pool
    options = RunOptions(run.folder, (run.folder / STATE).is_file(), minutes, notes={"data": run.pool})
    trainer = Trainer(run.config, series, views_of(run.config, series), options)
    journal, views = Journal(run, trainer, context), views_of(run.config, held.series)
    every = max(held.every, 2 * pool.count // run.config.batch)

    def measure(branch: str, norm: str, last: bool) -> None:
        network = getattr(trainer.model, branch)
        found = measure_change(network, held.series, views, held.locations, norm=norm, histograms=last)
        journal.add("change", {"branch": branch, "last": last, **found})

    def each(trainer: Trainer) -> None:
        if trainer.step - journal.last >= every and trainer.step < trainer.plan.total:
            measure("key", "running", False)

    if journal.last < 0:
        for norm in NORMS:
            measure("key", norm, False)
    if not trainer.run(each):
        return False
    for branch in ("key", "query"):
        for norm in NORMS:
            measure(branch, norm, True)
    if run.config.method in PAIRED:
        journal.add("memory", read_memory(run.folder))
    save_backbone(run, trainer)
    journal.add("run", {"weights": WEIGHTS, "config": config_to_json(trainer.config)})
    return True


def read_memory(folder: Path) -> Record:
    """The last split of a run's change memory: histograms of the training rows' smoothed ratios, and its figures."""
    table = read_curves(folder / RATIOS)
    last = table["step"] == table["step"].max()
    whole, changed, same = (last & here for here in _by_truth(table["truth"]))
    names = [f"{edge:.2f}" for edge in EDGES]
    numbers = {name: float(table[name][whole][0]) for name in ("rows", "flagged", *FIGURES)}
    histograms = {
        name: [int(table[edge][rows][0]) for edge in names]
        for name, rows in (("unchanged", same), ("changed", changed))
        if rows.any()
    }
    found: Record = {name: value if math.isfinite(value) else None for name, value in numbers.items()}
    return {**found, "ratio_histogram": histograms}


def _by_truth(truth: Any) -> Sequence[Any]:
    """Lines of all rows, of the changed and of the unchanged ones."""
    return truth != truth, truth == 1, truth == 0


def save_backbone(run: Run, trainer: Trainer) -> Path:
    """Write the query's backbone as weights, as `encoder.pretrain` does."""
    config = trainer.config
    spec = run_spec(run.label, config, steps_for(config.bands), run.pool, trainer.step)
    return save_weights(run.folder / WEIGHTS, spec, trainer.model.query.network.state_dict())


def measure_pixels(config: PretrainConfig, held: Held, context: Mapping[str, Any]) -> Record:
    """The same figures of what needs no network: what a change ratio of the pixels themselves knows."""
    found = measure_change(Pixels(), held.series, views_of(config, held.series), held.locations)
    return {"what": "change", "arm": "pixels", "seed": None, "branch": "none", "last": True, **found, **context}
