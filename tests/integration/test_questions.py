"""The questions that the record answers, asked of records that are written by hand."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from typing import Any

import httpx
import psycopg
import pytest

from api.app import create_app
from api.server import serving
from processing.pipeline import Core
from processing.service_day import day_start_us
from storage import excuses
from storage.queries.cleanings import cleanings, longest_without
from storage.queries.figures import BY, Figures, figures
from storage.queries.street_days import street_days
from tests.integration.recorded import H_US, ZONE, at_us, close_day, put_day, put_map
from tests.integration.small_world import district

FIRST, LAST = date(2026, 6, 1), date(2026, 6, 2)
CLOSED_1_US, CLOSED_2_US = at_us("2026-06-02T02:00"), at_us("2026-06-03T02:00")


@pytest.fixture
def record(connection: psycopg.Connection) -> psycopg.Connection:
    """Three streets; two closed days and what is known of a third; one figure restated."""
    put_map(
        connection,
        1,
        [
            ("a", {"grade": 1}),
            ("b", {"grade": 2, "required": 2, "subdistrict": "south", "contractor": "c2"}),
            ("c", {"grade": 2, "work": "washing"}),
        ],
    )
    close_day(connection, "2026-06-01", CLOSED_1_US)
    close_day(connection, "2026-06-02", CLOSED_2_US)
    known_1: dict[str, Any] = {"known_us": CLOSED_1_US, "begun_us": at_us("2026-06-01T08:00")}
    known_2: dict[str, Any] = {"known_us": CLOSED_2_US, "begun_us": at_us("2026-06-02T08:00")}
    put_day(connection, "a", "2026-06-01", "swept", cleaned_h=[8, 14, 20], **known_1)
    put_day(connection, "a", "2026-06-01", None, cleaned_h=[8], shift_id="early", required=0, **known_1)
    put_day(connection, "a", "2026-06-01", None, cleaned_h=[14, 20], shift_id="late", required=0, **known_1)
    put_day(
        connection,
        "b",
        "2026-06-01",
        "not swept",
        required=2,
        superseded_us=at_us("2026-06-05T00:00"),
        **known_1,
    )
    put_day(connection, "b", "2026-06-01", "partial", cleaned_h=[9], required=2, version=2, cause="late data",
            begun_us=at_us("2026-06-05T00:00"), known_us=at_us("2026-06-05T00:00"))  # fmt: skip
    put_day(connection, "c", "2026-06-01", "no data", work="washing", **known_1)
    # Sweeping isn't what c is paid for: it counts nowhere.
    put_day(connection, "c", "2026-06-01", None, cleaned_h=[8], required=0, **known_1)
    put_day(connection, "a", "2026-06-02", "ambiguous", cleaned_h=[8], frequency_certain=0, **known_2)
    put_day(connection, "b", "2026-06-02", "swept", cleaned_h=[8, 15], required=2, **known_2)
    put_day(connection, "c", "2026-06-02", "not swept", work="washing", **known_2)
    put_day(connection, "a", "2026-06-03", None, cleaned_h=[7], known_us=at_us("2026-06-03T09:00"))
    return connection


def ask(
    connection: psycopg.Connection, each: Any = "period", by: Any = "district", **given: Any
) -> list[Figures]:
    first, last = given.pop("days", (FIRST, LAST))
    return figures(connection, first, last, each, by, **{"district_id": "test"} | given)


def test_a_total_adds_up_what_is_measured_asked_and_said(record: psycopg.Connection) -> None:
    (total,) = ask(record)
    assert (total.street_days, total.cleanings, total.cleanings_certain, total.required) == (6, 7, 6, 8)
    # a has two more than it needs on the 1st; that makes up for nobody.
    assert (total.shortfall, total.compliant, total.compliance) == (3, 3, 0.5)
    assert (total.swept_m, total.length_m) == (400.0, 600.0)
    assert total.coverage == pytest.approx(2 / 3)
    assert total.verdicts == {"swept": 2, "ambiguous": 1, "no data": 1, "partial": 1, "not swept": 1}
    assert sum(total.percents.values()) == 100
    assert (total.open, total.excused, total.passes) == (0, 0, 7)


def test_days_add_up_to_the_same_as_their_week_and_streets_to_the_same_as_the_district(
    record: psycopg.Connection,
) -> None:
    (total,) = ask(record, days=(FIRST, date(2026, 6, 3)))
    assert total.street_days == 9
    names = (
        "street_days",
        "cleanings",
        "required",
        "shortfall",
        "compliant",
        "swept_m",
        "swept",
        "open",
        "passes",
    )
    for each in ("day", "week", "month", "period"):
        for by in BY[:-1]:
            rows = ask(record, each, by, days=(FIRST, date(2026, 6, 3)))
            for name in names:
                assert sum(getattr(row, name) for row in rows) == getattr(total, name), (each, by, name)


def test_rows_are_of_what_streets_have_in_common(record: psycopg.Connection) -> None:
    keys = {by: [(row.key, row.name, row.street_days) for row in ask(record, by=by)] for by in BY}
    assert keys["street"] == [("a", "A", 2), ("b", "B", 2), ("c", "C", 2)]
    assert keys["grade"] == [("1", "1", 2), ("2", "2", 4)]
    assert keys["subdistrict"] == [("north", "north", 4), ("south", "south", 2)]
    assert keys["contractor"] == [("c1", "c1", 4), ("c2", "c2", 2)]
    assert keys["district"] == [("test", "test", 6)]
    assert keys["shift"] == [("early", "Early", 6), ("late", "Late", 6)]


def test_a_shift_has_what_was_swept_in_it_of_all_streets_and_no_requirement(
    record: psycopg.Connection,
) -> None:
    early, late = ask(record, by="shift")
    assert [(row.cleanings, row.swept_m, row.length_m) for row in (early, late)] == [
        (1, 100.0, 600.0),
        (2, 100.0, 600.0),
    ]
    assert (early.required, early.shortfall, early.compliance, early.swept, early.excused) == (None,) * 5
    assert [row.bucket_first.day for row in ask(record, "day", "shift")] == [1, 1, 2, 2]


def test_an_open_day_has_every_street_with_what_is_known_and_no_verdict(record: psycopg.Connection) -> None:
    rows = ask(record, by="street", days=(date(2026, 6, 3), date(2026, 6, 3)))
    assert [(row.key, row.cleanings, row.required, row.open) for row in rows] == [
        ("a", 1, 1, 1),
        ("b", 0, 2, 1),
        ("c", 0, 1, 1),
    ]
    assert {(row.shortfall, row.compliant, row.compliance, sum(row.verdicts.values())) for row in rows} == {
        (0, 0, None, 0)
    }
    assert rows[0].percents == {}


def test_a_year_without_data_is_open_and_no_error(record: psycopg.Connection) -> None:
    rows = ask(record, "month", "grade", days=(date(2025, 1, 1), date(2025, 12, 31)))
    assert len(rows) == 24
    assert sum(row.open for row in rows) == sum(row.street_days for row in rows) == 3 * 365
    assert {(row.cleanings, row.coverage, row.compliance, row.shortfall) for row in rows} == {
        (0, 0.0, None, 0)
    }


@pytest.mark.parametrize(
    ("as_of", "said"),
    [
        # Before anything was known the days are open, and what was provisional then isn't kept.
        ("2026-05-01T00:00", {"open": 6, "cleanings": 0}),
        ("2026-06-01T12:00", {"open": 6, "cleanings": 0}),
        # The first day is closed.
        ("2026-06-02T02:00", {"open": 3, "cleanings": 3, "not_swept": 1, "partial": 0}),
        ("2026-06-04T00:00", {"open": 0, "cleanings": 6, "not_swept": 2, "partial": 0}),
        # Late data came for b: the old version holds before that moment, the new one from it on.
        ("2026-06-04T23:59:59.999999", {"cleanings": 6, "not_swept": 2, "partial": 0}),
        ("2026-06-05T00:00", {"cleanings": 7, "not_swept": 1, "partial": 1}),
    ],
)
def test_figures_as_of_a_moment_are_those_that_held_then(
    record: psycopg.Connection, as_of: str, said: dict[str, int]
) -> None:
    (total,) = ask(record, as_of_us=at_us(as_of))
    assert {name: getattr(total, name) for name in said} == said
    assert total.street_days == 6


def test_weeks_are_iso_weeks_cut_at_the_period_also_where_a_year_has_53(
    connection: psycopg.Connection,
) -> None:
    put_map(connection, 1, [("a", {})])
    rows = ask(connection, "week", days=(date(2026, 12, 26), date(2027, 1, 12)))
    assert [(str(row.bucket_first), str(row.bucket_last), row.street_days) for row in rows] == [
        ("2026-12-26", "2026-12-27", 2),
        ("2026-12-28", "2027-01-03", 7),
        ("2027-01-04", "2027-01-10", 7),
        ("2027-01-11", "2027-01-12", 2),
    ]
    assert rows[1].bucket_first.isocalendar()[:2] == (2026, 53)
    leap = ask(connection, "month", days=(date(2028, 2, 3), date(2028, 3, 1)))
    assert [(str(row.bucket_last), row.street_days) for row in leap] == [
        ("2028-02-29", 27),
        ("2028-03-01", 1),
    ]


def test_each_closed_day_keeps_the_map_that_made_it(record: psycopg.Connection) -> None:
    # From the 2nd on b is renamed and another contractor's, and d is new.
    put_map(
        record,
        2,
        [("a", {}), ("b", {"name": "Bee", "required": 2, "contractor": "c9"}), ("d", {})],
        at=at_us("2026-06-03T12:00"),
        first_day="2026-06-03",
    )
    days = (FIRST, date(2026, 6, 3))
    named = {row.key: (row.name, row.street_days) for row in ask(record, by="street", days=days)}
    assert named == {"a": ("A", 3), "b": ("Bee", 3), "c": ("C", 2), "d": ("D", 1)}
    contracted = {row.key: row.street_days for row in ask(record, by="contractor", days=days)}
    assert contracted == {"c1": 4 + 2, "c2": 2, "c9": 1}
    # As of a moment before that map was loaded, the open day is the old map's.
    before = ask(record, by="street", days=days, as_of_us=at_us("2026-06-03T11:00"))
    assert [(row.key, row.name) for row in before] == [("a", "A"), ("b", "B"), ("c", "C")]


def test_the_districts_of_one_store_are_kept_apart(record: psycopg.Connection) -> None:
    before = ask(record, by="street")
    put_map(record, 7, [("x", {}), ("y", {})], district_id="other")
    assert ask(record, by="street") == before
    assert [row.key for row in ask(record, by="street", district_id="other")] == []
    days = (date(2026, 6, 4), date(2026, 6, 4))
    assert [row.key for row in ask(record, by="street", district_id="other", days=days)] == ["x", "y"]


def test_a_word_that_is_unknown_is_refused_with_those_that_are_known(record: psycopg.Connection) -> None:
    with pytest.raises(psycopg.errors.InvalidParameterValue, match="known are day, week, month, period"):
        ask(record, "fortnight")
    with pytest.raises(psycopg.errors.InvalidParameterValue, match="known are street, grade"):
        ask(record, "day", "colour")


def test_cleanings_are_told_with_their_times_as_of_any_moment(record: psycopg.Connection) -> None:
    found = cleanings(record, "b", FIRST, LAST, district_id="test")
    assert [(str(one.service_day), one.number, one.cleaned_us) for one in found] == [
        ("2026-06-01", 1, at_us("2026-06-01T09:00")),
        ("2026-06-02", 1, at_us("2026-06-02T08:00")),
        ("2026-06-02", 2, at_us("2026-06-02T15:00")),
    ]
    before = cleanings(record, "b", FIRST, LAST, district_id="test", as_of_us=at_us("2026-06-04T00:00"))
    assert [one.service_day.day for one in before] == [2, 2]
    assert [one.service_day for one in cleanings(record, "c", FIRST, LAST, district_id="test")] == []


def test_the_longest_time_without_goes_from_the_periods_start_over_cleanings_to_its_end(
    record: psycopg.Connection,
) -> None:
    from_us, to_us = at_us("2026-06-01T00:00"), at_us("2026-06-03T00:00")
    rows = longest_without(record, FIRST, LAST, from_us, to_us, district_id="test")
    assert [(row.street_id, row.without_from_us, row.without_to_us, row.cleanings) for row in rows] == [
        ("a", at_us("2026-06-02T08:00"), to_us, 4),
        ("b", at_us("2026-06-01T09:00"), at_us("2026-06-02T08:00"), 3),
        ("c", from_us, to_us, 0),
    ]
    # At noon of the first day only its morning is known.
    noon_us = at_us("2026-06-01T12:00")
    early = longest_without(record, FIRST, FIRST, from_us, noon_us, district_id="test")
    assert [(row.street_id, (row.without_to_us - row.without_from_us) // H_US) for row in early] == [
        ("a", 8),
        ("b", 9),
        ("c", 12),
    ]


def test_a_cleaning_after_midnight_of_the_day_before_counts_where_it_lies(
    connection: psycopg.Connection,
) -> None:
    put_map(connection, 1, [("a", {})])
    close_day(connection, "2026-05-31", 1)
    put_day(connection, "a", "2026-05-31", "swept", cleaned_h=[20, 24.5])
    from_us, to_us = at_us("2026-06-01T00:00"), at_us("2026-06-02T00:00")
    (row,) = longest_without(connection, FIRST, FIRST, from_us, to_us, district_id="test")
    assert (row.without_from_us, row.without_to_us, row.cleanings) == (from_us + H_US // 2, to_us, 1)


@pytest.mark.parametrize(("day", "hours"), [("2026-03-29", 23), ("2026-10-25", 25), ("2026-06-01", 24)])
def test_a_day_is_as_long_as_its_zone_makes_it(connection: psycopg.Connection, day: str, hours: int) -> None:
    zone, service_day = "Europe/Berlin", date.fromisoformat(day)
    put_map(connection, 1, [("a", {}), ("b", {})])
    close_day(connection, day, 1)
    put_day(connection, "a", day, "swept", cleaned_h=[hours - 0.5], zone=zone)
    put_day(connection, "b", day, "not swept", zone=zone)
    days_us = [
        day_start_us(one, 0, zone) for one in (service_day, date.fromordinal(service_day.toordinal() + 1))
    ]
    rows = longest_without(connection, service_day, service_day, *days_us, district_id="test")
    assert [(row.without_to_us - row.without_from_us) / H_US for row in rows] == [hours - 0.5, hours]
    (total,) = ask(connection, days=(service_day, service_day))
    assert (total.street_days, total.cleanings) == (2, 1)


def test_street_days_tell_their_version_and_cause(record: psycopg.Connection) -> None:
    rows = street_days(record, FIRST, FIRST, district_id="test", street_ids=["b"])
    assert [(row.version, row.cause, row.verdict, row.open, row.contractor) for row in rows] == [
        (2, "late data", "partial", False, "c2")
    ]
    (open_row,) = street_days(record, FIRST, FIRST, district_id="test", street_ids=["b"], as_of_us=0)
    assert (open_row.version, open_row.verdict, open_row.open, open_row.required) == (None, None, True, 2)


@pytest.fixture
def client(record: psycopg.Connection, store_url: str) -> Iterator[httpx.Client]:  # noqa: ARG001 - it fills the store
    """The API over the record; its district's streets are a, b and c too."""
    core = Core(replace(district(), district_id="test"))
    app = create_app(store_url, core.district, core.references, core.projection)
    with serving(app) as url, httpx.Client(base_url=f"{url}/api/v1", timeout=30) as opened:
        yield opened


