"""The simulated archive as a whole: truth against pixels, offsets, determinism, the command line."""

import hashlib
import json
import resource
from datetime import date
from pathlib import Path

import numpy as np
import pystac
import pytest
import rasterio
import shapely
from rasterio.features import rasterize

from stac import simulate
from stac.lattice import from_lonlat
from stac.simulate import Plan, main, simulate_archive

SMALL = Plan(320, 200, months=15, extra=0, counts={"wildfire": 2, "clear_cut": 2, "road": 1})
TINY = Plan(128, 96, months=2, extra=0, counts={"clear_cut": 1})


def write(out: Path, plan: Plan, seed: int) -> Path:
    return simulate._write_archive(out, plan, {"size": "test", "seed": seed, "version": simulate.VERSION})


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    return write(tmp_path_factory.mktemp("simulated") / "archive", SMALL, 1)


@pytest.fixture(scope="module")
def items(archive):
    return list(pystac.Catalog.from_file(str(archive)).get_items(recursive=True))


@pytest.fixture(scope="module")
def events(archive):
    return json.loads((archive.parent / "events.geojson").read_text())["features"]


def read(item, name):
    """Pixels of one asset; reflectance × 10,000 corrected by what the item itself says."""
    with rasterio.open(item.assets[name].get_absolute_href()) as file:
        pixels = file.read(1).astype(int)
    if name == "scl":
        return pixels
    properties = item.properties
    raised = properties["s2:processing_baseline"] >= "04.00" and not properties["earthsearch:boa_offset_applied"]
    return np.where(pixels > 0, pixels - 1000 * raised, 0)


def at_10m(item, name):
    pixels = read(item, name)
    return pixels if name in ("blue", "green", "red", "nir") else pixels.repeat(2, 0).repeat(2, 1)


def on(items, tile, day):
    return [
        i
        for i in items
        if i.properties["grid:code"] == f"MGRS-{tile}"
        and i.datetime.date().isoformat() == day
        and i.properties["s2:sequence"] == "0"
    ]


def inside(item, event):
    """Pixels of a tile that lie in an event's outline."""
    outline = shapely.geometry.shape(event["geometry"])
    metres = shapely.transform(outline, lambda xy: np.column_stack(from_lonlat(32610).transform(*xy.T)))
    with rasterio.open(item.assets["red"].get_absolute_href()) as file:
        return rasterize([metres], file.shape, transform=file.transform) == 1


def index(item, first, second):
    a, b = at_10m(item, first).astype(float), at_10m(item, second).astype(float)
    return (a - b) / np.maximum(a + b, 1)


def differences(items, event, first, second):
    """Index after minus before, inside an event and outside, over the tiles that saw both clear dates."""
    within, outside = [], []
    for tile in ("10SEJ", "10SFJ"):
        before = on(items, tile, event["properties"]["before_date"])
        after = on(items, tile, event["properties"]["after_date"])
        if before and after:
            mask = inside(before[0], event)
            clear = np.isin(at_10m(before[0], "scl"), (2, 4, 5)) & np.isin(at_10m(after[0], "scl"), (2, 4, 5))
            change = index(after[0], first, second) - index(before[0], first, second)
            within.append(change[mask & clear])
            outside.append(change[~mask & clear])
    return np.concatenate(within), np.concatenate(outside)


def of_class(events, name):
    return [e for e in events if e["properties"]["class"] == name and e["properties"]["after_date"]]


def test_every_wanted_event_has_its_place_and_dates(events):
    ids = [e["properties"]["event_id"] for e in events]
    assert ids == ["wildfire-01", "wildfire-02", "clear-cut-01", "clear-cut-02", "road-01"]
    for event in events:
        p = event["properties"]
        assert date.fromisoformat(p["start"]) < date.fromisoformat(p["end"])
        assert p["before_date"] < p["start"]
        assert p["after_date"] is None or p["after_date"] > p["end"]
        assert p["simulated"] is True


def test_burnt_ground_loses_its_burn_ratio_and_the_rest_keeps_it(items, events):
    fires = of_class(events, "wildfire")
    assert fires
    for fire in fires:
        within, outside = differences(items, fire, "nir", "swir22")
        assert -within.mean() > 0.3
        assert abs(np.median(outside)) < 0.2


def test_felled_forest_loses_its_greenness(items, events):
    cuts = of_class(events, "clear_cut")
    assert cuts
    for cut in cuts:
        within, outside = differences(items, cut, "nir", "red")
        assert within.mean() < -0.3
        assert within.mean() < outside.mean() - 0.2


