"""Runs: the same numbers stopped or not, on one process or two; what is saved, refused and told."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import torch

from encoder.pretraining.config import PretrainConfig
from encoder.pretraining.curves import TIMED, read_curves
from encoder.pretraining.looks import Looker
from encoder.pretraining.loop import Trainer, learning_rate
from encoder.pretraining.state import STATE, open_state
from stac.errors import DataError
from tests.pretraining_runs import gradients_and_losses, losses_of, new_trainer

HERE = Path(__file__).parent


def everything(trainer: Trainer) -> torch.Tensor:
    parts = [*trainer.model.named().values()]
    tensors = [t for part in parts for t in part.state_dict().values()]
    tensors += [trainer.memory.values, trainer.memory.label]
    tensors += [trainer.optimizer.state[p]["momentum_buffer"] for p in trainer.model.trained()]
    return torch.cat([t.detach().double().reshape(-1) for t in tensors])


@pytest.mark.parametrize("method", ["caco", "moco", "simclr"])
def test_a_run_that_was_stopped_goes_on_as_if_it_had_not(method: str, tmp_path: Path) -> None:
    steps = {"steps": 7} if method == "moco" else {"epochs": 2}
    whole = new_trainer(tmp_path / "whole", method=method, log=2, **steps)
    assert whole.run()
    first = new_trainer(tmp_path / "parts", method=method, log=2, **steps)
    for _ in range(3):  # within an epoch, and between two points of the curves
        first.train_step()
        if first.step == 2:
            first._log()
    first.save()
    first.train_step()  # lost: it was not saved
    second = new_trainer(tmp_path / "parts", method=method, resume=True, log=2, **steps)
    assert second.step == 3
    assert second.run()
    assert torch.equal(everything(whole), everything(second))
    one, other = (read_curves(tmp_path / name / "curves.csv") for name in ("whole", "parts"))
    for column in set(one) - set(TIMED):
        np.testing.assert_array_equal(one[column], other[column])


@pytest.mark.slow
@pytest.mark.parametrize("method", ["caco", "seco", "simclr"])
def test_two_processes_compute_what_one_does(method: str, tmp_path: Path) -> None:
    command = [sys.executable, str(HERE / "pretraining_runs.py")]
    both = [
        subprocess.Popen([*command, str(rank), "2", str(tmp_path), method], cwd=HERE.parent, env=_env())
        for rank in range(2)
    ]
    assert [process.wait(timeout=180) for process in both] == [0, 0]
    told = json.loads((tmp_path / "told.json").read_text())
    alone = new_trainer(tmp_path / "alone", method=method, norm_groups=2)
    own = gradients_and_losses(alone)
    np.testing.assert_allclose(told["losses"][0], own["losses"][0], rtol=1e-5)
    np.testing.assert_allclose(told["losses"][1], own["losses"][1], rtol=1e-3)  # rounding, made larger by batch norm
    one, other = np.array(own["gradient"]), np.array(told["gradient"])
    assert np.linalg.norm(one - other) < 1e-3 * np.linalg.norm(one)
    np.testing.assert_allclose(told["memory"], own["memory"], rtol=1e-2, atol=1e-4)


def _env() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(HERE.parent), "OMP_NUM_THREADS": "1"}


def test_the_loss_falls_below_chance(tmp_path: Path) -> None:
    trainer = new_trainer(tmp_path, method="seco", steps=24, lr=0.05, queue=16)
    losses = torch.tensor(losses_of(trainer, 24))[:, 0]
    assert losses[-6:].mean() < 0.9 * losses[6:12].mean()  # it rises at first, while the queue fills


def test_labels_come_from_the_memory_at_an_epochs_end_and_not_before(tmp_path: Path) -> None:
    trainer = new_trainer(tmp_path, epochs=2)
    for _ in range(trainer.plan.steps):
        trainer.train_step()
    assert not trainer.memory.label.any()
    assert trainer.memory.seen.all()
    split = trainer.split_memory()
    assert split is not None
    assert split.fitted
    assert trainer.memory.label.any()


def test_no_change_found_is_told_and_training_goes_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trainer = new_trainer(tmp_path, epochs=2)
    trainer.memory.update = lambda item, values: trainer.memory.seen.index_fill_(0, item, True)  # all ratios stay 0
    assert trainer.run()
    assert "no rows count as changed" in capsys.readouterr().err
    assert not trainer.memory.label.any()


def test_a_loss_that_is_no_number_stops_and_the_last_checkpoint_stays(tmp_path: Path) -> None:
    trainer = new_trainer(tmp_path)
    trainer.train_step()
    trainer._log()
    trainer.save()
    before = (tmp_path / STATE).read_bytes()
    with torch.no_grad():
        trainer.model.query.heads[0][2].bias.fill_(torch.nan)
    with pytest.raises(DataError, match="a loss of nan at step 2"):
        trainer.run()
    assert (tmp_path / STATE).read_bytes() == before


def test_out_of_memory_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trainer = new_trainer(tmp_path)
    trainer.train_step()
    trainer.save()

    def full(_self: Trainer) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(Trainer, "train_step", full)
    with pytest.raises(DataError, match=r"does not hold a batch of 16 rows.*lower --batch"):
        trainer.run()
    assert open_state(tmp_path).step == 1


def test_a_run_in_the_way_is_not_overwritten(tmp_path: Path) -> None:
    trainer = new_trainer(tmp_path)
    trainer.train_step()
    trainer.save()
    with pytest.raises(DataError, match="add --resume"):
        new_trainer(tmp_path)
    with pytest.raises(DataError, match=r"lr 0.03 → 0.5"):
        new_trainer(tmp_path, resume=True, lr=0.5)
    assert new_trainer(tmp_path, resume=True).step == 1


def test_a_damaged_checkpoint_is_refused(tmp_path: Path) -> None:
    trainer = new_trainer(tmp_path)
    trainer.train_step()
    trainer.save()
    content = (tmp_path / STATE).read_bytes()
    (tmp_path / STATE).write_bytes(content[: len(content) // 2])
    with pytest.raises(DataError, match="cannot be read"):
        new_trainer(tmp_path, resume=True)
    with pytest.raises(DataError, match=f"no {STATE}"):
        open_state(tmp_path / "elsewhere")
    assert new_trainer(tmp_path / "elsewhere", resume=True).step == 0  # nothing to go on with: it begins


def test_time_runs_out_at_a_step_and_the_state_is_saved(tmp_path: Path) -> None:
    trainer = new_trainer(tmp_path)
    trainer.options = type(trainer.options)(tmp_path, minutes=1e-6, log_steps=1)
    assert not trainer.run()
    assert open_state(tmp_path).step == 1


def test_schedules() -> None:
    step = PretrainConfig(schedule="step", warmup=10)
    assert learning_rate(step, 0, 1000) == pytest.approx(0.003)
    assert [round(learning_rate(step, s, 1000), 6) for s in (10, 599, 600, 799, 800, 999)] == [
        *(0.03, 0.03, 0.003, 0.003, 0.0003, 0.0003)
    ]
    cosine = PretrainConfig(schedule="cosine")
    assert learning_rate(cosine, 0, 1000) == pytest.approx(0.03)
    assert learning_rate(cosine, 500, 1000) == pytest.approx(0.015)
    assert learning_rate(cosine, 999, 1000) < 1e-6


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"queue": 40}, "a queue of 40 keys cannot be filled by batches of 16"),
        ({"batch": 15, "queue": 45}, "splits a location's two halves"),
        ({"method": "byol"}, "none of caco, teco, seco, gssl, moco, simclr"),
        ({"norm_groups": 3}, "no 3 equal norm groups"),
        ({"lr": -1.0, "ema": 2.0}, "lr -1.0 is not above 0; ema 2.0 is not in 0"),
        ({"batch": 64}, None),
        ({"batch": 128, "queue": 128}, "64 rows to train on"),
    ],
)
def test_what_cannot_train_is_refused(changes: dict[str, object], told: str | None, tmp_path: Path) -> None:
    if told is None:
        new_trainer(tmp_path, **changes)
        return
    with pytest.raises(DataError, match=told):
        new_trainer(tmp_path, **changes)


def test_reading_ahead_changes_nothing_but_when(tmp_path: Path) -> None:
    plain, ahead = (new_trainer(tmp_path / name, norm_groups=2) for name in ("plain", "ahead"))
    taken: list[str] = []
    take = ahead.series.take

    def slow(location: torch.Tensor, date: torch.Tensor) -> torch.Tensor:
        taken.append(threading.current_thread().name)
        return take(location, date)

    ahead.series.ahead, ahead.series.take = True, slow
    ahead.looker = Looker(ahead.config, ahead.series, ahead.views, ahead.plan, ahead.rows)
    assert losses_of(plain, 5) == losses_of(ahead, 5)  # across the end of an epoch
    assert [name.startswith("read") for name in taken[:5]] == [False, True, True, True, True]
