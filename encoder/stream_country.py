"""Ready grounds of the simulated archive on a device: what `encoder.stream` cuts its series out of.

Relief, cover and events are made once by `stac.simulation` with NumPy; here they become tensors, with tables of how
every cover and every change looks through the years.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from stac.errors import DataError
from stac.simulation.biomes import BIOMES, Biome
from stac.simulation.change import AGES, Change
from stac.simulation.covers import BANDS, COVERS, WATERS
from stac.simulation.events import new_counts, plant_changes
from stac.simulation.ground import Ground
from stac.simulation.landscape import new_ground
from stac.simulation.looks import LOOKS, ZONES, new_looks
from stac.simulation.phenology import new_season
from stac.simulation.season import Season
from stac.simulation.winter import hidden_by_cover
from stac.simulation.years import Years, new_years

KINDS: tuple[str, ...] = tuple(LOOKS)
"""Classes of change; a series says its class by its place here, -1 for none."""

SLOT_DAYS = 10
"""Days between two days on which a series may be seen: half the rhythm of the two satellites together."""

LOOK_DAYS = 30
"""Days between two tables of how a change looks: regrowth follows the season in such steps."""

_ZONES = max(len(zones) for zones in ZONES.values())


@dataclass(frozen=True, eq=False)
class Tables:
    """Looks of all grounds' covers on all days, as rows of one table (R rows): see `Country.season_row`."""

    poor: Tensor
    """(R, C) float32, reflectance."""
    rich: Tensor
    """(R, C) float32, reflectance."""
    green: Tensor
    """(R,) float32."""
    eager: Tensor
    """(R,) float32."""
    grain: Tensor
    """(R,) float32."""


