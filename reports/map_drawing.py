"""The map: streets as lines in true proportion, north up; legend, scale and north stand below, never over it."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
from fpdf.enums import StrokeCapStyle, StrokeJoinStyle

from processing.geodesy import LocalProjection
from reports import colours, words
from reports.breaking import nice
from reports.document import MapStreet
from reports.paper import GREY, INK, MARGIN_MM, RULE, Paper

_STRIP_MM = 13.0
_PAD_MM = 5.0
_LABELS_MAX = 12

Points = list[tuple[float, float]]


def draw_map(paper: Paper, streets: tuple[MapStreet, ...], height: float) -> None:
    """Draws all streets into the width and at most this height from y on."""
    lines = _projected(streets)
    if not lines:
        paper.paragraph(words.say("no_map", paper.language))
        return
    box = height - _STRIP_MM
    xs, ys = zip(*(point for _, points in lines for point in points), strict=True)
    wide, high = max(max(xs) - min(xs), 1.0), max(max(ys) - min(ys), 1.0)
    mm_per_m = min((paper.width - 2 * _PAD_MM) / wide, (box - 2 * _PAD_MM) / high)
    left = MARGIN_MM + (paper.width - wide * mm_per_m) / 2 - min(xs) * mm_per_m
    low = paper.y + (box + high * mm_per_m) / 2 + min(ys) * mm_per_m
    paper.set_draw_color(*RULE)
    paper.set_line_width(0.2)
    paper.rect(MARGIN_MM, paper.y, paper.width, box)
    placed = [
        (street, [(left + x * mm_per_m, low - y * mm_per_m) for x, y in points]) for street, points in lines
    ]
    _draw_lines(paper, placed)
    if len(streets) <= _LABELS_MAX:
        _label(paper, placed)
    paper.y += box
    _strip(paper, streets, mm_per_m)


def _projected(streets: tuple[MapStreet, ...]) -> list[tuple[MapStreet, Points]]:
    """Each line in metres east and north of the middle, the worse streets last and so on top."""
    points = [point for street in streets for line in street.lines for point in line]
    if not points:
        return []
    lons, lats = [lon for lon, _ in points], [lat for _, lat in points]
    plane = LocalProjection((min(lons) + max(lons)) / 2, (min(lats) + max(lats)) / 2)
    found = []
    for street in sorted(streets, key=lambda street: colours.of(street).rank):
        for line in street.lines:
            x_m, y_m = plane.to_xy(*np.array(line, dtype=np.float64).T)
            found.append((street, list(zip(x_m.tolist(), y_m.tolist(), strict=True))))
    return found


def _draw_lines(paper: Paper, placed: list[tuple[MapStreet, Points]]) -> None:
    with paper.local_context(stroke_cap_style=StrokeCapStyle.ROUND, stroke_join_style=StrokeJoinStyle.ROUND):
        for street, points in placed:
            _stroke(paper, colours.of(street), points)
    paper.set_dash_pattern()


def _stroke(paper: Paper, mark: colours.Mark, points: Points) -> None:
    paper.set_draw_color(*mark.rgb)
    paper.set_line_width(mark.width_mm)
    paper.set_dash_pattern(dash=mark.dash_mm, gap=1.6 * mark.dash_mm)
    paper.polyline(points)


def _label(paper: Paper, placed: list[tuple[MapStreet, Points]]) -> None:
    """Names beside the streets, where they cover neither a street nor one another."""
    taken = [point for _, points in placed for point in _close(points)]
    for street, points in {street.street_id: (street, points) for street, points in placed}.values():
        x, y = points[len(points) // 2]
        name = paper.known(street.name)
        wide = paper.measure(name, 7, "")
        for left, base in (
            (x + 2, y + 0.9),
            (x - 2 - wide, y + 0.9),
            (x - wide / 2, y - 1.6),
            (x - wide / 2, y + 3.6),
        ):
            inside = left > MARGIN_MM + 1 and left + wide < paper.right - 1
            if inside and not any(
                left - 1 < one < left + wide + 1 and base - 2.8 < two < base + 1 for one, two in taken
            ):
                paper.line_of(name, left, base, 7)
                taken += _close(
                    [(left, base - 2.4), (left + wide, base - 2.4), (left + wide, base), (left, base)]
                )
                break


def _close(points: Points) -> Points:
    """Points along a line, a millimetre apart."""
    found = []
    for (x0, y0), (x1, y1) in pairwise(points):
        steps = max(int(math.dist((x0, y0), (x1, y1))), 1)
        found += [(x0 + (x1 - x0) * step / steps, y0 + (y1 - y0) * step / steps) for step in range(steps + 1)]
    return found


def _strip(paper: Paper, streets: tuple[MapStreet, ...], mm_per_m: float) -> None:
    """Below the map: what the colours mean and how many streets have each, the scale, and north."""
    top, x = paper.y + 3.0, MARGIN_MM + 0.6
    room = paper.width - 42
    for mark, count in colours.legend(streets):
        text = words.say("count", paper.language).format(mark.label(paper.language), count)
        wide = 8.5 + paper.measure(text, 7.5, "") + 4
        if x + wide > MARGIN_MM + room:
            x, top = MARGIN_MM + 0.6, top + 4.5
        _stroke(paper, mark, [(x, top + 1.2), (x + 6.5, top + 1.2)])
        paper.line_of(text, x + 8.5, top + 2.2, 7.5)
        x += wide
    paper.set_dash_pattern()
    _scale(paper, mm_per_m)
    _north(paper)
    paper.y = top + 6


def _scale(paper: Paper, mm_per_m: float) -> None:
    length_m = nice(24.0 / mm_per_m)
    wide, right, y = length_m * mm_per_m, paper.right - 9, paper.y + 5.5
    paper.set_draw_color(*INK)
    paper.set_line_width(0.3)
    paper.polyline([(right - wide, y - 1.4), (right - wide, y), (right, y), (right, y - 1.4)])
    text = f"{length_m / 1000:g} km" if length_m >= 1000 else f"{length_m:g} m"
    paper.line_of(text, right - wide / 2 - paper.measure(text, 7, "") / 2, y + 3.2, 7, colour=GREY)


def _north(paper: Paper) -> None:
    x, y = paper.right - 3, paper.y + 2
    paper.set_fill_color(*INK)
    paper.polygon([(x, y), (x + 1.6, y + 4.6), (x, y + 3.6), (x - 1.6, y + 4.6)], style="F")
    text = words.say("north", paper.language)
    paper.line_of(text, x - paper.measure(text, 7, "B") / 2, y + 7.6, 7, "B")
