from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from index.vectors import VectorShard, check_selector, gpu_count, new_shard, open_shard, save_shard
from stac.errors import StoreError


def unit(count: int, dim: int, seed: int = 0) -> np.ndarray:
    vectors = np.random.default_rng(seed).normal(size=(count, dim)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_a_stored_vector_finds_itself_first_with_score_1() -> None:
    vectors = unit(500, 16)
    shard = VectorShard(new_shard(vectors), gpu=False)
    for row in (0, 250, 499):
        scores, rows = shard.search(vectors[row], 3)
        assert rows[0] == row
        assert scores[0] == pytest.approx(1, abs=1e-6)
        np.testing.assert_array_equal(shard.vector(row), vectors[row])


def test_search_agrees_with_the_plain_product() -> None:
    vectors, query = unit(800, 24), unit(1, 24, seed=9)[0]
    scores, rows = VectorShard(new_shard(vectors), gpu=False).search(query, 50)
    expected = np.argsort(-(vectors @ query), kind="stable")[:50]
    assert rows.tolist() == expected.tolist()
    np.testing.assert_allclose(scores, (vectors @ query)[expected], atol=1e-6)


@pytest.mark.parametrize(("factory", "overlap"), [("SQfp16", 0.98), ("SQ8", 0.8)])
def test_rounded_vectors_find_nearly_the_same_under_a_filter(factory: str, overlap: float) -> None:
    vectors, query = unit(2000, 32), unit(1, 32, seed=4)[0]
    keep = np.random.default_rng(6).random(2000) < 0.3
    _, exact = VectorShard(new_shard(vectors), gpu=False).search(query, 50, keep)
    _, rows = VectorShard(new_shard(vectors, factory), gpu=False).search(query, 50, keep)
    assert keep[rows].all()
    assert len(set(rows) & set(exact)) >= overlap * 50


@pytest.mark.parametrize("share", [0.5, 0.1, 0.01])
def test_the_filter_acts_inside_the_search(share: float) -> None:
    vectors, query = unit(1000, 8), unit(1, 8, seed=3)[0]
    keep = np.random.default_rng(1).random(1000) < share
    _, rows = VectorShard(new_shard(vectors), gpu=False).search(query, 20, keep)
    allowed = np.flatnonzero(keep)
    expected = allowed[np.argsort(-(vectors[allowed] @ query), kind="stable")[:20]]
    assert rows.tolist() == expected.tolist()


def test_nothing_passes_the_filter() -> None:
    shard = VectorShard(new_shard(unit(10, 4)), gpu=False)
    scores, rows = shard.search(unit(1, 4)[0], 5, np.zeros(10, dtype=bool))
    assert (len(scores), len(rows)) == (0, 0)


def test_ties_come_in_order_of_row() -> None:
    vectors = np.repeat(unit(1, 4), 6, axis=0)
    _, rows = VectorShard(new_shard(vectors), gpu=False).search(vectors[0], 6)
    assert rows.tolist() == list(range(6))


def test_a_query_of_another_length_is_refused_in_words() -> None:
    with pytest.raises(StoreError, match=r"a query of 5 numbers.*store's encoder"):
        VectorShard(new_shard(unit(10, 4)), gpu=False).search(np.ones(5, np.float32), 1)


def test_save_and_open_are_inverse(tmp_path: Path) -> None:
    vectors = unit(64, 12)
    save_shard(new_shard(vectors), tmp_path / "s.faiss")
    shard = open_shard(tmp_path / "s.faiss", gpu=False)
    assert (shard.count, shard.dim) == (64, 12)
    np.testing.assert_array_equal(np.stack([shard.vector(row) for row in range(64)]), vectors)


@pytest.mark.parametrize("factory", ["Flat", "SQfp16", "SQ8"])
def test_a_slice_is_the_rows_one_by_one(factory: str) -> None:
    shard = VectorShard(new_shard(unit(40, 12), factory), gpu=False)
    np.testing.assert_array_equal(shard.vectors(7, 19), np.stack([shard.vector(row) for row in range(7, 19)]))
    assert shard.vectors(5, 5).shape == (0, 12)


def test_a_file_that_is_no_shard_is_named(tmp_path: Path) -> None:
    (tmp_path / "s.faiss").write_bytes(b"no index")
    with pytest.raises(StoreError, match=r"s\.faiss cannot be read"):
        open_shard(tmp_path / "s.faiss")


def test_the_witness_catches_an_index_that_ignores_the_filter() -> None:
    index = new_shard(unit(100, 4))

    class Deaf:
        ntotal, d = index.ntotal, index.d

        def search(self, query: np.ndarray, k: int, params: object = None) -> tuple[np.ndarray, np.ndarray]:
            return index.search(query, k)

    check_selector(index)
    with pytest.raises(StoreError, match="ignores filters on the GPU"):
        check_selector(Deaf())


@pytest.mark.gpu
@pytest.mark.skipif(gpu_count() == 0, reason="no CUDA device that FAISS can use")
def test_gpu_and_cpu_give_the_same_answer_under_a_filter() -> None:
    vectors, query = unit(20_000, 64), unit(1, 64, seed=5)[0]
    index = new_shard(vectors)
    for share in (1.0, 0.1, 0.01):
        keep = np.random.default_rng(2).random(len(vectors)) < share
        scores, rows = VectorShard(index, gpu=True).search(query, 100, keep)
        expected_scores, expected_rows = VectorShard(index, gpu=False).search(query, 100, keep)
        assert rows.tolist() == expected_rows.tolist()
        np.testing.assert_allclose(scores, expected_scores, atol=1e-5)
