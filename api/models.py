"""What the API answers, as types: the OpenAPI page is made from these."""

from __future__ import annotations

from datetime import date, datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

State = Literal["on", "off", "unknown"]


class Answer(BaseModel):
    """Base of all answers; names end in their unit, times are UTC."""

    model_config = ConfigDict(frozen=True)


class Problem(Answer):
    """What an error says: what is wrong, and what to do."""

    error: str = Field(description="what is wrong")
    do: str = Field(description="what to do about it")


class StreetInfo(Answer):
    """A street that is audited."""

    street_id: str
    name: str
    length_m: float
    grade: int
    sides: int
    required: int = Field(description="sweeps required per service day")
    work: str
    subdistrict: str
    contractor: str


class StreetFrequency(Answer):
    """What is said of a street and service day, with the figures that it follows from."""

    street_id: str
    name: str
    service_day: date
    work: str
    frequency: int = Field(description="how often the street was cleaned")
    frequency_certain: int = Field(description="the same without ambiguous passes")
    required: int
    coverage: float = Field(description="share of the length swept at least once, 0 to 1")
    coverage_certain: float
    swept_m: float
    length_m: float
    passes: int
    verdict: Literal["swept", "ambiguous", "no data", "partial", "not swept"]
    settled: bool = Field(description="the day is closed; what changes it now is a restatement")
    excuse: str = Field(
        default="", description="kinds of the excuses that stand beside it; they change nothing of it"
    )
    cleaned_at: list[datetime] = Field(description="the time of each cleaning")
    rule_version: str | None = Field(description="None: no pass, so nothing was computed")
    map_version: str | None


class StreetCoverage(Answer):
    """How much of a street has been swept on the current service day."""

    street_id: str
    coverage: float
    frequency: int
    required: int


class Coverage(Answer):
    """The district now: swept length over total length, and each street."""

    service_day: date
    now: datetime | None = Field(description="arrival of the newest fix, in the district's clock")
    coverage: float
    swept_m: float
    length_m: float
    streets_swept: int = Field(description="streets whose frequency meets the requirement")
    streets: list[StreetCoverage]


class Position(Answer):
    """Where a unit is, from its newest fix by device time."""

    fix_time: datetime
    received_at: datetime
    lon: float
    lat: float
    speed_kmh: float | None
    heading_deg: float | None


class EquipmentNow(Answer):
    """The last that a unit told of its equipment; None: it didn't tell."""

    fix_time: datetime
    engine: bool | None
    brush: bool | None
    spray: bool | None
    fan: bool | None
    working: bool | None
    hopper_pct: float | None
    water_pct: float | None


class UnitInfo(Answer):
    """A unit, whether it is connected, where it is and what its equipment does."""

    unit_id: str
    name: str
    profile: str
    work: str
    online: bool | None = Field(description="None: it never said")
    suspected_datum: str | None = Field(
        description="the datum in which its newest track would fit the map, when that isn't the profile's; "
        "such tracks are not counted, and streets are 'no data'"
    )
    position: Position | None
    equipment: EquipmentNow | None


class EquipmentState(Answer):
    """A time in which a piece of equipment was in one state."""

    equipment: str
    state: State
    from_time: datetime
    to_time: datetime


class TrackPoint(Answer):
    """A fix on a unit's way."""

    fix_time: datetime
    lon: float
    lat: float
    speed_kmh: float | None
    heading_deg: float | None
    track_start: datetime | None


class UnitTrack(Answer):
    """A unit's way over a service day."""

    unit_id: str
    service_day: date
    complete: bool = Field(description="false: there are more fixes than one answer holds")
    points: list[TrackPoint]


class PieceSwept(Answer):
    """A stretch swept in one go, from measure to measure of the street."""

    from_measure_m: float
    to_measure_m: float
    from_time: datetime
    to_time: datetime


class PassInfo(Answer):
    """One unit's unbroken run along one street; without a swept piece it drove through."""

    unit_id: str
    street_id: str
    track_start: datetime
    ordinal: int
    work: str
    direction: Literal["along", "against"]
    enter_time: datetime
    leave_time: datetime
    enter_measure_m: float
    leave_measure_m: float
    swept_m: float
    swept: list[PieceSwept]
    unobserved: list[tuple[float, float]] = Field(description="metres driven with unknown equipment")
    ambiguous_with: str | None
    certainty: float = Field(description="how likely it is this street and not the other")


class OnStreet(Answer):
    """A time that a unit was on a street; without a swept metre it drove through."""

    unit_id: str
    unit_name: str
    contractor: str
    work: str
    direction: Literal["along", "against"]
    enter_time: datetime
    leave_time: datetime
    swept: bool
    swept_m: float
    ambiguous_with: str | None
    certainty: float = Field(description="how likely it is this street and not the other")


