"""One set of names for NumPy arrays and torch tensors, by the array API (https://data-apis.org/array-api, 2023.12).

NumPy from 2.1 on has those names itself, torch all that the formulas here use but two. torch is never imported: whoever
gives a tensor has done that. Both kinds of array say where they lie by themselves (`.device`), as the standard has it.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np


class _Torch:
    """torch's own functions, and the two that are called otherwise there."""

    def __init__(self, module: Any) -> None:
        """Stand before a module.

        Args:
            module: torch.
        """
        self._module = module

    def __getattr__(self, name: str) -> Any:
        return getattr(self._module, name)

    @staticmethod
    def astype(values: Any, dtype: Any) -> Any:
        """A copy of another dtype."""
        return values.to(dtype, copy=True)

    def take(self, values: Any, indices: Any, *, axis: int) -> Any:
        """Values at the places `indices` (n,), none negative, along one axis."""
        return self._module.index_select(values, axis, indices)


def array_namespace(array: Any) -> Any:
    """The functions to use on an array, by their names in the array API.

    Args:
        array: A NumPy array or number, or a torch tensor.

    Raises:
        TypeError: It is neither.
    """
    if isinstance(array, np.ndarray | np.generic):
        return np
    torch = sys.modules.get("torch")
    if torch is None or not isinstance(array, torch.Tensor):
        raise TypeError(f"an array of NumPy or torch is wanted, not {type(array).__name__}")
    return _Torch(torch)
