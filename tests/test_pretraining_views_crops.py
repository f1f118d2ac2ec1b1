"""Crops, mirrors, turns, shifts and blur agree with torchvision and Pillow, and are drawn as they draw."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image, ImageFilter
from torch import Tensor
from torchvision.transforms import RandomResizedCrop
from torchvision.transforms.v2 import functional as reference

from encoder.pretraining.crops import COLUMNS, CropConfig, crop_images, draw_crops
from stac.errors import DataError

BOXES = ((0, 0, 64, 64), (3, 5, 61, 47), (20, 1, 17, 30), (63, 63, 1, 1), (0, 40, 40, 24))


def columns(values: Tensor) -> dict[str, Tensor]:
    return dict(zip(COLUMNS, values.unbind(1), strict=True))


def fixed(boxes: tuple[tuple[int, ...], ...], **others: float) -> dict[str, Tensor]:
    """A draw of these boxes and nothing else, or of these columns throughout."""
    values = torch.zeros((len(boxes), len(COLUMNS)))
    values[:, :4] = torch.tensor(boxes, dtype=torch.float32)
    out = columns(values)
    return out | {name: torch.full((len(boxes),), value) for name, value in others.items()}


def images(count: int, bands: int = 3, side: int = 64) -> Tensor:
    return torch.rand((count, bands, side, side), generator=torch.Generator().manual_seed(3))


def same_distribution(a: Tensor, b: Tensor) -> float:
    """Greatest difference of the two cumulative distributions."""
    at = torch.cat([a, b]).sort().values
    parts = [torch.searchsorted(x.sort().values, at, right=True) / len(x) for x in (a, b)]
    return float((parts[0] - parts[1]).abs().max())


def test_boxes_are_drawn_as_torchvision_draws_them() -> None:
    draw = columns(draw_crops(CropConfig(264, 224), 30_000, torch.Generator().manual_seed(0)))
    image = torch.zeros(3, 264, 264)
    torch.manual_seed(0)
    expected = torch.tensor([RandomResizedCrop.get_params(image, [0.2, 1.0], [3 / 4, 4 / 3]) for _ in range(6000)])
    for name, theirs in zip(("top", "left", "height", "width"), expected.unbind(1), strict=True):
        assert same_distribution(draw[name], theirs.float()) < 0.025, name
    ratio = draw["width"] / draw["height"]
    assert same_distribution(ratio, expected[:, 3] / expected[:, 2]) < 0.025
    assert (draw["top"] + draw["height"] <= 264).all()
    assert (draw["left"] + draw["width"] <= 264).all()
    assert all((draw[name] == draw[name].round()).all() for name in ("top", "left", "height", "width"))


def test_the_whole_image_is_taken_when_no_box_fits() -> None:
    draw = columns(draw_crops(CropConfig(64, 64, scale=(1.0, 1.0)), 500, torch.Generator().manual_seed(1)))
    assert (draw["width"] == 64).all()
    assert (draw["height"] == 64).all()
    assert (draw["top"] == 0).all()
    assert RandomResizedCrop.get_params(torch.zeros(3, 64, 64), [1.0, 1.0], [0.5, 0.6]) != (0, 0, 64, 64)


def test_chances_of_mirrors_turns_and_blur() -> None:
    config = CropConfig(64, 64, mirror_x=0.5, mirror_y=0.25, turn=0.1, blur=0.5, shift=0.4)
    draw = columns(draw_crops(config, 40_000, torch.Generator().manual_seed(2)))
    chances = {name: float(draw[name].mean()) for name in ("mirror_x", "mirror_y", "turn")}
    assert chances == pytest.approx({"mirror_x": 0.5, "mirror_y": 0.25, "turn": 0.1}, abs=0.01)
    sigma = draw["sigma"][draw["sigma"] > 0]
    assert len(sigma) / 40_000 == pytest.approx(0.5, abs=0.01)
    assert (float(sigma.min()), float(sigma.max()), float(sigma.mean())) == pytest.approx((0.1, 2.0, 1.05), abs=0.02)
    assert float(draw["shift_x"].min()) == pytest.approx(-0.4, abs=0.01)
    assert float(draw["shift_y"].max()) == pytest.approx(0.4, abs=0.01)


@pytest.mark.parametrize("crop", [24, 64, 100])
def test_crops_are_torchvisions(crop: int) -> None:
    x = images(len(BOXES))
    found = crop_images(x, fixed(BOXES), CropConfig(64, crop), plain=True, blurred=False)
    for image, view, (top, left, height, width) in zip(x, found, BOXES, strict=True):
        expected = reference.resized_crop(image, top, left, height, width, [crop, crop], antialias=True)
        torch.testing.assert_close(view, expected, atol=2e-5, rtol=0)


def test_crops_are_pillows() -> None:
    x = (images(len(BOXES)) * 255).round()
    found = crop_images(x, fixed(BOXES), CropConfig(64, 48), plain=True, blurred=False)
    for image, view, (top, left, height, width) in zip(x, found, BOXES, strict=True):
        picture = Image.fromarray(image.permute(1, 2, 0).to(torch.uint8).numpy())
        cut = picture.crop((left, top, left + width, top + height)).resize((48, 48), Image.Resampling.BILINEAR)
        assert np.abs(np.asarray(cut, np.float32) - view.permute(1, 2, 0).numpy()).max() <= 1.5


def test_sampling_gives_what_the_matrices_give() -> None:
    config = CropConfig(64, 64, mirror_x=0.5, mirror_y=0.5, turn=0.5, shift=0.5)
    draw = columns(draw_crops(config, 32, torch.Generator().manual_seed(4)))
    draw["sigma"] = torch.zeros(32)
    x = images(32, bands=5)
    fast, exact = (crop_images(x, draw, config, plain=False, blurred=blurred) for blurred in (False, True))
    torch.testing.assert_close(fast, exact, atol=5e-5, rtol=0)
    assert exact.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("blurred", [False, True])
def test_the_eight_ways_to_lay_a_square(blurred: bool) -> None:
    x, config = images(1), CropConfig(64, 64, turn=0.5)
    ways = []
    for y in (0.0, 1.0):
        for along in (0.0, 1.0):
            for turn in (0.0, 1.0):
                draw = fixed(((0, 0, 64, 64),), mirror_y=y, mirror_x=along, turn=turn)
                ways.append(crop_images(x, draw, config, plain=False, blurred=blurred)[0])
    expected = [torch.rot90(image, k, (1, 2)) for image in (x[0], x[0].flip(2)) for k in range(4)]
    matches = [i for image in expected for i, way in enumerate(ways) if torch.allclose(way, image, atol=2e-5)]
    assert sorted(matches) == list(range(8))
    torch.testing.assert_close(ways[2], x[0].flip(2), atol=2e-5, rtol=0)


def test_blur_is_gaussian_with_edges_repeated() -> None:
    x = images(1)
    for sigma in (0.3, 1.0, 2.0):
        found = crop_images(x, fixed(((0, 0, 64, 64),), sigma=sigma), CropConfig(64, 64), plain=False, blurred=True)
        wide = torch.nn.functional.pad(x, (8, 8, 8, 8), mode="replicate")
        expected = reference.gaussian_blur(wide, [17, 17], [sigma, sigma])[:, :, 8:-8, 8:-8]
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


def test_blur_is_near_pillows_which_is_made_of_boxes() -> None:
    x = torch.nn.functional.interpolate(images(1, side=16) * 255, size=(64, 64), mode="bilinear").round()
    picture = Image.fromarray(x[0].permute(1, 2, 0).to(torch.uint8).numpy())
    for sigma in (0.5, 1.0, 2.0):
        found = crop_images(x, fixed(((0, 0, 64, 64),), sigma=sigma), CropConfig(64, 64), plain=False, blurred=True)
        theirs = np.asarray(picture.filter(ImageFilter.GaussianBlur(sigma)), np.float32)
        apart = np.abs(theirs - found[0].permute(1, 2, 0).numpy())
        changed = float(np.abs(theirs - x[0].permute(1, 2, 0).numpy()).mean())
        assert float(apart.mean()) < min(1.0, 0.5 * changed)


def test_blur_comes_before_the_crop() -> None:
    x = images(2)
    box = ((10, 8, 30, 40),) * 2
    both = crop_images(x, fixed(box, sigma=1.5), CropConfig(64, 32), plain=False, blurred=True)
    whole = fixed(((0, 0, 64, 64),) * 2, sigma=1.5)
    first = crop_images(x, whole, CropConfig(64, 64), plain=False, blurred=True).contiguous()
    then = crop_images(first, fixed(box), CropConfig(64, 32), plain=True, blurred=False)
    torch.testing.assert_close(both, then, atol=1e-5, rtol=0)


def test_a_shift_looks_that_much_farther() -> None:
    ramp = torch.arange(64.0).expand(1, 1, 64, 64).contiguous()
    for blurred in (False, True):
        draw = fixed(((0, 0, 64, 64),), shift_x=0.25, shift_y=-0.4)
        found = crop_images(ramp, draw, CropConfig(64, 64), plain=False, blurred=blurred)
        torch.testing.assert_close(found[..., 1:-1], ramp[..., 1:-1] + 0.25, atol=1e-4, rtol=0)


def test_plain_views_are_cropped_only_and_constants_stay() -> None:
    draw = fixed(BOXES, mirror_x=1.0, mirror_y=1.0, turn=1.0, shift_x=0.5, sigma=2.0)
    config = CropConfig(64, 40, turn=0.5)
    plain = crop_images(images(5), draw, config, plain=True, blurred=False)
    torch.testing.assert_close(plain, crop_images(images(5), fixed(BOXES), config, plain=True, blurred=False))
    flat = crop_images(torch.full((5, 2, 64, 64), 7.0), draw, config, plain=False, blurred=True)
    torch.testing.assert_close(flat, torch.full_like(flat, 7.0))


@pytest.mark.parametrize(
    "wrong",
    [{"crop": 0}, {"scale": (0.5, 1.2)}, {"ratio": (1.1, 1.2)}, {"turn": 2.0}, {"shift": 0.6}, {"sigma": (0, 1)}],
)
def test_numbers_that_are_none_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(DataError):
        replace(CropConfig(64, 64), **wrong)  # type: ignore[arg-type]
