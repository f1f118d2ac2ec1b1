from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import shapely

from index.events import EVENT_COLUMNS, check_events, new_events, open_events, save_events
from index.labels import add_labels, norm_labels
from index.observations import ObservationRows, Observations, open_observations, save_observations
from stac.errors import StoreError
from stac.lattice import locate

START = datetime(2021, 1, 10, 10, tzinfo=UTC)
PLACES = [locate(lon, 39.6, 32, 10) for lon in (-122.60, -122.55)]


def series(tmp_path: Path, vectors: dict[int, list[list[float]]], step_days: int = 30) -> Observations:
    """Observations of some places; an empty vector stands for one too cloudy to be embedded."""
    path, rows = tmp_path / "p.parquet", ObservationRows(2)
    for place, values in vectors.items():
        time = [START + timedelta(days=step_days * n) for n in range(len(values))]
        embedding = np.array([value or [np.nan, np.nan] for value in values], np.float16)
        clear = np.where(np.isnan(embedding[:, 0]), 0.3, 0.95).astype(np.float32)
        rows.add([PLACES[place].location_id] * len(values), time, clear, [["i"]] * len(values), embedding)
    save_observations(rows.to_table(), path)
    return open_observations([path])


def test_each_row_is_a_location_and_an_interval(tmp_path: Path) -> None:
    observations = series(tmp_path, {0: [[0, 0], [0, 1], [2, 1]], 1: [[0, 0], [3, 4]]})
    events, vectors = new_events(observations, 10, "consecutive")
    assert list(events.columns) == list(EVENT_COLUMNS)
    assert events["magnitude"].tolist() == [1, 2, 5]
    np.testing.assert_allclose(vectors, [[0, 1], [1, 0], [0.6, 0.8]], atol=1e-6)
    assert events["event_id"][0] == f"{PLACES[0].location_id}_20210110_20210209"
    assert check_events(events) == []
    for row, place in enumerate([0, 0, 1]):
        assert events.geometry[row].equals_exact(PLACES[place].outline, 1e-12)


def test_two_passes_on_one_utc_date_are_two_days(tmp_path: Path) -> None:
    # Near 157° east, where ten in the morning by the sun is about midnight UTC.
    place, rows = locate(157.0, -9.0, 32, 10), ObservationRows(1)
    time = [datetime(2021, 8, 2, 0, 2, tzinfo=UTC), datetime(2021, 8, 2, 23, 52, tzinfo=UTC)]
    time += [moment.replace(year=2022) for moment in time]
    embedding = np.arange(4, dtype=np.float16)[:, None]
    rows.add([place.location_id] * 4, time, np.ones(4, np.float32), [["i"]] * 4, embedding)
    save_observations(rows.to_table(), tmp_path / "p.parquet")
    for pairing in ("consecutive", "yearly"):
        events, _ = new_events(open_observations([tmp_path / "p.parquet"]), 10, pairing)
        assert check_events(events) == []
        assert events["event_id"].str.contains("20210802_20210803|20210803_2022|20220802_20220803|20210802_2022").all()


def test_cloudy_observations_are_stepped_over(tmp_path: Path) -> None:
    events, _ = new_events(series(tmp_path, {0: [[0, 0], [], [0, 2]]}), 10, "consecutive")
    assert events["magnitude"].tolist() == [2]
    assert events["clear_fraction"].tolist() == [np.float32(0.95)]


def test_monthly_pairs_the_clearest_only(tmp_path: Path) -> None:
    observations = series(tmp_path, {0: [[0, 0], [9, 9], [0, 3]]}, step_days=14)
    events, _ = new_events(observations, 10, "consecutive", monthly=True)
    assert events["magnitude"].tolist() == [3]


def test_no_pairs_give_an_empty_table_of_the_same_kind(tmp_path: Path) -> None:
    events, vectors = new_events(series(tmp_path, {0: [[0, 0]]}), 10, "yearly")
    assert (len(events), vectors.shape) == (0, (0, 2))
    save_events(events, tmp_path / "e.parquet", {})
    assert list(open_events(tmp_path / "e.parquet").columns) == list(EVENT_COLUMNS)


