"""Who sweeps the made-up Zhanqian when: twelve units, one shift, and rounds that a day can hold.

Six sweepers have a subdistrict each and pass it two or three times, the seventh gives half of the main
streets their third sweep, two small electric sweepers do the quiet alleys, a washer the wide streets, two
cleaners the alleys no machine enters. A few streets are left short or out on purpose: a plan that is
always kept would show nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

SHIFT_START_S, SHIFT_END_S = 6 * 3_600, 14 * 3_600
#: Sweeping and driving between streets, km/h; the drive is longer than the straight line by the detour.
SPEEDS_KMH = {"S": (8.0, 20.0), "E": (7.0, 15.0), "W": (10.0, 25.0), "C": (3.0, 5.0)}
DETOUR = 1.6
TURN_S = 25.0
#: A round begins at its time of day, but never before the one before it may be over.
PAUSE_S = 600

XY = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Stop:
    """A street as the planner sees it; `middle` in metres, `area` is the subdistrict's number."""

    street_id: str
    area: int
    grade: int
    by_hand: bool
    sides: int
    dead_end: bool
    length_m: float
    middle: XY


@dataclass(frozen=True, slots=True)
class Tour:
    """A unit's round: when it may begin, seconds of local clock, and its streets in order."""

    unit_id: str
    start_s: int
    end_s: int
    street_ids: tuple[str, ...]


UNITS = (
    *((f"ZQ-S{n:02d}", f"扫路车{n}号", "sweeper") for n in range(1, 8)),
    *((f"ZQ-E{n:02d}", f"电动小扫车{n}号", "electric_sweeper") for n in range(1, 3)),
    ("ZQ-W01", "洗扫车1号", "washer"),
    *((f"ZQ-C{n:02d}", f"保洁员工牌{n}号", "badge") for n in range(1, 3)),
)


def is_left_out(stop: Stop) -> bool:
    """Four streets that nobody sweeps."""
    return int(stop.street_id[-3:]) % 36 == 5


def is_left_short(stop: Stop) -> bool:
    """Some streets that get one sweep only, whatever they need."""
    return int(stop.street_id[-3:]) % 13 == 3


def in_order(stops: Sequence[Stop]) -> list[Stop]:
    """The streets from nearest to nearest, from the south-western one on."""
    left = sorted(stops, key=lambda stop: (stop.middle[0] + stop.middle[1], stop.street_id))
    found: list[Stop] = []
    while left:
        here = found[-1].middle if found else left[0].middle
        nearest = min(left, key=lambda stop: (math.dist(here, stop.middle), stop.street_id))
        left.remove(nearest)
        found.append(nearest)
    return found


def duration_s(unit_id: str, stops: Sequence[Stop]) -> float:
    """About how long a round takes: both kerbs and the way out of dead ends count twice."""
    work_kmh, drive_kmh = SPEEDS_KMH[unit_id[3]]
    total_s, here = 0.0, None
    for stop in stops:
        drive_m = DETOUR * math.dist(here, stop.middle) + 60 if here else 900.0
        runs = 2 if stop.sides == 2 or stop.dead_end else 1
        total_s += drive_m / drive_kmh * 3.6 + runs * stop.length_m / work_kmh * 3.6 + TURN_S
        here = stop.middle
    return total_s


