"""The map: no address outside the machine, squares or dots."""

from __future__ import annotations

import re
from types import SimpleNamespace

import geopandas as gpd
import pandas as pd
import pytest
import shapely

from app import mappanel
from app.mappanel import find_clicked, find_ringed
from app.mapview import PICKED_COLOUR, RING_PX, BaseMap, chip_layer, new_base_map, unrolled_bounds
from stac.area import norm_area
from stac.lattice import locate

AREA = shapely.box(-122.7, 39.5, -122.5, 39.6)


def new_base(**changes: object) -> BaseMap:
    values: dict[str, object] = {
        "area": AREA, "picture": None, "picture_bbox": None, "tiles": None, "credit": "", "dark": False
    }  # fmt: skip
    return BaseMap(**{**values, **changes})  # type: ignore[arg-type]


def html_of(base: BaseMap) -> str:
    return str(new_base_map(base).get_root().render())


def new_rows(side: float, **columns: object) -> gpd.GeoDataFrame:
    times = pd.to_datetime(["2021-05-01", "2021-09-01"], utc=True)
    frame = {
        "event_id": ["a", "b"], "time_before": times[0], "time_after": times[1],
        "magnitude": [1.0, 2.0], "change_ratio": [1.0, 2.0], "label": [None, "road"], **columns,
    }  # fmt: skip
    boxes = [shapely.box(-122.6 + i * side, 39.55, -122.6 + (i + 1) * side, 39.55 + side) for i in range(2)]
    return gpd.GeoDataFrame(frame, geometry=boxes, crs=4326)


def features_of(group: object) -> list[dict[str, object]]:
    (layer,) = group._children.values()  # type: ignore[attr-defined]
    return list(layer.data["features"])


@pytest.mark.parametrize("dark", [False, True])
def test_the_map_loads_nothing_from_elsewhere(dark: bool) -> None:
    text = html_of(new_base(dark=dark, picture="data:image/webp;base64,AA==", picture_bbox=AREA.bounds))
    addresses = re.findall(r"""(?:src|href|url\(|fetch\()\s*=?\s*["']([^"']+)""", text)
    assert addresses
    assert all(address.startswith(("/app/static/", "data:")) for address in addresses)
    assert not re.search(r"https?://(?!www\.w3\.org)", text.replace("http://www.w3.org", ""))


def test_tiles_are_drawn_only_where_asked_for() -> None:
    assert "tileLayer" not in html_of(new_base())
    assert "https://tiles.example/{z}/{x}/{y}.png" in html_of(
        new_base(tiles="https://tiles.example/{z}/{x}/{y}.png", credit="Example")
    )


def test_the_credit_of_tiles_is_escaped() -> None:
    text = html_of(new_base(tiles="https://tiles.example/{z}/{x}/{y}.png", credit="<img src=x>"))
    assert "<img src=x>" not in text


def test_static_files_follow_the_base_path() -> None:
    text = html_of(new_base(static="/maps/app/static"))
    assert "/maps/app/static/leaflet/leaflet.js" in text
    assert "/maps/app/static/world.json" in text


def test_chips_are_squares_where_they_can_be_seen_and_dots_where_not() -> None:
    kinds = {}
    for side in (0.02, 0.0005):
        group = chip_layer(AREA, events=new_rows(side), hits=None, picked=None, shown=None)
        kinds[side] = {feature["geometry"]["type"] for feature in features_of(group)}  # type: ignore[index]
    assert kinds == {0.02: {"Polygon"}, 0.0005: {"Point"}}


def test_the_picked_event_lies_above_hits_and_hits_above_events() -> None:
    events, hits = new_rows(0.01), new_rows(0.01, rank=[1, 2], score=[0.9, 0.8])
    group = chip_layer(AREA, events=events, hits=hits, picked=events.head(1), shown="b")
    looks = [feature["properties"]["look"] for feature in features_of(group)]  # type: ignore[index]
    assert looks[-1]["color"] == PICKED_COLOUR
    assert [look["weight"] for look in looks] == [0.7, 0.7, 4, 2, 3]


