"""The pipeline of a build: plan → observations, block by block and month by month → events → vectors → manifest.

Every step writes whole files and skips those of this build that are there, so a build that was killed goes on where it
stopped and ends with the same rows and the same vectors. What is missing, cut, damaged or of another build is made
again, in a finished store too. Pixels are read, embedded and dropped.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import shapely
import xarray as xr
from numpy.typing import NDArray
from tqdm import tqdm

from encoder.encoders import Encoder, open_encoder
from stac.blocks import Block, iter_blocks
from stac.buffers import Buffers
from stac.cube import clear_mask, gather_chips, view_chips
from stac.errors import AreaError, StoreError, WeightsError
from stac.files import lock, remove_leftovers, write_whole
from stac.items import Scene, nearest_first, solar_days
from stac.read import Day, ReadOptions, iter_days, meets

from .finish import finish_block, new_manifest, observations_path
from .labels import Labels, open_labels
from .manifest import MANIFEST, Manifest, open_manifest, save_manifest
from .observations import ObservationRows, count_observations, keep_read, open_part, save_observations
from .parts import belongs
from .plan import FREE, BuildConfig, Plan, make_plan

LOG = logging.getLogger(__name__)

CHIPS_AT_ONCE = 2048
"""Chips that are cut and embedded together: bounds the copies beside the cube."""


def build_store(config: BuildConfig, *, progress: bool = False, retry_missing: bool = False) -> Manifest:
    """Build a store, finish one, or mend one.

    A finished store is held against its manifest, file by file; what is missing or differs is made again. Labels name
    events only: where they say something else than they did, events, vectors and manifest are made again, and no pixel
    is read.

    Args:
        config: What is asked.
        progress: Show a progress bar on standard error.
        retry_missing: Read again the parts in which pixels could not be had.

    Returns:
        The manifest of the finished store.

    Raises:
        DataError: Bad input; whatever was already written stays.
        OSError: The disk is full; likewise.
    """
    store = Path(config.store)
    labels = open_labels(Path(config.labels)) if config.labels is not None else None
    encoder = open_encoder(config.encoder, bands=config.bands, device=config.device, seed=config.seed)
    fresh = not store.exists()
    try:
        with lock(store):
            remove_leftovers(store)
            plan = make_plan(config, encoder)
            return _write_store(store, plan, encoder, labels, progress=progress, retry_missing=retry_missing)
    finally:
        if fresh:
            _remove_if_bare(store)


def _write_store(
    store: Path, plan: Plan, encoder: Encoder, labels: Labels | None, *, progress: bool, retry_missing: bool
) -> Manifest:
    """Observations, events, vectors, manifest: whatever of this build is not there yet."""
    blocks = list(_covered_blocks(plan))
    steps = [(block, month, days) for block in blocks for month, days in _months(block, plan.scenes)]
    if not steps:
        raise AreaError(
            f"none of the {len(plan.scenes)} scenes lies over {plan.area.name}",
            "scenes over the area",
            "check the area, the period and the catalog",
        )
    old = _own_manifest(store, plan)
    known = {part.path: part.sha256 for part in old.parts()} if old is not None else {}
    buffers, paths = Buffers(), {block.block_id: list[Path]() for block in blocks}
    with tqdm(steps, unit="part", disable=not progress, desc="observations") as bar:
        for block, month, days in bar:
            bar.set_postfix_str(f"{block.block_id} {month}")
            path = observations_path(store, block.block_id, month)
            paths[block.block_id].append(path)
            made_from = {"plan": plan.sha256, "block": block.block_id, "month": month}
            name = path.relative_to(store).as_posix()
            ours = _belongs(path, made_from, known.get(name))
            if ours and not (retry_missing and count_observations(path).missing):
                continue
            table = observe(block, days, encoder, plan.config, buffers).to_table()
            if ours:
                table = keep_read(table, open_part(path), _meridian(block))
            with write_whole(path) as part:
                save_observations(table, part, made_from)
                (store / MANIFEST).unlink(missing_ok=True)  # a store without one is unfinished
            known.pop(name, None)
    finished = [
        finish_block(store, block, paths[block.block_id], plan, encoder, labels, known)
        for block in tqdm(blocks, unit="block", disable=not progress, desc="events")
        if paths[block.block_id]
    ]
    return _write_manifest(store, new_manifest(plan, encoder, store, finished), old)


def _own_manifest(store: Path, plan: Plan) -> Manifest | None:
    """The manifest of a finished store; None where there is none, or it is damaged or of another build."""
    if not (store / MANIFEST).is_file():
        return None
    try:
        manifest = open_manifest(store)
    except StoreError as err:
        LOG.warning("the manifest is written anew: %s", err.found)
        return None
    return manifest if manifest.plan_sha256 == plan.sha256 else None


def _belongs(path: Path, made_from: Mapping[str, str], known: str | None) -> bool:
    """Whether a part is there, whole and of this build; says so where one is there that is not."""
    if belongs(path, made_from, known):
        return True
    if path.is_file():
        LOG.warning("%s is made again: it is damaged, or of another build", path)
    return False


def _write_manifest(store: Path, new: Manifest, old: Manifest | None) -> Manifest:
    """Write the manifest, unless the one that is there says the same of the same files."""
    if old is not None and (store / MANIFEST).is_file():
        how = {name: old.arguments.get(name) for name in FREE}
        if replace(new, name=old.name, versions=old.versions, arguments={**new.arguments, **how}) == old:
            return old
    save_manifest(new, store)
    return new


def _remove_if_bare(store: Path) -> None:
    """Remove a folder that holds nothing but the lock."""
    if store.is_dir() and {path.name for path in store.iterdir()} <= {".lock"}:
        (store / ".lock").unlink(missing_ok=True)
        store.rmdir()


def _covered_blocks(plan: Plan) -> Iterator[Block]:
    """Blocks of the area over which at least one scene lies."""
    shown = shapely.union_all([scene.footprint for scene in plan.scenes])
    sizes = plan.config.chip_size, plan.config.gsd, plan.config.block_px
    for block in iter_blocks(plan.area.geometry, *sizes, within=shown):
        if any(meets(block, scene) for scene in plan.scenes):
            yield block


def _meridian(block: Block) -> float:
    """Central meridian of the block's zone, degrees: solar days are told by its sun."""
    return block.lattice.epsg % 100 * 6 - 183


