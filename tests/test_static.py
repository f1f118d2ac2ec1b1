import json
from pathlib import Path

import pytest

from stac.errors import CatalogError
from stac.retry import Retry, RetryIO
from stac.static import absolute_href, iter_static, read_document
from tests.documents import new_item

HTTP = RetryIO(Retry(tries=0, timeout=5))


def new_tree(folder: Path) -> Path:
    """catalog → (collection a: 2 items, catalog sub → collection b: 1 item)."""

    def write(path, content):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content))

    def links(rel, *hrefs):
        return [{"rel": rel, "href": href} for href in hrefs]

    common = {"stac_version": "1.0.0", "description": "x"}
    a = {"type": "Collection", "id": "a", "links": links("item", "one/one.json", "two/two.json"), **common}
    b = {"type": "Collection", "id": "b", "links": links("item", "./three.json"), **common}
    sub = {"type": "Catalog", "id": "sub", "links": links("child", "../b/collection.json"), **common}
    root = {
        "type": "Catalog",
        "id": "root",
        "links": links("child", "./a/collection.json", "sub/catalog.json"),
        **common,
    }
    write(folder / "catalog.json", root)
    write(folder / "a/collection.json", a)
    write(folder / "b/collection.json", b)
    write(folder / "sub/catalog.json", sub)
    write(folder / "a/one/one.json", new_item("one", collection="a"))
    write(folder / "a/two/two.json", new_item("two", day=2))
    write(folder / "b/three.json", new_item("three", day=3, collection="b"))
    return folder / "catalog.json"


@pytest.mark.parametrize(
    ("href", "base", "expected"),
    [
        ("B04.tif", "/d/i/item.json", "/d/i/B04.tif"),
        ("../B04.tif", "/d/i/item.json", "/d/B04.tif"),
        ("/x/B04.tif", "/d/i/item.json", "/x/B04.tif"),
        ("file:///x/a%20b.tif", "/d/item.json", "/x/a b.tif"),
        ("s3://b/k.jp2", "/d/item.json", "s3://b/k.jp2"),
        ("/vsis3/b/k.jp2", "https://h.org/i", "/vsis3/b/k.jp2"),
        ("B04.tif", "https://h.org/c/item.json", "https://h.org/c/B04.tif"),
        ("/B04.tif", "https://h.org/c/item.json", "https://h.org/B04.tif"),
        ("https://o.org/B04.tif", "https://h.org/c", "https://o.org/B04.tif"),
    ],
)
def test_hrefs_are_made_absolute(href, base, expected):
    assert absolute_href(href, base) == expected


def test_a_catalog_is_walked_to_its_last_item(tmp_path):
    path = str(new_tree(tmp_path))
    pairs = list(iter_static(read_document(path, HTTP), path, HTTP))
    assert [(item["id"], item["collection"]) for item, _ in pairs] == [("one", "a"), ("two", "a"), ("three", "b")]
    assert [Path(base).name for _, base in pairs] == ["one.json", "two.json", "three.json"]
    wanted = iter_static(read_document(path, HTTP), path, HTTP, collection="b")
    assert [item["id"] for item, _ in wanted] == ["three"]


def test_the_same_over_http(tmp_path, web):
    path = str(new_tree(tmp_path))
    local = [item for item, _ in iter_static(read_document(path, HTTP), path, HTTP)]
    pairs = list(iter_static(read_document(f"{web}/catalog.json", HTTP), f"{web}/catalog.json", HTTP))
    assert [item for item, _ in pairs] == local
    assert pairs[0][1] == f"{web}/a/one/one.json"


def test_pages_of_an_item_collection_are_followed_and_circles_are_named(tmp_path):
    path = str(tmp_path / "p1.json")
    for last in ("p3.json", "p2.json", "p1.json"):
        for k, following in ((1, "p2.json"), (2, "p3.json"), (3, last)):
            page = {"type": "FeatureCollection", "features": [new_item(f"i{k}")], "links": []}
            if following != f"p{k}.json" or last != "p3.json":
                page["links"] = [{"rel": "next", "href": following}]
            (tmp_path / f"p{k}.json").write_text(json.dumps(page))
        pages = iter_static(read_document(path, HTTP), path, HTTP)
        assert [next(pages)[0]["id"] for _ in range(3)] == ["i1", "i2", "i3"]
        if last == "p3.json":
            assert list(pages) == []
        else:
            with pytest.raises(CatalogError, match=r"p3\.json lead in a circle"):
                next(pages)


