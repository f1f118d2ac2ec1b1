"""Items around a window: from a STAC API, which is asked sparingly, and from files, which are read once."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import date, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from shapely.geometry import box, shape

from stac.catalog import find_items, save_items
from stac.errors import AreaError, CatalogError
from stac.period import norm_period
from stac.raster import ReadOptions
from stac.sampling.gather import gather
from stac.sampling.plan import PLAN, open_plan
from stac.sampling.prepare import SampleConfig, prepare
from stac.sampling.sources import GLOBE, ListedSource, find_search
from stac.sampling.windows import Window
from stac.shards import open_shards


class Api(BaseHTTPRequestHandler):
    """A STAC API over the archive's items; counts its searches."""

    def do_GET(self) -> None:
        link = {"rel": "search", "href": f"{self.server.url}/search", "method": "POST"}
        self._send({"type": "Catalog", "id": "r", "stac_version": "1.0.0", "links": [link]})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        start, end = (datetime.fromisoformat(text) for text in body["datetime"].split("/"))
        found = [
            item
            for item in self.server.items
            if shape(item["geometry"]).intersects(box(*body["bbox"]))
            and start <= datetime.fromisoformat(item["properties"]["datetime"]) <= end
        ]
        self.server.asked.append(body)
        self._send({"type": "FeatureCollection", "features": found, "links": []})

    def _send(self, content: dict) -> None:
        body = json.dumps(content).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def api(small_archive: Path) -> Iterator[ThreadingHTTPServer]:
    items = find_items(str(small_archive), area=GLOBE, period=norm_period("2021"))
    with ThreadingHTTPServer(("127.0.0.1", 0), Api) as server:
        server.url, server.asked = f"http://127.0.0.1:{server.server_port}", []
        server.items = [item.to_dict(include_self_link=False, transform_hrefs=False) for item in items]
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield server
        server.shutdown()


def config_of(catalog: Path | str, out: Path, **change: object) -> SampleConfig:
    """Two dates in each of two sets half a year apart, of the archive's one year."""
    return SampleConfig(
        **{
            **{"out": out, "locations": 3, "catalog": str(catalog), "side": 48, "bands": ("B04",), "dates": 2},
            **{"years_apart": 0.5, "span_weeks": 12, "window_days": 30, "until": date(2021, 12, 20), **change},
        }
    )


def area_of(items: list[dict]) -> str:
    boxes = [shape(item["geometry"]).bounds for item in items]
    west, south, east, north = (f(b[k] for b in boxes) for k, f in enumerate((min, min, max, max)))
    return f"{west},{south},{east},{north}"


def test_an_api_is_asked_once_for_each_draw(api: ThreadingHTTPServer, tmp_path: Path) -> None:
    prepared = prepare(config_of(api.url, tmp_path, area=area_of(api.items)))
    assert len(api.asked) == 1  # whether there is anything at all
    summary = gather(prepared, threads=2, options=ReadOptions(threads=2))
    assert (summary.gathered, summary.complete) == (3, True)
    looked_at = sum(summary.redrawn.get(reason, 0) for reason in ("no items", "no dates", "cloud")) + 3
    assert len(api.asked) == summary.searches == 1 + looked_at * len(prepared.dates.periods)
    assert "SIMULATED" in open_shards(tmp_path).spec.source


def test_an_api_without_such_items_is_told_before_anything_is_drawn(api: ThreadingHTTPServer, tmp_path: Path) -> None:
    with pytest.raises(AreaError, match="has no item in"):
        prepare(config_of(api.url, tmp_path / "no", until=date(2018, 12, 20)))
    with pytest.raises(AreaError, match="collection other has no item"):
        prepare(config_of(api.url, tmp_path / "no", collection="other"))
    assert not (tmp_path / "no").exists()


def test_a_server_that_fails_ends_the_run_and_keeps_what_is_there(
    api: ThreadingHTTPServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = config_of(api.url, tmp_path, area=area_of(api.items))
    prepared, answer = prepare(config), Api.do_POST
    first = prepared.rows[0].window

    def fail(handler: Api) -> None:
        if len(handler.server.asked) < 3:
            return answer(handler)
        handler.send_error(400)

    monkeypatch.setattr(Api, "do_POST", fail)
    with pytest.raises(CatalogError):
        gather(prepared, threads=1, per_shard=1, options=ReadOptions(threads=1))
    monkeypatch.undo()
    assert gather(prepare(config), threads=1, options=ReadOptions(threads=1)).complete
    assert open_shards(tmp_path).count == 3
    assert open_plan(tmp_path / PLAN)[0][0].window.side == first.side


@pytest.mark.parametrize("name", ["items.parquet", "items.json"])
def test_files_of_items_give_what_the_catalog_gives(small_archive: Path, tmp_path: Path, name: str) -> None:
    items = find_items(str(small_archive), area=GLOBE, period=norm_period("2021"))
    save_items(items, tmp_path / name)
    period = norm_period("2021-03/2021-09")
    sources = [
        ListedSource(str(path), None, period, collection=None, max_cloud=50)
        for path in (small_archive, tmp_path / name)
    ]
    lon, lat = sources[0].covered.geometry.centroid.coords[0]
    months = [norm_period("2021-04"), norm_period("2021-06")]
    found = [[i.id for i in source.find(Window.around(lon, lat, 48).outline, months)] for source in sources]
    assert found[0] == found[1] != []
    assert sources[0].find(Window.around(lon + 3, lat, 48).outline, months) == []
    sources[0].keep(months)
    assert {day.month for day in sources[0].days} <= {4, 6}


def test_what_is_a_file_is_not_searched(small_archive: Path, api: ThreadingHTTPServer) -> None:
    assert find_search(str(small_archive), None) is None
    assert find_search("https://example.org/items.parquet", None) is None
    assert find_search(api.url, "s2")[1] == "s2"


@pytest.mark.real_data
def test_real_items_are_sampled_around_real_cities(shared_data: Path, tmp_path: Path) -> None:
    config = SampleConfig(
        tmp_path,
        3,
        str(shared_data / "earth-search-catalog" / "catalog.json"),
        side=64,
        bands=("B04", "B08"),
        dates=1,
        window_days=3,
        years_apart=5 / 365,  # all there is are four days
        max_cloud=100,
        max_cloud_window=100,
    )
    assert gather(prepare(config), threads=2, options=ReadOptions(threads=2)).complete
    rows, arguments = open_plan(tmp_path / PLAN)
    assert arguments["sampler"] == "caco"
    assert {row.city.rpartition(", ")[2] for row in rows} <= {"HR", "SI"}
    shards = open_shards(tmp_path)
    assert (shards.days[:, 1] - shards.days[:, 0] <= 7).all()
    assert "SIMULATED" not in shards.spec.source
    assert "Copernicus" in shards.spec.licence
    pixels = shards.read(np.arange(3), np.tile([0, 1], (3, 1)), ("B04", "B08"))
    assert pixels.min() > 0
    assert np.median(pixels[:, :, 1]) > np.median(pixels[:, :, 0])  # vegetation, and the bands in their order
