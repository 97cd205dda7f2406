"""The clause of docs/DEFINITIONS.md that decided, for each pass, each cleaning and the verdict."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from evidence.rows import Row, in_order, local
from processing.coverage import Allowance
from processing.depth import Depth
from processing.district import Street
from processing.frequency import StreetDay, sides_of
from processing.linear_reference import Reference
from processing.rules import Rules
from processing.sweep import Pass, Passes
from processing.verdict import Verdict

Spans = list[tuple[int, int]]
_KM = "From fixes to passes"
_FIGURES = "From passes to figures"


@dataclass(frozen=True, slots=True)
class Judged:
    """A street, a window of time, and what was found for it; `passes` are those of the street that matter."""

    street: Street
    reference: Reference
    rules: Rules
    window_us: tuple[int, int]
    passes: Sequence[Pass]
    figures: StreetDay
    required: int
    verdict: Verdict | None


def decisions(judged: Judged) -> tuple[Row, ...]:
    """One row for each decision, in the order of the passes, then the cleanings, then the verdict."""
    return (*_passes(judged), *_cleanings(judged), *_verdict(judged))


def _row(subject: str, decision: str, section: str, clause: str, **more: Any) -> Row:  # noqa: ANN401
    return {"subject": subject, "decision": decision, "section": section, "clause": clause, **more}


def _passes(judged: Judged) -> Iterable[Row]:
    counted = _counted(judged)
    for number, one in enumerate(in_order(judged.passes), 1):
        name = f"pass {number}, {one.unit_id} {local(one.enter_us, judged.rules)}"
        more = {"unit_id": one.unit_id, "track_start_us": one.track_start_us, "ordinal": one.ordinal}
        decision, section, clause = _pass(judged, one, counted.get(number - 1, {}))
        yield _row(name, decision, section, clause, **more)
        if one.ambiguous_with is not None:
            clause = f"certainty {one.certainty:.3f} is below {judged.rules.certainty_min}: it may have been on {one.ambiguous_with}"
            yield _row(name, "left out of what is certain", _KM, f"Ambiguous: {clause}", **more)


def _pass(judged: Judged, one: Pass, depths: dict[int, Spans]) -> tuple[str, str, str]:
    street, rules = judged.street, judged.rules
    if not one.swept:
        return "not counted", _KM, "Pass: it swept nothing, so it is a drive through"
    if one.work != street.work:
        return (
            "not counted",
            _FIGURES,
            f"Depth: the street is judged by {street.work}, this unit's work is {one.work}",
        )
    minutes = rules.depth_gap_s / 60
    if one.enter_us < judged.window_us[0]:
        return (
            "just swept",
            _FIGURES,
            f"Service day: what it swept is fresh for {minutes:g} minutes and isn't counted again in them",
        )
    if not depths:
        return (
            "counts for nothing new",
            _FIGURES,
            f"Depth: all of it was swept less than {minutes:g} minutes ago",
        )
    told = "; ".join(f"depth {k} at measures {_spans(spans)}" for k, spans in sorted(depths.items()))
    return "counts", _FIGURES, f"Depth: {told}"


def _spans(spans: Spans) -> str:
    return ", ".join(f"{low / 1000:.1f}-{high / 1000:.1f} m" for low, high in spans)


def _counted(judged: Judged) -> dict[int, dict[int, Spans]]:
    """By the number of the pass: where it was the k-th sweep that counts, as measures in millimetres."""
    street, reference, rules = judged.street, judged.reference, judged.rules
    passes = Passes.of(street.street_id, in_order(judged.passes))
    found: dict[int, dict[int, Spans]] = {}
    for side in sides_of(street, reference, street.work, passes, rules, judged.window_us):
        _collect(side, found)
    return found


def _collect(side: Depth, found: dict[int, dict[int, Spans]]) -> None:
    cells, deepest = side.counted.shape
    for k in range(deepest):
        for cell in range(cells):
            sweep = int(side.counted[cell, k])
            if sweep < 0:
                continue
            number = int(side.whose[side.sweeps[sweep, 0]])
            low, high = int(side.cuts_mm[cell]), int(side.cuts_mm[cell + 1])
            spans = found.setdefault(number, {}).setdefault(k + 1, [])
            if spans and spans[-1][1] == low:
                spans[-1] = spans[-1][0], high
            else:
                spans.append((low, high))


def _cleanings(judged: Judged) -> Iterable[Row]:
    figures, rules = judged.figures, judged.rules
    needed_mm = Allowance.of(rules, figures.length_mm).needed_mm
    held = (
        f"at least {needed_mm / 1000:.1f} m of {figures.length_mm / 1000:.1f} m ({rules.coverage_share:.0%})"
    )
    for k, moment_us in enumerate(figures.cleaned_us, 1):
        clause = f"Cleaning frequency: S_{k} held {held} from {local(moment_us, rules)} on"
        yield _row(f"cleaning {k}", "counts", _FIGURES, clause)
    clause = f"Cleaning frequency: S_{figures.frequency + 1} never held {held}"
    if figures.frequency == 0:
        clause += f"; S_1 held {figures.swept_mm / 1000:.1f} m"
    yield _row("frequency", str(figures.frequency), _FIGURES, clause)


def _verdict(judged: Judged) -> Iterable[Row]:
    if judged.verdict is None:
        return
    figures, required = judged.figures, judged.required
    certain = f"frequency_certain {figures.frequency_certain}"
    clause = {
        Verdict.SWEPT: f"{certain} meets the requirement of {required}",
        Verdict.AMBIGUOUS: f"frequency {figures.frequency} meets the requirement of {required}, {certain} doesn't",
        Verdict.NO_DATA: f"frequency {figures.frequency} falls short of {required}, and it could have been done unseen (silences)",
        Verdict.PARTIAL: f"frequency {figures.frequency} falls short of {required}, and {figures.swept_mm / 1000:.1f} m were swept",
        Verdict.NOT_SWEPT: f"frequency {figures.frequency} falls short of {required}, and nothing was swept",
    }[judged.verdict]
    yield _row("verdict", judged.verdict.value, "The verdict", clause)
