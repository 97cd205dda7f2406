"""A message's elements, each with its own original bytes, whatever is wrong with those beside it.

The standard library's scanner reads one value after the other, also what JSON doesn't have (NaN, 1e400).
Where a value is broken, its end is found by brackets and strings alone. Two places that valid JSON never has
tell that an element was torn and the next begins: inside an object a comma with `{` behind it, and a string
that ends so with neither comma, colon nor bracket behind it. Neither can lie in what the scanner could read,
so all work is linear in the length of the message. One tear can't be told: within an array of objects inside a
report, which no field of the contract has, the next report looks like the next of those.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

#: Values nested deeper are no report; the bound keeps the answer independent of Python's stack.
DEPTH_MAX = 64
#: Of more broken stretches in a message the rest is one.
BROKEN_MAX = 1_000


@dataclass(frozen=True, slots=True)
class Element:
    """One value of a message; `broken` says why it can't be read, `value` is None then."""

    original: bytes
    value: object = None
    broken: str | None = None


def _integer(digits: str) -> int | float:
    """Python refuses to read integers of thousands of digits; beyond 64 bits a float is close enough."""
    return int(digits) if len(digits) < 20 else float(digits)


_SCANNER = json.JSONDecoder(parse_int=_integer)
_SPACE = " \t\n\r"
_TOO_DEEP = f"nested deeper than {DEPTH_MAX}"
_BYTE_ORDER_MARK = "\ufeff"
#: A string, the quote of one that never ends, a comma (with a brace behind it), a bracket.
_TOKEN = re.compile(r'"(?:[^"\\]++|\\.)*+"|"|,[ \t\n\r]*+\{?+|[\[\]{}]', re.DOTALL)
_AFTER_STRING = re.compile(r"[ \t\n\r]*+(?:[,:\]}]|\Z)")
_OPENERS = {"]": "[", "}": "{"}


def elements(payload: bytes) -> Iterator[Element]:
    """The elements of an array, or the values that a message is; what is broken comes as such.

    A byte order mark, missing commas and one too many at the end are overlooked. Bytes that aren't UTF-8 are
    smuggled through as surrogates, so that they spoil their own element only.
    """
    text = payload.decode("utf-8", "surrogateescape")
    at = _skip(text, int(text.startswith(_BYTE_ORDER_MARK)))
    array = text.startswith("[", at)
    if not array and at == len(text):
        yield Element(payload, broken="the message is empty")
    at = _skip(text, at + array)
    broken, torn = 0, False
    while at < len(text) and not (array and text[at] == "]"):
        element, end = _scan(text, at)
        torn = element.broken is not None
        broken += torn
        if torn and (not array or broken > BROKEN_MAX):
            yield Element(_bytes(text[at:]), broken=element.broken)
            return
        yield element
        at = _skip(text, end)
        if text.startswith(",", at):
            at = _skip(text, at + 1)
    if array and at == len(text) and not torn:
        yield Element(b"", broken="the array isn't closed")
    elif array and at < len(text) and _skip(text, at + 1) < len(text):
        yield Element(_bytes(text[at:]), broken=f"the array ends at character {at}, but more follows")


def _scan(text: str, at: int) -> tuple[Element, int]:
    """The value at a place, and where it ends."""
    try:
        value, end = _SCANNER.raw_decode(text, at)
    except (ValueError, RecursionError) as error:
        end = _broken_end(text, at)
        why = str(error) if isinstance(error, ValueError) else _TOO_DEEP
        return Element(_bytes(text[at : max(end, at + 1)].rstrip(_SPACE)), broken=why), end
    original = _bytes(text[at:end])
    if not _is_utf8(original):
        return Element(original, broken="not UTF-8"), end
    if _is_deep(text, at, end):
        return Element(original, broken=_TOO_DEEP), end
    return Element(original, value), end


def _broken_end(text: str, at: int) -> int:
    """Where the broken element ends that begins here: at a comma, at the array's `]`, or with the text."""
    stack: list[str] = []
    opened = {"[": 0, "{": 0}
    for match in _TOKEN.finditer(text, at):
        found = match[0]
        if found == '"':
            return len(text)  # no quote follows, so no report
        if found[0] == '"':
            torn = _torn(found)
            if torn and not _AFTER_STRING.match(text, match.end()):
                return match.start() + torn
            continue
        if found[0] == "," and (not stack or (found[-1] == "{" and stack[-1] == "{")):
            return match.start()
        if found[-1] in opened:
            stack.append(found[-1])
            opened[found[-1]] += 1
        elif found in _OPENERS:
            opener = _OPENERS[found]
            if opened[opener]:
                _close(stack, opened, opener)
            elif found == "]":
                return match.start()
    return len(text)


def _close(stack: list[str], opened: dict[str, int], opener: str) -> None:
    """Close the innermost bracket of this kind, and what was left open inside it."""
    while True:
        innermost = stack.pop()
        opened[innermost] -= 1
        if innermost == opener:
            return


def _torn(string: str) -> int:
    """Where the comma stands in a string that ends with a comma and `{`, else 0."""
    head = string[:-1].rstrip(_SPACE)
    if not head.endswith("{"):
        return 0
    head = head[:-1].rstrip(_SPACE)
    return len(head) - 1 if head.endswith(",") else 0


def _is_deep(text: str, at: int, end: int) -> bool:
    """Whether a value that was read is nested deeper than the bound."""
    if text.count("[", at, end) + text.count("{", at, end) <= DEPTH_MAX:
        return False
    depth = 0
    for match in _TOKEN.finditer(text, at, end):
        last = match[0][-1]
        depth += (last in "[{") - (last in "]}")
        if depth > DEPTH_MAX:
            return True
    return False


def _is_utf8(original: bytes) -> bool:
    try:
        original.decode()
    except UnicodeDecodeError:
        return False
    return True


def _skip(text: str, at: int) -> int:
    while at < len(text) and text[at] in _SPACE:
        at += 1
    return at


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
