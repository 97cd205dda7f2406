"""The device contract: what is read, what is refused and why, and that no bytes raise."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processing.datum import wgs84_to_gcj02
from processing.decode import (
    PAYLOAD_BYTES_KEPT,
    PAYLOAD_BYTES_MAX,
    REPORTS_MAX,
    Decoded,
    Directory,
    decode,
    originals,
)
from processing.district import District, Unit, UnitProfile
from processing.fix import Kind, Reason, Report
from processing.rules import Rules
from processing.service_day import to_us

FIX_TIME_US = to_us(datetime(2024, 4, 30, 22, 0, 5, tzinfo=UTC))
RECEIVED_US = FIX_TIME_US + 1_500_000
UNITS = (
    Unit("u1", "Sweeper 1", UnitProfile("sweeper")),
    Unit("g1", "Sweeper 2", UnitProfile("sweeper", datum="GCJ-02")),
)
DIRECTORY = Directory.of(District("zq", "Zhanqian", (), (), UNITS, rules=Rules()))
GOOD: dict[str, Any] = {
    "time": "2024-05-01T06:00:05+08:00",
    "lon": 122.2573668,
    "lat": 40.6733782,
    "speed_kmh": 6.4,
    "heading_deg": 86.2,
    "accuracy_m": 4.0,
    "satellites": 14,
    "seq": 812,
    "historical": False,
    "equipment": {
        "engine": True,
        "brush": True,
        "spray": True,
        "fan": None,
        "hopper_pct": 40,
        "water_pct": 70,
    },
}
REPORT = Report(
    unit_id="u1",
    kind=Kind.FIX,
    fix_time_us=FIX_TIME_US,
    received_us=RECEIVED_US,
    lon=122.2573668,
    lat=40.6733782,
    speed_kmh=6.4,
    heading_deg=86.2,
    accuracy_m=4.0,
    satellites=14,
    seq=812,
    engine=True,
    brush=True,
    spray=True,
    hopper_pct=40.0,
    water_pct=70.0,
)


def read(payload: object, kind: str = "fix", unit_id: str = "u1") -> Decoded:
    content = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return decode(f"swept/v1/zq/{unit_id}/{kind}", content, RECEIVED_US, DIRECTORY)


def refused(payload: object, kind: str = "fix") -> Reason:
    decoded = read(payload, kind)
    assert decoded.reports == ()
    (rejection,) = decoded.rejections
    assert rejection.detail.isprintable()
    return rejection.reason


def literal(field: str, text: str) -> bytes:
    """The good fix with a value that Python couldn't write as JSON."""
    return json.dumps({**GOOD, field: "@"}).replace('"@"', text).encode()


def test_the_contracts_example_is_read_whole() -> None:
    assert read(GOOD) == Decoded((REPORT,))
    assert read([GOOD, GOOD]) == Decoded((REPORT, REPORT))
    assert read([]) == Decoded()


def test_a_fix_needs_no_more_than_time_and_place() -> None:
    (report,) = read({"time": 1714514405000, "lon": 122.0, "lat": 40.0}).reports
    assert report == Report("u1", Kind.FIX, FIX_TIME_US, RECEIVED_US, 122.0, 40.0)


