"""A stream draws from packed grounds where only torch, NumPy, safetensors and the like can be imported."""

import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

import encoder.stream
from encoder.stream import SimulatedStream, StreamConfig
from encoder.stream_country import Country, CountryConfig, Tables
from encoder.stream_draw import Drawn, Scene
from encoder.stream_pack import make_pieces, open_country, save_country
from encoder.stream_sky import Weather
from stac.simulation.arrays import array_namespace

COUNTRY = CountryConfig(biomes=("temperate",), ground_px=128, changes=4, years=6, seed=1)
CONFIG = StreamConfig(country=COUNTRY, chip_size=32, dates=10, plan="halves", batch=6, seed=2)

BARE = """
import sys
from importlib.machinery import BuiltinImporter, FrozenImporter, PathFinder

OURS = {"encoder", "stac"}
THERE = {"torch", "torchvision", "timm", "kornia", "numpy", "safetensors"}
# What these install for themselves (the requirements that their wheels state).
THEIRS = {"typing_extensions", "sympy", "mpmath", "networkx", "jinja2", "markupsafe", "fsspec", "filelock",
          "setuptools", "pkg_resources", "_distutils_hack", "triton", "nvidia", "cuda", "PIL", "yaml", "kornia_rs",
          "packaging", "huggingface_hub", "torchgen", "functorch"}
ALLOWED = OURS | THERE | THEIRS | set(sys.stdlib_module_names)


class Bare:
    @staticmethod
    def find_spec(name, path=None, target=None):
        there = name.partition(".")[0] in ALLOWED or name.startswith("_sysconfigdata")  # Python's own, built with it
        return PathFinder.find_spec(name, path, target) if there else None


sys.meta_path[:] = [BuiltinImporter, FrozenImporter, Bare]
"""

DRAW = """
from pathlib import Path

import torch

from encoder.stream import SimulatedStream, StreamConfig
from encoder.stream_pack import open_country

country = open_country(Path(sys.argv[1]))
config = StreamConfig(country=country.config, chip_size=32, dates=10, plan="halves", batch=6, seed=2)
batch = SimulatedStream(config, country=country).draw()
torch.save({"images": batch.images, "between": batch.between}, sys.argv[2])
"""


def run(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run code in an interpreter of its own, in the repository's root."""
    root = Path(__file__).parents[1]
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=root, capture_output=True, text=True, timeout=300, check=False
    )


@pytest.mark.slow
def test_a_bare_machine_draws_what_a_full_one_draws(tmp_path: Path) -> None:
    path, out = tmp_path / "grounds.safetensors", tmp_path / "batch.pt"
    save_country(path, list(make_pieces(COUNTRY, 1)), COUNTRY)
    done = run(BARE + DRAW, str(path), str(out))
    assert done.returncode == 0, done.stderr
    found = torch.load(out)
    here = SimulatedStream(CONFIG, country=open_country(path)).draw()
    assert here.between is not None
    assert torch.equal(found["images"], here.images)
    assert torch.equal(found["between"], here.between)


def test_making_grounds_is_what_a_bare_machine_lacks() -> None:
    """The refusal works: the same interpreter cannot import what making grounds needs."""
    done = run(BARE + "import encoder.stream\nimport encoder.stream_grounds\n")
    assert done.returncode == 1
    assert "No module named" in done.stderr
    assert "stream_grounds.py" in done.stderr


def test_arrays_of_both_kinds_find_their_functions() -> None:
    one, two = np.array([-1.5, 0.0, 2.5], dtype=np.float32), torch.tensor([-1.5, 0.0, 2.5])
    for values in (one, two):
        xp = array_namespace(values)
        assert xp.astype(values, xp.int64).tolist() == [-1, 0, 2]
        assert xp.astype(values, xp.float32) is not values
        index = xp.asarray([2, 0, 0], dtype=xp.int64, device=values.device)
        assert xp.take(values, index, axis=0).tolist() == [2.5, -1.5, -1.5]
        assert xp.sum(xp.concat([values, values], axis=-1), axis=(-1,)).item() == 2.0
    with pytest.raises(TypeError, match="list"):
        array_namespace([1.0])


def test_the_simulation_needs_no_torch() -> None:
    done = run("import sys\nimport stac.simulation.view, stac.simulation.passes\nassert 'torch' not in sys.modules\n")
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_all_that_is_drawn_stays_on_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tensors that only say that they lie on a GPU: torch refuses to mix them with others, as a GPU would."""
    given: dict[str, Any] = {}
    drawn = encoder.stream.draw_images

    def spy(*arguments: Any) -> Drawn:
        given["arguments"] = arguments
        return drawn(*arguments)

    monkeypatch.setattr(encoder.stream, "draw_images", spy)
    country = replace(COUNTRY, biomes=("coast",), changes=2, years=1)
    SimulatedStream(StreamConfig(country=country, chip_size=16, dates=2, batch=2, changed=1.0)).draw()
    country, canvases, scene, _ = given["arguments"]
    with FakeTensorMode(allow_non_fake_inputs=True):
        canvases._fields, canvases._edges = to_gpu(canvases._fields), to_gpu(canvases._edges)
        found = drawn(to_gpu(country), canvases, to_gpu(scene), None)
    for item in fields(found):
        assert getattr(found, item.name).device.type == "cuda", item.name


def to_gpu(part: Any) -> Any:
    """A tensor, or what holds tensors, as if on a GPU."""
    if isinstance(part, torch.Tensor):
        return torch.empty(part.shape, dtype=part.dtype, device="cuda")
    if isinstance(part, dict):
        return {name: to_gpu(inner) for name, inner in part.items()}
    if isinstance(part, Country | Tables | Scene | Weather):
        return replace(part, **{item.name: to_gpu(getattr(part, item.name)) for item in fields(part)})
    return part
