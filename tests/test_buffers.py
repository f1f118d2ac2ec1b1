"""Memory that is used again, but never while somebody holds it."""

from __future__ import annotations

import gc

import numpy as np
import pytest

from stac.buffers import Buffers


def _address(array):
    return array.__array_interface__["data"][0]


@pytest.mark.parametrize(("shape", "dtype"), [((3, 5, 7), np.uint16), ((4,), np.uint8), ((0, 3), np.uint16)])
def test_arrays_have_the_shape_and_type_asked_for(shape, dtype):
    array = Buffers().zeros(shape, dtype)
    assert array.shape == shape
    assert array.dtype == dtype
    assert array.flags.writeable
    assert not array.any()


def test_memory_comes_back_when_the_last_view_is_gone():
    buffers = Buffers()
    array = buffers.take((64, 64), np.uint16)
    where = _address(array)
    view = array.reshape(-1)[5:].view(np.uint8)[10:]
    del array
    gc.collect()
    other = buffers.take((64, 64), np.uint16)
    assert _address(other) != where
    del view
    gc.collect()
    assert _address(buffers.take((64, 64), np.uint16)) == where


def test_a_held_array_keeps_its_values():
    buffers = Buffers()
    held = []
    for number in range(5):
        array = buffers.take((1000,), np.uint16)
        array.fill(number)
        held.append(array[::7])
    assert [set(view.tolist()) for view in held] == [{number} for number in range(5)]


def test_zeros_are_zeros_in_used_memory_too():
    buffers = Buffers()
    array = buffers.take((100,), np.uint16)
    where = _address(array)
    array.fill(7)
    del array
    again = buffers.zeros((10, 10), np.uint16)
    assert _address(again) == where
    assert not again.any()


def test_arrays_outlive_their_buffers():
    array = Buffers().zeros((50,), np.uint16)
    gc.collect()
    array[:] = 9
    assert array.sum() == 450


def test_memory_a_little_larger_serves_and_outgrown_memory_goes():
    buffers = Buffers()
    where = _address(buffers.take((1200,), np.uint8))
    assert _address(buffers.take((1000,), np.uint8)) == where  # the same memory: it was free again
    assert _address(buffers.take((500,), np.uint8)) != where  # too small a part of it
    buffers.take((1500,), np.uint8)
    assert sorted(memory.nbytes for memory in buffers._free) == [500, 1500]
