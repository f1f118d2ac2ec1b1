import contextlib
import errno
import json
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import requests
import rustac
import shapely

from stac.area import Area, norm_area
from stac.catalog import PRESETS, Preset, Retry, find_items, main, open_items, save_items
from stac.errors import AreaError, CatalogError
from stac.period import norm_period

WORLD, YEAR = norm_area("-180,-90,180,90"), norm_period("2023")
QUICK = Retry(tries=0, timeout=5)


def new_document(name, lon=10.0, day=1, collection="s2", cloud=10.0):
    geometry = shapely.geometry.mapping(shapely.box(lon, 50, lon + 1, 51))
    return {
        "type": "Feature",
        "stac_version": "1.0.0",
        "id": name,
        "collection": collection,
        "geometry": geometry,
        "bbox": [lon, 50, lon + 1, 51],
        "properties": {"datetime": f"2023-07-{day:02d}T10:00:00.125Z", "eo:cloud_cover": cloud, "proj:epsg": 32632},
        "links": [],
        "assets": {"red": {"href": "B04.tif", "proj:shape": [10, 10], "proj:transform": [10, 0, 0, 0, -10, 0]}},
    }


@pytest.fixture
def collection_file(tmp_path):
    """Four items in one file: days 3, 1, 2 and one twice; two collections; three places."""
    items = [
        new_document("c", day=3),
        new_document("a", day=1, lon=20.0),
        new_document("b", day=2, collection="s1", cloud=60.0),
        new_document("c", day=3),
    ]
    path = tmp_path / "items.json"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": items}))
    return path


def ids(items):
    return [item.id for item in items]


def test_items_come_once_in_the_order_of_time_with_absolute_assets(collection_file):
    items = find_items(collection_file, area=WORLD, period=YEAR)
    assert ids(items) == ["a", "b", "c"]
    assert items[0].assets["red"].href == str(collection_file.with_name("B04.tif"))
    assert ids(find_items(str(collection_file), area=WORLD, period=YEAR)) == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("wish", "expected"),
    [
        ({"area": norm_area("19,50,20,51")}, ["a"]),
        ({"period": norm_period("2023-07-02/2023-07-03")}, ["b", "c"]),
        ({"collection": "s1"}, ["b"]),
        ({"max_cloud": 50}, ["a", "c"]),
        ({"area": Area("corner", shapely.Polygon([(11.9, 51), (12, 50), (20, 51)]))}, ["a"]),
    ],
)
def test_items_are_chosen_by_area_period_collection_and_clouds(collection_file, wish, expected):
    assert ids(find_items(collection_file, **{"area": WORLD, "period": YEAR, **wish})) == expected


@pytest.mark.parametrize("form", ["ndjson", "parquet", "folder", "item"])
def test_every_form_of_catalog_gives_the_same_items(tmp_path, form):
    items = [new_document("a"), new_document("b", day=2)]
    one = Path(tmp_path / f"x.{form}")
    if form == "ndjson":
        one.write_text("\n".join(map(json.dumps, items)) + "\n\n")
    elif form == "parquet":
        rustac.write_sync(str(one), items)
    elif form == "folder":
        one.mkdir()
        for item in items:
            (one / f"{item['id']}.json").write_text(json.dumps(item))
        links = [{"rel": "item", "href": f"./{item['id']}.json"} for item in items]
        (one / "catalog.json").write_text(json.dumps({"type": "Catalog", "id": "x", "links": links}))
    else:
        one.write_text(json.dumps(items[0]))
    found = find_items(one, area=WORLD, period=YEAR)
    assert ids(found) == (["a"] if form == "item" else ["a", "b"])
    assert found[0].assets["red"].href == str((one if form == "folder" else tmp_path) / "B04.tif")
    assert found[0].properties["proj:epsg"] == 32632


@pytest.mark.parametrize("name", ["items.parquet", "items.json", "deep/down/items.parquet"])
def test_saved_items_come_back(collection_file, tmp_path, name):
    items = find_items(collection_file, area=WORLD, period=YEAR)
    save_items(items, tmp_path / name)
    again = open_items(tmp_path / name)
    assert ids(again) == ids(items)
    for old, new in zip(items, again, strict=True):
        assert new.datetime == old.datetime
        assert new.geometry == old.geometry
        assert new.bbox == old.bbox
        assert new.collection_id == old.collection_id
        assert new.properties["proj:epsg"] == 32632
        assert new.assets["red"].to_dict() == old.assets["red"].to_dict()
    assert ids(find_items(tmp_path / name, area=WORLD, period=YEAR)) == ids(items)


