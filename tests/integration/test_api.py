"""The API over a store that a worker has filled."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import httpx
import psycopg
import pytest
from psycopg import sql

from api.app import create_app
from api.server import serving
from processing.datum import wgs84_to_gcj02
from processing.pipeline import Core
from storage.pool import Pool, PoolBusy
from streams.log import Envelope
from streams.worker import Worker
from tests.integration.small_world import (
    ROUND_M,
    START_US,
    close_logs,
    district,
    drive,
    log_of,
    message,
    messages,
)

DAY = "2024-05-01"
HOUR_US = 3_600_000_000


@pytest.fixture
def client(store_url: str) -> Iterator[httpx.Client]:
    """An API after one round of u1 and a message that isn't JSON."""
    log = log_of(store_url, messages("u1", drive(START_US, ROUND_M)))
    log.append([Envelope("u1", "swept/v1/test/u1/fix", b"no", START_US)])
    log.append([Envelope("u1", "swept/v1/test/u1/online", b"1", START_US)])
    core = Core(district())
    worker = Worker(store_url, log, core, "rules-1")
    worker.drain()
    worker.close()
    app = create_app(
        store_url,
        core.district,
        core.references,
        core.projection,
        log_ends=lambda: (log.log_id, log.ends()),
    )
    with serving(app) as url, httpx.Client(base_url=url, timeout=30) as opened:
        yield opened
    close_logs()


def get(client: httpx.Client, path: str, query: dict[str, Any] | None = None, status: int = 200) -> Any:
    answer = client.get(f"/api/v1{path}", params=query or {})
    assert answer.status_code == status, answer.text
    return answer.json()


def test_frequency_has_a_row_for_every_street_and_day_with_one_of_five_words(client: httpx.Client) -> None:
    rows = get(client, "/frequency", {"from": "2024-04-30", "to": DAY})
    assert [(row["service_day"], row["street_id"]) for row in rows] == [
        (day, street) for day in ("2024-04-30", DAY) for street in "abc"
    ]
    today = {row["street_id"]: row for row in rows if row["service_day"] == DAY}
    assert (today["a"]["frequency"], today["a"]["verdict"]) == (1, "swept")
    assert today["a"]["rule_version"] == "rules-1"
    assert len(today["a"]["cleaned_at"]) == 1
    # Required twice and swept once; the unit was silent for the rest of its shift, so nobody knows.
    assert (today["b"]["frequency"], today["b"]["verdict"]) == (1, "no data")


def test_a_street_that_is_short_is_called_so_when_every_expected_unit_was_heard_of(
    client: httpx.Client, store_url: str
) -> None:
    fixes = drive(START_US + 600_000_000, ((-150, 0), (-100, 0)))
    lon, lat = fixes[-1]["lon"], fixes[-1]["lat"]
    first_ms = START_US // 1000
    standing: list[dict[str, object]] = [
        {"time": first_ms + n * 60_000, "lon": lon, "lat": lat, "speed_kmh": 0.0} for n in range(8 * 60 + 1)
    ]
    log = log_of(store_url, messages("u1", standing, size=500))
    worker = Worker(store_url, log, Core(district()), "rules-1")
    worker.drain()
    worker.close()
    rows = {row["street_id"]: row for row in get(client, "/frequency", {"from": DAY, "to": DAY})}
    assert rows["b"]["verdict"] == "partial"


def test_coverage_units_equipment_track_and_passes_answer_for_the_day(client: httpx.Client) -> None:
    coverage = get(client, "/coverage/now", {"day": DAY})
    assert coverage["coverage"] > 0.9
    assert coverage["streets_swept"] == 2
    units = {unit["unit_id"]: unit for unit in get(client, "/units")}
    assert units["u1"]["online"] is True
    assert units["u1"]["equipment"]["brush"] is True
    assert units["u1"]["equipment"]["spray"] is None
    assert units["u2"]["position"] is None
    assert get(client, "/units/u1")["position"]["lat"] == pytest.approx(40.67)
    states = get(client, "/units/u1/equipment", {"day": DAY})
    assert {(one["equipment"], one["state"]) for one in states} == {("brush", "on"), ("engine", "on")}
    track = get(client, "/units/u1/track", {"day": DAY})
    assert track["complete"] is True
    assert len(track["points"]) == len(drive(START_US, ROUND_M))
    assert all(point["track_start"] for point in track["points"])
    passes = get(client, "/streets/a/passes", {"day": DAY})
    assert [one["unit_id"] for one in passes] == ["u1"]
    assert passes[0]["swept_m"] == pytest.approx(300, abs=1)
    window = {"from": passes[0]["enter_time"], "to": passes[0]["leave_time"]}
    assert get(client, "/streets/a/visitors", window) == passes
    assert get(client, "/streets/a/visitors", {"from": DAY + "T00:00:00Z", "to": DAY + "T01:00:00Z"})  == []  # fmt: skip


