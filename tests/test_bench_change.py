"""The ablation's command on tiny runs: what it trains and measures, how it goes on; and its page from known figures."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import pytest
import torch

from encoder.pretraining.batches import Plan
from encoder.pretraining.state import open_state
from encoder.stream_country import CountryConfig
from encoder.stream_pack import make_pieces, save_country
from stac.errors import DataError

TINY = ["--crop", "16", "--series", "32", "--held", "16", "--batch", "16", "--queue", "32", "--precision", "float32"]


@pytest.fixture(autouse=True)
def _bench(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(root / "bench"))


def bench(name: str) -> Any:
    return importlib.import_module(name)


@pytest.fixture(scope="module")
def grounds(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Arguments for two small packs of grounds, one to train on and one to measure on."""
    folder, words = tmp_path_factory.mktemp("grounds"), []
    for flag, seed in (("--country", 3), ("--held-country", 4)):
        config = CountryConfig(biomes=("temperate",), ground_px=128, changes=8, years=6, seed=seed)
        path = folder / f"{seed}.safetensors"
        save_country(path, list(make_pieces(config, 1)), config)
        words += [flag, str(path)]
    return words


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def asked(tmp_path: Path, grounds: list[str], *more: str) -> list[str]:
    return [*grounds, "--work", str(tmp_path / "work"), "--json", str(tmp_path / "out.jsonl"), *TINY, *more]


@pytest.mark.slow
def test_runs_are_trained_measured_and_not_trained_twice(
    tmp_path: Path, grounds: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    argv = asked(tmp_path, grounds, "--runs", "seco-quiet", "caco", "--seeds", "1", "--steps", "6")
    assert bench("change").main(argv) == 0
    assert "2 of 2 runs are finished\n" in capsys.readouterr().out
    found = read(tmp_path / "out.jsonl")
    assert found[0]["arm"] == "pixels"
    measured = {
        arm: [(r["step"], r["branch"], r["norm"]) for r in found if r["arm"] == arm and r["what"] == "change"]
        for arm in ("seco-quiet", "caco")
    }
    end = [(6, branch, norm) for branch in ("key", "query") for norm in ("running", "batch")]
    start = [(0, "key", "running"), (0, "key", "batch")]
    # an epoch of caco has 4 steps, one of seco 2: both are measured after 4
    whole = [*start, (4, "key", "running"), *end]
    assert measured == {"seco-quiet": whole, "caco": whole}
    last = next(r for r in found if r["arm"] == "caco" and r["last"] and r["branch"] == "key")
    assert (last["rows"], last["locations"], last["epoch"], last["simulated"]) == (96, 16, 1.5, True)
    assert sum(sum(part) for part in last["projection"]["ratio_histogram"].values()) == 16
    memory = [r for r in found if r["what"] == "memory"]
    assert [r["arm"] for r in memory] == ["caco"]
    assert sum(sum(part) for part in memory[0]["ratio_histogram"].values()) == 64 == memory[0]["rows"]
    assert {r["pool"].split(", ")[2] for r in found if r.get("pool")} == {"changed 0.1", "changed 0.5"}
    assert [r["config"]["method"] for r in found if r["what"] == "run"] == ["seco", "caco"]
    state = (tmp_path / "work" / "caco-1" / "state.safetensors").stat().st_mtime_ns
    assert bench("change").main(argv) == 0
    assert (tmp_path / "work" / "caco-1" / "state.safetensors").stat().st_mtime_ns == state
    assert read(tmp_path / "out.jsonl") == found
    assert bench("change").main([*argv, "--lr", "0.5"]) == 2
    assert "lr 0.03 → 0.5" in capsys.readouterr().err


@pytest.mark.slow
def test_a_run_that_was_stopped_ends_with_the_same_figures(
    tmp_path: Path, grounds: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    def run(folder: str, *more: str) -> list[dict[str, Any]]:
        argv = asked(tmp_path / folder, grounds, "--runs", "teco", "--seeds", "0", "--steps", "6", *more)
        assert bench("change").main(argv) == 0
        return read(tmp_path / folder / "out.jsonl")

    whole = run("whole")
    begun = run("parts", "--minutes", "1e-9")
    assert "0 of 1 runs are finished; go on with the same command: teco-0" in capsys.readouterr().out
    assert [r["arm"] for r in begun] == ["pixels"]
    folder = tmp_path / "parts" / "work" / "teco-0"
    change_runs, change = bench("change_runs"), bench("change")
    trained = change_runs.Trainer.run

    def short(self: Any, each: Any) -> bool:
        for _ in range(5):
            self.train_step()
            if self.step == 4:
                self.split_memory()
                self._log()
                each(self)
                self.save()
        each(self)  # measured, and then lost
        return False

    change_runs.Trainer.run = short
    try:
        run("parts")
    finally:
        change_runs.Trainer.run = trained
    assert open_state(folder).step == 4
    with (folder / change.LOG).open("a") as log:
        log.write('{"what": "cha')  # killed while it wrote
    again = run("parts")
    for one, other in zip(whole, again, strict=True):
        if one["what"] != "run":
            assert one == other


def test_one_year_is_the_recent_half_alone(grounds: list[str]) -> None:
    change_runs = bench("change_runs")
    country = bench("change").open_country(Path(grounds[1]))
    config = change_runs.PretrainConfig(method="seco", batch=16, crop=16, queue=32)
    series = change_runs.new_series(country, config, 16, 0.5, 2)
    half = change_runs.recent_half(series)
    assert series.half.unique().tolist() == [0, 1]
    assert half.half[:, :5].unique().tolist() == [-1]
    assert torch.equal(half.half[:, 5:], series.half[:, 5:])
    assert int(Plan(config, half.half).batch(0).dates.min()) >= 5


def test_pixels_are_a_branch() -> None:
    features, projections = bench("change_runs").Pixels()(torch.rand(3, 4, 16, 16))
    assert features.shape == (3, 256)
    assert torch.equal(projections[0], features)


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (["--bands", "B99"], "correct --bands"),
        (["--mixture", "otsu"], "--mixture otsu"),
        (["--batch", "15", "--queue", "30"], "splits a location's two halves"),
        (["--country", "no.safetensors"], "no.safetensors"),
        (["--also", "fires", "--real", "nowhere"], "name it with --real"),
        (["--seeds", "1000003"], "from 0 to 1000002"),
    ],
)
def test_bad_input_is_one_sentence(
    tmp_path: Path, grounds: list[str], capsys: pytest.CaptureFixture[str], more: list[str], told: str
) -> None:
    argv = asked(tmp_path, grounds, "--runs", "caco", "--seeds", "0", *more)
    try:
        code = bench("change").main(argv)
    except SystemExit as err:
        code = err.code
    assert code == 2
    error = capsys.readouterr().err
    assert told in error
    assert error.count("\n") == 1


def test_grounds_to_measure_on_are_others(tmp_path: Path, grounds: list[str]) -> None:
    change = bench("change")
    args = change._start(asked(tmp_path, grounds, "--held-country", grounds[1]))
    with pytest.raises(DataError, match="two seeds"):
        change.open_countries(args, torch.device("cpu"))
