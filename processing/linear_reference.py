"""Linear reference: a position on a line as metres from its start, the measure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from processing.district import Line
from processing.geodesy import LocalProjection

#: Ends nearer than this are one point.
SAME_POINT_M = 0.01


@dataclass(frozen=True, slots=True, eq=False)
class Reference:
    """A line in plane metres: `xy` is (n, 2), `along_m` (n,) the measure of each vertex."""

    line_id: str
    length_mm: int
    closed: bool
    xy: NDArray[np.float64]
    along_m: NDArray[np.float64]

    def point_at(self, measure_m: float) -> tuple[float, float]:
        """Plane metres of a measure; beyond an end, that end."""
        x_m = float(np.interp(measure_m, self.along_m, self.xy[:, 0]))
        y_m = float(np.interp(measure_m, self.along_m, self.xy[:, 1]))
        return x_m, y_m


def reference(line: Line, projection: LocalProjection) -> Reference:
    """The linear reference of a line; its parts follow each other in the order of the measure."""
    degrees = np.concatenate([np.asarray(part, dtype=np.float64) for part in line.parts])
    xy = np.column_stack(projection.to_xy(degrees[:, 0], degrees[:, 1]))
    steps = np.hypot(*np.diff(xy, axis=0).T)
    keep = np.concatenate([[True], steps > 0.0])
    xy, steps = xy[keep], steps[keep[1:]]
    along_m = np.concatenate([[0.0], np.cumsum(steps)])
    closed = len(xy) > 3 and bool(np.hypot(*(xy[0] - xy[-1])) < SAME_POINT_M)
    return Reference(line.line_id, round(along_m[-1] * 1000), closed, xy, along_m)
