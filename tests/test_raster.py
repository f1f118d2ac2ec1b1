"""Opening one raster: addresses, georeference, and reads that fail."""

from __future__ import annotations

import logging
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine

from stac.errors import ReadError
from stac.items import Asset
from stac.raster import ReadOptions, UnreachableError, gdal_path, is_remote, open_raster, quiet_rasterio, retrying

TRANSFORM = Affine(10, 0, 500_000, 0, -10, 5_200_000)
FAST = ReadOptions(retries=2, backoff=0.01, timeout=5, sign=str)


def _write(path, side=256, driver="GTiff", georeference=True, **profile):
    pixels = np.random.default_rng(1).integers(1, 3000, (side, side)).astype(np.uint16)
    where = {"crs": "EPSG:32633", "transform": TRANSFORM} if georeference else {}
    quiet_rasterio()
    size = {"width": side, "height": side, "count": 1, "dtype": "uint16"}
    with rasterio.open(path, "w", driver=driver, **size, **where, **profile) as out:
        out.write(pixels, 1)
    return pixels


def _asset(href, side=256):
    return Asset(str(href), 32633, TRANSFORM, (side, side))


def _read(asset, options=FAST):
    got = []

    def attempt():
        with open_raster(asset, options) as (dataset, _geo):
            got.append(dataset.read(1))

    retrying(asset.href, attempt, options)
    return got[0]


@pytest.fixture
def server(tmp_path):
    """A loopback HTTP server of `tmp_path`; `faults` holds the status codes of the next GETs, `seen` their paths."""

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self):
            self._answer(body=False)

        def do_GET(self):
            self._answer(body=True)

        def _answer(self, body):
            seen.append(self.path)
            path = tmp_path / self.path.split("?")[0].strip("/")
            status = faults.pop(0) if faults else 200 if path.is_file() else 404
            data = path.read_bytes() if status == 200 else b""
            ranged = self.headers.get("Range", "").removeprefix("bytes=")
            total = len(data)
            if ranged and status == 200:
                first, last = (int(v) for v in ranged.split("-"))
                status, data = 206, data[first : last + 1]
            self.send_response(status)
            if status == 206:
                self.send_header("Content-Range", f"bytes {first}-{first + len(data) - 1}/{total}")
            self.send_header("Accept-Ranges", "bytes")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            if body:
                self.wfile.write(data)

        def log_message(self, *args):
            pass

    faults, seen = [], []
    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=http.serve_forever)
    thread.start()
    http.url, http.faults, http.seen = f"http://127.0.0.1:{http.server_port}", faults, seen
    yield http
    http.shutdown()
    http.server_close()
    thread.join()


@pytest.mark.parametrize(
    ("href", "path", "remote"),
    [
        ("/data/a b.tif", "/data/a b.tif", False),
        ("file:///data/a%20b.tif", "/data/a b.tif", False),
        ("https://host/a.tif?sig=x", "/vsicurl/https://host/a.tif?sig=x", True),
        ("http://host/a.tif", "/vsicurl/http://host/a.tif", True),
        ("s3://bucket/key/a.tif", "/vsis3/bucket/key/a.tif", True),
        ("/vsicurl/https://host/a.tif", "/vsicurl/https://host/a.tif", True),
    ],
)
def test_addresses_become_what_gdal_reads(href, path, remote):
    assert gdal_path(href) == path
    assert is_remote(href) is remote


def test_the_files_own_georeference_comes_first(tmp_path):
    _write(tmp_path / "a.tif")
    other = Asset(str(tmp_path / "a.tif"), 32601, Affine(60, 0, 0, 0, -60, 0), (10, 10))
    with open_raster(other, FAST) as (_, geo):
        assert geo.crs.to_epsg() == 32633
        assert geo.transform == TRANSFORM


@pytest.mark.parametrize("driver", ["GTiff", "JP2OpenJPEG"])
def test_a_file_without_georeference_takes_its_items_scaled(tmp_path, driver):
    path = tmp_path / "a.img"
    _write(path, 64, driver, georeference=False)
    with open_raster(Asset(str(path), 32633, TRANSFORM, (768, 768)), FAST) as (_, geo):
        assert geo.crs.to_epsg() == 32633
        assert geo.transform == Affine(120, 0, 500_000, 0, -120, 5_200_000)
        assert geo.shape == (64, 64)


