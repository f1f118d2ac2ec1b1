"""Measure pre-training: views a second of our loop, of the networks alone, and of a loader that goes one by one.

    python bench/pretrain.py                                       # CACo, true colour: a GPU if there is one, else CPU
    python bench/pretrain.py --bands all --views spectral --queue 4096 --profile --json pretrain.json

`ours` is `Trainer.train_step` on series that lie on the device. `ceiling` is what no loop can beat: the same passes of
the same networks over views that are there already (query forward and backward, optimizer, as many keys without
gradients, the change estimate's among them), without data, augmentation, loss, queue or memory. `original` works as
CACo's code does: images one by one through Pillow and torchvision in a DataLoader with a worker a core, default
collate, then our step in float32, eager, contiguous, with its second pass of key 1; but images lie in memory, where
CACo's code reads them from disk. Spectral views of true colour have no original.

A view is an image that the method's definition sends through a network: four a row in CACo (the query and three keys),
whatever is computed beside. The three take turns, for machines are noisy; told are median, least and greatest over the
rounds, and of the ratios within each round. On a CPU also by processor seconds (`cpu`: all threads and workers), on
which other work on the machine tells less. `first_step_s` is apart: on a GPU it compiles. `memory_mib` is what our loop
takes beside the series. An epoch's end (mixture, checkpoint) is left out. Prints one JSON object. The images are noise.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, cast
from unittest import mock

import torch
from inputs import write_json
from pretrain_loader import Loaded, NoiseSeries, Original, loaders_s, settle, steps_of
from torch import Tensor, nn

from encoder.device import has_compiler, norm_device
from encoder.networks import DIMS
from encoder.pretraining import methods
from encoder.pretraining.arguments import TEN_BANDS
from encoder.pretraining.config import METHODS, PretrainConfig
from encoder.pretraining.looks import VIEWS
from encoder.pretraining.loop import RunOptions, Trainer
from encoder.pretraining.model import Model
from encoder.pretraining.views import KINDS, Views, new_config
from index.figures import read_commit
from stac.bands import RGB
from stac.cli import check_output, number, parse_args
from stac.errors import exit_code

PARTS = ("plan", "take", "views", "query", "keys", "loss", "backward", "optimizer", "follow", "remember", "rest")
"""Of a step: drawing of chance, reading, augmentation, forward passes of the query's and the key's network, forward
pass of the loss, backward pass of both, SGD, the key network's move, queue and memory."""


class Ceiling:
    """The networks' passes of one step, and nothing else."""

    def __init__(self, trainer: Trainer) -> None:
        """Take a trainer's networks, as they are compiled, and views; its weights stay as they are."""
        self._trainer, self._looks = trainer, trainer.looker.look(0)
        config, parameters = trainer.config, trainer.model.query.parameters()
        self._optimizer = torch.optim.SGD(
            parameters, lr=0.0, momentum=config.sgd_momentum, weight_decay=config.weight_decay
        )

    def step(self) -> None:
        """Once there and back."""
        model, looks, encode = self._trainer.model, self._looks, self._trainer._encode
        trained = [looks.query]
        if self._trainer.config.has_queue:
            with torch.no_grad():
                for view in (*looks.keys, *([] if looks.estimate is None else [looks.estimate])):
                    encode(model.key, view)
        else:
            trained += looks.keys
        total = torch.stack([encode(model.query, view)[1].sum() for view in trained]).sum()
        self._optimizer.zero_grad(set_to_none=True)
        total.backward()  # type: ignore[no-untyped-call]
        self._optimizer.step()


def per_second(
    step: Callable[[], None], seconds: float, wait: Callable[[], None], warm: int = 1
) -> tuple[float, float]:
    """Steps a second over some seconds, and a processor's second; it waits every ten steps, as the loop's log does."""
    for _ in range(warm):
        step()
    wait()
    count, start, spent = 0, time.perf_counter(), time.process_time() + loaders_s()
    while not count or time.perf_counter() - start < seconds:
        step()
        count += 1
        if count % 10 == 0:
            wait()
    wait()
    spent = time.process_time() + loaders_s() - spent
    return count / (time.perf_counter() - start), count / max(spent, 1e-9)


