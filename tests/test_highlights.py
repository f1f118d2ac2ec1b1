"""The places to start from: what lasts and stands out, each kind and each happening once."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import geopandas as gpd
import numpy as np
import pyarrow as pa
import pytest
import shapely
from numpy.typing import NDArray

from index.events import new_events
from index.highlights import find_highlights, lasting_share, list_starts, middle_share, shown_share, standing_out
from index.observations import Observations
from index.pairs import Pairing
from index.search import find_similar, query_event
from index.store import Store, open_store
from stac.lattice import Lattice, Location

SIDE, MONTHS = 12, 36
"""A square of so many places on each side, seen once a month for three years."""

LATTICE = Lattice(32610, 32, 10)

Way = NDArray[np.float64]
"""(place south to north, place west to east, month, dimension): the embeddings."""


def new_way() -> Way:
    """Every place goes round with the seasons in two dimensions; a little chance in all four."""
    rng = np.random.default_rng(5)
    season = 2 * np.pi * np.arange(MONTHS) / 12
    way = 0.2 * rng.standard_normal((SIDE, SIDE, MONTHS, 4))
    way[..., 0] += np.cos(season)
    way[..., 1] += np.sin(season)
    return way


def new_store(way: Way, labels: dict[tuple[int, int, int], str] | None = None, **options: Any) -> Store:
    """A store of these embeddings.

    Args:
        way: As `new_way` gives it.
        labels: (row, column, month) → label of the event that ends in this month.
        options: `clear` (N,) clear fractions; `pairing`.
    """
    places = [Location(LATTICE, 1700 + col, 13700 + row) for row in range(SIDE) for col in range(SIDE)]
    months = np.datetime64("2020-01-15T19:00", "ms") + np.arange(MONTHS) * np.timedelta64(30 * 24 * 3600 + 36_000, "s")
    count = SIDE * SIDE * MONTHS
    rows = Observations(
        np.repeat(np.array([place.location_id for place in places], dtype=object), MONTHS),
        np.tile(months, SIDE * SIDE),
        options.get("clear", np.ones(count, np.float32)),
        pa.chunked_array([[["item"]] * count]),
        way.reshape(count, -1).astype(np.float16),
    )
    pairing: Pairing = options.get("pairing", "consecutive")
    events, vectors = new_events(rows, 10, pairing)
    for (row, col, month), label in (labels or {}).items():
        events.loc[(row * SIDE + col) * (MONTHS - 1) + month - 1, "label"] = label
    return toy(events, vectors)


def toy(events: gpd.GeoDataFrame, vectors: NDArray[np.float32]) -> Store:
    """What `find_highlights` asks of a store."""
    block = SimpleNamespace(events=SimpleNamespace(rows=len(events)))
    centres = shapely.get_coordinates(shapely.centroid(events.geometry.to_numpy()))
    west, south, east, north = events.total_bounds if len(events) else (0, 0, 1, 1)
    store = SimpleNamespace(
        events=events,
        centres=centres,
        area=shapely.box(west, south, east, north),
        manifest=SimpleNamespace(gsd=10),
        shard_rows=[(block, 0)],
        shard=lambda _: SimpleNamespace(vectors=lambda start, stop: vectors[start:stop]),
    )
    return cast(Store, store)


def where(rows: gpd.GeoDataFrame) -> list[tuple[int, int]]:
    """(Row, column) of each highlight."""
    places = [Location.from_id(name, 10) for name in rows["location_id"]]
    return [(place.row - 13700, place.col - 1700) for place in places]


def test_what_lasts_comes_before_stronger_clouds() -> None:
    way = new_way()
    way[5, 8, 14:, 2] += 3  # a clear-cut
    way[8, 4, 20, 3] += 9  # what was left of a cloud
    store = new_store(way)
    strongest = store.events.sort_values("magnitude", ascending=False)
    assert where(strongest.head(2)) == [(8, 4), (8, 4)]
    assert strongest["change_ratio"].iloc[0] > strongest["change_ratio"].iloc[2]
    assert where(find_highlights(store, 1)) == [(5, 8)]


def test_what_happens_everywhere_does_not_stand_out() -> None:
    way = new_way()
    way[..., 34:, 3] += np.linspace(8, 9, SIDE)[:, None, None]  # a new baseline of the processing
    way[5, 8, 14:, 2] += 3
    store = new_store(way)
    assert store.events["change_ratio"].idxmax() != find_highlights(store, 1).index[0]
    assert where(find_highlights(store, 1)) == [(5, 8)]


def test_a_harvest_that_comes_each_year_is_no_highlight() -> None:
    way = new_way()
    way[5, 8, 14:, 2] += 3
    way[8, 4:8, :, 3] += np.where(np.arange(MONTHS) % 12 < 6, 0.0, 4.0)
    store = new_store(way)
    assert where(store.events.sort_values("magnitude", ascending=False).head(1))[0][0] == 8
    assert where(find_highlights(store, 1)) == [(5, 8)]


def test_one_happening_is_shown_once() -> None:
    way = new_way()
    way[2:6, 2:7, 14:, 2] += 6  # a large fire
    way[8, 9, 22:, 2] += 4
    way[8, 3, 27:, 3] -= 4
    found = where(find_highlights(new_store(way), 3))
    assert sorted(place for place in found if place[0] > 6) == [(8, 3), (8, 9)]
    assert len(found) == 3


def test_where_there_are_labels_each_has_its_best_before_any_has_its_second() -> None:
    way = new_way()
    labels = {}
    fires, others = [(3, 3, 14, 5.0), (3, 8, 20, 4.5)], [(8, 3, 16, 2.0), (6, 6, 25, 1.5)]
    for (row, col, month, step), kind in zip([*fires, *others], ["fire", "fire", "clear_cut", "road"], strict=True):
        way[row, col, month:, 2] += step
        labels[row, col, month] = kind
    way[8, 8, 18:, 3] += 9  # without a label: of unknown kind
    rows = find_highlights(new_store(way, labels), 6)
    assert sorted(where(rows.head(3))) == [(3, 3), (6, 6), (8, 3)]
    assert where(rows)[0] == (3, 3)
    assert where(rows)[3:] == [(3, 8)]


def test_a_happening_is_shown_by_the_chip_in_its_middle() -> None:
    way = new_way()
    way[4:7, 7:10, 14:, 2] += 4
    labels = {(row, col, 14): "wildfire" for row in range(4, 7) for col in range(7, 10)}
    labels[9, 4, 20] = "wildfire"
    store = new_store(way, labels)
    rows = np.flatnonzero(store.events["label"].notna())
    share = dict(zip(where(store.events.iloc[rows]), middle_share(store.events, rows, 10), strict=True))
    assert share[5, 8] == 1
    assert share[4, 8] == pytest.approx(6 / 9)
    assert share[4, 7] == pytest.approx(4 / 9)
    assert share[9, 4] == pytest.approx(1 / 9)
    assert where(find_highlights(store, 1)) == [(5, 8)]


def test_a_start_shows_much_of_what_its_label_names() -> None:
    way = new_way()
    way[4, 4, 14:, 2] += 5  # the largest change, of which the label has little
    way[8, 8, 20:, 2] += 3
    labels = {(4, 4, 14): "road", (8, 8, 20): "road"}
    store = new_store(way, labels)
    assert where(find_highlights(store, 1)) == [(4, 4)]
    rows = np.flatnonzero(store.events["label"].notna())
    store.events["label_share"] = np.float32(np.nan)
    store.events.loc[rows, "label_share"] = np.array([0.06, 0.3], np.float32)
    assert shown_share(store.events)[rows].tolist() == pytest.approx([0.2, 1.0])
    assert shown_share(store.events)[0] == 1.0
    assert where(find_highlights(store, 1)) == [(8, 8)]


def test_cloudy_dates_and_the_areas_edge_come_later() -> None:
    way = new_way()
    way[5, 5, 14:, 2] += 4
    way[8, 8, 20:, 2] += 3.6
    clear = np.ones((SIDE, SIDE, MONTHS), np.float32)
    assert where(find_highlights(new_store(way), 1)) == [(5, 5)]
    clear[5, 5, 13] = 0.8
    assert where(find_highlights(new_store(way, clear=clear.ravel()), 1)) == [(8, 8)]
    way[0, 5, 14:, 2] += 4.5
    assert where(find_highlights(new_store(way), 1)) == [(5, 5)]


def test_a_change_lasts_or_passes() -> None:
    way = new_way() * 0.1
    way[2, 2, 14:, 2] += 3
    way[3, 3, 20, 3] += 3
    way[4, 4, :, 2] += np.where(np.arange(MONTHS) % 12 < 6, 0.0, 3.0)
    way[5, 5, 4:, 2] += 3
    store = new_store(way)
    row = {(r, c): (r * SIDE + c) * (MONTHS - 1) for r, c in ((2, 2), (3, 3), (4, 4), (5, 5))}
    step, cloud, cleared, harvest, early = lasting_share(
        store, np.array([row[2, 2] + 13, row[3, 3] + 19, row[3, 3] + 20, row[4, 4] + 17, row[5, 5] + 3])
    )
    assert step > 0.9
    assert max(cloud, cleared, harvest) < 0.1
    assert early == 0.5  # there is no year before it


def test_yearly_pairs_have_highlights_too() -> None:
    way = new_way()
    way[5, 8, 14:, 2] += 4
    assert where(find_highlights(new_store(way, pairing="yearly"), 1)) == [(5, 8)]


def test_an_unknown_ratio_leaves_the_magnitude() -> None:
    store = new_store(new_way())
    plain = standing_out(store.events)
    assert np.median(plain) == pytest.approx(1, abs=0.2)
    store.events["change_ratio"] = np.float32(np.nan)
    alone = standing_out(store.events)
    size = store.events["magnitude"].to_numpy()
    same = (store.events["time_after"] == store.events["time_after"].iloc[0]).to_numpy()
    assert (np.argsort(alone[same]) == np.argsort(size[same])).all()
    assert len(find_highlights(store, 3)) == 3


def test_the_rows_are_the_stores_and_end_where_it_does() -> None:
    store = new_store(new_way())
    rows = find_highlights(store, 4)
    assert rows["event_id"].tolist() == store.events.loc[rows.index, "event_id"].tolist()
    assert len(set(rows["location_id"])) == 4
    assert find_highlights(store, 0).empty
    one = toy(store.events.head(1), np.ones((1, 4), np.float32))
    assert find_highlights(one, 5)["event_id"].tolist() == store.events["event_id"].head(1).tolist()
    still = store.events.head(3).assign(magnitude=0.0, change_ratio=0.0)
    assert len(find_highlights(toy(still, np.zeros((3, 4), np.float32)), 5)) == 1  # one place
    assert find_highlights(toy(store.events.head(0), np.zeros((0, 4), np.float32)), 5).empty


def test_the_small_store_begins_with_each_of_its_kinds(demo_store: Path) -> None:
    store = open_store(demo_store)
    kinds = set(store.events["label"].dropna())
    rows = find_highlights(store, len(kinds))
    assert set(rows["label"]) == kinds
    labelled = store.events["label"].notna().to_numpy()
    assert rows["clear_fraction"].mean() > store.events["clear_fraction"][labelled].quantile(0.1)
    assert standing_out(store.events)[rows.index].mean() > 1.5 * standing_out(store.events)[labelled].mean()


def test_the_page_begins_with_a_place_whose_answer_is_of_its_kind(demo_store: Path) -> None:
    store = open_store(demo_store)
    starts, usual = list_starts(store, 9), find_highlights(store, 9)
    assert sorted(starts["event_id"]) == sorted(usual["event_id"])
    first = starts["event_id"].iloc[0]
    assert starts["event_id"].tolist()[1:] == [name for name in usual["event_id"] if name != first]
    shares = []
    for name, label in zip(starts["event_id"], starts["label"], strict=True):
        hits = find_similar(store, query_event(store, name), k=40).drop_duplicates("location_id").head(10)
        shares.append((hits["label"] == label).mean())
    assert shares[0] == max(shares) > 0.15


def test_every_start_is_among_those_that_show_most_of_its_label(demo_store: Path) -> None:
    events = open_store(demo_store).events
    for _, row in list_starts(open_store(demo_store), 9).drop_duplicates("label").iterrows():
        of_kind = events.loc[events["label"] == row["label"], "label_share"]
        assert (of_kind > row["label_share"]).mean() < 0.5, row["label"]
