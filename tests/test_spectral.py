import numpy as np
import pytest

from encoder.spectral import DEFAULT_BANDS, FEATURES, INDICES, SpectralEncoder, feature_names, index_bands
from stac.errors import WeightsError


def _chips(count=5, bands=6, side=16, seed=0):
    return np.random.default_rng(seed).integers(1, 6000, (count, bands, side, side), dtype=np.uint16)


def _named(encoder, chips, valid=None):
    """Unscaled features of the first chip by name."""
    vector = encoder.embed(chips, valid)[0] * encoder.scale.ravel()
    return dict(zip(feature_names(encoder.bands), vector, strict=True))


def _constant(values, side=8):
    """One chip in which each default band has one value everywhere."""
    return np.broadcast_to(np.array(values, np.uint16)[None, :, None, None], (1, len(values), side, side)).copy()


def test_indices_of_a_constant_chip_are_their_formulas():
    # B02 500, B03 800, B04 600, B08 3000, B11 1800, B12 1000
    found = _named(SpectralEncoder(), _constant([500, 800, 600, 3000, 1800, 1000]))
    assert found["B08 level"] == pytest.approx(0.3, abs=1e-6)
    expected = {
        "NDVI": (3000 - 600) / 3600,
        "NBR": (3000 - 1000) / 4000,
        "NBR2": (1800 - 1000) / 2800,
        "NDWI": (800 - 3000) / 3800,
        "NDBI": (1800 - 3000) / 4800,
        "BSI": ((1800 + 600) - (3000 + 500)) / 5900,
    }
    assert set(expected) == set(INDICES)
    for name, value in expected.items():
        assert found[f"{name} level"] == pytest.approx(value, abs=1e-6)
        for feature in FEATURES[1:]:
            assert found[f"{name} {feature}"] == pytest.approx(0.0, abs=1e-6)


def test_features_agree_with_a_plain_numpy_twin():
    chips = _chips(1, side=24)
    found = _named(SpectralEncoder(), chips)
    red, nir = chips[0, 2].astype(float), chips[0, 3].astype(float)
    for channel, plane in {"B04": red / 1e4, "NDVI": (nir - red) / (nir + red)}.items():
        cells = np.sort(plane.reshape(4, 6, 4, 6).mean(axis=(1, 3)).ravel())
        steps = np.concatenate([np.abs(np.diff(plane, axis=0)).ravel(), np.abs(np.diff(plane, axis=1)).ravel()])
        twin = [
            plane.mean(),
            cells[0] - plane.mean(),
            cells[-1] - plane.mean(),
            cells[11] - cells[4],
            plane.std(),
            steps.mean(),
        ]
        assert [found[f"{channel} {f}"] for f in FEATURES] == pytest.approx(twin, abs=1e-5)


def test_a_chip_gives_the_same_bits_in_any_batch_and_order():
    encoder, chips = SpectralEncoder(), _chips(50)
    whole = encoder.embed(chips)
    order = np.random.default_rng(1).permutation(len(chips))
    assert np.array_equal(encoder.embed(chips[order]), whole[order])
    assert np.array_equal(np.concatenate([encoder.embed(chips[i : i + 1]) for i in range(5)]), whole[:5])
    valid = np.ones((50, 16, 16), bool)
    valid[0, :3] = False  # a chip that is not wholly seen sends its tile the other way
    assert np.array_equal(encoder.embed(chips, valid)[1:], whole[1:])


@pytest.mark.parametrize("bands", [["B04"], ["red", "green", "blue"], ["B04", "B8A"], ["B02", "B05", "B12", "B11"]])
def test_any_bands_will_do(bands):
    encoder = SpectralEncoder(bands)
    features = encoder.embed(_chips(3, len(bands)))
    assert features.shape == (3, encoder.dim) == (3, len(feature_names(encoder.bands)))
    assert features.dtype == np.float32
    assert np.isfinite(features).all()


def test_threads_change_nothing():
    chips = _chips(100)
    assert np.array_equal(SpectralEncoder(threads=1).embed(chips), SpectralEncoder(threads=5).embed(chips))


def test_indices_follow_the_bands_that_are_there():
    assert set(index_bands(["B04"])) == set()
    assert set(index_bands(["B04", "B08"])) == {"NDVI"}
    assert index_bands(["B04", "B8A"]) == {"NDVI": ((1,), (0,))}  # the narrow near infrared stands in
    assert index_bands(["B8A", "B04", "B08"])["NDVI"] == ((2,), (1,))


@pytest.mark.parametrize("how", ["zero", "mask"])
def test_unseen_pixels_have_no_influence(how):
    encoder, chips = SpectralEncoder(), _chips(2)
    valid = np.ones((2, 16, 16), bool)
    hidden = np.zeros((16, 16), bool)
    hidden[3:9, 2:11] = True
    first, second = chips.copy(), chips.copy()
    if how == "zero":
        first[:, 0, hidden], second[:, 4, hidden] = 0, 0  # one band is enough, and it matters not which
    else:
        valid[:, hidden] = False
        second[:, :, hidden] = 60000
    assert np.array_equal(encoder.embed(first, valid), encoder.embed(second, valid))
    assert not np.array_equal(encoder.embed(first, valid), encoder.embed(chips))


