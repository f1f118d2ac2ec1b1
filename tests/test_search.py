from __future__ import annotations

import json
import shlex
from datetime import UTC, datetime
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely

from index import search
from index.evaluate import Settings, evaluate_store
from index.output import hits_geojson
from index.search import Query, event_filter, find_similar, main, query_event, query_point
from index.store import Store, open_store
from stac.area import norm_area
from stac.errors import AreaError, StoreError
from stac.lattice import locate


@pytest.fixture(scope="module")
def store(demo_store: Path) -> Store:
    return open_store(demo_store)


@pytest.fixture(scope="module")
def vectors(store: Store) -> np.ndarray:
    """Every change vector, row for row."""
    return np.stack(
        [store.shard(block).vector(row) for block, _ in store.shard_rows for row in range(block.events.rows)]
    )


def example(store: Store, label: str = "wildfire") -> str:
    """The strongest labelled event of a class."""
    found = store.events[store.events["label"] == label]
    return str(found.sort_values("magnitude")["event_id"].iloc[-1])


def own_events(store: Store, query: Query) -> np.ndarray:
    """The query's own event, and those of its place that overlap it in time."""
    own = (store.events["location_id"] == query.location_id).to_numpy()
    own &= (store.events["time_after"] > query.time_before).to_numpy()
    return own & (store.events["time_before"] < query.time_after).to_numpy()


def test_hits_are_the_exact_nearest_neighbours(store: Store, vectors: np.ndarray) -> None:
    query = query_event(store, example(store))
    hits = find_similar(store, query, k=25)
    scores = np.where(own_events(store, query), -2, vectors @ query.vector)
    np.testing.assert_allclose(hits["score"], np.sort(scores)[::-1][:25], atol=1e-5)
    assert hits["rank"].tolist() == list(range(1, 26))


def test_fires_find_fires(store: Store, demo_archive: Path) -> None:
    """Each labelled fire asks once; other places alone may answer. One fire may be odd, all of them are not."""
    settings = Settings(k=(10,), protocol="places")
    found = evaluate_store(store, demo_archive.with_name("events.geojson"), settings).answers
    fires = found[(found["unit"] == "place") & (found["class"] == "wildfire")]
    assert len(fires) >= 2
    assert fires["ap"].mean() > 3 * fires["chance_ap"].mean()


def test_the_query_of_an_event_and_of_its_place_and_dates_agree(store: Store) -> None:
    event_id = example(store)
    event = store.events.set_index("event_id").loc[event_id]
    centre = event.geometry.centroid  # of the plain shape: no CRS, no warning
    by_event = query_event(store, event_id)
    by_point = query_point(
        store, centre.x, centre.y, event["time_before"].to_pydatetime(), event["time_after"].to_pydatetime()
    )
    assert by_point.location_id == by_event.location_id
    np.testing.assert_allclose(by_point.vector, by_event.vector, atol=1e-6)


def test_place_and_period_filters_act_inside_the_search(store: Store, vectors: np.ndarray) -> None:
    query = query_event(store, example(store))
    west, south, east, north = store.area.bounds
    area, period = norm_area((west, south, (west + east) / 2, north)), "2022-01-01/2023-12-31"
    hits = find_similar(store, query, k=15, area=area, period=period)
    keep = event_filter(store, area, period) & ~own_events(store, query)
    assert 15 < keep.sum() < len(keep)
    np.testing.assert_allclose(hits["score"], np.sort((vectors @ query.vector)[keep])[::-1][:15], atol=1e-5)
    assert (shapely.get_x(shapely.centroid(hits.geometry.to_numpy())) < (west + east) / 2 + 1e-6).all()
    assert (hits["time_before"] >= pd.Timestamp("2022-01-01", tz="UTC")).all()


def test_a_filter_that_nothing_passes_gives_no_hits(store: Store) -> None:
    assert find_similar(store, query_event(store, example(store)), period="2016").empty


