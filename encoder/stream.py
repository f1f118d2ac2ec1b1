"""A stream of simulated time series for pre-training: drawn in batches on a device, never touching the disk.

    stream = SimulatedStream(StreamConfig(dates=8), device="cuda")
    for batch in stream: ...

The other face of `stac.simulate`: the same grounds, events, seasons, skies and instrument, by the same formulas
(`stac.simulation`), with torch in place of NumPy. A series is a window of a ready ground, turned and mirrored, seen on
days drawn at random, with the truth beside it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from numbers import Integral
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from stac.bands import CLEAR_SCL
from stac.errors import DataError
from stac.simulation.covers import BANDS
from stac.simulation.weather import SMOKE_VEER

from .stream_almanac import Almanac, Shots
from .stream_country import KINDS, SLOT_DAYS, Country, CountryConfig
from .stream_draw import MARGIN, Scene, draw_images
from .stream_plan import BETWEEN, MOST, Aim, Halves
from .stream_sky import Canvases, new_weather_tensors


@dataclass(frozen=True)
class StreamConfig:
    """What to draw."""

    country: CountryConfig = field(default_factory=CountryConfig)
    chip_size: int = 64
    """Side of a chip, pixels of 10 m, even."""
    dates: int = 8
    """Days seen of each series; 10 by the plan `halves` of CACo."""
    plan: Literal["any", "halves"] = "any"
    """Which days: `any` of the period at random, or two `halves` about four years apart: see `stream_plan`."""
    batch: int = 64
    """Series a batch."""
    changed: float = 0.5
    """Part of the series that hold a change; classes come equally often."""
    clear: bool = False
    """Only clear and hazy skies."""
    seed: int = 0

    def __post_init__(self) -> None:
        """Check what needs no country.

        Raises:
            DataError: A size is no whole number, a batch holds no series, a part is none.
        """
        if not _is_whole(self.batch) or self.batch < 1:
            raise DataError(f"batches of {self.batch} series", "a whole number from 1", "set batch")
        if not _is_whole(self.dates) or not _is_whole(self.chip_size):
            found = f"{self.dates!r} dates of chips of {self.chip_size!r} pixels"
            raise DataError(found, "whole numbers", "set dates and chip_size")
        if self.plan not in ("any", "halves"):
            raise DataError(f"the plan {self.plan!r}", "any or halves", "set plan")
        if self.plan == "halves" and (self.dates % 2 or not 2 <= self.dates <= 2 * MOST):
            raise DataError(f"{self.dates} dates in two halves", f"an even number from 2 to {2 * MOST}", "set dates")
        if not 0 <= self.changed <= 1:
            raise DataError(f"changed {self.changed}", "a part from 0 to 1", "set changed")
        if not _is_whole(self.seed) or self.seed < 0:
            raise DataError(f"seed {self.seed}", "a whole number from 0", "set seed")


def _is_whole(value: object) -> bool:
    """Whether it is an integer, and no truth value."""
    return isinstance(value, Integral) and not isinstance(value, bool)


@dataclass(frozen=True, eq=False)
class SeriesBatch:
    """B simulated series of T dates, with the truth beside them."""

    images: Tensor
    """int16 (B, T, C, H, W), reflectance × 10,000 in the order of `stac.simulation.covers.BANDS`, harmonised, at least
    1; 20 m bands are repeated, as reading an archive repeats them."""
    scl: Tensor
    """uint8 (B, T, H/2, W/2), scene classification."""
    days: Tensor
    """int64 (B, T), days since the period's first, increasing."""
    clear: Tensor
    """float32 (B, T), clear part of the chip by its classification."""
    changed: Tensor
    """float32 (B, T), part of the chip that its change has taken on the day; truth."""
    mask: Tensor
    """bool (B, T, H, W), the pixels that it has taken to half or more on the day; truth. Fewer than the outline in an
    archive holds, which is of all pixels that the change touches at all."""
    kind: Tensor
    """int64 (B,), class of the change, a place in `stream_country.KINDS`; -1 where nothing changes; truth."""
    start: Tensor
    """int64 (B,), first day of the change; -1 where nothing changes."""
    end: Tensor
    """int64 (B,), last day of the change; -1 where nothing changes."""
    place: Tensor
    """int64 (B, 4): ground, row, column, turn: the same four are the same location."""
    between: Tensor | None = None
    """float32 (B,), part of the chip that differs between the halves, truth: the mean of `changed` over the last T/2
    dates, the recent half, less that over the older half's, without its sign. None by the plan `any`."""


