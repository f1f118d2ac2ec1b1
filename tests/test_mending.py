"""A build takes only what is its own: parts that are missing, cut, damaged or of another build are made again."""

from __future__ import annotations

import errno
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest

from encoder.spectral import SpectralEncoder
from index import finish, pipeline
from index.demo import archive_bounds
from index.observations import open_observations
from index.pipeline import build_store
from index.plan import BuildConfig
from index.store import open_store
from stac.errors import AreaError, StoreError, WeightsError


@pytest.fixture(scope="module")
def config(small_archive: Path, tmp_path_factory: pytest.TempPathFactory) -> BuildConfig:
    """Arguments of a store of three months, built."""
    config = BuildConfig(
        catalog=str(small_archive),
        store=str(tmp_path_factory.mktemp("whole") / "store"),
        area=",".join(map(str, archive_bounds(small_archive))),
        period="2021-06-01/2021-08-31",
        chip_size=64,
        labels=str(small_archive.with_name("events.geojson")),
    )
    build_store(config)
    return config


@pytest.fixture
def copy(config: BuildConfig, tmp_path: Path) -> BuildConfig:
    """The same arguments for a copy that a test may damage."""
    shutil.copytree(config.store, tmp_path / "store")
    return replace(config, store=str(tmp_path / "store"))


def content(config: BuildConfig) -> dict[str, bytes]:
    """Every file, but for what names the folder itself."""
    store = Path(config.store)
    paths = [
        path for path in sorted(store.rglob("*")) if path.is_file() and path.name not in {".lock", "manifest.json"}
    ]
    return {path.relative_to(store).as_posix(): path.read_bytes() for path in paths}


def first(config: BuildConfig, folder: str) -> Path:
    return min((Path(config.store) / folder).iterdir())


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-40])


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))


def no_blocks(path: Path) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), "blocks": []}))


DAMAGE: list[tuple[str, Callable[[Path], None]]] = [
    ("observations", Path.unlink),
    ("observations", cut),
    ("observations", flip),
    ("events", Path.unlink),
    ("events", cut),
    ("vectors", flip),
    ("vectors", Path.unlink),
    ("items.json", Path.unlink),
    ("items.json", cut),
    ("manifest.json", cut),
    ("manifest.json", no_blocks),
]


@pytest.mark.parametrize(("name", "damage"), DAMAGE)
def test_the_command_that_a_damaged_store_asks_for_mends_it(
    name: str, damage: Callable[[Path], None], config: BuildConfig, copy: BuildConfig
) -> None:
    path = Path(copy.store) / name
    damage(min(path.iterdir()) if path.is_dir() else path)
    with pytest.raises(StoreError, match=r"run the same index\.build command again"):
        open_store(Path(copy.store))
    build_store(copy)
    assert content(copy) == content(config)
    assert len(open_store(Path(copy.store), verify=True).events)


@pytest.mark.parametrize(("name", "damage"), DAMAGE[:9])
def test_an_unfinished_store_goes_on_from_its_whole_parts_alone(
    name: str, damage: Callable[[Path], None], config: BuildConfig, copy: BuildConfig
) -> None:
    path = Path(copy.store) / name
    damage(min(path.iterdir()) if path.is_dir() else path)
    (Path(copy.store) / "manifest.json").unlink()
    build_store(copy)
    assert content(copy) == content(config)


@pytest.mark.parametrize("damage", [Path.unlink, cut])
def test_a_lost_plan_is_written_anew_where_parts_name_it(
    damage: Callable[[Path], None], config: BuildConfig, copy: BuildConfig
) -> None:
    damage(Path(copy.store) / "plan.json")
    with pytest.raises(StoreError, match=r"another --store|another folder"):
        build_store(replace(copy, min_clear=0.5))  # not the plan of these parts
    build_store(copy)
    assert content(copy) == content(config)


def test_a_part_of_another_month_or_another_build_is_not_used(
    config: BuildConfig, copy: BuildConfig, tmp_path: Path
) -> None:
    other = replace(copy, store=str(tmp_path / "other"), bands=("B02", "B04"), min_clear=0.3, labels=None)
    build_store(other)
    june, july, august = sorted((Path(copy.store) / "observations").iterdir())
    shutil.copy(july, june)
    shutil.copy(Path(other.store) / "observations" / august.name, august)
    for folder in ("events", "vectors"):
        shutil.copy(first(other, folder), first(copy, folder))
    shutil.copy(july, july.with_name(july.name.replace("-07", "-11")))  # a month that is not in the period
    (Path(copy.store) / "manifest.json").unlink()
    build_store(copy)
    july.with_name(july.name.replace("-07", "-11")).unlink()  # left alone, and no part of the store
    assert content(copy) == content(config)


