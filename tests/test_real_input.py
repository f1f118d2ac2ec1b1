"""The commands that show the build on real imagery, held to what they must show."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.real_data


def bench(root: Path, shared_data: Path, tmp_path: Path, *command: str) -> Any:
    out = tmp_path / "out.json"
    arguments = [*command, "--shared", str(shared_data.parent), "--json", str(out)]
    done = subprocess.run([sys.executable, *arguments], cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(out.read_text())


def test_static_catalog_and_api_give_the_same_observations(root: Path, shared_data: Path, tmp_path: Path) -> None:
    found = bench(root, shared_data, tmp_path, "bench/earth_search.py")
    assert found["same_through_api"]
    assert found["one_observation_per_location_and_solar_day"]
    assert found["observations_of_two_tiles"] > 0
    for day in found["median_blue_of_vegetation"].values():
        assert day["ours"] == pytest.approx(day["files"], rel=0.1)


@pytest.mark.slow
def test_a_clear_cut_finds_clear_cuts(root: Path, shared_data: Path, tmp_path: Path) -> None:
    (found,) = bench(root, shared_data, tmp_path, "bench/romania.py", "--encoder", "spectral")
    assert found["strict_interval_low"] > 2 * found["chance"]
