"""A slow, plain count of every millimetre, that the fast one is held against.

Its world is small enough for that: a street of 40 mm, gaps of 30 microseconds, moments as fractions.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import date
from fractions import Fraction
from itertools import groupby, pairwise

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from processing.rules import Rules
from processing.service_day import day_start_us
from processing.sweep import Piece

Pieces = NDArray[np.int64]
DAY = date(2024, 5, 1)
START_US = day_start_us(DAY, 0, "Asia/Shanghai")
LENGTH_MM = 40
GAP_US = 30
TINY = Rules(depth_gap_s=30e-6, close_gap_m=0.003)


def array(pieces: Sequence[Piece]) -> Pieces:
    """Pieces as the kernels take them."""
    return np.array(pieces, dtype=np.int64).reshape(-1, 4)


def moment(piece: Piece, measure_mm: Fraction) -> Fraction:
    run_us = piece.to_us - piece.from_us
    return piece.from_us + run_us * (measure_mm - piece.from_mm) / (piece.to_mm - piece.from_mm)


def copies(pieces: Sequence[Piece], *, closed: bool) -> list[Piece]:
    rounds = range(-4, 5) if closed else (0,)
    return [
        piece._replace(from_mm=piece.from_mm + n * LENGTH_MM, to_mm=piece.to_mm + n * LENGTH_MM)
        for piece in pieces
        for n in rounds
        if piece.from_mm != piece.to_mm
    ]


def covers(piece: Piece, low: int, high: int) -> bool:
    return min(piece[:2]) <= low and high <= max(piece[:2])


def slow_counted(today: Sequence[Piece], before: Sequence[Piece], *, closed: bool) -> list[list[Piece]]:
    """For each millimetre the sweeps that count, in their order."""
    fresh = [one for one in before if one.from_us < START_US and one.to_us >= START_US - GAP_US]
    today, before = copies(today, closed=closed), copies(fresh, closed=closed)
    ends = {min(max(mm, 0), LENGTH_MM) for piece in (*today, *before) for mm in piece[:2]}
    cuts = sorted(ends | {0, LENGTH_MM})
    counted: list[list[Piece]] = []
    for low, high in pairwise(cuts):
        middle = Fraction(low + high, 2)
        just = [math.floor(moment(piece, middle)) for piece in before if covers(piece, low, high)]
        last = max((us for us in just if START_US - GAP_US <= us < START_US), default=-math.inf)
        sweeps = sorted(
            (math.floor(moment(piece, middle)), piece) for piece in today if covers(piece, low, high)
        )
        here: list[Piece] = []
        for us, piece in sweeps:
            if us - last > GAP_US:
                here.append(piece)
                last = us
        counted.extend([here] * (high - low))
    return counted


def slow_held(counted: list[list[Piece]], k: int, until_us: float, *, closed: bool) -> int:
    """Millimetres in S_k of what was swept by a moment: a millimetre is when its far end is."""
    cells = []
    for mm, here in enumerate(counted):
        held = len(here) >= k
        if held and until_us != math.inf:
            piece = here[k - 1]
            far = Fraction(mm + 1 if piece.to_mm > piece.from_mm else mm)
            held = moment(piece, far) <= until_us
        cells.append(held)
    if not any(cells):
        return 0
    if closed:  # begin at a swept millimetre, so that no gap runs across the end
        first = cells.index(True)
        cells = cells[first:] + cells[:first]
    gaps = sorted(len(list(group)) for held, group in groupby(cells) if not held)
    closed_mm = 0
    for gap in gaps:
        if gap <= 3 and closed_mm + gap <= LENGTH_MM // 10:
            closed_mm += gap
    return sum(cells) + closed_mm


@st.composite
def sweeps(draw: st.DrawFn, first_us: int = 0, last_us: int = 150, reach_mm: int = 0) -> Piece:
    from_mm, to_mm = draw(st.tuples(*[st.integers(-reach_mm, LENGTH_MM + reach_mm)] * 2))
    from_us = START_US + draw(st.integers(first_us, last_us))
    return Piece(from_mm, to_mm, from_us, from_us + draw(st.integers(0, 40)))
