"""Views as a whole: against the published pipeline, by parts of a batch, of any raw type, with data missing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image, ImageFilter
from torch import Tensor
from torchvision.transforms.v2 import functional as reference

from encoder.embed import fill_unseen
from encoder.normalization import CACO, TRUE_COLOUR, Normalizer, Step, default_steps
from encoder.pretraining.crops import CropConfig
from encoder.pretraining.views import KINDS, ViewConfig, Views, fill_no_data, in_raw_units, new_config, widen
from encoder.pretraining.views_spectral import SpectralConfig
from stac.bands import RGB
from stac.errors import DataError, WeightsError

TEN = ("B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B11", "B12")
STD = torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
MEAN = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def ten_bands(rows: int = 9, side: int = 32) -> Tensor:
    return torch.randint(1, 6000, (rows, 10, side, side), generator=seeded(1)).to(torch.int16)


def eight_bits(rows: int = 8, side: int = 64, low: int = 1) -> Tensor:
    """8-bit images that are smooth, as the ground is."""
    x = torch.rand((rows, 3, side // 8, side // 8), generator=seeded(2)) * 110
    x = torch.nn.functional.interpolate(x, size=(side, side), mode="bilinear")
    return (x + 6 * torch.rand(x.shape, generator=seeded(3))).clamp(low, 255).to(torch.uint8)


def spectral(side: int = 32, crop: int = 32) -> Views:
    return Views(new_config("spectral", side, crop), default_steps(TEN), TEN, 10_000.0, "cpu")


def published(side: int = 64, crop: int = 48, config: ViewConfig | None = None) -> Views:
    return Views(config or new_config("published", side, crop), CACO, RGB, 255.0, "cpu")


def stretched(raw: Tensor) -> Tensor:
    """SeCo's stretch of 8-bit B04, B03, B02, still 8 bits."""
    low, high = (torch.tensor(v).view(3, 1, 1) for v in ((0.0, 2.0, 3.0), (129.0, 103.0, 88.0)))
    return ((raw - low) * 255 / (high - low)).floor().clamp(0, 255)


def boxes(draw: dict[str, Tensor], row: int) -> tuple[int, int, int, int]:
    top, left, height, width = (int(draw[name][row]) for name in ("top", "left", "height", "width"))
    return top, left, height, width


def test_plain_views_are_the_published_crop_and_norm() -> None:
    raw, views = eight_bits(), published()
    raw[:, 0, :9] = 0  # dark in one band is no missing data in 8 bits
    draw = views.draw(8, seeded())
    found, at = views(raw, draw, augment=False), draw.columns()
    for row, image in enumerate(stretched(raw.float())):
        expected = (reference.resized_crop(image / 255, *boxes(at, row), [48, 48], antialias=True) - MEAN) / STD
        torch.testing.assert_close(found[row], expected, atol=1e-4, rtol=0)


def test_augmented_views_are_the_published_pipeline() -> None:
    """In Pillow, 8 bits after each step, with a row's own factors."""
    raw, views = eight_bits(24), published()
    draw = views.draw(24, seeded(7))
    found, at = views(raw, draw, augment=True), draw.columns()
    plain = views(raw, draw, augment=False)
    apart, moved = [], []
    for row, image in enumerate(stretched(raw.float())):
        picture = Image.fromarray(image.permute(1, 2, 0).to(torch.uint8).numpy())
        for slot in range(6):
            if slot == 3:
                picture = reference.adjust_hue(picture, float(at["hue"][row]))
            own, mean, grey = (float(at[f"{part}{slot}"][row]) for part in ("own", "mean", "grey"))
            name = "contrast" if mean else "saturation" if grey else "brightness"
            picture = getattr(reference, f"adjust_{name}")(picture, own)
        if at["own6"][row] == 0:
            picture = reference.to_grayscale(picture, num_output_channels=3)
        if at["sigma"][row] > 0:
            picture = picture.filter(ImageFilter.GaussianBlur(float(at["sigma"][row])))
        top, left, height, width = boxes(at, row)
        picture = picture.crop((left, top, left + width, top + height)).resize((48, 48), Image.Resampling.BILINEAR)
        if at["mirror_x"][row]:
            picture = reference.hflip(picture)
        expected = torch.from_numpy(np.asarray(picture, np.float32).copy()).permute(2, 0, 1)
        levels = (found[row] * STD + MEAN) * 255
        apart.append(float((levels - expected).abs().mean()))
        moved.append(float(((plain[row] * STD + MEAN) * 255 - expected).abs().mean()))
    assert max(apart) < 3.0, apart  # of 255
    assert sum(moved) > 8 * sum(apart)


