"""The golden values as those of swept: the one place where the two vocabularies meet."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

import processing.district
from processing.frequency import StreetDay
from processing.linear_reference import Reference
from processing.sweep import Pass, Piece
from tests.golden import slow


def passes(given: Iterable[slow.Pass]) -> list[Pass]:
    """Passes as the pipeline makes them, each the only one of its track."""
    return [
        Pass(
            unit_id=one.unit,
            track_start_us=one.enter_us,
            ordinal=0,
            street_id=one.street,
            work=one.work,
            direction=one.direction,
            enter_us=one.enter_us,
            leave_us=one.leave_us,
            enter_mm=end_mm(one, 0),
            leave_mm=end_mm(one, -1),
            swept=tuple(Piece(*piece) for piece in one.swept),
            unobserved=tuple(Piece(*piece) for piece in one.unobserved),
            ambiguous_with=one.ambiguous_with,
            certainty=1.0 if one.ambiguous_with is None else 0.75,
        )
        for one in given
    ]


def end_mm(one: slow.Pass, which: int) -> int:
    pieces = sorted(one.swept + one.unobserved, key=lambda piece: piece.from_us)
    if not pieces:
        return 0
    return pieces[0].from_mm if which == 0 else pieces[-1].to_mm


def reference(street: slow.Street) -> Reference:
    xy = np.array(street.line_m)
    along_m = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(xy, axis=0).T))])
    return Reference(street.street_id, street.length_mm, street.closed, xy, along_m)


def street(given: slow.Street) -> processing.district.Street:
    return processing.district.Street(
        given.street_id,
        given.name,
        (given.line_m,),
        oneway=given.oneway,
        grade=given.grade,
        required=given.required,
        work=given.work,
        sides=given.sides,
        subdistrict=given.subdistrict,
        contractor=given.contractor,
    )


def figures(given: StreetDay) -> slow.Figures:
    return slow.Figures(
        given.frequency,
        given.frequency_certain,
        given.swept_mm,
        given.swept_certain_mm,
        given.length_mm,
        given.cleaned_us,
        given.passes,
        given.frequency_if_observed,
        given.missing_mm,
    )
