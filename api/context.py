"""What every route needs: the district, a few connections to the store, and the end of the log."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Annotated, Any

from fastapi import Depends, Query, Request
from psycopg import Connection

from processing.district import District, Street, Unit
from processing.era import FIRST_DAY, OutOfEra, checked_day, checked_us
from processing.geodesy import LocalProjection
from processing.linear_reference import Reference
from processing.service_day import day_start_us, from_us, service_day, to_us
from storage.pool import Pool
from storage.queries.status import newest_received_us
from storage.queries.streets import unknown_streets
from streams.log import LogUnavailable

DAYS_MAX = 366
#: Of questions whose answer is totals: ten years.
TOTAL_DAYS_MAX = 3_660


class UserFault(Exception):  # noqa: N818 - it is the asker's, and is answered
    """The request can't be answered; `do` tells what would help."""

    def __init__(self, status: int, error: str, do: str) -> None:
        super().__init__(error)
        self.status, self.error, self.do = status, error, do


@dataclass(frozen=True, slots=True)
class Context:
    """The district that is served, and where its figures are."""

    district: District
    references: Mapping[str, Reference]
    projection: LocalProjection
    pool: Pool
    log_ends: Callable[[], tuple[str, dict[int, int]]] | None = None

    @property
    def streets(self) -> dict[str, Street]:
        """Streets by id."""
        return {street.street_id: street for street in self.district.streets}

    @property
    def units(self) -> dict[str, Unit]:
        """Units by id."""
        return {unit.unit_id: unit for unit in self.district.units}

    def street(self, street_id: str) -> Street:
        """The street, or an answer that says there is none."""
        found = self.streets.get(street_id)
        if found is None:
            raise UserFault(404, f"no street {street_id!r}", "ask /api/v1/streets for the street ids")
        return found

    def asked_streets(
        self, connection: Connection[Any], street_ids: Sequence[str] | None
    ) -> list[str] | None:
        """Each street once, None for all; or an answer that one is on no map, of now or of earlier."""
        if not street_ids:
            return None
        asked = list(dict.fromkeys(street_ids))
        streets, district_id = self.streets, self.district.district_id
        for one in unknown_streets(connection, district_id, [one for one in asked if one not in streets]):
            raise UserFault(404, f"no street {one!r}", "ask /api/v1/streets for the street ids")
        return asked

    def unit(self, unit_id: str) -> Unit:
        """The unit, or an answer that says there is none."""
        found = self.units.get(unit_id)
        if found is None:
            raise UserFault(404, f"no unit {unit_id!r}", "ask /api/v1/units for the unit ids")
        return found

    def ends(self) -> tuple[str, dict[int, int]]:
        """The log's id and each partition's end; ("", {}) where no log is known.

        The first call after the log's database was started again finds the connection dead, and the next
        one connects anew: so it is asked twice before the asker hears of it.
        """
        if self.log_ends is None:
            return "", {}
        try:
            return self.log_ends()
        except LogUnavailable:
            return self.log_ends()

    def day_of(self, moment_us: int) -> date:
        """The service day in which an instant lies."""
        rules = self.district.rules
        return service_day(moment_us, rules.day_start_s, rules.timezone)

    def day_us(self, day: date) -> tuple[int, int]:
        """The instants at which a service day begins and ends."""
        rules = self.district.rules
        following = day + timedelta(days=1)
        return (
            day_start_us(day, rules.day_start_s, rules.timezone),
            day_start_us(following, rules.day_start_s, rules.timezone),
        )

    def now_us(self, connection: Connection[Any]) -> int | None:
        """Now in the district's clock, as far as the store knows: the newest fix's arrival."""
        return newest_received_us(connection, list(self.units))


def moment(moment_us: int) -> datetime:
    """The UTC time of an instant."""
    return from_us(moment_us)


def _context(request: Request) -> Context:
    context: Context = request.app.state.context
    return context


def _connection(context: Annotated[Context, Depends(_context)]) -> Iterator[Connection[Any]]:
    with context.pool.connection() as connection:
        yield connection


@dataclass(frozen=True, slots=True)
class Dates:
    """Service days from `first` to `last`, both included."""

    first: date
    last: date


def _period(
    connection: Annotated[Connection[Any], Depends(_connection)],
    context: Annotated[Context, Depends(_context)],
    first: Annotated[
        date | None, Query(alias="from", description="first service day; none: the last")
    ] = None,
    last: Annotated[
        date | None, Query(alias="to", description="last service day, included; none: the current one")
    ] = None,
) -> Dates:
    for name, day in (("from", first), ("to", last)):
        _checked(name, day)
    today = _today(connection, context)
    last = last or (max(first, today) if first else today)
    first = first or last
    if first > last:
        raise UserFault(422, f"from={first} is after to={last}", "exchange them")
    return _at_most(Dates(first, last), TOTAL_DAYS_MAX)


def _dates(period: Annotated[Dates, Depends(_period)]) -> Dates:
    return _at_most(period, DAYS_MAX)


def _at_most(dates: Dates, days_max: int) -> Dates:
    if (dates.last - dates.first).days >= days_max:
        raise UserFault(422, f"more than {days_max} service days", "ask for fewer at once")
    return dates


def _as_of_us(
    as_of: Annotated[
        datetime | None, Query(description="what was known at this moment, RFC 3339 with a zone; none: now")
    ] = None,
) -> int | None:
    return None if as_of is None else instant("as_of", as_of)


def instant(name: str, when: datetime) -> int:
    """The instant of a parameter, or an answer that it has no zone or can't be meant."""
    if when.tzinfo is None:
        raise UserFault(422, f"{name} has no zone", "add Z or +08:00 (in a URL the plus is written %2B)")
    try:
        return checked_us(to_us(when))
    except OutOfEra as error:
        raise UserFault(422, f"{name} {error}", "name a moment in that time") from None


def _day(
    connection: Annotated[Connection[Any], Depends(_connection)],
    context: Annotated[Context, Depends(_context)],
    day: Annotated[date | None, Query(description="service day; none: the current one")] = None,
) -> date:
    _checked("day", day)
    return day or _today(connection, context)


def _checked(name: str, day: date | None) -> None:
    try:
        checked_day(day or FIRST_DAY)
    except OutOfEra as error:
        raise UserFault(422, f"{name}: {error}", "name a service day in that time") from None


def _today(connection: Connection[Any], context: Context) -> date:
    now_us = context.now_us(connection)
    return FIRST_DAY if now_us is None else context.day_of(now_us)


TheContext = Annotated[Context, Depends(_context)]
TheConnection = Annotated[Connection[Any], Depends(_connection)]
TheDates = Annotated[Dates, Depends(_dates)]
#: The same of up to ten years, for totals.
ThePeriod = Annotated[Dates, Depends(_period)]
TheAsOf = Annotated[int | None, Depends(_as_of_us)]
StreetIds = Annotated[
    list[str] | None, Query(max_length=1_000, description="only these streets; may be repeated; none: all")
]
TheDay = Annotated[date, Depends(_day)]