@dataclass(frozen=True, eq=False)
class Country:
    """G grounds of H × W pixels and the K changes on them."""

    biomes: tuple[Biome, ...]
    """Of each ground."""
    first: date
    """Day 0 of the period."""
    slots: int
    """How many days a series may be seen on: day 0, `SLOT_DAYS`, …"""
    layers: Mapping[str, Tensor]
    """(G, H, W) each: `cover` int32; `moist`, `texture`, `tint`, `dryness`, `height`, `east`, `north`, `shore`,
    `strength`, `onset` float32; `zone` uint8; `which` int32, the change that a pixel belongs to, -1 for none."""
    tables: Tables
    width: int
    """Rows of `tables` for one ground and day."""
    looks: Tensor
    """(K · buckets · Z, A, 1 + C) float32: see `look_row`."""
    buckets: int
    hidden: Tensor
    """(G, width) float32, part of a pixel whose snow is not seen, by cover."""
    kind: NDArray[np.int64]
    """(K,), place in `KINDS`."""
    start: NDArray[np.int64]
    """(K,), days since `first`."""
    span: NDArray[np.int64]
    """(K,), days from start to end."""
    ground: NDArray[np.int64]
    """(K,), number of the ground."""
    pixels: tuple[NDArray[np.int64], ...]
    """For each change, its pixels as row · W + column."""

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of each ground, pixels."""
        return int(self.layers["cover"].shape[1]), int(self.layers["cover"].shape[2])

    def season_row(self, ground: Tensor, slot: Tensor) -> Tensor:
        """First row of `tables` for grounds and slots of the same shape."""
        return (ground * self.slots + slot) * self.width

    def look_row(self, change: Tensor, slot: Tensor) -> Tensor:
        """First row of `looks` for changes and slots of the same shape."""
        bucket = slot * SLOT_DAYS // LOOK_DAYS
        return (change * self.buckets + bucket) * _ZONES


@dataclass(frozen=True)
class CountryConfig:
    """What to make."""

    biomes: tuple[str, ...] = tuple(BIOMES)
    """One ground each; a name may come more than once."""
    ground_px: int = 512
    """Side of a ground, pixels of 10 m, even."""
    changes: int = 40
    """Events wanted on each ground."""
    first: date = date(2019, 1, 1)
    years: int = 5
    seed: int = 0

    def __post_init__(self) -> None:
        """Check the names and sizes.

        Raises:
            DataError: There is no biome, or none of such a name; or a size is none.
        """
        if self.ground_px % 2 or self.ground_px < 2 or self.changes < 0 or self.years < 1 or self.seed < 0:
            found = f"{self.changes} changes on {self.ground_px} px over {self.years} years, seed {self.seed}"
            wanted = "changes and a seed from 0, an even ground_px above 0, years from 1"
            raise DataError(found, wanted, "set these")
        unknown = [name for name in self.biomes if name not in BIOMES]
        if unknown or not self.biomes:
            found = f"biomes {' '.join(unknown)}" if unknown else "no biomes"
            raise DataError(found, f"some of {' '.join(BIOMES)}", "set biomes")

    @property
    def last(self) -> date:
        """Last day of the period."""
        return self.first.replace(year=self.first.year + self.years) - timedelta(days=1)


def new_grounds(config: CountryConfig) -> tuple[list[Ground], list[list[Change]]]:
    """The grounds, and what changes on each of them: seconds each, on the processor.

    Args:
        config: What to make; a ground depends on the seed, its own number and its biome.
    """
    grounds, changes = [], []
    for number, name in enumerate(config.biomes):
        rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence(config.seed, spawn_key=(number,))))
        ground = new_ground(BIOMES[name], (config.ground_px, config.ground_px), rng)
        counts = new_counts(BIOMES[name], config.changes)
        grounds.append(ground)
        changes.append(plant_changes(ground, counts, (config.first, config.last), rng))
    return grounds, changes


def new_country(config: CountryConfig, device: torch.device) -> Country:
    """Make the grounds (seconds each, on the processor) and bring them to a device.

    Args:
        config: What to make.
        device: Where the tensors go.
    """
    grounds, changes = new_grounds(config)
    biomes = tuple(BIOMES[name] for name in config.biomes)
    slots = (config.last - config.first).days // SLOT_DAYS + 1
    width = max(len(COVERS) + ground.fields.late.size for ground in grounds)
    hidden = np.zeros((len(grounds), width), dtype=np.float32)
    hidden[:, : len(COVERS)] = hidden_by_cover()
    seasons = [_Seasons(ground, config.first, years) for ground, years in zip(grounds, area_years(config), strict=True)]
    tables = _new_tables(seasons, slots, width)
    looks, buckets = _new_look_tables(changes, seasons, slots)
    flat = [change for part in changes for change in part]
    owner = [number for number, part in enumerate(changes) for _ in part]
    wide = config.ground_px
    return Country(
        biomes=biomes,
        first=config.first,
        slots=slots,
        layers={name: torch.from_numpy(part).to(device) for name, part in _stack(grounds, changes).items()},
        tables=Tables(*(torch.from_numpy(part).to(device) for part in tables)),
        width=width,
        looks=torch.from_numpy(looks).to(device),
        buckets=buckets,
        hidden=torch.from_numpy(hidden).to(device),
        kind=np.array([KINDS.index(change.kind) for change in flat], dtype=np.int64),
        start=np.array([(change.start - config.first).days for change in flat], dtype=np.int64),
        span=np.array([(change.end - change.start).days for change in flat], dtype=np.int64),
        ground=np.array(owner, dtype=np.int64),
        pixels=tuple(_pixels(change, wide) for change in flat),
    )


def _pixels(change: Change, width: int) -> NDArray[np.int64]:
    """Pixels of a change as row · width + column."""
    rows, cols = np.nonzero(change.strength > 0)
    return (rows + change.top) * width + cols + change.left


def _stack(grounds: Sequence[Ground], changes: Sequence[Sequence[Change]]) -> dict[str, NDArray[np.generic]]:
    """The layers of all grounds, (G, H, W) each."""
    shape = (len(grounds), *grounds[0].shape)
    out: dict[str, NDArray[np.generic]] = {
        "cover": np.stack([ground.cover for ground in grounds]).astype(np.int32),
        **{name: np.stack([getattr(ground, name) for ground in grounds]) for name in _FIELDS},
        **{name: np.stack([getattr(ground.relief, name) for ground in grounds]) for name in _RELIEF},
    }
    strength, onset = np.zeros(shape, dtype=np.float32), np.zeros(shape, dtype=np.float32)
    zone, which = np.zeros(shape, dtype=np.uint8), np.full(shape, -1, dtype=np.int32)
    number = 0
    for place, part in enumerate(changes):
        for change in part:
            cut = (place, *change.window)
            inside = change.strength > 0
            strength[cut][inside], onset[cut][inside] = change.strength[inside], change.onset[inside]
            zone[cut][inside], which[cut][inside] = change.zone[inside], number
            number += 1
    return {**out, "strength": strength, "onset": onset, "zone": zone, "which": which}


_FIELDS = ("moist", "texture", "tint", "dryness", "shore")
_RELIEF = ("height", "east", "north")


def _new_tables(seasons: Sequence[_Seasons], slots: int, width: int) -> tuple[NDArray[np.float32], ...]:
    """`Tables` as arrays, ground by ground and day by day."""
    rows, bands = len(seasons) * slots * width, len(BANDS)
    poor, rich = np.zeros((rows, bands), dtype=np.float32), np.zeros((rows, bands), dtype=np.float32)
    green, eager, grain = (np.zeros(rows, dtype=np.float32) for _ in range(3))
    for number, own in enumerate(seasons):
        for slot in range(slots):
            season = own.on(slot * SLOT_DAYS)
            at = (number * slots + slot) * width
            cut = slice(at, at + len(season.green))
            poor[cut], rich[cut] = season.poor, season.rich
            green[cut], eager[cut], grain[cut] = season.green, season.eager, season.grain
    return poor, rich, green, eager, grain


def area_years(config: CountryConfig) -> list[Years]:
    """Wet and dry years of each ground, as an archive's area has them."""
    keys = [np.random.SeedSequence(config.seed, spawn_key=(number, 1)) for number in range(len(config.biomes))]
    return [new_years(np.random.Generator(np.random.PCG64(key))) for key in keys]


