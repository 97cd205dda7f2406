"""Map errors: where the streets truly run, given a map that is some metres off.

The district that everybody sees is the map; vehicles drive on lines beside it. Junctions move smoothly with
their surroundings and stay joined, between them each line wanders by itself, and where the map cuts a bend
the true line goes further out. True measures are told on the map: every vertex of a true line knows its own.
"""

from __future__ import annotations

import math
import zlib
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass as validated

from simulators.roads import Centreline, Roads

#: Lines are moved at places this far apart at most.
SAMPLE_M = 12.0
#: Errors of junctions are alike within about this distance.
ALIKE_M = 120.0
WAVES = 24
#: Between junctions nearer than this a line has less room to wander.
ROOM_M = 60.0
#: A vertex where the line turns by more is a bend; what it is cut by fades over this length to both sides.
BEND_RAD = math.radians(12.0)
BEND_M = 25.0

Amount = Annotated[float, Field(ge=0.0)]


@validated(frozen=True, slots=True, config=ConfigDict(extra="forbid"))
class MapError:
    """How far off the map is: root mean squares, and the most by which it cuts a bend."""

    #: Of the distance between a place on the map and the same place in truth.
    off_m: Amount = 0.0
    cut_m: Amount = 0.0

    def true_roads(self, mapped: Roads, seed: int) -> Roads:
        """The roads that are driven on, given those of the map."""
        if self.off_m == self.cut_m == 0.0:
            return mapped
        # Half of the variance is common to a neighbourhood, half is a line's own.
        field = _Field(np.random.default_rng([seed, 1]), self.off_m / 2.0)
        nodes = np.array(mapped.node_xy)
        moved = nodes + field.at(nodes)
        lines = [self._line(mapped, i, moved - nodes, seed) for i in range(len(mapped.lines))]
        return mapped.moved(lines, [(x, y) for x, y in moved.tolist()])

    def _line(self, mapped: Roads, index: int, off_by_node: NDArray[np.float64], seed: int) -> Centreline:
        line, stations = mapped.lines[index], mapped.stations[index]
        rng = np.random.default_rng([seed, 2, zlib.crc32(line.line.line_id.encode())])
        at_m = np.array([m for m, _ in stations])
        places = {*line.along_m.tolist(), *at_m.tolist()}
        places |= set(np.linspace(0.0, line.length_m, math.ceil(line.length_m / SAMPLE_M) + 1).tolist())
        mapped_m = np.array(sorted(places))
        mapped_m = mapped_m[np.concatenate([[True], np.diff(mapped_m) > 1e-6])]
        off_node = off_by_node[[node for _, node in stations]]
        off = np.column_stack([np.interp(mapped_m, at_m, off_node[:, axis]) for axis in (0, 1)])
        # 0 at the line's junctions, where other lines have to meet it.
        section = np.clip(np.searchsorted(at_m, mapped_m, side="right") - 1, 0, len(at_m) - 2)
        share = (mapped_m - at_m[section]) / (at_m[section + 1] - at_m[section])
        sigma_m = self.off_m / math.sqrt(2 * 3) * np.minimum(1.0, np.diff(at_m) / ROOM_M)
        for wave in (1, 2, 3):
            own = rng.normal(0.0, 1.0, (len(at_m) - 1, 2)) * sigma_m[:, None]
            off += own[section] * np.sin(wave * math.pi * share)[:, None]
        off += self._bends(line, mapped_m, rng) * np.sin(math.pi * share)[:, None]
        xy = line.at(mapped_m) + off
        along_m = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(xy, axis=0).T))])
        return Centreline(line.line, xy, along_m, mapped_m)

    def _bends(
        self, line: Centreline, mapped_m: NDArray[np.float64], rng: np.random.Generator
    ) -> NDArray[np.float64]:
        """How far (n, 2) the true line lies outside the map's at bends that it cuts."""
        out = np.zeros((len(mapped_m), 2))
        ahead = np.diff(line.xy, axis=0)
        ahead /= np.hypot(ahead[:, 0], ahead[:, 1])[:, None]
        for i in range(len(ahead) - 1):
            inward = ahead[i + 1] - ahead[i]
            size = float(np.hypot(*inward))
            if size < 2.0 * math.sin(BEND_RAD / 2.0):
                continue
            near = np.maximum(0.0, 1.0 - np.abs(mapped_m - line.along_m[i + 1]) / BEND_M)
            out -= near[:, None] * inward / size * rng.uniform(0.0, self.cut_m)
        return out


class _Field:
    """A smooth random displacement of the plane: waves in random directions, `sigma_m` on each axis."""

    def __init__(self, rng: np.random.Generator, sigma_m: float) -> None:
        self._wave = rng.normal(0.0, 1.0 / ALIKE_M, (2, WAVES, 2))
        self._phase = rng.uniform(0.0, 2.0 * math.pi, (2, WAVES))
        self._size_m = sigma_m * math.sqrt(2.0 / WAVES)

    def at(self, xy: NDArray[np.float64]) -> NDArray[np.float64]:
        """(n, 2) metres at n places."""
        axes = [
            np.cos(xy @ self._wave[axis].T + self._phase[axis]).sum(axis=1) * self._size_m for axis in (0, 1)
        ]
        return np.column_stack(axes)