class FiguresRow(Answer):
    """The street-days of a stretch of time and of one key, added up.

    By shift, what belongs to a whole day is null: requirement, verdicts, and what follows from them.
    """

    bucket_first: date
    bucket_last: date = Field(description="included; the first and last stretch are cut at from and to")
    key: str
    name: str
    street_days: int = Field(description="streets times days; those of open days included")
    cleanings: int
    cleanings_certain: int = Field(description="the same without ambiguous passes")
    required: int | None
    shortfall: int | None = Field(
        description="cleanings that closed days lack, surplus of others not set off"
    )
    compliant: int | None = Field(description="closed street-days whose frequency meets the requirement")
    compliance: float | None = Field(description="their share of closed street-days, 0 to 1")
    swept_m: float
    length_m: float
    coverage: float | None = Field(description="swept length over total length, 0 to 1")
    swept: int | None = Field(description="closed street-days of this verdict; so are the next four")
    ambiguous: int | None
    no_data: int | None
    partial: int | None
    not_swept: int | None
    open: int = Field(
        description="street-days of days that aren't closed, so that nothing is said of them yet"
    )
    excused: int | None = Field(
        description="closed street-days that are not 'swept' and beside which an excuse stands"
    )
    passes: int


class FiguresTotal(FiguresRow):
    """All of the period and the streets asked for, added up."""

    percents: dict[str, int] = Field(
        description="each verdict's share of the closed street-days; they add up to 100"
    )


class FiguresAnswer(Answer):
    """Figures by time and key, and their total."""

    rows: list[FiguresRow]
    total: FiguresTotal | None = Field(description="null: no street is on the map of that time")


class CleaningInfo(Answer):
    """A cleaning of a street, and the moment from which it was one."""

    service_day: date
    number: int = Field(description="the how many-th of its service day")
    cleaned_at: datetime


class WithoutCleaning(Answer):
    """A street's longest time without a cleaning within the period."""

    street_id: str
    name: str
    from_time: datetime = Field(description="the cleaning before, or where the period begins")
    to_time: datetime = Field(
        description="the cleaning after, or where the period or what is known of it ends"
    )
    hours: float
    cleanings: int = Field(description="how many there were in the period")


class UnitFiguresRow(Answer):
    """What a unit drove in a stretch of time, and what of it was work."""

    bucket_first: date
    bucket_last: date
    unit_id: str
    name: str
    contractor: str
    days: int = Field(description="service days on which it reported")
    fixes: int
    driven_km: float
    working_km: float | None = Field(description="null: those days were computed before it was kept")
    working_share: float | None = Field(description="working over driven kilometres, 0 to 1")
    working_h: float


class ExcuseInfo(Answer):
    """Why a street couldn't be swept, as somebody entered it; it changes no figure."""

    excuse_id: int
    street_id: str
    first_day: date
    last_day: date
    kind: str
    reason: str
    author: str
    at: datetime
    withdrawn_by: str | None
    withdrawn_at: datetime | None


class DeadLetterInfo(Answer):
    """A refusal, with its original bytes as base64 and its place in the log."""

    reason: str
    detail: str
    unit_id: str | None
    mqtt_topic: str
    received_at: datetime
    payload_base64: str
    log_id: str
    partition: int
    offset: int
    element: int


class DeadLetters(Answer):
    """Refusals, newest first, and how many there are for each reason."""

    reasons: dict[str, int]
    complete: bool = Field(description="false: more were asked for than one answer holds")
    letters: list[DeadLetterInfo]


class FiguresVersion(Answer):
    """One version of the figures of a street-day, and what made it."""

    version: int
    frequency: int
    frequency_certain: int
    coverage: float
    swept_m: float
    length_m: float
    passes: int
    required: int
    verdict: Literal["swept", "ambiguous", "no data", "partial", "not swept"] | None = Field(
        description="None: the day was open, or nothing is asked of that work or shift"
    )
    cleaned_at: list[datetime]
    rule_version: str
    map_version: str


class CorrectionInfo(Answer):
    """A recorded figure that changed later: what it was, what it is, and why."""

    street_id: str
    service_day: date
    work: str
    shift_id: str | None = Field(description="None: the whole day")
    cause: str
    old_figures: FiguresVersion | None = Field(description="None: nothing was recorded of that day")
    new_figures: FiguresVersion
    at: datetime


class PartitionLag(Answer):
    """How far one partition of the log is processed; `lag` is records waiting, None where the end is unknown."""

    log_id: str
    partition: int
    next_offset: int
    lag: int | None


class Status(Answer):
    """How the line is doing."""

    district_id: str
    now: datetime | None = Field(description="arrival of the newest fix, in the district's clock")
    lag: int | None = Field(description="records waiting in all partitions")
    partitions: list[PartitionLag]
    fixes: int = Field(description="about how many the store holds")
    passes: int
    street_days: int
    dead_letters: int
