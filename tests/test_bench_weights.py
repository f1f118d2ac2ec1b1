"""Frozen encoders side by side: what the tasks ask, on data whose answer is known, and that the command runs."""

from __future__ import annotations

import importlib
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from PIL import Image

from encoder.per_pixel import PixelsEncoder
from stac.errors import DataError

BANDS = ("B02", "B03", "B04", "B08", "B12")
GREEN = np.array([400, 600, 500, 3000, 1200])
ASH = np.array([500, 600, 700, 1000, 2400])


@pytest.fixture(autouse=True)
def _bench(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(root / "bench"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


def bench(name: str) -> Any:
    return importlib.import_module(name)


def write_fire(folder: Path, number: int, *, fire: bool = True, smoke: int = 0) -> None:
    """A fire that burns the west of its area, in degrees, 64 rows of about 20 m."""
    rng, side, step = np.random.default_rng(number), 64, 0.00017966305682390427
    folder.mkdir(parents=True)
    before = GREEN[:, None, None] * rng.uniform(0.8, 1.2) + rng.normal(0, 20, (5, side, side))
    after, inside = before * rng.uniform(0.9, 1.1), np.zeros((1, side, side))
    inside[:, :, :40] = 1
    if fire:
        after[:, :, :40] = ASH[:, None, None] + rng.normal(0, 20, (5, side, 40))
    after += smoke
    transform = rasterio.Affine(step, 0, -121 + number, 0, -step, 39)
    for name, image, kind in (("before", before, "uint16"), ("after", after, "uint16"), ("perimeter", inside, "uint8")):
        shape = {"count": len(image), "height": side, "width": side, "dtype": kind}
        with rasterio.open(
            folder / f"{name}.tif", "w", driver="GTiff", crs="EPSG:4326", transform=transform, **shape
        ) as file:
            file.write(image.astype(kind))
            if name != "perimeter":
                file.descriptions = BANDS


@pytest.fixture
def real(tmp_path: Path) -> Path:
    """Four fires and a EuroSAT whose classes differ in colour, in the real data's layout."""
    for number in range(4):
        write_fire(tmp_path / "calfire-style" / f"{number}_20240701", number)
    classes, rng = bench("eurosat").CLASSES, np.random.default_rng(0)
    splits = tmp_path / "eurosat-rgb" / "splits"
    splits.mkdir(parents=True)
    with zipfile.ZipFile(tmp_path / "eurosat-rgb" / "EuroSAT.zip", "w") as archive:
        for split, count in (("train", 12), ("val", 2), ("test", 6)):
            names = [f"{name}_{split}{i}" for name in classes for i in range(count)]
            (splits / f"eurosat-spatial-{split}.txt").write_text("\n".join(f"{name}.tif" for name in names))
            for name in names:
                kind = classes.index(name.split("_")[0])
                turn = 2 * np.pi * (kind / 10 + np.arange(3) / 3)  # around the circle of hues: a cosine tells all ten
                pixels = 140 + 60 * np.cos(turn) + rng.normal(0, 6, (64, 64, 3))
                file = io.BytesIO()
                Image.fromarray(pixels.astype(np.uint8)).save(file, "JPEG")
                archive.writestr(f"2750/{classes[kind]}/{name}.jpg", file.getvalue())
    return tmp_path


def test_rendered_pixels_come_back_as_counts() -> None:
    eurosat = bench("eurosat")
    pixels = np.array([1, 128, 255], np.uint8).repeat(3).reshape(3, 1, 1, 3)
    toa = eurosat.to_counts(pixels, "toa")
    assert toa.dtype == np.uint16
    assert toa[:, 0, 0, 0].tolist() == [1, 1375, 2750]
    haze = toa[1:].astype(int) - eurosat.to_counts(pixels[1:])
    assert haze[..., 0, 0] == pytest.approx(np.broadcast_to(eurosat.HAZE, (2, 3)), abs=0.5)
    assert eurosat.to_counts(pixels[:1]).tolist() == [[[[1]]] * 3]  # darker than the haze, yet there


def test_colours_go_to_their_bands() -> None:
    eurosat = bench("eurosat")
    pixels = np.broadcast_to(np.array([200, 100, 50], np.uint8), (1, 64, 64, 3))
    images = eurosat.Images(pixels, np.zeros(1, np.int64))
    counts = dict(zip(("B04", "B03", "B02"), eurosat.to_counts(pixels)[0, :, 0, 0], strict=True))
    found = eurosat.embed(PixelsEncoder(("B02", "B04")), images, "surface")
    assert found[0, 0] == pytest.approx(counts["B02"] / 10_000)
    assert found[0, -1] == pytest.approx(counts["B04"] / 10_000)


def test_eurosat_reads_no_image_of_another_split(real: Path, tmp_path: Path) -> None:
    eurosat, work = bench("eurosat"), tmp_path / "work"
    work.mkdir()
    task = eurosat.open_task(real, eurosat.Settings(train=50, work=work))
    assert (len(task.train.labels), len(task.scored.labels)) == (50, 60)
    again = eurosat.open_task(real, eurosat.Settings(train=50, work=work))
    assert np.array_equal(again.train.pixels, task.train.pixels)
    assert len(list(work.iterdir())) == 2
    drawn = eurosat.choose(eurosat.read_names(real, "train"), 50, 0)
    assert not set(drawn) & set(eurosat.read_names(real, "test"))
    assert drawn != eurosat.choose(eurosat.read_names(real, "train"), 50, 1)
    assert eurosat.open_task(real, eurosat.Settings("val")).scored.labels.tolist() == sorted(list(range(10)) * 2)


def test_eurosat_tells_classes_that_differ_in_colour(real: Path) -> None:
    eurosat = bench("eurosat")
    task = eurosat.open_task(real, eurosat.Settings())
    scores, notes = eurosat.evaluate(PixelsEncoder(("B04", "B03", "B02")), task)
    chance = eurosat.chance(task)
    assert set(scores) == set(chance)
    assert min(scores[name].value for name in ("kNN-5", "linear")) > 0.8
    assert scores["mAP"].low > 2 * chance["mAP"]
    assert chance["linear"] == pytest.approx(0.1)
    assert chance["P@20"] == pytest.approx(5 / 59)
    assert 0 < notes["l2"] <= 1


def test_an_archive_that_lacks_an_image_is_refused(real: Path) -> None:
    with pytest.raises(DataError, match=r"Forest_9.jpg.*a JPEG in EuroSAT.zip"):
        bench("eurosat").read_images(real, ["Forest_9.jpg"])
    with pytest.raises(DataError, match="a class that is not EuroSAT's"):
        bench("eurosat").read_images(real, ["Desert_9.jpg"])


def test_fires_are_cut_into_square_chips_of_10_m(real: Path) -> None:
    chips = bench("fires").read_chips(real, 16)
    assert chips.before.shape[1:] == (5, 32, 32)
    assert np.array_equal(chips.before[..., ::2, ::2], chips.before[..., 1::2, 1::2])
    # 64 columns of a degree's share are some 50 pixels of 20 m at 39° north, less what is askew at the edges.
    assert set(np.bincount(chips.fire)) <= {9, 12}
    assert chips.burnt.any()
    assert not chips.burnt.all()
    west = chips.after[chips.burnt][:, 3][chips.valid[chips.burnt]].mean()
    assert west < 1300 < chips.after[~chips.burnt][:, 3][chips.valid[~chips.burnt]].mean()


def test_burnt_chips_find_those_of_other_fires_and_their_own_is_no_help(real: Path) -> None:
    fires = bench("fires")
    chips = fires.read_chips(real, 16)
    results = {result.name: result for result in fires.evaluate(PixelsEncoder(BANDS), chips)}
    assert results["AP@10"].score.value > 0.95
    assert results["AP@10"].fires == len(results["AP@10"].by_fire) == 4
    assert results["AP@10"].queries == chips.burnt.sum()
    assert results["P@10"].chance == pytest.approx(chips.burnt.mean(), abs=0.1)
    # Vectors that tell the fire alone: all that is near is left out, and the rest is in no order.
    vectors = np.eye(4, dtype=np.float32)[chips.fire]
    alone = fires.score(vectors, chips, (320, False))[0]
    assert alone.score.value < 0.9


def test_an_encoder_gets_its_own_bands_in_its_own_order(real: Path) -> None:
    fires = bench("fires")
    chips = fires.read_chips(real, 16)
    vectors = fires.change_vectors(PixelsEncoder(("B12", "B08")), chips)[chips.burnt].reshape(-1, 2, 64)
    assert np.linalg.norm(vectors, axis=(1, 2)) == pytest.approx(1)
    assert vectors[:, 0].mean() > 0 > vectors[:, 1].mean()  # burnt ground is brighter in B12 and darker in B08


def test_chance_is_what_random_vectors_reach() -> None:
    fires, rng = bench("fires"), np.random.default_rng(0)
    count = 400
    images = np.zeros((count, 5, 1, 1), np.uint16)
    chips = fires.Chips(
        images, images, images[:, 0] > 0, rng.random(count) < 0.3, rng.integers(0, 8, count), tuple("abcdefgh")
    )
    vectors = rng.normal(size=(count, 64)).astype(np.float32)
    for result in fires.score(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), chips, (320, False)):
        assert result.score.value == pytest.approx(result.chance, abs=0.06), result.metric


def test_smoke_is_left_out_of_the_strict_figures(real: Path) -> None:
    write_fire(real / "calfire-style" / "9_20240701", 9, fire=False, smoke=500)
    fires = bench("fires")
    chips = fires.read_chips(real, 16)
    assert (fires.is_smoky(chips) == (chips.fire == 4)).all()
    results = {result.name: result for result in fires.evaluate(PixelsEncoder(BANDS), chips)}
    assert results["AP@10"].fires == 5
    assert results["AP@10, no smoke"].fires == 4
    assert results["AP@10, no smoke"].score.value > results["AP@10"].score.value


def test_one_fire_cannot_be_asked(tmp_path: Path) -> None:
    fires = bench("fires")
    (tmp_path / "calfire-style").mkdir()
    with pytest.raises(DataError, match="no burnt chip in"):
        fires.read_chips(tmp_path, 16)
    write_fire(tmp_path / "calfire-style" / "0_20240701", 0)
    with pytest.raises(DataError, match="one of another fire"):
        fires.evaluate(PixelsEncoder(BANDS), fires.read_chips(tmp_path, 16))


def test_lines_by_encoder_bands_and_seed() -> None:
    weights = bench("weights")
    asked = weights.list_asked(["spectral", "random", "runs/own.safetensors"], [3, 4], ["all", "rgb"])
    assert [line.label for line in asked] == [
        "spectral (all)",
        "spectral (rgb)",
        "random, seed 3 (all)",
        "random, seed 4 (all)",
        "random, seed 3 (rgb)",
        "random, seed 4 (rgb)",
        "own",
    ]
    assert [line.seed for line in asked if line.name == "spectral"] == [3, 3]


def test_the_table_has_means_over_seeds_and_dashes() -> None:
    weights = bench("weights")

    def record(label: str, seed: int, metric: str, value: float) -> dict[str, Any]:
        asked = weights.Asked(label, "rgb", seed)
        score = weights.Interval(value, value - 0.1, value + 0.1)
        return weights.new_record("fires", asked, weights.Line(metric, score, 0.2, 9, {"bands": ["B04"]}), {})

    records = [record("random", 0, "AP@10", 0.5), record("random", 1, "AP@10", 0.7), record("spectral", 0, "P@10", 0.9)]
    text = weights.task_table(records, "fires")
    assert text.startswith("*real*: fires")
    assert "| random, mean [least, most] of 2 seeds (rgb) |  | 0.600 [0.500, 0.700] | – |" in text
    assert "| spectral (rgb) | B04 | – | 0.900 [0.800, 1.000] |" in text
    assert "| chance |  | 0.200 | 0.200 |" in text


def test_the_command_asks_writes_and_prints(
    real: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    weights, out = bench("weights"), tmp_path / "out.jsonl"
    words = ["--only", "eurosat", "fires", "--encoders", "pixels", "--real", str(real), "--json", str(out)]
    opened = weights.open_encoder
    monkeypatch.setattr(weights, "open_encoder", lambda name, **more: opened("pixels"))
    weights._fire_chips.cache_clear()
    weights._eurosat_task.cache_clear()
    assert weights.main(words) == 0
    records = [json.loads(line) for line in out.read_text().splitlines()]
    assert {(r["task"], r["label"]) for r in records} == {
        ("eurosat", "pixels (rgb)"),
        ("fires", "pixels (rgb)"),
        ("fires", "pixels (all)"),
    }
    assert {"value", "interval", "chance", "weights_sha256", "bands", "machine", "commit", "seed"} <= set(records[0])
    told = capsys.readouterr().out
    assert "*real*: eurosat" in told
    assert "AP@10, no smoke (real)" in told


def test_an_encoder_that_cannot_see_the_bands_is_left_out_with_a_sentence(
    real: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = bench("weights")

    def refuse(*args: object, **more: object) -> None:
        raise weights.WeightsError("own sees B11 alone", "some of B04 B03 B02", "use other data")

    monkeypatch.setattr(weights, "open_frozen", refuse)
    monkeypatch.setattr(weights, "open_encoder", lambda *args, **more: None)
    assert weights.main(["--only", "fires", "--encoders", "own.safetensors", "--real", str(real)]) == 0
    assert "fires was not asked of own: own sees B11 alone" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--encoders", "spectal"], "encoder 'spectal' is unknown"),
        (["--only", "benchmark"], "no --archive or no --work"),
        (["--seeds", "-1"], "--seeds -1"),
        (["--train", "3"], "--train and --test 3"),
        (["--only", "fires", "--encoders", "pixels", "--real", "nowhere"], "no nowhere/calfire-style"),
        (["--json", "nowhere-at-all/"], ""),
    ],
)
def test_bad_input_is_one_sentence(words: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    if words[0] == "--json":
        words = ["--json", str(Path(__file__).parent)]
        told = "is a folder"
    assert bench("weights").main(words) == 2
    said = capsys.readouterr().err
    assert told in said
    assert said.count("\n") == 1


@pytest.mark.real_data
def test_the_haze_is_as_measured(shared_data: Path) -> None:
    eurosat = bench("eurosat")
    sample = eurosat.choose(eurosat.read_names(shared_data, "train"), 600, 0)
    low = np.quantile(eurosat.to_toa(eurosat.read_images(shared_data, sample).pixels), eurosat.DARK, axis=(0, 1, 2))
    with np.load(shared_data / "l2a-chips" / "chips.npz") as file:
        index = [list(file["bands"]).index(band) for band in ("B04", "B03", "B02")]
        dark = np.quantile(file["reflectance"][:, index], eurosat.DARK, axis=(0, 2, 3))
    assert low - dark == pytest.approx(np.array(eurosat.HAZE), abs=40)


@pytest.mark.real_data
def test_real_fires_find_one_another(shared_data: Path) -> None:
    fires = bench("fires")
    results = {r.name: r for r in fires.evaluate(PixelsEncoder(BANDS), fires.read_chips(shared_data, 16))}
    assert results["AP@10"].fires == 10
    assert results["AP@10, no smoke"].score.low > results["AP@10, no smoke"].chance