def test_k_beyond_the_store_gives_all_the_rest(store: Store) -> None:
    query = query_event(store, example(store))
    own = own_events(store, query)
    assert own.any()
    assert len(find_similar(store, query, k=10**6)) == len(store.events) - own.sum()


def test_bad_queries_are_refused_in_words(store: Store) -> None:
    moment = datetime(2021, 6, 1, tzinfo=UTC)
    lon, lat = store.centres[0]
    with pytest.raises(StoreError, match=r"event 'x' is not in the store.*copy an id"):
        query_event(store, "x")
    with pytest.raises(AreaError, match=r"outside the store.*build a store for that place"):
        query_point(store, 10, 50, moment, moment)
    with pytest.raises(AreaError, match="give longitude first"):
        query_point(store, 200, 50, moment, moment)
    with pytest.raises(AreaError, match="lead to the observations of"):
        query_point(store, float(lon), float(lat), moment, moment)
    with pytest.raises(AreaError, match=r"nearest to 1990-06-01 is of 20.* one within 183 days"):
        query_point(store, float(lon), float(lat), moment.replace(year=1990), moment)
    with pytest.raises(StoreError, match="k 0"):
        find_similar(store, query_event(store, example(store)), k=0)


@pytest.mark.parametrize("form", ["table", "geojson", "geoparquet"])
def test_the_command_writes_each_format(form: str, store: Store, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    out = tmp_path / "hits"
    arguments = [str(store.path), "--event", example(store), "--k", "5", "--format", form, "--out", str(out)]
    assert main(arguments) == 0
    assert "5 hits written" in capsys.readouterr().out
    if form == "geojson":
        assert len(json.loads(out.read_text())["features"]) == 5
    elif form == "geoparquet":
        assert gpd.read_parquet(out)["rank"].tolist() == [1, 2, 3, 4, 5]
    else:
        assert len(out.read_text().splitlines()) == 6


def test_geojson_holds_what_the_hits_hold(store: Store) -> None:
    hits = find_similar(store, query_event(store, example(store)), k=4)
    features = json.loads(hits_geojson(hits))["features"]
    for feature, (_, hit) in zip(features, hits.iterrows(), strict=True):
        assert feature["properties"]["event_id"] == hit["event_id"]
        assert pd.Timestamp(feature["properties"]["time_after"]) == hit["time_after"].floor("s")
        assert shapely.geometry.shape(feature["geometry"]).equals_exact(hit.geometry, 1e-9)


def test_geojson_cuts_chips_at_the_antimeridian(store: Store) -> None:
    hits = find_similar(store, query_event(store, example(store)), k=4)
    across = locate(179.9999, -17, 64, 10).outline
    beyond = shapely.box(180, -17, 180.01, -16.99)
    hits.geometry = [across, shapely.affinity.translate(across, -360), beyond, hits.geometry.iloc[3]]
    features = json.loads(hits_geojson(hits))["features"]
    one, other, whole, plain = (shapely.geometry.shape(feature["geometry"]) for feature in features)
    assert [part.geom_type for part in (one, other, whole, plain)] == ["MultiPolygon"] * 2 + ["Polygon"] * 2
    assert one.normalize().equals_exact(other.normalize(), 1e-9)
    assert sorted(part.bounds[::2] for part in one.geoms) == [
        (-180, pytest.approx(across.bounds[2] - 360)),
        (pytest.approx(across.bounds[0]), 180),
    ]
    assert one.area == pytest.approx(across.area)
    assert all(part.exterior.is_ccw for part in one.geoms)
    assert whole.bounds == pytest.approx((-180, -17, -179.99, -16.99))
    assert plain.equals_exact(hits.geometry.iloc[3], 1e-9)


@pytest.mark.parametrize("hour", [2, 18])
def test_a_named_day_means_what_was_seen_on_it(
    hour: int, store: Store, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    # Seen every day of July, at an hour of a pass over Asia, or over America.
    days = pd.date_range(f"2021-07-01T{hour:02d}:00", periods=31, freq="D", tz="UTC")
    series = pd.DataFrame({"time": days, "embedding": list(np.eye(31, 8, dtype=np.float32))})
    monkeypatch.setattr(search, "read_observations", lambda *_: series)
    monkeypatch.setattr(search, "find_similar", lambda found, *_, **__: found.events.head(1).assign(rank=1, score=1.0))
    lon, lat = store.centres[0]
    assert main([str(store.path), "--at", f"{lon:.6f},{lat:.6f}", "--dates", "2021-07-05/2021-07-20"]) == 0
    assert "2021-07-05 to 2021-07-20" in capsys.readouterr().err


def test_the_command_takes_a_point_west_of_greenwich(store: Store, capsys: pytest.CaptureFixture) -> None:
    lon, lat = store.centres[0]
    point = f"{lon:.6f},{lat:.6f}"
    assert main([str(store.path), "--at", point, "--dates", "2021-03-01/2022-10-01", "--k", "3", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["features"]) == 3


BAD = {
    "unknown event": (["--event", "nothing"], "nothing"),
    "no event": (["--event", ""], "--event names no event"),
    "event and dates": (["--event", "nothing", "--dates", "2021/2022"], "--dates with --at alone"),
    "no dates": (["--at", "1,2"], "--dates"),
    "dates reversed": (["--at", "1,2", "--dates", "2022-01-01/2021-01-01"], "swap the two dates"),
    "dates that are none": (["--at", "1,2", "--dates", "spring"], "'spring' is no period"),
    "words for a point": (["--at", "one,two", "--dates", "2021/2022"], "one,two"),
    "three numbers for a point": (["--at", "1,2,3", "--dates", "2021/2022"], "1,2,3"),
    "point that is no number": (["--at", "nan,nan", "--dates", "2021/2022"], "longitude nan"),
    "point off the globe": (["--at", "200,50", "--dates", "2021/2022"], "longitude 200"),
    "point outside the store": (["--at", "10,50", "--dates", "2021-01-01/2022-01-01"], "10.00000,50.00000"),
    "k of nought": (["--event", "nothing", "--k", "0"], "--k 0"),
    "k below nought": (["--event", "nothing", "--k", "-3"], "--k -3"),
    "k that is no whole number": (["--event", "nothing", "--k", "1e9"], "--k 1e9"),
    "place that is none": (["--event", "nothing", "--area", "Atlantis-on-Sea"], "Atlantis-on-Sea"),
    "period that is none": (["--event", "nothing", "--period", "always"], "always"),
    "nowhere to write": (["--event", "nothing", "--out", ""], "--out names no file"),
    "a folder to write": (["--event", "nothing", "--out", "."], "--out"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_arguments_get_one_sentence_and_code_2(case: str, store: Store, capsys: pytest.CaptureFixture) -> None:
    arguments, named = BAD[case]
    assert main([str(store.path), *arguments]) == 2
    err = capsys.readouterr().err
    assert (err.count("\n"), named in err) == (1, True), err


def test_more_hits_than_there_are_events_are_all_the_others(store: Store, capsys: pytest.CaptureFixture) -> None:
    assert main([str(store.path), "--event", example(store), "--k", "1000000000", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["features"]) > 0.9 * len(store.events)


@pytest.mark.parametrize("text", [search.__doc__, search._parser().epilog])
def test_the_examples_of_the_help_run_on_the_demo_store(
    text: str, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    (tmp_path / "data").symlink_to(store.path.parent.parent)  # it stands in data/stores/demo
    monkeypatch.chdir(tmp_path)
    lines = text.replace("\\\n", " ").splitlines()
    commands = [shlex.split(line)[3:] for line in lines if line.strip().startswith("python -m index.search")]
    assert len(commands) == 2
    for command in commands:
        assert main(command) == 0, capsys.readouterr().err
        assert "no hits" not in capsys.readouterr().out