def test_a_road_is_bright_where_it_runs(items, events):
    (road,) = of_class(events, "road")
    (tile,) = [i for i in items if i in on(items, "10SEJ", road["properties"]["after_date"])] or on(
        items, "10SFJ", road["properties"]["after_date"]
    )
    mask = inside(tile, road) & np.isin(at_10m(tile, "scl"), (4, 5))
    assert mask.any()
    assert at_10m(tile, "red")[mask].mean() > 1.5 * np.median(at_10m(tile, "red"))


def test_outlines_of_events_do_not_touch(events):
    shapes = [shapely.geometry.shape(e["geometry"]) for e in events]
    assert all(shape.is_valid for shape in shapes)
    for n, shape in enumerate(shapes):
        assert all(not shape.intersects(other) for other in shapes[n + 1 :])


def test_vegetation_is_near_300_in_blue_whatever_the_baseline(items):
    kinds = set()
    for item in items:
        scl, blue = at_10m(item, "scl"), read(item, "blue")
        green = (scl == 4) & (index(item, "nir", "red") > 0.6)
        if green.mean() < 0.02 or item.properties["eo:cloud_cover"] > 5:
            continue
        assert 120 < np.median(blue[green]) < 500
        kinds.add((item.properties["s2:processing_baseline"], item.properties["earthsearch:boa_offset_applied"]))
    assert len(kinds) >= 3


def test_the_offset_is_in_the_pixels_only_where_the_item_says_so(items):
    lowest = {}
    for item in items:
        with rasterio.open(item.assets["swir22"].get_absolute_href()) as file:
            pixels = file.read(1)
        raised = item.properties["s2:processing_baseline"] >= "04.00"
        raised = raised and not item.properties["earthsearch:boa_offset_applied"]
        lowest.setdefault(bool(raised), []).append(pixels[pixels > 0].min())
    assert set(lowest) == {False, True}
    assert min(lowest[True]) > 1000 > max(lowest[False])


def test_overlapping_tiles_show_identical_ground(items):
    pairs = 0
    for item in items:
        others = on(items, "10SFJ", item.datetime.date().isoformat())
        if item.properties["grid:code"] != "MGRS-10SEJ" or item.properties["s2:sequence"] != "0" or not others:
            continue
        west, east = read(item, "red")[:, SMALL.step :], read(others[0], "red")[:, : SMALL.tile - SMALL.step]
        np.testing.assert_array_equal(west, east)
        pairs += 1
    assert pairs > 5


def test_one_tile_was_delivered_twice(items):
    (twin,) = [i for i in items if i.properties["s2:sequence"] == "1"]
    (first,) = [i for i in items if i.id == twin.id.replace("_1_L2A", "_0_L2A")]
    assert twin.datetime == first.datetime
    takes = [i.properties["s2:datatake_id"].rsplit("_", 1)[0] for i in (twin, first)]
    assert takes[0] == takes[1]
    assert twin.properties["s2:processing_baseline"] < first.properties["s2:processing_baseline"]
    ratio = read(twin, "nir").mean() / read(first, "nir").mean()
    assert 1.01 < ratio < 1.05


def test_the_archive_has_gaps(items):
    days = {i.datetime.date() for i in items}
    tiles = {(i.datetime.date(), i.properties["grid:code"]) for i in items}
    assert len(tiles) < 2 * len(days)
    assert any((read(i, "scl") == 0).any() for i in items)
    assert any(i.properties["s2:nodata_pixel_percentage"] == 0 for i in items)


def files_of(folder):
    return {
        str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted(folder.rglob("*"))
        if p.is_file()
    }


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(tmp_path):
    first, again, other = (write(tmp_path / n, TINY, s).parent for n, s in (("a", 5), ("b", 5), ("c", 6)))
    assert len(files_of(first)) > 12
    assert files_of(first) == files_of(again)
    assert files_of(first) != files_of(other)


def test_a_standing_archive_is_reused_and_another_seed_replaces_it(tmp_path):
    out = tmp_path / "archive"
    catalog = write(out, TINY, 5)
    before = files_of(out)
    catalog.touch()
    when = catalog.stat().st_mtime_ns
    assert write(out, TINY, 5) == catalog
    assert catalog.stat().st_mtime_ns == when
    write(out, TINY, 6)
    assert files_of(out) != before
    assert [p.name for p in tmp_path.iterdir()] == ["archive"]


