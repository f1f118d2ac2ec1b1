"""The manifest: what a store is made of, and with what.

`manifest.json` is written last, so a store without it is unfinished.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import shapely
from pydantic import TypeAdapter, ValidationError

from stac.errors import AreaError, StoreError
from stac.files import sha256, write_json
from stac.period import norm_period

T = TypeVar("T")

STORE_VERSION = 3
"""Version of the layout. A store of another version is refused. 2: parts say what they were made from. 3: events say
how much of their label they show."""

METRIC = "inner product of unit change vectors"

MANIFEST = "manifest.json"


@dataclass(frozen=True)
class Part:
    """One file of a store."""

    path: str
    """Relative to the store."""
    rows: int
    """Rows, vectors, or items."""
    bytes: int
    """Size of the file."""
    sha256: str
    """Hexadecimal."""

    @classmethod
    def of(cls, store: Path, path: Path, rows: int, known: str | None = None) -> Part:
        """Measure a file; `known` is its SHA-256 where that was taken already."""
        return cls(path.relative_to(store).as_posix(), rows, path.stat().st_size, known or sha256(path))


@dataclass(frozen=True)
class BlockParts:
    """The files of one block."""

    block_id: str
    epsg: int
    """CRS of the block's lattice."""
    cols: tuple[int, int]
    """First and last column of the lattice, both inside."""
    rows: tuple[int, int]
    """First and last row, both inside."""
    observations: tuple[Part, ...]
    """One for each month that has any."""
    events: Part
    vectors: Part


@dataclass(frozen=True)
class Manifest:
    """Everything that a store says of itself."""

    version: int
    name: str
    arguments: dict[str, Any]
    """The `BuildConfig`, whole."""
    encoder: dict[str, Any]
    """Name, weights' SHA-256, bands, dimension."""
    metric: str
    factory: str
    chip_size: int
    """Pixels."""
    gsd: int
    """Metres."""
    area: dict[str, Any]
    """GeoJSON geometry, degrees."""
    period: str
    simulated: bool
    """The imagery is not real."""
    plan_sha256: str
    """`index.plan.Plan.sha256`: of all that makes the observations."""
    items: Part
    blocks: tuple[BlockParts, ...]
    counts: dict[str, int]
    """Locations, observations, embedded, missing, events."""
    versions: dict[str, str] = field(default_factory=dict)
    """Of this project and of the libraries that shape the numbers."""

    @property
    def dim(self) -> int:
        """D, the embedding's length."""
        return int(self.encoder["dim"])

    def parts(self) -> list[Part]:
        """Every file."""
        inside = [part for block in self.blocks for part in (*block.observations, block.events, block.vectors)]
        return [self.items, *inside]


def save_manifest(manifest: Manifest, store: Path) -> None:
    """Write `manifest.json`, whole or not at all."""
    write_json(store / MANIFEST, asdict(manifest))


def open_manifest(store: Path) -> Manifest:
    """Read `manifest.json`.

    Raises:
        StoreError: There is no store, it is unfinished, damaged, or of another version.
    """
    path = store / MANIFEST
    if not path.is_file():
        unfinished = (store / "plan.json").is_file()
        found = f"the store {store} is unfinished" if unfinished else f"there is no store at {store}"
        do = "run its index.build command again to finish it" if unfinished else "build one with index.build"
        raise StoreError(found, f"a folder with {MANIFEST}", do)
    text = path.read_bytes()
    version = _parse(_Version, text, path).version
    if version != STORE_VERSION:
        raise StoreError(
            f"the store {store} is of version {version}",
            f"version {STORE_VERSION}",
            "build it again with this version, into another folder",
        )
    manifest = _parse(Manifest, text, path)
    _parse(_Encoder, json.dumps(manifest.encoder).encode(), path, "encoder")
    try:
        _check_values(manifest)
    except ValueError as err:
        raise _damaged(path, str(err)) from err
    return manifest


@dataclass(frozen=True)
class _Version:
    """What a manifest of any version says."""

    version: int


@dataclass(frozen=True)
class _Encoder:
    """What is read of a manifest's `encoder`."""

    name: str
    sha256: str
    bands: tuple[str, ...]
    dim: int


def _parse(kind: type[T], text: bytes, path: Path, within: str = "") -> T:
    """A record from JSON, each field of the type that the record states; unknown fields are dropped.

    Raises:
        StoreError: The JSON is broken, or a field is missing or of another type.
    """
    try:
        return TypeAdapter(kind).validate_json(text, strict=True)
    except ValidationError as err:
        first = err.errors(include_url=False)[0]
        where = ".".join(map(str, (*within.split(), *first["loc"])))
        raise _damaged(path, f"{where}: {first['msg']}" if where else first["msg"]) from err


def _damaged(path: Path, reason: str) -> StoreError:
    """The error for a manifest that is none."""
    do = "run the same index.build command again: it writes it anew"
    return StoreError(f"{path} is damaged ({reason})", "the JSON that index.build writes", do)


def _check_values(manifest: Manifest) -> None:
    """Refuse values that no store has.

    Raises:
        ValueError: There is one.
    """
    zones = {*range(32601, 32661), *range(32701, 32761)}
    if not manifest.blocks:
        raise ValueError("blocks is empty")
    if not all(block.epsg in zones for block in manifest.blocks):
        raise ValueError("a block's epsg is no UTM zone")
    if min(manifest.chip_size, manifest.gsd, manifest.dim) < 1 or not manifest.encoder["bands"]:
        raise ValueError("chip_size, gsd, bands or dim is nought")
    try:
        norm_period(manifest.period)
        empty = shapely.geometry.shape(manifest.area).is_empty
    except (AreaError, AttributeError, KeyError, TypeError, shapely.errors.ShapelyError) as err:
        raise ValueError(f"its area or period is none: {err}") from err
    if empty:
        raise ValueError("its area is empty")


def check_manifest(manifest: Manifest, store: Path, *, deep: bool) -> list[str]:
    """Every file that disagrees with the manifest.

    Args:
        manifest: As opened.
        store: The store's folder.
        deep: Compare SHA-256 too, not only presence and size.
    """
    faults = []
    for part in manifest.parts():
        path = store / part.path
        if not path.resolve().is_relative_to(store.resolve()):
            faults.append(f"{part.path} lies outside the store")
        elif not path.is_file():
            faults.append(f"{part.path} is missing")
        elif path.stat().st_size != part.bytes:
            faults.append(f"{part.path} has {path.stat().st_size} bytes, not {part.bytes}")
        elif deep and sha256(path) != part.sha256:
            faults.append(f"{part.path} has another SHA-256")
    return faults
