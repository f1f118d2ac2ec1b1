"""Which locations and dates each step looks at.

All chance derives from (seed, epoch, place in it), so that a run that goes on draws what it would have drawn, and every
process knows the whole batch.

Source of the orders: CACo, https://github.com/utkarshmall13/CACo/blob/7c4fbc8/src/datasets/seco_datamodule.py (pairs
stay together) and seco_dataset.py beside it (how dates are drawn).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from stac.errors import DataError

from .config import PAIRED, PretrainConfig

_ORDER, _DATES, _VIEWS, _GROUPS = range(4)

DATES: dict[str, int] = {"caco": 3, "teco": 3, "simclr": 3, "seco": 3, "gssl": 2, "moco": 1}
"""Method → dates that a row looks at."""

_APART = ("caco", "simclr", "gssl")
"""Methods that draw a row's dates without replacement; the others with, as CACo's and SeCo's code does."""


@dataclass(frozen=True, eq=False)
class Batch:
    """B rows of a step, on the CPU."""

    epoch: int
    place: int
    """Number of the step within its epoch."""
    location: Tensor
    """int64 (B,), a place in the series."""
    item: Tensor
    """int64 (B,), 2 · location + half: what the change memory is kept by. Half is 0 in methods without pairs."""
    dates: Tensor
    """int64 (B, V), places among a location's dates."""
    keys: Tensor
    """int64 (B,): the order in which rows are encoded as keys; 0 … B - 1 where batch norm has one group."""


class Plan:
    """Batches of a run."""

    def __init__(self, config: PretrainConfig, half: Tensor) -> None:
        """Sort out which rows there are.

        Args:
            config: Of the run.
            half: int64 (N, T): 0 for dates of the older set, 1 for those of the recent set, -1 for none.

        Raises:
            DataError: There are too few rows for one batch.
        """
        self._config = config
        present = half.numpy() >= 0
        if config.method in PAIRED:
            sets = np.stack([half.numpy() == 0, half.numpy() == 1], axis=1)  # (N, 2, T)
            whole = (sets.sum(axis=2) > 1).all(axis=1)
            self._rows = np.flatnonzero(whole)[:, None] * 2 + np.arange(2)  # (locations, 2) items
            self._sets = sets.reshape(-1, half.shape[1])
        else:
            self._rows = np.flatnonzero(present.sum(axis=1) > (config.method != "moco"))[:, None] * 2
            self._sets = np.repeat(present, 2, axis=0)
        if config.method == "moco":  # every image is a row
            where, self._date = np.nonzero(present)
            self._rows = where[:, None] * 2
        self.left_out = int(half.shape[0] - len(np.unique(self._rows[:, 0])))
        """Locations with too few dates: two in each half, two in all, or one, by method."""
        self.steps = self._rows.size // config.batch
        """Steps in an epoch; the rest of its rows is left out."""
        if not self.steps:
            found = f"{self._rows.size} rows to train on ({self.left_out} locations have too few dates)"
            raise DataError(found, f"at least a batch of {config.batch}", "gather more locations, or lower --batch")
        self._epoch = -1
        self._order: NDArray[np.int64] = np.empty(0, np.int64)

    @property
    def total(self) -> int:
        """Steps of the whole run."""
        return self._config.steps or self._config.epochs * self.steps

    @property
    def epochs(self) -> int:
        """Epochs of the whole run, the last perhaps cut short."""
        return -(-self.total // self.steps)

    def batch(self, step: int) -> Batch:
        """The batch of a step of the run."""
        epoch, place = divmod(step, self.steps)
        if epoch != self._epoch:
            rows = len(self._rows)
            self._order, self._epoch = self._rng(_ORDER, epoch, 0).permutation(rows), epoch
        per = self._rows.shape[1]
        count = self._config.batch
        chosen = self._order[place * count // per : (place + 1) * count // per]
        item = self._rows[chosen].ravel()
        dates = self._draw_dates(chosen, item, self._rng(_DATES, epoch, place))
        keys = np.arange(count)
        if self._config.norm_groups > 1:
            keys = self._rng(_GROUPS, epoch, place).permutation(count)
        return Batch(
            epoch=epoch,
            place=place,
            location=torch.from_numpy(item // 2),
            item=torch.from_numpy(item),
            dates=torch.from_numpy(dates),
            keys=torch.from_numpy(keys),
        )

    def generator(self, step: int, view: int) -> torch.Generator:
        """Chance for a view of a step."""
        epoch, place = divmod(step, self.steps)
        return torch.Generator().manual_seed(int(self._rng(_VIEWS + 4 * (view + 1), epoch, place).integers(2**62)))

    def _rng(self, purpose: int, epoch: int, place: int) -> np.random.Generator:
        key = np.random.SeedSequence(self._config.seed, spawn_key=(purpose, epoch, place))
        return np.random.Generator(np.random.PCG64(key))

    def _draw_dates(
        self, chosen: NDArray[np.int64], item: NDArray[np.int64], rng: np.random.Generator
    ) -> NDArray[np.int64]:
        """Dates (B, V) of the rows."""
        wanted = DATES[self._config.method]
        if self._config.method == "moco":
            return self._date[chosen][:, None].astype(np.int64)
        allowed = self._sets[item]  # (B, T)
        chance = np.where(allowed, rng.random(allowed.shape), np.inf)
        ranked = np.argsort(chance, axis=1)  # allowed dates first, in random order
        count = allowed.sum(axis=1, keepdims=True)
        if self._config.method in _APART:  # a set that is too small begins anew
            pick = np.arange(wanted)[None] % count
        else:
            pick = np.floor(rng.random((len(item), wanted)) * count).astype(np.int64)
        return np.take_along_axis(ranked, pick, axis=1)
