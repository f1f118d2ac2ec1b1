"""The benchmark's page from figures whose answer is known, what sizes cost, and bad input of both."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

SAID = {
    "commit": "abc", "areas": 3, "items": 1234, "max_cloud": 20.0, "locations": 99, "chip_size": 32, "rows": 5678,
    "protocol": "areas", "split": None, "labels_sha256": "ff", "monthly": True, "pairs": "yearly", "simulated": True,
    "bands": ["B02", "B03"], "asking": 7, "unshown": 1, "alone": 0,
    "machine": {"cores": 2, "python": "3.11", "versions": {"numpy": "2"}},
}  # fmt: skip


@pytest.fixture(autouse=True)
def _bench(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(root / "bench"))


def figure(encoder: str, unit: str, name: str | None, value: float) -> dict[str, Any]:
    record = {"encoder": encoder, "unit": unit, "metric": "AP@10", "class": name, "value": value, "chance": 0.004}
    return {**SAID, **record, "interval": [value - 0.1, value + 0.1], "queries": 5, "positives": 12.34}


def figures() -> list[dict[str, Any]]:
    means = [figure(e, u, None, v) for e, v in (("spectral", 0.3), ("random", 0.1)) for u in ("place", "row")]
    values = {("spectral", "flood"): 0.2, ("spectral", "wildfire"): 0.6, ("spectral", "road"): 0.4}
    values |= {("random", "flood"): 0.11, ("random", "wildfire"): 0.22, ("random", "road"): 0.33}
    return means + [figure(encoder, "place", name, value) for (encoder, name), value in values.items()]


def traps() -> list[dict[str, Any]]:
    fall = {
        "switched_off": "cloud",
        "metric": "AP@10",
        "fall": 0.05,
        "interval": [0.02, 0.08],
        "doubled": 17,
        "read": 800,
    }
    return [{**SAID, **fall, "unit": u, "encoder": "spectral", "queries": 5, "with_all": 0.3, "without": 0.25}
            for u in ("place", "row")]  # fmt: skip


SIZES = {
    "simulated": True,
    "commit": "def",
    "sizes": [
        {"size": "demo", "bytes": 283_000_000, "seconds": 30.4, "processor_seconds": 46.0, "items": 226, "events": 48,
         "classes": 9},
        {"size": "benchmark", "bytes": 8_100_000_000, "seconds": 400.0, "processor_seconds": 700.0, "items": 2400,
         "events": 451, "classes": 11},
    ],
    "stream": {"chip": "64 px, 10 bands", "chips_s": 265.4, "machine": "2 cores", "device": "cpu",
               "part_of_copying": 0.012},
}  # fmt: skip


def write(folder: Path) -> list[str]:
    for name, records in (("figures", figures()), ("traps", traps())):
        (folder / name).write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    (folder / "sizes").write_text(json.dumps(SIZES), encoding="utf-8")
    return [f"--{name}={folder / name}" for name in ("figures", "traps", "sizes")]


def test_the_page_holds_the_figures_it_was_given(tmp_path: Path) -> None:
    import benchmark_page

    out = tmp_path / "page.md"
    assert benchmark_page.main([*write(tmp_path), f"--out={out}"]) == 0
    text = out.read_text(encoding="utf-8")
    assert "| spectral | 0.300 [0.200, 0.400] |\n| random | 0.100 [0.000, 0.200] |\n| chance | 0.004 |" in text
    assert "| wildfire | 5 | 12.3 | 0.600 [0.500, 0.700] | 0.220 [0.120, 0.320] | 0.004 |" in text
    assert "`spectral`, wildfire and road are found best and road and flood worst" in text
    assert "| nothing | 0.300 |\n| cloud | 0.050 [0.020, 0.080] to 0.250 |" in text
    assert "of 17 items that are there twice, of 800 that are read" in text
    assert "| `benchmark` | 8,100 MB | 400 | 700 | 2,400 | 451 of 11 classes |" in text
    assert "265 *simulated* chips a second on 2 cores (cpu), 1.2 % of the rate of copying. No GPU was at hand" in text
    assert "On commit def;" in text
    assert "1,234 items, 451 labelled events of 11 classes" in text


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("figures", "", "is empty"),
        ("traps", "{", "JSON lines"),
        ("sizes", "{}", "of one version"),
        ("figures", '{"encoder": "spectral", "unit": "place"}\n', "of one version"),
    ],
)
def test_files_of_something_else_get_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, content: str, told: str
) -> None:
    import benchmark_page

    argv = write(tmp_path)
    (tmp_path / name).write_text(content, encoding="utf-8")
    assert benchmark_page.main([*argv, f"--out={tmp_path / 'page.md'}"]) == 2
    error = capsys.readouterr().err
    assert told in error
    assert error.count("\n") == 1
    assert not (tmp_path / "page.md").exists()


@pytest.mark.parametrize(
    ("name", "key", "value"),
    [("traps", "commit", "other"), ("traps", "rows", 1), ("figures", "split", "val"), ("traps", "simulated", False)],
)
def test_figures_of_different_runs_make_no_page(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, key: str, value: object
) -> None:
    import benchmark_page

    argv = write(tmp_path)
    lines = (tmp_path / name).read_text(encoding="utf-8").splitlines()
    lines[-1] = json.dumps({**json.loads(lines[-1]), key: value})
    (tmp_path / name).write_text("\n".join(lines), encoding="utf-8")
    assert benchmark_page.main([*argv, f"--out={tmp_path / 'page.md'}"]) == 2
    assert f"figures of one {key}" in capsys.readouterr().err


def test_figures_of_another_protocol_make_no_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import benchmark_page

    argv = write(tmp_path)
    for name, records in (("figures", figures()), ("traps", traps())):
        text = "".join(json.dumps({**record, "protocol": "places"}) + "\n" for record in records)
        (tmp_path / name).write_text(text, encoding="utf-8")
    assert benchmark_page.main([*argv, f"--out={tmp_path / 'page.md'}"]) == 2
    assert "'protocol': 'places'" in capsys.readouterr().err


def test_a_rule_is_off_within_and_on_again_after() -> None:
    from traps import RULES, switched_off

    from stac import cube, items

    before = {name: getattr(module, name) for module, name, _ in RULES.values()}
    with switched_off("duplicates"):
        assert items.deduplicate(["same", "same"]) == ["same", "same"]  # type: ignore[list-item]
    with switched_off("cloud"):
        assert set(cube.CLEAR_SCL) > {3, 8, 9, 10}
    item = SimpleNamespace(
        id="S2B_10SEJ_20220718_0_L2A",
        properties={"s2:processing_baseline": "04.00", "earthsearch:boa_offset_applied": False},
        assets={}, links=[], collection_id="sentinel-2-l2a",
    )  # fmt: skip
    assert items.radiometry_of(item) == ("04.00", -1000)  # type: ignore[arg-type]
    with switched_off("offset"):
        assert items.radiometry_of(item) == ("04.00", 0)  # type: ignore[arg-type]
    with switched_off(None):
        assert {name: getattr(module, name) for module, name, _ in RULES.values()} == before
    assert {name: getattr(module, name) for module, name, _ in RULES.values()} == before


def test_a_fall_is_with_the_rule_less_without_it_in_the_mean_over_classes() -> None:
    from traps import compare

    def answers(fire: float, road: float) -> Any:
        rows = [{"event_id": f"f{n}", "class": "fire", "ap": fire} for n in range(9)]
        rows += [{"event_id": "r0", "class": "road", "ap": road}]
        table = pd.DataFrame([{**row, "precision": row["ap"], "unit": "place", "k": 10} for row in rows])
        return SimpleNamespace(answers=table, context={"seed": 0})

    lines, records = compare({None: answers(0.8, 0.6), "cloud": answers(0.5, 0.1)}, "place", [10])
    found = {record["metric"]: record for record in records}["AP@10"]
    assert found["fall"] == pytest.approx((0.3 + 0.5) / 2)
    assert (found["with_all"], found["without"]) == (pytest.approx(0.7), pytest.approx(0.3))
    assert found["queries"] == 10
    assert lines[1][:3] == ["nothing", "10", "0.700"]
    assert lines[2][2].startswith("falls by 0.400")


def test_sizes_takes_its_archives_away_and_says_why_one_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import sizes

    monkeypatch.setattr(sizes, "SIZES", {"demo": None})
    script = tmp_path / "python"
    script.write_text("#!/bin/sh\necho no room >&2\nexit 3\n", encoding="utf-8")
    script.chmod(0o755)
    monkeypatch.setattr(sizes.sys, "executable", str(script))
    assert sizes.main(["--work", str(tmp_path / "work"), "--sizes", "demo"]) == 2
    assert "ended with 3" in (error := capsys.readouterr().err)
    assert "no room" in error
    assert list((tmp_path / "work").iterdir()) == []


def test_sizes_counts_what_was_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sizes

    events = {"features": [{"properties": {"class": name}} for name in ("road", "road", "flood")]}
    script = tmp_path / "python"
    script.write_text(
        f"""#!/bin/sh
mkdir -p "$4/a" "$4/b"; printf 12345 > "$4/a/SCL.tif"; printf 678 > "$4/b/SCL.tif"
printf '%s' '{json.dumps(events)}' > "$4/events.geojson"
""",
        encoding="utf-8",
    )
    script.chmod(0o755)
    monkeypatch.setattr(sizes.sys, "executable", str(script))
    found = sizes.measure_size("demo", 7, tmp_path / "archive")
    assert {key: found[key] for key in ("size", "seed", "items", "events", "classes")} == {
        "size": "demo", "seed": 7, "items": 2, "events": 3, "classes": 2
    }  # fmt: skip
    assert found["bytes"] == 8 + len(json.dumps(events))
