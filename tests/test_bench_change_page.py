"""The page of what pre-training learns, from figures whose answer is known."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from encoder.pretraining.curves import EDGES
from encoder.pretraining.measure import COSINES, GROUPS, SEPARATIONS

SAID = {
    "commit": "abc", "machine": "2 cores", "torch": "2", "batch": 16, "steps": 4, "bands": ["B04", "B03", "B02"],
    "crop": 16, "queue": 32, "views": "published", "lr": 0.03, "ema": 0.999, "schedule": "cosine", "mixture": "ratio",
    "precision": "float32", "arch": "resnet18", "series": 32, "drop_bands": False, "held": "90 simulated locations",
    "simulated": True,
}  # fmt: skip
AUROC = {"seco-quiet": (0.50, 0.54), "seco-year": (0.55, 0.53), "teco": (0.60, 0.64), "caco": (0.70, 0.74)}


@pytest.fixture(autouse=True)
def _bench(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(root / "bench"))


def bench(name: str) -> Any:
    return importlib.import_module(name)


def code(value: float) -> dict[str, Any]:
    """Figures of one kind of codes."""
    groups = {
        name: {"pairs": 9, "quantiles": [0.1, 0.2, 0.3 + place / 10, 0.8, 0.9],
               "histogram": np.bincount([150 + place], minlength=len(COSINES) - 1).tolist()}
        for place, name in enumerate(GROUPS)
    }  # fmt: skip
    ratios = {name: np.bincount([50 + place], minlength=len(EDGES)).tolist() for place, name in
              enumerate(("unchanged", "changed"))}  # fmt: skip
    return {
        "ratio_auroc": value, "long_auroc": value - 0.1, "similarity": groups, "ratio_histogram": ratios,
        "separation": {"-".join(pair): value for pair in SEPARATIONS},
        "by_kind": {"flood": {"changed": 7, "ratio_auroc": value + 0.1, "long_auroc": value}},
    }  # fmt: skip


def run(arm: str, seed: int, value: float, *, finished: bool = True) -> list[dict[str, Any]]:
    """All figures of a run."""
    who = {**SAID, "arm": arm, "seed": seed, "method": arm[:4]}
    found: list[dict[str, Any]] = []
    for step, last in ((0, False), (2, False), (4, True)):
        for branch in ("key", "query"):
            for norm in ("running", "batch"):
                at = {"what": "change", "step": step, "rows": 16 * step, "last": last, "branch": branch, "norm": norm}
                own = 0.5 if not last else value if branch == "key" else value + 0.05
                found.append({**at, "changed": 30, "projection": code(own), "features": code(own), **who})
    if arm in ("teco", "caco"):
        split = {"share": 0.25, "crossing": 1.21, "mean_0": 1.0, "mean_1": 1.5, "separation": 2.0}
        histograms = {"ratio_histogram": code(0.5)["ratio_histogram"]}
        found.append({"what": "memory", "step": 4, "rows": 64, **split, **histograms, **who})
    task = {"what": "task", "task": "eurosat", "metric": "linear", "value": value + 0.2, "step": 4, "rows": 64,
            "train": 100, "queries": 50, "split": "val"}  # fmt: skip
    return [*found, {**task, **who}, *([{"what": "run", "step": 4, "rows": 64, **who}] if finished else [])]


def figures() -> list[dict[str, Any]]:
    pixels = {"what": "change", "arm": "pixels", "seed": None, "branch": "none", "norm": "running", "last": True}
    known = [{**pixels, "projection": code(0.51), "features": code(0.51), **SAID}]
    return known + [
        r for arm, values in AUROC.items() for seed, value in enumerate(values) for r in run(arm, seed, value)
    ]


def write(folder: Path, records: list[dict[str, Any]]) -> list[str]:
    (folder / "figures").write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    return [f"--figures={folder / 'figures'}", f"--out={folder / 'page.md'}"]


def test_the_page_holds_the_figures_it_was_given(tmp_path: Path) -> None:
    assert bench("change_page").main(write(tmp_path, [*figures(), *run("seco", 0, 0.6, finished=False)])) == 0
    text = (tmp_path / "page.md").read_text(encoding="utf-8")
    high, low = "0.720 (0.700 … 0.740)", "0.620 (0.600 … 0.640)"
    assert f"| caco | {high} | {low} | {high} | {low} |" in text
    assert "| untrained | 0.500 (0.500 … 0.500) | 0.400 (0.400 … 0.400) |" in text
    assert "| pixels | 0.510 | 0.410 |" in text
    assert "| caco | 0.250 (0.250 … 0.250) | 1.210 (1.210 … 1.210) |" in text
    assert "| flood | 7 | 0.820 (0.800 … 0.840) | 0.720 (0.700 … 0.740) |" not in text  # in the arms' order
    assert "| flood | 7 | 0.620 (0.600 … 0.640) |" in text
    assert "Not finished and left out: seco-0." in text
    assert "Finished runs: 8." in text
    for name in ("auroc", "similarity", "ratio"):
        assert f"](page/{name}.png)" in text
        assert (tmp_path / "page" / f"{name}.png").stat().st_size > 2000
    assert "{" not in text


def test_the_ablation_says_what_rises_falls_and_does_neither(tmp_path: Path) -> None:
    bench("change_page").main(write(tmp_path, figures()))
    text = (tmp_path / "page.md").read_text(encoding="utf-8")
    assert "| seco-quiet → seco-year | +0.020 (-0.010 … +0.050) |" in text
    assert (
        "*EuroSAT linear (real)* rises in every seed: seco-year → teco (+0.080), teco → caco (+0.100); "
        "does not move alike in all seeds: seco-quiet → seco-year (+0.020)." in text
    )
    assert "*EuroSAT* (real): 100 training images, 50 of the val split" in text
    rows = [line for line in text.splitlines() if line.startswith(("| SeCo: dates", "| + "))]
    assert [row.split("|")[1].split(":")[0].strip() for row in rows] == [
        *("SeCo", "+ sampling", "+ long-term contrast", "+ change-aware")
    ]
    assert rows[-1].split("|")[4].strip() == "0.920 (0.900 … 0.940)"
    falling = [{**r, "projection": code(0.1)} if r["arm"] == "caco" and "projection" in r else r for r in figures()]
    bench("change_page").main(write(tmp_path, falling))
    assert "falls in every seed: teco → caco (-0.520)" in (tmp_path / "page.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda records: [], "is empty"),
        (lambda records: [r for r in records if r["what"] != "run"], "no finished run"),
        (lambda records: [*records[:-1], {**records[-1], "steps": 9}], "figures of one steps"),
        (lambda records: [{k: v for k, v in r.items() if k != "projection"} for r in records], "of one version"),
    ],
)
def test_figures_of_something_else_get_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], change: Any, told: str
) -> None:
    assert bench("change_page").main(write(tmp_path, change(figures()))) == 2
    error = capsys.readouterr().err
    assert told in error
    assert error.count("\n") == 1
    assert not (tmp_path / "page.md").exists()


def test_one_seed_claims_nothing() -> None:
    words = bench("change_tables").order_words({"R": {"a → b": {0: 0.2}, "b → c": {0: 0.1, 1: 0.2}, "c → d": {}}})
    told = "rises in every seed: b → c (+0.150); of one seed alone, which says little: a → b (+0.200)"
    assert words == [f"*R* {told}."]


def test_a_line_of_seeds_is_their_mean_where_all_have_a_point() -> None:
    lines = [([0, 2, 4], [0.1, 0.2, 0.3]), ([0, 4], [0.3, 0.5])]
    rows, mean = bench("change_plots").mean_line(lines)
    assert rows == [0, 4]
    assert mean == pytest.approx([0.2, 0.4])
    assert bench("change_plots").mean_line([]) == ([], [])
