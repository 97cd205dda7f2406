"""A district: its streets, context roads, units, roster and shifts, as values.

What is audited is a `Street`; a `Road` is there so that driving on an avenue isn't mistaken for sweeping
the alley beside it. Coordinates are WGS-84 degrees.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from processing.rules import Rules

#: Kinds of work; depth is counted for each apart, and a street's requirement names one.
Work = Literal["sweeping", "washing", "by_hand"]


@dataclass(frozen=True, slots=True)
class Line:
    """A centreline of the network: what streets and context roads have in common.

    `parts` holds one or more connected polylines of (lon, lat), in the order of the measure. `layer` tells
    a bridge from what runs below it: lines cross into a junction only in one layer.
    """

    line_id: str
    name: str
    parts: tuple[tuple[tuple[float, float], ...], ...]
    oneway: bool = False
    layer: int = 0


@dataclass(frozen=True, slots=True)
class Street(Line):
    """A maintained back street; `required` sweeps per service day, of the kind `work`."""

    grade: int = 3
    required: int = 1
    work: str = "sweeping"
    sides: int = 1
    subdistrict: str = ""
    contractor: str = ""

    @property
    def street_id(self) -> str:
        """The stable identity of the street."""
        return self.line_id


@dataclass(frozen=True, slots=True)
class Road(Line):
    """A context road: driven on, never audited."""


@dataclass(frozen=True, slots=True)
class UnitProfile:
    """What a kind of unit does and how fast; `working_when` names the equipment that must all be on.

    An empty `working_when` means that speed alone tells, as for a cleaner's badge.
    """

    profile_id: str
    work: str = "sweeping"
    working_when: tuple[str, ...] = ("brush",)
    work_kmh_min: float = 0.5
    work_kmh_max: float = 20.0
    top_speed_kmh: float = 60.0
    swath_m: float = 2.0
    datum: str = "WGS-84"


@dataclass(frozen=True, slots=True)
class Unit:
    """A machine or a person that reports."""

    unit_id: str
    name: str
    profile: UnitProfile
    contractor: str = ""


@dataclass(frozen=True, slots=True)
class Shift:
    """A window in the service day, in seconds of local clock from midnight."""

    shift_id: str
    name: str
    start_s: int
    end_s: int


@dataclass(frozen=True, slots=True)
class District:
    """All that the figures of a district depend on, apart from what units report."""

    district_id: str
    name: str
    streets: tuple[Street, ...]
    roads: tuple[Road, ...]
    units: tuple[Unit, ...]
    shifts: tuple[Shift, ...] = ()
    #: shift_id -> the units that are expected in it; without one, those that reported that day.
    roster: dict[str, tuple[str, ...]] = field(default_factory=dict)
    rules: Rules = field(default_factory=Rules)
    #: Whether lines are already cut at their junctions, so that a crossing without a common end is none.
    noded: bool = False
    map_version: str = ""
    synthetic: bool = False
