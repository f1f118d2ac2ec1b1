from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import shapely

from index.areas import group_areas, open_areas
from index.labels import open_labels
from index.store import Store
from index.truth import Truth, find_truth, list_places, open_labelled, plan_queries
from stac.errors import AreaError
from tests.retrieval import EAST, WEST, Row, polygon, write_labels, write_store

YEAR = ("2021-07-01", "2022-07-01")


def truth_of(tmp_path: Path, rows: list[Row], *features: tuple) -> tuple[Store, Truth]:
    store = write_store(tmp_path / "store", rows, np.ones((len(rows), 4)))
    labels = open_labels(write_labels(tmp_path / "labels.geojson", *features))
    return store, find_truth(store, list_places(store), labels.table)


def shown(truth: Truth) -> tuple[list[int], list[int]]:
    """Rows that are positives of anything, and those that are unclear."""
    return sorted(truth.row[truth.positive].tolist()), sorted(truth.row[~truth.positive].tolist())


def test_a_chip_counts_from_the_share_by_which_builds_name_events(tmp_path: Path) -> None:
    rows = [(WEST, col, *YEAR) for col in (1, 3, 5, 7)]
    features = [
        (polygon(WEST, col, share), "fire", "2021-09-01", "2021-09-03") for col, share in ((1, 0.06), (3, 0.03))
    ]
    _, truth = truth_of(tmp_path, rows, *features, (polygon(WEST, 5), "fire", "2021-09-01", "2021-09-03"))
    assert shown(truth) == ([0, 2], [1])


@pytest.mark.parametrize(
    ("interval", "event", "positive"),
    [
        (("2021-07-01", "2022-07-01"), ("2021-09-01", "2021-09-02"), True),  # held whole
        (("2021-07-01", "2022-07-01"), ("2021-05-01", "2021-11-01"), True),  # most of a long one
        (("2021-07-01", "2022-07-01"), ("2021-01-01", "2021-08-01"), False),  # a month of seven
        (("2021-07-01", "2021-07-06"), ("2021-01-01", "2021-12-01"), True),  # within a long one
        (("2021-07-01", "2021-07-31"), ("2021-07-20", "2021-12-01"), False),  # a third of a short interval
        (("2021-07-01", "2021-07-31"), ("2021-07-10", "2021-12-01"), True),  # two thirds of it
    ],
)
def test_interval_and_event_overlap_by_half_of_the_shorter(
    tmp_path: Path, interval: tuple[str, str], event: tuple[str, str], positive: bool
) -> None:
    sure: Row = (WEST, 9, "2020-01-01", "2023-01-01")
    _, truth = truth_of(tmp_path, [(WEST, 1, *interval), sure], *((polygon(WEST, c), "road", *event) for c in (1, 9)))
    assert shown(truth) == (([0, 1], []) if positive else ([1], [0]))


def test_the_interval_is_open_at_its_beginning_and_a_last_day_counts_whole(tmp_path: Path) -> None:
    rows = [(WEST, 1, "2021-07-02", "2021-08-01"), (WEST, 1, "2021-06-01", "2021-07-01"), (WEST, 1, *YEAR)]
    _, truth = truth_of(tmp_path, rows, (polygon(WEST, 1), "fire", "2021-07-01", "2021-07-01"))
    assert shown(truth) == ([2], [])  # ended as the first begins; not begun as the second ends


def test_the_query_is_the_row_that_shows_most(tmp_path: Path) -> None:
    rows = [
        (WEST, 1, "2021-07-01", "2021-09-06"),  # two thirds of the event
        (WEST, 1, *YEAR),
        (WEST, 2, *YEAR),  # as much again: the first counts
        (WEST, 3, *YEAR),
    ]
    wide = shapely.union(polygon(WEST, 1, count=2), polygon(WEST, 3, 0.3))
    store, truth = truth_of(tmp_path, rows, (wide, "fire", "2021-09-01", "2021-09-09"))
    clear = store.events["clear_fraction"].to_numpy()
    assert truth.query_rows(clear).tolist() == [1]
    assert truth.query_rows(np.array([1, 0.9, 0.95, 1])).tolist() == [2]  # of equals the clearest


def test_classes_keep_their_rows_apart(tmp_path: Path) -> None:
    rows = [(WEST, col, *YEAR) for col in (1, 3, 5)]
    days = ("2021-09-01", "2021-09-03")
    _, truth = truth_of(
        tmp_path,
        rows,
        (polygon(WEST, 1), "fire", *days),
        (polygon(WEST, 1, 0.02), "road", *days),
        (polygon(WEST, 1, 0.03), "fire", *days),  # a second one that only touches it
        (polygon(WEST, 3), "road", *days),
    )
    assert truth.classes == ("fire", "road")
    fire, road = (tuple(rows.tolist() for rows in truth.rows_of_class(number)) for number in (0, 1))
    assert fire == ([0], [])
    assert road == ([1], [0])


