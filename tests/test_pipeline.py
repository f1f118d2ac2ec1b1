"""The pipeline's promises that need a server: what could not be read is missing, not zero, and can be read later."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pystac
import pytest
import shapely
from affine import Affine

from index import pipeline
from index.demo import archive_bounds
from index.manifest import Manifest
from index.observations import open_observations
from index.pipeline import build_store
from index.plan import BuildConfig
from stac.area import norm_area
from stac.blocks import iter_blocks
from stac.items import Asset, Scene
from stac.lattice import from_lonlat
from stac.read import ReadOptions


class Archive(BaseHTTPRequestHandler):
    """Serves a folder, in ranges, but for the paths that are down."""

    folder: Path
    down: tuple[str, ...] = ()
    cut: str | None = None
    """The next large body of this path ends half-way, once."""

    def do_HEAD(self) -> None:
        self.reply(body=False)

    def do_GET(self) -> None:
        self.reply(body=True)

    def reply(self, *, body: bool) -> None:
        if any(name in self.path for name in self.down):
            self.send_error(503)
            return
        content = (self.folder / self.path.lstrip("/")).read_bytes()
        span = self.headers.get("Range", "").removeprefix("bytes=")
        first, _, last = span.partition("-")
        part = content[int(first or 0) : int(last or len(content) - 1) + 1]
        self.send_response(206 if span else 200)
        self.send_header("Content-Range", f"bytes {int(first or 0)}-{int(first or 0) + len(part) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(part)))
        self.end_headers()
        if body and Archive.cut and Archive.cut in self.path and len(part) > 20_000:
            Archive.cut = None
            part = part[: len(part) // 2]
            self.close_connection = True
        if body:
            self.wfile.write(part)

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def address(small_archive: Path) -> Iterator[str]:
    Archive.folder, Archive.down, Archive.cut = small_archive.parent, (), None
    with ThreadingHTTPServer(("127.0.0.1", 0), Archive) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def config(catalog: str, store: Path, bounds: tuple[float, ...]) -> BuildConfig:
    return BuildConfig(
        catalog=catalog,
        store=str(store),
        area=",".join(map(str, bounds)),
        period="2021-05-01/2021-08-31",
        chip_size=32,
    )


def table(store: Path) -> dict[tuple[str, datetime], tuple[object, ...]]:
    """Location and time → clear fraction, item ids and the embedding's bytes, or None."""
    found = pa.concat_tables([pq.read_table(path) for path in sorted((store / "observations").glob("*.parquet"))])
    keys = zip(found["location_id"].to_pylist(), found["time"].to_pylist(), strict=True)
    vectors = [None if row is None else np.array(row).tobytes() for row in found["embedding"].to_pylist()]
    values = zip(found["clear_fraction"].to_pylist(), map(tuple, found["item_ids"].to_pylist()), vectors, strict=True)
    return dict(zip(keys, values, strict=True))


def rows(store: Path) -> tuple[list[str], list[str], np.ndarray]:
    found = open_observations(sorted((store / "observations").glob("*.parquet")))
    return found.location_id.tolist(), found.time.astype(str).tolist(), found.embedding