def _months(block: Block, scenes: Sequence[Scene]) -> Iterator[tuple[str, dict[date, list[Scene]]]]:
    """The scenes over a block by calendar month of their solar day, then by solar day."""
    over = [scene for scene in scenes if meets(block, scene)]
    days = {
        day: nearest_first(found, *block.centre, epsg=block.lattice.epsg)
        for day, found in solar_days(over, _meridian(block)).items()
    }
    for month in sorted({day.strftime("%Y-%m") for day in days}):
        yield month, {day: found for day, found in sorted(days.items()) if day.strftime("%Y-%m") == month}


def observe(
    block: Block,
    days: Mapping[date, Sequence[Scene]],
    encoder: Encoder,
    config: BuildConfig,
    buffers: Buffers | None = None,
) -> ObservationRows:
    """Read and embed a block over some days.

    Args:
        block: The locations.
        days: Solar day → its scenes over the block.
        encoder: Names the bands to read.
        config: Thresholds and threads.
        buffers: Memory to use again from block to block.

    Returns:
        One row for each location and day that a scene shows, or may show while its files cannot be read: then it has
        neither clear fraction nor embedding. A location wholly without data on a day has no row.
    """
    rows = ObservationRows(encoder.dim)
    options = ReadOptions(threads=config.threads)
    for day in iter_days(block, days, encoder.bands, min_clear=config.min_clear, options=options, buffers=buffers):
        if day.reason is not None:
            count = np.count_nonzero(day.missing)
            LOG.warning("%s %s: %d missing observations: %s", block.block_id, day.day, count, day.reason)
        _add_day(rows, block, day, encoder, config.min_clear)
    return rows


def _add_day(rows: ObservationRows, block: Block, day: Day, encoder: Encoder, min_clear: float) -> None:
    """Rows of a day: one for each location of the area in which some scene has a pixel, or may have."""
    row, col = np.nonzero(block.mask & day.seen.any(axis=0))
    clear = day.clear[row, col]  # NaN where missing: never clear enough
    embedding = np.full((len(row), encoder.dim), np.nan, np.float16)
    if day.cube is not None:
        wanted = np.flatnonzero(clear >= min_clear)
        embedding[wanted] = _embed_chips(day.cube, encoder, block.lattice.chip_size, row[wanted], col[wanted])
    behind = [[scene for scene, has in zip(day.scenes, seen, strict=True) if has] for seen in day.seen[:, row, col].T]
    top = block.row0 + block.nrows - 1
    rows.add(
        [block.lattice.location_id(block.col0 + int(c), top - int(r)) for r, c in zip(row, col, strict=True)],
        [min(scene.time for scene in scenes) for scenes in behind],
        clear,
        [[scene.item_id for scene in scenes] for scenes in behind],
        embedding,
    )


def _embed_chips(
    cube: xr.Dataset, encoder: Encoder, chip_size: int, row: NDArray[np.intp], col: NDArray[np.intp]
) -> NDArray[np.float16]:
    """Embeddings (n, D) float16 of the chips at (row, col), image order; cloudy pixels count for nothing."""
    clear = view_chips(clear_mask(cube["scl"].values[0]), chip_size)
    out = np.empty((len(row), encoder.dim), np.float16)
    batch = np.empty((min(CHIPS_AT_ONCE, len(row)), len(encoder.bands), chip_size, chip_size), np.uint16)
    for start in range(0, len(row), CHIPS_AT_ONCE):
        part = slice(start, start + CHIPS_AT_ONCE)
        chips = gather_chips(cube, encoder.bands, chip_size, row[part], col[part], out=batch)
        with np.errstate(over="ignore"):
            out[part] = encoder.embed(chips, clear[row[part], col[part]])
        finite = np.isfinite(out[part])
        if not finite.all():
            raise WeightsError(
                f"the encoder {encoder.name} gives numbers that are not finite, or beyond ±65,504, for "
                f"{np.count_nonzero(~finite.all(axis=1))} of {len(finite)} chips",
                "embeddings that float16 can hold",
                "check the weights (training that diverged leaves NaN in them), or choose another encoder",
            )
    return out
