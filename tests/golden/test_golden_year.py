"""A year of a town: what swept says of it is what the definitions say, worked out slowly and by itself."""

from __future__ import annotations

import ast
import hashlib
import sys
from collections import Counter, defaultdict
from dataclasses import astuple, replace
from itertools import groupby
from pathlib import Path

import pytest

from processing.district_files import parse_district
from processing.frequency import street_day
from processing.rules import Rules
from processing.silence import Ground, gaps_of_day
from processing.sweep import Passes
from processing.verdict import verdict
from tests.golden import answers, slow, store, translate, year
from tests.golden.questions import StreetDay

SLOW = ("slow", "year", "questions", "answers")
RULES = Rules(timezone=year.ZONE, day_start_s=year.DAY_START_S)


def closed() -> list[StreetDay]:
    return [one for one in answers.record() if one.verdict is not None]


def test_the_figures_of_every_street_day_and_shift_are_those_of_the_slow_count() -> None:
    differ = {}
    for key, expected in answers.figures().items():
        street = next(one for one in year.streets(key.day) if one.street_id == key.street)
        fast = street_day(
            translate.street(street),
            translate.reference(street),
            key.day,
            street.work,
            Passes.of(key.street, translate.passes(answers.passes()[key.street, key.day])),
            RULES,
            answers.windows(key.day)[key.shift] if key.shift else None,
        )
        if translate.figures(fast) != expected:
            differ[key] = (translate.figures(fast), expected)
    assert not differ, (len(differ), list(differ.items())[:3])


@pytest.mark.parametrize("roster", [True, False])
def test_the_verdict_on_every_street_day_is_that_of_the_slow_count(*, roster: bool) -> None:
    district = parse_district(store.files(year.OLD_MAP))
    ground = Ground(district if roster else replace(district, roster={}), store.PROJECTION)
    seen = defaultdict(list)
    for row in answers.golden().unit_days:
        seen[row.day].append(store.seen(row))
    differ = []
    for day, rows in groupby(closed(), key=lambda one: one.day):
        gaps = gaps_of_day(ground, day, seen[day], None)
        for one in rows:
            street = translate.street(one.street)
            figures = street_day(
                street,
                translate.reference(one.street),
                day,
                street.work,
                Passes.of(street.street_id, translate.passes(answers.passes()[street.street_id, day])),
                RULES,
            )
            said = verdict(street, translate.reference(one.street), figures, gaps.get(street.work, []), RULES)
            expected = slow.verdict(one.street, one.figures, answers.silences(roster=roster)[day])
            if said != expected:
                differ.append((street.street_id, day, said, expected))
    assert not differ, (len(differ), differ[:5])


def test_no_silence_is_so_nearly_long_enough_that_metres_decide() -> None:
    """Then a centimetre of a fix, or another projection, may not matter."""
    nearest = min(
        abs(slow.spare_s(one.street, one.figures, unit, silence))
        for one in closed()
        if one.figures.frequency < one.street.required
        for unit, silence in answers.silences()[one.day]
        if unit.work == one.street.work
    )
    assert nearest > 0.02


def test_the_year_holds_what_it_is_meant_to_hold() -> None:
    whole_days = [one.figures for one in answers.record()]
    assert set(Counter(one.frequency for one in whole_days)) >= {0, 1, 2, 3, 4}
    assert sum(one.frequency != one.frequency_certain for one in whole_days) > 50
    assert sum(one.frequency != one.frequency_if_observed for one in whole_days) > 50
    verdicts = Counter(one.verdict for one in answers.record())
    assert min(verdicts.values()) > 40, verdicts
    assert len(verdicts) == 6
    hours = Counter(
        (end - begin) // (3600 * slow.US) for begin, end in map(year.window, answers.golden().days)
    )
    assert hours == {24: 363, 23: 1, 25: 1}


def test_the_golden_answers_are_those_that_were_agreed_on() -> None:
    """A change of the year or of a definition has to be meant; then the digest below is the new one."""
    digest = hashlib.sha256()
    for one in answers.record():
        said = (one.street.street_id, one.day.isoformat(), one.verdict, astuple(one.figures))
        digest.update(repr((*said, [astuple(part) for _, _, part in one.shifts])).encode())
    assert digest.hexdigest() == "c300fa13fa006a4367b710c9a38ba19947012e5319f637301d42d44cb76534d9"


@pytest.mark.parametrize("name", SLOW)
def test_the_slow_count_shares_no_code_with_swept(name: str) -> None:
    """Only Python's own modules, and each other."""
    imported: list[str] = []
    for node in ast.walk(ast.parse((Path(__file__).parent / f"{name}.py").read_text())):
        if isinstance(node, ast.ImportFrom):
            names = [alias.name for alias in node.names] if node.module == "tests.golden" else [""]
            imported.extend(f"{node.module}.{one}".rstrip(".") for one in names)
        elif isinstance(node, ast.Import):
            imported.extend(alias.name for alias in node.names)
    ours = [f"tests.golden.{one}" for one in SLOW]
    assert [m for m in imported if m not in ours and m.split(".")[0] not in sys.stdlib_module_names] == []
