"""Jitter and grey agree with torchvision and Pillow, step by step and in any order."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms import functional as classic
from torchvision.transforms.v2 import functional as reference

from encoder.pretraining.views_published import (
    COLUMNS,
    ColourConfig,
    change_colour,
    draw_colour,
    light_change,
    mix_grey,
    turn_hue,
)
from stac.errors import DataError

LUMA = 3e-4  # torchvision writes 0.2989 where Pillow and we have 0.299


def images(count: int = 6) -> Tensor:
    x = torch.rand((count, 3, 20, 24), generator=torch.Generator().manual_seed(1))
    x[0, :, :4] = 0.5  # without hue
    x[0, :, 4:6] = 0.0
    x[0, 0, 6:8] = 1.0
    return x


def drawn(rows: int, config: ColourConfig | None = None) -> dict[str, Tensor]:
    values = draw_colour(config or ColourConfig(), rows, torch.Generator().manual_seed(5))
    return dict(zip(COLUMNS, values.unbind(1), strict=True))


def mixed(x: Tensor, step: str, factor: float) -> Tensor:
    """One step through our one formula."""
    full = torch.full((len(x),), factor)
    if step == "brightness":
        return mix_grey(x, full, None, 0 * full)
    if step == "contrast":
        return mix_grey(x, full, 1 - full, 0 * full)
    if step == "saturation":
        return mix_grey(x, full, None, 1 - full)
    return turn_hue(x, full)


STEPS = [
    *((step, factor) for step in ("brightness", "contrast", "saturation") for factor in (0.0, 0.6, 0.9, 1.0, 1.4)),
    *(("hue", factor) for factor in (-0.5, -0.1, 0.0, 0.07, 0.3)),
]


@pytest.mark.parametrize(("step", "factor"), STEPS)
def test_each_step_is_torchvisions(step: str, factor: float) -> None:
    x = images()
    expected = torch.stack([getattr(reference, f"adjust_{step}")(image, factor) for image in x])
    torch.testing.assert_close(mixed(x, step, factor), expected, atol=LUMA, rtol=0)


@pytest.mark.parametrize(("step", "factor"), [step for step in STEPS if abs(step[1]) <= 1.4])
def test_each_step_is_pillows(step: str, factor: float) -> None:
    x = (images() * 255).round()
    found = mixed(x / 255, step, factor) * 255
    for image, ours in zip(x, found, strict=True):
        picture = Image.fromarray(image.permute(1, 2, 0).to(torch.uint8).numpy())
        theirs = np.asarray(getattr(classic, f"adjust_{step}")(picture, factor), np.float32)
        apart = np.abs(theirs - ours.permute(1, 2, 0).numpy())
        # Pillow's hue and saturation have 8 bits: two steps of hue, 6 levels each, and more for the rest.
        assert float(apart.mean()) < (2.5 if step == "hue" else 1.0), (step, factor)
        assert float(apart.max()) <= (18.0 if step == "hue" else 2.5), (step, factor)


def test_grey_is_torchvisions() -> None:
    x = images()
    zero, one = torch.zeros(len(x)), torch.ones(len(x))
    expected = reference.rgb_to_grayscale(x, num_output_channels=3)
    torch.testing.assert_close(mix_grey(x, zero, None, one), expected, atol=LUMA, rtol=0)


def order(draw: dict[str, Tensor], row: int) -> list[str]:
    """The steps of a row, read off its slots."""
    out = []
    for slot in range(7):
        own, mean, grey = (float(draw[f"{part}{slot}"][row]) for part in ("own", "mean", "grey"))
        if slot == 3:
            out.append("hue")
        if (own, mean, grey) != (1.0, 0.0, 0.0):
            out.append("grey" if slot == 6 else "contrast" if mean else "saturation" if grey else "brightness")
    return out


def test_steps_in_any_order_are_torchvisions_in_that_order() -> None:
    x, draw = images(60), drawn(60)
    found = change_colour(x, draw, draw)
    orders = set()
    for row, image in enumerate(x):
        steps = order(draw, row)
        orders.add(tuple(step for step in steps if step != "grey"))
        for step in steps:
            if step == "grey":
                image = reference.rgb_to_grayscale(image, num_output_channels=3)
            else:
                image = getattr(reference, f"adjust_{step}")(image, float(draw[step][row]))
        torch.testing.assert_close(found[row], image, atol=2e-3, rtol=0)
    assert len(orders) > 15  # of 24, and rows without any step


def test_what_no_row_needs_changes_nothing() -> None:
    x, still = images(), drawn(6, ColourConfig(jitter=0.0, grey=0.0))
    assert change_colour(x, still, still) is x
    some = drawn(64)
    left = some["own6"].ne(0) & some["brightness"].eq(1) & some["hue"].eq(0)
    assert bool(left.any())
    y = images(64)
    torch.testing.assert_close(change_colour(y, some, some)[left], y[left], atol=2e-6, rtol=0)


def test_chances_and_ranges() -> None:
    draw = drawn(60_000)
    jittered = draw["hue"] != 0
    assert float(jittered.float().mean()) == pytest.approx(0.8, abs=0.01)
    assert float((draw["own6"] == 0).float().mean()) == pytest.approx(0.2, abs=0.01)
    for name, middle, wide in (("brightness", 1, 0.4), ("contrast", 1, 0.4), ("saturation", 1, 0.4), ("hue", 0, 0.1)):
        factor = draw[name][jittered]
        assert float(factor.min()) == pytest.approx(middle - wide, abs=0.001)
        assert float(factor.max()) == pytest.approx(middle + wide, abs=0.001)
        assert float(factor.std()) == pytest.approx(2 * wide / 12**0.5, rel=0.02)
    before = sum((draw[f"own{slot}"] != 1).float() for slot in range(3))[jittered]  # type: ignore[union-attr]
    counts = torch.bincount(before.long(), minlength=4) / len(before)
    torch.testing.assert_close(counts, torch.full((4,), 0.25), atol=0.01, rtol=0)  # hue is in each place as often
    first = (draw["mean0"] != 0)[jittered].float().mean()
    assert float(first) == pytest.approx(0.25, abs=0.01)  # contrast before all others


def test_brightness_and_contrast_of_any_bands_share_their_factors() -> None:
    x = torch.rand((4, 7, 8, 8)) + 0.5
    draw = drawn(4, ColourConfig(jitter=1.0))
    gain, offset = light_change(draw, x.mean((2, 3)))
    found = x * gain[..., None, None] + offset[..., None, None]
    for row in range(4):
        bright = x[row] * draw["brightness"][row]
        mean = bright.mean((1, 2), keepdim=True)
        torch.testing.assert_close(found[row], mean + draw["contrast"][row] * (bright - mean))


@pytest.mark.parametrize("wrong", [{"jitter": 1.5}, {"brightness": -0.1}, {"hue": 0.6}])
def test_strengths_that_are_none_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(DataError):
        ColourConfig(**wrong)
