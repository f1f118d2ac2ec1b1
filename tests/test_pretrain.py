"""`python -m encoder.pretrain`: from shards to weights that open, stopped or not; what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from encoder.encoders import open_encoder
from encoder.pretrain import main
from encoder.pretraining.curves import read_curves
from stac.shards import ShardsSpec, ShardWriter

TEN = ("B02", "B03", "B04", "B08")
COARSE = ("B11", "B12")
SMALL = [
    "--batch",
    "8",
    "--queue",
    "32",
    "--crop",
    "16",
    "--projection",
    "16",
    "--epochs",
    "2",
    "--precision",
    "float32",
]


def write_shards(folder: Path, *, count: int = 12, dates: int = 10, full: int = 10000, missing: int = 0) -> Path:
    rng = np.random.default_rng(0)
    kind = np.uint16 if full == 10000 else np.uint8
    spec = ShardsSpec(
        bands10=TEN, bands20=COARSE, side=16, dates=dates, full=full, source="made", licence="none", truth=False
    )
    with ShardWriter(folder, spec, per_shard=5) as writer:
        for n in range(count):
            days = np.arange(dates, dtype=np.int32) * 100
            half = (np.arange(dates) >= dates // 2).astype(np.int8)
            if n < missing:
                days[1:], half[1:] = -1, -1
            images = rng.integers(1, full // 3, (dates, len(TEN), 16, 16)).astype(kind)
            coarse = rng.integers(1, full // 3, (dates, len(COARSE), 8, 8)).astype(kind)
            writer.add(f"{n:06d}", images, coarse, days, half, (float(n), 40.0))
        writer.close()
    return folder


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_shards(tmp_path_factory.mktemp("shards") / "own")


def run(*words: object) -> int:
    return main([str(word) for word in words])


def test_shards_become_weights_that_open(shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--data", shards, "--out", tmp_path / "rgb", *SMALL, "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert report["steps"] == report["of"] == 6
    encoder = open_encoder(report["weights"], device="cpu")
    assert encoder.bands == ("B04", "B03", "B02")
    chips = np.random.default_rng(1).integers(1, 3000, (2, 3, 32, 32)).astype(np.uint16)
    assert np.isfinite(encoder.embed(chips)).all()
    assert "caco, 6 steps of 8 rows" in encoder.spec.source
    assert encoder.spec.data == "made (12 locations)"
    assert read_curves(tmp_path / "rgb" / "curves.csv")["step"][-1] == 6
    assert read_curves(tmp_path / "rgb" / "ratios.csv")["epoch"].tolist() == [1, 2]


def test_any_bands_and_subsets_of_them(shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bands = ["B02", "B03", "B04", "B08", "B11", "B12"]
    words = ["--bands", *bands, "--drop-bands", "--views", "spectral", "--method", "seco", "--batch", "4"]
    assert run("--data", shards, "--out", tmp_path, *SMALL, *words, "--json") == 0
    path = json.loads(capsys.readouterr().out)["weights"]
    assert open_encoder(path, device="cpu").bands == tuple(bands)
    assert open_encoder(path, device="cpu", bands=("B12", "B04")).bands == ("B12", "B04")


def test_a_run_in_slices_ends_as_one_in_one_go(
    shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--data", shards, *SMALL]
    assert run(*words, "--out", tmp_path / "whole") == 0
    slices = 0
    told = ""
    while "weights.safetensors" not in told:
        capsys.readouterr()
        assert run(*words, "--out", tmp_path / "slices", "--minutes", "1e-9", "--resume") == 0
        told = capsys.readouterr().out
        slices += 1
    assert slices == 6
    one, other = (
        open_encoder(str(tmp_path / name / "weights.safetensors"), device="cpu") for name in ("whole", "slices")
    )
    assert one.sha256 == other.sha256


def test_published_archives_have_eight_bits(tmp_path: Path) -> None:
    write_shards(tmp_path / "bytes", full=255)
    assert run("--data", tmp_path / "bytes", "--out", tmp_path / "run", *SMALL, "--method", "moco") == 0


def test_locations_with_one_date_are_left_out_and_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_shards(tmp_path / "some", missing=3)
    assert run("--data", tmp_path / "some", "--out", tmp_path / "run", *SMALL, "--json") == 0
    assert json.loads(capsys.readouterr().out)["left_out"] == 3


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--queue", "33"], "a queue of 33 keys cannot be filled by batches of 8"),
        (["--batch", "64", "--queue", "64"], "24 rows to train on"),
        (["--bands", "B05"], "shards without B05"),
        (["--bands", "B99"], "correct --bands"),
        (["--method", "dino"], "none of caco, teco, seco, gssl, moco, simclr"),
        (["--device", "cuda:7"], "CUDA device"),
        (["--lr", "fast"], "--lr fast (expected a number from 0): correct --lr"),
        (["--vector-weight", "1", "--method", "moco"], "has no pairs of halves"),
        (["--batch", "7", "--queue", "21"], "splits a location's two halves"),
    ],
)
def test_bad_input_is_one_sentence(
    words: list[str], told: str, shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--data", shards, "--out", tmp_path / "run", *SMALL, *words) == 2
    error = capsys.readouterr().err
    assert told in error
    assert error.count("\n") == 1


def test_shards_that_are_not_there_or_cut_short(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--data", tmp_path / "none", "--out", tmp_path / "run", *SMALL) == 2
    folder = write_shards(tmp_path / "cut")
    shard = sorted(folder.glob("shard-*"))[1]
    shard.write_bytes(shard.read_bytes()[:-10])
    capsys.readouterr()
    assert run("--data", folder, "--out", tmp_path / "run", *SMALL) == 2
    assert shard.name in capsys.readouterr().err


def test_another_run_in_the_folder_is_kept(shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--data", shards, "--out", tmp_path, *SMALL) == 0
    before = (tmp_path / "state.safetensors").read_bytes()
    assert run("--data", shards, "--out", tmp_path, *SMALL) == 2
    assert "add --resume" in capsys.readouterr().err
    assert run("--data", shards, "--out", tmp_path, *SMALL, "--resume", "--lr", "0.5") == 2
    assert "lr 0.03 → 0.5" in capsys.readouterr().err
    assert (tmp_path / "state.safetensors").read_bytes() == before
