from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.envelope import (
    AHEAD_MAX,
    CLOCK_US,
    DURABLE_MAX,
    LOST_SHARED_US,
    LOST_US,
    SEQ_MAX,
    UNIT_ID_MAX,
    ClockError,
    DistrictClock,
    Frontier,
    TopicError,
    advance,
    bounded,
    durable_payload,
    joined,
    parse_clock,
    parse_durable,
    seqs_of,
    unit_of,
)
from processing.service_day import US


def test_the_key_is_the_unit_in_the_topic() -> None:
    assert unit_of("swept/v1/zhanqian/车-7/fix", "zhanqian") == "车-7"


@pytest.mark.parametrize(
    "topic",
    [
        "",
        "swept/v1/other/u/fix",
        "swept/v1/zhanqian/u",
        "swept/v1/zhanqian/u/a/b",
        f"swept/v1/zhanqian/{'u' * (UNIT_ID_MAX + 1)}/fix",
    ],
)
def test_a_topic_of_another_form_has_no_key(topic: str) -> None:
    with pytest.raises(TopicError):
        unit_of(topic, "zhanqian")


def test_the_longest_unit_of_a_district_has_a_key() -> None:
    assert unit_of(f"swept/v1/zhanqian/{'车' * UNIT_ID_MAX}/fix", "zhanqian") == "车" * UNIT_ID_MAX


@pytest.mark.parametrize("unit", ["", "u", "车" * UNIT_ID_MAX])
def test_a_topic_with_a_unit_of_usual_length_stays_as_it_is(unit: str) -> None:
    assert bounded(f"swept/v1/d/{unit}/fix") == f"swept/v1/d/{unit}/fix"


@given(st.text(min_size=UNIT_ID_MAX + 1, max_size=30_000), st.text(min_size=UNIT_ID_MAX + 1, max_size=70))
def test_a_long_topic_is_bounded_names_no_unit_and_is_told_from_another(one: str, other: str) -> None:
    topics = [bounded(f"swept/v1/d/{unit.replace('/', '-')}/fix") for unit in (one, other)]
    for topic in topics:
        assert len(topic) < 3 * UNIT_ID_MAX
        assert topic.startswith("swept/v1/d/")
        with pytest.raises(TopicError):
            unit_of(topic, "d")
    assert (topics[0] == topics[1]) == (one.replace("/", "-") == other.replace("/", "-"))


@pytest.mark.parametrize(
    ("payload", "seqs"),
    [
        (b'{"seq":812,"lon":1.5,"equipment":{"fan":null}}', (812,)),
        (b'[{"seq":3},{"lon":1},{"seq":null},{"seq":1}]', (3, 1)),
        (b'{"lon":1}', ()),
        (b'{"seq":"7"}', ()),
        (b'{"seq":1.5}', ()),
        (b'{"seq":true}', ()),
        (b'{"seq":-1}', ()),
        (b'{"seq":%d}' % SEQ_MAX, (SEQ_MAX,)),
        (b'{"seq":%d}' % (SEQ_MAX + 1), ()),
        (b'{"seq":%d}' % 10**40, ()),
        (b'[{"seq":1},{"seq":"x"},7,null,[],{"seq":2}]', (1, 2)),
        (b"1", ()),
        (b"", ()),
        (b"[", ()),
        (b"\xff\x00", ()),
        (b'{"a":"\xff","seq":4}', (4,)),
        (b"[" * 100_000, ()),
    ],
)
def test_seqs_are_found_without_interpreting_the_rest(payload: bytes, seqs: tuple[int, ...]) -> None:
    assert seqs_of(payload) == seqs


@given(st.binary(max_size=50))
def test_no_payload_whatever_raises(payload: bytes) -> None:
    assert all(0 <= seq <= SEQ_MAX for seq in seqs_of(payload))


def test_the_first_seq_ever_is_taken_and_those_in_turn_move_the_frontier() -> None:
    assert advance(Frontier(), [40], 0) == Frontier(40)
    assert advance(Frontier(40), [41, 42, 43], 0) == Frontier(43)


def test_a_resend_changes_nothing() -> None:
    assert advance(Frontier(40), [38, 39, 40], 0) == Frontier(40)


def test_a_hole_is_not_acknowledged_over_until_it_is_filled() -> None:
    held = advance(Frontier(40), [43, 42, 46], 0)
    assert held.seq == 40
    assert advance(held, [41], 1) == Frontier(43, frozenset({46}), 0)


def test_a_jump_that_begins_at_the_same_seq_twenty_seconds_later_is_accepted() -> None:
    held = advance(Frontier(40), [50, 51, 52], 7)
    early = advance(held, [50], 7 + LOST_US - 1)
    assert early.seq == 40
    assert advance(early, [50], 7 + LOST_US) == Frontier(52, frozenset(), 7)


def test_a_later_seq_beyond_the_hole_does_not_accept_the_jump() -> None:
    held = advance(Frontier(40), [50, 51], 0)
    assert advance(held, [51, 52], 10 * LOST_US).seq == 40


@pytest.mark.parametrize("seq", [0, 1])
def test_a_counter_that_started_again_is_followed(seq: int) -> None:
    assert advance(Frontier(5_000, frozenset({7_000}), 0), [seq, 2], 0).seq == (2 if seq == 1 else 0)


