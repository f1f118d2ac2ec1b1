import pytest
import torch

from encoder.normalization import CACO, TRUE_COLOUR, Normalizer, Step, default_steps, step_faults
from stac.bands import BANDS, RGB
from stac.errors import WeightsError


def _pixel(*values):
    return torch.tensor(values, dtype=torch.float32).view(1, -1, 1, 1)


def test_caco_stretch_on_literal_pixels():
    # Reflectance 0.1 → 25.5 → 25. Red 25·255/129 = 49.4 → 49; green (25−2)·255/101 = 58.07 → 58;
    # blue (25−3)·255/85 = 66 → 66.
    eight_bit = Normalizer(CACO[:2], RGB)(_pixel(1000, 1000, 1000))
    assert eight_bit.flatten().tolist() == [49.0, 58.0, 66.0]
    whole = Normalizer(CACO, RGB)(_pixel(1000, 1000, 1000)).flatten().tolist()
    expected = [(49 / 255 - 0.485) / 0.229, (58 / 255 - 0.456) / 0.224, (66 / 255 - 0.406) / 0.225]
    assert whole == pytest.approx(expected, abs=1e-6)


def test_caco_stretch_clips_at_both_ends():
    assert Normalizer(CACO[:2], RGB)(_pixel(1, 60, 60)).flatten().tolist() == [0.0, 0.0, 0.0]
    assert Normalizer(CACO[:2], RGB)(_pixel(65535, 9000, 5000)).flatten().tolist() == [255.0, 255.0, 255.0]


def test_bytes_are_exact_at_every_digital_number():
    numbers = torch.arange(65536, dtype=torch.float32)
    found = Normalizer([Step("bytes", {"full": (10000.0,)})], RGB)(numbers.view(1, 1, -1, 1)).flatten()
    expected = torch.clamp(torch.arange(65536) * 255 // 10000, max=255)  # in whole numbers
    assert torch.equal(found.long(), expected)


def test_true_colour_fills_eight_bits_at_reflectance_0_3():
    found = Normalizer(TRUE_COLOUR[:2], RGB)(_pixel(0, 1500, 3000)).flatten().tolist()
    assert found == pytest.approx([0.0, 127 / 255, 1.0])


def test_clip_and_scale_take_one_number_or_one_a_band():
    steps = [Step("scale", {"factor": (1.0, 10.0, 100.0)}), Step("clip", {"low": (0.0,), "high": (5.0,)})]
    assert Normalizer(steps, RGB)(_pixel(3, 30, 3000)).flatten().tolist() == [3.0, 3.0, 5.0]


def test_default_is_true_colour_for_rgb_and_statistics_for_all_else():
    assert default_steps(RGB) == TRUE_COLOUR
    (step,) = default_steps(tuple(BANDS))
    assert not step_faults(step, tuple(BANDS))
    assert default_steps(("B12", "B04"))[0].values["mean"] == pytest.approx((1805.068, 1297.473), abs=1e-3)


@pytest.mark.parametrize(
    "step",
    [
        Step("blur"),
        Step("scale", {"mean": (1.0,)}),
        Step("scale", {"factor": (1.0, 2.0)}),
        Step("scale", {"factor": (float("nan"),)}),
    ],
)
def test_faulty_steps_are_refused(step):
    with pytest.raises(WeightsError, match="mend the JSON file"):
        Normalizer([step], RGB)
