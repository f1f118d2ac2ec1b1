import json
import threading
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest

from stac.api import find_api, iter_search
from stac.errors import CatalogError
from stac.period import norm_period
from stac.retry import Retry, RetryIO
from stac.static import read_document

QUICK = RetryIO(Retry(tries=2, backoff=0, timeout=5))
BOX = (0.0, 40.0, 20.0, 60.0)
YEAR = norm_period("2023")


class Api(BaseHTTPRequestHandler):
    """A small STAC API: a root, one collection, a search with paging; `faults` are answered first."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        parts = urlsplit(self.path)
        if parts.path == "/search":
            query = {key: value[0] for key, value in parse_qs(parts.query).items()}
            self._search({**query, "limit": int(query["limit"]), "skip": int(query.get("skip", 0))})
        elif parts.path == "/collections/s2":
            links = [{"rel": "items", "href": "/x"}, {"rel": "root", "href": self.server.url}]
            self._send({"type": "Collection", "id": "s2", "links": links})
        else:
            links = [{"rel": "search", "href": "/search", "method": method} for method in self.server.methods]
            self._send({"type": "Catalog", "id": "r", "links": links, "conformsTo": self.server.conforms})

    def do_POST(self):
        self._search(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

    def _search(self, body):
        self.server.asked.append((self.command, body))
        if len(self.server.asked) == self.server.faults_after[0] + 1:
            return self._send(self.server.faults_after[1][1], self.server.faults_after[1][0])
        if self.server.faults:
            status, text = self.server.faults.pop(0)
            return self._send(text, status)
        if body["limit"] > self.server.largest:
            return self._send("too large", 502)
        skip, limit = body.get("skip", 0), body["limit"]
        answer = {"type": "FeatureCollection", "features": self.server.items[skip : skip + limit], "links": []}
        if skip + limit < len(self.server.items) or self.server.circle:
            following = {**body, "skip": (skip + limit) % (2 * limit) if self.server.circle else skip + limit}
            if self.server.circle == "in disguise":
                following["token"] = len(self.server.asked)
            link = {"rel": "next", "href": f"{self.server.url}search", "method": self.command, "body": following}
            if self.command == "GET":
                link["href"] += f"?limit={limit}&skip={skip + limit}"
            answer["links"] = [link]
        self._send(answer)

    def _send(self, content, status=200):
        body = (content if isinstance(content, str) else json.dumps(content)).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


@pytest.fixture
def server():
    with ThreadingHTTPServer(("127.0.0.1", 0), Api) as server:
        server.daemon_threads = True
        server.url = f"http://127.0.0.1:{server.server_port}/"
        server.items = [{"type": "Feature", "id": f"i{k}", "collection": "s2"} for k in range(25)]
        server.asked, server.faults, server.conforms, server.methods = [], [], [], ["GET", "POST"]
        server.largest, server.circle, server.faults_after = 1000, "", (-1, (500, ""))
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield server
        server.shutdown()


def search(server, path="", **more):
    api = find_api(read_document(server.url + path, QUICK), server.url + path, QUICK)
    options = {"box": BOX, "period": YEAR, "collection": None, "page_size": 10, **more}
    return [item["id"] for item in iter_search(api, QUICK, **options)]


@pytest.mark.parametrize("methods", [["GET", "POST"], ["GET"], [None]])
def test_all_pages_are_read_by_post_where_the_api_takes_it(server, methods):
    server.methods = methods
    assert search(server) == [f"i{k}" for k in range(25)]
    assert {command for command, _ in server.asked} == {"POST" if "POST" in methods else "GET"}
    assert len(server.asked) == 3


def test_the_request_says_where_when_and_what(server):
    search(server, collection="s2")
    body = server.asked[0][1]
    assert body["bbox"] == list(BOX)
    assert body["collections"] == ["s2"]
    assert body["limit"] == 10
    start, end = (datetime.fromisoformat(side) for side in body["datetime"].split("/"))
    assert start == YEAR.start
    assert end >= YEAR.end


def test_an_apis_collection_is_searched_from_its_root(server):
    search(server, path="collections/s2")
    assert server.asked[0][1]["collections"] == ["s2"]


@pytest.mark.parametrize("conforms", [[], ["https://api.stacspec.org/v1.0.0/item-search#query"]])
def test_clouds_are_compared_by_the_server_only_where_it_can(server, conforms):
    server.conforms = conforms
    search(server, max_cloud=30)
    assert server.asked[0][1].get("query") == ({"eo:cloud_cover": {"lte": 30}} if conforms else None)


def test_busy_server_is_asked_again_by_post(server):
    server.faults = [(503, ""), (403, "")]  # Earth Search throttles with Forbidden
    assert len(search(server)) == 25
    assert [command for command, _ in server.asked] == ["POST"] * 5


def test_pages_that_are_too_large_are_asked_for_in_smaller_pieces(server):
    server.largest = 15
    assert search(server, page_size=100) == [f"i{k}" for k in range(25)]
    assert server.asked[-1][1]["limit"] <= 15


@pytest.mark.parametrize("kind", ["plain", "in disguise"])
@pytest.mark.parametrize("largest", [1000, 50])  # 50: the second page size, so that items come again by right
def test_a_second_page_that_leads_to_the_first_is_a_fault(server, kind, largest):
    server.items = [{"type": "Feature", "id": f"i{k}", "collection": "s2"} for k in range(300)]
    server.circle, server.largest = kind, largest
    with pytest.raises(CatalogError, match="lead in a circle"):
        search(server, page_size=100)


def test_a_server_that_fails_late_is_asked_again_in_smaller_pieces_for_each_item_once(server):
    server.items = [{"type": "Feature", "id": f"i{k}", "collection": "s2"} for k in range(300)]
    server.faults_after = 2, (500, "too large")
    assert search(server, page_size=100) == [f"i{k}" for k in range(300)]


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ((500, "boom"), "status 500"),
        ((403, "Forbidden"), r"forbidden. to each of 3 tries.*wait some minutes"),
        ((200, "<html>"), "no item collection"),
        ((200, "[]"), "no item collection"),
        ((200, '{"features": [{}]}'), "no item collection"),
    ],
)
def test_answers_that_are_no_page_are_named(server, fault, words):
    server.faults = [fault] * 20
    with pytest.raises(CatalogError, match=words):
        search(server)


def test_no_items_is_no_fault(server):
    server.items = []
    assert search(server) == []


@pytest.mark.parametrize("kind", ["Catalog", "Collection", "Feature", "FeatureCollection"])
def test_static_documents_are_no_api(kind):
    document = {"type": kind, "id": "x", "links": [{"rel": "item", "href": "a.json"}, {"rel": "items", "href": "b"}]}
    assert find_api(document, "/data/catalog.json", QUICK) is None
