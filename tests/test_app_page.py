"""The page on a small store, without a browser."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import shapely
from streamlit.testing.v1 import AppTest

from app.mappanel import map_height
from app.picking import TABS
from app.session import MAX_HIGHLIGHTS
from index.highlights import list_starts
from index.store import open_store


@pytest.fixture
def data(demo_store: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that holds the small store under `stores/demo`."""
    folder = demo_store.parent.parent
    monkeypatch.setenv("AFTERIMAGE_DATA", str(folder))
    monkeypatch.delenv("AFTERIMAGE_STORE", raising=False)
    return folder


def run(root: Path, **params: str) -> AppTest:
    page = AppTest.from_file(str(root / "streamlit_app.py"), default_timeout=120)
    for name, value in params.items():
        page.query_params[name] = value
    page.run()
    assert not page.exception
    return page


def html_of(page: AppTest) -> str:
    return "\n".join(str(element.proto.body) for element in page.get("html"))


def param(page: AppTest, name: str) -> str | None:
    value = page.query_params.get(name)
    return value[0] if isinstance(value, list) else value


def test_the_page_opens_on_a_change_and_its_hits(data: Path, root: Path) -> None:
    page = run(root)
    text = html_of(page)
    assert "SIMULATED imagery" in text
    assert "Similar change 1" in text
    assert text.count('class="ai-card') == 12
    assert text.count("data:image/png") >= 12 * 2 + 8
    assert not page.error
    starts = list_starts(open_store(data / "stores" / "demo"), MAX_HIGHLIGHTS)
    assert param(page, "event") == starts["event_id"].iloc[0]
    assert text.count('class="ai-tile') == len(starts)
    assert text.count('class="ai-tile ai-on"') == 1


def test_a_place_to_start_from_can_be_opened(data: Path, root: Path) -> None:
    starts = list_starts(open_store(data / "stores" / "demo"), MAX_HIGHLIGHTS)
    page = run(root)
    assert page.button(key="cardbutton_start_1").label.startswith("Start from: ")
    page.button(key="cardbutton_start_1").click().run()
    assert param(page, "event") == starts["event_id"].iloc[1]
    text = html_of(page)
    assert f"Picked: {starts['label'].iloc[1].replace('_', ' ')}" in text
    assert "Similar change 1" in text
    assert text.index('class="ai-tile ai-on"') > text.index('class="ai-tile"')  # the second is marked


def test_another_hit_can_be_shown_and_searched_from(data: Path, root: Path) -> None:
    page = run(root)
    picked = param(page, "event")
    page.button(key="cardbutton_hits_3").click().run()
    third = param(page, "hit")
    assert "Similar change 4" in html_of(page)
    page.button(key="hit_previous").click().run()
    assert "Similar change 3" in html_of(page)
    page.button(key="hit_next").click().run()
    assert param(page, "hit") == third
    page.button(key="search_from").click().run()
    assert param(page, "event") == third != picked
    assert not page.exception


def test_a_link_restores_its_view(data: Path, root: Path) -> None:
    first = run(root)
    first.button(key="cardbutton_hits_2").click().run()
    first.select_slider(key="k").set_value(80).run()
    west, south, east, north = open_store(data / "stores" / "demo").area.bounds
    everywhere = f"{west - 0.1:.2f},{south - 0.1:.2f},{east + 0.1:.2f},{north + 0.1:.2f}"  # the third hit stays it
    first.text_input(key="place").set_value(everywhere).run()
    params = {name: param(first, name) or "" for name in first.query_params}
    again = run(root, **params)
    assert {name: param(again, name) for name in again.query_params} == params
    assert "Similar change 3" in html_of(again)
    assert again.select_slider(key="k").value == 80


def test_the_strongest_changes_can_be_picked(data: Path, root: Path) -> None:
    page = run(root)
    page.session_state["tab"] = "Strongest changes"
    page.run()
    page.selectbox(key="kind").select("wildfire").run()
    page.button(key="cardbutton_strongest_0").click().run()
    assert "Picked: wildfire" in html_of(page)
    assert page.session_state["tab"] == "Similar changes"


def test_coordinates_and_dates_pick_a_place(data: Path, root: Path) -> None:
    """The example in the form is a change of this very store, and leads to it."""
    store = open_store(data / "stores" / "demo")
    event = list_starts(store, MAX_HIGHLIGHTS).iloc[0]
    page = run(root)
    page.session_state["tab"] = TABS[1]
    at = page.text_input(key="form_at")
    at.set_value(at.placeholder)
    assert page.date_input(key="form_before").value == event["time_before"].date()
    assert page.date_input(key="form_after").value == event["time_after"].date()
    next(button for button in page.button if button.label == "Find changes like this").click().run()
    assert not page.error
    assert param(page, "event") is None
    centre = event.geometry.centroid
    assert param(page, "at") == f"{centre.x:.4f}00,{centre.y:.4f}00"
    assert f"Picked: {event['label'].replace('_', ' ')}" in html_of(page)
    assert page.session_state["tab"] == TABS[0]


@pytest.mark.parametrize(
    ("text", "sentence"), [("here", "longitude, latitude in degrees"), ("10, 10", "lies outside the store")]
)
def test_coordinates_that_lead_nowhere_are_said(text: str, sentence: str, data: Path, root: Path) -> None:
    page = run(root)
    picked = param(page, "event")
    page.text_input(key="form_at").set_value(text)
    next(button for button in page.button if button.label == "Find changes like this").click().run()
    assert not page.exception
    assert any(sentence in error.value for error in page.error)
    assert param(page, "event") == picked  # what was picked stays
    assert "Similar change 1" in html_of(page)


