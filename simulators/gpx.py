"""GPX tracks as rows: each trk is a unit by its name, each trkpt a fix.

Read with expat's handlers; a document type declaration is refused, since with it come entities that expand
without bound or name other files.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from xml.parsers import expat

#: GPX 1.0 and its usual extensions tell speed in m/s and course in degrees.
KEPT = {"time", "speed", "course", "sat"}

Row = tuple[int, str, dict[str, Any] | str]


class _Reader:
    """Collects rows while expat calls."""

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self._tracks = 0
        self._unit = ""
        self._point: dict[str, Any] | None = None
        self._line = 0
        self._path: list[str] = []
        self._text = ""
        self.parser = expat.ParserCreate(namespace_separator=" ")
        self.parser.buffer_text = True
        self.parser.StartDoctypeDeclHandler = self._refuse
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._characters

    def _refuse(self, *_: object) -> None:
        raise ValueError("it declares a document type; remove the line that starts with <!DOCTYPE")

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        name = tag.rpartition(" ")[2]
        self._path.append(name)
        self._text = ""
        if name == "trk":
            self._tracks += 1
            self._unit = f"track-{self._tracks}"
        elif name == "trkpt":
            self._line = self.parser.CurrentLineNumber
            self._point = {axis: _number(attributes[axis]) for axis in ("lon", "lat") if axis in attributes}

    def _characters(self, text: str) -> None:
        if len(self._text) + len(text) <= 1_000:
            self._text += text

    def _end(self, tag: str) -> None:
        name = tag.rpartition(" ")[2]
        self._path.pop()
        text = self._text.strip()
        if name == "name" and self._path[-1:] == ["trk"] and text:
            self._unit = "".join("-" if letter in "/+#\0" else letter for letter in text)[:200]
        elif name == "trkpt" and self._point is not None:
            self.rows.append((self._line, self._unit, _payload(self._point)))
            self._point = None
        elif self._point is not None and name in KEPT:
            self._point[name] = text


def read_gpx(text: str) -> Iterator[Row]:
    """Rows of a GPX text: line number, unit, and payload or problem; a broken file ends with one."""
    reader = _Reader()
    try:
        reader.parser.Parse(text, True)  # noqa: FBT003 - expat's own signature
    except (expat.ExpatError, ValueError) as error:
        reader.rows.append((reader.parser.CurrentLineNumber, "", f"not read on from here: {error}"))
    yield from reader.rows


def _payload(point: dict[str, Any]) -> dict[str, Any] | str:
    if "time" not in point:
        return "a trkpt without time"
    payload: dict[str, Any] = {name: point[name] for name in ("time", "lon", "lat") if name in point}
    if isinstance(speed := _number(point.get("speed", "")), float):
        payload["speed_kmh"] = round(speed * 3.6, 2)
    if isinstance(course := _number(point.get("course", "")), float):
        payload["heading_deg"] = course
    satellites = point.get("sat", "")
    if satellites.isascii() and satellites.isdigit() and len(satellites) < 10:
        payload["satellites"] = int(satellites)
    return payload


def _number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text
