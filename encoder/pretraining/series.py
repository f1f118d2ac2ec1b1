"""Time series as the training loop reads them: simulated ones kept on the device, or packed shards.

A series is a location with its dates. Whatever it comes from, the loop asks for images by location and date and gets
raw integers on the device.
"""

from __future__ import annotations

import os
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from stac.errors import DataError
from stac.shards import Shards
from stac.simulation.covers import BANDS as SIMULATED_BANDS

from ..stream import SeriesBatch, SimulatedStream

RESIDENT = 0.6
"""Part of the device's free memory that series may take: assumed, the rest is for activations."""


class Series(Protocol):
    """N locations with up to T dates each."""

    bands: tuple[str, ...]
    """Order of an image's axis C."""
    count: int
    """N."""
    side: int
    """Of an image, pixels."""
    full: float
    """Raw value of reflectance 1."""
    device: torch.device
    ahead: bool
    """Whether `take` waits for a disk, so that it is worth asking ahead of time."""
    days: Tensor
    """int64 (N, T) on the CPU, days since 1970-01-01 or since the stream's first day; -1 for no date."""
    half: Tensor
    """int64 (N, T) on the CPU: 0 in the older set, 1 in the recent one, -1 for no date."""
    lonlat: Tensor
    """float64 (N, 2) on the CPU, degrees; NaN where unknown."""
    changed: Tensor | None
    """float32 (N,) on the CPU: part of the chip that differs between the halves; truth, None for real series."""
    kind: Tensor | None
    """int64 (N,) on the CPU: class of the change, -1 for none; truth, None for real series."""

    def take(self, location: Tensor, date: Tensor) -> Tensor:
        """Raw integers (L, K, C, S, S) on the device of locations (L,) and their dates (L, K), int64 on the CPU."""
        ...


class DrawnSeries:
    """Simulated series drawn once and kept on the device: the change memory needs locations that come again."""

    ahead = False

    def __init__(self, stream: SimulatedStream, count: int, bands: tuple[str, ...]) -> None:
        """Draw them.

        Args:
            stream: With the plan `halves`.
            count: N, at least one batch of the stream.
            bands: Order of the images' axis C.

        Raises:
            DataError: The stream does not draw halves, or lacks a band.
        """
        unknown = [band for band in bands if band not in SIMULATED_BANDS]
        if unknown:
            raise DataError(
                f"bands {' '.join(unknown)}", f"some of {' '.join(SIMULATED_BANDS)}, which are simulated", "set --bands"
            )
        config = stream.config
        if config.plan != "halves":
            raise DataError("a stream of days at random", "the plan 'halves'", "set plan")
        self.bands, self.count, self.side, self.full = bands, count, config.chip_size, 10000.0
        self.device = stream.device
        self._channels = [SIMULATED_BANDS.index(band) for band in bands]
        shape = (count, config.dates, len(bands), self.side, self.side)
        self._images = torch.empty(shape, dtype=torch.int16, device=self.device)
        parts: list[SeriesBatch] = []
        for start in range(0, count, config.batch):
            batch = stream.draw()
            stop = min(start + config.batch, count)
            self._images[start:stop] = batch.images[: stop - start, :, self._channels]
            parts.append(batch)
        self.days = torch.cat([part.days.cpu() for part in parts])[:count]
        self.kind: Tensor | None = torch.cat([part.kind.cpu() for part in parts])[:count]
        self.changed: Tensor | None = torch.cat([part.between.cpu() for part in parts if part.between is not None])[
            :count
        ]
        self.half = (torch.arange(config.dates) >= config.dates // 2).long().repeat(count, 1)
        places = torch.cat([part.place[:, 0].cpu() for part in parts])[:count]
        self.ground = places
        """int64 (N,) on the CPU, which of the country's grounds each lies on."""
        biomes = stream.country.biomes
        self.lonlat = torch.tensor([[biome.lon, biome.lat] for biome in biomes], dtype=torch.float64)[places]

    def take(self, location: Tensor, date: Tensor) -> Tensor:
        """See `Series.take`."""
        where = location.to(self.device, non_blocking=True), date.to(self.device, non_blocking=True)
        return self._images[where[0][:, None], where[1]]


class ShardSeries:
    """Packed shards: on the device as a whole where they fit, otherwise read as they are asked for."""

    def __init__(self, shards: Shards, bands: tuple[str, ...], device: torch.device) -> None:
        """Take them up.

        Args:
            shards: Of `stac.shards.open_shards`.
            bands: Order of the images' axis C.
            device: Where images go.

        Raises:
            DataError: The shards lack a band.
        """
        held = (*shards.spec.bands10, *shards.spec.bands20)
        unknown = [band for band in bands if band not in held]
        if unknown:
            raise DataError(f"shards without {' '.join(unknown)}", f"some of {' '.join(held)}", "set --bands")
        self.bands, self.count, self.side, self.full = bands, shards.count, shards.spec.side, float(shards.spec.full)
        self.device, self._shards = device, shards
        self.days = torch.from_numpy(shards.days.astype(np.int64))
        self.half = torch.from_numpy(shards.half.astype(np.int64))
        self.lonlat = torch.from_numpy(shards.lonlat)
        self.changed: Tensor | None = None if shards.changed is None else torch.from_numpy(shards.changed)
        self.kind: Tensor | None = None
        size = self.days.numel() * len(bands) * self.side**2 * (1 if shards.spec.full < 256 else 2)
        self.ahead = size > RESIDENT * _free_bytes(device)
        self._images = None if self.ahead else self._load()

    def take(self, location: Tensor, date: Tensor) -> Tensor:
        """See `Series.take`."""
        if self._images is not None:
            where = location.to(self.device, non_blocking=True), date.to(self.device, non_blocking=True)
            return self._images[where[0][:, None], where[1]]
        images = _to_tensor(self._shards.read(location.numpy(), date.numpy(), self.bands))
        if self.device.type == "cuda":
            images = images.pin_memory()
        return images.to(self.device, non_blocking=True)

    def _load(self) -> Tensor:
        """All images on the device."""
        dates = np.arange(self.days.shape[1])[None]
        kind = torch.uint8 if self.full < 256 else torch.int16
        shape = (self.count, dates.size, len(self.bands), self.side, self.side)
        whole = torch.empty(shape, dtype=kind, device=self.device)
        for start in range(0, self.count, _LOAD):
            where = np.arange(start, min(start + _LOAD, self.count))
            images = self._shards.read(where, np.repeat(dates, len(where), axis=0), self.bands)
            whole[start : start + len(where)] = _to_tensor(images)
        return whole


_LOAD = 256
"""Locations brought to the device at a time."""


def _to_tensor(images: NDArray[np.generic]) -> Tensor:
    """Raw images as a type that every device holds: uint16 as int16 of the same bits."""
    return torch.from_numpy(images.view(np.int16) if images.dtype == np.uint16 else images)


def _free_bytes(device: torch.device) -> int:
    """Free memory of a device, bytes."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
