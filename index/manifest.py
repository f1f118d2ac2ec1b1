"""The manifest: what a store is made of, and with what.

`manifest.json` is written last, so a store without it is unfinished.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from stac.errors import StoreError
from stac.files import sha256, write_json

STORE_VERSION = 1
"""Version of the layout. A store of another version is refused."""

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
    def of(cls, store: Path, path: Path, rows: int) -> Part:
        """Measure a file."""
        return cls(path.relative_to(store).as_posix(), rows, path.stat().st_size, sha256(path))


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
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        version = content["version"]
    except (ValueError, KeyError, TypeError) as err:
        raise StoreError(f"{path} is damaged ({err})", "the JSON that index.build writes", "build again") from err
    if version != STORE_VERSION:
        raise StoreError(
            f"the store {store} is of version {version}",
            f"version {STORE_VERSION}",
            "build it again with this version, into another folder",
        )
    try:
        return _from_json(content)
    except (KeyError, TypeError) as err:
        raise StoreError(f"{path} lacks or misspells {err}", "the manifest's contract", "build again") from err


def _from_json(content: dict[str, Any]) -> Manifest:
    """Records from plain JSON."""
    blocks = tuple(
        BlockParts(
            block_id=block["block_id"],
            epsg=block["epsg"],
            cols=tuple(block["cols"]),
            rows=tuple(block["rows"]),
            observations=tuple(Part(**part) for part in block["observations"]),
            events=Part(**block["events"]),
            vectors=Part(**block["vectors"]),
        )
        for block in content["blocks"]
    )
    known = {entry.name for entry in fields(Manifest)}
    plain = {name: value for name, value in content.items() if name in known}
    return Manifest(**{**plain, "items": Part(**content["items"]), "blocks": blocks})


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
