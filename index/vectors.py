"""The one door to FAISS: shards of unit change vectors, searched by inner product, exactly, with filters inside.

On a machine with a GPU the shards go onto it (cuVS, which obeys an `IDSelector`: classic GPU builds ignore it without a
word, so `check_selector` puts a witness in front of every GPU index). FAISS indexes are not safe under concurrent
reads on the GPU, so they are searched one at a time.
"""

from __future__ import annotations

import threading
from functools import lru_cache
from pathlib import Path

import faiss
import numpy as np
from numpy.typing import NDArray

from stac.errors import StoreError
from stac.files import write_whole

from .parts import REMAKE

FACTORIES = ("Flat", "SQfp16", "SQ8")
"""FAISS factory strings that a shard may have: all rows are compared, so a filter can act inside the search. `Flat` is
exact; the others round the vectors to 16 and 8 bits."""

GPU_MAX_K = 2048
"""Largest k of a GPU index. Source: faiss `gpu/utils/DeviceDefs.cuh`, GPU_MAX_SELECTION_K."""


_LOCK = threading.Lock()
"""One search at a time: neither GPU indexes nor the resources that they share are safe under concurrent reads."""


class VectorShard:
    """The change vectors of one events file: row number = vector id."""

    def __init__(self, index: faiss.Index, *, gpu: bool | None = None) -> None:
        """Take a CPU index; put a copy on the GPU where there is one.

        Args:
            index: Inner-product index whose ids are row numbers.
            gpu: Force the GPU on or off; None means: use it when there is one.
        """
        self._cpu = index
        self._gpu = _to_gpu(index) if (gpu if gpu is not None else gpu_count() > 0) else None

    @property
    def count(self) -> int:
        """Number of vectors."""
        return int(self._cpu.ntotal)

    @property
    def dim(self) -> int:
        """D, the vectors' length."""
        return int(self._cpu.d)

    def vector(self, row: int) -> NDArray[np.float32]:
        """(D,) float32, the vector of a row."""
        return np.asarray(self._cpu.reconstruct(int(row)), dtype=np.float32)

    def vectors(self, start: int, stop: int) -> NDArray[np.float32]:
        """(stop − start, D) float32, the vectors of rows start to stop − 1, in one go."""
        return np.asarray(self._cpu.reconstruct_n(int(start), int(stop) - int(start)), dtype=np.float32)

    def search(
        self, vector: NDArray[np.float32], k: int, keep: NDArray[np.bool_] | None = None
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """The k nearest rows, best first; ties in order of row.

        Args:
            vector: (D,) float32, unit length.
            k: How many at most.
            keep: (N,) which rows may be found; None means all. The filter acts inside the search.

        Returns:
            Scores (K,) float32, the inner products, and rows (K,) int64; K is smaller than k where fewer rows pass.

        Raises:
            StoreError: The vector is of another length.
        """
        if vector.shape != (self.dim,):
            raise StoreError(
                f"a query of {vector.size} numbers", f"{self.dim}, the store's", "embed it with the store's encoder"
            )
        allowed = self.count if keep is None else int(np.count_nonzero(keep))
        k = min(k, allowed)
        if k == 0:
            return np.empty(0, np.float32), np.empty(0, np.int64)
        index = self._gpu if self._gpu is not None and k <= GPU_MAX_K else self._cpu
        query = np.ascontiguousarray(vector[None], dtype=np.float32)
        with _LOCK:
            if keep is None:
                scores, rows = index.search(query, k)
            else:
                bitmap = np.packbits(keep, bitorder="little")
                selector = faiss.IDSelectorBitmap(bitmap)
                scores, rows = index.search(query, k, params=faiss.SearchParameters(sel=selector))
        found = rows[0] >= 0
        scores, rows = scores[0][found], rows[0][found]
        order = np.lexsort((rows, -scores))
        return scores[order], rows[order]


def new_shard(vectors: NDArray[np.float32], factory: str = "Flat") -> faiss.Index:
    """A CPU index of unit vectors under inner product.

    Args:
        vectors: (N, D) float32.
        factory: One of `FACTORIES`.
    """
    index = faiss.index_factory(vectors.shape[1], factory, faiss.METRIC_INNER_PRODUCT)
    if not index.is_trained:
        index.train(vectors)
    index.add(np.ascontiguousarray(vectors, dtype=np.float32))
    return index


def save_shard(index: faiss.Index, path: Path) -> None:
    """Write a CPU index, whole or not at all.

    Raises:
        OSError: The disk is full. (FAISS itself would raise a RuntimeError without a number.)
    """
    content = faiss.serialize_index(index)
    with write_whole(path) as temporary:
        temporary.write_bytes(content.data)


def open_shard(path: Path, *, gpu: bool | None = None) -> VectorShard:
    """Read a shard.

    Raises:
        StoreError: The file is missing or no FAISS index.
    """
    try:
        index = faiss.read_index(str(path))
    except RuntimeError as err:
        raise StoreError(f"vectors {path} cannot be read", "a FAISS index", REMAKE) from err
    return VectorShard(index, gpu=gpu)


def gpu_count() -> int:
    """Number of GPUs that FAISS can use."""
    return int(faiss.get_num_gpus())


def _to_gpu(index: faiss.Index) -> faiss.Index | None:
    """A copy on the first GPU, through cuVS, its filter tested; None for what is not `Flat`, which stays on the CPU.

    Raises:
        StoreError: This FAISS has no cuVS, or ignores the selector.
    """
    if not isinstance(index, faiss.IndexFlat):
        return None
    options = faiss.GpuClonerOptions()
    options.use_cuvs = True
    copy = faiss.index_cpu_to_gpu(_gpu_resources(), 0, index, options)
    check_selector(copy)
    return copy


@lru_cache(maxsize=1)
def _gpu_resources() -> faiss.StandardGpuResources:
    """One set for all shards: each reserves about 1.5 GB. Searches of different shards must not run at once."""
    return faiss.StandardGpuResources()


def check_selector(index: faiss.Index) -> None:
    """Ask an index for one row by a filter that lets only that row pass.

    Raises:
        StoreError: Another row came back: this build ignores the filter.
    """
    if index.ntotal < 2:
        return
    witness = int(index.ntotal) - 1
    keep = np.zeros(index.ntotal, dtype=bool)
    keep[witness] = True
    selector = faiss.IDSelectorBitmap(np.packbits(keep, bitorder="little"))
    query = np.zeros((1, index.d), dtype=np.float32)
    _, rows = index.search(query, 2, params=faiss.SearchParameters(sel=selector))
    if set(rows[0].tolist()) - {witness, -1}:
        raise StoreError(
            "this FAISS ignores filters on the GPU",
            "faiss-gpu-cuvs, which obeys them",
            "install the versions of constraints.txt, or hide the GPU with CUDA_VISIBLE_DEVICES=",
        )