def test_streets_dead_letters_corrections_and_status_answer(client: httpx.Client) -> None:
    streets = get(client, "/streets")
    assert [street["street_id"] for street in streets] == ["a", "b", "c"]
    assert streets[0]["length_m"] == pytest.approx(300, abs=1)
    shapes = get(client, "/streets.geojson")
    assert [feature["id"] for feature in shapes["features"]] == ["a", "b", "c"]
    assert get(client, "/streets/b")["required"] == 2
    letters = get(client, "/dead-letters", {"reason": "not_json"})
    assert letters["reasons"] == {"not_json": 1}
    assert base64.b64decode(letters["letters"][0]["payload_base64"]) == b"no"
    assert get(client, "/corrections", {"from": DAY, "to": DAY}) == []
    status = get(client, "/status")
    assert status["lag"] == 0
    assert status["district_id"] == "test"


def test_the_lag_counts_records_that_wait(client: httpx.Client, store_url: str) -> None:
    log_of(store_url, [message("u1", drive(START_US, ROUND_M)[:1], START_US)] * 3)
    assert get(client, "/status")["lag"] == 3


@pytest.mark.parametrize(
    ("path", "query", "status"),
    [
        ("/streets/nowhere", {}, 404),
        ("/units/nobody/track", {}, 404),
        ("/nothing", {}, 404),
        ("/frequency", {"from": "yesterday"}, 422),
        ("/frequency", {"from": DAY, "to": "2024-04-01"}, 422),
        ("/frequency", {"from": "2020-01-01", "to": DAY}, 422),
        ("/streets/a/visitors", {"from": "2024-05-01T00:00:00", "to": "2024-05-02T00:00:00"}, 422),
        ("/dead-letters", {"letters_max": 100_000}, 422),
        ("/dead-letters", {"unit_id": "\0"}, 422),
        ("/frequency", {"from": "0001-01-01"}, 422),
        ("/frequency", {"from": "9999-12-31"}, 422),
        ("/frequency", {"to": "0001-01-01"}, 422),
        ("/frequency", {"to": "9999-12-31"}, 422),
        ("/corrections", {"from": "0001-01-01", "to": "0001-01-01"}, 422),
        ("/corrections", {"street_id": "\0"}, 422),
        ("/units/u1/track", {"day": "0001-01-01"}, 422),
        ("/units/u1/track", {"day": "9999-12-31"}, 422),
        ("/units/u1/equipment", {"day": "9999-12-31"}, 422),
        ("/coverage/now", {"day": "0001-01-01"}, 422),
        ("/streets/a/passes", {"day": "1999-12-31"}, 422),
        ("/streets/a/visitors", {"from": "0001-01-01T00:00:00Z", "to": "0001-01-02T00:00:00Z"}, 422),
        ("/streets/a/visitors", {"from": "9999-12-30T00:00:00Z", "to": "9999-12-31T00:00:00Z"}, 422),
        ("/streets/a%00", {}, 422),
        ("/frequency", {"day": DAY}, 422),
        ("/coverage/now", {"day": [DAY, DAY]}, 422),
        ("/streets", {"subdistrict": "x"}, 422),
        ("/frequency", {"street_id": ["a"] * 1_001}, 422),
    ],
)
def test_an_error_says_what_is_wrong_and_what_to_do(
    client: httpx.Client, path: str, query: dict[str, Any], status: int
) -> None:
    problem = get(client, path, query, status)
    assert set(problem) == {"error", "do"}
    assert all(problem.values())


def test_an_unknown_parameter_is_told_with_those_that_are_known(client: httpx.Client) -> None:
    problem = get(client, "/frequency", {"form": DAY}, 422)
    assert "'form'" in problem["error"]
    assert "did you mean from?" in problem["do"]
    assert "known are: street_id, from, to" in get(client, "/frequency", {"day": DAY}, 422)["do"]


def test_a_street_that_is_asked_for_twice_has_one_row(client: httpx.Client) -> None:
    rows = get(client, "/frequency", {"from": DAY, "to": DAY, "street_id": ["b", "a", "b"]})
    assert [row["street_id"] for row in rows] == ["b", "a"]


def test_head_is_answered_as_get_without_a_body(client: httpx.Client) -> None:
    asked, headed = client.get("/api/v1/streets"), client.head("/api/v1/streets")
    assert (headed.status_code, headed.content) == (200, b"")
    assert headed.headers["content-length"] == str(len(asked.content))


def test_a_fault_of_our_own_is_json_too(client: httpx.Client, store_url: str) -> None:
    with psycopg.connect(store_url, autocommit=True) as connection:
        connection.execute("ALTER TABLE track RENAME TO gone")
        problem = get(client, "/units", status=500)
        assert "UndefinedTable" in problem["error"]
        assert problem["do"]
        connection.execute("ALTER TABLE gone RENAME TO track")
    get(client, "/units")


