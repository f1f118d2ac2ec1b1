"""The training loop: one step after another, from series to weights, in plain sight.

    trainer = Trainer(config, series, views, folder)
    trainer.run()

A run stands in its folder: `state.safetensors` (go on from there), `curves.csv`, `ratios.csv`, and the weights of the
query's network at its end.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from stac.errors import DataError

from .batches import Plan
from .config import PretrainConfig
from .curves import Curves, ProgressLine, curve_columns
from .looks import CHANGED, VIEWS, Looker
from .memory import ChangeMemory, Split
from .methods import Context, method_step
from .model import Model, new_model
from .ranks import Ranks
from .series import Series
from .state import STATE, check_same, momentum_of, open_state, put_module, put_momentum, save_state
from .views import Views

_DECAYS = (0.6, 0.8)
"""Parts of a run after which the step schedule takes a tenth: 120 and 160 of 200 epochs, 600 and 800 of 1,000 (CACo,
main_pretrain.py and its README)."""

_DIVERGED = "begin anew with another --lr, or --precision float32; the last checkpoint was not overwritten"

LEAST_BF16 = 32
"""Pixels of a view from which bf16 is right on a CPU. measured: torch 2.15's convolution leaves gradients unwritten
where its input is a single pixel (a bare 3 × 3 of stride 2), as layer 4's is from views of 16."""


@dataclass(frozen=True)
class RunOptions:
    """How a run is carried out; nothing here changes what it computes, save rounding."""

    folder: Path
    resume: bool = False
    """Go on with the run that stands in the folder; begin one where none does."""
    minutes: float | None = None
    """Stop after so long, ready to go on; None for never."""
    save_minutes: float = 5.0
    """Between checkpoints; one is also written at the end of every epoch that lasts longer than a tenth of this."""
    log_steps: int = 10
    """Between two points of the curves."""
    compiled: bool = False
    """Whether networks go through torch.compile."""
    tensorboard: bool = False
    notes: Mapping[str, str] | None = None
    """What the data is: must stay the same when a run goes on."""


def learning_rate(config: PretrainConfig, step: int, total: int) -> float:
    """Of a step: warm-up, then a tenth at each of `_DECAYS`, or a half cosine down to 0."""
    rate = config.lr
    if config.schedule == "cosine":
        rate *= 0.5 * (1.0 + math.cos(math.pi * step / total))
    else:
        rate *= 0.1 ** sum(step >= part * total for part in _DECAYS)
    return rate * min(1.0, (step + 1) / config.warmup) if config.warmup else rate


