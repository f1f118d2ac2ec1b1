"""Ready grounds on a device: what `encoder.stream` cuts its series out of.

Relief, cover and events come from `stream_grounds`, which makes them, or from `stream_pack`, which reads them; here
they become tensors, with tables of how every cover and every change looks through the years. NumPy and torch only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from stac.errors import DataError
from stac.simulation.biomes import BIOMES, Biome
from stac.simulation.change import AGES
from stac.simulation.covers import BANDS, COVERS, WATERS
from stac.simulation.ground import Fields
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
"""Days between two tables of how a change looks: regrowth follows the season in such steps. A
multiple of `SLOT_DAYS`."""

_ZONES = max(len(zones) for zones in ZONES.values())


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
        unknown = [name for name in dict.fromkeys(self.biomes) if name not in BIOMES]
        if unknown or not self.biomes:
            found = f"biomes {' '.join(unknown)}" if unknown else "no biomes"
            raise DataError(found, f"some of {' '.join(BIOMES)}", "set biomes")

    @property
    def last(self) -> date:
        """Last day of the period."""
        return self.first.replace(year=self.first.year + self.years) - timedelta(days=1)


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

    config: CountryConfig
    """What it was made by."""
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


@dataclass(frozen=True, eq=False)
class Piece:
    """One ground of a country and the k changes on it, before anything of it depends on a day."""

    layers: Mapping[str, NDArray[Any]]
    """(H, W) each, named and of the dtypes of `Country.layers`; `which` counts the changes of this ground, from 0."""
    fields: Fields
    """The farmed fields."""
    kind: NDArray[np.int64]
    """(k,), place in `KINDS`."""
    start: NDArray[np.int64]
    """(k,), days since the period's first."""
    span: NDArray[np.int64]
    """(k,), days from start to end."""


def build_country(config: CountryConfig, pieces: Sequence[Piece], device: torch.device) -> Country:
    """Put grounds together, table how they look through the years (about half a second each), and bring them over.

    Args:
        config: What they were made by.
        pieces: A ground for each of `config.biomes`.
        device: Where the tensors go.
    """
    slots = (config.last - config.first).days // SLOT_DAYS + 1
    width = max(len(COVERS) + piece.fields.late.size for piece in pieces)
    hidden = np.zeros((len(pieces), width), dtype=np.float32)
    hidden[:, : len(COVERS)] = hidden_by_cover()
    tables, looks, buckets = _new_tables(config, pieces, slots, width)
    counts = [len(piece.kind) for piece in pieces]
    layers = {name: torch.from_numpy(_stack(pieces, name)) for name in pieces[0].layers}
    return Country(
        config=config,
        biomes=tuple(BIOMES[name] for name in config.biomes),
        first=config.first,
        slots=slots,
        layers={name: layer.to(device) for name, layer in layers.items()},
        tables=Tables(*(torch.from_numpy(part).to(device) for part in tables)),
        width=width,
        looks=torch.from_numpy(looks).to(device),
        buckets=buckets,
        hidden=torch.from_numpy(hidden).to(device),
        kind=np.concatenate([piece.kind for piece in pieces]),
        start=np.concatenate([piece.start for piece in pieces]),
        span=np.concatenate([piece.span for piece in pieces]),
        ground=np.repeat(np.arange(len(pieces), dtype=np.int64), counts),
        pixels=tuple(part for piece in pieces for part in _pixels(piece)),
    )


def _stack(pieces: Sequence[Piece], name: str) -> NDArray[Any]:
    """A layer of all grounds, (G, H, W); `which` counts the changes of the whole country."""
    parts = [piece.layers[name] for piece in pieces]
    if name == "which":
        before = np.cumsum([0, *(len(piece.kind) for piece in pieces)]).astype(np.int32)
        parts = [np.where(part >= 0, part + first, part) for part, first in zip(parts, before, strict=False)]
    return np.stack(parts)


def _pixels(piece: Piece) -> list[NDArray[np.int64]]:
    """Pixels of each change, rising, as row · W + column."""
    which = piece.layers["which"].ravel()
    order = np.argsort(which, kind="stable")
    edges = np.searchsorted(which[order], np.arange(len(piece.kind) + 1))
    return [order[low:high] for low, high in pairwise(edges)]


def _new_tables(
    config: CountryConfig, pieces: Sequence[Piece], slots: int, width: int
) -> tuple[tuple[NDArray[np.float32], ...], NDArray[np.float32], int]:
    """`Tables` as arrays, ground by ground and day by day; looks of every change (rows, A, 1 + C); their steps."""
    rows, bands = len(pieces) * slots * width, len(BANDS)
    poor, rich = np.zeros((rows, bands), dtype=np.float32), np.zeros((rows, bands), dtype=np.float32)
    green, eager, grain = (np.zeros(rows, dtype=np.float32) for _ in range(3))
    buckets = (slots - 1) * SLOT_DAYS // LOOK_DAYS + 1
    count = max(sum(len(piece.kind) for piece in pieces), 1)
    looks = np.zeros((count, buckets, _ZONES, len(AGES), 1 + bands), dtype=np.float32)
    done = 0
    for number, (piece, years) in enumerate(zip(pieces, area_years(config), strict=True)):
        biome = BIOMES[config.biomes[number]]
        seasons = [_season(config.first, slot, biome, piece.fields, years) for slot in range(slots)]
        for slot, season in enumerate(seasons):
            at = (number * slots + slot) * width
            cut = slice(at, at + len(season.green))
            poor[cut], rich[cut] = season.poor, season.rich
            green[cut], eager[cut], grain[cut] = season.green, season.eager, season.grain
        known = seasons[:: LOOK_DAYS // SLOT_DAYS]
        for own, kind, start, span in zip(looks[done:], piece.kind, piece.start, piece.span, strict=False):
            for bucket in range(int(start) // LOOK_DAYS, buckets):  # before its start nothing of a change is seen
                table = new_looks(KINDS[kind], known[bucket], biome, int(span))
                own[bucket, : len(table)] = table
        done += len(piece.kind)
    return (poor, rich, green, eager, grain), looks.reshape(-1, len(AGES), 1 + bands), buckets


def _season(first: date, slot: int, biome: Biome, fields: Fields, years: Years) -> Season:
    """How everything looks on a day."""
    when = first + timedelta(days=slot * SLOT_DAYS)
    return new_season(biome, when.timetuple().tm_yday, when.year - first.year, fields, years)


def area_years(config: CountryConfig) -> list[Years]:
    """Wet and dry years of each ground, as an archive's area has them."""
    keys = [np.random.SeedSequence(config.seed, spawn_key=(number, 1)) for number in range(len(config.biomes))]
    return [new_years(np.random.Generator(np.random.PCG64(key))) for key in keys]


def wet_covers(width: int, device: torch.device) -> Tensor:
    """(width,) float32: 1 for covers that are water."""
    out = torch.zeros(width, device=device)
    out[list(WATERS)] = 1.0
    return out