@pytest.mark.parametrize(
    "time", ["2024-04-30T22:00:05Z", "2024-05-01T06:00:05.000000+08:00", 1714514405000, 1714514405000.0]
)
def test_time_is_rfc_3339_with_a_zone_or_epoch_milliseconds(time: object) -> None:
    (report,) = read({**GOOD, "time": time}).reports
    assert report.fix_time_us == FIX_TIME_US


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"time": None}, Reason.NO_TIME),
        ({"time": "2024-05-01T06:00:05"}, Reason.NO_ZONE),
        ({"time": "yesterday"}, Reason.BAD_FIELD),
        ({"time": True}, Reason.BAD_FIELD),
        ({"time": 1714514405}, Reason.LATE),
        ({"time": -1}, Reason.LATE),
        ({"time": "0001-01-01T00:00:00+23:59"}, Reason.LATE),
        ({"time": "9999-12-31T23:59:59-23:59"}, Reason.FUTURE),
        ({"time": (RECEIVED_US + 301_000_000) // 1000}, Reason.FUTURE),
        ({"time": (RECEIVED_US - 31 * 86_400_000_000) // 1000}, Reason.LATE),
        ({"lon": None}, Reason.NO_POSITION),
        ({"lat": None}, Reason.NO_POSITION),
        ({"lon": 180.1}, Reason.OUT_OF_RANGE),
        ({"lat": -90.1}, Reason.OUT_OF_RANGE),
        ({"lon": 0, "lat": 0.0}, Reason.NULL_ISLAND),
        ({"time": 1e306}, Reason.BAD_FIELD),
        ({"time": 1e300}, Reason.FUTURE),
        ({"time": "1714514405000"}, Reason.BAD_FIELD),
        ({"time": "2024-05-01T06:00:60"}, Reason.NO_ZONE),
        ({"time": "9999-12-31T23:59:60Z"}, Reason.FUTURE),
        ({"lon": "122.25"}, Reason.BAD_FIELD),
        ({"lat": True}, Reason.BAD_FIELD),
        ({"unit": 7}, Reason.WRONG_UNIT),
        ({"district": []}, Reason.WRONG_DISTRICT),
        ({"unit": "u2"}, Reason.WRONG_UNIT),
        ({"district": "xy"}, Reason.WRONG_DISTRICT),
    ],
)
def test_what_is_refused_has_its_reason(change: dict[str, object], reason: Reason) -> None:
    assert refused({**GOOD, **change}) is reason


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"", Reason.NOT_JSON),
        (b"\xff\xfe{", Reason.NOT_JSON),
        (b"{", Reason.NOT_JSON),
        (b"{},", Reason.NO_TIME),
        (b"[" * 100_000, Reason.NOT_JSON),
        (b"7", Reason.NOT_AN_OBJECT),
        (b"[[1]]", Reason.NOT_AN_OBJECT),
        (b"{}", Reason.NO_TIME),
        ([GOOD] * (REPORTS_MAX + 1), Reason.TOO_MANY),
        (b"[" + b"0," * 5_000 + b"0]", Reason.TOO_MANY),
        (literal("time", "NaN"), Reason.BAD_FIELD),
        (literal("time", "1e400"), Reason.BAD_FIELD),
        (literal("time", "9" * 19), Reason.FUTURE),
        (literal("time", "9" * 5000), Reason.BAD_FIELD),
        (literal("lon", "NaN"), Reason.OUT_OF_RANGE),
        (literal("lat", "-Infinity"), Reason.OUT_OF_RANGE),
    ],
)
def test_broken_messages_have_their_reason(payload: object, reason: Reason) -> None:
    assert refused(payload) is reason


@pytest.mark.parametrize("text", ["-1", "NaN", "1e400", "-1e-9", "1000000", "null"])
@pytest.mark.parametrize("field", ["speed_kmh", "accuracy_m", "heading_deg"])
def test_a_value_that_cannot_be_is_unknown(field: str, text: str) -> None:
    (report,) = read(literal(field, text)).reports
    assert getattr(report, field) is None
    kept = {"NaN": '"nan"', "1e400": '"inf"', "1000000": "1000000", "-1": "-1", "-1e-9": "-1e-9"}
    assert report.extra == (None if text == "null" else f'{{"{field}":{kept[text]}}}')


@pytest.mark.parametrize(
    "change",
    [
        {"speed_kmh": "fast"},
        {"speed_kmh": True},
        {"heading_deg": []},
        {"satellites": 14.5},
        {"seq": 2**63},
        {"historical": "no"},
        {"equipment": {"brush": "on"}},
        {"equipment": {"brush": 2, "hopper_pct": 101}},
        {"equipment": [True]},
        {"equipment": 1},
    ],
)
def test_an_optional_field_that_cannot_be_read_is_unknown_and_kept(change: dict[str, object]) -> None:
    (report,) = read({**GOOD, "equipment": None, **change}).reports
    (field,) = change
    assert report.extra is not None
    assert json.loads(report.extra) == change
    assert (report.brush, report.hopper_pct) == (None, None)
    if field != "equipment":
        assert not getattr(report, field)
    assert (report.lon, report.lat) == (REPORT.lon, REPORT.lat)