class Trainer:
    """A run in progress."""

    def __init__(
        self, config: PretrainConfig, series: Series, views: Views, options: RunOptions, ranks: Ranks | None = None
    ) -> None:
        """Make networks, queues and memory, or take up what was saved.

        Args:
            config: Of the run.
            series: What it learns from.
            views: Makes network input of raw images.
            options: How it is carried out.
            ranks: This process among those that train together; None for one alone.

        Raises:
            DataError: There are too few rows, batch or norm groups cannot be shared out, or a run already stands in the
                folder and is not to be resumed, or was one of other arguments.
        """
        self.config, self.series, self.views, self.options = config, series, views, options
        self.ranks = ranks or Ranks()
        self.device = series.device
        self.rows = self.ranks.rows(config.batch)
        if config.norm_groups % self.ranks.count:
            found = f"{config.norm_groups} norm groups for {self.ranks.count} processes"
            raise DataError(found, f"a multiple of {self.ranks.count}", "set --norm-groups")
        if config.precision == "bf16" and config.crop < LEAST_BF16 and self.device.type == "cpu":
            found = f"views of {config.crop} px in bf16 on a CPU"
            raise DataError(found, f"{LEAST_BF16} px, or float32", "set --crop, or --precision float32")
        self.plan = Plan(config, series.half)
        self.looker = Looker(config, series, views, self.plan, self.rows)
        self.model: Model = new_model(config, self.looker.clusters, self.device, self.ranks.count)
        self.memory = ChangeMemory(2 * series.count, config.beta, self.device)
        self.optimizer = torch.optim.SGD(
            self.model.trained(), lr=config.lr, momentum=config.sgd_momentum, weight_decay=config.weight_decay
        )
        self._runs: dict[int, Callable[[Tensor], tuple[Tensor, Tensor]]] = {
            id(branch): torch.compile(branch, dynamic=False) if options.compiled else branch
            for branch in (self.model.query, self.model.key)
        }
        self.step = 0
        self._sums = torch.zeros(config.subspaces + 3, dtype=torch.float64, device=self.device)
        self._take_up()
        self.curves: Curves | None = None
        if self.ranks.lead:
            begun = self.step if options.resume else None
            columns = curve_columns(config.subspaces)
            self.curves = Curves(options.folder, columns, step=begun, tensorboard=options.tensorboard)
        self._progress = ProgressLine(self.plan.total, start=self.step)
        self._clock = time.monotonic(), self.step

    def run(self, each: Callable[[Trainer], None] | None = None) -> bool:
        """Train to the end, or for as long as the options say.

        Args:
            each: Called at the end of every epoch.

        Returns:
            Whether the run is done.

        Raises:
            DataError: The loss is no number any more, or the device's memory does not suffice. What was saved stays.
        """
        began = saved = time.monotonic()
        while self.step < self.plan.total:
            try:
                self.train_step()
            except torch.OutOfMemoryError as err:
                raise self._out_of_memory() from err
            ends = self.step % self.plan.steps == 0 or self.step == self.plan.total
            if ends:
                self.split_memory()
            if self.step % self.options.log_steps == 0 or ends:
                self._log()
            if ends and each is not None:
                each(self)
            now = time.monotonic()
            late = self.options.minutes is not None and now - began > 60 * self.options.minutes
            late = self.ranks.agree(late, self.device) if self.options.minutes is not None else False
            if late or self.step == self.plan.total or now - saved > 60 * self.options.save_minutes:
                self.save()
                saved = time.monotonic()
            if late:
                break
        return self.step >= self.plan.total

    def close(self) -> None:
        """Write out what TensorBoard still holds, and stop reading ahead."""
        self.looker.close()
        if self.curves is not None:
            self.curves.close()

    def train_step(self) -> None:
        """One step: look, compare, learn, remember."""
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.config, self.step, self.plan.total)
        looks = self.looker.look(self.step)
        context = Context(self.config, self.model, self.memory, self.ranks, self._encode)
        outcome = method_step(context, looks)
        loss = outcome.losses.sum()
        if outcome.level is not None:
            loss = loss + self.config.level_weight * outcome.level
        if outcome.vector is not None:
            loss = loss + self.config.vector_weight * outcome.vector
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.ranks.average_gradients(self.model.trained())
        self.optimizer.step()
        if outcome.own is not None:
            self.model.queue.push(outcome.own)
        if outcome.distances is not None:
            self.memory.update(looks.item, outcome.distances)
        self.step += 1
        extra = [torch.zeros_like(loss) if part is None else part.detach() for part in (outcome.level, outcome.vector)]
        told = [*outcome.losses.detach(), *extra, torch.ones_like(loss)]
        self._sums += torch.stack(told).double()

    def _encode(self, branch: nn.Module, views: Tensor) -> tuple[Tensor, Tensor]:
        """Embeddings and projections, convolutions in the run's precision."""
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.config.precision == "bf16"):
            features, projections = self._runs[id(branch)](views)
        return features.float(), projections.float()

    def split_memory(self) -> Split | None:
        """At an epoch's end: which locations count as changed from now on; None in methods without an estimate."""
        if not bool(self.memory.seen.any()):
            return None
        split = self.memory.split(self.config.mixture)
        self.ranks.share(self.memory.label)
        if self.curves is not None:
            row = {"step": float(self.step), "epoch": float(self.step // self.plan.steps)}
            self.curves.add_split(row, self.memory, split, self.series.changed, CHANGED)
            if not split.fitted:
                sys.stderr.write(f"\nstep {self.step}: {split}\n")
        return split

    def _log(self) -> None:
        """A point of the curves, means since the last one; and the line of progress when it is due."""
        told = (self._sums / self._sums[-1].clamp_min(1)).tolist()
        losses, (level, vector) = told[: self.config.subspaces], told[-3:-1]
        self._sums.zero_()
        if not all(map(math.isfinite, losses)):
            raise DataError(
                f"a loss of {sum(losses)} at step {self.step}",
                "a number",
                _DIVERGED,
            )
        if self.curves is None:
            return
        change = float((self.memory.label == 1).float().mean())
        now, (then, before) = time.monotonic(), self._clock
        views = self.config.batch * len(VIEWS[self.config.method])
        row: dict[str, float | None] = {
            "step": self.step,
            "epoch": self.step // self.plan.steps,
            "loss": sum(losses),
            "level": level if self.config.level_weight else None,
            "vector": vector if self.config.vector_weight else None,
            "lr": self.optimizer.param_groups[0]["lr"],
            "change": change,
            "seconds": now - then,
            "views_per_s": (self.step - before) * views / max(now - then, 1e-9),
        }
        if len(losses) > 1:
            row |= {f"loss_{i}": value for i, value in enumerate(losses)}
        if self.device.type == "cuda":
            row["gpu_gib"] = torch.cuda.max_memory_allocated(self.device) / 2**30
        if self.series.changed is not None and bool(self.memory.seen.any()) and self.step % self.plan.steps == 0:
            row |= self.memory.against(self.series.changed, CHANGED)
        self.curves.add(row)
        self._clock = now, self.step
        if self._progress.due(self.step):
            self._progress.show(self.step, views, {"loss": f"{sum(losses):.3f}", "change": f"{change:.0%}"})

    def save(self) -> None:
        """Write a checkpoint in place of the last one.

        Raises:
            DataError: A parameter is no number any more.
        """
        if not self.ranks.lead:
            return
        odd = sum(not bool(p.isfinite().all()) for p in self.model.trained())
        if odd:
            raise DataError(f"{odd} parameters hold NaN or infinity", "numbers", _DIVERGED)
        parts: dict[str, Mapping[str, Tensor]] = {name: part.state_dict() for name, part in self.model.named().items()}
        parts |= {"momentum": momentum_of(self.optimizer), "memory": self.memory.state_dict()}
        parts["sums"] = {"sums": self._sums}
        save_state(self.options.folder, self.step, self.config, parts, self.options.notes or {})

    def _take_up(self) -> None:
        """Go on from a checkpoint, where the options say so."""
        if not self.options.resume:
            if (self.options.folder / STATE).exists():
                raise DataError(
                    f"a run in {self.options.folder}",
                    "an empty folder, or --resume",
                    "add --resume to go on with it, or choose another --out",
                )
            return
        if not (self.options.folder / STATE).exists():
            return
        saved = open_state(self.options.folder)
        check_same(saved, self.config, self.options.notes or {})
        for name, part in self.model.named().items():
            put_module(part, saved.part(name))
        put_momentum(self.optimizer, saved.part("momentum"))
        self.memory.load_state_dict(saved.part("memory"))
        self._sums.copy_(saved.part("sums")["sums"])
        self.step = saved.step

    def _out_of_memory(self) -> DataError:
        """What to say of it."""
        found = f"the GPU's memory does not hold a batch of {self.config.batch} rows at {self.config.crop} px"
        done = f"; step {self.step} was not done, the last checkpoint is whole"
        return DataError(found + done, "one that fits", "lower --batch or --crop, or share it out over more GPUs")
