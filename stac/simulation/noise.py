"""Noise on fields: spectral synthesis.

NumPy only. Pure: the same generator gives the same bytes. Arithmetic is float64 inside and cast to float32 at the end,
because NumPy's float32 kernels differ in the last bit between machines.
"""

from __future__ import annotations

import numpy as np

from .ground import Field


def new_noise(
    shape: tuple[int, int], rng: np.random.Generator, beta: float, longest: float, shortest: float = 2
) -> Field:
    """Noise with a power spectrum 1/f^beta, zero mean and unit spread, periodic over its edges.

    Spectral synthesis: random Fourier coefficients under the wanted spectrum; only those of the band are drawn.
    Source: D. Saupe, "Algorithms for random fractals", chapter 2 of The Science of Fractal Images (H.-O. Peitgen and
    D. Saupe, eds.), Springer 1988.

    Args:
        shape: Height and width, pixels.
        rng: Where chance comes from.
        beta: Exponent of the power spectrum; 2 to 3 look like land.
        longest: Longest wavelength, pixels.
        shortest: Shortest wavelength, pixels.

    Returns:
        (H, W) float32; all zero where no wavelength of the grid lies between `shortest` and `longest`.
    """
    rows, cols = shape
    ky, kx = min(int(rows / shortest), (rows - 1) // 2), min(int(cols / shortest), cols // 2)
    fy = np.concatenate((np.arange(ky + 1), np.arange(-ky, 0)))[:, None] / rows
    fx = np.arange(kx + 1)[None, :] / cols
    square = fy * fy + fx * fx
    band = (square >= 1 / longest**2) & (square <= 1 / shortest**2) & (square > 0)
    gain = np.zeros(square.shape)
    gain[band] = square[band] ** (-beta / 4)
    gain[:, 0] *= np.sqrt(2)  # only the real part of the first column counts
    chance = rng.standard_normal((2, *square.shape))
    spectrum = np.zeros((rows, kx + 1), dtype=np.complex128)
    spectrum[: ky + 1] = ((chance[0] + 1j * chance[1]) * gain)[: ky + 1]
    spectrum[rows - ky :] = ((chance[0] + 1j * chance[1]) * gain)[ky + 1 :]
    field = np.fft.irfft(np.fft.ifft(spectrum, axis=0), n=cols, axis=1)
    spread = field.std()
    return np.asarray(field / (spread if spread > 0 else 1.0), dtype=np.float32)
