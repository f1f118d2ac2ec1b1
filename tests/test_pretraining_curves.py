"""A run's tables read back as written, survive a stop, and the line of progress says what it should."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from encoder.pretraining.curves import (
    CURVES,
    EDGES,
    RATIO_COLUMNS,
    RATIOS,
    TIMED,
    Curves,
    ProgressLine,
    curve_columns,
    ratio_histogram,
    read_curves,
)
from encoder.pretraining.memory import FIGURES, ChangeMemory, Split
from stac.errors import DataError

COLUMNS = ("step", "epoch", "loss", "lr")


def _memory(ratios: list[float], unseen: int = 2) -> tuple[ChangeMemory, Split]:
    """A memory that has seen rows with these ratios and not the last ones, just split."""
    memory = ChangeMemory(len(ratios) + unseen)
    values = torch.tensor(ratios)[:, None].expand(-1, 3)
    memory.update(torch.arange(len(ratios)), values)
    return memory, memory.split()


def _row(step: int) -> dict[str, float | None]:
    return {"step": step, "epoch": step // 4, "loss": 20 / step, "lr": 0.03}


def _go(curves: Curves, steps: range) -> None:
    """A run: rows, and a split every fourth step."""
    for step in steps:
        curves.add(_row(step))
        if step % 4 == 0:
            memory, split = _memory([1.0, 1.1, 1.2, 1.3, 2.0 + step / 10, 2.1 + step / 10])
            curves.add_split({"step": step, "epoch": step // 4}, memory, split, torch.tensor([0.0, 0.0, 0.4, 0.0]))


def test_rows_read_back_as_they_were_added(tmp_path: Path) -> None:
    losses = [torch.tensor(value).item() for value in (18.912345, 1e-7, 3.4e38, -0.0)]
    curves = Curves(tmp_path, COLUMNS)
    for step, loss in enumerate(losses, start=1):
        curves.add({"step": step, "loss": loss, "lr": None})
    curves.add({"step": 2**53, "loss": float("nan"), "epoch": True})
    read = read_curves(tmp_path / CURVES)
    assert tuple(read) == COLUMNS
    assert read["step"].tolist() == [1, 2, 3, 4, 2**53]
    assert read["loss"][:4].astype(np.float32).tolist() == losses
    assert np.isnan(read["loss"][4])
    assert np.isnan(read["lr"]).all()
    assert read["epoch"][4] == 1
    assert (tmp_path / CURVES).read_text().splitlines()[1].startswith("1,,18.9123")


def test_a_row_is_on_file_at_once_and_half_a_row_is_passed_over(tmp_path: Path) -> None:
    curves = Curves(tmp_path, COLUMNS)
    curves.add(_row(1))
    with (tmp_path / CURVES).open("a") as file:
        file.write("2,0,10")
    assert read_curves(tmp_path / CURVES)["step"].tolist() == [1]


def test_a_resumed_run_ends_with_the_files_of_one_that_was_not_stopped(tmp_path: Path) -> None:
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    _go(Curves(whole, COLUMNS), range(1, 17))
    _go(Curves(stopped, COLUMNS), range(1, 14))  # its last checkpoint was at step 8
    for name in (CURVES, RATIOS):
        with (stopped / name).open("a") as file:
            file.write("14,3,0.")
    _go(Curves(stopped, COLUMNS, step=8), range(9, 17))
    for name in (CURVES, RATIOS):
        assert (stopped / name).read_bytes() == (whole / name).read_bytes()
    assert read_curves(stopped / RATIOS)["step"].tolist() == [4] * 3 + [8] * 3 + [12] * 3 + [16] * 3


def test_resuming_where_no_table_is_begins_one(tmp_path: Path) -> None:
    Curves(tmp_path, COLUMNS, step=8).add(_row(9))
    assert read_curves(tmp_path / CURVES)["step"].tolist() == [9]


def test_a_new_run_begins_anew(tmp_path: Path) -> None:
    _go(Curves(tmp_path, COLUMNS), range(1, 6))
    Curves(tmp_path, ("step", "other"))
    assert (tmp_path / CURVES).read_text() == "step,other\n"
    assert read_curves(tmp_path / RATIOS)["step"].size == 0


def test_other_columns_and_damage_are_told(tmp_path: Path) -> None:
    _go(Curves(tmp_path, COLUMNS), range(1, 6))
    before = (tmp_path / CURVES).read_text()
    with pytest.raises(DataError, match=r"curves\.csv has other columns than this run writes: loss_1"):
        Curves(tmp_path, (*COLUMNS, "loss_1"), step=4)
    with pytest.raises(DataError, match="their order"):
        Curves(tmp_path, ("step", "loss", "epoch", "lr"), step=4)
    assert (tmp_path / CURVES).read_text() == before
    for damage in ("x,0,1,2\n", "3,0,1\n", "3,0,1,0x\n", "\n"):
        (tmp_path / CURVES).write_text(before + damage)
        with pytest.raises(DataError, match=r"line 7 of .*curves\.csv is not a row"):
            read_curves(tmp_path / CURVES)


@pytest.mark.parametrize("row", [{"epoch": 1}, {"step": None}, {"step": 1, "los": 2.0}])
def test_a_row_that_the_table_does_not_know_is_a_bug(row: dict[str, float | None], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="a row without a step, or with unknown columns"):
        Curves(tmp_path, COLUMNS).add(row)


def test_columns_of_a_method_have_one_loss_a_subspace() -> None:
    assert {"loss_0", "loss_1", "loss_2"} < set(curve_columns(3))
    assert not [name for name in curve_columns(1) if name.startswith("loss_")]
    assert curve_columns(3)[0] == "step"
    assert set(TIMED) < set(curve_columns(1))


def test_a_ratio_falls_in_the_bin_that_begins_at_or_below_it() -> None:
    assert (EDGES.size, EDGES[-1]) == (151, 3.0)
    np.testing.assert_array_equal(ratio_histogram(EDGES), 1)
    np.testing.assert_array_equal(ratio_histogram(EDGES + 0.0199), 1)
    assert ratio_histogram(np.array([3.0, 7.5, 20_000.0]))[-1] == 3
    ratios = np.random.default_rng(0).gamma(9, 0.15, 5000)
    expected, _ = np.histogram(ratios, bins=[*EDGES, np.inf])
    np.testing.assert_array_equal(ratio_histogram(ratios), expected)
    assert ratio_histogram(np.zeros(0)).tolist() == [0] * 151


def test_ratios_are_split_by_truth(tmp_path: Path) -> None:
    ratios = [1.0, 1.01, 1.02, 1.05, 2.0, 2.1, 1.03, 2.2]
    memory, split = _memory(ratios)
    changed = torch.tensor([0.0, 0.0, 0.3, 0.02, 0.9])  # the last one has not been seen
    Curves(tmp_path, COLUMNS).add_split({"step": 7, "epoch": 1}, memory, split, changed, least=0.01)
    read = read_curves(tmp_path / RATIOS)
    assert tuple(read) == RATIO_COLUMNS
    assert np.isnan(read["truth"][0])
    assert read["truth"][1:].tolist() == [0, 1]
    assert read["rows"].tolist() == [8, 4, 4]
    assert read["flagged"] == pytest.approx([3 / 8, 0, 3 / 4])
    counts = np.array([read[f"{edge:.2f}"] for edge in EDGES])
    np.testing.assert_array_equal(counts[:, 0], counts[:, 1] + counts[:, 2])
    np.testing.assert_array_equal(counts[:, 2], ratio_histogram(np.float32([2.0, 2.1, 1.03, 2.2]).astype(float)))
    figures = split.figures()
    assert tuple(figures) == FIGURES
    assert [read[name][0] for name in FIGURES] == pytest.approx(list(figures.values()), rel=1e-8)
    assert all(np.isnan(read[name][1:]).all() for name in FIGURES)


def test_a_split_that_failed_leaves_its_figures_empty(tmp_path: Path) -> None:
    memory, split = _memory([1.0, 1.0])
    Curves(tmp_path, COLUMNS).add_split({"step": 7, "epoch": 1}, memory, split)
    read = read_curves(tmp_path / RATIOS)
    assert (read["rows"].tolist(), read["fitted"].tolist(), read["1.00"].tolist()) == ([2], [0], [2])
    assert np.isnan(read["crossing"]).all()
    memory, split = _memory([])
    Curves(tmp_path, COLUMNS).add_split({"step": 7, "epoch": 1}, memory, split)
    assert np.isnan(read_curves(tmp_path / RATIOS)["flagged"]).all()


def test_tensorboard_that_is_not_there_is_told_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(DataError, match=r"TensorBoard is not installed here .*install it, or run without it"):
        Curves(tmp_path, COLUMNS, tensorboard=True)
    assert list(tmp_path.iterdir()) == []
    Curves(tmp_path, COLUMNS)


@pytest.mark.parametrize(("step", "purged"), [(None, 0), (8, 9)])
def test_tensorboard_gets_the_same_numbers(
    step: int | None, purged: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[object, ...]] = []

    class Writer:
        def __init__(self, folder: str, purge_step: int) -> None:
            told.append((folder, purge_step))

        def add_scalar(self, name: str, value: float, at: int) -> None:
            told.append((name, value, at))

        def add_histogram(self, name: str, values: np.ndarray, at: int) -> None:
            told.append((name, values.size, at))

        def close(self) -> None:
            told.append(("closed",))

    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", SimpleNamespace(SummaryWriter=Writer))
    curves = Curves(tmp_path, COLUMNS, step=step, tensorboard=True)
    curves.add({"step": 9, "loss": 2.5, "lr": None})
    curves.add_split({"step": 9, "epoch": 2}, *_memory([]))  # TensorBoard refuses an empty histogram
    curves.add_split({"step": 9, "epoch": 2}, *_memory([1.0, 2.0]))
    curves.close()
    folder = str(tmp_path / "tensorboard")
    assert told == [(folder, purged), ("loss", 2.5, 9), ("ratio", 2, 9), ("closed",)]


def test_tensorboard_itself_can_read_them(tmp_path: Path) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    curves = Curves(tmp_path, COLUMNS, tensorboard=True)
    curves.add({"step": 3, "loss": 2.5, "lr": 0.1})
    curves.add_split({"step": 3, "epoch": 1}, *_memory([1.0, 2.0]))
    curves.close()
    events = accumulator.EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    assert [(event.step, event.value) for event in events.Scalars("loss")] == [(3, 2.5)]
    assert [event.step for event in events.Histograms("ratio")] == [3]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_is_due_by_the_clock_and_at_the_end() -> None:
    now = [0.0]
    line = ProgressLine(100, every=10, stream=io.StringIO(), clock=lambda: now[0])
    assert not line.due(1)
    now[0] = 10
    assert line.due(2)
    line.show(2, 4, {})
    assert not line.due(3)
    assert line.due(100)


def test_progress_tells_pace_and_what_is_left() -> None:
    now, out = [0.0], io.StringIO()
    line = ProgressLine(2_000, start=1_000, stream=out, clock=lambda: now[0])
    now[0] = 50
    line.show(1_100, 1_024, {"loss": "18.91", "change": "12 %"})
    now[0] = 100
    line.show(1_150, 1_024, {})
    assert out.getvalue().splitlines() == [
        "step 1,100/2,000  2,048 views/s  0:07:30 left  loss 18.91  change 12 %",
        "step 1,150/2,000  1,024 views/s  0:14:10 left",
    ]


def test_a_terminal_has_its_line_rewritten() -> None:
    now, out = [0.0], Terminal()
    line = ProgressLine(2, stream=out, clock=lambda: now[0])
    now[0] = 1
    line.show(1, 8, {"loss": "a long word about it"})
    now[0] = 2
    line.show(2, 8, {})
    first, second = out.getvalue().split("\r")[1:]
    assert not first.endswith("\n")
    assert second.endswith("\n")
    assert len(second.rstrip("\n")) == len(first)  # spaces cover what stood there
    assert (
        ProgressLine(2, stream=Terminal(), clock=lambda: now[0])._every < ProgressLine(2, stream=io.StringIO())._every
    )


def test_the_modules_run_where_only_torch_and_numpy_are(root: Path) -> None:
    code = (
        "import sys, torch, numpy, safetensors\n"
        "before = set(sys.modules)\n"
        "import encoder.pretraining.curves\n"
        "roots = {name.split('.')[0] for name in set(sys.modules) - before} - set(sys.stdlib_module_names)\n"
        "print(*sorted(roots - {'torch', 'numpy'}))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["encoder", "stac"], done.stderr