@pytest.mark.parametrize(
    ("words", "error"),
    [("Unable to copy data: No space left on device (os error 28)", OSError), ("no common type", CatalogError)],
)
def test_a_failed_save_leaves_the_old_file(collection_file, tmp_path, monkeypatch, words, error):
    items = find_items(collection_file, area=WORLD, period=YEAR)
    save_items(items, tmp_path / "x.parquet")
    before = (tmp_path / "x.parquet").read_bytes()

    def fail(*args, **kwargs):
        raise rustac.RustacError(words)  # as rustac 0.9.18 reports a full disk

    monkeypatch.setattr("stac.geoparquet.rustac.write_sync", fail)
    with pytest.raises(error) as caught:
        save_items(items, tmp_path / "x.parquet")
    assert getattr(caught.value, "errno", None) == (errno.ENOSPC if error is OSError else None)
    assert (tmp_path / "x.parquet").read_bytes() == before
    assert [path.name for path in tmp_path.glob(".part*")] == []


def test_items_are_saved_only_under_names_that_can_be_read_again(tmp_path):
    with pytest.raises(CatalogError, match="rename the file"):
        save_items([], tmp_path / "items.csv")
    with pytest.raises(CatalogError, match="find items first"):
        save_items([], tmp_path / "items.json")


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("earth-serach", "did you mean earth-search"),
        ("nowhere.json", "neither known by name nor a file"),
        ("s3://bucket/catalog.json", "lies behind s3://"),
        ("~nobody-of-this-name/x", "neither known by name nor a file"),
        ("x" * 5000, "neither known by name nor a file"),
        ("https://[bad/", "no valid address"),
        ("https://[bad/items.parquet", "no valid address"),
        ("http://127.0.0.1:9/", "connection refused"),
        ("http://127.0.0.1:9/items.parquet", "connection refused"),
    ],
)
def test_catalogs_that_are_not_there_are_named(source, words):
    with pytest.raises(CatalogError, match=words):
        find_items(source, area=WORLD, period=YEAR, retry=QUICK)


def test_nothing_found_says_what_was_asked(collection_file):
    with pytest.raises(AreaError, match=r"in -30,0,-20,10 within 2023-07-01/2023-07-31.*4 looked at.*longitude first"):
        find_items(collection_file, area=norm_area("-30,0,-20,10"), period=norm_period("2023-07"))


def test_a_broken_item_is_named(tmp_path):
    (tmp_path / "x.ndjson").write_text("{broken")
    with pytest.raises(CatalogError, match="one item in JSON a line"):
        find_items(tmp_path / "x.ndjson", area=WORLD, period=YEAR)


def test_a_presets_collection_is_the_default(collection_file, monkeypatch):
    monkeypatch.setitem(PRESETS, "mine", Preset("mine", str(collection_file), "s1", sign=False))
    for source in ("mine", str(collection_file), f"{collection_file}/"):  # by name, and by its address
        assert ids(find_items(source, area=WORLD, period=YEAR)) == ["b"]
    assert ids(find_items("mine", area=WORLD, period=YEAR, collection="s2")) == ["a", "c"]


def test_presets_are_the_three_providers():
    assert list(PRESETS) == ["earth-search", "planetary-computer", "cdse"]
    assert [preset.sign for preset in PRESETS.values()] == [False, True, False]
    assert all(preset.url.startswith("https://") for preset in PRESETS.values())


