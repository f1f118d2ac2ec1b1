"""The last steps of a build: events and vectors of each block whose observations are all there, then the manifest."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import shapely
from numpy.typing import NDArray

from encoder.encoders import Encoder
from stac.blocks import Block
from stac.files import sha256, write_whole

from .events import new_events, save_events
from .labels import Labels, add_labels
from .manifest import MANIFEST, METRIC, STORE_VERSION, BlockParts, Manifest, Part
from .observations import count_observations, list_locations, open_observations
from .parts import MADE_FROM, belongs, digest, read_metadata
from .plan import ITEMS, BuildConfig, Plan
from .vectors import new_shard, save_shard

LOCATIONS_AT_ONCE = 2048
"""Locations whose observations are in memory together."""

_VECTORS = "afterimage:vectors_sha256"
"""Key of an events file's own metadata: SHA-256 of its vectors."""

_LIBRARIES = ("afterimage", "torch", "faiss-gpu-cuvs", "faiss-cpu", "rasterio", "numpy", "pyarrow")


def observations_path(store: Path, block_id: str, month: str) -> Path:
    """Where the part of a block and month (`YYYY-MM`) stands."""
    return store / "observations" / f"{block_id}_{month}.parquet"


def events_path(store: Path, block_id: str) -> Path:
    """Where the events of a block stand."""
    return store / "events" / f"{block_id}.parquet"


def vectors_path(store: Path, block_id: str) -> Path:
    """Where the vectors of a block stand."""
    return store / "vectors" / f"{block_id}.faiss"


def finish_block(
    store: Path,
    block: Block,
    paths: Sequence[Path],
    plan: Plan,
    encoder: Encoder,
    labels: Labels | None = None,
    known: Mapping[str, str] | None = None,
) -> BlockParts:
    """Write the events and vectors of a block, where those of this build are not there yet.

    Args:
        store: The folder. Its manifest goes once there is something to put in the place of what it names.
        block: Its observations are all there.
        paths: Parts of its observations.
        plan: How observations are paired.
        encoder: Named in the files' metadata.
        labels: Polygons that name events.
        known: Path in the store → SHA-256, by a manifest that can be trusted; of observations, as they are now.

    Returns:
        What the manifest says of the block.

    Raises:
        StoreError: A part is damaged.
        OSError: The disk is full.
    """
    config, known = plan.config, known or {}
    observations = tuple(
        Part.of(store, path, count_observations(path).observations, known.get(path.relative_to(store).as_posix()))
        for path in paths
    )
    made_from = {
        "plan": plan.sha256,
        "block": block.block_id,
        "observations": digest([part.sha256 for part in observations]),
        "labels": labels.sha256 if labels is not None else None,
        **{name: getattr(config, name) for name in ("pairs", "monthly", "factory")},
    }
    events_file, vectors_file = events_path(store, block.block_id), vectors_path(store, block.block_id)
    sure = known.get(events_file.relative_to(store).as_posix())
    if not (belongs(events_file, made_from, sure) and _are_vectors_of(events_file, vectors_file)):
        events, vectors = _pair_block(paths, config)
        if labels is not None:
            events = add_labels(events, labels.table)
        with write_whole(vectors_file) as vectors_part, write_whole(events_file) as events_part:
            save_shard(new_shard(vectors, config.factory), vectors_part)
            metadata = {MADE_FROM: made_from, _VECTORS: sha256(vectors_part), **_event_metadata(config, encoder)}
            save_events(events, events_part, metadata)
            (store / MANIFEST).unlink(missing_ok=True)  # now that both are on the disk
        sure = None
    count = int(pq.read_metadata(events_file).num_rows)
    return BlockParts(
        block_id=block.block_id,
        epsg=block.lattice.epsg,
        cols=(block.col0, block.col0 + block.ncols - 1),
        rows=(block.row0, block.row0 + block.nrows - 1),
        observations=observations,
        events=Part.of(store, events_file, count, sure),
        vectors=Part.of(store, vectors_file, count, read_metadata(events_file, _VECTORS)),
    )


def _are_vectors_of(events_file: Path, vectors_file: Path) -> bool:
    """Whether the vectors are there and are those that were written with the events."""
    return vectors_file.is_file() and read_metadata(events_file, _VECTORS) == sha256(vectors_file)


def _pair_block(parts: Sequence[Path], config: BuildConfig) -> tuple[gpd.GeoDataFrame, NDArray[np.float32]]:
    """Events and change vectors of a block, a few thousand locations at a time."""
    places = list_locations(parts)
    events, vectors = [], []
    for start in range(0, max(len(places), 1), LOCATIONS_AT_ONCE):
        some = places[start : start + LOCATIONS_AT_ONCE]
        observations = open_observations(parts, (some[0], some[-1]) if some else None)
        found, unit = new_events(observations, config.gsd, config.pairs, monthly=config.monthly)
        events.append(found)
        vectors.append(unit)
    filled = [table for table in events if len(table)] or events[:1]
    joined = gpd.GeoDataFrame(pd.concat(filled, ignore_index=True), geometry="geometry", crs=4326)
    return joined, np.concatenate(vectors)


def _event_metadata(config: BuildConfig, encoder: Encoder) -> dict[str, object]:
    """File metadata by the names of the STAC embeddings extension."""
    return {
        "emb:type": "chip-difference",
        "emb:dimensions": encoder.dim,
        "emb:chip_layout": {
            "layout_type": "regular_grid",
            "chip_size": [config.chip_size, config.chip_size],
            "stride": [config.chip_size, config.chip_size],
            "gsd": config.gsd,
        },
        "emb:quantization": {"observations": "float16", "vectors": "float32"},
        "emb:model": {"name": encoder.name, "sha256": encoder.sha256, "bands": list(encoder.bands)},
    }


def new_manifest(plan: Plan, encoder: Encoder, store: Path, blocks: Sequence[BlockParts]) -> Manifest:
    """The record of everything that was written."""
    config = plan.config
    return Manifest(
        version=STORE_VERSION,
        name=store.name,
        arguments=json.loads(json.dumps(asdict(config))),
        encoder={
            "name": encoder.name,
            "sha256": encoder.sha256,
            "bands": list(encoder.bands),
            "dim": encoder.dim,
        },
        metric=METRIC,
        factory=config.factory,
        chip_size=config.chip_size,
        gsd=config.gsd,
        area=json.loads(json.dumps(shapely.geometry.mapping(plan.area.geometry))),
        period=str(plan.period),
        simulated=plan.simulated,
        plan_sha256=plan.sha256,
        items=Part.of(store, store / ITEMS, plan.items_found),
        blocks=tuple(blocks),
        counts=_count(store, blocks),
        versions=_versions(),
    )


def _count(store: Path, blocks: Sequence[BlockParts]) -> dict[str, int]:
    """Locations, observations, embedded, missing, events."""
    counts = dict.fromkeys(("locations", "observations", "embedded", "missing", "events"), 0)
    for block in blocks:
        paths = [store / part.path for part in block.observations]
        counts["locations"] += len(list_locations(paths))
        counts["events"] += block.events.rows
        for path in paths:
            for name, number in asdict(count_observations(path)).items():
                counts[name] += number
    return counts


def _versions() -> dict[str, str]:
    """Installed versions of what shapes the numbers."""
    found = {}
    for name in _LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
