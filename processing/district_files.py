"""A district's folder, as names and bytes, made into a `District`.

Files: district.toml, streets.geojson, profiles.toml, units.toml, and where wanted roads.geojson,
shifts.toml, plan.toml, contractors.toml, rules.toml. Reading never stops at the first fault: every problem
is one line that names the file, the feature or row, what is wrong and what to do, and all of them are
raised together as `DistrictError`. Coordinates are WGS-84 degrees, GeoJSON as RFC 7946 has it.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal, TypeVar
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from processing.district import District, Road, Shift, Street, Unit, UnitProfile, Work
from processing.fix import EQUIPMENT
from processing.rules import Rules
from processing.street_files import PlainText, ascii_if_odd, far_apart, parse_streets

REQUIRED = ("district.toml", "streets.geojson", "profiles.toml", "units.toml")
OPTIONAL = ("roads.geojson", "shifts.toml", "plan.toml", "contractors.toml", "rules.toml")
FILE_BYTES_MAX = 256 * 1024 * 1024
DAY_S = 86_400


class DistrictError(Exception):
    """A folder that is no district; `problems` holds one line for each fault."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


@dataclass(frozen=True, slots=True)
class Contractor:
    """Who sweeps for the district."""

    contractor_id: str
    name: str
    contact: str = ""


@dataclass(frozen=True, slots=True)
class Round:
    """A unit's tour in a shift: streets in order, not begun before `start_s` of local clock.

    A street with two sides is meant there and back. What the plan says is never a figure.
    """

    shift_id: str
    unit_id: str
    start_s: int
    street_ids: tuple[str, ...]


def _clock(text: str) -> str:
    if not re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", text):
        raise ValueError("write a time of day as HH:MM")
    return text


def _zone(text: str) -> str:
    try:
        ZoneInfo(text)
    except (KeyError, ValueError, OSError):
        raise ValueError("no such time zone; write one such as Asia/Shanghai") from None
    return text


def _equipment(names: tuple[str, ...]) -> tuple[str, ...]:
    for name in names:
        if name not in EQUIPMENT:
            raise ValueError(f"no equipment {name!r}; choose from {', '.join(EQUIPMENT)}")
    return names


Clock = Annotated[str, AfterValidator(_clock)]
# An id is part of an MQTT topic, so no slash, plus or hash.
Id = Annotated[str, Field(pattern=r"^[^/+#\s]{1,64}$"), PlainText]
Name = Annotated[str, Field(min_length=1, max_length=200), PlainText]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=False)


class _District(_Model):
    id: Id
    name: Name
    timezone: Annotated[str, AfterValidator(_zone)] = "Asia/Shanghai"
    day_start: Clock = "00:00"
    synthetic: bool = False


class _Profile(_Model):
    work: Work = "sweeping"
    working_when: Annotated[tuple[str, ...], AfterValidator(_equipment)] = ("brush",)
    work_kmh_min: float = Field(0.5, ge=0, le=50)
    work_kmh_max: float = Field(20.0, gt=0, le=100)
    top_speed_kmh: float = Field(60.0, gt=0, le=200)
    swath_m: float = Field(2.0, gt=0, le=20)
    datum: Literal["WGS-84", "GCJ-02", "BD-09"] = "WGS-84"


class _Unit(_Model):
    id: Id
    name: Name
    profile: str
    contractor: str = ""


class _Shift(_Model):
    id: Id
    name: Name
    start: Clock
    end: Clock
    roster: tuple[str, ...] = ()


class _Contractor(_Model):
    id: Id
    name: Name
    contact: str = ""


class _Round(_Model):
    shift: str
    unit: str
    start: Clock
    streets: tuple[str, ...] = Field(min_length=1)


ModelT = TypeVar("ModelT", bound=BaseModel)


def seconds(clock: str) -> int:
    """Seconds from midnight of an HH:MM."""
    hours, minutes = clock.split(":")
    return int(hours) * 3_600 + int(minutes) * 60