@pytest.mark.parametrize("place", ["", "sentinel-2-l2a-simulated", "sentinel-2-l2a-simulated/S2A_*"])
def test_an_archive_with_other_files_in_it_is_not_replaced(tmp_path, place, capsys):
    out = tmp_path / "archive"
    catalog = write(out, TINY, 5)
    folder = next(out.glob(place)) if place else out
    (folder / "thesis.txt").write_text("dear")
    before = files_of(out)
    assert write(out, TINY, 5) == catalog
    assert main(["--out", str(out), "--seed", "6"]) == 2
    error = capsys.readouterr().err
    assert str(folder / "thesis.txt") in error
    assert error.count("\n") == 1
    assert files_of(out) == before


def test_a_run_that_fails_leaves_the_older_archive_alone(tmp_path, monkeypatch):
    out = tmp_path / "archive"
    write(out, TINY, 5)
    before = files_of(out)

    def broken(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(simulate, "write_item", broken)
    with pytest.raises(OSError, match="No space"):
        write(out, TINY, 6)
    assert files_of(out) == before
    assert [p.name for p in tmp_path.iterdir()] == ["archive"]


def test_a_run_that_is_stopped_at_the_very_end_leaves_the_older_archive(tmp_path, monkeypatch):
    out = tmp_path / "archive"
    write(out, TINY, 5)
    before, rename, renamed = files_of(out), Path.rename, []

    def stop_at_the_second(self, target):
        renamed.append(self)
        if len(renamed) == 2:  # the older archive is out of the way, the new one not yet in its place
            raise KeyboardInterrupt
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", stop_at_the_second)
    with pytest.raises(KeyboardInterrupt):
        write(out, TINY, 6)
    assert files_of(out) == before
    assert [p.name for p in tmp_path.iterdir()] == ["archive"]


def test_a_full_disk_gets_one_sentence_and_leaves_nothing(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(simulate._SIZES, "demo", TINY)
    # A limit on the size of files stands in for the full disk: the same write fails, with EFBIG for ENOSPC.
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4000, before[1]))
    try:
        code = main(["--out", str(tmp_path / "archive")])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    error = capsys.readouterr().err
    assert (code, error.count("\n")) == (2, 1)
    assert error.startswith(f"error: the disk is full at {tmp_path / 'archive'}")
    assert list(tmp_path.iterdir()) == []


def test_an_archive_behind_a_link_is_written_where_the_link_leads(tmp_path):
    (tmp_path / "big-disk").mkdir()
    (tmp_path / "archive").symlink_to(tmp_path / "big-disk")
    assert write(tmp_path / "archive", TINY, 5) == tmp_path / "archive" / "catalog.json"
    assert (tmp_path / "archive").is_symlink()
    assert (tmp_path / "big-disk" / "catalog.json").is_file()


def test_leftovers_of_a_killed_run_are_removed(tmp_path):
    dead = tmp_path / ".simulating-archive-999999999"
    dead.mkdir()
    write(tmp_path / "archive", TINY, 5)
    assert not dead.exists()


def test_a_folder_with_other_things_is_refused_and_kept(tmp_path, capsys):
    (tmp_path / "thesis.txt").write_text("dear")
    assert main(["--out", str(tmp_path)]) == 2
    assert "choose another folder" in capsys.readouterr().err
    assert (tmp_path / "thesis.txt").read_text() == "dear"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--size", "huge"], "choose one of these sizes"),
        (["--seed", "-1"], "--seed -1"),
        (["--seed", "1" + 30 * "0"], "--seed 1000"),
        (["--out", ""], "--out names no folder"),
        (["--out", "."], "'.'"),
        (["--out", __file__], "is a file"),
        (["--out", f"{__file__}/archive"], "which is a file"),
    ],
)
def test_bad_arguments_get_one_sentence_and_code_2(tmp_path, capsys, arguments, told):
    assert main(["--out", str(tmp_path / "x"), *arguments]) == 2
    error = capsys.readouterr().err
    assert told in error
    assert error.count("\n") == 1
    assert not (tmp_path / "x").exists()


def test_the_command_writes_a_named_size_and_reports_it_as_json(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(simulate._SIZES, "demo", TINY)
    assert main(["--out", str(tmp_path / "demo"), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert Path(report["catalog"]) == simulate_archive(tmp_path / "demo")
    assert json.loads((tmp_path / "demo" / "simulation.json").read_text())["seed"] == 0
