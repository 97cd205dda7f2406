"""The streets as a GeoJSON FeatureCollection (RFC 7946), each with its figures, rows of the table and excuses.

The member `swept` says what the report is of, what made it, and what stands beside it.
"""

from __future__ import annotations

import json
from collections import defaultdict
from datetime import date, datetime
from typing import Any

from reports import colours, shown
from reports.document import Cell, Document, ExcuseNote, MapStreet, VersionUse

_DECIMALS = 7  # about a centimetre


def render(document: Document) -> bytes:
    """The file's bytes."""
    figures, excuses = _figures(document), defaultdict(list)
    for excuse in document.excuses:
        excuses[excuse.street_id].append(_excuse(excuse))
    features = [
        _feature(street, figures.get(street.street_id, []), excuses.get(street.street_id, []))
        for street in document.streets
    ]
    collection: dict[str, Any] = {"type": "FeatureCollection"}
    points = [point for street in document.streets for line in street.lines for point in line]
    if points:
        lons, lats = [lon for lon, _ in points], [lat for _, lat in points]
        collection["bbox"] = [min(lons), min(lats), max(lons), max(lats)]
    collection["swept"] = _about(document)
    head = json.dumps(collection, ensure_ascii=False, allow_nan=False)[:-1]
    # A feature a line: a report can be compared with another one line by line.
    lines = ",\n".join(json.dumps(feature, ensure_ascii=False, allow_nan=False) for feature in features)
    return f'{head}, "features": [\n{lines}\n]}}\n'.encode("utf-8", "replace")


def _feature(
    street: MapStreet, figures: list[dict[str, Any]], excuses: list[dict[str, str]]
) -> dict[str, Any]:
    properties = {
        "street_id": street.street_id,
        "name": street.name,
        "subdistrict": street.subdistrict,
        "length_m": round(street.length_m, 3),
        "verdict": street.verdict,
        "compliance": street.compliance,
        "coverage": street.coverage,
        "cleanings": street.cleanings,
        "required": street.required,
        "stroke": colours.of(street).hexadecimal,
        "figures": figures,
        "excuses": excuses,
    }
    return {
        "type": "Feature",
        "id": street.street_id,
        "geometry": _geometry(street),
        "properties": properties,
    }


def _geometry(street: MapStreet) -> dict[str, Any] | None:
    lines = [
        [[round(lon, _DECIMALS), round(lat, _DECIMALS)] for lon, lat in line]
        for line in street.lines
        if len(line) > 1
    ]
    if not lines:
        return None
    if len(lines) == 1:
        return {"type": "LineString", "coordinates": lines[0]}
    return {"type": "MultiLineString", "coordinates": lines}


def _figures(document: Document) -> dict[str, list[dict[str, Any]]]:
    """The table's rows of each street; none where rows aren't of streets."""
    keys = [column.key for column in document.columns]
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    if "street_id" not in keys:
        return found
    for row in document.rows:
        values = {key: _value(value, document.timezone) for key, value in zip(keys, row, strict=True)}
        found[str(values.pop("street_id"))].append(values)
    return found


def _value(value: Cell, timezone: str) -> str | float | list[Any] | None:
    if isinstance(value, tuple):
        return [_value(moment, timezone) for moment in value]
    if isinstance(value, datetime):
        return shown.local(value, timezone).isoformat()
    return value.isoformat() if isinstance(value, date) else value


def _excuse(excuse: ExcuseNote) -> dict[str, str]:
    return {
        "first_day": excuse.first_day.isoformat(),
        "last_day": excuse.last_day.isoformat(),
        "kind": excuse.kind,
        "reason": excuse.reason,
        "author": excuse.author,
    }


def _version(version: VersionUse) -> dict[str, Any]:
    days = {"first_day": version.first_day.isoformat(), "last_day": version.last_day.isoformat()}
    return {"version": version.version, **days, "days": version.days}


def _about(document: Document) -> dict[str, Any]:
    """What the report is of and what made it."""
    zone = document.timezone
    return {
        "district": document.district,
        "synthetic": document.synthetic,
        "first_day": document.first_day.isoformat(),
        "last_day": document.last_day.isoformat(),
        "each": document.each,
        "by": document.by,
        "scope": document.scope,
        "as_of": _value(document.as_of, zone),
        "made_at": _value(document.made_at, zone),
        "timezone": zone,
        "day_start": shown.day_start(document),
        "verdict_percent": dict(document.verdict_percent),
        "street_days": document.street_days,
        "open_days": document.open_days,
        "notes": list(document.notes),
        "rule_versions": [_version(version) for version in document.rule_versions],
        "map_versions": [_version(version) for version in document.map_versions],
        "digests": {day.service_day.isoformat(): day.digest or None for day in document.digests},
        "public_key": document.public_key,
    }
