from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from index.parts import MADE_FROM, belongs, digest, write_part
from stac.files import sha256

ORIGIN = {"plan": "1", "month": "2021-07"}


@pytest.fixture
def part(tmp_path: Path) -> Path:
    table = pa.table({"x": list(range(5000))}).replace_schema_metadata({MADE_FROM: '{"month": "2021-07", "plan": "1"}'})
    write_part(table, tmp_path / "p.parquet", use_dictionary=False)
    return tmp_path / "p.parquet"


def test_a_part_belongs_to_what_it_was_made_from(part: Path) -> None:
    assert belongs(part, ORIGIN, None)
    assert belongs(part, ORIGIN, sha256(part))
    assert not belongs(part, {**ORIGIN, "plan": "2"}, None)
    assert not belongs(part, ORIGIN, "0" * 64)


def test_a_part_that_is_missing_cut_or_foreign_does_not(part: Path, tmp_path: Path) -> None:
    content = part.read_bytes()
    for damage in (content[:-100], b"", b"PAR1 and nothing more", content[: len(content) // 2]):
        part.write_bytes(damage)
        assert not belongs(part, ORIGIN, None)
    pq.write_table(pa.table({"x": [1]}), part)
    assert not belongs(part, ORIGIN, None)
    assert not belongs(tmp_path / "none.parquet", ORIGIN, None)


def test_one_flipped_bit_anywhere_is_seen_without_any_manifest(part: Path) -> None:
    content = part.read_bytes()
    for place in [*range(0, len(content), 7), len(content) - 1]:
        damaged = bytearray(content)
        damaged[place] ^= 2
        part.write_bytes(bytes(damaged))
        assert not belongs(part, ORIGIN, None), place
    part.write_bytes(content)
    assert belongs(part, ORIGIN, None)
    assert pq.read_table(part).num_rows == 5000


def test_a_digest_does_not_depend_on_the_order_of_keys() -> None:
    assert digest({"a": 1, "b": [2]}) == digest({"b": [2], "a": 1}) != digest({"a": 1, "b": [3]})