def test_places_to_start_from_bear_a_ring_above_the_hits() -> None:
    events, hits = new_rows(0.01), new_rows(0.01, rank=[1, 2], score=[0.9, 0.8])
    group = chip_layer(AREA, events=events, hits=hits, picked=events.head(1), shown="b", starts=events)
    features = features_of(group)
    kinds = [feature["geometry"]["type"] for feature in features]  # type: ignore[index]
    assert kinds == ["Polygon"] * 4 + ["Point"] * 4 + ["Polygon"]
    for feature, row in zip(features[4:8], [0, 0, 1, 1], strict=True):
        assert feature["properties"]["look"]["radius"] == RING_PX  # type: ignore[index]
        assert feature["properties"]["look"]["fill"] is False  # type: ignore[index]
        assert "Place to start from" in feature["properties"]["tip"]  # type: ignore[index]
        at = feature["geometry"]["coordinates"]  # type: ignore[index]
        assert find_clicked(*at, events) == find_ringed(*at, events) == events["event_id"][row]
        assert find_ringed(at[0] + 360, at[1], events) == events["event_id"][row]
        assert find_ringed(at[0] + 1e-5, at[1], events) is None  # in the chip, not on its ring


def test_a_ring_opens_its_place_where_a_hit_lies_on_it(monkeypatch: pytest.MonkeyPatch) -> None:
    events, hits = new_rows(0.01), new_rows(0.01, rank=[1, 2], score=[0.9, 0.8])
    hits["event_id"] = ["h1", "h2"]
    opened: list[str] = []
    state: dict[str, object] = {}
    monkeypatch.setattr(mappanel.st, "session_state", state)
    for name in ("pick", "show_hit"):
        monkeypatch.setattr(mappanel, name, lambda event, name=name: opened.append(f"{name} {event}"))
    store = SimpleNamespace(store=SimpleNamespace(area=AREA), highlights=events, strongest=lambda: events)
    centre = shapely.centroid(events.geometry.iloc[1])
    for lon in (centre.x, centre.x + 1e-4):
        state["map"] = {"last_clicked": {"lng": lon, "lat": centre.y}}
        mappanel._map_changed("map", store, SimpleNamespace(hits=hits), events)  # type: ignore[arg-type]
    assert opened == ["pick b", "show_hit h2"]


def test_nothing_to_draw_is_an_empty_layer() -> None:
    group = chip_layer(AREA, events=new_rows(0.01).head(0), hits=None, picked=None, shown=None)
    assert not group._children


def test_an_area_across_the_antimeridian_is_one_piece_of_the_map() -> None:
    area = norm_area((179.6, -17.2, -179.7, -16.6)).geometry
    assert unrolled_bounds(area) == pytest.approx((179.6, -17.2, 180.3, -16.6))
    text = html_of(new_base(area=area))
    assert re.search(r"fitBounds\(\s*\[\[-17.2, 179.6\], \[-16.6, 180.3", text)
    assert "for (const turn of [0, 360])" in text  # land on both sides
    assert "for (const turn of [0])" in html_of(new_base())


@pytest.mark.parametrize("bounds", [(179.6, -17.2, -179.7, -16.6), (-180, -17.2, -179.7, -16.6)])
def test_no_chip_is_drawn_around_the_world(bounds: tuple[float, float, float, float]) -> None:
    area = norm_area(bounds).geometry
    rows = new_rows(0.01, rank=[1, 2], score=[0.9, 0.8])
    rows["geometry"] = [locate(lon, -16.8, 64, 10).outline for lon in (-179.9999, -179.8)]
    assert rows.geometry.iloc[0].bounds[2] > 180  # as the lattice gives a chip across
    group = chip_layer(area, events=rows, hits=rows, picked=rows.tail(1), shown=None)
    west, _, east, _ = unrolled_bounds(area)
    for feature in features_of(group):
        lon = shapely.get_coordinates(shapely.geometry.shape(feature["geometry"]))[:, 0]  # type: ignore[call-overload]
        assert ((west - 0.01 < lon) & (lon < east + 0.01)).all()


@pytest.mark.parametrize("lon", [-179.9999, 180.0001, 540.0001])
def test_a_chip_across_the_antimeridian_can_be_clicked_from_either_side(lon: float) -> None:
    rows = new_rows(0.01)
    rows["geometry"] = [locate(x, -16.8, 64, 10).outline for x in (-179.8, -179.9999)]
    assert find_clicked(lon, -16.8, rows) == "b"
