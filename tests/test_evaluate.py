from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from index import ranking
from index.evaluate import Evaluation, Settings, evaluate_store, main
from index.figures import new_figures
from index.metrics import Interval
from index.ranking import Gallery, rank
from index.store import Store
from index.truth import Queries, list_places
from stac.errors import AreaError
from tests.retrieval import EAST, WEST, Row, polygon, write_labels, write_store

YEARS = [("2020-07-01", "2021-07-01"), ("2021-07-01", "2022-07-01"), ("2022-07-01", "2023-07-01")]
FIRE, ROAD = ("2021-09-01", "2021-09-03"), ("2020-08-01", "2020-12-31")
FIRES, ROADS = (2, 8, 14), (5, 11)
COLS = range(20)


def rows() -> list[Row]:
    """Two areas of twenty chips, three yearly pairs each."""
    return [(lattice, col, *year) for lattice in (WEST, EAST) for col in COLS for year in YEARS]


def is_fire(row: Row) -> bool:
    return row[1] in FIRES and row[2:] == YEARS[1]


def is_road(row: Row) -> bool:
    return row[1] in ROADS and row[2:] == YEARS[0]


def vectors(kind: str = "chance", noise: float = 0.3) -> np.ndarray:
    """Change vectors of the rows: `chance`, or fires and roads that look like themselves."""
    found = np.random.default_rng(1).normal(size=(len(rows()), 8))
    if kind == "good":
        for axis, shows in ((0, is_fire), (1, is_road)):
            here = np.array([shows(row) for row in rows()])
            found[here] = noise * found[here] + 5 * np.eye(8)[axis]
    return found


def labels(folder: Path, lattices: Sequence = (WEST, EAST)) -> Path:
    features = [(polygon(lat, col, 0.5), "fire", *FIRE) for lat in lattices for col in FIRES]
    features += [(polygon(lat, col, 0.2), "road", *ROAD) for lat in lattices for col in ROADS]
    return write_labels(folder / "labels.geojson", *features)


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return write_store(tmp_path_factory.mktemp("retrieval") / "good", rows(), vectors("good"))