def test_command_writes_a_file_and_a_summary(collection_file, tmp_path, capsys):
    out = tmp_path / "out.parquet"
    where = ["--area", "-10,40,30,60", "--period", "2023-07"]
    assert main([str(collection_file), *where, "--out", str(out)]) == 0
    assert capsys.readouterr().out == f"3 items from 2023-07-01 to 2023-07-03, written to {out}\n"
    assert main([str(out), *where, "--collection", "s2", "--json"]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert (summary["items"], summary["collections"]) == (2, ["s2"])


@pytest.mark.parametrize(
    "arguments",
    [
        ["no-such-catalog", "--area", "1,1,2,2", "--period", "2023"],
        ["earth-search", "--area", "Atlantiss", "--period", "2023"],
        ["earth-search", "--area", "1,1,2,2", "--period", "2023-12-01/2023-01-01"],
        *(
            ["items.json", "--area", "1,1,2,2", "--period", "2023", *more]
            for more in (
                ["--page-size", "0"],
                ["--page-size", "-1"],
                ["--page-size", "999999"],
                ["--max-cloud", "nan"],
                ["--max-cloud", "-5"],
                ["--out", ""],
                ["--out", "new/items.csv"],
                ["--out", "items.json/below.json"],
                ["--out", "new/items.parquet"],  # nothing lies there
            )
        ),
    ],
)
def test_command_ends_with_two_and_one_sentence_and_makes_nothing(
    arguments, capsys, collection_file, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    message = capsys.readouterr().err
    assert message.startswith("error: ")
    assert message.count("\n") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["items.json"]


def test_the_command_keeps_items_of_mixed_types_exactly(tmp_path, capsys):
    values = ["text", 1, 2.5, True, None, [1], {"a": {"b": None}}]
    items = [new_document(f"i{k}", day=k + 1) for k in range(len(values))]
    for item, value in zip(items, values, strict=True):
        item["properties"]["odd"] = item["assets"]["red"]["odd"] = value
    (tmp_path / "odd.json").write_text(json.dumps({"type": "FeatureCollection", "features": items}))
    where = ["--area", "-10,40,30,60", "--period", "2023-07"]
    assert main([str(tmp_path / "odd.json"), *where, "--out", str(tmp_path / "odd.parquet")]) == 0
    first, again = (open_items(tmp_path / name) for name in ("odd.json", "odd.parquet"))
    assert [item.to_dict() for item in again] == [item.to_dict() for item in first]
    kept = [(item.properties["odd"], item.assets["red"].extra_fields["odd"]) for item in again]
    assert [[repr(value) for value in pair] for pair in kept] == [[repr(value)] * 2 for value in values]
    few = find_items(tmp_path / "odd.parquet", area=WORLD, period=norm_period("2023-07-02/2023-07-03"))
    assert ids(few) == ["i1", "i2"]


@contextlib.contextmanager
def serve(items_file):
    """`rustac serve` on loopback; yields its address."""
    program = shutil.which("rustac", path=str(Path(sys.executable).parent)) or shutil.which("rustac")
    if program is None:
        pytest.skip("the program rustac is not installed beside Python")
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{sock.getsockname()[1]}"
    command = [program, "serve", "--addr", address, "--create-collections", str(items_file)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            for _ in range(200):
                with contextlib.suppress(requests.ConnectionError):
                    requests.get(f"http://{address}/", timeout=5)
                    break
                time.sleep(0.05)
            yield f"http://{address}/"
        finally:
            process.terminate()


def test_an_api_is_searched_on_both_sides_of_the_antimeridian(tmp_path):
    lons = {"east": 178.0, "west": -180.0, "far": 10.0}
    items = [new_document(name, lon=lon) for name, lon in lons.items()]
    (tmp_path / "x.json").write_text(json.dumps({"type": "FeatureCollection", "features": items}))
    strip = norm_area("178.5,50.5,-179.5,50.6")
    with serve(tmp_path / "x.json") as url:
        for page_size in (1, 100):
            found = find_items(url, area=strip, period=YEAR, page_size=page_size)
            assert sorted(ids(found)) == ["east", "west"]
        with pytest.raises(AreaError, match="no item lies in 100,0,101,1"):
            find_items(url, area=norm_area("100,0,101,1"), period=YEAR)


@pytest.mark.real_data
def test_a_real_catalog_gives_the_same_items_by_file_and_by_api(shared_data, tmp_path):
    folder = shared_data / "earth-search-catalog"
    static = find_items(folder / "catalog.json", area=WORLD, period=YEAR)
    assert len(static) == 8
    save_items(static, tmp_path / "all.json")
    wish = {"area": norm_area("15,46,15.5,46.2"), "period": norm_period("2023-08-15/2023-08-18")}
    wanted = find_items(folder, collection="sentinel-2-l2a", **wish)
    assert 0 < len(wanted) < 8
    with serve(tmp_path / "all.json") as url:
        for page_size in (1, 100):
            by_api = find_items(url, page_size=page_size, collection="sentinel-2-l2a", **wish)
            assert ids(by_api) == ids(wanted)
            for one, other in zip(by_api, wanted, strict=True):
                assert {k: a.href for k, a in one.assets.items()} == {k: a.href for k, a in other.assets.items()}
                assert one.datetime == other.datetime
                assert one.properties["earthsearch:boa_offset_applied"] is True


@pytest.mark.real_data
@pytest.mark.parametrize("provider", ["earthsearch_v1", "planetary_computer", "cdse"])
def test_real_items_survive_being_saved(shared_data, tmp_path, provider):
    source = shared_data / "stac-responses" / f"{provider}_search_page.json"
    page = json.loads(source.read_text())
    (tmp_path / "page.json").write_text(json.dumps({**page, "links": []}))
    items = find_items(tmp_path / "page.json", area=WORLD, period=norm_period("2015/2026"))
    assert len(items) == len(page["features"])
    save_items(items, tmp_path / "items.parquet")
    for old, new in zip(items, open_items(tmp_path / "items.parquet"), strict=True):
        assert new.id == old.id
        assert {k: a.href for k, a in new.assets.items()} == {k: a.href for k, a in old.assets.items()}
        assert new.geometry == old.geometry