def test_ones_and_zeros_are_states_and_whole_floats_integers() -> None:
    change = {"satellites": 14.0, "historical": 0, "equipment": {"brush": 1, "spray": 0, "fan": 1.0}}
    (report,) = read({**GOOD, **change}).reports
    assert (report.brush, report.spray, report.fan, report.satellites) == (True, False, True, 14)
    assert report.extra is None
    (status,) = read({"time": GOOD["time"], "brush": 1}, "equipment").reports
    assert status.brush is True


@pytest.mark.parametrize("time", ["2024-04-30T21:59:60Z", "2024-05-01T05:59:60.75+08:00"])
def test_a_leap_second_is_the_beginning_of_the_next(time: str) -> None:
    (report,) = read({**GOOD, "time": time}).reports
    assert report.fix_time_us == FIX_TIME_US - 5_000_000


def test_half_a_surrogate_pair_is_kept_escaped() -> None:
    (report,) = read({**GOOD, "x": "\ud800"}).reports
    assert report.extra is not None
    assert json.loads(report.extra)["x"] == "\ud800"
    report.extra.encode()


def test_a_full_turn_is_no_turn() -> None:
    (report,) = read({**GOOD, "heading_deg": 360}).reports
    assert report.heading_deg == 0.0


def test_unknown_keys_are_kept_as_sorted_text() -> None:
    change = {"voltage": 12.5, "alarms": ["hot"], "equipment": {"brush": False, "tilt": 3, "arm": None}}
    (report,) = read({**GOOD, **change}).reports
    assert report.extra == '{"alarms":["hot"],"equipment":{"arm":null,"tilt":3},"voltage":12.5}'
    assert report.brush is False


def test_unit_and_district_may_be_named_again() -> None:
    assert read({**GOOD, "unit": "u1", "district": "zq"}) == Decoded((REPORT,))


def test_a_bad_fix_never_loses_the_good_ones_beside_it() -> None:
    broken = literal("speed_kmh", '"\xff"').decode().encode("latin-1")
    good = json.dumps(GOOD, indent=1).encode()
    decoded = read(b" [" + b" ,\n".join([good, b'{"a": 1}', broken, b"null", good]) + b" ] ")
    assert decoded.reports == (REPORT, REPORT)
    assert [(one.reason, one.payload) for one in decoded.rejections] == [
        (Reason.NO_TIME, b'{"a": 1}'),
        (Reason.NOT_JSON, broken),
        (Reason.NOT_AN_OBJECT, b"null"),
    ]


def test_of_a_torn_array_what_is_whole_counts() -> None:
    good = json.dumps(GOOD).encode()
    decoded = read(b"[" + good + b"," + good[:-5])
    assert decoded.reports == (REPORT,)
    assert [(one.reason, one.payload) for one in decoded.rejections] == [(Reason.NOT_JSON, good[:-5])]
    decoded = read(b"[" + good + b"] tail")
    assert decoded.reports == (REPORT,)
    assert [one.payload for one in decoded.rejections] == [b"] tail"]


@pytest.mark.parametrize(
    "broken",
    [
        b'{"time": 1, "x": ' + b"[" * 2_000 + b"]" * 2_000 + b"}",
        b'{"x": ' * 70 + b"1" + b"}" * 70,
        b"{lon:1}",
        b"{lon:[1,{},{]}",
        b'{"time": "2024-05-01T06:00:05+08:00", "lon": 122',
        b'{"time": "2024-05-01T06:00',
        b'{""time": 1}',
        b'{"x": [1, {"y": 2}}',
        b'{"time": }',
        b"nothing",
        b"}",
        b'{"x": "\\"}',
        b"\xff",
    ],
)
@pytest.mark.parametrize("between", [b",", b" ,\n "])
def test_a_broken_element_costs_itself_alone(broken: bytes, between: bytes) -> None:
    good = json.dumps(GOOD).encode()
    decoded = read(b"[" + between.join([good, broken, good, good]) + b"]")
    assert decoded.reports == (REPORT,) * 3
    assert [(one.reason, one.payload) for one in decoded.rejections] == [(Reason.NOT_JSON, broken)]


