"""Reading published archives: their parts, their members, what makes a location, and images that are none."""

from __future__ import annotations

import contextlib
import math
import random
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin

from stac.errors import DataError
from stac.sampling import archive_locations
from stac.sampling.archive_locations import Locations, RawLocation, band_of
from stac.sampling.archive_members import MAX_BYTES, Archive, find_root
from stac.sampling.archive_parts import PartsReader, find_files
from stac.sampling.published import OTHER_SIZES, TOO_FEW, decode_location, make_spec
from stac.sampling.published_images import BadImageError, OtherSizeError, read_image
from stac.shards import ShardsSpec
from tests.published import (
    OLDER,
    RECENT,
    ROOT,
    SIDE,
    archive,
    band,
    decode,
    index,
    location,
    tar_bytes,
    write_folder,
    write_parts,
    write_tar,
    write_zip,
)

RGB = ("B04", "B03", "B02")
# The command ignores it too: what has no reference has no lonlat.
_NO_PLACE = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
SPEC = ShardsSpec(RGB, (), side=SIDE, dates=10, full=255, source="", licence="", truth=False)


def _touch(folder: Path, *names: str) -> list[Path]:
    for name in names:
        (folder / name).write_bytes(name.encode())
    return [folder / name for name in names]


def _raw(number: int = 0, **options: Any) -> RawLocation:
    """A location as an archive gives it."""
    raw = RawLocation(f"{number:06d}", ROOT)
    for path, data in location(number, **options).items():
        names = path.split("/")
        if len(names) == 4:
            raw.images.setdefault(names[2], {})[band_of(names[3]) or names[3]] = data
    return raw


def _names(sources: list[Path]) -> list[str]:
    return [path.name for path in find_files(sources)]


def test_parts_come_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    numbers = [f"clean_1m_geography_part{number}" for number in (0, 2, 10, 9, 1, *range(3, 9))]
    assert _names(_touch(tmp_path, *numbers)) == [f"clean_1m_geography_part{number}" for number in range(11)]
    (tmp_path / "l").mkdir()
    letters = ["a.tar.gz.part-ab", "a.tar.gz.part-aa", "a.tar.gz.part-ac"]
    assert _names(_touch(tmp_path / "l", *letters)) == sorted(letters)
    assert _names([tmp_path / "l"]) == sorted(letters)


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (("x_part1", "x_part2", "x_part5"), "2 of the parts between x_part2 and x_part5 are missing"),
        (("x_partaa", "x_partac"), "1 of the parts between"),
        (("x_part1", "x_part01"), "are the same part"),
        (("x_part1", "y_part2"), "parts of several archives: x_part1, y_part2"),
        (("x_part1", "x_partb"), "parts of several archives"),
        (("x.tar.gz", "y.tar.gz"), "x.tar.gz is no part"),
    ],
)
def test_parts_that_are_not_all_of_one_archive_are_refused(tmp_path: Path, names: tuple[str, ...], words: str) -> None:
    with pytest.raises(DataError, match=words):
        find_files(_touch(tmp_path, *names))


def test_parts_read_as_one_file(tmp_path: Path) -> None:
    data = random.Random(0).randbytes(5000)
    paths = write_parts(tmp_path, data, [1, 0, 999, 2000])
    reader = PartsReader(paths)
    assert reader.total == 5000
    got = b""
    while piece := reader.read(700):
        got += piece
    assert (got, reader.position, reader.current) == (data, 5000, paths[-1])
    reader.close()


def _locations(
    source: Path | list[Path], bands: tuple[str, ...] = RGB, skip: set[str] | None = None
) -> list[RawLocation]:
    with contextlib.closing(Archive(source if isinstance(source, list) else [source])) as opened:
        return list(Locations(opened, bands, skip or ()))


