"""Memory for pixels, used again as soon as nobody holds the array that lay in it.

A day's pixels are hundreds of megabytes. Asking the system for fresh memory each day costs about a quarter of the time
that decoding takes (measured, docs/experiments.md: every page is cleared, and on a virtual machine fetched from its
host). An array from `Buffers` can be kept as long as one likes: its memory comes back only when the last view on it is
gone.
"""

from __future__ import annotations

import ctypes
import math
import weakref
from collections import deque
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

_SLACK = 1.5
"""assumed: blocks of an area differ in size by less; memory for much larger ones is not tied up by small ones."""


class Buffers:
    """Memory that comes back by itself. May be used by one thread at a time; arrays may end in any."""

    def __init__(self) -> None:
        self._free: deque[NDArray[np.uint8]] = deque()

    def take(self, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
        """An array with whatever values its memory holds.

        Args:
            shape: Shape.
            dtype: Type of an element.
        """
        count = math.prod(shape)
        size = max(1, count) * np.dtype(dtype).itemsize
        memory = self._find(size)
        # NumPy lets a view refer to the owner of its memory rather than to the array that it was made of, but stops at
        # what is no array: the lease lives exactly as long as any array over it.
        lease: Any = (ctypes.c_char * size).from_buffer(memory.data)  # of its first bytes
        weakref.finalize(lease, self._free.append, memory).atexit = False
        return np.frombuffer(lease, dtype=dtype, count=count).reshape(shape)

    def zeros(self, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
        """An array of zeros.

        Args:
            shape: Shape.
            dtype: Type of an element.
        """
        array = self.take(shape, dtype)
        array.fill(0)
        return array

    def _find(self, size: int) -> NDArray[np.uint8]:
        """Free memory of this size or a little more; else new, in place of some that is a little too small."""
        for _ in range(len(self._free)):
            memory = self._free.popleft()
            if size <= memory.nbytes <= _SLACK * size:
                return memory
            self._free.append(memory)
        for _ in range(len(self._free)):
            memory = self._free.popleft()
            if size / _SLACK <= memory.nbytes < size:
                break
            self._free.append(memory)
        return np.empty(size, dtype=np.uint8)