class SimulatedStream:
    """Endless batches; the same config and device give the same ones."""

    def __init__(
        self, config: StreamConfig, device: str | torch.device = "cpu", *, country: Country | None = None
    ) -> None:
        """Look up skies and winters, after making the country where none is given: some seconds for each ground.

        Args:
            config: What to draw.
            device: Where to draw.
            country: Ready grounds on that device, from `stream_pack.open_country`; they are those of `config.country`.

        Raises:
            DataError: The chips do not fit the grounds, there are more dates than days, the period is too short for two
                halves, or the country is another one or lies elsewhere.
        """
        self.config, self.device = config, torch.device(device)
        room = config.country.ground_px - 2 * MARGIN
        if config.chip_size % 2 or not 8 <= config.chip_size <= room:
            raise DataError(f"chips of {config.chip_size} pixels", f"an even side from 8 to {room}", "set chip_size")
        self.country = _new_country(config.country, self.device) if country is None else country
        _check_country(self.country, config.country, self.device)
        self._canvases = Canvases(config.seed, self.device)
        self._rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence(config.seed, spawn_key=(2_000_000,))))
        self._noise = torch.Generator(self.device).manual_seed(config.seed)
        self.almanac = Almanac(self.country, self._rng, config.clear)
        most = int(self.almanac.light.sum(axis=1).min())
        if not 1 <= config.dates <= most:
            raise DataError(f"{config.dates} dates", f"1 to {most}", "set dates")
        halves = config.plan == "halves"
        self._halves = Halves(self.country, self.almanac.light, config.dates) if halves else None

    def __iter__(self) -> Iterator[SeriesBatch]:
        """Batches without end."""
        while True:
            yield self.draw()

    def draw(self) -> SeriesBatch:
        """The next batch."""
        rng, dates, batch = self._rng, self.config.dates, self.config.batch
        if self._halves is None:
            picked = self._pick()
            order = rng.random((batch, self.country.slots)) + ~self.almanac.light[picked.place[:, 0]]
            slots = np.sort(np.argsort(order, axis=1)[:, :dates], axis=1)
        else:
            wanted = rng.random(batch) < BETWEEN
            picked = self._pick(wanted)
            slots = self._halves.draw(picked.place[:, 0], Aim(picked.start, picked.end, wanted), rng)
        shots = self.almanac.draw(picked.place, slots, rng)
        scene = self._scene(picked, slots, shots)
        with torch.no_grad():
            drawn = draw_images(self.country, self._canvases, scene, self._noise)
        side, shape = self.config.chip_size, (batch, dates)
        scl = drawn.scl.reshape(*shape, side // 2, side // 2)
        clear = torch.isin(scl, torch.tensor(CLEAR_SCL, dtype=scl.dtype, device=scl.device))
        changed = drawn.changed.reshape(shape)
        return SeriesBatch(
            images=drawn.images.reshape(*shape, len(BANDS), side, side),
            scl=scl,
            days=self._tensor(slots * SLOT_DAYS),
            clear=clear.float().mean(dim=(2, 3)),
            changed=changed,
            mask=drawn.mask.reshape(*shape, side, side),
            kind=self._tensor(picked.kind),
            start=self._tensor(picked.start),
            end=self._tensor(picked.end),
            place=self._tensor(picked.place),
            between=None if self._halves is None else _differing(changed),
        )

    def _tensor(self, values: NDArray[np.generic]) -> Tensor:
        """On the device; floats as float32."""
        wanted = np.float32 if values.dtype.kind == "f" else np.int64
        return torch.from_numpy(np.ascontiguousarray(values, dtype=wanted)).to(self.device)

    def _pick(self, between: NDArray[np.bool_] | None = None) -> _Picked:
        """Choose locations: some over a change, the others anywhere, where changes are then left out.

        Args:
            between: (batch,), whether a change that can lie between the halves is sought; None: nowhere.
        """
        rng, country, batch = self._rng, self.country, self.config.batch
        height, width = country.shape
        side = self.config.chip_size
        ground = rng.integers(0, len(country.biomes), batch)
        low, high = MARGIN, height - MARGIN - side
        row, col = rng.integers(low, high + 2, (2, batch)) + side // 2
        change = np.full(batch, -1)
        kinds = np.unique(country.kind)
        for n in np.flatnonzero(rng.random(batch) < self.config.changed) if len(kinds) else ():
            known = np.flatnonzero(country.kind == rng.choice(kinds))
            if self._halves is not None and between is not None and between[n]:
                known = self._halves.narrow(known)
            change[n] = rng.choice(known)
            pixels = country.pixels[change[n]]
            row[n], col[n] = divmod(int(pixels[rng.integers(len(pixels))]), width)
            row[n] += int(rng.integers(-side // 4, side // 4 + 1))
            col[n] += int(rng.integers(-side // 4, side // 4 + 1))
            ground[n] = country.ground[change[n]]
        row = np.clip((row - side // 2) // 2 * 2, low, high // 2 * 2)
        col = np.clip((col - side // 2) // 2 * 2, low, high // 2 * 2)
        place = np.stack([ground, row, col, rng.integers(0, 8, batch)], axis=1)
        found = np.maximum(change, 0)
        none = change < 0
        if not len(kinds):
            blank = np.full(batch, -1)
            return _Picked(place, change, blank, blank, blank)
        return _Picked(
            place,
            change,
            np.where(none, -1, country.kind[found]),
            np.where(none, -1, country.start[found]),
            np.where(none, 0, country.span[found]),
        )

    def _scene(self, picked: _Picked, slots: NDArray[np.int64], shots: Shots) -> Scene:
        """Everything that is decided about the N = B·T images, on the device."""
        dates, days = self.config.dates, slots * SLOT_DAYS

        def each(values: NDArray[np.generic]) -> Tensor:
            """A number for each series, repeated for each date."""
            return self._tensor(np.repeat(values, dates))

        return Scene(
            side=self.config.chip_size,
            ground=each(picked.place[:, 0]),
            row=each(picked.place[:, 1]),
            col=each(picked.place[:, 2]),
            turn=each(picked.place[:, 3]),
            slot=self._tensor(slots.ravel()),
            change=each(picked.change),
            age=self._tensor((days - picked.start[:, None]).ravel().astype(np.float32)),
            span=each(picked.span.astype(np.float32)),
            weather=new_weather_tensors(shots.sky, shots.haze, shots.azimuth, shots.elevation, self._rng, self.device),
            snow_line=self._tensor(shots.snow_line),
            laden_line=self._tensor(shots.laden_line),
            ice=self._tensor(shots.ice),
            level=self._tensor(shots.level),
            veer=self._tensor(self._rng.uniform(-SMOKE_VEER, SMOKE_VEER, days.size)),
            shift=self._tensor(shots.shift),
            burns=each(picked.kind == KINDS.index("wildfire")) > 0,
        )


@dataclass(frozen=True, eq=False)
class _Picked:
    """Which locations a batch shows; B of them."""

    place: NDArray[np.int64]
    """(B, 4): ground, row, column, turn."""
    change: NDArray[np.int64]
    """(B,), number of the change, -1 for none."""
    kind: NDArray[np.int64]
    start: NDArray[np.int64]
    span: NDArray[np.int64]

    @property
    def end(self) -> NDArray[np.int64]:
        """(B,), last day of the change, -1 for none."""
        return np.where(self.change >= 0, self.start + self.span, -1)


def _differing(changed: Tensor) -> Tensor:
    """`SeriesBatch.between` of `SeriesBatch.changed`."""
    older, recent = changed.chunk(2, dim=1)
    return (recent.mean(dim=1) - older.mean(dim=1)).abs()


def _new_country(config: CountryConfig, device: torch.device) -> Country:
    """Make the grounds, by what drawing from ready ones can do without: it is imported here alone."""
    from .stream_grounds import new_country

    return new_country(config, device)


def _check_country(country: Country, config: CountryConfig, device: torch.device) -> None:
    """Refuse another country than was asked for, or one on another device.

    Raises:
        DataError: It is.
    """
    if country.config != config:
        raise DataError(f"a country by {country.config}", f"one by {config}", "set StreamConfig.country to its config")
    where = country.hidden.device
    if where.type != device.type:
        raise DataError(f"a country on {where}", f"one on {device}", "open it on the stream's device")