def test_save_and_open_are_inverse_and_metadata_travels(tmp_path: Path) -> None:
    events, _ = new_events(series(tmp_path, {0: [[0, 0], [0, 1], [2, 1]]}), 10, "consecutive")
    save_events(events, tmp_path / "e.parquet", {"emb:dimensions": 2})
    again = open_events(tmp_path / "e.parquet")
    pd.testing.assert_frame_equal(pd.DataFrame(again), pd.DataFrame(events), check_dtype=False)
    metadata = pq.read_schema(tmp_path / "e.parquet").metadata
    assert json.loads(metadata[b"emb:dimensions"]) == 2
    assert json.loads(metadata[b"geo"])["primary_column"] == "geometry"


def labels(share: float, start: str, end: str | None, name: str = "fire") -> gpd.GeoDataFrame:
    west, south, east, north = PLACES[0].outline.bounds
    polygon = shapely.box(west, south, west + share * (east - west), north)
    return norm_labels(
        gpd.GeoDataFrame({"class": [name], "start": [start], "end": [end]}, geometry=[polygon], crs=4326)
    )


@pytest.mark.parametrize(
    ("share", "start", "end", "expected"),
    [
        (0.5, "2021-01-20", None, ["fire", None]),
        (0.5, "2021-02-09", None, [None, "fire"]),  # more of its 24 hours lie after the middle observation
        (0.5, "2021-01-20", "2021-03-01", ["fire", "fire"]),
        (0.5, "2020-12-01", "2021-01-09", [None, None]),
        (0.02, "2021-01-20", None, [None, None]),
    ],
)
def test_labels_meet_events_in_space_and_time(
    tmp_path: Path, share: float, start: str, end: str | None, expected: list[str | None]
) -> None:
    events, _ = new_events(series(tmp_path, {0: [[0, 0], [0, 1], [2, 1]]}), 10, "consecutive")
    assert add_labels(events, labels(share, start, end))["label"].tolist() == expected


def test_an_event_says_how_much_of_its_label_it_shows(tmp_path: Path) -> None:
    events, _ = new_events(series(tmp_path, {0: [[0, 0], [0, 1], [2, 1]]}), 10, "consecutive")
    assert events["label_share"].isna().all()
    named = add_labels(events, labels(0.5, "2021-01-20", "2021-01-20"))
    assert named["label_share"].tolist() == pytest.approx([0.5, np.nan], nan_ok=True, abs=1e-3)
    assert named["label_share"].dtype == np.float32
    long = add_labels(events, labels(0.5, "2021-01-20", "2021-03-01"))  # 40.2 days, of which the first pair holds half
    assert 0.5 * 0.4 < long["label_share"].iloc[0] < 0.5 * 0.6


def test_the_label_of_the_largest_share_wins(tmp_path: Path) -> None:
    events, _ = new_events(series(tmp_path, {0: [[0, 0], [0, 1]]}), 10, "consecutive")
    both = pd.concat([labels(0.6, "2021-01-20", None, "large"), labels(0.3, "2021-01-20", None, "small")])
    for order in (both, both[::-1]):
        assert add_labels(events, gpd.GeoDataFrame(order.reset_index(drop=True)))["label"].tolist() == ["large"]


def test_check_lists_every_fault(tmp_path: Path) -> None:
    events, _ = new_events(series(tmp_path, {0: [[0, 0], [0, 1], [2, 1]]}), 10, "consecutive")
    bad = events.assign(event_id="same", time_after=events["time_before"], clear_fraction=2.0, magnitude=-1.0)
    faults = " / ".join(check_events(bad))
    for fault in ("1 event ids stand twice", "do not run forward", "outside 0 to 1", "below 0"):
        assert fault in faults
    assert check_events(events.drop(columns="label")) == ["columns label are missing"]


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "e.parquet").write_bytes(b"nothing")
    with pytest.raises(StoreError, match=r"e\.parquet cannot be read.*same index.build command again"):
        open_events(tmp_path / "e.parquet")
