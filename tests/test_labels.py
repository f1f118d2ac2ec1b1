from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import geopandas as gpd
import pytest
import shapely

from index.labels import norm_labels, open_labels
from stac.errors import AreaError

SQUARE = shapely.box(10, 45, 10.01, 45.01)


def write(path: Path, geometry: object = SQUARE, **properties: Any) -> Path:
    """A GeoJSON file of one feature."""
    shape = json.loads(shapely.to_geojson(geometry)) if geometry is not None else None
    told = {"class": "fire", "start": "2021-07-01", "end": None, **properties}
    told = {name: value for name, value in told.items() if value != "none"}
    feature = {"type": "Feature", "properties": told, "geometry": shape}
    path.write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))
    return path


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "no class": ({"class": "none"}, "no column class"),
    "no start": ({"start": "none"}, "no column start"),
    "class is a record": ({"class": {"a": 1}}, "class {'a': 1} of feature 1"),
    "class is a list": ({"class": ["a", "b"]}, "class"),
    "class is empty": ({"class": None}, "a class for each polygon"),
    "start is no date": ({"start": "last summer"}, "start last summer of feature 1"),
    "start may be day or month": ({"start": "01/02/2021"}, "dates such as 2021-07-31"),
    "start is a number": ({"start": 2021}, "start 2021 of feature 1"),
    "start is empty": ({"start": None}, "a date for each polygon"),
    "end is no date": ({"end": "never"}, "end never of feature 1"),
    "end is no day": ({"end": "2021-02-30"}, "day is out of range for month"),
    "end before start": ({"end": "2021-06-30"}, "not before its start"),
    "a point": ({"geometry": shapely.Point(10, 45)}, "shape Point of feature 1"),
    "no shape": ({"geometry": None}, "shape None of feature 1"),
    "metres": ({"geometry": shapely.box(500_000, 5_000_000, 500_100, 5_000_100)}, "on the globe"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_wrong_with_a_label_is_told_in_one_sentence(case: str, tmp_path: Path) -> None:
    changes, told = BAD[case]
    with pytest.raises(AreaError) as caught:
        open_labels(write(tmp_path / "labels.geojson", **changes))
    assert told in str(caught.value)
    assert str(tmp_path / "labels.geojson") in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", b'{"type": "FeatureCollection", "features": []}'])
def test_a_file_without_labels_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "labels.geojson").write_bytes(content)
    with pytest.raises(AreaError, match=r"labels .*labels\.geojson.*polygons"):
        open_labels(tmp_path / "labels.geojson")


def test_a_system_of_coordinates_must_be_stated() -> None:
    table = gpd.GeoDataFrame({"class": ["fire"], "start": ["2021-07-01"]}, geometry=[SQUARE])
    with pytest.raises(AreaError, match="coordinate system is not stated"):
        norm_labels(table)


def test_labels_are_the_same_in_any_format_and_projection(tmp_path: Path) -> None:
    geojson = open_labels(write(tmp_path / "a.geojson", **{"class": 7, "end": "2021-07-03"}))
    gpd.read_file(tmp_path / "a.geojson").to_parquet(tmp_path / "a.parquet")
    assert open_labels(tmp_path / "a.parquet").sha256 == geojson.sha256
    assert geojson.table["class"].tolist() == ["7"]
    assert [geojson.table[name][0].isoformat() for name in ("start", "end")] == [
        "2021-07-01T00:00:00+00:00",
        "2021-07-03T00:00:00+00:00",
    ]
    projected = norm_labels(gpd.read_file(tmp_path / "a.geojson").to_crs(32632))
    assert projected.geometry[0].normalize().equals_exact(SQUARE.normalize(), 1e-6)
    assert open_labels(write(tmp_path / "b.geojson", **{"class": 8, "end": "2021-07-03"})).sha256 != geojson.sha256


def test_an_outline_that_crosses_itself_is_mended(tmp_path: Path) -> None:
    bow = shapely.Polygon([(10, 45), (10.01, 45.01), (10.01, 45), (10, 45.01)])
    (shape,) = open_labels(write(tmp_path / "labels.geojson", bow)).table.geometry
    assert shape.is_valid
    assert shape.area == pytest.approx(0.01**2 / 2)
