"""The page on sampling: its figures, its pictures, and bad input."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stac.shards import ShardsSpec, ShardWriter


@pytest.fixture(autouse=True)
def _bench(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(root / "bench"))


def test_figures_are_put_between_the_marks_and_the_map_is_drawn(
    tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sampling_map

    monkeypatch.setattr(sampling_map, "WORLD", (6, 36, 19, 47))  # the whole one takes long
    page = tmp_path / "page.md"
    page.write_text(f"before\n{sampling_map.MARKS[0]}\nold\n{sampling_map.MARKS[1]}\nafter\n")
    assert sampling_map.main(["--locations=40", f"--page={page}", f"--out={tmp_path}"]) == 0
    text = page.read_text()
    assert text.startswith("before")
    assert text.endswith("after\n")
    assert "old" not in text
    assert "| locations | 40 | 40 |" in text
    assert "| of a normal offset, % | 86.5 | 2.0 |" in text  # 1 - exp(-(10 / sigma)^2 / 2)
    with Image.open(tmp_path / "map.png") as image:
        assert image.size[0] == 1100
    capsys.readouterr()


def test_figures_count_what_was_drawn() -> None:
    import sampling_map

    made, taken = sampling_map.draw_all("caco", 60, 3)
    figures = sampling_map.figures_of("caco", made, taken)
    ocean = sum(draw.reason == "ocean" for draw in made)
    assert (figures["locations"], figures["draws"]) == (60, 60 + ocean)
    assert figures["rejected as ocean, %"] == round(100 * ocean / (60 + ocean), 2)
    assert figures["taken wholly in ocean, %"] == 0
    assert figures["median distance to the city, km"] == round(float(np.median([d.city_km for d in taken])), 2)


def test_a_sheet_of_series(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    import sampling_map

    spec = ShardsSpec(("B02", "B03", "B04"), (), 8, 2, 10_000, "SIMULATED", "none", truth=False)
    with ShardWriter(tmp_path / "shards", spec) as writer:
        writer.add("000000", np.full((2, 3, 8, 8), 900, np.uint16), None, np.array([9, 400]), np.array([0, 1]), (0, 0))
        writer.close()
    assert sampling_map.main([f"--series={tmp_path / 'shards'}", f"--out={tmp_path}"]) == 0
    with Image.open(tmp_path / "series.png") as image:
        assert image.size[0] == 300
    capsys.readouterr()


def test_bad_input_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    import sampling_map

    page = tmp_path / "page.md"
    page.write_text("no marks")
    for argv in (["--locations=2", f"--page={page}"], [f"--series={tmp_path}"], ["--locations=0"]):
        assert sampling_map.main([*argv, f"--out={tmp_path}"]) == 2
        assert capsys.readouterr().err.count("\n") == 1
    assert page.read_text() == "no marks"
