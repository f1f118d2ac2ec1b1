"""What a build is asked to do (`BuildConfig`) and the plan that makes it resumable.

The plan is written before anything else: the arguments, the encoder's hash and the items found. A build that is started
again with the same arguments goes on from the same plan, so that a catalog that has grown meanwhile changes nothing. A
plan that is lost or damaged is written anew where parts of the store name the very one that is asked for.

The labels file is the one argument that may change: it names events and touches no observation. Left out where the
build began with one, it is missed like any other argument, so that a forgotten flag takes no names away.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pystac
import shapely

from encoder.encoders import Encoder
from stac.area import Area, norm_area
from stac.blocks import DEFAULT_BLOCK_PX
from stac.catalog import find_items, open_items, save_items
from stac.errors import DataError, StoreError
from stac.files import sha256, write_json, write_whole
from stac.items import Scene, resolve_scenes
from stac.period import Period, norm_period

from .manifest import STORE_VERSION
from .pairs import PAIRINGS, Pairing
from .parts import MADE_FROM, digest, read_metadata
from .vectors import FACTORIES

LOG = logging.getLogger(__name__)

PLAN = "plan.json"
ITEMS = "items.json"

FREE = frozenset({"store", "device", "threads"})
"""Arguments that change how a build runs, not what it makes."""

OF_EVENTS = frozenset({"pairs", "monthly", "labels", "factory"})
"""Arguments of which observations know nothing."""

BOUND = frozenset({"catalog", "area"})
"""Arguments that say where something lies: what lies there is bound by hashes, of the items and of the area."""

_ELSEWHERE = "build into another folder with --store"


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
                flag = "--" + name.replace("_", "-")
                raise StoreError(f"{flag} {getattr(self, name)}", f"at least {low}", "correct the argument")
        if self.pairs not in PAIRINGS:
            raise StoreError(f"--pairs '{self.pairs}'", " or ".join(PAIRINGS), "correct the argument")
        if self.factory not in FACTORIES:
            raise StoreError(f"--factory '{self.factory}'", " or ".join(FACTORIES), "correct the argument")
        if not 0 < self.min_clear <= 1:
            raise StoreError(f"--min-clear {self.min_clear}", "above 0 and at most 1", "correct the argument")


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
    sha256: str
    """Of all that makes the observations: arguments, encoder, items. Each part names it."""


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

    def find() -> list[pystac.Item]:
        return find_items(
            config.catalog, area=area, period=period, collection=config.collection, max_cloud=config.max_cloud
        )

    found = _find_plan(store, wanted)
    if found is not None:
        _compare(found, wanted, store)
        items_sha256 = found["items_sha256"]
        items = _reopen_items(store / ITEMS, items_sha256, find)
        scenes = resolve_scenes(items, encoder.bands)
    else:
        _refuse_foreign(store)
        items = find()
        scenes = resolve_scenes(items, encoder.bands)
        save_items(items, store / ITEMS)
        items_sha256 = sha256(store / ITEMS)
    plan = {**wanted, "items_sha256": items_sha256}
    if plan != found:  # new, or with another labels file
        write_json(store / PLAN, plan)
    simulated = any(item.properties.get("afterimage:simulated") for item in items)
    return Plan(config, area, period, tuple(scenes), len(items), simulated, _digest(plan))


def _reopen_items(path: Path, expected: str, find: Callable[[], list[pystac.Item]]) -> list[pystac.Item]:
    """The items that the build began with, found again where their file is missing or damaged.

    Raises:
        StoreError: The catalog no longer gives the same items.
    """
    if path.is_file() and sha256(path) == expected:
        return open_items(path)
    wrong = f"{path} is {'not the one of the plan' if path.is_file() else 'missing'}"
    wanted, do = "the items that the build began with", f"restore the file from a copy, or {_ELSEWHERE}"
    try:
        items = find()
    except DataError as err:
        raise StoreError(f"{wrong}, and the items cannot be found again ({err.found})", wanted, do) from err
    with write_whole(path) as temporary:
        save_items(items, temporary)
        if sha256(temporary) != expected:
            raise StoreError(f"{wrong}, and the catalog has changed since", wanted, do)
    return items


def _digest(plan: Mapping[str, Any]) -> str:
    """SHA-256 of what makes the observations."""
    arguments = {name: value for name, value in plan["arguments"].items() if name not in OF_EVENTS | BOUND}
    return digest({**plan, "arguments": arguments})


def _identity(config: BuildConfig, encoder: Encoder, area: Area) -> dict[str, Any]:
    """What makes two builds the same build: arguments, and what the files behind them hold."""
    arguments = {name: value for name, value in asdict(config).items() if name not in FREE}
    # A GPU embeds in bfloat16, a CPU in float32: one store holds one kind.
    arguments["embedded_on"] = getattr(getattr(encoder, "device", None), "type", "cpu")
    arguments["area_sha256"] = hashlib.sha256(shapely.to_wkb(area.geometry.normalize())).hexdigest()
    plain: dict[str, Any] = json.loads(json.dumps(arguments))
    return {"version": STORE_VERSION, "arguments": plain, "encoder_sha256": encoder.sha256}


def _find_plan(store: Path, wanted: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The store's plan; where its file is missing or damaged, the one that the store's parts were made by.

    Returns:
        The plan; None where there is none yet.

    Raises:
        StoreError: The file is damaged, and no part was made by what is asked for now.
    """
    path = store / PLAN
    error = None
    if path.is_file():
        try:
            return _read_plan(path)
        except StoreError as err:
            error = err
    if (store / ITEMS).is_file():
        asked = {**wanted, "items_sha256": sha256(store / ITEMS)}
        made_from = (read_metadata(part, MADE_FROM) for part in sorted((store / "observations").glob("*.parquet")))
        if any(isinstance(found, dict) and found.get("plan") == _digest(asked) for found in made_from):
            LOG.warning("%s is written anew: parts of the store name it", path)
            write_json(path, asked)
            return asked
    if error is not None:
        raise error
    return None