PERIOD = {"from": "2026-06-01", "to": "2026-06-02"}


def test_the_api_gives_the_same_figures(client: httpx.Client, record: psycopg.Connection) -> None:
    answer = client.get("/figures", params={**PERIOD, "each": "day", "by": "contractor"}).json()
    rows = ask(record, "day", "contractor")
    assert [
        [row[name] for name in ("key", "cleanings", "required", "compliance", "coverage")]
        for row in answer["rows"]
    ] == [[row.key, row.cleanings, row.required, row.compliance, row.coverage] for row in rows]
    (total,) = ask(record)
    assert answer["total"]["percents"] == total.percents
    assert sum(answer["total"]["percents"].values()) == 100
    assert answer["total"]["name"] == "Test"


def test_a_day_of_a_street_is_the_same_in_every_answer(client: httpx.Client) -> None:
    def key(row: dict[str, Any], *names: str) -> tuple[Any, ...]:
        return tuple(row[name] for name in names)

    daily = client.get("/frequency", params=PERIOD).json()
    added = client.get("/figures", params={**PERIOD, "each": "day", "by": "street"}).json()["rows"]
    words = {"swept": "swept", "ambiguous": "ambiguous", "no data": "no_data", "partial": "partial",
             "not swept": "not_swept"}  # fmt: skip
    assert [
        (*key(row, "service_day", "street_id", "name", "frequency", "required", "coverage", "passes"), 1)
        for row in daily
    ] == [
        (
            *key(row, "bucket_first", "key", "name", "cleanings", "required", "coverage", "passes"),
            row[words[said["verdict"]]],
        )
        for row, said in zip(added, daily, strict=True)
    ]
    for street_id in "abc":
        times = [
            one["cleaned_at"]
            for one in client.get("/cleanings", params={**PERIOD, "street_id": street_id}).json()
        ]
        assert times == [at for row in daily if row["street_id"] == street_id for at in row["cleaned_at"]]


