"""What a build is asked to do (`BuildConfig`) and the plan that makes it resumable.

The plan is written before anything else: the arguments, the encoder's hash and the items found. A build that is started
again with the same arguments goes on from the same plan, so that a catalog that has grown meanwhile changes nothing.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import shapely

from encoder.encoders import Encoder
from stac.area import Area, norm_area
from stac.blocks import DEFAULT_BLOCK_PX
from stac.catalog import find_items, open_items, save_items
from stac.errors import StoreError
from stac.files import sha256, write_json, write_whole
from stac.items import Scene, resolve_scenes
from stac.period import Period, norm_period

from .manifest import STORE_VERSION
from .pairs import PAIRINGS, Pairing
from .vectors import FACTORIES

PLAN = "plan.json"
ITEMS = "items.json"

FREE = frozenset({"store", "device", "threads"})
"""Arguments that change how a build runs, not what it makes."""


@dataclass(frozen=True)
class BuildConfig:
    """Arguments of a build, as the command line gives them; saved whole in the plan and the manifest."""

    catalog: str
    """Preset name, address or file."""
    store: str
    """Folder to make."""
    area: str
    """`W,S,E,N`, a vector file, GeoJSON, or a place name."""
    period: str
    """`START/END`."""
    collection: str | None = None
    """STAC collection; None means the preset's."""
    encoder: str = "spectral"
    """Name or file."""
    bands: tuple[str, ...] | None = None
    """Bands to read, for encoders that take any; None means the encoder's own."""
    pairs: Pairing = "consecutive"
    """How observations are paired in time."""
    monthly: bool = False
    """Pair only the clearest observation of each calendar month."""
    chip_size: int = 64
    """Side of a chip, pixels."""
    gsd: int = 10
    """Side of a pixel, metres."""
    min_clear: float = 0.8
    """Clear fraction below which an observation is not embedded."""
    max_cloud: float | None = None
    """Leave out scenes whose own cloud cover (percent) is above this."""
    labels: str | None = None
    """Labelled polygons that name events."""
    block_px: int = DEFAULT_BLOCK_PX
    """Largest side of a block, pixels."""
    factory: str = "Flat"
    """FAISS factory string of the shards."""
    seed: int = 0
    """For parameters drawn at random."""
    device: str = "auto"
    """Where the encoder runs."""
    threads: int = 8
    """Threads that read."""

    def __post_init__(self) -> None:
        for name, low in (("chip_size", 4), ("gsd", 1), ("block_px", self.chip_size), ("threads", 1)):
            if getattr(self, name) < low:
                raise StoreError(f"{name} {getattr(self, name)}", f"at least {low}", "correct the argument")
        if self.pairs not in PAIRINGS:
            raise StoreError(f"pairs '{self.pairs}'", " or ".join(PAIRINGS), "correct the argument")
        if self.factory not in FACTORIES:
            raise StoreError(f"factory '{self.factory}'", " or ".join(FACTORIES), "correct the argument")
        if not 0 < self.min_clear <= 1:
            raise StoreError(f"min_clear {self.min_clear}", "above 0 and at most 1", "correct the argument")


@dataclass(frozen=True)
class Plan:
    """Everything that a build needs to know before it reads a pixel."""

    config: BuildConfig
    area: Area
    period: Period
    scenes: tuple[Scene, ...]
    """Resolved, harmonised, without duplicates, in order."""
    items_found: int
    """Items before duplicates were dropped."""
    simulated: bool
    """The imagery is not real."""


def make_plan(config: BuildConfig, encoder: Encoder) -> Plan:
    """Open the store's plan, or find the items and write one.

    Args:
        config: What is asked.
        encoder: The opened encoder: its hash binds the plan, its bands are read.

    Raises:
        StoreError: The folder holds a plan with other arguments, or something else.
        CatalogError: The catalog cannot be read.
        AreaError: The area or period is not one, or holds no scene.
        ItemError: An item lacks a band.
    """
    store = Path(config.store)
    period = norm_period(config.period)
    area = norm_area(config.area)
    wanted = _identity(config, encoder, area)
    if (store / PLAN).is_file():
        _compare(_read_plan(store / PLAN), wanted, store)
        items = open_items(store / ITEMS)
    else:
        _refuse_foreign(store)
        items = find_items(
            config.catalog, area=area, period=period, collection=config.collection, max_cloud=config.max_cloud
        )
    scenes = resolve_scenes(items, encoder.bands)
    simulated = any(item.properties.get("afterimage:simulated") for item in items)
    if not (store / PLAN).is_file():
        with write_whole(store / ITEMS) as temporary:
            save_items(items, temporary)
        write_json(store / PLAN, {**wanted, "items_sha256": sha256(store / ITEMS)})
    return Plan(config, area, period, tuple(scenes), len(items), simulated)


def _identity(config: BuildConfig, encoder: Encoder, area: Area) -> dict[str, Any]:
    """What makes two builds the same build: arguments, and what the files behind them hold."""
    arguments = {name: value for name, value in asdict(config).items() if name not in FREE}
    # A GPU embeds in bfloat16, a CPU in float32: one store holds one kind.
    arguments["embedded_on"] = getattr(getattr(encoder, "device", None), "type", "cpu")
    arguments["area_sha256"] = hashlib.sha256(shapely.to_wkb(area.geometry.normalize())).hexdigest()
    if config.labels:
        arguments["labels_sha256"] = sha256(Path(config.labels))
    plain: dict[str, Any] = json.loads(json.dumps(arguments))
    return {"version": STORE_VERSION, "arguments": plain, "encoder_sha256": encoder.sha256}


def _read_plan(path: Path) -> Mapping[str, Any]:
    """The plan's JSON."""
    try:
        content: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if sha256(path.with_name(ITEMS)) != content["items_sha256"]:
            raise StoreError(
                f"{path.with_name(ITEMS)} is not the one of the plan",
                "the items that the build began with",
                "build into another folder",
            )
    except (ValueError, KeyError, OSError) as err:
        raise StoreError(f"{path} is damaged ({err})", "the plan of a build", "build into another folder") from err
    return content


def _compare(found: Mapping[str, Any], wanted: Mapping[str, Any], store: Path) -> None:
    """Refuse to go on with a build that was begun otherwise."""
    if found.get("version") != wanted["version"]:
        raise StoreError(
            f"the store {store} is of version {found.get('version')}",
            f"version {wanted['version']}",
            "build into another folder with --store",
        )
    old, new = found["arguments"], wanted["arguments"]
    names = [name for name in sorted({*old, *new}) if old.get(name) != new.get(name)]
    if found["encoder_sha256"] != wanted["encoder_sha256"]:
        names.append("encoder's weights")
    if names:
        told = ", ".join(f"{name} {old.get(name)} (now {new.get(name)})" for name in names)
        raise StoreError(
            f"the store {store} was begun with {told}",
            "the same arguments",
            "give the same arguments to go on with it, or another folder with --store",
        )


def _refuse_foreign(store: Path) -> None:
    """A folder that is neither empty nor ours is left alone."""
    if store.exists() and not store.is_dir():
        raise StoreError(f"{store} is a file", "a folder for the store", "choose another --store")
    strange = [path.name for path in store.iterdir() if path.name not in {".lock", ITEMS}] if store.is_dir() else []
    if strange:
        raise StoreError(
            f"{store} already holds other files ({', '.join(sorted(strange)[:3])})",
            "an empty folder, or a store",
            "choose another --store",
        )