class _Reader:
    """Reads files one by one and collects what is wrong with them."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self.files = files
        self.problems: list[str] = []

    def say(self, file: str, where: str, what: str) -> None:
        self.problems.append(ascii_if_odd(f"{file}: {where}: {what}" if where else f"{file}: {what}"))

    def table(self, file: str) -> dict[str, Any]:
        if file not in self.files:
            return {}
        try:
            return tomllib.loads(self.files[file].decode("utf-8"))
        except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            self.say(file, "", f"not TOML ({error}); correct it and load again")
            return {}

    def model(self, model: type[ModelT], row: object, file: str, where: str) -> ModelT | None:
        try:
            return model.model_validate(row)
        except ValidationError as error:
            for fault in error.errors(include_url=False, include_context=False):
                self.say(file, where, _fault(fault, model))
            return None

    def rows(self, model: type[ModelT], file: str, key: str) -> list[ModelT]:
        """The valid ones of a file's [[key]] rows; ids, where a row has one, must be unique."""
        table = self.table(file)
        for name in table.keys() - {key}:
            self.say(file, name, f"no such table; rows are written as [[{key}]]")
        rows = table.get(key, [])
        if not isinstance(rows, list):
            self.say(file, key, f"not a list; write rows as [[{key}]]")
            return []
        found: list[ModelT] = []
        seen: set[str] = set()
        for number, row in enumerate(rows, 1):
            where = f"{key} {row.get('id', number) if isinstance(row, dict) else number}"
            value = self.model(model, row, file, where)
            identity = getattr(value, "id", None)
            if identity in seen:
                self.say(file, where, "this id is used twice; give each its own")
            elif value is not None:
                found.append(value)
            if identity is not None:
                seen.add(identity)
        return found

    def known(self, name: str, names: Iterable[str], file: str, where: str, what: str) -> bool:
        """Whether a reference leads anywhere; says so where it doesn't."""
        names = list(names)
        if name in names:
            return True
        self.say(file, where, f"no {what} {name!r}{nearest(name, names)}")
        return False


def nearest(name: str, names: Iterable[str]) -> str:
    """A question after the most likely name, or what else to do."""
    close = difflib.get_close_matches(name, list(names), n=1)
    return f"; did you mean {close[0]!r}?" if close else "; correct it or add it"


def _fault(fault: Mapping[str, Any], model: type[BaseModel]) -> str:
    place = ".".join(str(part) for part in fault["loc"])
    if fault["type"] == "extra_forbidden":
        return f"unknown key {place!r}{nearest(place, model.model_fields)}"
    if fault["type"] == "missing":
        return f"{place} is missing; add it"
    return f"{place or 'row'}: {fault['msg'].removeprefix('Value error, ')} (is {fault['input']!r})"


def _rules(reader: _Reader, head: _District) -> Rules:
    file = "rules.toml"
    chosen: dict[str, Any] = {}
    for name, value in reader.table(file).items():
        if name in {"timezone", "day_start_s"}:
            reader.say(file, name, "is set in district.toml (timezone, day_start); remove it here")
        elif name not in Rules.names():
            reader.say(file, name, f"no such rule{nearest(name, Rules.names())}")
        else:
            fits = isinstance(value, (int, float)) and not isinstance(value, bool)
            # Log-likelihoods are penalties; all else is a length, a time, a share or a number.
            bounded = fits and (-1e9 < value <= 0 if _is_penalty(name) else 0 <= value < 1e9)
            if bounded:
                chosen[name] = float(value)
            else:
                reader.say(file, name, f"must be a number of at {_bound(name)} (is {value!r})")
    return replace(Rules(), timezone=head.timezone, day_start_s=seconds(head.day_start), **chosen)


def _is_penalty(name: str) -> bool:
    return name.endswith("_logp")


def _bound(name: str) -> str:
    return "most 0" if _is_penalty(name) else "least 0"


