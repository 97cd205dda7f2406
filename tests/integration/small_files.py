"""The files of the small world's district: what `District` says there, as a folder has it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from importlib.metadata import version

import psycopg

from processing.district import Line
from processing.district_files import parse_district
from processing.pipeline import Core
from storage import district as stored
from storage.versions import Versions
from streams.cores import Cores, Dated
from tests.integration import small_world
from tests.integration.small_world import START_US

RELEASE = version("swept")


def files(required: Mapping[str, int], roster: Sequence[str]) -> dict[str, bytes]:
    """The files; other requirements by street, and who is expected in the early shift."""
    world = small_world.district()
    streets = []
    for street in world.streets:
        told = {"kind": "alley", "required": required.get(street.street_id, street.required)}
        streets.append(_feature(street, told))
    roads = [_feature(road, {"kind": "road"}) for road in world.roads]
    units = [f'[[unit]]\nid = "{u.unit_id}"\nname = "{u.name}"\nprofile = "sweeper"\n' for u in world.units]
    shift = '[[shift]]\nid = "early"\nname = "Early shift"\nstart = "06:00"\nend = "14:00"\n'
    texts = {
        "district.toml": 'id = "test"\nname = "Test"\n',
        "streets.geojson": _collection(streets),
        "roads.geojson": _collection(roads),
        "profiles.toml": "[sweeper]\n",
        "units.toml": "".join(units),
        "shifts.toml": shift + (f"roster = {json.dumps(list(roster))}\n" if roster else ""),
    }
    return {name: text.encode() for name, text in texts.items()}


def _collection(features: list[dict[str, object]]) -> str:
    return json.dumps({"type": "FeatureCollection", "features": features})


def _feature(line: Line, more: dict[str, object]) -> dict[str, object]:
    return {
        "type": "Feature",
        "properties": {"street_id": line.line_id, "name": line.name, **more},
        "geometry": {"type": "LineString", "coordinates": [list(point) for point in line.parts[0]]},
    }


@dataclass(frozen=True)
class Town:
    """A variant of the small world, as files."""

    required: tuple[tuple[str, int], ...] = ()
    roster: tuple[str, ...] = ("u1",)
    shifts: bool = True

    @property
    def files(self) -> dict[str, bytes]:
        found = files(dict(self.required), self.roster)
        return found if self.shifts else {name: text for name, text in found.items() if name != "shifts.toml"}

    @property
    def core(self) -> Core:
        return _core(self)

    @property
    def rule_version(self) -> str:
        return f"{RELEASE}+{self.core.rules.digest()}"

    def load(self, connection: psycopg.Connection) -> Cores:
        """Put the files in force for every day; what a worker computes with."""
        number, _ = stored.save(connection, self.core.district, self.files, self.rule_version)
        stored.put_in_force(connection, "test", number, date(2000, 1, 1), START_US)
        versions = Versions(self.rule_version, self.core.district.map_version)
        return Cores(Dated(self.core, versions, number), lambda rules: f"{RELEASE}+{rules.digest()}")


@lru_cache(maxsize=8)
def _core(town: Town) -> Core:
    return Core(parse_district(town.files))
