"""What several test files share: no network for GDAL either, the real data's folder, a small store."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch

from index.demo import DEMO_SEED, archive_bounds, demo_config
from index.pipeline import build_store
from stac.simulate import simulate_archive
from stac.simulation.archive import write_archive
from stac.simulation.areas import SIZES, Plan

ROOT = Path(__file__).resolve().parent.parent

# pytest's --block-network stops Python's sockets only: a dead proxy makes GDAL's own reads fail at once, off loopback.
os.environ["GDAL_HTTP_PROXY"] = "127.0.0.1:9"
os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1,localhost,::1"
# Tests run side by side, and torch's threads wait for one another: where all processors are busy, two are slower than
# one (measured: 9 s instead of 0.2 s for a small batch of the stream). The second line is for what tests start.
torch.set_num_threads(1)
os.environ["OMP_NUM_THREADS"] = "1"
# Nothing may look for weights or tokens on a hub.
os.environ["HF_HUB_OFFLINE"] = "1"


@contextlib.contextmanager
def turn(path: Path) -> Iterator[None]:
    """Wait until no other test process is at it."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@pytest.fixture(scope="session")
def root() -> Path:
    """The project's root."""
    return ROOT


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real imagery and real STAC answers."""
    folder = Path(os.environ.get("AFTERIMAGE_SHARED") or ROOT.parent / "shared") / "data"
    if not folder.is_dir():
        pytest.skip(f"the real data is not here ({folder}): set AFTERIMAGE_SHARED to its parent folder")
    return folder


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all test processes of one run share."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


@pytest.fixture(scope="session")
def demo_archive(shared_folder: Path) -> Path:
    """The catalog.json of the simulated demo archive, written once in a run, where the demo looks for it."""
    with turn(shared_folder / "demo-archive.lock"):
        return simulate_archive(shared_folder / "data" / "archives" / "demo", size="demo", seed=DEMO_SEED)


@pytest.fixture(scope="session")
def small_archive(shared_folder: Path) -> Path:
    """The catalog.json of a simulated archive of one year and a few square kilometres."""
    area = replace(SIZES["demo"].areas[0], tile_px=256, step_px=192)
    plan = Plan((area,), events=6, last=date(2021, 12, 31), step=16)
    with turn(shared_folder / "small-archive.lock"):
        return write_archive(shared_folder / "small-archive", plan, size="small", seed=3)


@pytest.fixture(scope="session")
def demo_store(demo_archive: Path, shared_folder: Path) -> Path:
    """The demo store of the west of its area, under a folder named `stores`; read it only."""
    west, south, east, north = archive_bounds(demo_archive)
    store = shared_folder / "data" / "stores" / "demo"
    with pytest.MonkeyPatch.context() as patch, turn(shared_folder / "demo-store.lock"):
        patch.setenv("AFTERIMAGE_DATA", str(shared_folder / "data"))
        build_store(replace(demo_config(store), area=f"{west},{south},{west + 0.4 * (east - west)},{north}"))
    return store


@pytest.fixture
def copied_store(demo_store: Path, tmp_path: Path) -> Path:
    """A copy of the small store that a test may damage."""
    copy = tmp_path / "demo"
    shutil.copytree(demo_store, copy)
    return copy


@pytest.fixture
def web(tmp_path: Path) -> Iterator[str]:
    """Address of the test's folder over HTTP on loopback."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path))) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