def test_the_api_answers_as_of_a_moment_with_a_zone(client: httpx.Client) -> None:
    then = client.get(
        "/figures", params={**PERIOD, "by": "district", "as_of": "2026-06-04T23:00:00+08:00"}
    ).json()
    assert then["rows"][0]["cleanings"] == 6
    times = client.get("/cleanings", params={**PERIOD, "street_id": "b"}).json()
    assert [one["cleaned_at"] for one in times] == [
        "2026-06-01T01:00:00Z",
        "2026-06-02T00:00:00Z",
        "2026-06-02T07:00:00Z",
    ]


def test_the_longest_time_without_ends_where_what_is_known_ends(client: httpx.Client) -> None:
    rows = client.get("/longest", params={**PERIOD, "as_of": "2026-06-02T06:00:00+08:00"}).json()
    assert {row["street_id"]: row["hours"] for row in rows} == {"a": 10.0, "b": 30.0, "c": 30.0}
    future = client.get("/longest", params={**PERIOD, "as_of": "2026-05-01T00:00:00Z"})
    assert future.json() == []


def test_who_was_on_a_street_swept_or_not(client: httpx.Client, record: psycopg.Connection) -> None:
    for ordinal, (enter, leave, swept_mm) in enumerate([("09:00", "09:10", 90_000), ("11:00", "11:05", 0)]):
        record.execute(
            """INSERT INTO pass (unit_id, track_start_us, ordinal, street_id, service_day, work, direction, enter_us,
                   leave_us, enter_mm, leave_mm, swept_mm, piece_from_mm, piece_to_mm, piece_from_us, piece_to_us,
                   unobserved_from_mm, unobserved_to_mm, unobserved_from_us, unobserved_to_us, certainty)
               VALUES ('u1', 1, %(n)s, 'a', '2026-06-01', 'sweeping', 1, %(enter)s, %(leave)s, 0, 90000, %(mm)s, %(some_mm)s,
                       %(to_mm)s, %(some_us)s, %(to_us)s, '{}', '{}', '{}', '{}', 1)""",
            {
                "n": ordinal,
                "enter": at_us(f"2026-06-01T{enter}"),
                "leave": at_us(f"2026-06-01T{leave}"),
                "mm": swept_mm,
                "some_mm": [0] if swept_mm else [],
                "to_mm": [swept_mm] if swept_mm else [],
                "some_us": [at_us(f"2026-06-01T{enter}")] if swept_mm else [],
                "to_us": [at_us(f"2026-06-01T{leave}")] if swept_mm else [],
            },
        )

    def asked(first: str, last: str) -> list[tuple[Any, ...]]:
        window = {
            "street_id": "a",
            "from": f"2026-06-01T{first}:00+08:00",
            "to": f"2026-06-01T{last}:00+08:00",
        }
        rows = client.get("/on-street", params=window).json()
        return [(row["unit_name"], row["swept"], row["swept_m"]) for row in rows]

    assert asked("08:00", "12:00") == [("Unit 1", True, 90.0), ("Unit 1", False, 0.0)]
    # Already there, still there, just gone, and not yet there.
    assert len(asked("09:05", "09:06")) == len(asked("09:10", "09:20")) == 1
    assert asked("09:11", "11:00") == asked("08:00", "09:00") == []


