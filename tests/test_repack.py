"""Repacking published archives: the same pixels from every form of one, and nothing lost by what goes wrong."""

from __future__ import annotations

import json
import random
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stac import repack
from stac.errors import DataError
from stac.sampling import archive_locations, published_pack
from stac.sampling.published_pack import Outcome, PackRequest, pack
from stac.shards import Shards, check_shards, open_shards
from tests.published import (
    OLDER,
    RECENT,
    ROOT,
    SIDE,
    Files,
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


def _pack(out: Path, *sources: Path, **options: Any) -> tuple[Shards, Outcome]:
    outcome = pack(PackRequest(sources, out, **options))
    return open_shards(out), outcome


def _all_pixels(shards: Shards, bands: tuple[str, ...] = ("B04", "B03", "B02")) -> Any:
    every = np.tile(np.arange(shards.spec.dates), (shards.count, 1))
    return shards.read(np.arange(shards.count), every, bands)


@pytest.fixture(scope="module")
def files() -> Files:
    return archive(4)


@pytest.fixture(scope="module")
def packed(files: Files, tmp_path_factory: pytest.TempPathFactory) -> Shards:
    folder = tmp_path_factory.mktemp("packed")
    return _pack(folder / "shards", write_tar(folder / "caco10k.tar.gz", files))[0]


def test_pixels_dates_halves_and_places_are_the_archives_own(files: Files, packed: Shards) -> None:
    assert packed.ids == ("000000", "000001", "000002", "000003")
    assert (packed.spec.side, packed.spec.dates, packed.spec.full, packed.complete) == (SIDE, 10, 255, True)
    assert "CACo, 10k" in packed.spec.source
    pixels = _all_pixels(packed)
    for number, (at, day) in ((n, pair) for n in range(4) for pair in enumerate(OLDER + RECENT)):
        for c, name in enumerate(("B4", "B3", "B2")):
            path = f"{ROOT}/{number:06d}/{index(day)}/{name}.tif"
            assert (pixels[number, at, c] == decode(files[path])).all()
        assert np.datetime64(int(packed.days[number, at]), "D") == np.datetime64(f"{day[:4]}-{day[4:6]}-{day[6:]}")
    assert packed.half.tolist() == [[0] * 5 + [1] * 5] * 4
    centre = SIDE / 2 * 9e-5
    assert packed.lonlat == pytest.approx(np.array([[30 + n + centre, 10 - centre] for n in range(4)]))


@pytest.mark.parametrize(
    "form", ["folder", "folder above", "tar", "zip", "parts", "folder of parts", "parts in folders"]
)
def test_every_form_gives_the_same(tmp_path: Path, files: Files, packed: Shards, form: str) -> None:
    data = tar_bytes(files)
    sizes = [1, 777, 7, len(data) // 3, *[501] * 8]  # 13 parts: 10 comes after 9
    if form.startswith("folder a") or form == "folder":
        root = write_folder(tmp_path / "unpacked", files)
        sources = [root if form == "folder" else root.parent]
    elif form == "tar":
        sources = [tmp_path / "x.tar"]
        sources[0].write_bytes(tar_bytes(files, mode="w"))
    elif form == "zip":
        sources = [write_zip(tmp_path / "x.zip", files)]
    else:
        sources = write_parts(tmp_path / "one", data, sizes)
        random.Random(1).shuffle(sources)
        if form == "folder of parts":
            sources = [tmp_path / "one"]
        elif form == "parts in folders":
            (tmp_path / "two").mkdir()
            sources = [path.rename(tmp_path / "two" / path.name) for path in sources[:5]]
            sources = [tmp_path / "one", tmp_path / "two"]
    shards, outcome = _pack(tmp_path / "shards", *sources)
    assert (shards.ids, shards.spec) == (packed.ids, packed.spec)
    assert (_all_pixels(shards) == _all_pixels(packed)).all()
    assert (shards.days == packed.days).all()
    assert (outcome.locations, outcome.packed, outcome.images, outcome.complete) == (4, 4, 40, True)
    assert check_shards(tmp_path / "shards") == []


def test_all_bands_lie_at_their_sampling(tmp_path: Path, files: Files) -> None:
    shards, _ = _pack(tmp_path / "shards", write_tar(tmp_path / "a.tgz", files), bands=None)
    assert shards.spec.bands10 == ("B02", "B03", "B04", "B08")
    assert shards.spec.bands20 == ("B01", "B8A", "B11")
    pixels = _all_pixels(shards, ("B11", "B01", "B08"))[2, 7]
    folder = f"{ROOT}/000002/{index(RECENT[2])}"
    for c, (name, times) in enumerate((("B11", 2), ("B1", 6), ("B8", 1))):
        assert (pixels[c] == np.kron(decode(files[f"{folder}/{name}.tif"]), np.ones((times, times)))).all()


def test_members_in_any_order_within_some_locations(tmp_path: Path, files: Files, packed: Shards) -> None:
    names = list(files)
    random.Random(0).shuffle(names)
    shards, outcome = _pack(tmp_path / "s", write_tar(tmp_path / "a.tgz", {name: files[name] for name in names}))
    order = [shards.ids.index(name) for name in packed.ids]
    assert (_all_pixels(shards)[order] == _all_pixels(packed)).all()
    assert not outcome.images_left_out


def test_what_comes_too_late_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive_locations, "IDLE", 2)
    files = archive(4)
    late = f"{ROOT}/000000/{index(OLDER[0])}/B4.tif"
    files[late] = files.pop(late)
    _, outcome = _pack(tmp_path / "s", write_tar(tmp_path / "a.tgz", files))
    assert outcome.images_left_out == {"B04 is missing": 1, published_pack.LATE: 1}
    assert outcome.locations == 4


def test_seco_has_one_half(tmp_path: Path) -> None:
    files = archive(2, days=RECENT, root="seasonal_contrast_100k")
    files |= location(2, RECENT[:1], root="seasonal_contrast_100k")
    shards, outcome = _pack(tmp_path / "s", write_zip(tmp_path / "seco_100k.zip", files))
    assert shards.half.tolist() == [[1] * 5] * 2
    assert "SeCo, 100k" in shards.spec.source
    assert outcome.left_out == {"too few dates": 1}
    assert outcome.named == ["000002: too few dates (0 older and 1 recent)"]


def test_stopped_and_limited_runs_go_on(
    tmp_path: Path, files: Files, packed: Shards, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = write_tar(tmp_path / "a.tgz", files)
    real = published_pack.decode_location

    def fail(raw: Any, spec: Any) -> Any:
        if raw.name == "000002":
            raise KeyboardInterrupt
        return real(raw, spec)

    with monkeypatch.context() as patch:
        patch.setattr(published_pack, "decode_location", fail)
        with pytest.raises(KeyboardInterrupt):
            _pack(tmp_path / "s", source)
    assert (open_shards(tmp_path / "s").ids, open_shards(tmp_path / "s").complete) == (("000000", "000001"), False)
    shards, outcome = _pack(tmp_path / "s", source, limit=3)
    assert (shards.count, outcome.packed, outcome.complete) == (3, 1, False)
    assert _pack(tmp_path / "s", source, limit=3)[1].packed == 0
    shards, outcome = _pack(tmp_path / "s", source)
    assert (outcome.packed, outcome.complete, shards.ids) == (1, True, packed.ids)
    assert (_all_pixels(shards) == _all_pixels(packed)).all()
    again, outcome = _pack(tmp_path / "s", source)
    assert (outcome.packed, outcome.locations, outcome.complete, again.ids) == (0, 4, True, packed.ids)
    (tmp_path / "s" / "shard-00000.safetensors").unlink()
    shards, outcome = _pack(tmp_path / "s", source)
    assert (outcome.packed, sorted(shards.ids)) == (2, sorted(packed.ids))


def test_a_cut_archive_keeps_what_is_whole_and_goes_on_when_mended(
    tmp_path: Path, files: Files, packed: Shards
) -> None:
    data = tar_bytes(files)
    source = tmp_path / "a.tar.gz"
    source.write_bytes(data[: int(len(data) * 0.7)])
    with pytest.raises(DataError, match=r"a\.tar\.gz is cut short or damaged .*; 2 locations are packed and stay"):
        _pack(tmp_path / "s", source)
    shards = open_shards(tmp_path / "s")
    assert (shards.ids, shards.complete) == (("000000", "000001"), False)
    assert (_all_pixels(shards) == _all_pixels(packed)[:2]).all()
    source.write_bytes(data)
    shards, outcome = _pack(tmp_path / "s", source)
    assert (shards.ids, outcome.packed) == (packed.ids, 2)
    assert (_all_pixels(shards) == _all_pixels(packed)).all()


def test_a_cut_archive_whose_locations_are_strewn_keeps_none_that_may_lack_some(tmp_path: Path, files: Files) -> None:
    names = sorted(files, key=lambda name: name.split("/")[2])  # date by date
    source = tmp_path / "a.tar.gz"
    data = tar_bytes({name: files[name] for name in names})
    source.write_bytes(data[: int(len(data) * 0.97)])
    with pytest.raises(DataError, match="cut short"):
        _pack(tmp_path / "s", source)
    assert not (tmp_path / "s" / "shards.json").exists()


def test_an_image_that_cannot_be_read_costs_its_date_only(tmp_path: Path, files: Files, packed: Shards) -> None:
    bad = dict(files)
    bad[f"{ROOT}/000000/{index(RECENT[0])}/B4.tif"] = b"no image at all"
    bad[f"{ROOT}/000001/{index(OLDER[1])}/B3.tif"] = b""
    del bad[f"{ROOT}/000001/{index(OLDER[2])}/B2.tif"]
    bad[f"{ROOT}/000002/{index(OLDER[0])}/metadata.json"] = b'{"properties": {"system:index": "another"}}'
    for day in OLDER[:3]:
        bad[f"{ROOT}/000003/{index(day)}/B4.tif"] = bad[f"{ROOT}/000003/{index(day)}/B4.tif"][:200]
    shards, outcome = _pack(tmp_path / "s", write_tar(tmp_path / "a.tgz", bad))
    assert shards.ids == ("000000", "000001", "000002")
    assert shards.half[0].tolist() == [0] * 5 + [1] * 4 + [-1]  # no image moved into another half
    assert (_all_pixels(shards)[0, :9] == _all_pixels(packed)[0, [0, 1, 2, 3, 4, 6, 7, 8, 9]]).all()
    assert outcome.left_out == {"too few dates": 1}
    assert outcome.images_left_out == {
        "B04 cannot be decoded": 4,
        "B03 cannot be decoded": 1,
        "B02 is missing": 1,
        "its metadata.json is of another image": 1,
    }
    assert f"000000/{index(RECENT[0])}: B04 cannot be decoded" in outcome.named
    assert shards.complete


def test_sizes_are_cut_to_the_common_one_or_left_out(tmp_path: Path) -> None:
    files = archive(3) | location(3, side=SIDE + 6) | location(4, side=SIDE + 12) | location(5, side=SIDE - 6)
    larger = f"{ROOT}/000001/{index(OLDER[0])}/B4.tif"
    files[larger] = band((1, 0, 2), SIDE + 1, wide=SIDE + 3)
    shards, outcome = _pack(tmp_path / "s", write_tar(tmp_path / "a.tgz", files))
    assert shards.ids == ("000000", "000001", "000002", "000003")
    assert shards.spec.side == SIDE
    pixels = _all_pixels(shards)
    assert (pixels[1, 0, 0] == decode(files[larger])[:SIDE, 1 : SIDE + 1]).all()
    first = f"{ROOT}/000003/{index(OLDER[0])}/B4.tif"
    assert (pixels[3, 0, 0] == decode(files[first])[3:-3, 3:-3]).all()
    assert outcome.left_out == {"images of other sizes": 2}
    assert any("B04 has 60 × 60 px instead of 48 × 48" in line for line in outcome.named)


def test_links_absolute_paths_and_pickles_do_nothing(tmp_path: Path, files: Files, packed: Shards) -> None:
    folder = f"{ROOT}/000000/{index(OLDER[0])}"
    names = ("/abs/000009/x/B4.tif", f"../../{folder}/../../../escaped.tif", f"{ROOT}/evil.pkl", f"{ROOT}/../../B4.tif")
    extra = [tarfile.TarInfo(name) for name in names]
    link = tarfile.TarInfo(f"{folder}/B4.tif")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    extra.append(link)
    source = tmp_path / "in" / "a.tgz"
    source.parent.mkdir()
    source.write_bytes(tar_bytes(files, extra))
    shards, _ = _pack(tmp_path / "in" / "s", source)
    assert (shards.ids, len(list(tmp_path.rglob("*")))) == (packed.ids, 5)
    assert (_all_pixels(shards) == _all_pixels(packed)).all()


def test_a_full_disk_is_a_sentence(
    tmp_path: Path, files: Files, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("stac.files.os.fsync", fail)
    source = write_tar(tmp_path / "a.tgz", files)
    assert repack.main([str(source), "--out", str(tmp_path / "s")]) == 2
    assert "the disk is full" in capsys.readouterr().err


def test_the_command_reports(tmp_path: Path, files: Files, capsys: pytest.CaptureFixture[str]) -> None:
    source = str(write_tar(tmp_path / "a.tgz", files | location(7, OLDER)))
    assert repack.main([source, "--out", str(tmp_path / "s"), "--limit", "2"]) == 0
    assert "the same command without --limit goes on" in capsys.readouterr().out
    assert repack.main([source, "--out", str(tmp_path / "s"), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert {name: told[name] for name in ("locations", "packed", "images", "complete", "left_out")} == {
        "locations": 4,
        "packed": 2,
        "images": 20,
        "complete": True,
        "left_out": {"too few dates": 1},
    }
    assert repack.main([source, "--out", str(tmp_path / "s")]) == 0
    assert "nothing was left to pack" in capsys.readouterr().out
    assert repack.main([source, "--out", str(tmp_path / "s"), "--bands", "B8,B4"]) == 2
    assert "another kind (bands10 differ)" in capsys.readouterr().err
    other = str(write_tar(tmp_path / "b.tgz", archive(1, root="clean_1m_geography")))
    assert repack.main([other, "--out", str(tmp_path / "s")]) == 2
    assert "another kind (source differ)" in capsys.readouterr().err


def test_what_cannot_be_packed_is_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.tar.gz").write_text("hello")
    (tmp_path / "none").touch()
    other = {f"photos/{n}/x/B4.tif": b"1" for n in range(3)}
    one_date = write_tar(tmp_path / "one.tgz", archive(2, days=RECENT[:1]))
    two = write_tar(tmp_path / "two.tgz", archive(1))
    bad = write_tar(tmp_path / "bad.tgz", dict.fromkeys(location(0), b"x"))
    cut = tmp_path / "cut.tgz"
    cut.write_bytes(two.read_bytes()[:100])
    for sources, words in (
        ([tmp_path / "absent"], "is not there"),
        ([tmp_path / "empty"], "holds no image"),
        ([tmp_path / "text.tar.gz"], "does not begin as an archive does"),
        ([tmp_path / "none"], "does not begin as an archive does"),
        ([cut], "is cut short or damaged"),
        ([write_tar(tmp_path / "other.tgz", other)], "holds no image"),
        ([one_date], "2 with too few dates"),
        ([bad], "cannot be decoded"),
        ([one_date, two], "no part of an archive"),
        ([two, "--bands", "B12"], "hold no B12"),
        ([two, "--bands", "B99"], "'B99' is unknown"),
        ([two, "--limit", "0"], "--limit 0"),
    ):
        assert repack.main([*map(str, sources), "--out", str(tmp_path / "s")]) == 2, words
        told = capsys.readouterr()
        assert words in told.err
        assert (told.err.count("\n"), told.out) == (1, "")
    assert not (tmp_path / "s" / "shards.json").exists()
    assert not any((tmp_path / "empty").iterdir())