def _profiles(reader: _Reader) -> dict[str, UnitProfile]:
    profiles = {}
    for profile_id, row in reader.table("profiles.toml").items():
        value = reader.model(_Profile, row, "profiles.toml", profile_id)
        if value is None:
            continue
        if value.work_kmh_min >= value.work_kmh_max or value.work_kmh_max > value.top_speed_kmh:
            reader.say(
                "profiles.toml", profile_id, "speeds must rise: work_kmh_min, work_kmh_max, top_speed_kmh"
            )
        profiles[profile_id] = UnitProfile(profile_id, **value.model_dump())
    return profiles


def _units(reader: _Reader, profiles: Mapping[str, UnitProfile], contractors: Iterable[str]) -> list[Unit]:
    contractors = list(contractors)
    units = []
    for row in reader.rows(_Unit, "units.toml", "unit"):
        where = f"unit {row.id}"
        if row.contractor:
            reader.known(row.contractor, contractors, "units.toml", where, "contractor")
        if reader.known(row.profile, profiles, "units.toml", where, "profile"):
            units.append(Unit(row.id, row.name, profiles[row.profile], row.contractor))
    return units


def _shifts(reader: _Reader, unit_ids: list[str]) -> tuple[list[Shift], dict[str, tuple[str, ...]]]:
    shifts, roster = [], {}
    for row in reader.rows(_Shift, "shifts.toml", "shift"):
        start_s, end_s = seconds(row.start), seconds(row.end)
        shifts.append(Shift(row.id, row.name, start_s, end_s if end_s > start_s else end_s + DAY_S))
        for unit_id in row.roster:
            reader.known(unit_id, unit_ids, "shifts.toml", f"shift {row.id}", "unit")
        if row.roster:
            roster[row.id] = row.roster
    return shifts, roster


def _check_shifts(reader: _Reader, shifts: Iterable[Shift], day_start_s: int) -> None:
    """A shift lies within a service day: a pass and its shift belong to one."""
    for shift in shifts:
        if (shift.start_s - day_start_s) % DAY_S + shift.end_s - shift.start_s > DAY_S:
            reader.say(
                "shifts.toml",
                f"shift {shift.shift_id}",
                "runs over the start of the service day; set day_start in district.toml to an hour without work",
            )


def _lines(reader: _Reader, contractors: Iterable[str]) -> tuple[list[Street], list[Road], bool]:
    streets: list[Street] = []
    roads: list[Road] = []
    noded = []
    for file in ("streets.geojson", "roads.geojson"):
        if file not in reader.files:
            continue
        some_streets, some_roads, is_noded, problems = parse_streets(reader.files[file], file)
        streets += some_streets
        roads += some_roads
        noded.append(is_noded)
        reader.problems += problems
        if file == "roads.geojson" and some_streets:
            reader.say(file, some_streets[0].street_id, "streets to audit belong into streets.geojson")
    if not streets and "streets.geojson" in reader.files:
        reader.say("streets.geojson", "", "no street to audit; give features kind=alley or kind=street")
    if len(set(noded)) > 1:
        reader.say("roads.geojson", "noded", "differs from streets.geojson; say the same in both")
    both = {street.line_id for street in streets} & {road.line_id for road in roads}
    for line_id in sorted(both):
        reader.say("roads.geojson", line_id, "a street has this id too; give each its own")
    # What each file says of itself is said already.
    if not far_apart(streets) and not far_apart(roads):
        for problem in far_apart((*streets, *roads)):
            reader.say("roads.geojson", "", problem)
    contractors = list(contractors)
    for street in streets:
        if street.contractor:
            reader.known(street.contractor, contractors, "streets.geojson", street.street_id, "contractor")
    return streets, roads, all(noded)


def _contractors(reader: _Reader) -> list[Contractor]:
    return [
        Contractor(row.id, row.name, row.contact)
        for row in reader.rows(_Contractor, "contractors.toml", "contractor")
    ]