def test_units_have_their_kilometres_and_the_share_that_was_work(
    client: httpx.Client, record: psycopg.Connection
) -> None:
    for unit_id, day, driven_m, working_m in (
        ("u1", "2026-06-01", 8_000, 2_000),
        ("u1", "2026-06-02", 2_000, 2_000),
        ("u1", "2026-06-03", 9_000, 0),
        ("u9", "2026-06-01", 1_000, None),
    ):
        record.execute(
            """INSERT INTO unit_day (unit_id, service_day, fixes, first_fix_us, last_fix_us, working_s, driven_m, gaps,
                                     rule_version, working_m)
               VALUES (%s, %s, 100, 0, 1, 1800, %s, '[]', 'r', %s)""",
            (unit_id, day, driven_m, working_m),
        )
    rows = client.get("/unit-figures", params=PERIOD).json()
    assert [
        (row["unit_id"], row["name"], row["days"], row["driven_km"], row["working_km"]) for row in rows
    ] == [
        ("u1", "Unit 1", 2, 10.0, 4.0),
        ("u9", "", 1, 1.0, None),
    ]
    assert [row["working_share"] for row in rows] == [0.4, None]
    assert rows[0]["working_h"] == 1.0
    daily = client.get("/unit-figures", params={**PERIOD, "each": "day"}).json()
    assert [(row["bucket_first"], row["unit_id"]) for row in daily] == [
        ("2026-06-01", "u1"),
        ("2026-06-01", "u9"),
        ("2026-06-02", "u1"),
    ]


