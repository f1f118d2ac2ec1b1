"""Speed of pre-training: what is counted, what the loader and the ceiling do, and that the command runs."""

from __future__ import annotations

import importlib
import json
import multiprocessing
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from encoder.normalization import Normalizer
from encoder.pretraining.batches import Plan
from encoder.pretraining.config import PretrainConfig
from encoder.pretraining.loop import RunOptions, Trainer
from encoder.pretraining.model import Model
from encoder.pretraining.views import Views, new_config
from stac.bands import RGB

TINY = PretrainConfig(batch=4, queue=8, crop=16, projection=8, precision="float32")
CPU = torch.device("cpu")


@pytest.fixture
def bench(root: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(root / "bench"))
    module = importlib.import_module("pretrain")
    monkeypatch.setattr(part(module.NoiseSeries), "BYTES", 1 << 17)
    return module


def part(thing: Any) -> Any:
    """The module that something stands in."""
    return sys.modules[thing.__module__]


def new_trainer(bench: Any, folder: Path, config: PretrainConfig = TINY) -> Trainer:
    series = bench.NoiseSeries(config, 16, CPU)
    views = Views(new_config("published", 16, 16), bench.steps_of(RGB), RGB, series.full, CPU)
    return Trainer(config, series, views, RunOptions(folder))


def passes(trainer: Trainer, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, bool]]:
    """Which network each pass goes through from now on, and whether gradients are kept."""
    told, encode = [], trainer._encode

    def counted(branch: nn.Module, views: Tensor) -> tuple[Tensor, Tensor]:
        told.append(("query" if branch is trainer.model.query else "key", torch.is_grad_enabled()))
        return encode(branch, views)

    monkeypatch.setattr(trainer, "_encode", counted)
    return told


def test_series_are_those_that_the_loop_reads(bench: Any) -> None:
    series = bench.NoiseSeries(TINY, 16, CPU)
    location, date = torch.tensor([2, 0]), torch.tensor([[1, 9, 3], [4, 4, 0]])
    taken = series.take(location, date)
    assert taken.dtype == torch.int16
    assert taken.shape == (2, 3, 3, 16, 16)
    assert torch.equal(taken[1, 2], series.images[0, 0])
    assert torch.equal(taken[0, 1], series.images[2, 9])
    assert int(series.images.min()) > 0
    assert Plan(TINY, series.half).left_out == 0


