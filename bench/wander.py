"""How much the spectral encoder's features wander between two dates: the constants by which it divides them.

    python bench/wander.py --shared ../shared

Chips of 64 pixels of 10 m from the city pairs of OSCD (one to three years apart, often in another season; level 1C),
all of them: the change masks are not read. A few chips in a hundred changed, so the spread is measured robustly, as
1.4826 × the median absolute difference (the standard deviation of a normal distribution), averaged over the channels of
a kind. Printed as the rows of `WANDER` in `encoder/spectral.py`, beside what stands there.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray

from encoder import spectral
from stac.cube import cut_chips

CHIP = 64
TO_SIGMA = 1.4826  # of the median absolute deviation, for a normal distribution


def read_city(folder: Path, shape: tuple[int, int]) -> NDArray[np.uint16]:
    """(C, H, W) of one date, every band on the 10 m grid of the earlier date's blue."""
    bands = []
    for band in spectral.DEFAULT_BANDS:
        with rasterio.open(next(folder.glob(f"*{band}.tif"))) as file:
            bands.append(file.read(1, out_shape=shape, resampling=rasterio.enums.Resampling.bilinear))
    return np.stack(bands)


def differences(shared: Path) -> NDArray[np.float32]:
    """(N, K, F) unscaled feature differences of all chips of all cities."""
    encoder = spectral.SpectralEncoder()
    found = []
    for city in sorted(path for path in (shared / "data" / "oscd").iterdir() if (path / "before").is_dir()):
        with rasterio.open(next((city / "before").glob("*B02.tif"))) as file:
            shape = file.shape
        features = []
        for date in ("before", "after"):
            image = read_city(city / date, shape)
            height, width = (side // CHIP * CHIP for side in shape)
            chips = cut_chips(image[:, :height, :width], CHIP)
            features.append(encoder.embed(chips).reshape(len(chips), *encoder.scale.shape) * encoder.scale)
        found.append(features[1] - features[0])
    return np.concatenate(found)


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, default=Path("../shared"))
    args = parser.parse_args()
    moved = differences(args.shared)
    sigma = TO_SIGMA * np.median(np.abs(moved - np.median(moved, axis=0)), axis=0)  # (K, F)
    channels = [*spectral.DEFAULT_BANDS, *spectral.index_bands(spectral.DEFAULT_BANDS)]
    kinds = [spectral.kind_of(channel) for channel in channels]
    print(f"{len(moved)} chips; features: {' '.join(spectral.FEATURES)}")
    for kind, standing in spectral.WANDER.items():
        rows = [index for index, name in enumerate(kinds) if name == kind]
        measured = ", ".join(f"{value:.4f}" for value in sigma[rows].mean(axis=0))
        print(f"{kind}: measured ({measured}), stands ({', '.join(map(str, standing))})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