def _day(unit_id: str, rounds: Sequence[tuple[str, Sequence[Stop]]]) -> list[Tour]:
    """A unit's rounds one after the other; one that the shift can't hold any more is cut."""
    tours: list[Tour] = []
    free_s = SHIFT_START_S
    for clock, stops in rounds:
        hours, minutes = clock.split(":")
        start_s = max(free_s, int(hours) * 3_600 + int(minutes) * 60)
        start_s = -(-start_s // 300) * 300
        ordered = in_order(stops)
        while ordered and start_s + duration_s(unit_id, ordered) > SHIFT_END_S:
            ordered.pop()
        if not ordered:
            continue
        end_s = start_s + int(duration_s(unit_id, ordered))
        tours.append(Tour(unit_id, start_s, end_s, tuple(stop.street_id for stop in ordered)))
        free_s = end_s + PAUSE_S
    return tours


def plan(stops: Sequence[Stop]) -> list[Tour]:
    """The rounds of the day shift."""
    served = [stop for stop in stops if not is_left_out(stop)]
    swept = [stop for stop in served if not stop.by_hand]
    tours: list[Tour] = []
    for area in range(6):
        main = [stop for stop in swept if stop.area == area and stop.grade > 1]
        again = [stop for stop in main if not is_left_short(stop)]
        third = [stop for stop in again if stop.grade == 3]
        rounds: list[tuple[str, Sequence[Stop]]] = [("06:05", main), ("08:30", again)]
        # The seventh sweeper comes for the third sweep of the northern half.
        tours += _day(f"ZQ-S{area + 1:02d}", [*rounds, ("11:00", third)] if area < 3 else rounds)
    third = [s for s in swept if s.grade == 3 and s.area >= 3 and not is_left_short(s)]
    tours += _day("ZQ-S07", [("11:00", third)])
    for unit, areas in ((1, range(3)), (2, range(3, 6))):
        quiet = [stop for stop in swept if stop.grade == 1 and stop.area in areas]
        tours += _day(f"ZQ-E{unit:02d}", [("06:10", quiet)])
        by_hand = [stop for stop in served if stop.by_hand and stop.area in areas]
        twice = [stop for stop in by_hand if stop.grade == 2]
        tours += _day(f"ZQ-C{unit:02d}", [("06:15", by_hand), ("10:30", twice)])
    tours += _day("ZQ-W01", [("06:30", [stop for stop in swept if stop.sides == 2])])
    return sorted(tours, key=lambda tour: (tour.unit_id, tour.start_s))


def toml_files(tours: Sequence[Tour]) -> Mapping[str, bytes]:
    """district, profiles, contractors, units, shifts, plan and rules as TOML."""
    texts = {
        "district.toml": DISTRICT,
        "profiles.toml": PROFILES,
        "contractors.toml": CONTRACTORS,
        "units.toml": _units(),
        "shifts.toml": _shifts(),
        "plan.toml": _plan(tours),
        "rules.toml": RULES,
    }
    return {name: text.encode() for name, text in texts.items()}


def _units() -> str:
    rows = ["# What reports. The id is part of the MQTT topic."]
    for number, (unit_id, name, profile) in enumerate(UNITS):
        contractor = ("ZQ-HW1", "ZQ-HW2")[number % 2]
        row = f'id = "{unit_id}"\nname = "{name}"\nprofile = "{profile}"\ncontractor = "{contractor}"'
        rows.append(f"[[unit]]\n{row}")
    return "\n\n".join(rows) + "\n"


def _shifts() -> str:
    roster = "\n".join(f'    "{unit_id}",' for unit_id, _, _ in UNITS)
    head = "# The windows of the service day, and which units are expected in each."
    row = '[[shift]]\nid = "day"\nname = "早班"\nstart = "06:00"\nend = "14:00"'
    return f"{head}\n\n{row}\nroster = [\n{roster}\n]\n"


def _plan(tours: Sequence[Tour]) -> str:
    rows = [PLAN_HEAD.rstrip()]
    for tour in tours:
        clock = f"{tour.start_s // 3_600:02d}:{tour.start_s % 3_600 // 60:02d}"
        lines = [tour.street_ids[at : at + 10] for at in range(0, len(tour.street_ids), 10)]
        streets = "\n".join("    " + " ".join(f'"{s}",' for s in line) for line in lines)
        head = f'[[round]]\nshift = "day"\nunit = "{tour.unit_id}"\nstart = "{clock}"'
        rows.append(f"{head}\nstreets = [\n{streets}\n]")
    return "\n\n".join(rows) + "\n"


DISTRICT = """\
# A made-up Zhanqian (站前区, Yingkou): no survey of the real back streets is public.
id = "zhanqian"
name = "站前区"
timezone = "Asia/Shanghai"
day_start = "00:00"
synthetic = true
"""

CONTRACTORS = """\
# Who sweeps for the district.

[[contractor]]
id = "ZQ-HW1"
name = "站前环卫一公司"

[[contractor]]
id = "ZQ-HW2"
name = "站前环卫二公司"
"""

PROFILES = """\
# What each kind of unit does and how fast. working_when names the equipment that must all be on;
# an empty list means that speed alone tells, as for a cleaner's badge.

[sweeper]
work = "sweeping"
working_when = ["brush"]
work_kmh_min = 0.5
work_kmh_max = 20.0
top_speed_kmh = 60.0
swath_m = 3.0
datum = "WGS-84"

[electric_sweeper]
work = "sweeping"
working_when = ["brush"]
work_kmh_min = 0.5
work_kmh_max = 15.0
top_speed_kmh = 30.0
swath_m = 1.8
datum = "WGS-84"

[washer]
work = "washing"
working_when = ["spray"]
work_kmh_min = 0.5
work_kmh_max = 20.0
top_speed_kmh = 60.0
swath_m = 3.5
datum = "WGS-84"

[badge]
work = "by_hand"
working_when = []
work_kmh_min = 0.5
work_kmh_max = 6.0
top_speed_kmh = 12.0
swath_m = 2.0
datum = "WGS-84"
"""

PLAN_HEAD = """\
# The rounds of each unit: streets in order, none begun before start. A street with two sides is meant
# there and back. The plan is for the contractor (and the simulator); no figure depends on it.
"""

RULES = """\
# Numbers that this district counts by where they differ from the defaults; each changes the rule version
# that its figures carry. For example:
# close_gap_m = 10.0
# coverage_share = 0.90
"""
