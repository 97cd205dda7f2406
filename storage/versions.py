"""What made a figure."""

from __future__ import annotations

from typing import NamedTuple


class Versions(NamedTuple):
    """The rules (release and digest of all parameters) and the map."""

    rule_version: str
    map_version: str