@pytest.mark.parametrize("band", ["SCL", "B08"])
def test_what_cannot_be_read_is_missing_and_can_be_read_later(
    band: str, address: str, small_archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "ReadOptions", lambda threads: ReadOptions(threads=threads, retries=1, backoff=0.01))
    bounds = archive_bounds(small_archive)
    months = {"period": "2021-07-01/2021-08-31"}
    local: Manifest = build_store(replace(config(str(small_archive), tmp_path / "local", bounds), **months))
    names = sorted(item.id for item in pystac.Catalog.from_file(str(small_archive)).get_items(recursive=True))
    lost = next(name for name in names if "202107" in name)  # one of two tiles that day
    Archive.down = (f"{lost}/{band}.tif",)
    remote = replace(config(f"{address}/catalog.json", tmp_path / "remote", bounds), **months)
    manifest = build_store(remote)
    assert 0 < manifest.counts["missing"] < manifest.counts["observations"]
    found = open_observations(sorted((tmp_path / "remote" / "observations").glob("*.parquet")))
    missing = np.isnan(found.clear_fraction)
    assert not found.embedded[missing].any()
    assert missing.sum() == manifest.counts["missing"]
    assert all(lost in behind for behind in found.item_ids.filter(pa.array(missing)).to_pylist())
    # Every other chip of that day is as it would have been.
    expected, had = table(tmp_path / "local"), table(tmp_path / "remote")
    assert {key: row for key, row in had.items() if row[0] is not None}.items() <= expected.items()
    days = {time.date() for (_, time), row in had.items() if row[0] is None}
    assert any(time.date() in days for (_, time), row in had.items() if row[0] is not None)
    # Another outage during the retry takes nothing away that was read before.
    other = next(name for name in names if "202107" in name and name != lost)
    Archive.down = (f"{lost}/{band}.tif", f"{other}/SCL.tif")
    build_store(remote, retry_missing=True)
    assert table(tmp_path / "remote") == had
    Archive.down = ()
    healed = build_store(remote, retry_missing=True)
    assert healed.counts == local.counts
    assert table(tmp_path / "remote") == expected


def test_a_body_that_was_cut_short_is_fetched_again(
    address: str, small_archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "ReadOptions", lambda threads: ReadOptions(threads=threads, retries=2, backoff=0.01))
    bounds = archive_bounds(small_archive)
    build_store(config(str(small_archive), tmp_path / "local", bounds))
    names = sorted(item.id for item in pystac.Catalog.from_file(str(small_archive)).get_items(recursive=True))
    Archive.cut = f"{next(name for name in names if '202107' in name)}/B08.tif"
    manifest = build_store(config(f"{address}/catalog.json", tmp_path / "remote", bounds))
    assert Archive.cut is None  # it was cut
    assert manifest.counts["missing"] == 0
    np.testing.assert_array_equal(rows(tmp_path / "remote")[2], rows(tmp_path / "local")[2])


def new_scene(name: str, tile: str, epsg: int, lon: float, day: date) -> Scene:
    """A tile of 110 km around a point at 17° south."""
    x, y = from_lonlat(epsg).transform(lon, -17)
    transform = Affine(20, 0, x - 55_000, 0, -20, y + 55_000)
    footprint = shapely.box(max(lon - 0.5, -180), -17.5, min(lon + 0.5, 180), -16.5)
    assets = {band: Asset(f"{name}.tif", epsg, transform, (5490, 5490)) for band in ("B04", "SCL")}
    moment = datetime(2023, 6, 1, 22, 15, tzinfo=UTC)
    return Scene(name, "c", tile, moment, day, "05.09", 0, epsg, footprint, assets)


def test_one_pass_at_the_antimeridian_is_one_day() -> None:
    # By its own tile's sun, zone 60 is a day ahead of zone 1.
    east = new_scene("east", "60KYF", 32760, 179.8, date(2023, 6, 2))
    west = new_scene("west", "01KAB", 32701, -179.8, date(2023, 6, 1))
    for block in iter_blocks(norm_area("179.9,-17.1,-179.9,-16.9").geometry, 64, 10):
        ((_, days),) = pipeline._months(block, [east, west])
        (scenes,) = days.values()
        assert scenes[0].item_id == ("east" if block.lattice.epsg == 32760 else "west")
        assert {scene.item_id for scene in scenes} == {"east", "west"}


def test_a_build_goes_on_with_the_items_it_began_with(small_archive: Path, tmp_path: Path) -> None:
    archive = tmp_path / "archive"
    shutil.copytree(small_archive.parent, archive)
    bounds = archive_bounds(small_archive)
    build = config(str(archive / "catalog.json"), tmp_path / "store", bounds)
    before = build_store(build)
    # The catalog disappears; the store loses its last step; the plan knows all that is needed.
    (archive / "catalog.json").unlink()
    (tmp_path / "store" / "manifest.json").unlink()
    min((tmp_path / "store" / "vectors").iterdir()).unlink()
    assert build_store(build) == before