def test_a_full_message_with_garbage_behind_it_is_not_too_many() -> None:
    good = json.dumps(GOOD).encode()
    full = b",".join([good] * REPORTS_MAX)
    for payload in (b"[" + full + b",]", b"[" + full + b"]x", b"[" + full + b",{", b"[" + full):
        assert len(read(payload).reports) == REPORTS_MAX
    assert refused(b"[" + full + b"," + good) is Reason.TOO_MANY


def test_what_is_missing_between_reports_is_forgiven() -> None:
    good = json.dumps(GOOD).encode()
    for payload in (good + b"\n" + good, b"[" + good + good + b"]", b"[" + good + b"," + good + b",]"):
        assert read(payload) == Decoded((REPORT, REPORT))


def test_a_byte_order_mark_is_no_content() -> None:
    for payload in (GOOD, [GOOD]):
        assert read(b"\xef\xbb\xbf" + json.dumps(payload).encode()) == Decoded((REPORT,))


def test_originals_are_the_bytes_of_each_report_that_counts() -> None:
    good, spaced = json.dumps(GOOD).encode(), json.dumps(GOOD, indent=1).encode()
    payload = b"[ " + good + b", {} ," + spaced + b"\n]"
    topic = "swept/v1/zq/u1/fix"
    found = originals(topic, payload, RECEIVED_US, DIRECTORY)
    assert found == ((REPORT, good), (REPORT, spaced))
    assert originals("swept/v1/zq/nobody/fix", payload, RECEIVED_US, DIRECTORY) == ()


def test_too_large_a_message_leaves_its_length_digest_and_beginning() -> None:
    payload = b" " * (PAYLOAD_BYTES_MAX + 1)
    (rejection,) = read(payload).rejections
    assert rejection.reason is Reason.TOO_LARGE
    assert rejection.payload == payload[:PAYLOAD_BYTES_KEPT]
    assert str(len(payload)) in rejection.detail
    assert hashlib.sha256(payload).hexdigest() in rejection.detail


@pytest.mark.parametrize(
    ("mqtt_topic", "reason"),
    [
        ("swept/v1/zq/u1", Reason.BAD_TOPIC),
        ("swept/v2/zq/u1/fix", Reason.BAD_TOPIC),
        ("swept/v1/zq/u1/ack", Reason.BAD_TOPIC),
        ("swept/v1/xy/u1/fix", Reason.WRONG_DISTRICT),
        ("swept/v1/zq/nobody/fix", Reason.UNKNOWN_UNIT),
    ],
)
def test_a_topic_must_be_one_of_the_districts_units(mqtt_topic: str, reason: Reason) -> None:
    (rejection,) = decode(mqtt_topic, b"1", RECEIVED_US, DIRECTORY).rejections
    assert (rejection.reason, rejection.mqtt_topic, rejection.payload) == (reason, mqtt_topic, b"1")


def test_a_unit_is_online_offline_or_forgotten() -> None:
    assert read(b"1", "online").online == ("u1", True)
    assert read(b"0", "online").online == ("u1", False)
    assert read(b"", "online") == Decoded()
    assert refused(b"2", "online") is Reason.BAD_FIELD


@pytest.mark.parametrize(
    "status", [{"equipment": {"brush": False, "water_pct": 5}}, {"brush": False, "water_pct": 5}]
)
def test_an_equipment_status_may_be_nested_or_flat(status: dict[str, object]) -> None:
    (report,) = read({"time": GOOD["time"], **status}, "equipment").reports
    assert (report.kind, report.brush, report.water_pct) == (Kind.EQUIPMENT, False, 5.0)
    assert report.lon != report.lon


def test_a_status_that_says_nothing_is_refused() -> None:
    assert refused({"time": GOOD["time"]}, "equipment") is Reason.BAD_FIELD


