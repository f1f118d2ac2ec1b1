from __future__ import annotations

import json
from pathlib import Path

import pytest

from index.manifest import STORE_VERSION, open_manifest
from index.store import open_scenes, open_store, read_observations
from stac.errors import StoreError


def edit(store: Path, **changes: object) -> None:
    path = store / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_an_opened_store_holds_what_its_manifest_says(demo_store: Path) -> None:
    store = open_store(demo_store)
    assert len(store.events) == store.manifest.counts["events"]
    assert store.centres.shape == (len(store.events), 2)
    assert store.events["event_id"].is_unique


def test_another_version_is_refused_with_what_to_do(copied_store: Path) -> None:
    edit(copied_store, version=STORE_VERSION + 1)
    with pytest.raises(StoreError, match=rf"is of version {STORE_VERSION + 1} .*build it again"):
        open_store(copied_store)


def test_a_store_without_manifest_is_unfinished(copied_store: Path) -> None:
    (copied_store / "manifest.json").unlink()
    with pytest.raises(StoreError, match=r"unfinished.*run its index\.build command again"):
        open_store(copied_store)


def test_no_store_at_all(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"there is no store at .*build one"):
        open_store(tmp_path / "none")


@pytest.mark.parametrize("content", [b"{", b"[]", b'{"version": 3}', b"null", b"\xff\xfe", b'{"version": true}'])
def test_a_damaged_manifest_is_named(copied_store: Path, content: bytes) -> None:
    (copied_store / "manifest.json").write_bytes(content)
    with pytest.raises(StoreError, match=r"manifest\.json is damaged.*same index\.build command again"):
        open_store(copied_store)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"blocks": []}, "blocks is empty"),
        ({"blocks": [5]}, "(blocks.0: "),
        ({"blocks": {}}, "(blocks: "),
        ({"encoder": {}}, "(encoder.name: "),
        ({"encoder": {"name": "x", "sha256": "0", "bands": "B02", "dim": 3}}, "(encoder.bands: "),
        ({"chip_size": "32"}, "(chip_size: "),
        ({"gsd": 0}, "nought"),
        ({"counts": {"events": None}}, "(counts.events: "),
        ({"items": None}, "(items: "),
        ({"area": {"type": "Circle"}}, "area or period"),
        ({"period": "always"}, "always"),
        ({"arguments": []}, "(arguments: "),
    ],
)
def test_a_manifest_of_other_content_is_refused(copied_store: Path, changes: dict[str, object], told: str) -> None:
    edit(copied_store, **changes)
    with pytest.raises(StoreError, match=r"manifest\.json is damaged") as caught:
        open_store(copied_store)
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_manifest_with_other_row_counts_is_noticed(copied_store: Path) -> None:
    blocks = json.loads((copied_store / "manifest.json").read_text())["blocks"]
    blocks[0]["events"]["rows"] += 1
    edit(copied_store, blocks=blocks)
    with pytest.raises(StoreError, match=r"holds \d+ events .*same index\.build command again"):
        _ = open_store(copied_store).events


@pytest.mark.parametrize("folder", ["observations", "events", "vectors"])
def test_every_file_is_held_against_the_manifest(copied_store: Path, folder: str) -> None:
    path = min((copied_store / folder).iterdir())
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(bytes(content))
    with pytest.raises(StoreError, match=rf"{path.name} has another SHA-256"):
        open_store(copied_store)
    path.write_bytes(bytes(content[:-1]))
    with pytest.raises(StoreError, match=rf"{path.name} has {len(content) - 1} bytes"):
        open_store(copied_store, verify=False)
    path.unlink()
    with pytest.raises(StoreError, match=rf"{path.name} is missing"):
        open_store(copied_store, verify=False)


def test_a_path_out_of_the_store_is_refused(copied_store: Path) -> None:
    manifest = json.loads((copied_store / "manifest.json").read_text())
    manifest["items"]["path"] = "../../etc/passwd"
    (copied_store / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(StoreError, match=r"passwd"):
        open_store(copied_store)


def test_the_time_line_of_a_location_is_in_order(demo_store: Path) -> None:
    store = open_store(demo_store)
    place = store.events["location_id"].iloc[0]
    series = read_observations(store, place)
    assert series["time"].is_monotonic_increasing
    assert set(series["location_id"]) == {place}
    embedded = series["embedding"].notna()
    assert (series["clear_fraction"][embedded] >= 0.8).all()
    assert all(len(vector) == store.manifest.dim for vector in series["embedding"][embedded])


def test_a_location_outside_is_refused(demo_store: Path) -> None:
    with pytest.raises(StoreError, match="32610_1_1_320"):
        read_observations(open_store(demo_store), "32610_1_1_320")


def test_the_scenes_behind_observations_are_all_there(demo_store: Path) -> None:
    store = open_store(demo_store)
    scenes = open_scenes(store)
    series = read_observations(store, store.events["location_id"].iloc[0])
    assert {name for names in series["item_ids"] for name in names} <= set(scenes)


def test_manifest_round_trip(demo_store: Path, tmp_path: Path) -> None:
    from index.manifest import save_manifest

    manifest = open_manifest(demo_store)
    save_manifest(manifest, tmp_path)
    assert open_manifest(tmp_path) == manifest