def test_a_config_of_nothing_is_the_normalization() -> None:
    nothing = SpectralConfig(gain=0, tilt=0, haze=(0, 0), noise=0)
    config = ViewConfig("spectral", CropConfig(32, 32, scale=(1, 1), mirror_x=0, blur=0), nuisance=nothing)
    raw = ten_bands()
    views = Views(config, default_steps(TEN), TEN, 10_000.0, "cpu")
    expected = Normalizer(default_steps(TEN), TEN)(raw.float())
    for augment in (False, True):
        torch.testing.assert_close(views(raw, views.draw(9, seeded()), augment), expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("augment", [False, True])
def test_a_part_of_the_batch_gets_what_the_whole_gives_it(kind: str, augment: bool) -> None:
    raw = ten_bands(30)
    views = Views(new_config(kind, 32, 24), default_steps(TEN), TEN, 10_000.0, "cpu")
    draw = views.draw(30, seeded())
    whole = views(raw, draw, augment)
    torch.testing.assert_close(views(raw[11:19], draw[11:19], augment), whole[11:19], atol=1e-6, rtol=1e-6)
    some = torch.tensor([29, 3, 3, 0])
    torch.testing.assert_close(views(raw[some], draw[some], augment), whole[some], atol=1e-6, rtol=1e-6)
    assert whole.is_contiguous(memory_format=torch.channels_last)
    assert whole.shape == (30, 10, 24, 24)
    assert whole.dtype == torch.float32


def test_published_colour_by_parts() -> None:
    raw, views = eight_bits(100, 16), published(16, 16)
    draw = views.draw(100, seeded(3))
    whole = views(raw, draw, augment=True)
    for row in range(0, 100, 7):
        part = slice(row, row + 1)
        torch.testing.assert_close(views(raw[part], draw[part], augment=True), whole[part], atol=5e-6, rtol=0)


def test_draws_depend_on_the_generator_alone() -> None:
    for kind in KINDS:
        views = Views(new_config(kind, 32, 32), default_steps(TEN), TEN, 10_000.0, "cpu")
        a, b, c = (views.draw(16, seeded(seed)) for seed in (5, 5, 6))
        assert torch.equal(a.values, b.values)
        assert not torch.equal(a.values, c.values)
        assert a.values.dtype == torch.float32
        assert len(a[torch.tensor([1, 2])]) == 2


def test_any_raw_type_is_read_alike() -> None:
    views = spectral()
    draw = views.draw(9, seeded())
    raw = ten_bands().to(torch.int32)
    raw[0, :, :9] = 40_000
    unsigned = torch.from_numpy(raw.numpy().astype(np.uint16))
    expected = views(raw, draw, augment=True)
    for same in (unsigned, unsigned.view(torch.int16)):
        assert torch.equal(views(same, draw, augment=True), expected)
    assert torch.equal(widen(unsigned), raw.float())
    series = torch.stack([unsigned.view(torch.int16)] * 3, 1)
    assert torch.equal(views(series[:, 1], draw, augment=True), expected)  # one date of several


def test_steps_in_raw_units_are_the_same_steps() -> None:
    raw = torch.arange(256.0).view(1, 1, 1, -1).expand(1, 3, 1, -1)
    # What was cut to 8 bits once stays whole when it is cut again, though reflectance × 10,000 is not a whole number.
    assert torch.equal(Normalizer(in_raw_units(CACO, 255.0)[:1], RGB)(raw), raw)
    brightened = (raw.long() * 10 // 3).clamp(0, 255).float()
    assert torch.equal(Normalizer(in_raw_units(TRUE_COLOUR, 255.0)[:1], RGB)(raw), brightened)
    whole = torch.arange(10_001.0).view(1, 1, 1, -1).expand(1, 3, 1, -1)
    clip = Step("clip", {"low": (0.0,), "high": (5000.0,)})
    for steps in (CACO, TRUE_COLOUR, default_steps(("B02", "B08", "B12")), (clip, *TRUE_COLOUR)):
        assert torch.equal(Normalizer(in_raw_units(steps, 10_000.0), RGB)(whole), Normalizer(steps, RGB)(whole))
    for steps in (default_steps(("B02", "B08", "B12")), (clip, *default_steps(("B02", "B08", "B12")))):
        found = Normalizer(in_raw_units(steps, 255.0), RGB)(raw)
        torch.testing.assert_close(found, Normalizer(steps, RGB)(raw * (10_000 / 255)))


def test_missing_data_gets_the_mean_as_in_embedding() -> None:
    x = ten_bands().float()
    x[1, 3, :5] = 0
    x[2] = 0
    x[3, 4] = 0
    expected = fill_unseen(x, torch.ones((9, 32, 32), dtype=torch.bool))
    torch.testing.assert_close(fill_no_data(x.clone(), each_band=True), expected)
    dark = torch.tensor([[[[0.0, 3.0, 0.0]], [[5.0, 0.0, 0.0]]]])
    found = fill_no_data(dark.clone(), each_band=False)
    torch.testing.assert_close(found, torch.tensor([[[[0.0, 3.0, 1.5]], [[5.0, 0.0, 2.5]]]]))


@pytest.mark.parametrize("augment", [False, True])
def test_nothing_is_no_number(augment: bool) -> None:
    raw = ten_bands()
    raw[0] = 0
    raw[1, :4] = 0
    raw[2, :, 10:] = 0
    for kind in KINDS:
        views = Views(new_config(kind, 32, 20), default_steps(TEN), TEN, 10_000.0, "cpu")
        found = views(raw, views.draw(9, seeded()), augment)
        assert bool(found.isfinite().all())
        assert float(found[2].std()) > 0
    flat = torch.cat([torch.zeros(4, 3, 64, 64), torch.full((4, 3, 64, 64), 255.0)]).to(torch.uint8)
    assert bool(published()(flat, published().draw(8, seeded()), augment).isfinite().all())


def test_other_bands_change_in_brightness_and_contrast_only() -> None:
    """True colour in other units too: nothing says where its white is."""
    for bands, raw in ((TEN, ten_bands()), (("B04", "B03", "B02"), ten_bands()[:, :3])):
        config = replace(new_config("published", 32, 32), crop=CropConfig(32, 32, scale=(1, 1), mirror_x=0, blur=0))
        steps = default_steps(("B02", "B03", "B04")) if bands == RGB else default_steps(bands)
        views = Views(config, steps, bands, 10_000.0, "cpu")
        draw = views.draw(9, seeded())
        brightness, contrast = (draw.columns()[name].view(-1, 1, 1, 1) for name in ("brightness", "contrast"))
        mean = raw.float().mean((2, 3), keepdim=True)
        expected = Normalizer(steps, bands)(brightness * (mean + contrast * (raw - mean)))
        torch.testing.assert_close(views(raw, draw, augment=True), expected, atol=1e-4, rtol=0)


def test_what_does_not_fit_is_refused() -> None:
    views = spectral()
    with pytest.raises(DataError, match="10 × 32 × 32"):
        views(ten_bands(side=16), views.draw(9, seeded()), augment=True)
    with pytest.raises(DataError):
        views(ten_bands(), views.draw(8, seeded()), augment=True)
    with pytest.raises(DataError, match="float32"):
        views(ten_bands().float(), views.draw(9, seeded()), augment=True)
    with pytest.raises(WeightsError, match="standardize"):
        Views(new_config("published", 64, 64), CACO[:-1], RGB, 255.0, "cpu")
    with pytest.raises(WeightsError):
        Views(new_config("spectral", 64, 64), CACO, TEN, 255.0, "cpu")
    with pytest.raises(DataError, match="published or spectral"):
        new_config("other", 64, 64)
    with pytest.raises(DataError):
        replace(new_config("spectral", 64, 64), kind="other")


@pytest.mark.gpu
@pytest.mark.parametrize("kind", KINDS)
def test_a_gpu_gives_the_same_and_is_never_waited_for(kind: str) -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device here")
    for steps, bands, raw in ((CACO, RGB, eight_bits()), (default_steps(TEN), TEN, ten_bands(8, 64))):
        full = 255.0 if raw.dtype == torch.uint8 else 10_000.0
        there, here = (Views(new_config(kind, 64, 64), steps, bands, full, device) for device in ("cuda", "cpu"))
        draw, moved = here.draw(8, seeded()), raw.cuda()
        for augment in (False, True):
            there(moved, draw, augment)  # libraries are loaded
            torch.cuda.set_sync_debug_mode("error")
            try:
                found = there(moved, draw, augment)
            finally:
                torch.cuda.set_sync_debug_mode("default")
            torch.testing.assert_close(found.cpu(), here(raw, draw, augment), atol=2e-3, rtol=0)