def _read_plan(path: Path) -> Mapping[str, Any]:
    """The plan's JSON.

    Raises:
        StoreError: It is not what `make_plan` writes.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as err:
        raise StoreError(f"{path} is damaged ({err})", "the plan of a build", _ELSEWHERE) from err
    kinds = {"version": int, "arguments": dict, "encoder_sha256": str, "items_sha256": str}
    plain: dict[str, Any] = content if isinstance(content, dict) else {}
    wrong = [name for name, kind in kinds.items() if not isinstance(plain.get(name), kind)]
    if wrong and not ("version" in plain and plain["version"] != STORE_VERSION):  # another version: said by `_compare`
        raise StoreError(f"{path} is damaged (no {', no '.join(wrong)})", "the plan of a build", _ELSEWHERE)
    return plain


def _compare(found: Mapping[str, Any], wanted: Mapping[str, Any], store: Path) -> None:
    """Refuse to go on with a build that was begun otherwise."""
    if found["version"] != wanted["version"]:
        raise StoreError(
            f"the store {store} is of version {found['version']}", f"version {wanted['version']}", _ELSEWHERE
        )
    old, new = found["arguments"], wanted["arguments"]
    names = [name for name in sorted({*old, *new}) if _one_path(old.get(name)) != _one_path(new.get(name))]
    if new.get("labels") is not None and "labels" in names:
        names.remove("labels")
    told = ", ".join(f"{name} {old.get(name)} (now {new.get(name)})" for name in names)
    if not names and found["encoder_sha256"] != wanted["encoder_sha256"]:
        told = "other weights of the encoder"
    if told:
        raise StoreError(
            f"the store {store} was begun with {told}",
            "the same arguments",
            "give the same arguments to go on with it, or another folder with --store",
        )


def _one_path(value: Any) -> Any:
    """A path that is there, however it was typed, as one text; anything else as it is."""
    try:
        return str(Path(value).resolve()) if isinstance(value, str) and Path(value).exists() else value
    except OSError:  # too long for a path
        return value


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
