import copy
import json

import pyarrow.parquet as pq
import pytest
import rustac

from stac.area import norm_area
from stac.errors import CatalogError
from stac.geoparquet import iter_parquet, write_parquet
from stac.period import norm_period
from stac.retry import Retry, RetryIO
from tests.documents import new_item

HTTP = RetryIO(Retry(tries=0, timeout=5))


def changed(name, day=1, properties=None, asset=None, **more):
    item = new_item(name, day=day, **more)
    item["properties"] |= properties or {}
    item["assets"]["red"] |= asset or {}
    return item


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"properties": {"x": "text"}}, {"properties": {"x": 1.5}}),
        ({"properties": {"x": True}}, {"properties": {"x": 1}}),
        ({"properties": {"x": [1]}}, {"properties": {"x": {"a": None}}}),
        ({"properties": {"x": [1, "a"]}}, {"properties": {"x": None}}),
        ({"properties": {"x": {}}}, {"properties": {"x": {}}}),
        ({"properties": {"created": "yesterday", "title": 5}}, {}),
        ({"properties": {"collection": "of butterflies", "assets": 1, "bbox": [1]}}, {}),
        ({"asset": {"nodata": "nan", "proj:shape": [1, 2]}}, {"asset": {"nodata": 0}}),
        ({"properties": {"afterimage:item": "a book", "x": 10**400}}, {"properties": {"x": 1}}),
        ({"geometry": None}, {}),
        ({"extra": 1}, {}),
    ],
)
def test_items_that_fit_no_common_columns_come_back_exactly(tmp_path, one, other):
    path = tmp_path / "odd.parquet"
    updated = {"updated": "2023-07-02T00:00:00.123456Z", "eo:cloud_cover": 12.5, "proj:epsg": 32632}
    items = [changed("a", **one), changed("b", day=2, **other), changed("c", day=3, properties=updated)]
    write_parquet(copy.deepcopy(items), path)
    assert json.dumps(list(iter_parquet(str(path), HTTP)), sort_keys=True) == json.dumps(items, sort_keys=True)
    few = iter_parquet(str(path), HTTP, area=norm_area("10,50,11,51"), period=norm_period("2023-07-02/2023-07-03"))
    assert [item["id"] for item in few] == ["b", "c"]
    plain = rustac.read_sync(str(path))["features"]  # as other tools see it
    assert [item["id"] for item in plain] == ["a", "b", "c"]
    assert plain[2]["properties"]["eo:cloud_cover"] == 12.5
    assert all(item["assets"]["red"]["href"] == "B04.tif" for item in plain)


def test_items_of_one_type_carry_no_text(tmp_path):
    write_parquet([changed("a", properties={"x": 1}), changed("b", properties={"x": 2.5})], tmp_path / "x.parquet")
    assert "afterimage:item" not in pq.ParquetFile(tmp_path / "x.parquet").schema_arrow.names


def test_an_item_without_assets_is_named(tmp_path):
    with pytest.raises(CatalogError, match=r"item 'b' has no assets.*\.json"):
        write_parquet([new_item("a"), new_item("b", assets={})], tmp_path / "x.parquet")


def test_geoparquet_is_read_by_row_groups_and_filtered_early(tmp_path, web):
    items = [new_item(f"i{k}", lon=float(k), day=k + 1, collection="c") for k in range(10)]
    rustac.write_sync(str(tmp_path / "one.parquet"), items)
    file = pq.ParquetFile(tmp_path / "one.parquet")
    meta = {k: v for k, v in file.metadata.metadata.items() if k != b"ARROW:schema"}
    pq.write_table(file.read().replace_schema_metadata(meta), tmp_path / "many.parquet", row_group_size=3)
    for href in (str(tmp_path / "many.parquet"), str(tmp_path / "one.parquet"), f"{web}/many.parquet"):
        documents = list(iter_parquet(href, HTTP))
        assert [item["id"] for item in documents] == [f"i{k}" for k in range(10)]
        assert documents[3]["bbox"] == items[3]["bbox"]
        assert documents[3]["assets"] == items[3]["assets"]
        few = iter_parquet(href, HTTP, area=norm_area("2.5,50,4.5,51"), period=norm_period("2023-07-04/2023-07-31"))
        assert [item["id"] for item in few] == ["i3", "i4"]


def test_what_is_no_geoparquet_is_named(tmp_path, web):
    (tmp_path / "x.parquet").write_bytes(b"PAR1nothing")
    pq.write_table(pq.read_table(_other_table(tmp_path)), tmp_path / "other.parquet")
    hrefs = [
        str(tmp_path / "x.parquet"),
        f"{web}/x.parquet",
        str(tmp_path / "other.parquet"),
        str(tmp_path / "gone.parquet"),
    ]
    for href in hrefs:
        with pytest.raises(CatalogError, match="no stac-geoparquet"):
            list(iter_parquet(href, HTTP))
    with pytest.raises(CatalogError, match="404"):
        list(iter_parquet(f"{web}/gone.parquet", HTTP))


def _other_table(folder):
    import pandas as pd

    pd.DataFrame({"a": [1]}).to_parquet(folder / "table.parquet")
    return folder / "table.parquet"