@pytest.fixture(scope="module")
def poor(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return write_store(tmp_path_factory.mktemp("retrieval") / "poor", rows(), vectors("chance"))


def value(found: Evaluation, metric: str, k: int, unit: str = "place", name: str | None = None) -> Interval:
    (figure,) = [f for f in found.figures if (f.metric, f.k, f.unit, f.name) == (metric, k, unit, name)]
    return figure.score


def test_changes_that_look_like_themselves_are_all_found(good: Store, tmp_path: Path) -> None:
    found = evaluate_store(good, labels(tmp_path), Settings(k=(2, 3)))
    assert found.context["protocol"] == "areas"
    assert (found.answers["event_id"].nunique(), found.unshown, found.alone) == (10, 0, 0)
    for unit in ("place", "row"):
        assert value(found, "AP", 3, unit).value == 1
        assert value(found, "P", 3, unit, "fire").value == 1  # the three fires of the other area
        assert value(found, "P", 3, unit, "road").value == pytest.approx(2 / 3)  # there are but two roads
    by_k = evaluate_store(good, labels(tmp_path), Settings(k=(3,), divide_by="k"))
    assert value(by_k, "AP", 3, name="road").value == pytest.approx(2 / 3)


def test_the_mean_over_classes_counts_each_class_once() -> None:
    rows = [{"class": "fire", "ap": 0.9, "precision": 0.8}] * 9 + [{"class": "road", "ap": 0.1, "precision": 0.2}]
    beside = {"unit": "place", "k": 10, "positives": 4.0, "chance_ap": 0.01, "chance_precision": 0.02}
    answers = pd.DataFrame([{**beside, **row} for row in rows] + [{**beside, **row, "unit": "row"} for row in rows])
    found = {(f.unit, f.metric, f.name): f for f in new_figures(answers, 0)}
    assert found["place", "AP", None].score.value == pytest.approx(0.5)  # over queries it would be 0.82
    assert found["place", "P", None].score.value == pytest.approx(0.5)
    assert found["place", "AP", "fire"].score.value == pytest.approx(0.9)
    assert found["place", "AP", None].queries == 10


def test_vectors_of_chance_score_like_chance(poor: Store, tmp_path: Path) -> None:
    found = evaluate_store(poor, labels(tmp_path), Settings(k=(10,)))
    for unit in ("place", "row"):
        (figure,) = [f for f in found.figures if (f.metric, f.unit, f.name) == ("P", unit, None)]
        assert figure.chance == pytest.approx((3 + 2) / 2 / 60)  # one of three rows of three, or two, of twenty chips
        assert figure.score.low <= figure.chance + 0.05
        assert figure.score.value < 0.2


def _brute(store: Store, query: int, keep: np.ndarray, positive: set[int], k: int, once: bool) -> list[int]:
    """The first k rows by plain sorting."""
    unit = ranking.read_vectors(store, np.arange(len(store.events)))
    place = store.events["location_id"].to_numpy()
    out: list[int] = []
    for row in np.lexsort((np.arange(len(unit)), -(unit @ unit[query]))):
        if keep[row] and not (once and place[row] in place[out]):
            out.append(int(row))
    return out[:k]


@pytest.mark.parametrize("numbers", [8, 64, 1 << 20])
def test_lists_are_those_of_plain_sorting(poor: Store, numbers: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranking, "PIECE_NUMBERS", numbers)
    rng = np.random.default_rng(2)
    count, k = len(poor.events), 7
    places = list_places(poor)
    asked = np.array([4, 50, 70, 100])
    left_out = tuple(np.unique(np.r_[row, rng.integers(0, count, 40)]) for row in asked)
    area = np.repeat([0, 1, -1, 2], count // 4)
    positive = {c: np.unique(rng.integers(0, count, 30)) for c in (0, 1)}
    unclear = {c: np.setdiff1d(rng.integers(0, count, 9), positive[c]) for c in (0, 1)}
    classes = np.array([0, 1, 0, 1])
    queries = Queries(np.arange(4), asked, classes, np.array([0, 1, 2, 2]), left_out, own_area_out=True)
    found = rank(poor, places, queries, Gallery(area, positive, unclear), k)
    for number, row in enumerate(asked):
        own = classes[number]
        keep = (area >= 0) & (area != queries.area[number])
        keep[left_out[number]] = keep[unclear[own]] = False
        true = set(positive[own].tolist())
        candidates = np.flatnonzero(keep)
        assert found["row"].rows[number].tolist() == _brute(poor, row, keep, true, k, once=False)
        assert found["place"].rows[number].tolist() == _brute(poor, row, keep, true, k, once=True)
        for ranked in found.values():
            assert ranked.relevant[number].tolist() == [hit in true for hit in ranked.rows[number].tolist()]
        assert found["row"].size[number] == len(candidates)
        assert found["row"].positives[number] == len(true & set(candidates.tolist()))
        of_place = places.of_row[candidates]
        shares = [np.isin(candidates[of_place == p], positive[own]).mean() for p in np.unique(of_place)]
        assert found["place"].size[number] == len(shares)
        assert found["place"].positives[number] == np.count_nonzero(shares)
        assert found["place"].chances[number] == pytest.approx(sum(shares))
        assert found["place"].squares[number] == pytest.approx(sum(share**2 for share in shares))


def test_a_query_finds_nothing_of_its_own_area(good: Store, tmp_path: Path) -> None:
    found = evaluate_store(good, labels(tmp_path), Settings(k=(3,))).answers
    assert (found["size"] == np.where(found["unit"] == "row", 60, 20)).all()
    assert (found["positives"] == np.where(found["class"] == "fire", 3, 2)).all()
    own = evaluate_store(good, labels(tmp_path), Settings(k=(3,), protocol="events")).answers
    row = own[own["unit"] == "row"]
    assert (row["size"] == 119).all()  # its own row alone is left out
    assert (row["positives"] == np.where(row["class"] == "fire", 5, 3)).all()


def test_a_store_of_one_area_leaves_out_the_own_place(tmp_path: Path) -> None:
    own = [number for number, row in enumerate(rows()) if row[0] == WEST]
    store = write_store(tmp_path / "one", [rows()[n] for n in own], vectors("good")[own])
    found = evaluate_store(store, labels(tmp_path, [WEST]), Settings(k=(2,)))
    assert found.context["protocol"] == "places"
    row = found.answers[found.answers["unit"] == "row"]
    assert (row["size"] == 60 - 9).all()  # three chips of three years
    with pytest.raises(AreaError, match="lie in one area"):
        evaluate_store(store, labels(tmp_path, [WEST]), Settings(protocol="areas"))


def test_an_event_alone_in_its_class_is_counted_and_does_not_ask(good: Store, tmp_path: Path) -> None:
    days = ("2022-08-01", "2022-08-02")
    more = [(polygon(WEST, 17), "flood", *days), (polygon(EAST, 17), "mine", "2030-01-01", "2030-01-02")]
    fires = [(polygon(lattice, col, 0.5), "fire", *FIRE) for lattice in (WEST, EAST) for col in FIRES]
    found = evaluate_store(good, write_labels(tmp_path / "labels.geojson", *fires, *more), Settings(k=(3,)))
    assert (found.alone, found.unshown) == (1, 1)
    assert set(found.answers["class"]) == {"fire"}
    with pytest.raises(AreaError, match="none of the 1 labelled events has another of its class"):
        evaluate_store(good, write_labels(tmp_path / "one.geojson", more[0]), Settings(k=(3,), protocol="places"))


def test_rows_that_are_unclear_count_neither_way(good: Store, tmp_path: Path) -> None:
    fires = [(polygon(lattice, col, 0.5), "fire", *FIRE) for lattice in (WEST, EAST) for col in FIRES[1:]]
    edges = [(polygon(lattice, FIRES[0], 0.01), "fire", *FIRE) for lattice in (WEST, EAST)]
    found = evaluate_store(good, write_labels(tmp_path / "labels.geojson", *fires, *edges), Settings(k=(2,)))
    assert value(found, "AP", 2).value == 1  # chips that look burnt, and of which a hundredth is labelled
    without = evaluate_store(good, write_labels(tmp_path / "labels.geojson", *fires), Settings(k=(2,)))
    assert value(without, "AP", 2).value < 1


def test_areas_of_a_file_and_their_splits(good: Store, tmp_path: Path) -> None:
    parts = [(WEST, 0), (WEST, 10), (EAST, 0), (EAST, 10)]
    shapes = [(polygon(lattice, col, count=10), "x", "2021-01-01", "2021-01-01") for lattice, col in parts]
    areas = write_labels(
        tmp_path / "areas.geojson", *shapes, name=["a", "b", "c", "d"], split=["test", "train", "test", "train"]
    )
    found = evaluate_store(good, labels(tmp_path), Settings(k=(2,), areas=areas))
    assert set(found.answers["area"]) == {"a", "b", "c", "d"}
    assert set(found.answers.loc[found.answers["unit"] == "place", "size"]) == {30}
    test = evaluate_store(good, labels(tmp_path), Settings(k=(2,), areas=areas, split="test"))
    assert set(test.answers["area"]) == {"a", "c"}
    assert set(test.answers.loc[test.answers["unit"] == "place", "size"]) == {10}
    with pytest.raises(AreaError, match="--split val: the areas state test train"):
        evaluate_store(good, labels(tmp_path), Settings(areas=areas, split="val"))


def test_the_command_prints_a_table_and_writes_json_lines(
    good: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "figures.jsonl"
    words = [str(good.path), "--labels", str(labels(tmp_path)), "--k", "3", "2", "3", "--seed", "5", "--json", str(out)]
    assert main(words) == 0
    told = capsys.readouterr().out
    assert "SIMULATED" in told
    assert "mean over classes" in told
    records = [json.loads(line) for line in out.read_text().splitlines()]
    assert len(records) == 2 * 2 * 2 * 3  # units, metrics, K, two classes and their mean
    assert {(r["encoder"], r["task"], r["protocol"], r["split"], r["seed"]) for r in records} == {
        ("made up", "retrieval", "areas", None, 5)
    }
    mean = next(r for r in records if (r["metric"], r["class"], r["unit"]) == ("AP@3", None, "place"))
    assert mean["value"] == 1
    assert mean["interval"] == [1, 1]
    assert 0 < mean["chance"] < 0.1
    assert mean["queries"] == 10
    assert {"weights_sha256", "commit", "labels_sha256"} <= mean.keys()
    assert main(words) == 0
    assert [json.loads(line) for line in out.read_text().splitlines()] == records


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--k", "0"], "--k 0"),
        (["--k", "ten"], "--k ten"),
        (["--apart", "0"], "--apart 0"),
        (["--labels", "nowhere.geojson"], "labels nowhere.geojson cannot be read"),
        (["--areas", "nowhere.geojson"], "areas nowhere.geojson cannot be read"),
        (["--json", "/nowhere/there/x.json"], "--json"),
        (["--split", "test"], "the areas state no split"),
        (["--protocol", "none"], "--protocol"),
    ],
)
def test_bad_input_gets_one_sentence(
    words: list[str], told: str, good: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "file"
    path.write_text("")
    words = [word.replace("/nowhere", str(path)) for word in words]
    try:
        code = main([str(good.path), "--labels", str(labels(tmp_path)), *words])
    except SystemExit as stop:
        code = int(stop.code or 0)
    assert code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert told in line


def test_a_store_that_is_none_gets_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path / "none"), "--labels", str(labels(tmp_path))]) == 2
    assert "there is no store" in capsys.readouterr().err
