"""An open store: strongest changes, cached searches, pictures by date."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely

from app.filters import resolve_period, resolve_place
from app.imagery import TRUE_COLOUR
from app.session import MAX_HIGHLIGHTS, MAX_STRONGEST, OpenStore, strongest_events
from index.store import open_store
from stac.errors import DataError, StoreError


def new_events(rows: list[tuple[str, str, float, str | None]]) -> gpd.GeoDataFrame:
    """Events of (location, day after, change ratio, label)."""
    place, day, ratio, label = zip(*rows, strict=True)
    return gpd.GeoDataFrame(
        {
            "event_id": [f"e{i}" for i in range(len(rows))],
            "location_id": place,
            "time_after": pd.to_datetime(day, utc=True),
            "magnitude": np.arange(len(rows), dtype=float),
            "change_ratio": ratio,
            "label": label,
        },
        geometry=[shapely.box(0, 0, 1, 1)] * len(rows),
        crs=4326,
    )


def test_each_day_has_its_strongest_first_and_each_place_stands_once() -> None:
    snow = [(f"l{i}", "2021-03-01", 50.0 - i, None) for i in range(5)]
    events = new_events([*snow, ("l0", "2021-08-01", 7.0, None), ("l9", "2021-08-01", 5.0, None)])
    order = strongest_events(events)["event_id"].tolist()
    assert order[:2] == ["e0", "e1"]  # l0 stands once, by its strongest; then the second of the first day …
    assert order == ["e0", "e1", "e6", "e2", "e3", "e4"]


def test_events_without_a_ratio_come_last_by_magnitude() -> None:
    nan = float("nan")
    rows = [("a", "2021-03-01", nan, None), ("b", "2021-03-01", nan, None), ("c", "2021-03-01", 0.1, None)]
    assert strongest_events(new_events(rows))["event_id"].tolist() == ["e2", "e1", "e0"]


def test_the_list_of_the_strongest_ends() -> None:
    rows = [(f"l{i}", "2021-03-01", 1.0, None) for i in range(MAX_STRONGEST + 5)]
    assert len(strongest_events(new_events(rows))) == MAX_STRONGEST


@pytest.fixture(scope="module")
def small(demo_store: Path, tmp_path_factory: pytest.TempPathFactory) -> OpenStore:
    """The small store, with caches of its own."""
    return OpenStore(open_store(demo_store), tmp_path_factory.mktemp("cache"))


def test_a_search_is_kept_and_filters_are_part_of_its_key(small: OpenStore) -> None:
    query = small.query(str(small.first["event_id"]), None, None)
    everywhere = small.find(query, 10, None, None)
    assert small.find(query, 10, None, None) is everywhere
    west, south, east, north = small.store.area.bounds
    half = resolve_place(f"{west},{south},{(west + east) / 2},{north}")
    assert half is not None
    inside = small.find(query, 10, half, None)
    assert len(inside)
    assert shapely.intersects(half.area.geometry, shapely.centroid(inside.geometry.to_numpy())).all()
    late = small.find(query, 10, None, resolve_period((date(2022, 1, 1), date(2023, 12, 31))))
    assert len(late)
    assert (late["time_before"].dt.year >= 2022).all()


def test_coordinates_and_days_of_an_event_lead_to_the_same_change(small: OpenStore) -> None:
    event = small.store.events.set_index("event_id").loc[small.first["event_id"]]
    centre = event.geometry.centroid
    days = (event["time_before"].date(), event["time_after"].date())
    query = small.query(None, (centre.x, centre.y), days)
    assert query.location_id == event["location_id"]
    same = small.query(event.name, None, None)
    np.testing.assert_allclose(query.vector, same.vector, atol=2e-3)


def test_what_leads_to_no_change_is_refused_in_words(small: OpenStore) -> None:
    for event, at in (("none_such", None), (None, (0.0, 0.0))):
        with pytest.raises(DataError):
            small.query(event, at, (date(2021, 1, 1), date(2021, 12, 1)))


def test_a_picture_is_of_the_day_asked_for(small: OpenStore) -> None:
    event = small.store.events.set_index("event_id").loc[small.first["event_id"]]
    before = small.shot(event["location_id"], event["time_before"], TRUE_COLOUR)
    after = small.shot(event["location_id"], event["time_after"], TRUE_COLOUR)
    assert before.uri
    assert after.uri
    assert before.uri != after.uri
    assert "No scene is recorded" in (small.shot(event["location_id"], "1999-01-01", TRUE_COLOUR).note or "")
    assert "could not be read" in (small.shot("32601_1_1_320", event["time_after"], TRUE_COLOUR).note or "")


def test_the_page_begins_with_the_best_of_the_highlights(small: OpenStore) -> None:
    assert small.first["event_id"] == small.highlights["event_id"].iloc[0]
    assert set(small.highlights["label"].head(len(small.kinds))) == set(small.kinds)
    assert small.highlights is small.highlights  # found once


def test_without_readable_vectors_the_strongest_stand_in(demo_store: Path, tmp_path: Path) -> None:
    def refuse(_: object) -> None:
        raise StoreError("no vectors", "some", "build again")

    broken = OpenStore(open_store(demo_store), tmp_path)
    broken.store.shard = refuse  # type: ignore[method-assign,assignment]
    assert broken.highlights["event_id"].tolist() == broken.strongest()["event_id"].head(MAX_HIGHLIGHTS).tolist()


def test_kinds_are_the_labels_of_the_store(small: OpenStore) -> None:
    assert "wildfire" in small.kinds
    assert set(small.strongest(kind="wildfire")["label"]) == {"wildfire"}
