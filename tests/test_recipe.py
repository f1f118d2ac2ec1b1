"""The recipe of the weights that ship: on a bare machine, in slices, to files that open."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from encoder import recipe
from encoder.encoders import open_encoder
from encoder.pretraining.arguments import TEN_BANDS
from encoder.stream_pack import make_pieces, save_country
from encoder.weights import check_weights
from tests.test_stream_bare import BARE, COUNTRY, run

MAIN = "from encoder.recipe import main\nsys.exit(main(sys.argv[1:]))\n"


@pytest.fixture(scope="module")
def country(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("country") / "grounds.safetensors"
    own = replace(COUNTRY, changes=12)
    save_country(path, list(make_pieces(own, 1)), own)
    return path


@pytest.mark.slow
def test_a_bare_machine_makes_weights(country: Path, tmp_path: Path) -> None:
    words = ["--country", str(country), "--out", str(tmp_path), "--size", "tiny", "--device", "cpu", "--json"]
    done = run(BARE + MAIN, *words, "--only", "caco", "caco-rgb")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == {"done": ["caco", "caco-rgb"], "left": []}
    for name, bands in (("caco", TEN_BANDS), ("caco-rgb", ("B04", "B03", "B02"))):
        path = tmp_path / f"{name}.safetensors"
        assert check_weights(path) == []
        assert path.stat().st_size < 25e6
        encoder = open_encoder(str(path), device="cpu")
        assert encoder.bands == bands
        chips = np.random.default_rng(0).integers(1, 4000, (3, len(bands), 32, 32)).astype(np.uint16)
        assert np.isfinite(encoder.embed(chips)).all()
    assert (
        open_encoder(str(tmp_path / "caco.safetensors"), bands=("B12", "B04", "B08"), device="cpu").dim == 128 + 6 * 5
    )


@pytest.mark.slow
def test_slices_end_where_one_go_does(country: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--country", str(country), "--size", "tiny", "--device", "cpu", "--only", "moco", "--json"]
    assert recipe.main([*words, "--out", str(tmp_path / "whole")]) == 0
    capsys.readouterr()
    told = {"left": ["moco"]}
    slices = 0
    while told["left"]:
        assert recipe.main([*words, "--out", str(tmp_path / "slices"), "--minutes", "0.02"]) == 0
        told = json.loads(capsys.readouterr().out)
        slices += 1
        assert slices < 20
    one, other = (open_encoder(str(tmp_path / name / "moco.safetensors"), device="cpu") for name in ("whole", "slices"))
    assert one.sha256 == other.sha256


def test_what_is_done_is_not_done_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, country: Path) -> None:
    monkeypatch.setattr(recipe, "check_weights", lambda path: [])
    monkeypatch.setattr(recipe, "_train", lambda *words: pytest.fail("trained again"))
    assert recipe.main(["--country", str(country), "--out", str(tmp_path), "--device", "cpu"]) == 0


@pytest.mark.parametrize("words", [["--only", "byol"], ["--minutes", "0"], ["--country", "none.safetensors"]])
def test_bad_input(words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], country: Path) -> None:
    base = ["--country", str(country), "--out", str(tmp_path), "--device", "cpu"]
    try:
        code = recipe.main([*base, *words])
    except SystemExit as err:
        code = err.code
    assert code == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_all_runs_learn_from_the_same_series_and_rows() -> None:
    kinds = {config.bands for config in recipe.RUNS.values()}
    assert len(kinds) == 2
    assert {"caco", "caco-rgb", "teco", "seco", "gssl", "moco"} <= set(recipe.RUNS)
    for config in recipe.RUNS.values():
        assert config.crop == recipe.CROP
