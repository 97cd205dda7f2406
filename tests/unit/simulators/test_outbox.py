from __future__ import annotations

from itertools import pairwise

import pytest

from simulators.channel import Delivery
from simulators.outbox import Outbox


def message(seq: int) -> Delivery:
    return Delivery(seq, "u1", "swept/v1/d/u1/fix", b"{}", seq)


def taken(outbox: Outbox, now_s: float) -> list[int]:
    return [delivery.seq for delivery in outbox.take(now_s)]


def heard(outbox: Outbox) -> Outbox:
    """An outbox whose probe, seq 0, was acknowledged."""
    outbox.offer(message(0))
    assert taken(outbox, 0.0) == [0]
    outbox.acknowledge(0, 0.0)
    return outbox


def test_messages_are_sent_once_in_order_and_kept_until_acknowledged() -> None:
    outbox = heard(Outbox())
    assert all(outbox.offer(message(seq)) for seq in (1, 2, 5))
    assert taken(outbox, 0.0) == [1, 2, 5]
    assert taken(outbox, 1.0) == []
    outbox.acknowledge(3, 1.0)
    assert [delivery.seq for delivery in outbox.kept] == [5]
    outbox.acknowledge(5, 1.0)
    assert not outbox.kept
    assert (outbox.sent, outbox.resent, outbox.acknowledged) == (4, 0, 4)


def test_after_a_connect_the_oldest_goes_alone_until_it_is_acknowledged() -> None:
    outbox = heard(Outbox())
    for seq in (1, 2, 3):
        outbox.offer(message(seq))
    assert taken(outbox, 0.0) == [1, 2, 3]
    outbox.acknowledge(1, 0.0)
    outbox.restart(5.0)
    outbox.offer(message(4))
    assert taken(outbox, 5.0) == [2]
    assert taken(outbox, 5.5) == []
    outbox.acknowledge(2, 5.6)
    assert taken(outbox, 5.6) == [3, 4]
    assert (outbox.sent, outbox.resent) == (5, 2)


def test_while_nobody_answers_only_the_oldest_is_repeated_after_pauses_that_grow_to_a_bound() -> None:
    outbox = Outbox(resend_s=30.0)
    outbox.offer(message(1))
    outbox.offer(message(2))
    moments = [float(second) for second in range(200) if taken(outbox, float(second)) == [1]]
    assert moments[:7] == [0.0, 1.0, 3.0, 7.0, 15.0, 31.0, 61.0]
    assert {b - a for a, b in pairwise(moments[5:])} == {30.0}


def test_without_progress_all_is_sent_again_from_the_oldest_on() -> None:
    outbox = heard(Outbox(resend_s=30.0))
    for seq in (1, 2, 3):
        outbox.offer(message(seq))
    assert taken(outbox, 0.0) == [1, 2, 3]
    outbox.acknowledge(1, 20.0)
    assert taken(outbox, 49.0) == []
    assert taken(outbox, 50.0) == [2]
    outbox.acknowledge(2, 50.1)
    assert taken(outbox, 50.1) == [3]


def test_an_acknowledgement_from_another_life_frees_nothing_that_was_never_sent() -> None:
    outbox = Outbox()
    outbox.offer(message(1))
    taken(outbox, 0.0)
    outbox.offer(message(2))
    outbox.acknowledge(10_000, 0.0)
    assert [delivery.seq for delivery in outbox.kept] == [2]
    assert taken(outbox, 0.0) == [2]


def test_a_copy_is_not_kept() -> None:
    outbox = Outbox()
    assert outbox.offer(message(2))
    assert not outbox.offer(message(2))
    assert not outbox.offer(message(1))
    assert len(outbox.kept) == 1


def test_a_copy_goes_out_only_after_all_before_it_and_never_the_first() -> None:
    outbox = heard(Outbox())
    for seq in (1, 2, 3):
        outbox.offer(message(seq))
    assert not outbox.may_repeat(message(2))
    taken(outbox, 0.0)
    assert outbox.may_repeat(message(3))
    assert not outbox.may_repeat(message(1))
    outbox.acknowledge(2, 0.0)
    outbox.restart(1.0)
    assert not outbox.may_repeat(message(3))
    assert outbox.may_repeat(message(2))


def test_a_full_memory_drops_the_oldest_and_counts_it() -> None:
    outbox = heard(Outbox(kept_max=2))
    outbox.offer(message(1))
    outbox.offer(message(2))
    assert taken(outbox, 0.0) == [1, 2]
    outbox.offer(message(3))
    assert outbox.dropped == 1
    assert [delivery.seq for delivery in outbox.kept] == [2, 3]
    assert taken(outbox, 0.0) == [3]


@pytest.mark.parametrize("window", [1, 3])
def test_no_more_than_the_window_is_out_unacknowledged(window: int) -> None:
    outbox = heard(Outbox(window_max=window))
    for seq in range(1, 6):
        outbox.offer(message(seq))
    assert taken(outbox, 0.0) == list(range(1, window + 1))
    outbox.acknowledge(1, 0.0)
    assert taken(outbox, 0.0) == [window + 1]
