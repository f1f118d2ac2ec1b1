"""The map: no address outside the machine, squares or dots."""

from __future__ import annotations

import re

import geopandas as gpd
import pandas as pd
import pytest
import shapely

from app.mapview import PICKED_COLOUR, BaseMap, chip_layer, new_base_map

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


def test_nothing_to_draw_is_an_empty_layer() -> None:
    group = chip_layer(AREA, events=new_rows(0.01).head(0), hits=None, picked=None, shown=None)
    assert not group._children
