"""EuroSAT by frozen features: k nearest neighbours, linear probe, retrieval, on the geographic split.

    python bench/eurosat.py --real ../shared/data          # the constants HAZE, anew
    python bench/weights.py --only eurosat --encoders spectral random --train 2000 --test 1500

**Pixels.** The 27,000 images (Helber et al., "EuroSAT", JSTARS 2019) are 8-bit renderings of level-1C counts, 0 … 2750
stretched to 1 … 255, bands B04, B03, B02 as red, green, blue (the maintainers' command: README at
https://github.com/phelber/EuroSAT/tree/353fc2f, "FAQ"). Encoders expect counts of level 2A, so the stretch is undone
and a constant haze is taken off each band (dark-object subtraction: Chavez, "An improved dark-object subtraction
technique for atmospheric scattering correction", Remote Sensing of Environment 24, 1988, 459–479). `--level toa` leaves
it. What is brighter than 2750 is lost, and JPEG has smoothed the rest: these are not the pixels that encoders see in
use.

**Split.** 16,200 / 5,400 / 5,400 images by place (EuroSAT-spatial, as torchgeo has it). Training rows fit, the split
named by `--score` is scored: `test` for what is published, `val` for whatever chooses between weights. Nothing that is
trained may see the test split, and no choice may rest on it.

**Figures.** Accuracy over images of the 5 and 20 nearest neighbours (cosine; standardised features, and as they are)
and of the linear probe (`encoder.probe`), means over classes beside, because classes differ in number; mean average
precision and precision@20 of every scored image against all others, features as they are. 95 % intervals over images,
which lie in bunches: too narrow for other regions.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import sys
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from inputs import check_real
from numpy.typing import NDArray
from PIL import Image

from encoder.encoders import Encoder
from encoder.probe import Score, accuracy, class_accuracy, knn_predict, linear_predict, retrieve, standardize
from index.metrics import Interval, bootstrap, chance_ap
from stac.bands import RGB
from stac.cli import parse_args
from stac.errors import DataError, exit_code
from stac.files import write_whole

Level = Literal["surface", "toa"]

CLASSES = (
    "AnnualCrop",
    "Forest",
    "HerbaceousVegetation",
    "Highway",
    "Industrial",
    "Pasture",
    "PermanentCrop",
    "Residential",
    "River",
    "SeaLake",
)
FILES = ("eurosat-rgb/EuroSAT.zip", "eurosat-rgb/splits")
SIDE = 64
BRIGHTEST = 2750.0
"""Count that is rendered as 255 (see the module's head)."""
HAZE = (170.3, 388.3, 631.7)
"""Counts of haze in B04, B03, B02. measured (python bench/eurosat.py): 1 % quantile of the training split less that of
the 250 level-2A chips, no label read."""
DARK = 0.01
"""assumed: the quantile that is dark ground in both."""
K = (5, 20)
"""Neighbours that vote."""
RANKS = 20
"""Ranks of the precision, as in CACo's notebook."""


@dataclass(frozen=True, eq=False)
class Images:
    """Images of one split."""

    pixels: NDArray[np.uint8]
    """(N, 64, 64, 3) red, green, blue, as rendered."""
    labels: NDArray[np.int64]
    """(N,) index into `CLASSES`."""


@dataclass(frozen=True)
class Settings:
    """Which images are read, and how."""

    split: str = "test"
    """Which split is scored, `test` or `val`."""
    train: int | None = None
    """Training images, drawn with the seed; None: all."""
    test: int | None = None
    """Scored images, likewise."""
    level: Level = "surface"
    """`surface`: haze is taken off; `toa`: it stays."""
    seed: int = 0
    """Of the images drawn, the part held out and the bootstrap."""
    work: Path | None = None
    """Folder that keeps decoded images; None: none does."""


@dataclass(frozen=True, eq=False)
class Task:
    """What encoders are asked."""

    train: Images
    scored: Images
    settings: Settings


def open_task(real: Path, settings: Settings) -> Task:
    """Read the training split and the one that is scored.

    Raises:
        DataError: A file is missing or not EuroSAT's.
    """
    check_real(real, FILES)
    train = choose(read_names(real, "train"), settings.train, settings.seed)
    scored = choose(read_names(real, settings.split), settings.test, settings.seed)
    return Task(read_images(real, train, settings.work), read_images(real, scored, settings.work), settings)


def read_names(real: Path, split: str) -> list[str]:
    """Names of a split's images, sorted."""
    text = (real / FILES[1] / f"eurosat-spatial-{split}.txt").read_text(encoding="utf-8")
    return sorted(f"{Path(name).stem}.jpg" for name in text.split())


def choose(names: Sequence[str], count: int | None, seed: int) -> list[str]:
    """Some of the names, drawn without regard to class; all for None."""
    if count is None or count >= len(names):
        return list(names)
    drawn = np.random.default_rng(seed).choice(len(names), count, replace=False)
    return [names[i] for i in sorted(drawn)]


def read_images(real: Path, names: Sequence[str], work: Path | None = None) -> Images:
    """Decode images straight from the archive, or read them from the work folder where they were before.

    Raises:
        DataError: The archive lacks an image, or one is of another kind.
    """
    try:
        labels = np.array([CLASSES.index(name.split("_")[0]) for name in names], np.int64)
    except ValueError as err:
        raise DataError(f"a class that is not EuroSAT's ({err})", ", ".join(CLASSES), "check the split's file") from err
    kept = None if work is None else work / f"eurosat-{hashlib.sha256(chr(10).join(names).encode()).hexdigest()}.npy"
    if kept is not None and kept.is_file():
        return Images(np.load(kept), labels)
    pixels = np.empty((len(names), SIDE, SIDE, 3), np.uint8)
    with zipfile.ZipFile(real / FILES[0]) as archive:
        for number, name in enumerate(names):
            pixels[number] = _decode(archive, name)
    if kept is not None:
        with write_whole(kept) as temporary, temporary.open("wb") as file:
            np.save(file, pixels)
    return Images(pixels, labels)


def _decode(archive: zipfile.ZipFile, name: str) -> NDArray[np.uint8]:
    """One image (64, 64, 3)."""
    try:
        image = np.asarray(Image.open(io.BytesIO(archive.read(f"2750/{name.split('_')[0]}/{name}"))))
    except (KeyError, OSError) as err:
        raise DataError(f"{name}: {err}", "a JPEG in EuroSAT.zip", "check the archive of the real data") from err
    if image.shape != (SIDE, SIDE, 3):
        raise DataError(f"{name} of shape {image.shape}", f"({SIDE}, {SIDE}, 3)", "check the archive of the real data")
    return image


def to_toa(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Rendered pixels as counts of level 1C, in the same order of axes."""
    return (pixels.astype(np.float32) - 1.0) * np.float32(BRIGHTEST / 254)


def to_counts(pixels: NDArray[np.uint8], level: Level = "surface") -> NDArray[np.uint16]:
    """Rendered pixels (N, H, W, 3) as counts uint16 (N, 3, H, W) in B04, B03, B02, at least 1 (0 means no data)."""
    counts = to_toa(pixels) - (np.array(HAZE, np.float32) if level == "surface" else 0)
    return np.ascontiguousarray(np.clip(np.round(counts), 1, None).astype(np.uint16).transpose(0, 3, 1, 2))


def embed(encoder: Encoder, images: Images, level: Level) -> NDArray[np.float32]:
    """Features (N, D) by an encoder whose bands are among B04, B03, B02."""
    order = [RGB.index(band) for band in encoder.bands]
    parts = [
        encoder.embed(np.ascontiguousarray(to_counts(images.pixels[start : start + 512], level)[:, order]))
        for start in range(0, len(images.pixels), 512)
    ]
    return np.concatenate(parts)


def evaluate(encoder: Encoder, task: Task) -> tuple[dict[str, Interval], dict[str, float]]:
    """Metric → its score; and the linear probe's strength and its accuracy where that was chosen."""
    seed = task.settings.seed
    train, scored = (embed(encoder, part, task.settings.level) for part in (task.train, task.scored))
    truth, labels = task.scored.labels, task.train.labels
    flat = standardize(train, scored)
    found = {f"kNN-{k}": near for k, near in knn_predict(flat[0], labels, flat[1], K).items()}
    found |= {f"kNN-{k} as they are": near for k, near in knn_predict(train, labels, scored, K).items()}
    probe = linear_predict(train, labels, scored, seed=seed)
    found["linear"] = probe.predicted
    scores = {}
    for name, predicted in found.items():
        right = predicted == truth
        scores[name] = _interval(accuracy(right, seed=seed))
        scores[f"{name}, mean over classes"] = _interval(class_accuracy(right, truth, seed=seed))
    average, precision = retrieve(scored, truth, (RANKS,))
    scores["mAP"] = bootstrap(average[np.isfinite(average)], seed=seed)
    scores[f"P@{RANKS}"] = bootstrap(precision[RANKS].astype(np.float64), seed=seed)
    return scores, {"l2": probe.l2, "held_accuracy": round(probe.held, 4)}


def _interval(score: Score) -> Interval:
    """The same, as the benches have it."""
    return Interval(score.value, score.low, score.high)


def chance(task: Task) -> dict[str, float]:
    """Metric → what is reached without looking.

    Accuracy: always the most frequent class of the training images; mean over classes: one of the classes; mAP and
    precision: a random order.
    """
    usual = np.bincount(task.train.labels).argmax()
    share = float((task.scored.labels == usual).mean())
    names = [*(f"kNN-{k}" for k in K), *(f"kNN-{k} as they are" for k in K), "linear"]
    guess = dict.fromkeys(names, share)
    guess |= {f"{name}, mean over classes": 1 / len(np.unique(task.scored.labels)) for name in names}
    counts = np.bincount(task.scored.labels)
    asked = counts[counts > 1]  # images by class, those alone in theirs ask nothing
    others, size = asked - 1, np.full(len(asked), len(task.scored.labels) - 1)
    average = chance_ap(others.astype(np.float64), others.astype(np.float64), size, others, int(size[0]))
    precision = np.average(others / size, weights=asked)
    return {**guess, "mAP": float(np.average(average, weights=asked)), f"P@{RANKS}": float(precision)}


def measure_haze(real: Path) -> list[float]:
    """The constants `HAZE` from the data."""
    check_real(real, (*FILES, "l2a-chips/chips.npz"))
    rendered = to_toa(read_images(real, read_names(real, "train")).pixels)
    with np.load(real / "l2a-chips" / "chips.npz") as file:
        index = [list(file["bands"]).index(band) for band in RGB]
        clear = file["reflectance"][:, index]
    low = [np.quantile(rendered[..., i], DARK) - np.quantile(clear[:, i], DARK) for i in range(3)]
    return [round(float(value), 1) for value in low]


def _run(argv: Sequence[str] | None) -> int:
    """Print the haze."""
    parser = argparse.ArgumentParser(description="Measure the haze in EuroSAT's renderings, by band.")
    parser.add_argument("--real", type=Path, default=Path("../shared/data"), help="folder of real data")
    args = parse_args(parser, argv)
    print(dict(zip(RGB, measure_haze(args.real), strict=True)))
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    return exit_code(lambda: _run(argv))


if __name__ == "__main__":
    sys.exit(main())
