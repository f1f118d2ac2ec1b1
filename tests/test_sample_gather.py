"""Gathering from the small simulated archive: the reader's pixels, clear dates, and a killed run that goes on."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest

from stac.catalog import find_items
from stac.errors import AreaError, ReadError
from stac.items import nearest_first, resolve_scenes, solar_days
from stac.raster import ReadOptions, UnreachableError
from stac.read import read_cube
from stac.sampling import gather as gathering
from stac.sampling.find import Finder
from stac.sampling.gather import Summary, gather
from stac.sampling.pixels import CLOUD_SCL, WindowReader
from stac.sampling.plan import GATHERED, GIVEN_UP, PLAN, PLANNED, open_plan
from stac.sampling.prepare import SampleConfig, prepare
from stac.sampling.sources import GLOBE
from stac.shards import check_shards, open_shards

BANDS = ("B04", "B02", "B11")
WAYS = ReadOptions(threads=2, retries=0)


def config_of(catalog: Path | str, out: Path, **change: object) -> SampleConfig:
    """Two dates in each of two sets half a year apart: what a year of images has room for."""
    config = SampleConfig(
        out, 5, str(catalog), side=48, bands=BANDS, dates=2, years_apart=0.5, span_weeks=12, window_days=30
    )
    return replace(config, **change)


def run(config: SampleConfig, **ways: object) -> Summary:
    return gather(prepare(config), **{"threads": 2, "per_shard": 2, "options": WAYS, **ways})


@pytest.fixture(scope="module")
def whole(small_archive: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[SampleConfig, Summary]:
    """An uninterrupted run."""
    config = config_of(small_archive, tmp_path_factory.mktemp("whole"))
    return config, run(config)


def assert_same(one: Path, other: Path) -> None:
    """Two folders hold the same locations in the same order: dates, places, pixels, plan."""
    a, b = open_shards(one), open_shards(other)
    assert (a.ids, a.complete, b.complete) == (b.ids, True, True)
    for name in ("days", "half", "lonlat"):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name))
    every = np.arange(a.count), np.tile(np.arange(a.spec.dates), (a.count, 1))
    np.testing.assert_array_equal(a.read(*every, BANDS), b.read(*every, BANDS))
    rows, others = (open_plan(folder / PLAN)[0] for folder in (one, other))
    assert [repr(row) for row in rows] == [repr(row) for row in others]


def test_a_run_gathers_every_location(whole: tuple[SampleConfig, Summary]) -> None:
    config, summary = whole
    assert (summary.locations, summary.gathered, summary.given_up, summary.complete) == (5, 5, 0, True)
    assert summary.redrawn["outside"] > 0
    assert check_shards(config.out) == []
    shards = open_shards(config.out)
    assert shards.ids == tuple(f"{number:06d}" for number in range(5))
    assert (shards.spec.bands10, shards.spec.bands20, shards.spec.full) == (("B04", "B02"), ("B11",), 10_000)
    assert "SIMULATED" in shards.spec.source
    assert shards.half.tolist() == [[0, 0, 1, 1]] * 5
    assert shards.changed is None


def test_dates_are_within_their_windows_and_said_in_the_plan(whole: tuple[SampleConfig, Summary]) -> None:
    config, _ = whole
    prepared, shards = prepare(config), open_shards(config.out)
    for row, days, lonlat in zip(prepared.rows, shards.days, shards.lonlat, strict=True):
        assert (row.state, len(row.items)) == (GATHERED, 4)
        assert [date(1970, 1, 1) + timedelta(days=int(day)) for day in days] == list(row.days)
        assert lonlat.tolist() == list(row.window.lonlat)
        for day, wanted in zip(row.days, prepared.dates.wanted(row.offset), strict=True):
            first, last = prepared.dates.window(wanted)
            assert first <= day <= last


def test_pixels_are_those_of_the_reader(whole: tuple[SampleConfig, Summary], small_archive: Path) -> None:
    config, _ = whole
    shards, (rows, _) = open_shards(config.out), open_plan(config.out / PLAN)
    items = find_items(str(small_archive), area=GLOBE, period=prepare(config).dates.periods[0])
    for number in (0, 3):
        window = rows[number].window
        scenes = resolve_scenes(items, BANDS)
        for k, (day, named) in enumerate(zip(rows[number].days, rows[number].items, strict=True)):
            over = solar_days(scenes, window.epsg % 100 * 6 - 183)[day]
            cube = read_cube(window.block, {day: nearest_first(over, *window.centre, epsg=window.epsg)}, BANDS)
            expected = np.stack([cube[band].values[0] for band in BANDS])
            found = shards.read(np.array([number]), np.array([[k]]), BANDS)[0, 0]
            np.testing.assert_array_equal(found, expected)
            assert found.min() > 0
            assert str(cube["item_ids"].values[0]) == named
            assert np.isin(cube["scl"].values, CLOUD_SCL).mean() <= config.max_cloud_window / 100


def test_a_killed_run_goes_on_to_the_same_end(
    whole: tuple[SampleConfig, Summary], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = replace(whole[0], out=tmp_path / "killed")
    child = os.fork()
    if child == 0:
        adds, add = iter(range(9)), gathering._add
        monkeypatch.setattr(
            gathering, "_add", lambda *a: os.kill(os.getpid(), signal.SIGKILL) if next(adds) == 3 else add(*a)
        )
        try:
            run(config)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    assert open_shards(config.out).ids == ("000000", "000001")
    assert not open_shards(config.out).complete
    assert run(config).complete
    assert_same(whole[0].out, config.out)


def test_a_limit_and_more_locations_later_end_the_same(whole: tuple[SampleConfig, Summary], tmp_path: Path) -> None:
    config = replace(whole[0], out=tmp_path / "limited")
    first = run(replace(config, locations=3), limit=2)
    assert (first.gathered, first.complete) == (2, False)
    assert [row.state for row in open_plan(config.out / PLAN)[0]] == [GATHERED, GATHERED, PLANNED]
    assert run(config, threads=4).complete
    assert_same(whole[0].out, config.out)
    assert run(config).gathered == 5  # nothing left to do


def test_a_lost_shard_is_gathered_again(whole: tuple[SampleConfig, Summary], tmp_path: Path) -> None:
    config = replace(whole[0], out=tmp_path / "lost")
    run(config)
    before = open_shards(config.out)
    pixels = before.read(np.arange(5), np.zeros((5, 1), np.int64), BANDS)
    (config.out / "shard-00000.safetensors").unlink()
    run(config)
    after = open_shards(config.out)
    order = np.array([after.ids.index(name) for name in before.ids])
    np.testing.assert_array_equal(after.read(order, np.zeros((5, 1), np.int64), BANDS), pixels)


def test_clouds_in_the_window_have_other_dates_or_places_taken(
    small_archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = []
    look = WindowReader._read_sky
    monkeypatch.setattr(WindowReader, "_read_sky", lambda reader, day: shown.append(look(reader, day)) or shown[-1])
    run(config_of(small_archive, tmp_path, locations=4, max_cloud=60, max_cloud_window=0))
    assert max(sky.cloud for sky in shown) > 0  # some were looked at, and not taken
    prepared = prepare(config_of(small_archive, tmp_path, locations=4, max_cloud=60, max_cloud_window=0))
    finder = Finder(prepared, WAYS)
    for row in prepared.rows:
        reader = WindowReader(row.window, finder._days(row.window), BANDS, WAYS)
        assert [reader.sky(day).cloud for day in row.days] == [0, 0, 0, 0]


def test_where_nothing_fits_the_run_ends_and_says_why(
    small_archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    look = WindowReader._read_sky
    monkeypatch.setattr(WindowReader, "_read_sky", lambda reader, day: replace(look(reader, day), cloud=50.0))
    with pytest.raises(AreaError, match=r"3 locations were drawn again and again.*cloud 6"):
        run(config_of(small_archive, tmp_path, locations=3, tries=2))
    assert {row.state for row in open_plan(tmp_path / PLAN)[0]} == {GIVEN_UP}


def test_a_year_has_no_room_for_four_years(small_archive: Path, tmp_path: Path) -> None:
    with pytest.raises(AreaError, match="no series fits"):
        prepare(config_of(small_archive, tmp_path / "none", years_apart=4))
    assert not (tmp_path / "none").exists()


def test_what_cannot_be_read_now_is_put_off(
    whole: tuple[SampleConfig, Summary], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, look = replace(whole[0], out=tmp_path / "off"), WindowReader._read_sky
    lost = open_plan(whole[0].out / PLAN)[0][2].window

    def fail(reader: WindowReader, day: date) -> object:
        if reader.window == lost:
            raise UnreachableError("https://there/B04.tif: timed out (1 try)")
        return look(reader, day)

    monkeypatch.setattr(WindowReader, "_read_sky", fail)
    with pytest.raises(ReadError, match=r"1 locations could not be read \(https://there/B04.tif"):
        run(config)
    assert open_shards(config.out).ids == ("000000", "000001", "000003", "000004")
    monkeypatch.undo()
    assert run(config).complete
    assert set(open_shards(config.out).ids) == set(open_shards(whole[0].out).ids)


def test_a_file_that_is_gone_is_a_missing_date(
    whole: tuple[SampleConfig, Summary], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    row, look = open_plan(whole[0].out / PLAN)[0][0], WindowReader._read_sky

    def fail(reader: WindowReader, day: date) -> object:
        if day == row.days[-1]:
            raise UnreachableError("https://there/SCL.tif: HTTP response code: 404 (1 try)")
        return look(reader, day)

    monkeypatch.setattr(WindowReader, "_read_sky", fail)
    run(replace(whole[0], out=tmp_path / "gone"))
    assert all(row.days[-1] not in other.days for other in open_plan(tmp_path / "gone" / PLAN)[0])
