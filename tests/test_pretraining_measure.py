"""Change told from season: the figures of codes whose answer is known by construction; the network stays as it was."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from encoder.normalization import default_steps
from encoder.pretraining.curves import EDGES
from encoder.pretraining.measure import (
    COSINES,
    NORMS,
    compare_dates,
    encode_dates,
    measure_change,
    rate_changes,
    rate_similarities,
    whole_chips,
)
from encoder.pretraining.memory import change_distances
from encoder.pretraining.views import Views, new_config
from encoder.stream_country import KINDS
from stac.errors import DataError
from tests.pretraining_runs import MadeSeries, new_trainer

BANDS = ("B02", "B03", "B04")
COUNT = 300


class TellingSeries(MadeSeries):
    """Images whose red is the location's angle, green the season's and blue the change's."""

    def __init__(self, count: int = COUNT, side: int = 16) -> None:
        super().__init__(count, side)
        generator = torch.Generator().manual_seed(5)
        place = torch.rand(count, 1, generator=generator).expand(count, 10)
        season = torch.rand(count, 10, generator=generator)
        change = self.changed[:, None] * self.half
        values = torch.stack([place, season, change], dim=2)  # (N, T, 3)
        self.images = (values * 5000 + 1000).to(torch.int16)[..., None, None].expand(-1, -1, -1, side, side).clone()
        self.kind = torch.where(self.changed > 0, torch.arange(count) // 3 % 2, -1)


class Reader(nn.Module):
    """A branch that reads one number off the image, and turns its code by it."""

    def __init__(self, band: int, subspaces: int = 3) -> None:
        super().__init__()
        self.band, self.heads = band, subspaces

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        value = x[:, self.band].mean(dim=(1, 2))
        code = torch.stack([value.cos(), value.sin()], dim=1)
        noise = torch.randn(len(x), 2, generator=torch.Generator().manual_seed(int(x.abs().sum() * 1e3) % 2**31))
        return code, torch.stack([code if i == self.heads // 2 else noise for i in range(self.heads)])


class Noise(nn.Module):
    """Codes that have nothing to do with the image."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        seed = torch.Generator().manual_seed(int(x.double().abs().sum() * 1e6) % 2**31)
        return torch.randn(len(x), 16, generator=seed), torch.randn(3, len(x), 16, generator=seed)


class Diverged(nn.Module):
    """A branch whose parameters are no numbers any more."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return torch.full((len(x), 4), torch.nan), torch.ones(3, len(x), 4)


def views_of(series: MadeSeries, crop: int = 16, kind: str = "published") -> Views:
    return Views(new_config(kind, series.side, crop), default_steps(BANDS), series.bands, series.full, "cpu")


def measure(branch: nn.Module, series: MadeSeries, **more: object) -> dict:
    return measure_change(branch, series, views_of(series), torch.arange(series.count), **more)  # type: ignore[arg-type]


def test_a_branch_that_sees_change_alone_is_right_always() -> None:
    found = measure(Reader(2), TellingSeries())
    assert (found["locations"], found["changed"], found["dates"]) == (COUNT, COUNT // 3, 5)
    for name in ("projection", "features"):
        own = found[name]
        assert (own["ratio_auroc"], own["ratio_ap"], own["long_auroc"]) == (1.0, 1.0, 1.0)
        assert own["separation"]["season-event"] == own["separation"]["years-event"] == 1.0
        assert own["separation"]["season-years"] == pytest.approx(0.5)
        assert own["similarity"]["season"]["quantiles"][0] == pytest.approx(1.0)
        assert own["similarity"]["event"]["quantiles"][2] < 0.9
        assert set(own["by_kind"]) == set(KINDS[:2])
        assert own["by_kind"][KINDS[0]] == {"changed": 50, "ratio_auroc": 1.0, "long_auroc": 1.0}
    json.dumps(found)


@pytest.mark.parametrize("branch", [Noise(), Reader(1), Reader(0)], ids=["noise", "season", "place"])
def test_a_branch_that_sees_no_change_knows_nothing(branch: nn.Module) -> None:
    own = measure(branch, TellingSeries())["projection"]
    for figure in ("ratio_auroc", "long_auroc", "short_auroc"):
        assert own[figure] == pytest.approx(0.5, abs=0.11), figure
    assert own["ratio_ap"] == pytest.approx(1 / 3, abs=0.12)
    assert own["separation"]["season-event"] == pytest.approx(0.5, abs=0.05)


def test_places_are_told_apart_by_what_differs_between_them() -> None:
    own = measure(Reader(0), TellingSeries())["projection"]
    assert own["separation"]["season-others"] > 0.95
    assert own["similarity"]["others"]["pairs"] == COUNT * 10


def test_the_projection_that_estimates_change_is_measured() -> None:
    """The others of `Reader` are noise; of a method with one projection it is that one."""
    assert measure(Reader(2, subspaces=3), TellingSeries())["projection"]["ratio_auroc"] == 1.0
    assert measure(Reader(2, subspaces=1), TellingSeries())["projection"]["ratio_auroc"] == 1.0


def test_counts_of_pairs_and_histograms_come_to_all_pairs() -> None:
    codes = torch.randn(6, 2, 4, 3, generator=torch.Generator().manual_seed(0))
    changed = torch.tensor([True, False, False, True, False, False])
    cosines = compare_dates(codes)
    own = rate_similarities(cosines, changed) | rate_changes(cosines, changed, torch.full((6,), -1))
    pairs = {name: group["pairs"] for name, group in own["similarity"].items()}
    assert pairs == {"season": 6 * 12, "years": 4 * 16, "event": 2 * 16, "others": 6 * 8}
    assert {name: sum(group["histogram"]) for name, group in own["similarity"].items()} == pairs
    assert len(own["similarity"]["season"]["histogram"]) == len(COSINES) - 1
    assert {name: sum(counts) for name, counts in own["ratio_histogram"].items()} == {"unchanged": 4, "changed": 2}
    assert len(own["ratio_histogram"]["changed"]) == len(EDGES)
    assert own["by_kind"] == {}


def test_distances_are_those_of_the_change_memory() -> None:
    codes = torch.randn(5, 2, 2, 8, generator=torch.Generator().manual_seed(2))
    unit = nn.functional.normalize(codes, dim=3)
    cosines = compare_dates(codes)
    a, b = unit[:, :, 0].flatten(0, 1), unit[:, :, 1].flatten(0, 1)
    long, short, _ = change_distances(a, b)
    np.testing.assert_allclose((2 - 2 * cosines.years[:, 0]).sqrt(), long[::2], atol=1e-5)
    np.testing.assert_allclose((2 - 2 * cosines.season).sqrt(), short.reshape(5, 2), atol=1e-5)
    np.testing.assert_allclose(cosines.others[2, 0], (unit[2, 0, 0] * unit[1, 0, 0]).sum(), atol=1e-5)
    assert torch.allclose(cosines.distances()[1], (2 - 2 * cosines.season).sqrt().mean(dim=1))


@pytest.mark.parametrize("norm", NORMS)
def test_the_network_stays_as_it_was_and_the_norm_is_as_told(norm: str, tmp_path: Path) -> None:
    trainer = new_trainer(tmp_path)
    before = copy.deepcopy(trainer.model.key.state_dict())
    series, views = trainer.series, trainer.views
    features, projections = encode_dates(trainer.model.key, series, views, torch.arange(32), norm=norm, rows=64)
    assert trainer.model.key.training
    assert all(torch.equal(value, before[name]) for name, value in trainer.model.key.state_dict().items())
    assert features.shape == (32, 2, 5, 512)
    assert projections.shape == (32, 2, 5, 16)
    draw = whole_chips(views, 64)
    images = series.take(torch.arange(32), torch.tensor([[2, 7]]).repeat(32, 1)).flatten(0, 1)
    with torch.no_grad():
        _, wanted = trainer.model.key.train(norm == "batch")(views(images, draw, augment=False))
    torch.testing.assert_close(projections[:, :, 2].flatten(0, 1), wanted[1], rtol=1e-4, atol=1e-5)


def test_batches_share_nothing_by_running_statistics(tmp_path: Path) -> None:
    trainer = new_trainer(tmp_path)
    parts = [
        encode_dates(trainer.model.query, trainer.series, trainer.views, torch.arange(12), rows=rows)[0]
        for rows in (24, 10)
    ]
    torch.testing.assert_close(parts[0], parts[1], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", ["published", "spectral"])
@pytest.mark.parametrize(("side", "crop", "start"), [(16, 16, 0), (16, 12, 2)])
def test_a_whole_chip_or_its_middle_is_seen_as_it_is(side: int, crop: int, start: int, kind: str) -> None:
    series = MadeSeries(4, side)
    views = views_of(series, crop, kind)
    raw = series.images[:, 0]
    seen = views(raw, whole_chips(views, 4), augment=False)
    alone = Views(new_config(kind, crop, crop), default_steps(BANDS), series.bands, series.full, "cpu")
    cut = raw[..., start : start + crop, start : start + crop].contiguous()
    torch.testing.assert_close(seen, alone(cut, whole_chips(alone, 4), augment=False), rtol=1e-4, atol=1e-4)


def test_what_cannot_be_measured_is_said() -> None:
    series = TellingSeries(12)
    with pytest.raises(DataError, match="batch norm 'other'"):
        measure(Reader(2), series, norm="other")
    with pytest.raises(DataError, match="codes that are no numbers"):
        measure(Diverged(), series)
    series.half = torch.where(series.half == 1, -1, series.half)
    with pytest.raises(DataError, match="0 dates in a half"):
        measure(Reader(2), series)
    series.changed = None  # type: ignore[assignment]
    with pytest.raises(DataError, match="series without truth"):
        measure(Reader(2), series)


def test_nothing_to_tell_apart_is_no_figure() -> None:
    series = TellingSeries(12)
    series.changed = torch.zeros(12)
    own = measure(Reader(2), series, histograms=False)["features"]
    assert own["ratio_auroc"] is None
    assert own["similarity"]["event"] == {"pairs": 0, "quantiles": None}
    assert own["separation"]["season-event"] is None
    assert own["ratios"]["changed"] is None
