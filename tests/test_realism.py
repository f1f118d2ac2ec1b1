"""The comparison with real pixels: what it measures on arrays whose answer is known, and that the command runs."""

from __future__ import annotations

import importlib
import json
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

BANDS = ("B02", "B03", "B04", "B08", "B11", "B12")
SPECTRA = {
    "water": (0.03, 0.03, 0.02, 0.015, 0.01, 0.01),
    "dense dark": (0.02, 0.04, 0.025, 0.25, 0.12, 0.06),
    "dense bright": (0.04, 0.08, 0.05, 0.40, 0.24, 0.13),
    "sparse": (0.07, 0.10, 0.12, 0.22, 0.28, 0.20),
    "bare": (0.10, 0.13, 0.18, 0.23, 0.33, 0.28),
    "built": (0.18, 0.19, 0.20, 0.23, 0.22, 0.20),
}


@pytest.fixture(autouse=True)
def _bench(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(root / "bench"))


def chips(pixels: np.ndarray, groups: np.ndarray | None = None, place: str = "real") -> Any:
    from realism_read import Chips

    own = np.arange(len(pixels)) if groups is None else groups
    return Chips(BANDS, pixels.astype(np.float32), own.astype(np.int64), (place,) * len(pixels))


def noise(count: int, smooth: float, seed: int) -> np.ndarray:
    from scipy.ndimage import gaussian_filter

    field = np.random.default_rng(seed).normal(size=(count, len(BANDS), 64, 64))
    if smooth:
        field = gaussian_filter(field, (0, 0, smooth, smooth), mode="wrap")
    return 0.2 + 0.02 * field / field.std()


def test_bands_of_20_m_are_doubled_as_in_the_real_chips() -> None:
    from realism_read import double

    fine = double(np.random.default_rng(0).integers(500, 4000, (16, 16)).astype(np.float32) / 10_000)
    step = np.diff(fine, axis=1) * 10_000
    within, between = step[:, 2:-1:2], step[:, 1::2]
    assert fine.shape == (32, 32)
    assert np.abs(within - (between[:, :-1] + between[:, 1:]) / 2).max() <= 2.01  # four roundings of half a count


@pytest.mark.real_data
def test_the_real_chips_are_bilinear(shared_data: Path) -> None:
    from realism_read import read_real_chips

    real = read_real_chips(shared_data).only(("B05", "B11", "B12"))
    step = np.diff(real.pixels * 10_000, axis=3)
    within, between = step[..., 2:-1:2], step[..., 1::2]
    assert np.abs(within - (between[..., :-1] + between[..., 1:]) / 2).max() <= 2.01


@pytest.mark.parametrize("name", SPECTRA)
def test_land_cover_of_typical_spectra(name: str) -> None:
    from realism_cover import CLASSES, cover_of

    flat = np.broadcast_to(np.array(SPECTRA[name])[None, :, None, None], (1, 6, 64, 64))
    assert {CLASSES[n] for n in np.unique(cover_of(chips(flat)))} == {name}


def test_quantiles_ten_per_cent_off_differ_by_a_tenth() -> None:
    from realism_cover import cover_of, differences, quantiles

    flat = np.array(SPECTRA["dense dark"])[None, :, None, None] * (1 + 0.2 * (noise(4, 1, 0) - 0.2))
    cover = cover_of(chips(flat))
    found = differences(quantiles(chips(flat * np.exp(0.1)), cover), quantiles(chips(flat), cover))
    assert found["all"] == pytest.approx(0.1, abs=0.005)
    assert found["median_shift"]["dense dark"]["B08"] == pytest.approx(0.1, abs=0.005)


def test_autocorrelation_and_slope_of_known_fields() -> None:
    from realism_texture import autocorrelation, rings, slope

    white, smooth = (noise(20, s, 1)[:, 0].astype(np.float32) for s in (0, 4))
    assert np.abs(autocorrelation(white).mean(axis=0)).max() < 0.05
    curve = autocorrelation(smooth).mean(axis=0)
    assert curve[0] == pytest.approx(np.exp(-1 / (4 * 4**2)), abs=0.02)  # of a Gaussian filter of spread 4
    assert (np.diff(curve[:7]) < 0).all()
    assert abs(slope(rings(white)).mean()) < 0.1
    assert slope(rings(smooth)).mean() < -3


