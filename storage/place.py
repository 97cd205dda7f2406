"""A report's place: the record of the log that brought it, and its number in that record."""

from __future__ import annotations

from typing import NamedTuple


class Place(NamedTuple):
    """Where a report, or a refusal, came from; it names the original bytes."""

    log_id: str
    partition: int
    offset: int
    element: int