def test_hiding_part_of_a_constant_chip_changes_nothing():
    encoder, chips = SpectralEncoder(), _constant([500, 800, 600, 3000, 1800, 1000])
    valid = np.ones((1, 8, 8), bool)
    valid[:, :5] = False  # whole cells among it
    assert encoder.embed(chips, valid) == pytest.approx(encoder.embed(chips), abs=1e-4)


def test_a_chip_without_valid_pixels_is_zero():
    chips = _chips(2)
    chips[1] = 0
    assert not SpectralEncoder().embed(chips)[1].any()


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (3, 3), (5, 64), (67, 33)])
def test_any_chip_size_will_do(shape):
    chips = np.random.default_rng(0).integers(1, 5000, (2, 6, *shape), dtype=np.uint16)
    assert np.isfinite(SpectralEncoder().embed(chips)).all()


def test_turning_or_mirroring_a_chip_changes_nothing():
    chips = _chips(4)
    encoder = SpectralEncoder()
    assert encoder.embed(chips[..., ::-1]) == pytest.approx(encoder.embed(chips), abs=1e-3)
    assert encoder.embed(np.rot90(chips, axes=(2, 3))) == pytest.approx(encoder.embed(chips), abs=1e-3)


def test_like_changes_are_nearer_than_unlike_ones():
    rng = np.random.default_rng(0)
    before = np.clip(
        np.array([300, 500, 400, 3000, 1500, 800])[:, None, None] + rng.normal(0, 80, (4, 6, 32, 32)), 1, None
    )
    after = before.copy()
    burn, water = np.array([350, 400, 450, 1200, 1800, 2000]), np.array([400, 450, 300, 200, 100, 80])
    for i, (kind, place) in enumerate([(burn, 4), (burn, 14), (water, 4), (water, 14)]):
        after[i, :, place : place + 14, place : place + 16] = kind[:, None, None]
    encoder = SpectralEncoder()
    change = encoder.embed(after.astype(np.uint16)) - encoder.embed(before.astype(np.uint16))
    change /= np.linalg.norm(change, axis=1, keepdims=True)
    alike = change @ change.T
    assert min(alike[0, 1], alike[2, 3]) > 0.9 > 0.5 > alike[:2, 2:].max()


def test_no_chips_give_no_rows():
    assert SpectralEncoder().embed(_chips(0)).shape == (0, 72)


@pytest.mark.parametrize(
    ("chips", "valid"),
    [
        (_chips(2, 5), None),
        (_chips(2).astype(np.float32), None),
        (_chips(2)[0], None),
        (_chips(2), np.ones((2, 3, 3), bool)),
        (_chips(2), np.ones((2, 16, 16), np.uint8)),
    ],
)
def test_chips_of_another_kind_are_refused(chips, valid):
    with pytest.raises(WeightsError, match=r"read the encoder's own bands|give one value a pixel"):
        SpectralEncoder().embed(chips, valid)


def test_the_recipe_has_a_hash_that_bands_change():
    assert SpectralEncoder().sha256 == SpectralEncoder(DEFAULT_BANDS).sha256
    assert SpectralEncoder(["B04", "B08"]).sha256 != SpectralEncoder(["B08", "B04"]).sha256


@pytest.mark.real_data
def test_real_changes_are_found_in_real_pixels(shared_data):
    """Burnt chips of one Californian fire find those of the others well above chance."""
    rasterio = pytest.importorskip("rasterio")
    bands, side = ("B02", "B03", "B04", "B08", "B12"), 16
    encoder, vectors, burnt, fires = SpectralEncoder(bands), [], [], []
    for number, fire in enumerate(sorted((shared_data / "calfire-style").glob("*/"))):
        images = []
        for name in ("before", "after", "perimeter"):
            with rasterio.open(fire / f"{name}.tif") as file:
                a = file.read()
            c, h, w = a.shape[0], a.shape[1] // side, a.shape[2] // side
            a = a[:, : h * side, : w * side].reshape(c, h, side, w, side)
            images.append(a.transpose(1, 3, 0, 2, 4).reshape(h * w, c, side, side))
        inside = images[2].mean(axis=(1, 2, 3))
        kept = (inside == 0) | (inside > 0.3)
        vectors.append(
            encoder.embed(images[1][kept].astype(np.uint16)) - encoder.embed(images[0][kept].astype(np.uint16))
        )
        burnt.append(inside[kept] > 0)
        fires += [number] * int(kept.sum())
    v, truth, fire_of = np.concatenate(vectors), np.concatenate(burnt), np.array(fires)
    v /= np.linalg.norm(v, axis=1, keepdims=True)
    scores = np.where(fire_of[:, None] != fire_of[None], v @ v.T, -2)
    found = truth[np.argsort(-scores[truth], axis=1)[:, :10]].mean()
    assert found > 2 * truth.mean()  # measured 0.75 against 0.26


def test_a_chip_one_column_wide_has_the_edges_of_one_row():
    chip = np.random.default_rng(0).integers(1, 4000, (1, 1, 1, 7)).astype(np.uint16)
    encoder = SpectralEncoder(("B04",))
    np.testing.assert_allclose(encoder.embed(chip.transpose(0, 1, 3, 2)), encoder.embed(chip), rtol=1e-5)
    assert encoder.embed(chip)[0, FEATURES.index("edge")] > 0
