"""The colours of the map and its legend: told apart by people who see red and green alike, and in grey print.

A day's street is coloured by its verdict, a period's by the share of days that met the requirement.
"""

from __future__ import annotations

from dataclasses import dataclass

from reports import words
from reports.document import OPEN, VERDICTS, MapStreet


@dataclass(frozen=True, slots=True)
class Mark:
    """How a class of streets is drawn; `rank` puts the worse above the better, `dash_mm` 0 is unbroken."""

    key: str
    rgb: tuple[int, int, int]
    width_mm: float
    rank: int
    dash_mm: float = 0.0

    @property
    def hexadecimal(self) -> str:
        """The colour as #rrggbb."""
        return "#{:02x}{:02x}{:02x}".format(*self.rgb)

    def label(self, language: str) -> str:
        """The legend's words."""
        return words.say(self.key, language)


NONE = Mark("none", (196, 200, 205), 0.5, 0)
BY_VERDICT = {
    mark.key: mark
    for mark in (
        Mark("swept", (27, 128, 110), 0.7, 2),
        Mark("ambiguous", (120, 94, 240), 0.9, 4),
        Mark("no data", (110, 117, 128), 0.9, 3, 1.2),
        Mark("partial", (236, 147, 28), 1.0, 5),
        Mark("not swept", (200, 30, 50), 1.2, 6),
        Mark(OPEN, (140, 186, 224), 0.7, 1),
    )
}
#: From which share of days on, and how it is drawn.
BY_SHARE = (
    (1.0, Mark("100 %", (27, 128, 110), 0.7, 1)),
    (0.9, Mark("90 – 99.9 %", (122, 184, 92), 0.8, 2)),
    (0.7, Mark("70 – 89.9 %", (240, 190, 50), 0.9, 3)),
    (0.5, Mark("50 – 69.9 %", (232, 120, 30), 1.0, 4)),
    (0.0, Mark("< 50 %", (200, 30, 50), 1.2, 5)),
)


def of(street: MapStreet) -> Mark:
    """How a street is drawn."""
    if street.verdict is not None:
        return BY_VERDICT[street.verdict]
    if street.compliance is None:
        return NONE
    share = street.compliance
    return next(mark for least, mark in BY_SHARE if share >= least or least == 0.0)


def legend(streets: tuple[MapStreet, ...]) -> list[tuple[Mark, int]]:
    """The marks that a map uses, in the legend's order, and how many streets each has."""
    order = [*(BY_VERDICT[key] for key in (*VERDICTS, OPEN)), *(mark for _, mark in BY_SHARE), NONE]
    marks = [of(street) for street in streets]
    return [(mark, marks.count(mark)) for mark in order if mark in marks]
