"""Where a line of text may be broken, and how the width of a page is shared among columns: pure arithmetic."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

#: Letters that a line doesn't begin with.
_NOT_FIRST = frozenset("，。；：、！？）》」』】〉”’％%,.;:!?)]}°")
#: And those that none ends with.
_NOT_LAST = frozenset("（《「『【〈“‘([{")


def shared(likes: Sequence[float], needs: Sequence[float], width: float) -> list[float]:
    """Widths of columns that fill the width: what each likes and a share of the rest, or at least its need."""
    spare = width - sum(likes)
    if spare >= 0:
        return [like + spare / len(likes) for like in likes]
    room = width - sum(needs)
    if room < 0:
        return [need * width / sum(needs) for need in needs]
    wanted = sum(like - min(need, like) for like, need in zip(likes, needs, strict=True)) or 1.0
    return [need + room * (like - min(need, like)) / wanted for like, need in zip(likes, needs, strict=True)]


def pieces_of(text: str) -> list[str]:
    """What a line may be broken between: words with the space behind them, and single Chinese letters."""
    found: list[str] = []
    for letter in text:
        joined = found and (
            letter == " "
            or letter in _NOT_FIRST
            or found[-1][-1] in _NOT_LAST
            or not (found[-1].endswith(" ") or _is_wide(letter) or _is_wide(found[-1][-1]))
        )
        if joined:
            found[-1] += letter
        else:
            found.append(letter)
    return found


def _is_wide(letter: str) -> bool:
    return letter >= "\u2e80"


def chopped(word: str, width: float, face: Mapping[int, float]) -> list[str]:
    """Pieces of a word that is wider than a line; width in thousandths of the size."""
    pieces, used = [""], 0.0
    for letter in word:
        used += face[ord(letter)]
        if used > width and pieces[-1]:
            pieces.append("")
            used = face[ord(letter)]
        pieces[-1] += letter
    return pieces


def nice(length: float) -> float:
    """The largest of 1, 2 or 5 times a power of ten that isn't longer."""
    power = 10.0 ** math.floor(math.log10(length))
    return next(step * power for step in (5, 2, 1) if step * power <= length)