def test_a_seq_far_below_is_a_counter_that_started_again_and_one_less_far_a_resend() -> None:
    assert advance(Frontier(200_000), [99_999], 0) == Frontier(99_999)
    assert advance(Frontier(200_000), [100_000], 0) == Frontier(200_000)


def test_what_is_remembered_beyond_a_hole_is_bounded() -> None:
    held = advance(Frontier(0), range(2, 3 * AHEAD_MAX), 0)
    assert len(held.ahead) == AHEAD_MAX
    assert held.seq == 0
    assert advance(held, [1], 0).seq == AHEAD_MAX + 1


@given(st.permutations(range(11, 40)))
def test_whatever_the_order_nothing_missing_is_acknowledged_and_in_the_end_all_is(seqs: list[int]) -> None:
    frontier, durable = Frontier(10), {10}
    for seq in seqs:
        durable.add(seq)
        frontier = advance(frontier, [seq], 0)
        assert frontier.seq is not None
        assert durable >= set(range(10, frontier.seq + 1))
    assert frontier.seq == 39


def test_the_district_clock_runs_at_its_rate_from_its_start() -> None:
    payload = b'{"start":"2013-05-01T06:00:00+08:00","rate":160.0,"wall":"2026-01-01T00:00:00Z"}'
    clock = parse_clock(payload)
    assert clock.now_us(clock.wall_us) == clock.start_us
    assert clock.now_us(clock.wall_us + 3 * US) == clock.start_us + 480 * US


def test_no_clock_is_the_wall_clock() -> None:
    assert parse_clock(b"") == parse_clock(None) == DistrictClock()
    assert DistrictClock().now_us(1_760_000_000_123_456) == 1_760_000_000_123_456


@pytest.mark.parametrize(
    "payload",
    [
        b"x",
        b"{}",
        b"\xff",
        b'{"start":"2013-05-01T06:00:00","rate":1.0,"wall":"2026-01-01T00:00:00Z"}',
        b'{"start":"2013-05-01T06:00:00Z","rate":0,"wall":"2026-01-01T00:00:00Z"}',
        b'{"start":"2013-05-01T06:00:00Z","rate":1e9,"wall":"2026-01-01T00:00:00Z"}',
        b'{"start":"9999-12-31T00:00:00Z","rate":1.0,"wall":"2026-01-01T00:00:00Z"}',
        b'{"start":"2013-05-01T06:00:00Z","rate":1e6,"wall":"0001-01-01T00:00:00Z"}',
    ],
)
def test_a_bad_clock_is_refused(payload: bytes) -> None:
    with pytest.raises(ClockError, match="not a district clock"):
        parse_clock(payload)


def test_a_fast_clock_stands_still_where_a_calendar_and_a_database_end() -> None:
    clock = parse_clock(b'{"start":"2013-05-01T06:00:00Z","rate":1e6,"wall":"1970-01-01T00:00:00Z"}')
    assert clock.now_us(1_760_000_000_000_000) == CLOCK_US[1]
    assert clock.now_us(-1_760_000_000_000_000) == CLOCK_US[0]


@given(st.lists(st.integers(0, 2), min_size=1, max_size=60), st.randoms(use_true_random=False))
def test_members_that_tell_each_other_acknowledge_all_that_they_share(
    turns: list[int], chance: Random
) -> None:
    """Report n goes to member turns[n]; what one tells reaches the others in its order, at any time."""
    members = [Frontier(0) for _ in range(3)]
    told: list[list[bytes]] = [[], [], []]
    for seq, who in enumerate(turns, start=1):
        members[who] = advance(members[who], [seq], 0, LOST_SHARED_US)
        for other in {0, 1, 2} - {who}:
            told[other].append(durable_payload({"u": [seq]}))
        for other in range(3):
            while told[other] and chance.random() < 0.5:
                heard = parse_durable(told[other].pop(0))["u"]
                members[other] = advance(members[other], heard, 0, LOST_SHARED_US)
            assert (members[other].seq or 0) <= seq
    for other in range(3):
        for payload in told[other]:
            members[other] = advance(members[other], parse_durable(payload)["u"], 0, LOST_SHARED_US)
    assert members == [Frontier(len(turns), frozenset(), member.hole_us) for member in members]


def test_what_the_log_says_fills_the_hole_that_a_member_waits_behind() -> None:
    waiting = advance(Frontier(1), [3, 4, 7], 0)
    assert joined(waiting, 2) == Frontier(4, frozenset({7}), 0)
    assert joined(waiting, 1) == waiting
    assert joined(Frontier(), 9) == Frontier(9)


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"{}",
        b'[{"unit":1,"seqs":[]}]',
        b'[{"unit":"u","seqs":[[1]]}]',
        b'[{"unit":"u","seqs":[[0,%d]]}]' % DURABLE_MAX,
        b'[{"unit":"u","seqs":[[-1,1]]}]',
        b'[{"unit":"u","seqs":[[9,1],[0,%d]]}]' % DURABLE_MAX,
        b"[" * 10_000,
    ],
)
def test_what_no_member_tells_is_not_believed(payload: bytes) -> None:
    assert parse_durable(payload) == {}


@given(st.dictionaries(st.text(), st.lists(st.integers(0, 50))))
def test_members_tell_seqs_in_their_order(seqs: dict[str, list[int]]) -> None:
    assert parse_durable(durable_payload(seqs)) == seqs