def test_no_georeference_anywhere_is_a_read_error(tmp_path):
    _write(tmp_path / "a.tif", georeference=False)
    asset = Asset(str(tmp_path / "a.tif"), None, None, None)
    with pytest.raises(ReadError, match=r"a\.tif has no georeference.*add them to the item"):
        _read(asset)


@pytest.mark.parametrize("kept", [0.0, 0.1, 0.5, 0.95, 0.9999])
@pytest.mark.parametrize(
    ("driver", "profile"), [("GTiff", {"tiled": True, "blockxsize": 64, "blockysize": 64}), ("JP2OpenJPEG", {})]
)
def test_a_truncated_local_file_is_a_read_error_that_names_it(tmp_path, kept, driver, profile):
    path = tmp_path / "cut.img"
    compress = {"compress": "deflate"} if driver == "GTiff" else {"QUALITY": "100", "REVERSIBLE": "YES"}
    _write(path, driver=driver, **profile, **compress)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * kept)])
    with pytest.raises(ReadError, match=r"cut\.img cannot be read: .*put the whole file there"):
        _read(_asset(path))


def test_rasterio_says_nothing_beside_the_error(tmp_path, caplog, capfd):
    path = tmp_path / "odd.tif"
    _write(path, tiled=True, blockxsize=64, blockysize=64)
    data = bytearray(path.read_bytes())
    tags = int.from_bytes(data[4:8], "little") + 2
    data[tags : tags + 24] = data[tags + 12 : tags + 24] + data[tags : tags + 12]  # out of order: GDAL warns
    path.write_bytes(data[:-1000])
    caplog.set_level(logging.WARNING, "rasterio")
    with pytest.raises(ReadError):
        _read(_asset(path))
    assert "ascending order" in caplog.text
    caplog.clear()
    quiet_rasterio()
    with pytest.raises(ReadError, match=r"odd\.tif cannot be read: .*or build without its item into another folder"):
        _read(_asset(path))
    assert caplog.text == ""
    assert capfd.readouterr().err == ""


def test_a_missing_local_file_is_not_tried_again(tmp_path):
    tries = []

    def sign(href):
        tries.append(href)
        return href

    with pytest.raises(ReadError, match=r"nowhere\.tif cannot be read: .*No such file"):
        _read(_asset(tmp_path / "nowhere.tif"), ReadOptions(sign=sign, backoff=60))
    assert len(tries) == 1


@pytest.mark.parametrize("faults", [[503], [503, 502], [429, 503]])
def test_a_remote_read_is_tried_again(tmp_path, server, faults):
    pixels = _write(tmp_path / "a.tif")
    server.faults += faults
    np.testing.assert_array_equal(_read(_asset(f"{server.url}/a.tif")), pixels)


def test_a_remote_read_that_keeps_failing_is_given_up_without_its_signature(tmp_path, server):
    _write(tmp_path / "a.tif")
    server.faults += [503] * 1000
    signed = ReadOptions(retries=2, backoff=0.01, timeout=5, sign=lambda href: f"{href}?sig=secret")
    with pytest.raises(UnreachableError) as caught:
        _read(_asset(f"{server.url}/a.tif"), signed)
    assert "503" in caught.value.reason
    assert "3 tries" in caught.value.reason
    assert "secret" not in str(caught.value)
    assert caught.value.__suppress_context__
    assert all("sig=secret" in path for path in server.seen)


def test_a_remote_file_that_is_not_there_is_not_tried_again(server):
    with pytest.raises(UnreachableError, match=r"gone\.tif.*404.*1 try"):
        _read(_asset(f"{server.url}/gone.tif"), ReadOptions(sign=str, backoff=60))


def test_a_truncated_remote_file_is_unreachable(tmp_path, server):
    _write(tmp_path / "a.tif")
    data = Path(tmp_path / "a.tif").read_bytes()
    (tmp_path / "a.tif").write_bytes(data[: len(data) // 2])
    with pytest.raises(UnreachableError, match=r"a\.tif"):
        _read(_asset(f"{server.url}/a.tif"))


def test_the_address_is_signed_anew_for_each_try(tmp_path, server, monkeypatch):
    forgotten = []
    monkeypatch.setattr("stac.sign.forget_tokens", lambda: forgotten.append(1))
    _write(tmp_path / "a.tif")
    server.faults += [403]
    count = iter(range(10))
    _read(_asset(f"{server.url}/a.tif"), ReadOptions(backoff=0.01, sign=lambda href: f"{href}?try={next(count)}"))
    assert {path.partition("?")[2] for path in server.seen} == {"try=0", "try=1"}
    assert forgotten == [1]
