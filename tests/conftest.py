"""What several test files share: no network for GDAL either, the real data's folder, a small store."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

# pytest's --block-network stops Python's sockets only: a dead proxy makes GDAL's own reads fail at once, off loopback.
os.environ["GDAL_HTTP_PROXY"] = "127.0.0.1:9"
os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1,localhost,::1"
# Nothing may look for weights or tokens on a hub.
os.environ["HF_HUB_OFFLINE"] = "1"


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
def demo_archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The catalog.json of the simulated demo archive, written once for each test process that asks."""
    from stac.simulate import simulate_archive

    return simulate_archive(tmp_path_factory.mktemp("archive") / "demo", size="demo", seed=0)


@pytest.fixture(scope="session")
def demo_store(demo_archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small store over the middle of the demo archive, under a folder named `stores`."""
    from index.demo import archive_bounds
    from index.pipeline import build_store
    from index.plan import BuildConfig

    west, south, east, north = archive_bounds(demo_archive)
    area = f"{west + 0.25 * (east - west)},{south},{east - 0.25 * (east - west)},{north}"
    store = tmp_path_factory.mktemp("data") / "stores" / "demo"
    config = BuildConfig(
        catalog=str(demo_archive),
        store=str(store),
        area=area,
        period="2021-01-01/2022-12-31",
        chip_size=32,
        labels=str(demo_archive.with_name("events.geojson")),
    )
    build_store(config)
    return store


@pytest.fixture
def copied_store(demo_store: Path, tmp_path: Path) -> Path:
    """A copy of the small store that a test may damage."""
    copy = tmp_path / "demo"
    shutil.copytree(demo_store, copy)
    return copy
