"""Which core computes a service day: the map and the rules that are in force for it.

A map that is redrawn is in force from a day on; what came before stays on the old one, also where a late fix
has it computed again. Cores are big and few, so some are kept and the others made anew when a late fix asks.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from psycopg import Connection

from processing.district import District
from processing.district_files import parse_district
from processing.pipeline import Core
from processing.rules import Rules
from storage import district as stored
from storage.versions import Versions

CORES_MAX = 3
"""Cores that are kept; one of a large district holds some 130 MB."""


@dataclass(frozen=True, slots=True)
class Dated:
    """A core, the versions that its figures carry, and the number of its district version."""

    core: Core
    versions: Versions
    version: int = 0


class Cores:
    """The cores of a district by service day; `first` serves where nothing else was put in force."""

    def __init__(
        self,
        first: Dated,
        rule_version_of: Callable[[Rules], str] | None = None,
        core_of: Callable[[District], Core] = Core,
    ) -> None:
        self.first = first
        self._district_id = first.core.district.district_id
        self._rule_version_of = rule_version_of
        self._core_of = core_of
        self.timeline: list[stored.InForce] = []
        self._districts: dict[int, District] = {}
        self._made: OrderedDict[int, Dated] = OrderedDict()

    def reread(self, connection: Connection[Any]) -> None:
        """Learn what was put in force since."""
        if self._rule_version_of is not None:
            self.timeline = stored.in_force(connection, self._district_id)

    def standing(self, connection: Connection[Any]) -> Dated:
        """The core of the version that goes on from now."""
        version = stored.standing(self.timeline)
        return self.first if version is None else self.of(connection, version)

    def at(self, connection: Connection[Any], day: date) -> Dated:
        """The core for a service day."""
        version = stored.version_of(self.timeline, day)
        return self.first if version is None else self.of(connection, version)

    def of(self, connection: Connection[Any], version: int) -> Dated:
        """The core of a district version."""
        if version == self.first.version:
            return self.first
        if version not in self._made:
            self._made[version] = self._make(connection, version)
            while len(self._made) > CORES_MAX:
                self._made.popitem(last=False)
        self._made.move_to_end(version)
        return self._made[version]

    def districts(self, connection: Connection[Any], today: date, days: int) -> tuple[District, ...]:
        """The districts in force for today and for some days before, newest first, then the one that goes on."""
        wanted = [stored.version_of(self.timeline, today - timedelta(days=n)) for n in range(days + 1)]
        wanted.append(stored.standing(self.timeline))
        numbers = [number for number in dict.fromkeys(wanted) if number is not None]
        return tuple(self._district(connection, n) for n in numbers) or (self.first.core.district,)

    def _district(self, connection: Connection[Any], version: int) -> District:
        if version == self.first.version:
            return self.first.core.district
        if version not in self._districts:
            files = stored.files_of(connection, self._district_id, version)
            assert files is not None, "what is in force refers to a version"
            self._districts[version] = parse_district(files)
        return self._districts[version]

    def knowing(self, dated: Dated, unit_id: str) -> Core:
        """The dated core; where its version doesn't know a unit, with what another says of the unit."""
        if unit_id in dated.core.units:
            return dated.core
        others = (self.first.core.district, *self._districts.values())
        unit = next((one for district in others for one in district.units if one.unit_id == unit_id), None)
        return dated.core if unit is None else dated.core.knowing(unit)

    def _make(self, connection: Connection[Any], version: int) -> Dated:
        assert self._rule_version_of is not None
        district = self._district(connection, version)
        versions = Versions(self._rule_version_of(district.rules), district.map_version)
        return Dated(self._core_of(district), versions, version)
