"""The pipeline's promises that need a server: what could not be read is missing, not zero, and can be read later."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import numpy as np
import pystac
import pytest

from index import pipeline
from index.demo import archive_bounds
from index.manifest import Manifest
from index.observations import open_observations
from index.pipeline import build_store
from index.plan import BuildConfig
from stac.read import ReadOptions


class Archive(BaseHTTPRequestHandler):
    """Serves a folder, in ranges, but for the paths that are down."""

    folder: Path
    down: str | None = None

    def do_HEAD(self) -> None:
        self.reply(body=False)

    def do_GET(self) -> None:
        self.reply(body=True)

    def reply(self, *, body: bool) -> None:
        if self.down and self.down in self.path:
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
        if body:
            self.wfile.write(part)

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def address(small_archive: Path) -> Iterator[str]:
    Archive.folder, Archive.down = small_archive.parent, None
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


def rows(store: Path) -> tuple[list[str], list[str], np.ndarray]:
    found = open_observations(sorted((store / "observations").glob("*.parquet")))
    return found.location_id.tolist(), found.time.astype(str).tolist(), found.embedding


def test_what_cannot_be_read_is_missing_and_can_be_read_later(
    address: str, small_archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "ReadOptions", lambda threads: ReadOptions(threads=threads, retries=1, backoff=0.01))
    bounds = archive_bounds(small_archive)
    local: Manifest = build_store(config(str(small_archive), tmp_path / "local", bounds))
    names = sorted(item.id for item in pystac.Catalog.from_file(str(small_archive)).get_items(recursive=True))
    Archive.down = f"{next(name for name in names if '202107' in name)}/SCL.tif"
    remote = config(f"{address}/catalog.json", tmp_path / "remote", bounds)
    manifest = build_store(remote)
    assert 0 < manifest.counts["missing"] < manifest.counts["observations"]
    found = open_observations(sorted((tmp_path / "remote" / "observations").glob("*.parquet")))
    missing = np.isnan(found.clear_fraction)
    assert not found.embedded[missing].any()
    assert missing.sum() == manifest.counts["missing"]
    Archive.down = None
    healed = build_store(remote, retry_missing=True)
    assert healed.counts == local.counts
    (places, times, vectors), (own_places, own_times, own_vectors) = rows(tmp_path / "remote"), rows(tmp_path / "local")
    assert (places, times) == (own_places, own_times)
    np.testing.assert_array_equal(vectors, own_vectors)


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