def test_labels_that_no_row_shows_are_refused(tmp_path: Path) -> None:
    rows = [(WEST, 1, *YEAR)]
    with pytest.raises(AreaError, match="none of the 1 labelled events lies in the store"):
        truth_of(tmp_path / "far", rows, (polygon(EAST, 1), "fire", "2021-09-01", "2021-09-03"))
    with pytest.raises(AreaError, match="none of the 1 labelled events is shown by any of the 1 rows"):
        truth_of(tmp_path / "late", rows, (polygon(WEST, 1), "fire", "2023-09-01", "2023-09-03"))


def test_galleries_by_protocol(tmp_path: Path) -> None:
    years = [YEAR, ("2022-07-01", "2023-07-01")]
    rows: list[Row] = [(WEST, col, *year) for col in (1, 2, 3, 4) for year in years]
    rows += [(EAST, 1, *year) for year in years]
    store, truth = truth_of(tmp_path, rows, (polygon(WEST, 2), "fire", "2021-09-01", "2021-09-03"))
    places = list_places(store)
    areas = group_areas(places.centres)
    assert areas.of_place.tolist() == [0, 0, 0, 0, 1]
    clear = store.events["clear_fraction"].to_numpy()
    wide, near, own = (plan_queries(truth, places, areas, clear, name, None) for name in ("areas", "places", "events"))
    assert wide.own_area_out
    assert (wide.row.tolist(), wide.area.tolist()) == ([2], [0])
    assert near.left_out[0].tolist() == [0, 1, 2, 3, 4, 5]  # the chip and its neighbours, in all years
    assert own.left_out[0].tolist() == [2]
    assert not near.own_area_out
    assert not own.own_area_out


@pytest.mark.parametrize(("apart", "groups"), [(19.9, [0, 1, 2]), (20.1, [0, 0, 1]), (60, [0, 0, 0])])
def test_places_are_linked_within_some_kilometres(apart: float, groups: list[int]) -> None:
    north = np.cumsum([0, 20, 50]) / 111.195  # degrees of latitude on a globe of the mean radius
    centres = np.column_stack([np.zeros(3), north])
    assert group_areas(centres, apart).of_place.tolist() == groups


def test_groups_are_those_of_single_linkage() -> None:
    rng = np.random.default_rng(5)
    middles = rng.uniform(-3, 3, (12, 2))
    centres = np.concatenate([middle + rng.normal(0, 0.08, (40, 2)) for middle in middles])
    centres += np.array([179.5, 60])
    centres[:, 0] = (centres[:, 0] + 180) % 360 - 180  # across the antimeridian
    lon, lat = np.radians(centres).T
    points = np.column_stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)])
    near = 2 * 6371.0088 * np.arcsin(np.linalg.norm(points[:, None] - points[None], axis=2) / 2) <= 15
    reached = near.copy()
    for _ in range(10):
        reached = (reached.astype(int) @ reached.astype(int)) > 0
    found = group_areas(centres, 15).of_place
    assert np.array_equal(found[:, None] == found[None], reached)
    assert 2 < len(set(found.tolist())) < 200


def test_one_name_is_one_area_however_far_apart() -> None:
    centres = np.array([[0.0, 0.0], [5.0, 0.0], [10.0, 0.0]])
    assert group_areas(centres, 20, [np.array([0, 2])]).of_place.tolist() == [0, 1, 0]


def test_areas_of_a_file(tmp_path: Path) -> None:
    boxes = [shapely.box(0, 0, 1, 1), shapely.box(2, 0, 3, 1), shapely.box(4, 0, 5, 1)]
    same = [(box, "x", "2021-01-01", "2021-01-01") for box in boxes]
    path = write_labels(
        tmp_path / "areas.geojson", *same, area=["hills", "coast", "hills"], split=["test", "val", "test"]
    )
    areas = open_areas(path, np.array([[0.5, 0.5], [2.5, 0.5], [4.5, 0.5], [9, 9]]))
    assert (areas.names, areas.splits) == (("hills", "coast"), ("test", "val"))
    assert areas.of_place.tolist() == [0, 1, 0, -1]
    with pytest.raises(AreaError, match="none of the 1 locations"):
        open_areas(path, np.array([[9.0, 9.0]]))
    with pytest.raises(AreaError, match="there is no column area or name or id"):
        open_areas(write_labels(tmp_path / "bare.geojson", same[0]), np.zeros((1, 2)))
    (tmp_path / "broken.geojson").write_text("{")
    with pytest.raises(AreaError, match="cannot be read"):
        open_areas(tmp_path / "broken.geojson", np.zeros((1, 2)))


def test_what_else_labels_say(tmp_path: Path) -> None:
    feature = (polygon(WEST, 1), "fire", "2021-09-01", "2021-09-03")
    _, told = open_labelled(
        write_labels(tmp_path / "a.geojson", feature, feature, event_id=["f-1", None], area=["a", "b"])
    )
    assert told["event_id"].tolist() == ["f-1", "feature-2"]
    assert told["area"].tolist() == ["a", "b"]
    assert told["split"].tolist() == [None, None]
