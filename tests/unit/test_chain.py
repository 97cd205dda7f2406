"""The chain's arithmetic against plain hashlib, and what must make a difference."""

from __future__ import annotations

import hashlib
import random
import struct

from processing.chain import Chain, DayRange, day_digest, link, payload_hash

LOG, TOPIC = "log-1", "swept/v1/d/u1/fix"


def test_a_records_hash_is_sha_256_of_a_tagged_encoding_with_all_lengths() -> None:
    encoded = (
        b"swept record 1\n"
        + struct.pack(">I", len(LOG))
        + LOG.encode()
        + struct.pack(">q", 3)
        + struct.pack(">qqII", 17, 1_700_000_000_000_000, 2, len(TOPIC))
        + hashlib.sha256(b"payload").digest()
        + b"u1"
        + TOPIC.encode()
    )
    found = Chain(LOG, 3).record_hash(17, "u1", TOPIC, 1_700_000_000_000_000, payload_hash(b"payload"))
    assert found == hashlib.sha256(encoded).digest()


def test_every_field_of_a_record_and_every_boundary_makes_a_difference() -> None:
    payload = payload_hash(b"p")
    one = Chain(LOG, 0)
    found = [
        one.record_hash(1, "ab", "c", 5, payload),
        one.record_hash(1, "a", "bc", 5, payload),
        one.record_hash(2, "ab", "c", 5, payload),
        one.record_hash(1, "ab", "c", 6, payload),
        one.record_hash(1, "ab", "c", 5, payload_hash(b"q")),
        Chain(LOG, 1).record_hash(1, "ab", "c", 5, payload),
        Chain(LOG + "x", 0).record_hash(1, "ab", "c", 5, payload),
    ]
    assert len(set(found)) == len(found)


def test_a_head_depends_on_every_record_and_on_their_order() -> None:
    rng = random.Random(1)
    hashes = [rng.randbytes(32) for _ in range(20)]
    start = Chain(LOG, 0).start(0)

    def head(some: list[bytes]) -> bytes:
        value = start
        for one in some:
            value = link(value, one)
        return value

    whole = head(hashes)
    swapped = [*hashes[:4], hashes[5], hashes[4], *hashes[6:]]
    assert head(swapped) != whole
    for place in range(len(hashes)):
        assert head([*hashes[:place], *hashes[place + 1 :]]) != whole
    assert Chain(LOG, 0).start(1) != start


def test_a_days_digest_does_not_depend_on_the_order_of_partitions_but_on_all_else() -> None:
    ranges = [DayRange(n, n, 10 + n, b"\0" * 32, hashlib.sha256(bytes([n])).digest()) for n in range(4)]
    whole = day_digest(LOG, "d", "2024-05-01", ranges)
    assert day_digest(LOG, "d", "2024-05-01", ranges[::-1]) == whole
    others = [
        day_digest(LOG, "d", "2024-05-02", ranges),
        day_digest(LOG, "e", "2024-05-01", ranges),
        day_digest("log-2", "d", "2024-05-01", ranges),
        day_digest(LOG, "d", "2024-05-01", ranges[1:]),
        day_digest(LOG, "d", "2024-05-01", [ranges[0]._replace(head=b"\1" * 32), *ranges[1:]]),
        day_digest(LOG, "d", "2024-05-01", [ranges[0]._replace(next_offset=11), *ranges[1:]]),
    ]
    assert whole not in others