def test_the_manifest_of_another_store_is_not_believed(config: BuildConfig, copy: BuildConfig, tmp_path: Path) -> None:
    other = replace(copy, store=str(tmp_path / "other"), period="2021-06")
    build_store(other)
    parts = {path: path.stat().st_mtime_ns for path in (Path(copy.store) / "observations").iterdir()}
    shutil.copy(Path(other.store) / "manifest.json", Path(copy.store) / "manifest.json")
    assert build_store(copy).blocks == open_store(Path(config.store)).manifest.blocks
    assert {path: path.stat().st_mtime_ns for path in parts} == parts


def test_better_labels_make_the_events_again_and_read_no_pixel(
    copy: BuildConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    labels = json.loads(Path(str(copy.labels)).read_text())
    for feature in labels["features"]:
        feature["properties"]["class"] = "mended " + feature["properties"]["class"]
    (tmp_path / "labels.geojson").write_text(json.dumps(labels))
    before = open_store(Path(copy.store)).events["label"]
    monkeypatch.setattr(pipeline, "observe", None)  # an error where it is called
    better = replace(copy, labels=str(tmp_path / "labels.geojson"))
    build_store(better)
    after = open_store(Path(copy.store)).events["label"]
    assert before.notna().any()
    assert after.equals("mended " + before)
    manifest = Path(copy.store) / "manifest.json"
    when = manifest.stat().st_mtime_ns
    build_store(better)
    assert manifest.stat().st_mtime_ns == when
    with pytest.raises(StoreError, match=r"begun with labels .*now None"):
        build_store(replace(copy, labels=None))


def test_labels_are_checked_before_anything_is_read(copy: BuildConfig, tmp_path: Path) -> None:
    (tmp_path / "labels.geojson").write_text('{"type": "FeatureCollection", "features": []}')
    new = replace(copy, store=str(tmp_path / "new"), labels=str(tmp_path / "labels.geojson"), catalog="nowhere")
    with pytest.raises(AreaError, match="holds no polygon"):
        build_store(new)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e6])
def test_an_encoder_whose_numbers_cannot_be_stored_stops_the_build(
    value: float, copy: BuildConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    embed = SpectralEncoder.embed

    def broken(self: SpectralEncoder, chips: np.ndarray, valid: np.ndarray | None = None) -> np.ndarray:
        out = embed(self, chips, valid)
        out[-1, 3] = value
        return out

    monkeypatch.setattr(SpectralEncoder, "embed", broken)
    new = replace(copy, store=str(tmp_path / "new"))
    with pytest.raises(WeightsError, match=r"spectral gives numbers that are not finite.* for 1 of \d+ chips"):
        build_store(new)
    assert not list((tmp_path / "new").glob("observations/*.parquet"))


@pytest.mark.parametrize("step", ["observe", "save_observations"])
def test_a_part_that_cannot_be_made_again_leaves_the_manifest(
    step: str, copy: BuildConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise StoreError("the archive is out of reach", "it", "wait")

    monkeypatch.setattr(pipeline, step, refuse)
    part, manifest = first(copy, "observations"), Path(copy.store) / "manifest.json"
    before = manifest.read_bytes()
    cut(part)
    with pytest.raises(StoreError, match="out of reach"):
        build_store(copy)
    assert (manifest.read_bytes(), part.is_file()) == (before, True)


def test_a_disk_that_fills_while_events_are_made_again_leaves_the_store(
    config: BuildConfig, copy: BuildConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    labels = gpd.read_file(config.labels)
    labels["class"] = "other"
    labels.to_file(tmp_path / "better.geojson")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(finish, "save_events", full)
    with pytest.raises(OSError, match="No space"):
        build_store(replace(copy, labels=str(tmp_path / "better.geojson")))
    assert len(open_store(Path(copy.store), verify=True).events)
    assert {name for name in content(copy) if ".part-" in name} == set()


def test_paths_may_be_typed_otherwise_the_next_time(
    config: BuildConfig, copy: BuildConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a part is made again")

    monkeypatch.chdir(Path(copy.catalog).parent)
    monkeypatch.setattr(pipeline, "observe", refuse)
    monkeypatch.setattr(finish, "save_events", refuse)
    build_store(replace(copy, catalog=Path(copy.catalog).name))
    ours, theirs = content(copy), content(config)
    assert ours.pop("plan.json") != theirs.pop("plan.json")  # it says what was typed last
    assert ours == theirs


def test_only_what_is_clear_enough_is_embedded(config: BuildConfig) -> None:
    found = open_observations(sorted((Path(config.store) / "observations").iterdir()))
    enough = found.clear_fraction >= config.min_clear
    assert 0 < enough.sum() < len(enough)
    np.testing.assert_array_equal(found.embedded, enough)
