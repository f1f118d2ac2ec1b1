"""Small runs for the tests: series of random images, a trainer around them, and one process of several."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch
from torch import Tensor, distributed

from encoder.normalization import default_steps
from encoder.pretraining.config import PretrainConfig
from encoder.pretraining.loop import RunOptions, Trainer
from encoder.pretraining.ranks import Ranks
from encoder.pretraining.views import Views, new_config
from stac.bands import RGB


class MadeSeries:
    """Locations of noise around a level of their own; every third one has another level in its recent half."""

    ahead = False
    full = 10000.0
    device = torch.device("cpu")

    def __init__(self, count: int = 32, side: int = 16, bands: tuple[str, ...] = RGB, dates: int = 10) -> None:
        generator = torch.Generator().manual_seed(1)
        self.bands, self.count, self.side = bands, count, side
        level = 500 + 2000 * torch.rand(count, 1, len(bands), 1, 1, generator=generator)
        season = 200 * torch.randn(count, dates, len(bands), 1, 1, generator=generator)
        grain = 150 * torch.randn(count, dates, len(bands), side, side, generator=generator)
        self.half = (torch.arange(dates) >= dates // 2).long().repeat(count, 1)
        self.changed = (torch.arange(count) % 3 == 0).float()
        step = 1500 * self.changed[:, None] * self.half
        self.images = (level + season + grain + step[..., None, None, None]).clamp(1, 10000).to(torch.int16)
        self.days = torch.arange(dates).repeat(count, 1) * 84
        self.lonlat = torch.stack([torch.linspace(-170, 170, count), torch.linspace(-60, 60, count)], 1).double()
        self.kind = None

    def take(self, location: Tensor, date: Tensor) -> Tensor:
        return self.images[location[:, None], date]


SMALL = {"batch": 16, "queue": 64, "projection": 16, "crop": 16, "epochs": 2, "clusters": 4, "precision": "float32"}


def new_trainer(
    folder: Path, *, ranks: Ranks | None = None, resume: bool = False, log: int = 1, **changes: object
) -> Trainer:
    """A trainer of a few small steps."""
    config = PretrainConfig(**{**SMALL, **changes})  # type: ignore[arg-type]
    series = MadeSeries()
    steps = default_steps(("B02", "B03", "B04"))  # any that end with standardizing
    views = Views(new_config(config.views, series.side, config.crop), steps, series.bands, series.full, series.device)
    return Trainer(config, series, views, RunOptions(folder, resume=resume, log_steps=log), ranks)


def losses_of(trainer: Trainer, steps: int) -> list[list[float]]:
    """The losses of some steps."""
    out = []
    for _ in range(steps):
        trainer._sums.zero_()
        trainer.train_step()
        out.append(trainer._sums.tolist())
    return out


def gradients_and_losses(trainer: Trainer) -> dict[str, list]:
    """Of two steps: their losses; the first one's gradients, every hundredth; the memory after both."""
    losses = losses_of(trainer, 1)
    gradient = torch.cat([p.grad.reshape(-1) for p in trainer.model.trained() if p.grad is not None])
    losses += losses_of(trainer, 1)
    return {"losses": losses, "gradient": gradient.tolist()[::100], "memory": trainer.memory.values.tolist()}


def main() -> None:
    """One process of several: `pretraining_runs.py RANK COUNT FOLDER METHOD`; rank 0 writes what it got."""
    rank, count, folder, method = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]), sys.argv[4]
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=count)
    trainer = new_trainer(folder / str(rank), ranks=Ranks(rank, count), method=method, norm_groups=2)
    record = gradients_and_losses(trainer)
    told = torch.tensor(record["losses"], dtype=torch.float64)
    distributed.all_reduce(told)
    record["losses"] = (told / count).tolist()
    if rank == 0:
        (folder / "told.json").write_text(json.dumps(record))
    distributed.destroy_process_group()


if __name__ == "__main__":
    main()
