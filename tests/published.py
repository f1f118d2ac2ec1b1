"""A small archive in the layout of CACo and SeCo, for the tests that read and repack one."""

from __future__ import annotations

import io
import json
import tarfile
import warnings
import zipfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from rasterio.transform import from_origin

SIDE = 48
GSD = {"B1": 60, "B2": 10, "B3": 10, "B4": 10, "B8": 10, "B8A": 20, "B11": 20}
OLDER = ("20160904", "20161023", "20170113", "20170401", "20170615")
RECENT = ("20200921", "20201109", "20210203", "20210420", "20210630")
ROOT = "clean_10k_geography"

Files = dict[str, bytes]


def index(day: str) -> str:
    """The `system:index` of an image of a day."""
    return f"{day}T075629_{day}T080225_T36QZH"


def band(seed: Sequence[int], side: int, gsd: int = 10, wide: int | None = None, **profile: Any) -> bytes:
    """A single-band GeoTIFF of bytes, compressed as JPEG; smooth, so that it survives that."""
    shape = (side * 10 // gsd, (wide or side) * 10 // gsd)
    rng = np.random.default_rng([*seed])
    ramp = np.add.outer(np.arange(shape[0]), rng.uniform(0.2, 1) * np.arange(shape[1]))
    pixels = (rng.uniform(0, 100) + 100 * ramp / ramp.max()).astype(np.uint8)
    place = from_origin(30.0 + seed[0], 10.0, gsd * 9e-6, gsd * 9e-6)
    kind = {"driver": "GTiff", "compress": "jpeg", "count": 1, "dtype": "uint8", "crs": "EPSG:4326", "transform": place}
    with warnings.catch_warnings(), rasterio.MemoryFile() as memory:
        warnings.simplefilter("ignore")
        with memory.open(**(kind | {"height": shape[0], "width": shape[1]} | profile)) as file:
            file.write(pixels, 1)
        return memory.read()


def location(number: int, days: Sequence[str] = OLDER + RECENT, side: int = SIDE, root: str = ROOT) -> Files:
    """Files of a location by their path, previews and metadata too."""
    return dict(_location(number, tuple(days), side, root))


@cache
def _location(number: int, days: tuple[str, ...], side: int, root: str) -> Files:
    files: Files = {}
    for at, day in enumerate(days):
        folder = f"{root}/{number:06d}/{index(day)}"
        for place, (name, gsd) in enumerate(GSD.items()):
            files[f"{folder}/{name}.tif"] = band((number, at, place), side, gsd)
        files[f"{folder}/metadata.json"] = json.dumps({"properties": {"system:index": index(day)}}).encode()
        files[f"{root}/{number:06d}/{index(day)}.tif"] = b"preview"
    return files


def archive(count: int, **options: Any) -> Files:
    """Files of several locations."""
    return {path: data for number in range(count) for path, data in location(number, **options).items()}


def write_folder(folder: Path, files: Files) -> Path:
    """The archive unpacked; gives its root."""
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder / ROOT


def tar_bytes(files: Files, extra: Sequence[tarfile.TarInfo] = (), mode: str = "w:gz") -> bytes:
    """The archive as a tar.gz, after members of other kinds."""
    memory = io.BytesIO()
    with tarfile.open(fileobj=memory, mode=mode) as tar:  # type: ignore[call-overload]
        for member in extra:
            tar.addfile(member)
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return memory.getvalue()


def write_tar(path: Path, files: Files) -> Path:
    """The archive as a tar.gz."""
    path.write_bytes(tar_bytes(files))
    return path


def write_parts(folder: Path, data: bytes, sizes: Sequence[int], first: int = 0) -> list[Path]:
    """Bytes cut into numbered parts; the last one holds the rest."""
    folder.mkdir(parents=True, exist_ok=True)
    paths, at = [], 0
    for number, size in enumerate([*sizes, len(data)], first):
        paths.append(folder / f"{ROOT}_part{number}")
        paths[-1].write_bytes(data[at : at + size])
        at += size
    return paths


def write_zip(path: Path, files: Files) -> Path:
    """The archive as a zip."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in files.items():
            file.writestr(name, data)
    return path


def decode(data: bytes) -> Any:
    """Pixels of a GeoTIFF, by rasterio."""
    with rasterio.MemoryFile(data) as memory, memory.open() as file:
        return file.read(1)