@pytest.mark.parametrize("method", ["caco", "moco", "simclr"])
def test_ceiling_makes_the_passes_of_a_step(
    method: str, bench: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = new_trainer(bench, tmp_path, replace(TINY, method=method))
    ceiling, told = bench.Ceiling(trainer), passes(trainer, monkeypatch)
    before = [p.detach().clone() for p in trainer.model.trained()]
    ceiling.step()
    bare = sorted(told)
    gradients = [p.grad for p in trainer.model.query.parameters()]
    assert all(g is not None and bool(g.any()) for g in gradients[:1])
    assert all(torch.equal(a, b) for a, b in zip(before, trainer.model.trained(), strict=True))
    told.clear()
    trainer.train_step()
    assert sorted(told) == bare
    assert any(not torch.equal(a, b) for a, b in zip(before, trainer.model.trained(), strict=True))


def test_loader_opens_the_dates_of_the_row(bench: Any) -> None:
    series = bench.NoiseSeries(replace(TINY, views="spectral", bands=bench.TEN_BANDS), 16, CPU)
    rows = part(bench.Loaded).OneByOne(series.images, replace(TINY, views="spectral", bands=bench.TEN_BANDS))
    rows._plain, rows._augmented = (lambda raw: ("plain", raw)), (lambda raw: ("augmented", raw))
    found = rows[(1, (3, 7, 5))]
    assert [name for name, _ in found] == ["plain", "augmented", "plain", "augmented"]
    for (_, raw), date in zip(found, (3, 7, 5, 3), strict=True):
        assert torch.equal(raw, series.images[1, date])


@pytest.mark.parametrize("bands", ["rgb", "ten"])
def test_loader_normalizes_as_the_loop_does(bands: str, bench: Any) -> None:
    names = RGB if bands == "rgb" else bench.TEN_BANDS
    config = replace(TINY, bands=names)
    level = torch.arange(len(names))[None, :, None, None] * 50 + 333
    images = level.expand(1, -1, 20, 20).to(torch.int16)[None]
    views = part(bench.Loaded).OneByOne(images, config)[(0, (0, 0, 0))]
    wanted = Normalizer(bench.steps_of(names), names)(level.float().expand(1, -1, 16, 16))[0]
    for view in views:
        assert view.dtype == torch.float32
        assert view.shape == wanted.shape
    for plain in (views[0], views[2]):
        torch.testing.assert_close(plain, wanted, atol=1e-4, rtol=0)


def test_original_trains_on_the_plan_and_encodes_key_1_twice(
    bench: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[int, tuple[int, ...]]] = []
    kind = part(bench.Loaded).OneByOne
    make = kind.__getitem__
    monkeypatch.setattr(kind, "__getitem__", lambda rows, where: asked.append(where) or make(rows, where))
    loaded = bench.Loaded(bench.NoiseSeries(TINY, 16, CPU), TINY, 0)
    original = bench.Original(TINY, loaded, loaded, RunOptions(tmp_path))
    told = passes(original, monkeypatch)
    original.train_step()
    original.train_step()
    wanted = []
    for step in range(2):
        batch = original.plan.batch(step)
        wanted += list(zip(batch.location.tolist(), map(tuple, batch.dates.tolist()), strict=True))
    assert asked == wanted
    assert told.count(("key", False)) == 2 * 5
    assert told.count(("query", True)) == 2
    seen = original.memory.seen.nonzero().flatten().tolist()
    assert sorted({place // 2 for place in seen}) == sorted({location for location, _ in asked})


def test_clock_counts_inner_parts_once(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter([0.0, 1.0, 3.0, 7.0, 15.0])
    monkeypatch.setattr(bench.time, "perf_counter", lambda: next(now))
    clock = bench.Clock(lambda: None)
    with clock.part("plan"):
        clock.around("take", lambda: None)()
    assert {name: spent for name, spent in clock.seconds.items() if spent} == {
        "rest": 1.0,
        "plan": 2.0 + 8.0,
        "take": 4.0,
    }


def test_summary_is_of_all_rounds(bench: Any) -> None:
    assert bench.summary([3.04, 1.0, 2.0, 9.0], 1) == {"median": 2.5, "least": 1.0, "greatest": 9.0}


def test_rate_leaves_warming_up_out(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    clock, spent = [0.0], iter([100.0, 100.0, *[0.5] * 50])

    def step() -> None:
        clock[0] += next(spent)

    monkeypatch.setattr(bench.time, "perf_counter", lambda: clock[0])
    monkeypatch.setattr(bench.time, "process_time", lambda: clock[0] / 10)
    monkeypatch.setattr(bench, "loaders_s", lambda: clock[0] / 10)
    assert bench.per_second(step, 4.0, lambda: None, warm=2) == pytest.approx((2.0, 10.0))


def test_measurement_waits_until_workers_rest(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    spent, slept = iter([5.0, 5.2, 5.3, 5.31, 9.0]), []
    monkeypatch.setattr(part(bench.settle), "loaders_s", lambda: next(spent))
    monkeypatch.setattr(bench.time, "sleep", slept.append)
    bench.settle()
    assert next(spent) == 9.0
    assert len(slept) == 3


def test_workers_time_is_counted(bench: Any) -> None:
    assert bench.loaders_s() == 0.0
    worker = multiprocessing.get_context("fork").Process(target=_work, daemon=True)
    worker.start()
    try:
        end = time.monotonic() + 10
        while not (found := bench.loaders_s()) and time.monotonic() < end:
            time.sleep(0.02)
        assert 0 < found <= 60
    finally:
        worker.kill()
        worker.join()


def _work() -> None:
    while True:
        pass


def test_profile_adds_up_and_leaves_no_trace(bench: Any, tmp_path: Path) -> None:
    trainer, backward, follow = new_trainer(bench, tmp_path), Tensor.backward, Model.follow
    own = set(vars(trainer))
    told = bench.profile(trainer, 0.0, lambda: None)
    assert sum(told[part] for part in bench.PARTS) == pytest.approx(100, abs=1)
    assert min(told[part] for part in ("views", "query", "keys", "loss", "backward", "optimizer")) > 0
    assert told["keys"] > told["query"]
    assert set(vars(trainer)) == own
    assert (Tensor.backward, Model.follow) == (backward, follow)


@pytest.mark.parametrize("original", [True, False])
def test_command_measures(original: bool, bench: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "told.json"
    given = ["--bands", "all", "--profile"] if original else []
    sizes = ["--batch", "4", "--queue", "8", "--crop", "16", "--seconds", "0.01", "--rounds", "1"]
    kind = ["--device", "cpu", "--precision", "float32", "--views", "spectral", "--workers", "0"]
    command = [*kind, *sizes, "--json", str(file), *given]
    assert bench.main(command) == 0
    told = json.loads(file.read_text())
    assert told == json.loads(capsys.readouterr().out)
    assert ("original_views_s" in told, "step" in told) == (original, original)
    assert told["views_a_step"] == 16
    for name in ["ceiling", "original"][: 1 + original]:
        ratio = told["ours_views_s"]["median"] / told[f"{name}_views_s"]["median"]
        assert told[f"ours_to_{name}"]["median"] == pytest.approx(ratio, rel=0.02)
    assert (told["device"], told["side"], told["compiled"]) == ("CPU", 16, False)


@pytest.mark.parametrize(
    ("given", "word"),
    [
        (["--batch", "6", "--queue", "64"], "queue of 64"),
        (["--seconds", "0"], "--seconds 0"),
        (["--json", "."], "--json"),
        (["--bands", "B04"], "--bands"),
    ],
)
def test_bad_arguments_are_refused_before_any_work(
    given: list[str], word: str, bench: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench, "measure", lambda *args: pytest.fail("measured"))
    try:
        code = bench.main(["--device", "cpu", *given])
    except SystemExit as err:
        code = err.code
    told = capsys.readouterr().err
    assert code == 2
    assert word in told
    assert told.count("\n") == 1
