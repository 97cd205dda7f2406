"""A pack gives back every byte, and none that changed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.log_table import Place
from storage.raw_packs import PackDamaged, decode, encode

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
INT64 = st.integers(-(2**63), 2**63 - 1)


@given(
    st.integers(0, 1023),
    st.integers(0, 2**62),
    st.lists(st.tuples(TEXT, TEXT, st.binary(max_size=40), INT64), min_size=1, max_size=30),
)
def test_records_come_back_byte_for_byte_whatever_they_hold(
    partition: int, offset: int, rows: list[tuple[str, str, bytes, int]]
) -> None:
    records = [Place(partition, offset + number, *row) for number, row in enumerate(rows)]
    assert decode(encode(records)) == records


def test_any_flipped_byte_is_found() -> None:
    pack = encode([Place(0, n, "u", "t", b'{"seq":%d}' % n, n) for n in range(50)])
    for at in range(len(pack)):
        with pytest.raises(PackDamaged):
            decode(pack[:at] + bytes([pack[at] ^ 1]) + pack[at + 1 :])
    for length in range(len(pack)):
        with pytest.raises(PackDamaged):
            decode(pack[:length])


def test_records_that_do_not_follow_each_other_are_no_pack() -> None:
    with pytest.raises(ValueError, match="offset 3 doesn't follow 1"):
        encode([Place(0, 1, "u", "t", b"", 0), Place(0, 3, "u", "t", b"", 0)])
