"""Shards: what is added comes back, whatever is killed, cut or missing on the way."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors import safe_open

from stac import shards_write
from stac.errors import DataError, StoreError
from stac.shards import Shards, ShardsSpec, ShardWriter, check_shards, open_shards

SPEC = ShardsSpec(
    bands10=("B04", "B03", "B02"),
    bands20=("B11", "B01"),
    side=6,
    dates=4,
    full=10000,
    source="drawn at random",
    licence="none",
    truth=True,
)


def _location(number: int, spec: ShardsSpec = SPEC, dates: int | None = None) -> dict[str, Any]:
    """What `add` takes for a location, drawn from its number."""
    rng = np.random.default_rng(number)
    t = spec.dates if dates is None else dates

    def draw(bands: int, side: int) -> Any:
        return rng.integers(0, spec.full, (t, bands, side, side)).astype(spec.dtype) if bands else None

    return {
        "location_id": f"place-{number}",
        "images10": draw(len(spec.bands10), spec.side),
        "images20": draw(len(spec.bands20), spec.side // 2),
        "days": np.sort(rng.integers(0, 20000, t)),
        "half": (np.arange(t) >= t // 2).astype(int),
        "lonlat": (float(number), np.nan),
        "changed": rng.random() if spec.truth else None,
    }


def _write(folder: Path, count: int, spec: ShardsSpec = SPEC, per_shard: int = 3) -> Shards:
    with ShardWriter(folder, spec, per_shard) as writer:
        for number in range(count):
            if f"place-{number}" not in writer.done:
                writer.add(**_location(number, spec))
        writer.close()
    return open_shards(folder)


def _expected(location: int, date: int, band: str) -> Any:
    """The slow twin of `read`."""
    drawn = _location(location)
    if band in SPEC.bands10:
        return drawn["images10"][date, SPEC.bands10.index(band)]
    return np.kron(drawn["images20"][date, SPEC.bands20.index(band)], np.ones((2, 2), np.uint16))


@pytest.mark.parametrize(
    "bands",
    [("B04", "B03", "B02"), ("B02", "B04"), ("B01", "B04", "B03", "B11"), ("B11", "B01"), ("B03",)],
    ids=" ".join,
)
def test_read_gives_what_was_added(tmp_path: Path, bands: tuple[str, ...]) -> None:
    shards = _write(tmp_path, 8)
    locations, dates = np.array([7, 0, 3, 3]), np.array([[3, 0], [1, 1], [2, 3], [0, 2]])
    read = shards.read(locations, dates, bands)
    assert read.dtype == np.uint16
    for at in np.ndindex(4, 2):
        for c, band in enumerate(bands):
            assert (read[at][c] == _expected(int(locations[at[0]]), int(dates[at]), band)).all()


def test_dates_places_and_truth_come_back(tmp_path: Path) -> None:
    shards = _write(tmp_path, 8)
    assert (shards.count, shards.ids[4], shards.complete, shards.spec) == (8, "place-4", True, SPEC)
    for number in range(8):
        drawn = _location(number)
        assert (shards.days[number] == drawn["days"]).all()
        assert (shards.half[number] == [0, 0, 1, 1]).all()
        assert shards.lonlat[number, 0] == number
        assert shards.changed is not None
        assert shards.changed[number] == np.float32(drawn["changed"])
    assert np.isnan(shards.lonlat[:, 1]).all()
    assert shards.days.shape == (8, 4)


def test_bytes_without_truth_and_with_missing_dates(tmp_path: Path) -> None:
    spec = ShardsSpec(("B08",), (), side=4, dates=3, full=255, source="", licence="", truth=False)
    with ShardWriter(tmp_path, spec) as writer:
        writer.add(**_location(0, spec, dates=2))
        writer.close()
    shards = open_shards(tmp_path)
    assert (shards.half.tolist(), shards.days[0, 2], shards.changed) == ([[0, 1, -1]], -1, None)
    read = shards.read(np.array([0]), np.array([[1, 2]]), ("B08",))
    assert read.dtype == np.uint8
    assert (read[0, 0] == _location(0, spec, dates=2)["images10"][1]).all()
    assert not read[0, 1].any()


def test_pixels_are_read_into_given_memory(tmp_path: Path) -> None:
    shards = _write(tmp_path, 2)
    out = np.zeros((1, 1, 1, 6, 6), np.uint16)
    where = (np.array([1]), np.array([[2]]), ("B04",))
    assert shards.read(*where, out=out) is out
    assert (out[0, 0, 0] == _expected(1, 2, "B04")).all()
    with pytest.raises(ValueError, match="in one piece"):
        shards.read(*where, out=np.zeros((1, 1, 1, 6, 5), np.uint16))


def test_what_is_not_there_is_refused(tmp_path: Path) -> None:
    shards = _write(tmp_path, 2)
    with pytest.raises(DataError, match=r"holds no B08 .*among B04 B03 B02 B11 B01"):
        shards.read(np.array([0]), np.array([[0]]), ("B08", "B04"))
    for location, date in ((2, 0), (-1, 0), (0, 4), (0, -1)):
        with pytest.raises(IndexError):
            shards.read(np.array([location]), np.array([[date]]), ("B04",))


def test_safetensors_reads_a_shard(tmp_path: Path) -> None:
    _write(tmp_path, 3)
    with safe_open(tmp_path / "shard-00000.safetensors", "numpy") as file:
        assert set(file.keys()) == set(SPEC.form(1))
        assert (file.get_tensor("images20")[2] == _location(2)["images20"]).all()
        assert (file.get_tensor("days")[1] == _location(1)["days"]).all()


def test_more_shards_than_are_mapped_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stac.shards._MAPPED", 2)
    shards = _write(tmp_path, 6, per_shard=1)
    read = shards.read(np.arange(6), np.zeros((6, 1), np.int64), ("B03",))
    assert all((read[n, 0, 0] == _expected(n, 0, "B03")).all() for n in range(6))


def test_a_stopped_run_goes_on_and_gives_the_same(tmp_path: Path) -> None:
    whole = _write(tmp_path / "whole", 7)

    def stop(folder: Path) -> None:
        with ShardWriter(folder, SPEC, 3) as writer:
            for number in range(5):
                writer.add(**_location(number))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stop(tmp_path / "stopped")
    half = open_shards(tmp_path / "stopped")
    assert (half.count, half.complete) == (5, False)
    assert "more was to come" in check_shards(tmp_path / "stopped")[0]
    went_on = _write(tmp_path / "stopped", 7)
    where = (np.arange(7), np.tile(np.arange(4), (7, 1)), SPEC.bands10 + SPEC.bands20)
    assert (went_on.read(*where) == whole.read(*where)).all()
    assert went_on.ids == whole.ids
    assert went_on.complete
    assert check_shards(tmp_path / "stopped") == []


def test_a_killed_run_leaves_its_whole_shards(tmp_path: Path, root: Path) -> None:
    code = (
        "import os, sys; from pathlib import Path; sys.path.insert(0, 'tests')\n"
        "import test_shards as t\n"
        "writer = t.ShardWriter(Path(sys.argv[1]), t.SPEC, 3)\n"
        "[writer.add(**t._location(n)) for n in range(5)]\n"
        "os.kill(os.getpid(), 9)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, tmp_path], cwd=root, check=False, capture_output=True, text=True)
    assert done.returncode == -9, done.stderr
    assert open_shards(tmp_path).count == 3
    assert _write(tmp_path, 7).count == 7


def test_a_kill_between_a_shard_and_its_list_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _write(tmp_path, 3)

    def kill(*_: object) -> None:
        raise RuntimeError("killed")

    with monkeypatch.context() as patch:
        patch.setattr(shards_write, "write_index", kill)
        with pytest.raises(RuntimeError, match="killed"):
            _write(tmp_path, 6)
    assert open_shards(tmp_path).count == 3
    assert "shard-00001.safetensors is not listed" in check_shards(tmp_path)[0]
    assert _write(tmp_path, 6).count == 6
    assert check_shards(tmp_path) == []


def test_a_full_disk_costs_only_what_was_not_yet_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _write(tmp_path, 3)

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("stac.files.os.fsync", fail)
        with pytest.raises(OSError, match="No space") as failure:
            _write(tmp_path, 6)
    assert failure.value.filename == str(tmp_path / "shard-00001.safetensors")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["shard-00000.safetensors", "shards.json"]
    assert _write(tmp_path, 6).count == 6


@pytest.mark.parametrize("fault", ["cut", "missing", "other"])
def test_a_damaged_shard_is_named_and_written_again(tmp_path: Path, fault: str) -> None:
    _write(tmp_path, 7)
    path = tmp_path / "shard-00001.safetensors"
    data = path.read_bytes()
    if fault == "missing":
        path.unlink()
    else:
        path.write_bytes(data[:-9] if fault == "cut" else data[:20] + b"x" + data[21:])
    with pytest.raises(DataError, match=rf"{path}.*(cut|missing|no shard).*again"):
        open_shards(tmp_path)
    assert [path.name in line for line in check_shards(tmp_path)] == [True]
    assert _write(tmp_path, 7).count == 7
    assert check_shards(tmp_path) == []


def test_a_check_sees_changed_pixels_and_dates(tmp_path: Path) -> None:
    _write(tmp_path, 7)
    path = tmp_path / "shard-00000.safetensors"
    path.write_bytes(path.read_bytes()[:-100] + b"\x01" * 100)
    (tmp_path / "shard-00002.safetensors").unlink()
    faults = check_shards(tmp_path)
    assert ["another SHA-256" in faults[0], "is missing" in faults[1], len(faults)] == [True, True, 2]
    assert "is not there" in check_shards(tmp_path / "no")[0]


@pytest.mark.parametrize(
    "damage",
    [
        lambda index: index | {"version": 2},
        lambda index: index | {"side": 7},
        lambda index: index | {"side": "6"},
        lambda index: index | {"ids": index["ids"][:1]},
        lambda index: index | {"ids": [["a", "a", "b"]] * 3},
        lambda index: index | {"shards": [{**index["shards"][0], "name": "../x"}, *index["shards"][1:]]},
        lambda index: index | {"shards": [{**index["shards"][0], "count": "3"}, *index["shards"][1:]]},
        lambda index: {name: value for name, value in index.items() if name != "complete"},
        lambda index: [index],
        lambda index: None,
    ],
)
def test_a_damaged_list_is_told_in_a_sentence(tmp_path: Path, damage: Any) -> None:
    _write(tmp_path, 7)
    path = tmp_path / "shards.json"
    path.write_text(json.dumps(damage(json.loads(path.read_text()))))
    with pytest.raises(DataError, match="expected"):
        open_shards(tmp_path)
    path.write_text(path.read_text()[:-5])
    with pytest.raises(DataError, match="cannot be understood"):
        open_shards(tmp_path)


def test_another_kind_of_shards_is_refused_and_nothing_lost(tmp_path: Path) -> None:
    _write(tmp_path, 3)
    other = ShardsSpec(("B04",), (), side=6, dates=4, full=255, source="", licence="", truth=False)
    with pytest.raises(DataError, match=r"another kind \(bands10, bands20, full, .*differ\)"):
        ShardWriter(tmp_path, other)
    assert check_shards(tmp_path) == []
    with ShardWriter(tmp_path, SPEC), pytest.raises(StoreError, match="another build is writing"):
        ShardWriter(tmp_path, SPEC)
    _write(tmp_path, 3)  # the folder is free again


@pytest.mark.parametrize(
    "change",
    [
        {"images10": np.zeros((4, 3, 6, 6), np.uint8)},
        {"images10": np.zeros((5, 3, 6, 6), np.uint16)},
        {"images20": np.zeros((4, 2, 6, 6), np.uint16)},
        {"images20": None},
        {"changed": None},
        {"days": np.array([5, 4, 6, 7])},
        {"days": np.array([5, -1, 6, 7])},
        {"half": np.array([0, 1, 2, 1])},
        {"half": np.array([0, 0, 1, -1])},
        {"lonlat": (0.0, 1.0, 2.0)},
        {"location_id": "place-9"},
    ],
)
def test_what_cannot_be_a_location_is_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    with ShardWriter(tmp_path, SPEC) as writer:
        writer.add(**_location(9))
        with pytest.raises(ValueError, match=r"location|images|lonlat"):
            writer.add(**(_location(1) | change))


def test_nothing_heavy_is_imported(root: Path) -> None:
    code = (
        "import sys, stac.shards\n"
        "ours = {name.split('.')[0] for name in sys.modules} - sys.stdlib_module_names\n"
        "print(sorted(name for name in ours if not name.startswith('_')))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert set(json.loads(done.stdout.replace("'", '"'))) <= {"numpy", "stac", "sitecustomize", "usercustomize"}
