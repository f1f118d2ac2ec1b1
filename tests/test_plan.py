from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import shapely

from encoder.encoders import open_encoder
from index.demo import archive_bounds
from index.plan import ITEMS, PLAN, BuildConfig, make_plan
from stac.errors import StoreError


@pytest.fixture
def config(small_archive: Path, tmp_path: Path) -> BuildConfig:
    area = ",".join(map(str, archive_bounds(small_archive)))
    return BuildConfig(catalog=str(small_archive), store=str(tmp_path / "store"), area=area, period="2021")


@pytest.mark.parametrize(
    "bad",
    [
        {"chip_size": 2},
        {"gsd": 0},
        {"block_px": 8},
        {"threads": 0},
        {"pairs": "monthly"},
        {"min_clear": 0.0},
        {"factory": "IVF9"},
    ],
)
def test_arguments_out_of_range_are_refused(bad: dict[str, object]) -> None:
    with pytest.raises(StoreError, match=f"--{next(iter(bad)).replace('_', '-')} .*{next(iter(bad.values()))}"):
        BuildConfig(catalog="c", store="s", area="0,0,1,1", period="2021", **bad)


def test_the_plan_is_the_same_when_opened_again(config: BuildConfig) -> None:
    encoder = open_encoder("spectral")
    first, second = make_plan(config, encoder), make_plan(config, encoder)
    assert [scene.item_id for scene in first.scenes] == [scene.item_id for scene in second.scenes]
    assert first.simulated
    assert first.items_found > len(first.scenes)  # the reprocessed duplicate is no scene


def test_how_a_build_runs_may_change_but_not_what_it_makes(config: BuildConfig) -> None:
    make_plan(config, open_encoder("spectral"))
    make_plan(replace(config, threads=1, device="cpu"), open_encoder("spectral"))
    with pytest.raises(StoreError, match=r"begun with gsd 10 \(now 20\).*another folder"):
        make_plan(replace(config, gsd=20), open_encoder("spectral"))
    with pytest.raises(StoreError, match="other weights of the encoder"):
        make_plan(config, open_encoder("spectral", bands=["B02", "B04"]))


def test_a_build_begun_on_a_gpu_does_not_go_on_without_one(
    config: BuildConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = open_encoder("random", bands=["B02", "B04"], device="cpu")
    make_plan(config, encoder)
    monkeypatch.setattr(encoder, "device", SimpleNamespace(type="cuda"))
    with pytest.raises(StoreError, match=r"embedded_on cpu \(now cuda\)"):
        make_plan(config, encoder)


def test_a_changed_area_file_is_noticed(config: BuildConfig, tmp_path: Path) -> None:
    west, south, east, north = map(float, config.area.split(","))
    path = tmp_path / "area.geojson"
    path.write_text(shapely.to_geojson(shapely.box(west, south, east, north)))
    config = replace(config, area=str(path))
    make_plan(config, open_encoder("spectral"))
    path.write_text(shapely.to_geojson(shapely.box(west, south, (west + east) / 2, north)))
    with pytest.raises(StoreError, match="area_sha256"):
        make_plan(config, open_encoder("spectral"))


@pytest.mark.parametrize("content", [None, b"other"])
def test_items_that_were_damaged_are_found_again(config: BuildConfig, content: bytes | None) -> None:
    plan = make_plan(config, open_encoder("spectral"))
    items = Path(config.store) / ITEMS
    before = items.read_bytes()
    items.unlink() if content is None else items.write_bytes(content)
    assert make_plan(config, open_encoder("spectral")).sha256 == plan.sha256
    assert items.read_bytes() == before


def test_items_that_the_catalog_no_longer_gives_are_not_replaced(config: BuildConfig, small_archive: Path) -> None:
    archive = Path(config.store).with_name("archive")
    shutil.copytree(small_archive.parent, archive, ignore=shutil.ignore_patterns("*.tif"))
    config = replace(config, catalog=str(archive / "catalog.json"))
    make_plan(config, open_encoder("spectral"))
    items = Path(config.store) / ITEMS
    items.write_bytes(b"other")
    first = min(archive.rglob("S2*.json"))
    first.write_text(first.read_text().replace('"eo:cloud_cover"', '"eo:cloud_cover_before"'))
    with pytest.raises(StoreError, match=r"not the one of the plan, and the catalog has changed.*another folder"):
        make_plan(config, open_encoder("spectral"))
    shutil.rmtree(archive)
    with pytest.raises(StoreError, match=r"cannot be found again .*restore the file from a copy"):
        make_plan(config, open_encoder("spectral"))
    assert items.read_bytes() == b"other"


def test_labels_may_be_mended_or_added_but_not_forgotten(config: BuildConfig) -> None:
    encoder = open_encoder("spectral")
    plain = make_plan(config, encoder)
    for name in ("a.geojson", "b.geojson"):
        assert make_plan(replace(config, labels=name), encoder).sha256 == plain.sha256
    with pytest.raises(StoreError, match=r"begun with labels b\.geojson \(now None\)"):
        make_plan(config, encoder)


def test_a_plan_of_another_version_is_refused(config: BuildConfig) -> None:
    make_plan(config, open_encoder("spectral"))
    path = Path(config.store) / PLAN
    path.write_text(json.dumps({**json.loads(path.read_text()), "version": 0}))
    with pytest.raises(StoreError, match="is of version 0"):
        make_plan(config, open_encoder("spectral"))


@pytest.mark.parametrize(
    "content", [b"{", b"[]", b"{}", b"\xff\xfe", b'{"version": 3, "arguments": [], "encoder_sha256": 1}']
)
def test_a_damaged_plan_is_named(config: BuildConfig, content: bytes) -> None:
    make_plan(config, open_encoder("spectral"))
    (Path(config.store) / PLAN).write_bytes(content)
    with pytest.raises(StoreError, match=r"plan\.json is damaged.*another folder with --store"):
        make_plan(config, open_encoder("spectral"))
