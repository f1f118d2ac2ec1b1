"""What `pretrain.py` measures against: series of noise, and CACo's way to load them, one image at a time."""

from __future__ import annotations

import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader
from torchvision import transforms
from views import bands_one_by_one, new_images, published_one_by_one

from encoder.normalization import CACO, Normalizer, Step, default_steps
from encoder.pretraining.arguments import TEN_BANDS
from encoder.pretraining.batches import Plan
from encoder.pretraining.config import PretrainConfig
from encoder.pretraining.looks import VIEWS
from encoder.pretraining.loop import Trainer
from stac.bands import RGB

BYTES = 1 << 29
"""That the series take, about."""

DATES = 10


class NoiseSeries:
    """Series of noise with the contrast of land, on the device, as `DrawnSeries` keeps them."""

    ahead, full = False, 10000.0
    changed: Tensor | None = None
    kind: Tensor | None = None

    def __init__(self, config: PretrainConfig, side: int, device: torch.device) -> None:
        self.bands, self.side, self.device = config.bands, side, device
        self.count = max(config.batch, min(2000, BYTES // (2 * DATES * len(self.bands) * side**2)))
        pool = new_images(200, len(self.bands), side, self.full).to(device)
        some = torch.arange(self.count * DATES, device=device) % len(pool)
        self.images = pool[some].view(self.count, DATES, *pool.shape[1:])
        self.half = (torch.arange(DATES) >= DATES // 2).long().repeat(self.count, 1)
        self.days = torch.arange(DATES).repeat(self.count, 1) * 84
        self.lonlat = torch.stack([torch.linspace(-170, 170, self.count), torch.linspace(-60, 60, self.count)], 1)

    def take(self, location: Tensor, date: Tensor) -> Tensor:
        """As `DrawnSeries.take`."""
        where = location.to(self.device, non_blocking=True), date.to(self.device, non_blocking=True)
        return self.images[where[0][:, None], where[1]]


def steps_of(bands: tuple[str, ...]) -> Sequence[Step]:
    """Normalization of some bands, as `encoder.pretrain` chooses it."""
    return CACO if bands == RGB else default_steps(bands)


class OneByOne:
    """Rows made one by one, as CACo's datasets/seco_dataset.py; other bands by torchvision on tensors."""

    def __init__(self, images: Tensor, config: PretrainConfig) -> None:
        """Take images (N, T, C, S, S) of reflectance × 10,000 in the CPU's memory."""
        steps = steps_of(config.bands)
        self._images, self._seen = images, VIEWS[config.method]
        published = config.views == "published"
        box = transforms.RandomResizedCrop(config.crop, scale=(0.2 if published else 0.5, 1.0), antialias=True)
        if published and config.bands == RGB:
            self._images = images.div(10_000 / 255).clamp_(0, 255).to(torch.uint8)
            self._augmented, stretch = published_one_by_one(config.crop), Normalizer(CACO[1:2], RGB)
            end = [box, transforms.ToTensor(), transforms.Normalize(**CACO[-1].values)]
            pillow = transforms.Compose([transforms.ToPILImage(), *end])
            self._plain: Callable[[Tensor], Tensor] = lambda raw: pillow(stretch(raw[None].float())[0].byte())
        else:
            self._augmented, normalizer = (
                bands_one_by_one(config.views, config.crop, steps),
                Normalizer(steps, TEN_BANDS),
            )
            self._plain = lambda raw: normalizer(box(raw.float())[None])[0]

    def __getitem__(self, where: tuple[int, tuple[int, ...]]) -> list[Tensor]:
        """Views of a row, by its location and dates."""
        opened = [self._images[where[0], where[1][date]] for date, _ in self._seen]
        both = zip(opened, self._seen, strict=True)
        return [self._augmented(raw) if augment else self._plain(raw) for raw, (_, augment) in both]


class Loaded(NoiseSeries):
    """What a loader makes, in place of reading and of views: the loop asks for both and gets the loader's tensors."""

    def __init__(self, series: NoiseSeries, config: PretrainConfig, workers: int) -> None:
        vars(self).update(vars(series))
        loader: Any = DataLoader(
            OneByOne(series.images.cpu(), config),  # type: ignore[arg-type]
            batch_sampler=places(Plan(config, series.half)),
            num_workers=workers,
            pin_memory=self.device.type == "cuda",
        )
        self._batches = iter(loader)
        self.last: list[Tensor] = []

    def take(self, location: Tensor, date: Tensor) -> Tensor:
        """The next batch, which follows the plan; what comes back only has a place for each row and date."""
        self.last = [view.to(self.device, non_blocking=True) for view in next(self._batches)]
        self._views = iter(self.last)
        return torch.empty(date.shape)

    def draw(self, rows: int, generator: torch.Generator) -> Tensor:
        """Nothing: each worker draws for itself."""
        return torch.empty(rows)

    def __call__(self, raw: Tensor, draw: Tensor, augment: bool) -> Tensor:
        """The next view, in the method's order."""
        return next(self._views)


class Original(Trainer):
    """Our step, and CACo's second pass of key 1 for its estimate; the query's second pass is in our step too."""

    def train_step(self) -> None:
        """One step."""
        super().train_step()
        if self.config.method in {"caco", "teco"}:
            with torch.no_grad():
                self._encode(self.model.key, self.series.last[2])  # type: ignore[attr-defined]


def places(plan: Plan) -> Iterator[list[tuple[int, tuple[int, ...]]]]:
    """Locations and dates of each row, batch after batch, without end."""
    for step in range(sys.maxsize):
        batch = plan.batch(step)
        yield list(zip(batch.location.tolist(), map(tuple, batch.dates.tolist()), strict=True))


def loaders_s() -> float:
    """Processor seconds of the loader's workers that live."""
    places = [Path(f"/proc/{worker.pid}/stat") for worker in multiprocessing.active_children()]
    fields = [place.read_text(encoding="utf-8").rpartition(")")[2].split() for place in places]
    return sum(int(field[11]) + int(field[12]) for field in fields) / os.sysconf("SC_CLK_TCK")


def settle() -> None:
    """Wait until workers have made all that they make ahead, lest they slow down what is measured next."""
    before = loaders_s()
    while True:
        time.sleep(0.2 if before else 0.0)
        now = loaders_s()
        if now - before < 0.02:
            return
        before = now