def test_both_sides_match_and_folds_part_no_group() -> None:
    from realism_classifier import match

    kinds = np.repeat([0, 1, 2], [20, 30, 3]), np.repeat([0, 1, 2], [40, 10, 30])
    sides = [chips(noise(len(k), 0, n), np.arange(len(k)) // 3) for n, k in enumerate(kinds)]
    found = match(sides[0], sides[1], (kinds[0].astype(np.int8), kinds[1].astype(np.int8)), 0)
    for side in (0, 1):
        assert np.bincount(found.kind[found.simulated == side]).tolist() == [20, 10]
    for group in np.unique(found.group):
        assert len(np.unique(found.fold[found.group == group])) == 1
        assert len(np.unique(found.simulated[found.group == group])) == 1


def test_a_kind_of_one_real_group_is_not_compared() -> None:
    from realism_classifier import match

    kinds = np.repeat([0, 1], [20, 20]).astype(np.int8)
    groups = np.r_[np.arange(20) // 5, np.full(20, 9)]
    found = match(chips(noise(40, 0, 0), groups), chips(noise(40, 0, 1), np.arange(40)), (kinds, kinds), 0)
    assert np.unique(found.kind).tolist() == [0]


def test_real_chips_on_both_sides_part_no_group_and_cannot_be_told() -> None:
    from realism_classifier import accuracy, halves, line_scores, match

    groups, kind = np.arange(60) // 3, np.zeros(60, np.int8)
    real = chips(noise(60, 1, 0), groups)
    drawn = []
    for seed in range(6):
        sides, kinds = halves(real, kind, seed)
        assert not set(sides[0].groups) & set(sides[1].groups)
        assert sum(len(side.pixels) for side in sides) == 60
        drawn.append(match(*sides, kinds, seed))
    means = [found.chips.pixels.mean(axis=(2, 3)).astype(np.float64) for found in drawn]
    found = accuracy([line_scores(x, one) for x, one in zip(means, drawn, strict=True)], drawn)
    assert 0.3 < found["accuracy"] < 0.7  # type: ignore[operator]


def test_a_group_has_one_name_in_every_draw() -> None:
    from realism_classifier import match

    kinds = np.zeros(60, np.int8), np.zeros(12, np.int8)
    sides = chips(noise(60, 0, 0), np.arange(60)), chips(noise(12, 0, 1), np.arange(12))
    for seed in range(3):
        found = match(*sides, kinds, seed)
        own = found.simulated == 0
        for pixels, group in zip(found.chips.pixels[own], found.group[own], strict=True):
            assert (pixels == sides[0].pixels[group]).all()  # sixty groups of one chip, of which twelve are drawn
        assert set(found.group[~own]) == {60 + n for n in range(12)}


def test_towns_and_water_are_sought_within_one_square() -> None:
    from realism_archive import _rare, _seek

    rng = np.random.default_rng(0)
    day = np.array(SPECTRA["dense bright"], np.float32)[:, None, None] * np.ones((1, 384, 384), np.float32)
    day[0, 160:288, 160:288] += rng.choice([0, 0.1], (128, 128)).astype(np.float32)  # roofs across four squares
    day[:, :64, :64] = np.array(SPECTRA["water"])[:, None, None]
    cuts = _seek(day, np.ones((384, 384), bool), BANDS, rng)
    cuts = _rare(cuts, BANDS, rng)
    assert len(cuts) >= 2
    assert {cut.square for cut in cuts} <= {"0-0", "0-1", "1-0", "1-1"}
    for cut in cuts:
        spots = [(r, c) for r in range(0, 321, 32) for c in range(0, 321, 32)]
        own = [(r, c) for r, c in spots if (day[:, r : r + 64, c : c + 64] == cut.pixels).all()]
        assert any(f"{r // 192}-{c // 192}" == f"{(r + 63) // 192}-{(c + 63) // 192}" == cut.square for r, c in own)
    assert _seek(day, np.zeros((384, 384), bool), BANDS, rng) == []


def told(squares: float, fine: float, width: float = 0.02) -> dict[str, Any]:
    from realism_words import FINE

    def around(value: float) -> dict[str, float]:
        return {"accuracy": value, "low": value - width, "high": value + width}

    return {"classifier": {"squares": {"cnn": around(squares), "views": {FINE: around(fine)}}}}


def test_what_is_told_apart_is_said_with_what_was() -> None:
    from realism_words import _fine_scale, _told_apart, often

    before = told(0.99, 0.95)
    text = _told_apart({"before": before, "after": told(0.7, 0.8)})
    assert "are right 0.70 (0.68 to 0.72), more often than not; with the first generator's chips 0.99" in text
    assert _fine_scale({"before": before, "after": told(0.7, 0.8)}, "after").endswith("nearly always.")
    assert "**to it the two are as unlike as they were.**" in _fine_scale({"before": before, "after": before}, "after")
    worse = _fine_scale({"before": told(0.9, 0.65), "after": before}, "after")
    assert "**to it the two are more unlike than they were.**" in worse
    assert often({"accuracy": 0.47, "low": 0.4, "high": 0.55}).endswith("as by chance")
    after = told(0.7, 0.8)
    after["classifier"]["chance"] = {"accuracy": 0.47, "low": 0.4, "high": 0.55, "deals": 6, "chips": 70, "groups": 15}
    assert "6 times, where there is nothing to tell: between 0.40 and 0.55, 0.47" in _told_apart({"after": after})


def test_the_three_worst_are_chosen_by_rule_and_what_tells_more_is_said() -> None:
    from realism_tables import worst_three

    def report(accuracies: dict[str, float], aucs: dict[str, float]) -> dict[str, Any]:
        groups = {n: {"accuracy": a, "low": a - 0.02, "high": a + 0.02} for n, a in accuracies.items()}
        numbers = [
            {"number": n, "group": n[0], "auc": auc, "real median": 1.0, "simulated median": 2.0}
            for n, auc in sorted(aucs.items(), key=lambda item: -abs(item[1] - 0.5))
        ]
        return {"classifier": {"squares": {"groups": groups, "numbers": numbers}}}

    before = report({"a": 0.9, "b": 0.7, "c": 0.95, "d": 0.6}, {"a1": 0.9, "c1": 0.1, "c2": 0.8, "b1": 0.6, "d1": 0.6})
    after = report({"a": 0.6, "b": 0.7, "c": 0.7, "d": 0.6}, {"a1": 0.6, "c1": 0.4, "c2": 0.95, "b1": 0.6, "d1": 0.3})
    text = worst_three({"before": before, "after": after})
    heads = [line for line in text.splitlines() if line[:1].isdigit()]
    assert [line[:4] for line in heads] == ["1. *", "2. *", "3. *"]
    assert [line[4] for line in heads] == ["C", "A", "B"]
    assert "No fall is shown." in heads[2]
    assert "No fall" not in heads[0]
    assert "2 of 5 numbers" in text
    assert "c2 (0.80 to 0.95), d1 (0.60 to 0.30)" in text


def test_words_follow_the_figures() -> None:
    from realism_words import covers, often, season, verdict

    limits = (0.04, 0.10)
    assert verdict(0.80, 0.82, limits) == "near"
    assert verdict(0.75, 0.82, limits) == "too low"
    assert verdict(0.60, 0.30, limits) == "**far too high**"
    word = {a: often({"accuracy": a, "low": a, "high": a}).split(", ")[1] for a in (0.5, 0.97)}
    assert word == {0.5: "little more than by chance", 0.97: "nearly always"}
    real = {"day": [5, 165, 275], "ndvi": [0.3, 0.87, 0.6], "of_dates": 0.05, "of_pixels": 0.03}
    ours = {"day": [5, 165, 275], "ndvi": [0.6, 0.86, 0.7], "of_dates": 0.01, "of_pixels": 0.03}
    text = season({"season": {"real": real, "simulated": ours}})
    assert "lowest 0.60 against 0.30 (**far too high**)" in text
    assert "0.010 against 0.050 (**0.2 times it**)" in text
    assert "0.030 against 0.030 (near)" in text
    off = {"class": {"water": 0.5, "bare": 0.02}, "median_shift": {"water": {"B02": -0.4}, "bare": {"B02": 0.01}}}
    assert "**water 65 % (too dark)**" in covers({"differences": off})
    assert "bare 2 % (median near)" in covers({"differences": off})


def test_chips_in_degrees_are_whole_and_clear() -> None:
    from realism_unseen import BANDS as FIVE
    from realism_unseen import _tiles

    image = np.full((len(FIVE), 70, 100), 0.1, np.float32)
    clear = np.ones((70, 100), bool)
    clear[3:20, 2:20] = False  # one chip of six is cloudy
    assert len(_tiles(image, clear)) == 5
    image[2, 40, 50] = 0  # another has no data in one band
    assert [square for _, square in _tiles(image, clear)] == ["0-0"] * 4


@pytest.mark.real_data
def test_the_fires_were_taken_from_two_grids_by_nearest(shared_data: Path) -> None:
    from realism_unseen import read_california

    found, seasons = read_california(shared_data)
    assert len(np.unique(found.groups)) == 10
    assert set(seasons) == {0, 1}
    repeated = (np.diff(found.pixels, axis=3) == 0).mean(axis=(0, 2, 3))
    assert repeated[found.bands.index("B12")] > 0.1
    assert repeated[:4].max() < 0.03


def test_a_net_is_trained_on_the_other_folds_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    import realism_classifier as module
    import torch

    kinds = np.zeros(30, np.int8), np.zeros(30, np.int8)
    found = module.match(chips(noise(30, 0, 0)), chips(noise(30, 0, 1)), kinds, 0)
    pixels = np.broadcast_to(np.arange(60, dtype=np.float32)[:, None, None, None], (60, 1, 64, 64)).copy()
    seen = []

    def train(x: torch.Tensor, y: torch.Tensor, *_: object) -> torch.nn.Module:
        seen.append((x[:, 0, 0, 0].numpy(), y.numpy()))
        return torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())

    monkeypatch.setattr(module, "_train", train)
    scores = module.cnn_scores(pixels, found, 0)
    for fold, (x, y) in enumerate(seen):
        train_rows = np.flatnonzero(found.fold != fold)
        own = (pixels[train_rows, 0, 0, 0] - pixels[train_rows].mean()) / pixels[train_rows].std()
        np.testing.assert_allclose(x, own, atol=1e-4)
        np.testing.assert_array_equal(y, found.simulated[train_rows])
        test = np.flatnonzero(found.fold == fold)
        assert (np.diff(scores[test]) > 0).all()  # the held-out chips, each its own
    assert len(seen) == module.FOLDS


def test_an_interval_is_as_wide_as_its_groups_are_few() -> None:
    from realism_classifier import accuracy, match

    kinds = np.zeros(80, np.int8), np.zeros(80, np.int8)
    widths = []
    for each in (1, 8):
        groups = np.arange(80) // each
        found = match(chips(noise(80, 0, 0), groups), chips(noise(80, 0, 1), groups), kinds, 0)
        right = found.group % 4 != 0  # whole groups are taken for the other side
        score = accuracy([np.where(right == (found.simulated == 1), 1.0, -1.0)], [found])
        assert score["accuracy"] == pytest.approx(right.mean(), abs=0.03)
        assert score["low"] < score["accuracy"] < score["high"]  # type: ignore[operator]
        widths.append(score["high"] - score["low"])  # type: ignore[operator]
    assert widths[0] == pytest.approx(2 * 1.96 * np.sqrt(0.75 * 0.25 / 160), rel=0.35)
    assert widths[1] > 2 * widths[0]


@pytest.mark.parametrize(("smooth", "low", "high"), [(0.6, 0.9, 1.0), (0.0, 0.3, 0.7)])
def test_classifiers_tell_sides_apart_where_they_differ_only(smooth: float, low: float, high: float) -> None:
    from realism_classifier import accuracy, line_scores, match, single_numbers
    from realism_texture import features

    kind = np.zeros(30, np.int8)
    sides = chips(noise(30, 0, 0)), chips(noise(30, smooth, 1), place="area")
    found = match(*sides, (kind, kind), 0)
    tables = features(found.chips)
    score = accuracy([line_scores(np.stack(list(tables["finest scale"].values()), 1), found)], [found])
    assert low <= score["accuracy"] <= high
    assert score["low"] <= score["accuracy"] <= score["high"]
    best = float(single_numbers(found, tables)[0]["auc"])
    assert (abs(best - 0.5) > 0.49) == (smooth > 0)


def test_the_network_learns_a_difference_in_texture() -> None:
    from realism_classifier import accuracy, cnn_scores, match

    kind = np.zeros(32, np.int8)
    found = match(chips(noise(32, 0, 0)), chips(noise(32, 1.5, 1), place="area"), (kind, kind), 0)
    scores = cnn_scores(found.chips.pixels[:, :2], found, 0, folds=1, epochs=6)
    assert np.isfinite(scores).sum() == (found.fold == 0).sum()
    assert accuracy([scores], [found])["accuracy"] > 0.8


def test_season_has_the_scatter_that_was_put_in() -> None:
    from realism_read import Series
    from realism_time import season, skies

    days = tuple(date(2020, 1, 1) + timedelta(days=8 * n) for n in range(137))
    doy = np.array([d.timetuple().tm_yday for d in days])
    ndvi = 0.65 + 0.2 * np.cos((doy - 190) / 365 * 2 * np.pi)
    values = ndvi[:, None] + np.random.default_rng(0).normal(0, 0.03, (137, 300))
    clear = np.r_[np.zeros(34), np.full(103, 1)]
    one = Series("a", "", False, days, values.astype(np.float32), np.ones(300, bool), clear.astype(np.float32))
    found = season([one])
    assert found is not None
    assert found["of_pixels"] == pytest.approx(0.03, abs=0.003)
    assert found["of_dates"] < 0.02
    assert found["shed_share"] == 1  # NDVI falls by 0.4 from summer to winter
    assert found["shed_lowest"] == pytest.approx(0.45, abs=0.03)
    assert skies([one])["share"]["overcast (under 10 % clear)"] == pytest.approx(34 / 137, abs=0.001)


def test_dnbr_of_an_archive_is_higher_inside(small_archive: Path) -> None:
    from realism_archive import read_archive
    from realism_read import open_places
    from realism_time import fire_summary, simulated_fires

    places = open_places(small_archive.parent)
    rows = simulated_fires(small_archive.parent, places)
    summary = fire_summary(rows)
    assert summary["more_inside"] == len(rows) >= 1
    found, sought, series = read_archive(small_archive.parent, places, np.random.default_rng(0), 20)
    assert found.pixels.shape[2:] == sought.pixels.shape[2:] == (64, 64)
    assert 0 < found.pixels.min() < found.pixels.max() < 1.6
    assert len(series[0].days) == len(series[0].clear) > 6


def test_a_sheet_with_real_pixels_stays_out_of_the_repository(
    small_archive: Path, root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import event_sheet

    assert event_sheet.main(["--archive", "x", "--real", "y", "--out", str(root / "docs" / "x.png")]) == 2
    assert "outside the repository" in capsys.readouterr().err
    out = tmp_path / "events.png"
    assert event_sheet.main(["--archive", str(small_archive.parent), "--out", str(out)]) == 0
    assert out.stat().st_size > 1000


@pytest.mark.parametrize(
    ("script", "words", "told"),
    [
        ("realism", "--archive ARCHIVE --real /nope --out NEW", "no /nope/l2a-chips/chips.npz"),
        ("realism", "--archive /nope --label after --out NEW", "no /nope/catalog.json"),
        ("realism", "--label x", "argument --label: invalid choice: 'x'"),
        ("realism", "--out NEW", "no before.json and no after.json"),
        ("event_sheet", "--archive /nope --out NEW.jpg", "no /nope/catalog.json"),
        ("event_sheet", "--archive ARCHIVE --out NEW.abc", ".abc (expected a name that ends in .jpg"),
        ("event_sheet", "--archive ARCHIVE --real /nope --out NEW.jpg", "no /nope/calfire-style"),
        ("event_sheet", "--archive ARCHIVE --out NEW.jpg --examples 0", "--examples 0"),
        ("stream", "--biomes moon", "biomes moon (expected some of"),
        ("stream", "--batch -3", "--batch -3"),
        ("stream", "--batch 0", "--batch 0"),
        ("stream", "--seconds -1", "--seconds -1"),
        ("stream", "--seconds nan", "--seconds nan"),
        ("stream", "--json FILE/x.json", "--json"),
        ("benchmark", "", "the following arguments are required: --archive, --work"),
        ("benchmark", "--archive ARCHIVE --work NEW --k 0", "--k 0"),
        ("benchmark", "--archive ARCHIVE --work NEW --json FILE/x", "--json"),
        ("benchmark", "--archive /nope --work NEW", "no /nope/catalog.json"),
        ("traps", "", "the following arguments are required: --archive, --work"),
        ("traps", "--archive ARCHIVE --work NEW --k 0", "--k 0"),
        ("traps", "--archive ARCHIVE --work NEW --json FILE/x", "--json"),
    ],
)
def test_wrong_input_is_refused_in_one_sentence_before_any_work(
    script: str, words: str, told: str, small_archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    new, file = tmp_path / "new", tmp_path / "file"
    file.touch()
    for name, path in (("ARCHIVE", small_archive.parent), ("NEW", new), ("FILE", file)):
        words = words.replace(name, str(path))
    try:
        code = importlib.import_module(script).main(words.split())
    except SystemExit as end:  # argparse's own way
        code = end.code
    lines = capsys.readouterr().err.splitlines()
    assert code == 2
    assert len(lines) == 1
    assert lines[0].startswith("error: ")
    assert told in lines[0]
    assert sorted(tmp_path.iterdir()) == [file]


def test_a_damaged_archive_is_refused(tmp_path: Path) -> None:
    from inputs import check_archive

    from stac.errors import DataError

    for name in ("catalog.json", "events.geojson"):
        (tmp_path / name).write_text("{}")
    check_archive(tmp_path)
    (tmp_path / "events.geojson").write_text('{"features": [')
    with pytest.raises(DataError, match="damaged"):
        check_archive(tmp_path)


@pytest.mark.parametrize("simulated", [True, False])
def test_tables_of_simulated_imagery_say_so(simulated: bool) -> None:
    from types import SimpleNamespace

    from benchmark import mark

    assert mark(SimpleNamespace(context={"simulated": simulated})) == ("*simulated*: " if simulated else "")


@pytest.mark.slow
@pytest.mark.real_data
def test_the_command_writes_figures_page_and_plots(shared_data: Path, small_archive: Path, tmp_path: Path) -> None:
    import realism

    out = tmp_path / "simulated-archive"
    arguments = ["--archive", str(small_archive.parent), "--real", str(shared_data), "--out", str(out), "--quick"]
    assert realism.main(arguments) == 0
    report = json.loads((out / "after.json").read_text())
    assert {"real", "simulated"} == report["quantiles"].keys()
    page = out.with_suffix(".md").read_text()
    assert "{" not in page.replace("{before,after}", "")
    for plot in out.glob("*.png"):
        assert f"simulated-archive/{plot.name}" in page
        assert plot.stat().st_size < 150_000
    assert len(list(out.glob("*.png"))) == 5