class Clock:
    """Seconds by part; a part within another counts for itself alone. The device is waited for at each change."""

    def __init__(self, wait: Callable[[], None]) -> None:
        self.seconds = dict.fromkeys(PARTS, 0.0)
        self._wait, self._within, self._last = wait, ["rest"], time.perf_counter()

    def turn(self) -> None:
        """Count what has passed for the part that runs."""
        self._wait()
        now = time.perf_counter()
        self.seconds[self._within[-1]] += now - self._last
        self._last = now

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Count what runs inside for a part."""
        self.turn()
        self._within.append(name)
        yield
        self.turn()
        self._within.pop()

    def around(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        """A function that is counted for a part."""

        def run(*args: Any, **given: Any) -> Any:
            with self.part(name):
                return call(*args, **given)

        return run


def profile(trainer: Trainer, seconds: float, wait: Callable[[], None]) -> dict[str, float]:
    """Milliseconds of a step, waits included, and its parts in per cent."""
    clock, model, encode = Clock(wait), trainer.model, trainer._encode
    calls: tuple[tuple[Any, str, str], ...] = (
        *((trainer.looker, "look", "plan"), (trainer.plan, "batch", "plan"), (trainer.series, "take", "take")),
        *((Views, "__call__", "views"), (methods, "_contrast", "loss"), (Tensor, "backward", "backward")),
        *((trainer.optimizer, "step", "optimizer"), (Model, "follow", "follow")),
        *((model.queue, "push", "remember"), (trainer.memory, "update", "remember")),
    )

    def counted(branch: nn.Module, views: Tensor) -> tuple[Tensor, Tensor]:
        with clock.part("query" if branch is model.query else "keys"):
            return encode(branch, views)

    with ExitStack() as stack:
        for owner, name, part in calls:
            stack.enter_context(mock.patch.object(owner, name, clock.around(part, getattr(owner, name))))
        stack.enter_context(mock.patch.object(trainer, "_encode", counted))
        trainer.train_step()
        clock.turn()
        clock.seconds = dict.fromkeys(PARTS, 0.0)
        whole = 1 / per_second(trainer.train_step, seconds, wait, warm=0)[0]
        clock.turn()
    total = sum(clock.seconds.values())
    return {"step_ms": round(1e3 * whole, 1)} | {name: round(100 * s / total, 1) for name, s in clock.seconds.items()}


def summary(values: Sequence[float], digits: int) -> dict[str, float]:
    """Median, least and greatest."""
    found = {"median": statistics.median(values), "least": min(values), "greatest": max(values)}
    return {name: round(value, digits) for name, value in found.items()}


def peak_mib(device: torch.device) -> float:
    """Most that tensors took on a GPU, or that the process took, MiB."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    return int(Path("/proc/self/status").read_text(encoding="utf-8").split("VmHWM:")[1].split()[0]) / 1024


def measure(config: PretrainConfig, series: NoiseSeries, folder: Path, args: argparse.Namespace) -> dict[str, Any]:
    """All figures of one setting."""
    device, before = series.device, peak_mib(series.device)
    wait = (lambda: torch.cuda.synchronize(device)) if device.type == "cuda" else (lambda: None)
    view, steps_ = new_config(config.views, series.side, config.crop), steps_of(config.bands)
    views = Views(view, steps_, config.bands, series.full, device)
    trainer = Trainer(config, series, views, RunOptions(folder / "ours", compiled=args.compiled))
    first = 1 / per_second(trainer.train_step, 0, wait, warm=0)[0]
    trainer.train_step()
    peak = peak_mib(device)
    steps = {"ours": (trainer.train_step, 1), "ceiling": (Ceiling(trainer).step, 1)}
    if config.bands != RGB or config.views == "published":
        plain, loaded = replace(config, precision="float32"), Loaded(series, config, args.workers)
        original = Original(plain, loaded, cast(Views, loaded), RunOptions(folder / "original"))
        for branch in (original.model.query, original.model.key):
            branch.to(memory_format=torch.contiguous_format)
        steps["original"] = original.train_step, 1 + 2 * args.workers  # what lay ready is used up
    count = config.batch * len(VIEWS[config.method])
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in steps}
    for _ in range(args.rounds):
        for name, (step, warm) in steps.items():
            settle()
            found[name].append(per_second(step, args.seconds, wait, warm))
    result: dict[str, Any] = {"views_a_step": count}
    for clock, word in enumerate(("", "_cpu") if device.type == "cpu" else ("",)):
        rates = {name: [rate[clock] for rate in told] for name, told in found.items()}
        result |= {f"{name}_views{word}_s": summary([count * rate for rate in told], 1) for name, told in rates.items()}
        for name in list(rates)[1:]:
            ratios = [ours / other for ours, other in zip(rates["ours"], rates[name], strict=True)]
            result[f"ours_to_{name}{word}"] = summary(ratios, 3)
    series_mib = series.images.nbytes >> 20
    result |= {"first_step_s": round(first, 2), "memory_mib": round(peak - before), "series_mib": series_mib}
    if args.profile:
        result["step"] = profile(trainer, args.seconds, wait)
    return result