def _read_all(source: Path | list[Path]) -> list[str]:
    return [raw.name for raw in _locations(source)]


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        ("last", "goes on after its last part, clean_10k_geography_part6"),
        ("cut", "goes on after its last part, clean_10k_geography_part7"),
        ("first", "part1 does not begin as an archive does .*give the first part too"),
        ("swapped", "breaks off in part [3-8] of 8|bytes within .* are damaged"),
        ("shortened", "breaks off in part [3-8] of 8|bytes within .* are damaged"),
        ("changed", "breaks off in part [5-8] of 8|bytes within .*repack it into an empty folder"),
    ],
)
def test_damaged_parts_are_told_apart(tmp_path: Path, damage: str, words: str) -> None:
    data = tar_bytes(archive(2))
    paths = write_parts(tmp_path, data, [len(data) // 8 + 1] * 7)
    assert _read_all(paths) == ["000000", "000001"]
    if damage in ("last", "first"):
        paths.pop(0 if damage == "first" else -1)
    elif damage == "cut":
        paths[-1].write_bytes(paths[-1].read_bytes()[:-9])
    elif damage == "swapped":
        third, fifth = paths[2].read_bytes(), paths[4].read_bytes()
        paths[2].write_bytes(fifth)
        paths[4].write_bytes(third)
    elif damage == "shortened":
        paths[2].write_bytes(paths[2].read_bytes()[:-100])
    else:
        held = bytearray(paths[4].read_bytes())
        held[50] ^= 255
        paths[4].write_bytes(held)
    with pytest.raises(DataError, match=words):
        _read_all(paths)


def test_a_tar_with_a_damaged_head_or_without_its_end_is_cut(tmp_path: Path) -> None:
    data = bytearray(tar_bytes(archive(2), mode="w"))
    path = tmp_path / "a.tar"
    path.write_bytes(data)
    assert len(_read_all(path)) == 2
    path.write_bytes(data[: data.rindex(b"ustar") - 257])  # between two members
    with pytest.raises(DataError, match="its end is missing"):
        _read_all(path)
    data[data.rindex(b"000001") + 20] ^= 255
    path.write_bytes(data)
    with pytest.raises(DataError, match="a head is damaged"):
        _read_all(path)


def test_a_zip_that_is_cut_and_a_member_that_is_damaged(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.zip", archive(1))
    whole = path.read_bytes()
    at = whole.index(b"B4.tif") + 60
    path.write_bytes(whole[:at] + bytes(byte ^ 255 for byte in whole[at : at + 9]) + whole[at + 9 :])
    (raw,) = _locations(path)
    assert [not files["B04"] for files in raw.images.values()] == [True] + [False] * 9
    path.write_bytes(whole[:-30])
    with pytest.raises(DataError, match="cut short or damaged"):
        _read_all(path)
    parts = write_parts(tmp_path / "parts", whole, [1000])
    with pytest.raises(DataError, match="zip in 2 parts"):
        _read_all(parts)


def test_what_is_too_large_or_a_link_is_not_read(tmp_path: Path) -> None:
    files = location(0, RECENT[:2])
    large = f"{ROOT}/000000/{index(RECENT[0])}/B4.tif"
    path = tmp_path / "a.zip"
    link = zipfile.ZipInfo(f"{ROOT}/000000/{index(RECENT[1])}/B4.tif")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in files.items():
            if name != link.filename:
                file.writestr(name, b"\0" * (MAX_BYTES + 1) if name == large else data)
        file.writestr(link, "/etc/passwd")
    (raw,) = _locations(path)
    assert [sorted(set(files) & set(RGB)) for files in raw.images.values()] == [["B02", "B03"]] * 2


def test_only_what_is_wanted_is_read_and_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = archive(5, days=RECENT[:2])
    source = write_tar(tmp_path / "a.tgz", files)
    raws = _locations(source, ("B04",), {"000001", "000003"})
    assert [raw.name for raw in raws] == ["000000", "000002", "000004"]
    assert set(raws[0].images[index(RECENT[0])]) == {"B04", "metadata.json"}
    monkeypatch.setattr(archive_locations, "HELD_BYTES", raws[0].size + 1)
    with contextlib.closing(Archive([source])) as opened:
        locations = Locations(opened, ("B04",), ())
        assert [len(locations._held) <= 1 for _ in locations] == [True] * 5
    assert find_root([source]) == ROOT
    assert find_root([write_folder(tmp_path / "u", files)]) == ROOT


def test_halves_follow_the_names_whatever_can_be_read() -> None:
    raw = _raw(days=(*OLDER, *RECENT, "20150101", "20150102"))
    raw.images[index(RECENT[2])]["B03"] = b""
    raw.images[index(OLDER[0])]["metadata.json"] = b"{"  # says nothing, costs nothing
    decoded = decode_location(raw, SPEC)
    assert decoded.series
    assert decoded.series.half.tolist() == [0] * 5 + [1] * 4
    days = [str(np.datetime64(int(day), "D")).replace("-", "") for day in decoded.series.days]
    assert tuple(days) == OLDER + RECENT[:2] + RECENT[3:]
    assert sorted(why for _, why in decoded.faults) == ["B03 cannot be decoded"] + ["more dates than are stored"] * 2


def test_locations_that_cannot_be_used_say_why() -> None:
    assert decode_location(_raw(days=OLDER[:2] + RECENT), SPEC).left_out == TOO_FEW
    assert decode_location(_raw(days=OLDER[:3] + RECENT), SPEC).series
    assert decode_location(_raw(side=SIDE - 2), SPEC).left_out == OTHER_SIZES
    strange = _raw()
    strange.images["20169999T075629_x"] = strange.images.pop(index(OLDER[0]))
    assert decode_location(strange, SPEC).faults == [("000000/20169999T075629_x", "its name holds no date")]


def test_the_spec_follows_the_first_locations() -> None:
    sample = [_raw(0), _raw(1, side=SIDE + 12), _raw(2), _raw(3, side=SIDE + 1)]
    spec = make_spec(sample, RGB)
    assert spec
    assert (spec.side, spec.dates, spec.bands10, spec.bands20) == (SIDE, 10, RGB, ())
    assert make_spec([_raw(3, side=SIDE + 7)], RGB).side == SIDE + 6  # type: ignore[union-attr]
    only = make_spec([_raw(0, days=RECENT)], ("B8A",))
    assert only
    assert (only.side, only.dates, only.bands20) == (SIDE, 5, ("B8A",))
    for files in sample[0].images.values():
        files["B02"] = b""
    assert make_spec(sample[:1], ("B02",)) is None
    with pytest.raises(DataError, match="hold no B12"):
        make_spec(sample, ("B12", "B04"))


@_NO_PLACE
def test_an_image_is_placed_by_its_file() -> None:
    image = read_image({"B04": band((4,), SIDE)}, ("B04",), (), SIDE)
    assert image.lonlat == pytest.approx((34.00216, 9.99784))
    metres = {"crs": "EPSG:32636", "transform": from_origin(5, 5, 1, 1)}
    for place in (metres, {"crs": None}, {"transform": None}):
        nowhere = read_image({"B04": band((0,), SIDE, **place)}, ("B04",), (), SIDE)
        assert all(math.isnan(value) for value in nowhere.lonlat)


@_NO_PLACE
def test_images_that_are_none_are_refused() -> None:
    two = band((0,), SIDE)
    assert (read_image({"B04": two}, ("B04",), (), SIDE).images10[0] == decode(two)).all()
    words = band((0,), SIDE, dtype="uint16", compress="lzw")
    wide = band((0,), SIDE, compress="deflate", width=3000, height=3000, sparse_ok=True)
    png = _png()
    for data in (b"", b"text", words, wide, png, two[:60], two[: len(two) // 2]):
        with pytest.raises(BadImageError, match="B04"):
            read_image({"B04": data}, ("B04",), (), SIDE)
    with pytest.raises(BadImageError, match="B03 is missing"):
        read_image({"B04": two}, RGB, (), SIDE)
    with pytest.raises(OtherSizeError, match="48 × 48 px instead of 24 × 24"):
        read_image({"B04": two}, ("B04",), (), SIDE // 2)


def _png() -> bytes:
    with rasterio.MemoryFile() as memory:
        with memory.open(driver="PNG", width=SIDE, height=SIDE, count=1, dtype="uint8") as file:
            file.write(np.zeros((1, SIDE, SIDE), np.uint8))
        return memory.read()


@_NO_PLACE
def test_bytes_changed_at_random_never_raise_anything_else() -> None:
    good = band((0,), SIDE)
    rng = random.Random(4)
    for _ in range(300):
        data = bytearray(good)
        for _ in range(rng.randint(1, 6)):
            data[rng.randrange(min(len(data), 500))] = rng.randrange(256)
        with contextlib.suppress(BadImageError, OtherSizeError):
            assert read_image({"B04": bytes(data)}, ("B04",), (), SIDE).images10.shape == (1, SIDE, SIDE)


@pytest.mark.parametrize(("file", "name"), [("B4.tif", "B04"), ("B8A.tif", "B8A"), ("B12.tif", "B12"), ("B10.tif", "")])
def test_files_are_named_as_earth_engine_names_bands(file: str, name: str) -> None:
    assert band_of(file) == name
