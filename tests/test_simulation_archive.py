"""The simulated archive as a whole: truth against pixels, offsets, determinism, what may be replaced."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pystac
import pytest
import rasterio
import shapely
from rasterio.features import rasterize

from stac.errors import DataError
from stac.items import resolve_scenes
from stac.lattice import from_lonlat
from stac.simulation import archive as module
from stac.simulation import files
from stac.simulation.archive import write_archive
from stac.simulation.areas import SIZES, Plan
from stac.simulation.change import Change
from stac.simulation.covers import BANDS
from stac.simulation.view import View

AREA = replace(SIZES["demo"].areas[0], tile_px=96, step_px=64)
FAR = replace(SIZES["benchmark"].areas[4], tile_px=64, step_px=48)
TINY = Plan((AREA, FAR), events=2, last=date(2021, 2, 28), twins=0.1)
QUICK = Plan((FAR,), events=0, last=date(2021, 1, 14))
REAL = Plan((replace(AREA, tile_px=160, step_px=96),), events=12, last=date(2021, 6, 15))


def fake_view(ground, changes, season, biome, shot, rng):
    """Noise that differs between passes and shots, under a sky that is always clear; burnt ground is dark."""
    height, width = ground.shape
    fine = rng.integers(1000, 2000, (4, height, width)).astype(np.uint16) + np.uint16(100 * abs(shot.shift[0]))
    for change in changes:
        if shot.time.date() >= change.start:
            fine[:, *change.window] = 500
    coarse = rng.integers(1000, 2000, (6, height // 2, width // 2)).astype(np.uint16)
    return View(fine, coarse, np.full((height // 2, width // 2), 4, dtype=np.uint8))


def fake_changes(ground, counts, dates, rng):
    start = dates[0] + timedelta(days=int(rng.integers(15, 25)))
    whole = np.ones((20, 16), dtype=np.float32)
    fire = Change("wildfire-01", "wildfire", start, start + timedelta(days=3), 10, 12, whole, 0 * whole, whole > 2)
    return [fire] if sum(counts.values()) else []


@pytest.fixture(scope="module", autouse=True)
def fakes():
    """A ground that is drawn in no time, for plans that ask for it."""
    with pytest.MonkeyPatch.context() as patch:
        for name, fake in FAKES.items():
            patch.setattr(module, name, fake)
        yield


FAKES = {
    "new_ground": lambda biome, shape, rng: SimpleNamespace(
        shape=shape, fields=None, relief=SimpleNamespace(height=np.zeros(shape, dtype=np.float32))
    ),
    "plant_changes": fake_changes,
    "new_season": lambda biome, day, year, fields, years: None,
    "new_view": fake_view,
}
DRAWN = {name: getattr(module, name) for name in FAKES}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory, fakes):
    """Three months over two grounds of noise; read it only."""
    return write(tmp_path_factory.mktemp("simulated") / "archive", plan=TINY)


def write(out, seed=5, plan=QUICK, **options):
    return write_archive(out, plan, size="test", seed=seed, **options)


def items_of(catalog):
    return list(pystac.Catalog.from_file(str(catalog)).get_items(recursive=True))


def events_of(catalog):
    return json.loads(catalog.with_name("events.geojson").read_text())["features"]


def files_of(folder):
    return {
        str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted(folder.rglob("*"))
        if p.is_file()
    }


def pixels(item, name):
    """Pixels of one asset; reflectance × 10,000 corrected by what the item itself says."""
    with rasterio.open(item.assets[name].get_absolute_href()) as file:
        values = file.read(1).astype(int)
    properties = item.properties
    raised = properties["s2:processing_baseline"] >= "04.00" and not properties["earthsearch:boa_offset_applied"]
    return values if name == "scl" else np.where(values > 0, values - 1000 * raised, 0)


def test_an_archive_holds_all_areas_and_reads_as_sentinel_2(tiny):
    items = items_of(tiny)
    scenes = resolve_scenes(items, BANDS)
    assert {scene.epsg for scene in scenes} == {AREA.epsg, FAR.epsg}
    assert {scene.tile for scene in scenes} == {*AREA.tiles, *FAR.tiles}
    assert len(scenes) < len(items)  # duplicates, which the reader drops
    assert len({scene.solar_day for scene in scenes if scene.epsg == AREA.epsg}) > 4
    areas = json.loads(tiny.with_name("areas.geojson").read_text())["features"]
    assert [a["id"] for a in areas] == ["demo", "savanna"]
    stamp = json.loads(tiny.with_name("simulation.json").read_text())
    assert (stamp["size"], stamp["seed"], stamp["plan"]["areas"][1]["name"]) == ("test", 5, "savanna")


def test_events_say_what_when_and_where(tiny):
    events = events_of(tiny)
    assert [e["id"] for e in events] == ["demo-wildfire-01", "savanna-wildfire-01"]
    for event, area in zip(events, (AREA, FAR), strict=True):
        p = event["properties"]
        assert (p["class"], p["area"], p["biome"], p["split"]) == ("wildfire", area.name, area.biome, area.split)
        assert p["before_date"] < p["start"] < p["end"] < p["after_date"]
        assert p["area_ha"] == pytest.approx(3.2, abs=0.2)
        assert p["simulated"] is True
        assert area.outline.contains(shapely.geometry.shape(event["geometry"]))


def test_dates_of_events_are_days_on_which_they_are_seen(tiny):
    (event,) = [e for e in events_of(tiny) if e["properties"]["area"] == "demo"]
    outline = shapely.geometry.shape(event["geometry"])
    metres = shapely.transform(outline, lambda xy: np.column_stack(from_lonlat(AREA.epsg).transform(*xy.T)))
    for when, dark in (("before_date", False), ("after_date", True)):
        day = event["properties"][when]
        found = [i for i in items_of(tiny) if i.datetime.date().isoformat() == day and "10SEJ" in i.id]
        assert found
        red = pixels(found[0], "red")
        with rasterio.open(found[0].assets["red"].get_absolute_href()) as file:
            inside = rasterize([metres.buffer(-10)], file.shape, transform=file.transform) == 1
        assert (red[inside] < 600).all() == dark


def test_overlapping_tiles_show_identical_ground(tiny):
    items = items_of(tiny)
    pairs = 0
    for item in items:
        other = [i for i in items if i.id == item.id.replace("10SEJ", "10SFJ") and i.id != item.id]
        if other and item.properties["s2:processing_baseline"] == other[0].properties["s2:processing_baseline"]:
            west, east = pixels(item, "nir08")[:, AREA.step_px // 2 :], pixels(other[0], "nir08")
            np.testing.assert_array_equal(west, east[:, : west.shape[1]])
            pairs += 1
    assert pairs > 2


def test_the_first_of_two_deliveries_is_older_and_brighter(tiny):
    items = {item.id: item for item in items_of(tiny)}
    late = [item for item in items.values() if item.properties["s2:sequence"] == "1"]
    assert late
    for item in late:
        first = items[item.id.replace("_1_L2A", "_0_L2A")]
        assert first.datetime == item.datetime
        assert first.properties["s2:processing_baseline"] < item.properties["s2:processing_baseline"]
        assert 1.015 < pixels(first, "nir08").sum() / pixels(item, "nir08").sum() < 1.055


def test_what_lies_beyond_the_swath_holds_no_data(tmp_path, monkeypatch):
    monkeypatch.setattr("stac.simulation.passes._AT_EDGE", 1.0)
    items = items_of(write(tmp_path / "archive"))
    cut = [item for item in items if (pixels(item, "scl") == 0).any()]
    assert cut
    for item in cut:
        empty = pixels(item, "scl") == 0
        assert item.properties["s2:nodata_pixel_percentage"] == pytest.approx(100 * empty.mean(), abs=1e-3)
        np.testing.assert_array_equal(pixels(item, "swir22") == 0, empty)
        np.testing.assert_array_equal(pixels(item, "red") == 0, empty.repeat(2, 0).repeat(2, 1))


def test_the_same_seed_gives_the_same_bytes_with_any_number_of_threads(tmp_path):
    alone, three, other = (
        write(tmp_path / n, s, workers=w).parent for n, s, w in (("a", 5, 1), ("b", 5, 3), ("c", 6, 3))
    )
    assert len(files_of(alone)) > 12
    assert files_of(alone) == files_of(three)
    assert files_of(alone) != files_of(other)


def test_an_area_is_the_same_in_any_company(tmp_path, tiny):
    both = files_of(tiny.parent)
    one = files_of(write(tmp_path / "b", plan=replace(TINY, areas=(FAR,))).parent)
    tiles = {name: value for name, value in one.items() if name.endswith(".tif")}
    assert tiles
    assert tiles.items() <= both.items()


def test_a_standing_archive_is_reused_and_another_seed_replaces_it(tmp_path):
    out = tmp_path / "archive"
    catalog = write(out)
    before = files_of(out)
    catalog.touch()
    when = catalog.stat().st_mtime_ns
    assert write(out) == catalog
    assert catalog.stat().st_mtime_ns == when
    write(out, 6)
    assert files_of(out) != before
    assert [p.name for p in tmp_path.iterdir()] == ["archive"]


@pytest.mark.parametrize("damage", ["an item", "a band", "an empty band", "events", "the plan"])
def test_an_archive_that_is_damaged_or_of_another_plan_is_made_anew(tmp_path, damage):
    out = tmp_path / "archive"
    catalog = write(out)
    before = files_of(out)
    item = sorted((out / "sentinel-2-l2a-simulated").glob("S2*"))[0]
    if damage == "an item":
        shutil.rmtree(item)
    elif damage == "a band":
        (item / "B05.tif").unlink()
    elif damage == "an empty band":
        (item / "B05.tif").write_bytes(b"")
    elif damage == "events":
        (out / "events.geojson").write_text("{")
    else:
        stamp = json.loads((out / "simulation.json").read_text())
        (out / "simulation.json").write_text(json.dumps({**stamp, "plan": {**stamp["plan"], "step": 16}}))
    assert files_of(out) != before
    assert write(out) == catalog
    assert files_of(out) == before


def test_an_archive_of_the_first_version_is_replaced(tmp_path):
    out = tmp_path / "archive"
    write(out)
    (out / "areas.geojson").unlink()
    stamp = json.loads((out / "simulation.json").read_text())
    (out / "simulation.json").write_text(json.dumps(stamp | {"version": 1}))
    write(out)
    assert (out / "areas.geojson").is_file()


@pytest.mark.parametrize("place", ["", "sentinel-2-l2a-simulated", "sentinel-2-l2a-simulated/S2A_*"])
def test_an_archive_with_other_files_in_it_is_not_replaced(tmp_path, place):
    out = tmp_path / "archive"
    catalog = write(out)
    folder = next(out.glob(place)) if place else out
    (folder / "thesis.txt").write_text("dear")
    before = files_of(out)
    assert write(out) == catalog
    with pytest.raises(DataError, match=r"thesis\.txt"):
        write(out, 6)
    assert files_of(out) == before


def test_a_folder_with_other_things_is_refused_and_kept(tmp_path):
    (tmp_path / "thesis.txt").write_text("dear")
    with pytest.raises(DataError, match="choose another folder"):
        write(tmp_path)
    assert (tmp_path / "thesis.txt").read_text() == "dear"


def test_a_way_round_through_a_folder_that_is_not_there_leads_to_the_same_refusal(tmp_path):
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "thesis.txt").write_text("dear")
    with pytest.raises(DataError, match="no simulated archive"):
        write_archive(tmp_path / "absent" / ".." / "precious", QUICK, size="quick", seed=0)
    assert [path.name for path in (tmp_path / "precious").iterdir()] == ["thesis.txt"]


def test_a_run_that_fails_leaves_the_older_archive_alone(tmp_path, monkeypatch):
    out = tmp_path / "archive"
    write(out)
    before = files_of(out)

    def broken(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "write_item", broken)
    with pytest.raises(OSError, match="No space") as caught:
        write(out, 6)
    assert caught.value.filename == str(out)
    assert files_of(out) == before
    assert [p.name for p in tmp_path.iterdir()] == ["archive"]


def test_a_file_that_came_while_the_new_archive_was_drawn_stays(tmp_path, monkeypatch):
    catalog = write(tmp_path / "archive")
    draw = module._simulate

    def slowly(*given):
        draw(*given)
        (tmp_path / "archive" / "notes.txt").write_text("mine")

    monkeypatch.setattr(module, "_simulate", slowly)
    with pytest.raises(DataError, match=r"notes\.txt was put into the older archive"):
        write(tmp_path / "archive", 9)
    assert catalog.is_file()
    assert (tmp_path / "archive" / "notes.txt").read_text() == "mine"


def test_a_run_that_is_stopped_at_the_very_end_leaves_the_older_archive(tmp_path, monkeypatch):
    out = tmp_path / "archive"
    write(out)
    before, rename, renamed = files_of(out), Path.rename, []

    def stop_at_the_second(self, target):
        renamed.append(self)
        if len(renamed) == 2:  # the older archive is out of the way, the new one not yet in its place
            raise KeyboardInterrupt
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", stop_at_the_second)
    with pytest.raises(KeyboardInterrupt):
        write(out, 6)
    assert files_of(out) == before
    assert [p.name for p in tmp_path.iterdir()] == ["archive"]


def test_an_archive_behind_a_link_is_written_where_the_link_leads(tmp_path):
    (tmp_path / "big-disk").mkdir()
    (tmp_path / "archive").symlink_to(tmp_path / "big-disk")
    assert write(tmp_path / "archive") == tmp_path / "archive" / "catalog.json"
    assert (tmp_path / "archive").is_symlink()
    assert (tmp_path / "big-disk" / "catalog.json").is_file()


def test_leftovers_of_a_killed_run_are_removed_even_where_the_archive_stands(tmp_path):
    write(tmp_path / "archive")
    left = tmp_path / ".simulating-archive" / "new"
    left.mkdir(parents=True)
    (left / "half.tif").write_text("cut")
    write(tmp_path / "archive")
    assert [p.name for p in tmp_path.iterdir()] == ["archive"]


@pytest.mark.parametrize("made_since", [False, True])
def test_what_a_killed_run_had_put_aside_comes_back(tmp_path, made_since):
    catalog = write(tmp_path / "archive")
    before = files_of(catalog.parent)
    (tmp_path / ".simulating-archive").mkdir()
    (tmp_path / "archive").rename(tmp_path / ".simulating-archive" / "old")
    if made_since:
        (tmp_path / "archive").mkdir()
    write(tmp_path / "archive")
    assert files_of(tmp_path / "archive") == before
    assert [p.name for p in tmp_path.iterdir()] == ["archive"]


def test_two_runs_at_once_are_one_too_many_and_neither_harms_the_other(tmp_path):
    with files.replaced(tmp_path / "archive") as part:
        (part / "half.tif").write_text("live")
        with pytest.raises(DataError, match=f"another run is writing {tmp_path / 'archive'}"):
            write(tmp_path / "archive")
        assert (part / "half.tif").read_text() == "live"
        write(tmp_path / "archive-2")  # another name is another place
    assert (tmp_path / "archive" / "half.tif").is_file()


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    """Half a year over a small ground, drawn in earnest."""
    with pytest.MonkeyPatch.context() as patch:
        for name, function in DRAWN.items():
            patch.setattr(module, name, function)
        return write(tmp_path_factory.mktemp("simulated") / "archive", 1, REAL)


def test_vegetation_is_dark_in_blue_whatever_the_baseline(real):
    medians: dict[tuple[bool, bool], list[float]] = {}
    for item in items_of(real):
        scl, blue, red, nir = pixels(item, "scl"), *(pixels(item, name) for name in ("blue", "red", "nir"))
        green = (scl.repeat(2, 0).repeat(2, 1) == 4) & (nir - red > 0.6 * (nir + red))
        if green.mean() < 0.02 or item.properties["eo:cloud_cover"] > 5:
            continue
        kind = (item.properties["s2:processing_baseline"] >= "04.00", item.properties["earthsearch:boa_offset_applied"])
        medians.setdefault(kind, []).append(float(np.median(blue[green])))
    assert set(medians) == {(False, False), (True, False), (True, True)}
    for found in medians.values():
        assert max(found) < 700  # single dates wander with the aerosol that the correction assumed
        assert 120 < np.median(found) < 550


def test_planted_changes_lie_on_the_ground_and_do_not_touch(real):
    events = events_of(real)
    assert len(events) > 4
    shapes = [shapely.geometry.shape(event["geometry"]) for event in events]
    (area,) = REAL.areas
    for n, (shape, event) in enumerate(zip(shapes, events, strict=True)):
        assert shape.is_valid
        assert area.outline.contains(shape)
        assert date.fromisoformat(event["properties"]["start"]) <= date.fromisoformat(event["properties"]["end"])
        assert all(not shape.intersects(other) for other in shapes[n + 1 :])


DRAW = """
import sys
from datetime import date
from pathlib import Path
from dataclasses import replace
from stac.simulation.archive import write_archive
from stac.simulation.areas import SIZES, Plan
area = replace(SIZES["demo"].areas[0], tile_px=96, step_px=64)
plan = Plan((area,), events=2, last=date(2021, 5, 5))
write_archive(Path(sys.argv[1]), plan, size="test", seed=2)
"""


def test_another_processor_draws_the_same_bytes(tmp_path, root):
    from numpy._core._multiarray_umath import __cpu_dispatch__, __cpu_features__

    fast = [name for name in __cpu_dispatch__ if __cpu_features__.get(name)]
    if not fast:
        pytest.skip("NumPy has one code path only on this processor")
    plain = {key: value for key, value in os.environ.items() if not key.startswith("NPY_")}
    slow = plain | {"NPY_DISABLE_CPU_FEATURES": " ".join(fast)}
    for name, environment in (("fast", plain), ("slow", slow)):
        subprocess.run([sys.executable, "-c", DRAW, str(tmp_path / name)], cwd=root, env=environment, check=True)
    assert len(files_of(tmp_path / "fast")) > 100
    assert files_of(tmp_path / "fast") == files_of(tmp_path / "slow")