def measure_here(args: argparse.Namespace) -> dict[str, Any]:
    """Figures of one setting, with their context."""
    device = torch.device(norm_device(args.device))
    cuda = device.type == "cuda"
    if args.threads is not None:
        torch.set_num_threads(args.threads)
    if args.compiled is None:
        args.compiled = cuda and has_compiler()
    names = ("method", "arch", "views", "precision", "crop", "queue")
    config = PretrainConfig(
        **{name: getattr(args, name) for name in names},
        bands=RGB if args.bands == "rgb" else TEN_BANDS,
        batch=args.batch or (256 if cuda else 64),
    )
    series = NoiseSeries(config, args.side or config.crop, device)
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(config, series, Path(folder), args)
    context = {
        "commit": read_commit(),
        "cores": os.cpu_count(),
        "machine": platform.machine(),
        "device": torch.cuda.get_device_name(device) if cuda else "CPU",
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
    }
    told = {name: getattr(config, name) for name in (*names, "batch", "bands")}
    return context | told | {"side": series.side, "compiled": args.compiled, "workers": args.workers} | figures


def _parser() -> argparse.ArgumentParser:
    """The command line."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(prog="python bench/pretrain.py", description=__doc__, formatter_class=raw)
    add = parser.add_argument
    add("--method", default="caco", choices=METHODS)
    add("--arch", default="resnet18", choices=tuple(DIMS))
    add("--bands", default="rgb", choices=("rgb", "all"), help="true colour (default), or ten bands")
    add("--views", default="published", choices=KINDS)
    add("--precision", default="bf16", choices=("bf16", "float32"), help="of ours and the ceiling (bf16)")
    add("--device", default="auto")
    add("--compile", action=argparse.BooleanOptionalAction, dest="compiled", help="default: on a GPU")
    add("--profile", action="store_true", help="also where a step's time goes")
    numbers = {"crop": 64, "side": None, "batch": None, "queue": 16384, "rounds": 5, "threads": None}
    words = {"side": "of the images (the crop's)", "batch": "rows (64 on a CPU, 256 on a GPU)", "threads": "on the CPU"}
    for name, default in numbers.items():
        kind = number(f"--{name}", int, "a whole number from 1", lambda value: value >= 1)
        add(f"--{name}", type=kind, default=default, metavar="N", help=words.get(name, f"default: {default}"))
    workers = number("--workers", int, "a whole number from 0", lambda value: value >= 0)
    add("--workers", type=workers, default=os.cpu_count(), metavar="N", help="of the original (as many as cores)")
    seconds = number("--seconds", float, "seconds above 0, at most 3600", lambda value: 0 < value <= 3600)
    add("--seconds", type=seconds, default=8.0, metavar="S", help="of each measurement, in each round (8)")
    add("--json", type=Path, metavar="FILE")
    return parser


def _run(argv: Sequence[str] | None) -> int:
    """Check the arguments, measure, print and write."""
    args = parse_args(_parser(), argv)
    if args.json is not None:
        check_output(args.json, "--json")
    result = measure_here(args)
    print(json.dumps(result, indent=1))
    write_json(args.json, result)
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    return exit_code(lambda: _run(argv))


if __name__ == "__main__":
    sys.exit(main())
