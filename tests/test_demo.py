from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import geopandas as gpd
import pytest

from index import demo
from index.arguments import parse_request
from index.build import main
from index.demo import archive_bounds, build_demo, demo_config
from index.manifest import open_manifest
from stac.errors import StoreError


@pytest.fixture(autouse=True)
def small_demo(small_archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The demo's own folder, with a small archive in place of the demo's."""
    monkeypatch.setenv("AFTERIMAGE_DATA", str(tmp_path))
    monkeypatch.setattr(demo, "simulate_archive", lambda out, seed, progress: small_archive)
    return tmp_path / "stores" / "demo"


def test_no_arguments_build_the_demo_store(small_demo: Path, capsys: pytest.CaptureFixture) -> None:
    assert main([]) == 0
    assert "SIMULATED" in capsys.readouterr().out
    manifest = open_manifest(small_demo)
    assert manifest.simulated
    said = {name: manifest.arguments[name] for name in ("chip_size", "pairs", "monthly")}
    assert said == {"chip_size": demo.DEMO_CHIP_SIZE, "pairs": demo.DEMO_PAIRS, "monthly": demo.DEMO_MONTHLY}


def test_other_arguments_apply_to_the_demo_too(tmp_path: Path) -> None:
    store = tmp_path / "consecutive"
    assert main(["--store", str(store), "--pairs", "consecutive", "--bands", "B04,B08", "--json"]) == 0
    manifest = open_manifest(store)
    assert (manifest.arguments["pairs"], manifest.arguments["bands"]) == ("consecutive", ["B04", "B08"])
    assert manifest.counts["events"] > 0


def test_what_is_said_wins_over_the_demo_even_where_it_is_the_usual_default(small_demo: Path) -> None:
    request = parse_request(["--chip-size", "64", "--min-clear", "0.8"])
    assert request.config == replace(demo_config(small_demo), chip_size=64, min_clear=0.8)
    assert parse_request([]).config.chip_size == demo.DEMO_CHIP_SIZE != 64
    assert (parse_request([]).config.monthly, parse_request(["--no-monthly"]).config.monthly) == (True, False)


def test_the_demo_reads_again_what_was_missing(small_demo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = {}
    monkeypatch.setattr(demo, "build_store", lambda config, **options: asked.update(options))
    build_demo(demo_config(small_demo), retry_missing=True)
    assert asked["retry_missing"]


def test_a_demo_store_of_another_archive_is_made_anew(small_demo: Path) -> None:
    main([])
    items = json.loads((small_demo / "items.json").read_text())
    stamp = items["features"][0]["properties"]["afterimage:archive"]
    items["features"][0]["properties"]["afterimage:archive"] = stamp.replace("seed 3", "seed 4")
    (small_demo / "items.json").write_text(json.dumps(items))
    build_demo(demo_config(small_demo))
    assert open_manifest(small_demo).counts["embedded"] > 0
    assert len(list(small_demo.parent.glob("demo-version-*/manifest.json"))) == 1
    build_demo(demo_config(small_demo))  # and only then
    assert len(list(small_demo.parent.glob("demo-version-*"))) == 1


def test_a_demo_store_of_an_earlier_version_is_made_anew(small_demo: Path) -> None:
    main([])
    for name in ("plan.json", "manifest.json"):
        content = json.loads((small_demo / name).read_text())
        (small_demo / name).write_text(json.dumps({**content, "version": 0}, indent=1))
    build_demo(demo_config(small_demo))
    assert open_manifest(small_demo).counts["embedded"] > 0
    assert len(list(small_demo.parent.glob("demo-version-0-*/manifest.json"))) == 1


def test_a_store_of_something_else_is_not_touched(small_demo: Path) -> None:
    main([])
    plan = json.loads((small_demo / "plan.json").read_text())
    plan["arguments"]["catalog"] = "earth-search"
    (small_demo / "plan.json").write_text(json.dumps(plan))
    with pytest.raises(StoreError, match="begun with catalog earth-search"):
        build_demo(demo_config(small_demo))
    assert (small_demo / "manifest.json").is_file()


def test_other_arguments_never_replace_a_demo_store(small_demo: Path, capsys: pytest.CaptureFixture) -> None:
    main([])
    before = (small_demo / "manifest.json").read_bytes()
    assert main(["--min-clear", "0.9"]) == 2
    assert "begun with min_clear 0.8 (now 0.9)" in capsys.readouterr().err
    assert (small_demo / "manifest.json").read_bytes() == before


def test_bounds_are_those_of_the_collections(small_archive: Path) -> None:
    west, south, east, north = archive_bounds(small_archive)
    areas = gpd.read_file(small_archive.with_name("areas.geojson"))
    assert (west, south, east, north) == pytest.approx(areas.total_bounds, abs=1e-4)