@pytest.mark.parametrize(
    "links", [{"catalog": ["catalog"]}, {"catalog": ["sub"], "sub": ["deep"], "deep": ["catalog"]}]
)
def test_catalogs_that_lie_below_themselves_are_named(tmp_path, web, links):
    for name, children in links.items():
        hrefs = [{"rel": "child", "href": f"./{child}.json"} for child in children]
        (tmp_path / f"{name}.json").write_text(json.dumps({"type": "Catalog", "id": name, "links": hrefs}))
    for href in (str(tmp_path / "catalog.json"), f"{web}/catalog.json"):
        with pytest.raises(CatalogError, match="lead in a circle"):
            list(iter_static(read_document(href, HTTP), href, HTTP))


def test_catalogs_without_end_are_named(tmp_path):
    endless = {"type": "Catalog", "id": "x", "links": [{"rel": "child", "href": "./catalog.json?"}]}

    class Http:
        def request(self, href):
            return json.dumps({**endless, "links": [{"rel": "child", "href": href + "1"}]})

    with pytest.raises(CatalogError, match="lead in a circle"):
        list(iter_static(endless, "https://h.org/catalog.json", Http()))


def test_a_child_of_two_parents_is_no_circle(tmp_path):
    path = str(new_tree(tmp_path))
    root = json.loads((tmp_path / "catalog.json").read_text())
    root["links"].append({"rel": "child", "href": "./b/collection.json"})
    assert [item["id"] for item, _ in iter_static(root, path, HTTP)] == ["one", "two", "three", "three"]


@pytest.mark.parametrize("features", [None, "items", {"a": 1}, [None], ["item"], [[]]])
def test_features_that_are_no_items_are_named(tmp_path, features):
    path = str(tmp_path / "x.json")
    with pytest.raises(CatalogError, match=r"features of .*x\.json are no list of items"):
        list(iter_static({"type": "FeatureCollection", "features": features}, path, HTTP))


@pytest.mark.parametrize("links", [None, "links", 5, [None, "x", {"rel": "child"}, {"rel": "child", "href": 5}]])
def test_links_that_are_none_lead_nowhere(links):
    assert list(iter_static({"type": "Catalog", "id": "x", "links": links}, "/data/catalog.json", HTTP)) == []


def test_addresses_that_are_none_are_named(tmp_path):
    catalog = {"type": "Catalog", "id": "x", "links": [{"rel": "child", "href": "https://[bad/"}]}
    with pytest.raises(CatalogError, match=r"https://\[bad/ in /data/catalog.json is no address"):
        list(iter_static(catalog, "/data/catalog.json", HTTP))
    with pytest.raises(CatalogError, match="no valid address"):
        read_document("https://[bad/", HTTP)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("<!DOCTYPE html><html></html>", "HTML"),
        ("", "empty"),
        ("{nothing", "no JSON"),
        ('{"type": "Topology"}', "no STAC .type Topology"),
        ("[1, 2]", "no STAC .type list"),
        ("[" * 100_000, "no JSON"),
    ],
)
def test_what_is_no_stac_is_named(tmp_path, web, text, words):
    (tmp_path / "x.json").write_text(text)
    for href in (str(tmp_path / "x.json"), f"{web}/x.json"):
        with pytest.raises(CatalogError, match=rf"x.json .*{words}.*check the address"):
            read_document(href, HTTP)


def test_what_does_not_answer_is_named(tmp_path, web):
    with pytest.raises(CatalogError, match=r"404 .not found."):
        read_document(f"{web}/gone.json?token=secret", HTTP)
    with pytest.raises(CatalogError, match="connection refused") as caught:
        read_document("http://user:secret@127.0.0.1:9/?token=secret", HTTP)
    assert "secret" not in str(caught.value)
    with pytest.raises(CatalogError, match="No such file"):
        read_document(str(tmp_path / "gone.json"), HTTP)


def test_a_missing_child_is_an_error_not_a_gap(tmp_path):
    path = str(new_tree(tmp_path))
    (tmp_path / "a/two/two.json").unlink()
    with pytest.raises(CatalogError, match=r"two\.json"):
        list(iter_static(read_document(path, HTTP), path, HTTP))
