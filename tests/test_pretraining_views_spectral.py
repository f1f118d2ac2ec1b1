"""Nuisance is smooth over the wavelength and as strong as drawn; bands are dropped as often as told."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from encoder.normalization import CACO, default_steps
from encoder.pretraining.band_drop import BandDropConfig, draw_kept, drop_bands
from encoder.pretraining.crops import CropConfig
from encoder.pretraining.views import ViewConfig, Views, new_config
from encoder.pretraining.views_spectral import COLUMNS, Nuisance, SpectralConfig, draw_nuisance
from stac.bands import RGB
from stac.errors import DataError

TEN = ("B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B11", "B12")
SIDE = 48


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def nuisance() -> Nuisance:
    return Nuisance(TEN, 10_000.0, 10 * SIDE * SIDE, torch.device("cpu"))


def drawn(**values: float) -> dict[str, Tensor]:
    return {name: torch.full((4,), values.get(name, 0.0)) for name in COLUMNS}


def only(**strengths: object) -> SpectralConfig:
    """Everything off but these."""
    nothing = SpectralConfig(gain=0, tilt=0, haze=(0, 0), noise=0)
    return replace(nothing, **strengths)  # type: ignore[arg-type]


def test_strengths_are_drawn_within_their_ranges() -> None:
    values = draw_nuisance(SpectralConfig(), 20_000, seeded())
    draw = dict(zip(COLUMNS, values.unbind(1), strict=True))
    ends = {"gain": (-0.1, 0.1), "tilt": (-0.03, 0.03), "haze": (-0.01, 0.02), "steepness": (1, 2), "noise": (0, 2)}
    for name, (low, high) in ends.items():
        assert float(draw[name].min()) == pytest.approx(low, abs=0.01 * (high - low)), name
        assert float(draw[name].max()) == pytest.approx(high, abs=0.01 * (high - low)), name
    assert float(torch.corrcoef(values.T).fill_diagonal_(0).abs().max()) < 0.03


def test_haze_is_strongest_in_blue_and_nearly_nothing_in_short_wave_infrared() -> None:
    gain, offset = nuisance().light(drawn(haze=0.02, steepness=1.5))
    assert torch.equal(gain, torch.ones(4, 10))
    assert float(offset[0, 0]) == pytest.approx(200.0)
    assert bool((offset[0].diff() < 0).all())
    assert float(offset[0, -1]) < 0.12 * 200


def test_gain_is_shared_and_tilt_is_smooth() -> None:
    gain, offset = nuisance().light(drawn(gain=0.08, tilt=0.03))
    assert torch.equal(offset, torch.zeros(4, 10))
    assert bool((gain[0].diff() > 0).all())
    assert float(gain[0, 0]) == pytest.approx(1.08 * 0.985)
    assert float(gain[0, -1]) == pytest.approx(1.08 * 1.015)


def test_noise_is_the_instruments_at_the_images_mean() -> None:
    numbers, spread = nuisance().noise(drawn(noise=1.0, start=0.3), torch.full((4, 10), 1540.0))
    assert spread.shape == (4, 10)
    assert float(spread[0, 0]) == pytest.approx(10.0)  # a ratio of 154 in B02
    assert numbers.shape == (4, 10 * SIDE * SIDE)
    assert float(numbers[0].std()) == pytest.approx(1.0, abs=0.02)
    ends = drawn(noise=1.0) | {"start": torch.tensor([0.0, 0.5, 0.99999994, 0.5])}
    numbers, _ = nuisance().noise(ends, torch.ones(4, 10))
    assert torch.equal(numbers[1], numbers[3])
    assert abs(float(torch.corrcoef(numbers[:3])[0, 1])) < 0.05


def test_noise_in_a_view_is_as_strong_as_drawn() -> None:
    config = ViewConfig("spectral", CropConfig(SIDE, SIDE, scale=(1, 1), mirror_x=0, blur=0), nuisance=only(noise=4.0))
    views = Views(config, default_steps(TEN), TEN, 10_000.0, "cpu")
    raw = torch.full((6, 10, SIDE, SIDE), 2000, dtype=torch.int16)
    draw = views.draw(6, seeded())
    moved = views(raw, draw, augment=True) - views(raw, draw, augment=False)
    std = torch.tensor(default_steps(TEN)[0].values["std"])
    expected = draw.columns()["noise"] * 2000 / 154 / std[0]
    torch.testing.assert_close(moved[:, 0].std((1, 2)), expected, rtol=0.06, atol=0)
    assert float(moved.mean().abs()) < 1e-3


def test_the_shape_of_spectra_stays() -> None:
    """Differences between neighbouring bands keep their sign where they are more than a twentieth."""
    spectra = torch.tensor(
        [
            [300, 600, 400, 1000, 2500, 3000, 3200, 3300, 1800, 900],  # forest
            [400, 500, 550, 650, 800, 900, 1000, 1100, 2200, 2000],  # burnt
            [900, 1200, 1500, 1700, 1900, 2000, 2150, 2300, 3000, 2700],  # soil
        ]
    )
    raw = spectra[:, :, None, None].expand(-1, -1, SIDE, SIDE).to(torch.int16).repeat(50, 1, 1, 1)
    config = replace(new_config("spectral", SIDE, SIDE), nuisance=SpectralConfig(noise=0.0))
    views = Views(config, default_steps(TEN), TEN, 10_000.0, "cpu")
    found = views(raw, views.draw(150, seeded()), augment=True).mean((2, 3))
    values = default_steps(TEN)[0].values
    found = found * torch.tensor(values["std"]) + torch.tensor(values["mean"])
    before = spectra.repeat(50, 1).float()
    infrared = slice(3, None)  # haze may turn blue and green round over dark ground, as it does
    steep = (before[:, infrared].diff().abs() / before[:, infrared][:, 1:]) > 0.05
    assert bool((found[:, infrared].diff().sign() == before[:, infrared].diff().sign())[steep].all())
    burn = (found[:, 7] - found[:, 9]) / (found[:, 7] + found[:, 9])  # normalised burn ratio
    assert float(burn[0::3].min()) > 0.4
    assert float(burn[1::3].max()) < -0.2


def test_nuisance_comes_before_steps_that_cut_off() -> None:
    config = ViewConfig("spectral", CropConfig(SIDE, SIDE, scale=(1, 1), mirror_x=0), nuisance=only(haze=(0.05, 0.05)))
    views = Views(config, CACO, RGB, 10_000.0, "cpu")
    raw = torch.full((2, 3, SIDE, SIDE), 400, dtype=torch.int16)
    draw = views.draw(2, seeded())
    lit, plain = (views(raw, draw, augment)[0, :, 0, 0] for augment in (True, False))
    levels = (lit - plain) * torch.tensor([0.229, 0.224, 0.225]) * 255
    assert bool((levels > 0).all())
    torch.testing.assert_close(levels, levels.round(), atol=1e-2, rtol=0)  # whole: cut to 8 bits after the haze


@pytest.mark.parametrize("wrong", [{"gain": -0.1}, {"noise": -1.0}, {"haze": (0.1, 0.0)}, {"steepness": (-1.0, 1.0)}])
def test_strengths_that_are_none_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(DataError):
        SpectralConfig(**wrong)  # type: ignore[arg-type]


def test_bands_are_kept_as_often_as_told() -> None:
    kept = draw_kept(TEN, 40_000, seeded())
    assert int(kept.sum(1).min()) == 3
    subsets = {
        "colour": torch.tensor([band in RGB for band in TEN]),
        "infrared": torch.tensor([band in (*RGB, "B08") for band in TEN]),
        "short wave": torch.tensor([band in (*RGB, "B08", "B12") for band in TEN]),
    }
    shares = {name: float((kept == subset).all(1).float().mean()) for name, subset in subsets.items()}
    assert all(share == pytest.approx(0.15, abs=0.01) for share in shares.values()), shares
    assert float(kept.all(1).float().mean()) == pytest.approx(0.4 + 0.15 / 8, abs=0.01)
    any_ = draw_kept(TEN, 20_000, seeded(1), BandDropConfig(usual=(), other=1.0))
    counts = torch.bincount(any_.sum(1), minlength=11)[3:] / 20_000
    torch.testing.assert_close(counts, torch.full((8,), 1 / 8), atol=0.01, rtol=0)
    assert float(any_.float().mean(0).std()) < 0.01  # each band as often


def test_rows_together_keep_the_same_bands() -> None:
    kept = draw_kept(TEN, 64, seeded(), together=2)
    assert torch.equal(kept[0::2], kept[1::2])
    assert len(kept.unique(dim=0)) > 5
    assert len(draw_kept(TEN, 64, seeded(), together=64).unique(dim=0)) == 1
    assert torch.equal(draw_kept(TEN, 64, seeded()), draw_kept(TEN, 64, seeded()))


def test_a_usual_subset_that_is_not_there_keeps_all() -> None:
    kept = draw_kept(("B08", "B8A", "B11", "B12"), 500, seeded(), BandDropConfig(other=0.0))
    assert bool(kept.all())


def test_dropped_bands_are_nought_and_the_rest_may_be_rescaled() -> None:
    x = torch.ones(2, 10, 4, 4)
    kept = torch.zeros(2, 10, dtype=torch.bool)
    kept[0, :4], kept[1] = True, True
    found = drop_bands(x.clone(), kept)
    assert torch.equal(found[0, 4:], torch.zeros(6, 4, 4))
    assert torch.equal(found[0, :4], torch.ones(4, 4, 4))
    assert torch.equal(found[1], x[1])
    scaled = drop_bands(x.clone(), kept, rescale=True)
    torch.testing.assert_close(scaled.sum(1), torch.full((2, 4, 4), 10.0))
    assert torch.equal(drop_bands(x, kept), x)  # in place


@pytest.mark.parametrize("wrong", [{"other": 0.9}, {"other": -0.1}, {"least": 0}])
def test_chances_that_are_none_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(DataError):
        BandDropConfig(**wrong)  # type: ignore[arg-type]


def test_rows_that_do_not_fill_groups_are_refused() -> None:
    with pytest.raises(DataError):
        draw_kept(TEN, 7, seeded(), together=2)
    with pytest.raises(DataError):
        draw_kept(("B04", "B08"), 8, seeded())