def test_the_page_of_questions_loads_nothing_from_elsewhere(client: httpx.Client) -> None:
    page = client.get("/docs")
    assert page.headers["content-type"].startswith("text/html")
    assert "/api/v1/streets/{street_id}/visitors" in page.text
    for loading in ("http://", "https://", "<script", "<link", "src=", "@import"):
        assert loading not in page.text


def test_dead_letters_hold_no_more_bytes_than_an_answer_may(client: httpx.Client, store_url: str) -> None:
    log = log_of(store_url, [])
    log.append([Envelope("u1", "swept/v1/test/u1/fix", b"[" + b"x" * 1_000_000, START_US)] * 12)
    worker = Worker(store_url, log, Core(district()), "rules-1")
    worker.drain()
    worker.close()
    answer = get(client, "/dead-letters", {"letters_max": 200})
    assert (answer["complete"], len(answer["letters"])) == (False, 8)
    assert answer["reasons"]["not_json"] == 13
    answer = get(client, "/dead-letters", {"letters_max": 5})
    assert (answer["complete"], len(answer["letters"])) == (True, 5)


def test_a_unit_in_a_wrong_datum_is_told_and_its_streets_are_no_data(
    client: httpx.Client, store_url: str
) -> None:
    fixes = drive(START_US + HOUR_US, ROUND_M)
    for one in fixes:
        one["lon"], one["lat"] = wgs84_to_gcj02(one["lon"], one["lat"])
    still = drive(START_US - HOUR_US, ((-150, 0), (-145, 0)))[0]
    every_minute = [
        {**still, "time": START_US // 1000 + n * 60_000, "speed_kmh": 0.0} for n in range(8 * 60 + 1)
    ]
    # u2 stands all shift in view, so that only the suspicion of u3 can make a street 'no data'.
    log = log_of(store_url, messages("u2", every_minute, size=500))
    log.append(messages("u3", fixes, size=500))
    worker = Worker(store_url, log, Core(district()), "rules-1")
    worker.drain()
    worker.close()
    units = {unit["unit_id"]: unit for unit in get(client, "/units")}
    assert units["u3"]["suspected_datum"] == "GCJ-02"
    assert units["u2"]["suspected_datum"] is None
    rows = get(client, "/frequency", {"from": DAY, "to": DAY})
    assert {row["street_id"]: row["verdict"] for row in rows}["b"] == "no data"


def test_the_openapi_page_describes_every_operation(client: httpx.Client) -> None:
    spec = client.get("/openapi.json").json()
    operations = [one for path in spec["paths"].values() for one in path.values()]
    assert len(operations) >= 14
    assert all(one["summary"] and one["description"] for one in operations)


def test_an_empty_store_answers_with_nothing_rather_than_an_error(store_url: str) -> None:
    core = Core(district())
    app = create_app(store_url, core.district, core.references, core.projection)
    with serving(app) as url, httpx.Client(base_url=url, timeout=30) as client:
        for path in ("/frequency", "/coverage/now", "/units", "/units/u1/track", "/dead-letters", "/status"):
            get(client, path)
        assert get(client, "/status")["lag"] is None


def end_connections(store_url: str) -> None:
    with psycopg.connect(store_url, autocommit=True) as other:
        other.execute(
            """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
               WHERE datname = current_database() AND pid <> pg_backend_pid()"""
        )


def test_a_store_that_was_started_again_is_no_fault_that_an_asker_sees(
    client: httpx.Client, store_url: str
) -> None:
    get(client, "/units")
    lag = get(client, "/status")["lag"]
    for _ in range(3):
        end_connections(store_url)
        assert get(client, "/status")["lag"] == lag
        end_connections(store_url)
        get(client, "/units")


def test_a_store_that_is_down_is_said_to_be_and_once_it_is_up_the_next_question_is_answered(
    client: httpx.Client, store_url: str, server_url: str
) -> None:
    get(client, "/status")
    name = sql.Identifier(urlsplit(store_url).path.removeprefix("/"))
    with psycopg.connect(server_url, autocommit=True) as admin:
        admin.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS false").format(name))
        admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s",
            [name.as_string()[1:-1]],
        )
        assert "store" in get(client, "/status", status=503)["error"]
        admin.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS true").format(name))
    get(client, "/status")


def test_the_pool_is_bounded_and_says_when_it_is_empty(store_url: str) -> None:
    pool = Pool(store_url, connections_max=1, wait_s=0.05)
    with pool.connection() as held:
        with pytest.raises(PoolBusy), pool.connection():
            pass
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            held.execute("DELETE FROM fix")
    with pool.connection() as again:
        assert again.execute("SELECT 1").fetchone() == (1,)
    pool.close()