def test_a_units_datum_is_taken_back_to_wgs84() -> None:
    lon, lat = wgs84_to_gcj02(122.2573668, 40.6733782)
    (report,) = read({**GOOD, "lon": lon, "lat": lat}, unit_id="g1").reports
    assert (report.lon, report.lat) == (122.2573668, 40.6733782)


NUMBERS = st.sampled_from([1e306, -1e306, 1e400, -1e400, 2**63, -(2**63) - 1, 10**30, 9 * 10**18, 5e-324])
JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | NUMBERS | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from([*GOOD, "x"]), inner, max_size=5)
    ),
    max_leaves=12,
)
BYTE_ORDER_MARK = st.sampled_from([b"", b"\xef\xbb\xbf"])
KINDS = st.sampled_from(["fix", "equipment", "online"])


@given(st.binary(max_size=80), KINDS)
def test_no_bytes_raise(payload: bytes, kind: str) -> None:
    decoded = read(payload, kind)
    assert len(decoded.reports) + len(decoded.rejections) <= len(payload) + 1


@given(st.lists(JSON, max_size=6), KINDS.filter(lambda kind: kind != "online"))
def test_every_element_of_an_array_ends_as_one_report_or_one_rejection(values: list[Any], kind: str) -> None:
    decoded = read(values, kind)
    assert len(decoded.reports) + len(decoded.rejections) == len(values)


@given(st.dictionaries(st.sampled_from([*GOOD, "x", "unit"]), JSON))
def test_a_mutated_field_costs_its_own_fix_at_most(change: dict[str, object]) -> None:
    decoded = read([GOOD, {**GOOD, **change}, GOOD])
    assert decoded.reports[0] == decoded.reports[-1] == REPORT
    assert len(decoded.reports) + len(decoded.rejections) == 3
    for report in decoded.reports:
        report.canonical()


@given(st.dictionaries(st.sampled_from([*GOOD, "unit", "district"]), JSON, max_size=3))
def test_an_unknown_key_changes_nothing_of_what_is_known(change: dict[str, object]) -> None:
    """Without one a message takes the fast path, with one the slow path: both must say the same."""
    fast, slow = read({**GOOD, **change}), read({**GOOD, **change, "unheard": "of"})
    assert [one.reason for one in fast.rejections] == [one.reason for one in slow.rejections]
    if fast.reports and (fast.reports[0].extra is None):
        assert slow.reports == (replace(fast.reports[0], extra='{"unheard":"of"}'),)


@settings(max_examples=300)
@given(st.data())
def test_mutated_bytes_never_raise(data: st.DataObject) -> None:
    payload = bytearray(json.dumps([GOOD, GOOD]).encode())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(payload) - 1))
        payload[at : at + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=2))
    decoded = read(bytes(payload))
    assert decoded.reports or decoded.rejections


@given(
    field=st.sampled_from([*GOOD, "x"]),
    depth=st.integers(0, 3_000),
    brackets=st.sampled_from(["[]", "{}"]),
    closed=st.booleans(),
    mark=BYTE_ORDER_MARK,
)
def test_no_depth_costs_more_than_its_own_report(
    field: str, depth: int, brackets: str, *, closed: bool, mark: bytes
) -> None:
    opener = brackets[0] if brackets == "[]" else '{"x":'
    deep = literal(field, opener * depth + "1" + brackets[1] * depth * closed)
    good = json.dumps(GOOD).encode()
    decoded = read(mark + b"[" + good + b"," + deep + b"," + good + b"]")
    assert decoded.reports[0] == REPORT
    if closed:
        assert decoded.reports[-1] == REPORT
        assert len(decoded.reports) + len(decoded.rejections) == 3


@settings(max_examples=300)
@given(st.data(), BYTE_ORDER_MARK)
def test_a_mutated_report_never_takes_the_one_before_it(data: st.DataObject, mark: bytes) -> None:
    good = json.dumps(GOOD).encode()
    bad = bytearray(good)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(bad) - 1))
        bad[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    decoded = read(mark + b"[" + good + b"," + bytes(bad) + b"," + good + b"]")
    assert decoded.reports[0] == REPORT
    for one in decoded.rejections:
        assert one.payload == b"" or one.payload in bytes(b"[" + good + b"," + bad + b"," + good + b"]")