def _plan(reader: _Reader, district: District) -> list[Round]:
    shifts = {shift.shift_id: shift for shift in district.shifts}
    units = [unit.unit_id for unit in district.units]
    streets = {street.street_id for street in district.streets}
    rounds = []
    for number, row in enumerate(reader.rows(_Round, "plan.toml", "round"), 1):
        where = f"round {number} ({row.unit})"
        reader.known(row.unit, units, "plan.toml", where, "unit")
        for street_id in row.streets:
            if street_id not in streets:
                reader.known(street_id, streets, "plan.toml", where, "street")
        start_s = seconds(row.start)
        if reader.known(row.shift, shifts, "plan.toml", where, "shift"):
            shift = shifts[row.shift]
            start_s += DAY_S if start_s < shift.start_s else 0
            if start_s >= shift.end_s:
                reader.say("plan.toml", where, f"starts outside shift {row.shift!r}; set start within it")
        rounds.append(Round(row.shift, row.unit, start_s, row.streets))
    return rounds


def _head(reader: _Reader) -> _District:
    """district.toml; where it is at fault, which was said, a stand-in lets the other files be checked."""
    said = len(reader.problems)
    table = reader.table("district.toml")
    if "district.toml" in reader.files and len(reader.problems) == said:
        head = reader.model(_District, table, "district.toml", "")
        if head is not None:
            return head
    return _District(id="unknown", name="unknown")


def _parse(files: Mapping[str, bytes]) -> tuple[District, list[Contractor], list[Round]]:
    reader = _Reader(files)
    for file in REQUIRED:
        if file not in files:
            reader.say(file, "", "is missing; add it to the folder")
    for file in files:
        if file not in REQUIRED + OPTIONAL:
            reader.say(file, "", f"not a file of a district{nearest(file, REQUIRED + OPTIONAL)}")
        elif len(files[file]) > FILE_BYTES_MAX:
            raise DistrictError([f"{file}: over {FILE_BYTES_MAX >> 20} MiB; split the district"])
    head = _head(reader)
    contractors = _contractors(reader)
    contractor_ids = [contractor.contractor_id for contractor in contractors]
    streets, roads, noded = _lines(reader, contractor_ids)
    units = _units(reader, _profiles(reader), contractor_ids)
    shifts, roster = _shifts(reader, [unit.unit_id for unit in units])
    district = District(
        district_id=head.id,
        name=head.name,
        streets=tuple(streets),
        roads=tuple(roads),
        units=tuple(units),
        shifts=tuple(shifts),
        roster=roster,
        rules=_rules(reader, head),
        noded=noded,
        synthetic=head.synthetic,
    )
    rounds = _plan(reader, district)
    if not reader.problems:
        _check_shifts(reader, shifts, district.rules.day_start_s)
    if reader.problems:
        raise DistrictError(reader.problems)
    return replace(district, map_version=map_version(files)), contractors, rounds


def parse_district(files: Mapping[str, bytes]) -> District:
    """The district of a folder's files (name -> content); `DistrictError` with all that is wrong."""
    return _parse(files)[0]


def parse_plan(files: Mapping[str, bytes]) -> tuple[Round, ...]:
    """The rounds of plan.toml, in the file's order; `DistrictError` as for the district."""
    return tuple(_parse(files)[2])


def parse_contractors(files: Mapping[str, bytes]) -> tuple[Contractor, ...]:
    """The contractors; `DistrictError` as for the district."""
    return tuple(_parse(files)[1])


def map_version(files: Mapping[str, bytes]) -> str:
    """First 16 hexadecimal digits of SHA-256 over the content of streets and roads.

    White space, the order of keys and the order of features don't change it.
    """
    digest = hashlib.sha256()
    for file in ("streets.geojson", "roads.geojson"):
        content = json.loads(files[file]) if file in files else {}
        rows = sorted(_canonical(feature) for feature in content.get("features", ()))
        digest.update(_canonical([file, content.get("noded", False), rows]).encode())
    return digest.hexdigest()[:16]


def _canonical(value: object) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
