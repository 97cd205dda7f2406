"""Where are the units, what does their equipment do, and which way did they go?"""

from __future__ import annotations

from fastapi import APIRouter

from api.context import Context, TheConnection, TheContext, TheDay, moment
from api.models import EquipmentNow, EquipmentState, Position, State, TrackPoint, UnitInfo, UnitTrack
from processing.fix import OFF, ON
from storage.queries.equipment import equipment as stored_equipment
from storage.queries.unit_track import unit_track
from storage.queries.units import UnitNow, units_now

router = APIRouter(tags=["units"])

POINTS_MAX = 50_000
_STATES: dict[int, State] = {ON: "on", OFF: "off"}
_TOLD = ("engine", "brush", "spray", "fan", "working", "hopper_pct", "water_pct")


@router.get("/units", summary="All units now")
def units(context: TheContext, connection: TheConnection) -> list[UnitInfo]:
    """Each unit's newest fix by device time, its equipment as last told, and whether it is connected."""
    return [_info(context, row) for row in units_now(connection, sorted(context.units))]


@router.get("/units/{unit_id}", summary="One unit now")
def unit(unit_id: str, context: TheContext, connection: TheConnection) -> UnitInfo:
    """The unit's newest fix by device time, its equipment as last told, and whether it is connected."""
    context.unit(unit_id)
    return _info(context, units_now(connection, [unit_id])[0])


def _info(context: Context, row: UnitNow) -> UnitInfo:
    unit = context.units[row.unit_id]
    position = equipment = None
    if row.fix_time_us is not None and row.received_us is not None and row.lon is not None:
        position = Position(
            fix_time=moment(row.fix_time_us),
            received_at=moment(row.received_us),
            lon=row.lon,
            lat=row.lat or 0.0,
            speed_kmh=row.speed_kmh,
            heading_deg=row.heading_deg,
        )
    if row.equipment_time_us is not None:
        told = {name: getattr(row, name) for name in _TOLD}
        equipment = EquipmentNow(fix_time=moment(row.equipment_time_us), **told)
    return UnitInfo(
        unit_id=unit.unit_id,
        name=unit.name,
        profile=unit.profile.profile_id,
        work=unit.profile.work,
        online=row.online,
        suspected_datum=row.suspected_datum,
        position=position,
        equipment=equipment,
    )


@router.get("/units/{unit_id}/equipment", summary="A unit's equipment over a service day")
def unit_equipment(
    unit_id: str, context: TheContext, connection: TheConnection, day: TheDay
) -> list[EquipmentState]:
    """When each piece of equipment was on, off or unknown."""
    context.unit(unit_id)
    return [
        EquipmentState(
            equipment=one.equipment,
            state=_STATES.get(one.state, "unknown"),
            from_time=moment(one.from_us),
            to_time=moment(one.to_us),
        )
        for one in stored_equipment(connection, unit_id, day)
    ]


@router.get("/units/{unit_id}/track", summary="A unit's way over a service day")
def unit_day_track(unit_id: str, context: TheContext, connection: TheConnection, day: TheDay) -> UnitTrack:
    """The unit's fixes in order; at most 50,000, then `complete` is false."""
    context.unit(unit_id)
    rows = unit_track(connection, unit_id, *context.day_us(day), points_max=POINTS_MAX + 1)
    points = [
        TrackPoint(
            fix_time=moment(row.fix_time_us),
            lon=row.lon,
            lat=row.lat,
            speed_kmh=row.speed_kmh,
            heading_deg=row.heading_deg,
            track_start=None if row.track_start_us is None else moment(row.track_start_us),
        )
        for row in rows[:POINTS_MAX]
    ]
    return UnitTrack(unit_id=unit_id, service_day=day, complete=len(rows) <= POINTS_MAX, points=points)
