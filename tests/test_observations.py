from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from index.observations import (
    Counts,
    ObservationRows,
    check_observations,
    count_observations,
    observation_schema,
    open_observations,
    save_observations,
)
from stac.errors import StoreError

START = datetime(2021, 3, 1, 10, 30, tzinfo=UTC)


def part(path: Path, places: list[str], day: int = 0, dim: int = 4) -> np.ndarray:
    rows, random = ObservationRows(dim), np.random.default_rng(day)
    embedding = random.normal(size=(len(places), dim)).astype(np.float16)
    clear = np.full(len(places), 0.9, np.float32)
    time = [START + timedelta(days=day)] * len(places)
    rows.add(places, time, clear, [[f"item-{day}"]] * len(places), embedding)
    save_observations(rows.to_table(), path)
    return embedding


def test_a_part_comes_back_as_it_was_and_in_order(tmp_path: Path) -> None:
    embedding = part(tmp_path / "a.parquet", ["z", "a", "m"])
    rows = open_observations([tmp_path / "a.parquet"])
    assert rows.location_id.tolist() == ["a", "m", "z"]
    np.testing.assert_array_equal(rows.embedding, embedding[[1, 2, 0]])
    assert rows.time[0] == np.datetime64("2021-03-01T10:30:00.000")
    assert check_observations(tmp_path / "a.parquet", 4) == []


def test_parts_join_by_location_then_time(tmp_path: Path) -> None:
    part(tmp_path / "2.parquet", ["a", "b"], day=40)
    part(tmp_path / "1.parquet", ["b", "a"], day=0)
    rows = open_observations([tmp_path / "2.parquet", tmp_path / "1.parquet"])
    assert rows.location_id.tolist() == ["a", "a", "b", "b"]
    assert (np.diff(rows.time.reshape(2, 2)) > np.timedelta64(0)).all()


def test_one_location_can_be_read_alone(tmp_path: Path) -> None:
    part(tmp_path / "1.parquet", ["a", "b"])
    assert open_observations([tmp_path / "1.parquet"], ("b", "b")).location_id.tolist() == ["b"]
    assert len(open_observations([tmp_path / "1.parquet"], ("n", "nowhere"))) == 0


def test_missing_and_cloudy_observations_are_null_not_zero(tmp_path: Path) -> None:
    rows = ObservationRows(2)
    nothing = np.full((2, 2), np.nan, np.float16)
    rows.add(["cloudy", "missing"], [START] * 2, np.array([0.1, np.nan], np.float32), [["i"], ["i"]], nothing)
    save_observations(rows.to_table(), tmp_path / "p.parquet")
    table = pq.read_table(tmp_path / "p.parquet")
    assert table.column("embedding").null_count == 2
    assert table.column("clear_fraction").null_count == 1
    assert count_observations(tmp_path / "p.parquet") == Counts(observations=2, embedded=0, missing=1)
    frame = open_observations([tmp_path / "p.parquet"]).to_frame()
    assert frame["embedding"].isna().all()


def test_a_month_without_rows_is_still_a_part(tmp_path: Path) -> None:
    save_observations(ObservationRows(3).to_table(), tmp_path / "p.parquet")
    assert count_observations(tmp_path / "p.parquet") == Counts(0, 0, 0)
    assert len(open_observations([tmp_path / "p.parquet"])) == 0
    assert pq.read_schema(tmp_path / "p.parquet").equals(observation_schema(3))


def test_a_damaged_part_is_named(tmp_path: Path) -> None:
    (tmp_path / "p.parquet").write_bytes(b"PAR1 and nothing more")
    with pytest.raises(StoreError, match=r"p\.parquet cannot be read.*same index.build command again"):
        open_observations([tmp_path / "p.parquet"])


def test_check_lists_every_fault(tmp_path: Path) -> None:
    rows = ObservationRows(2)
    embedding = np.array([[1, 1], [1, 1], [np.inf, 0]], np.float16)
    rows.add(["a", "a", "b"], [START] * 3, np.array([0.5, 1.5, np.nan], np.float32), [[], [], []], embedding)
    save_observations(rows.to_table(), tmp_path / "p.parquet")
    faults = " / ".join(check_observations(tmp_path / "p.parquet", 2))
    for fault in ("1 rows stand twice", "outside 0 to 1", "could not be read", "beyond float16"):
        assert fault in faults
    assert "columns differ" in check_observations(tmp_path / "p.parquet", 3)[0]