@dataclass(frozen=True, eq=False)
class _Seasons:
    """How a ground looks on the days of the period."""

    ground: Ground
    first: date
    years: Years

    def on(self, day: int) -> Season:
        """How everything looks on a day."""
        when = self.first + timedelta(days=day)
        biome, year = BIOMES[self.ground.biome], when.year - self.first.year
        return new_season(biome, when.timetuple().tm_yday, year, self.ground.fields, self.years)


def _new_look_tables(
    changes: Sequence[Sequence[Change]], seasons: Sequence[_Seasons], slots: int
) -> tuple[NDArray[np.float32], int]:
    """Looks of every change in steps of `LOOK_DAYS` (rows, A, 1 + C), and how many steps there are."""
    buckets = (slots - 1) * SLOT_DAYS // LOOK_DAYS + 1
    count = max(sum(len(part) for part in changes), 1)
    out = np.zeros((count, buckets, _ZONES, len(AGES), 1 + len(BANDS)), dtype=np.float32)
    number = 0
    for own, part in zip(seasons, changes, strict=True):
        known = [own.on(bucket * LOOK_DAYS) for bucket in range(buckets)]
        for change in part:
            for bucket, season in enumerate(known):
                table = new_looks(change.kind, season, BIOMES[own.ground.biome], (change.end - change.start).days)
                out[number, bucket, : len(table)] = table
            number += 1
    return out.reshape(-1, len(AGES), 1 + len(BANDS)), buckets


def wet_covers(width: int, device: torch.device) -> Tensor:
    """(width,) float32: 1 for covers that are water."""
    out = torch.zeros(width, device=device)
    out[list(WATERS)] = 1.0
    return out