def test_excuses_stand_beside_the_figures_and_change_none(
    client: httpx.Client, record: psycopg.Connection
) -> None:
    before = ask(record, by="street")
    for street_id in ("a", "b", "c"):
        excuses.add(record, street_id, FIRST, FIRST, "rain", "a storm", "Li", at_us("2026-06-01T12:00"))
    gone = excuses.add(record, "c", LAST, LAST, "frost", "ice", "Li", at_us("2026-06-02T12:00"))
    assert excuses.withdraw(record, gone, "Wang", at_us("2026-06-04T00:00"))
    after = ask(record, by="street")
    assert [row.excused for row in after] == [0, 1, 1]  # a was swept and needs none
    assert [replace(row, excused=0) for row in after] == before
    # While it stood it counted, and still does as of then.
    then = ask(record, by="street", as_of_us=at_us("2026-06-03T12:00"))
    assert [row.excused for row in then] == [0, 1, 2]
    told = client.get("/excuses", params=PERIOD).json()
    assert [(one["street_id"], one["kind"], one["reason"], one["author"]) for one in told] == [
        (street_id, "rain", "a storm", "Li") for street_id in "abc"
    ]
    daily = client.get("/frequency", params=PERIOD).json()
    assert [(one["service_day"], one["street_id"], one["verdict"], one["excuse"]) for one in daily][:4] == [
        ("2026-06-01", "a", "swept", "rain"),
        ("2026-06-01", "b", "partial", "rain"),
        ("2026-06-01", "c", "no data", "rain"),
        ("2026-06-02", "a", "ambiguous", ""),
    ]
    assert len(client.get("/excuses", params={**PERIOD, "withdrawn": True}).json()) == 4
    assert len(client.get("/excuses", params={**PERIOD, "as_of": "2026-06-03T00:00:00Z"}).json()) == 4
    assert client.get("/excuses", params={**PERIOD, "as_of": "2026-05-01T00:00:00Z"}).json() == []


