"""Which streets are audited, and where are they?"""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from api.context import TheContext
from api.models import StreetInfo

router = APIRouter(tags=["streets"])


def _info(context: TheContext, street_id: str) -> StreetInfo:
    street = context.street(street_id)
    return StreetInfo(
        street_id=street.street_id,
        name=street.name,
        length_m=context.references[street_id].length_mm / 1000,
        grade=street.grade,
        sides=street.sides,
        required=street.required,
        work=street.work,
        subdistrict=street.subdistrict,
        contractor=street.contractor,
    )


@router.get("/streets", summary="All audited streets")
def streets(context: TheContext) -> list[StreetInfo]:
    """The streets, by id; what is required of each, and its length."""
    return [_info(context, street_id) for street_id in sorted(context.streets)]


@router.get("/streets.geojson", summary="All audited streets as GeoJSON")
def streets_geojson(context: TheContext) -> dict[str, Any]:
    """A FeatureCollection of MultiLineStrings in WGS-84; the properties are those of the list."""
    features = [
        {
            "type": "Feature",
            "id": street_id,
            "properties": _info(context, street_id).model_dump(),
            "geometry": {"type": "MultiLineString", "coordinates": context.street(street_id).parts},
        }
        for street_id in sorted(context.streets)
    ]
    return {"type": "FeatureCollection", "synthetic": context.district.synthetic, "features": features}


@router.get("/streets/{street_id}", summary="One street")
def street(street_id: str, context: TheContext) -> StreetInfo:
    """What is required of a street, and its length."""
    return _info(context, street_id)