def test_filters_that_nothing_passes_leave_a_sentence(data: Path, root: Path) -> None:
    page = run(root, place="10,10,11,11")
    for tab in TABS:
        page.session_state["tab"] = tab
        page.run()
        assert not page.exception
        assert any("Widen the place or the period" in info.value for info in page.info)
    page = run(root, period="2022-01-01/2023-12-31")  # a year's pair must lie inside
    assert not page.info
    assert "Similar change 1" in html_of(page)


def test_a_place_that_is_none_is_said(data: Path, root: Path) -> None:
    page = run(root, place="Nowhereville")
    assert any("place 'Nowhereville' is unknown" in error.value for error in page.error)
    text = html_of(page)
    assert "Picked: " in text
    assert "Similar change" not in text  # no hits that the filter was never asked about
    assert 'class="ai-card' not in text
    page.text_input(key="place").set_value("").run()
    assert not page.error
    assert "Similar change 1" in html_of(page)


def test_a_link_cannot_put_an_image_into_a_message(data: Path, root: Path) -> None:
    page = run(root, place="![x](http)", event="a", k="![y](http)")
    messages = [element.value for element in [*page.error, *page.warning]]
    assert len(messages) == 3
    assert not any("![" in message for message in messages)


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("store", "../demo", "name of its folder"),
        ("store", "absent", "the stores are demo"),
        ("k", "1000000", "number of hits"),
        ("hit", "no_such_hit", "the best one is shown"),
        ("dates", "2021-01-01/2021-02-01", "needs both"),
    ],
)
def test_a_wrong_link_gives_a_sentence_and_the_page_opens(
    name: str, value: str, sentence: str, data: Path, root: Path
) -> None:
    page = run(root, **{name: value})
    assert any(sentence in warning.value for warning in page.warning)
    assert "Similar change 1" in html_of(page)


def test_an_unknown_event_is_said_and_the_page_recovers(data: Path, root: Path) -> None:
    page = run(root, event="no_such_event")
    assert any("no_such_event" in error.value for error in page.error)
    page.run()
    assert "Similar change 1" in html_of(page)


def test_without_a_store_the_page_says_what_to_do(tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AFTERIMAGE_DATA", str(tmp_path))
    page = run(root)
    assert "make demo" in page.info[0].value
    assert "index.build" in page.info[0].value


def test_a_damaged_store_is_refused_in_words_and_another_can_be_chosen(
    copied_store: Path, data: Path, tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "data"
    shutil.copytree(copied_store, folder / "stores" / "broken")
    shutil.copytree(copied_store, folder / "stores" / "whole")
    manifest = folder / "stores" / "broken" / "manifest.json"
    content = json.loads(manifest.read_text())
    (folder / "stores" / "broken" / content["blocks"][0]["events"]["path"]).write_bytes(b"PAR1")
    monkeypatch.setenv("AFTERIMAGE_DATA", str(folder))
    page = run(root)
    assert any("cannot be opened" in error.value and "manifest" in error.value for error in page.error)
    page.selectbox(key="store").select("whole").run()
    assert not page.exception
    assert "Similar change 1" in html_of(page)
    assert page.select_slider(key="k").value == 40


@pytest.fixture
def two_stores(copied_store: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of two copies of the small store, one named as folders may be."""
    folder = tmp_path / "data" / "stores"
    shutil.copytree(copied_store, folder / "Año [1] (x)")
    shutil.copytree(copied_store, folder / "demo")
    monkeypatch.setenv("AFTERIMAGE_DATA", str(folder.parent))
    return folder


def test_a_store_that_is_removed_under_the_page_is_not_replaced_in_silence(
    two_stores: Path, root: Path, tmp_path: Path
) -> None:
    page = run(root, store="Año [1] (x)")
    assert not page.warning
    assert "Similar change 1" in html_of(page)
    shutil.move(two_stores / "Año [1] (x)", tmp_path / "away")
    page.run()
    assert not page.exception
    (error,) = page.error
    assert error.value.startswith(r"The store Año \[1\] (x) is gone")
    assert "Similar change" not in html_of(page)
    assert param(page, "store") == "Año [1] (x)"
    page.selectbox(key="store").select("demo").run()
    assert not page.error
    assert "Similar change 1" in html_of(page)
    shutil.rmtree(two_stores / "demo")
    page.run()
    assert "The store demo is gone" in page.error[0].value
    assert "make demo" in page.info[0].value


@pytest.mark.parametrize(
    ("name", "value"),
    [("period", "some day"), ("period", None), ("blocks", []), ("area", {"type": "Polygon"}), ("counts", None)],
)
def test_a_manifest_that_means_nothing_is_said_in_one_sentence(
    name: str, value: Any, copied_store: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = copied_store / "manifest.json"
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), name: value}))
    monkeypatch.setenv("AFTERIMAGE_STORE", str(copied_store))
    monkeypatch.setenv("AFTERIMAGE_DATA", str(copied_store.parent / "none"))
    page = run(root)
    (error,) = page.error
    assert error.value.startswith("The store demo cannot be opened")
    assert name in error.value
    assert "build" in error.value


def test_the_download_is_the_hits_as_geojson(data: Path, root: Path) -> None:
    page = run(root, k="20")
    assert [element.proto.label for element in page.get("download_button")] == ["Download GeoJSON"]
    link = next(code.value for code in page.code if "store=demo" in code.value)
    assert "event=" in link
    assert "k=20" in link


def test_the_map_fits_its_area() -> None:
    assert map_height(shapely.box(0, 0, 4, 1)) == 370
    assert map_height(shapely.box(0, 0, 1, 4)) == 520
    assert 370 < map_height(shapely.box(0, 0, 4, 2.6)) < 520