@pytest.mark.parametrize(
    ("path", "query", "status", "complaint"),
    [
        ("/figures", {"from": "2026-06-02", "to": "2026-06-01"}, 422, "from=2026-06-02 is after to=2026-06-01"),
        ("/figures", {**PERIOD, "each": "year"}, 422, "'day', 'week', 'month' or 'period'"),
        ("/figures", {**PERIOD, "by": "colour"}, 422, "'street', 'grade', 'subdistrict'"),
        ("/figures", {**PERIOD, "street_id": "zz"}, 404, "no street 'zz'"),
        ("/figures", {**PERIOD, "as_of": "2026-06-02T00:00:00"}, 422, "as_of has no zone"),
        ("/figures", {**PERIOD, "as_of": "1926-06-02T00:00:00Z"}, 422, "as_of is in the year 1926"),
        ("/figures", {"from": "2001-01-01", "to": "2026-01-01"}, 422, "more than 3660 service days"),
        ("/cleanings", {**PERIOD}, 422, "street_id"),
        ("/cleanings", {**PERIOD, "street_id": "zz"}, 404, "no street 'zz'"),
        ("/longest", {**PERIOD, "street_id": "zz"}, 404, "no street 'zz'"),
        ("/on-street", {"street_id": "a", "from": "2026-06-01T00:00:00", "to": "2026-06-01T01:00:00Z"}, 422, "no zone"),
        ("/on-street", {"street_id": "a", "from": "2026-06-02T00:00:00Z", "to": "2026-06-01T00:00:00Z"}, 422, "empty"),
        ("/unit-figures", {**PERIOD, "each": "hour"}, 422, "each"),
        ("/excuses", {**PERIOD, "street_id": "zz"}, 404, "no street 'zz'"),
    ],
)  # fmt: skip
def test_what_is_asked_wrongly_is_answered_with_what_to_do(
    client: httpx.Client, path: str, query: dict[str, str], status: int, complaint: str
) -> None:
    answer = client.get(path, params=query)
    assert answer.status_code == status, answer.text[:200]
    assert complaint in answer.json()["error"]
    assert answer.json()["do"]


def test_more_rows_than_anybody_reads_are_refused(
    client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.routes.figures.ROWS_MAX", 5)
    daily = client.get("/figures", params={**PERIOD, "each": "day", "by": "street"})
    assert (daily.status_code, daily.json()["error"]) == (422, "more than 5 rows")
    assert client.get("/figures", params={**PERIOD, "by": "street"}).status_code == 200


def test_a_street_that_is_on_an_older_map_only_can_be_asked_for(
    client: httpx.Client, record: psycopg.Connection
) -> None:
    put_map(record, 2, [("old", {})], first_day="1999-01-01")
    answer = client.get("/figures", params={**PERIOD, "street_id": "old"})
    assert answer.status_code == 200
    assert answer.json()["rows"] == []


def test_zone_is_what_the_tests_say() -> None:
    assert at_us("2026-06-01T00:00") == day_start_us(FIRST, 0, ZONE)
