"""Draw the two pictures of docs/matching.md: a pair of alleys, the fixes, and what was decided.

    python benchmarks/pictures.py [--out docs]

Both are made by the matcher itself on a made-up pair of alleys 20 m apart; the seeds are in the file.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from swept.kernel_cache import use_own_cache

use_own_cache()

import matplotlib as mpl

mpl.use("agg")
import matplotlib.pyplot as plt
from matplotlib.axes import Axes

from processing.ambiguity import Window, certainty, rival_of
from processing.district import District, Road, Street, Unit, UnitProfile
from processing.geodesy import LocalProjection
from processing.lattice import Lattice, new_lattice
from processing.match import Match, TrackFixes, match_track, take_fixes, weights_of
from processing.pipeline import Core
from processing.viterbi import meeting

PLANE = LocalProjection(122.27, 40.67)
SWEEPER = UnitProfile("sweeper")
EVERY_S, SPEED_MS, NOISE_S = 5.0, 2.2, 30.0
THROUGH_SEED, BACK_SEED = 680, 12
GREY, OWN, OTHER = "#b8b8b8", "#0a6ebd", "#d1495b"

XY = tuple[float, float]


def _degrees(*points: XY) -> tuple[tuple[tuple[float, float], ...], ...]:
    lon, lat = PLANE.to_lonlat(*np.array(points).T)
    return (tuple(zip(lon.tolist(), lat.tolist(), strict=True)),)


def town(*, to_the_north: bool) -> Core:
    """Alleys 17 and 18, 20 m apart, from one avenue; with another one in the north, or dead ends."""
    roads = [Road("avenue", "avenue", _degrees((-120, 0), (140, 0)))]
    if to_the_north:
        roads.append(Road("north", "north", _degrees((-120, 150), (140, 150))))
    streets = tuple(
        Street(name, name, _degrees((x, 0), (x, 150))) for name, x in (("alley 17", 0.0), ("alley 18", 20.0))
    )
    return Core(District("pair", "pair", streets, tuple(roads), (Unit("u", "u", SWEEPER),)))


@dataclass(frozen=True, slots=True, eq=False)
class Drive:
    """What a unit told of a drive through points, and where it lies in metres of the picture."""

    core: Core
    fixes: TrackFixes
    match: Match
    x_m: NDArray[np.float64]
    y_m: NDArray[np.float64]


def drive(core: Core, corners: list[XY], sigma_m: float, seed: int) -> Drive:
    """Drive along corners with a receiver whose errors are correlated, and match it."""
    random = np.random.default_rng(seed)
    legs = np.hypot(*np.diff(np.array(corners), axis=0).T)
    along = np.arange(0.0, legs.sum(), EVERY_S * SPEED_MS)
    at = np.concatenate([[0.0], np.cumsum(legs)])
    n, keep = len(along), float(np.exp(-EVERY_S / NOISE_S))
    noise = random.normal(0.0, sigma_m, (n, 2))
    for i in range(1, n):
        noise[i] = keep * noise[i - 1] + np.sqrt(1.0 - keep * keep) * noise[i]
    x = np.interp(along, at, [c[0] for c in corners]) + noise[:, 0]
    y = np.interp(along, at, [c[1] for c in corners]) + noise[:, 1]
    x_m, y_m = core.projection.to_xy(*PLANE.to_lonlat(x, y))
    nothing = np.full(n, np.nan)
    time_us = (np.arange(n) * EVERY_S * 1e6).astype(np.int64)
    speeds = np.full(n, 3.6 * SPEED_MS)
    fixes = TrackFixes(time_us, x_m, y_m, speeds, nothing, np.full(n, sigma_m), np.ones(n, dtype=np.int8))
    match = match_track(core.network, core.routes, fixes, SWEEPER, core.rules)
    return Drive(core, fixes, match, x, y)


def settled_at(one: Drive) -> list[int]:
    """For each step the number of fixes after which it could no longer change."""
    core, weights = one.core, weights_of(SWEEPER, one.core.rules)
    n, out = len(one.fixes.time_us), []
    lattice = new_lattice(n)
    for i in range(n):
        take_fixes(core.network, core.routes, weights, one.fixes, i, i + 1, lattice)
        row, _ = meeting(lattice.rows, 0, int(lattice.tip["rows"][0]), lattice.work["score"][0])
        out += [i] * (row + 1 - len(out))
    return out + [n] * (len(one.match.steps) - len(out))


def show(axes: Axes, one: Drive, title: str, *, north: bool) -> None:
    """The alleys, the fixes, and where each was placed."""
    axes.plot([-120, 140], [0, 0], color=GREY, lw=7, solid_capstyle="round", zorder=1)
    if north:
        axes.plot([-120, 140], [150, 150], color=GREY, lw=7, solid_capstyle="round", zorder=1)
    for x, name in ((0, "alley 17"), (20, "alley 18")):
        axes.plot([x, x], [0, 150], color="#dcdcdc", lw=5, zorder=1)
        axes.text(x, 162 if north else 158, name[-2:], ha="center", fontsize=11, color="#444444")
    lon, lat = one.core.projection.to_lonlat(*_places(one))
    px, py = PLANE.to_xy(lon, lat)
    steps = one.match.steps
    for i, step in enumerate(steps):
        axes.plot([one.x_m[step], px[i]], [one.y_m[step], py[i]], color="#999999", lw=0.7, zorder=2)
    names = [one.core.line_of_edge(int(edge)) if edge >= 0 else "" for edge in one.match.edge]
    colours = [{"alley 17": OWN, "alley 18": OTHER}.get(name, "#666666") for name in names]
    axes.scatter(px, py, s=14, color=colours, zorder=3)
    near = np.where(np.abs(one.x_m) <= np.abs(one.x_m - 20.0), 17, 18)
    inside = (one.y_m > 15) & (one.y_m < 135) & (np.abs(one.x_m - 10) < 40)
    nearest = [OWN if near[i] == 17 else OTHER for i in range(len(near))]
    edge = [nearest[i] if inside[i] else "#666666" for i in range(len(near))]
    axes.scatter(one.x_m, one.y_m, s=42, facecolors="white", edgecolors=edge, linewidths=1.6, zorder=4)
    axes.set_title(title, fontsize=11, loc="left")
    axes.set_aspect("equal")
    axes.set_xlim(-75, 95)
    axes.set_ylim(-22, 180)
    axes.axis("off")
    axes.plot([45, 95], [-15, -15], color="#444444", lw=1.5)
    axes.text(70, -11, "50 m", ha="center", fontsize=9, color="#444444")


def _places(one: Drive) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    points = []
    for edge, measure_m, row in zip(one.match.edge, one.match.measure_m, one.match.rows, strict=True):
        if edge < 0:
            points.append((row["x_m"], row["y_m"]))
        else:
            line = one.core.network.edge_line[edge]
            points.append(one.core.line_references[line].point_at(float(measure_m)))
    x_m, y_m = np.array(points).T
    return x_m, y_m


def sureness(one: Drive) -> tuple[str, float, str]:
    """The alley that the drive is said to be in, how sure that is, and the rival."""
    lines = np.where(one.match.edge >= 0, one.core.network.edge_line[one.match.edge], -1)
    alleys = len(one.core.district.streets)
    on = np.flatnonzero((lines >= 0) & (lines < alleys))
    line = int(np.bincount(lines[on]).argmax())
    first, last = np.flatnonzero(lines == line)[[0, -1]].tolist()
    low, high, states = max(0, first - 1), min(len(lines), last + 2), one.match.states
    start = int(states[low]) if low < first else -1
    end = int(states[high - 1]) if high - 1 > last else -1
    window = Window(line, low, high, start, end, (lines[first : last + 1] == line).tobytes())
    lattice = Lattice(one.match.rows, one.match.candidates, *new_lattice(0)[2:])
    rival = rival_of(one.core.network, one.core.routes, one.match.weights, lattice, window)
    names = [street.street_id for street in one.core.district.streets]
    return (
        names[line],
        certainty(rival, one.core.rules),
        names[rival.line] if 0 <= rival.line < alleys else "",
    )


def counts(one: Drive) -> tuple[int, int]:
    """How many fixes well inside lie nearer to alley 17, and to 18."""
    inside = (one.y_m > 15) & (one.y_m < 135)
    nearer = np.abs(one.x_m[inside]) <= np.abs(one.x_m[inside] - 20.0)
    return int(nearer.sum()), int((~nearer).sum())


def main() -> None:
    """Draw."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("docs"))
    out = parser.parse_args().out
    mpl.rcParams["svg.hashsalt"] = "swept"
    through = [(-70.0, 0.0), (0.0, 0.0), (0.0, 150.0), (-70.0, 150.0)]
    told(drive(town(to_the_north=True), through, 5.0, THROUGH_SEED), out / "matching-pair.svg")
    back = [(-70.0, 0.0), (8.0, 0.0), (8.0, 140.0), (8.0, 0.0), (-70.0, 0.0)]
    doubted(drive(town(to_the_north=False), back, 8.0, BACK_SEED), out / "matching-doubt.svg")


def told(one: Drive, path: Path) -> None:
    """The first picture: nearest lines against the whole drive, and when it was settled."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(9.6, 5.6), width_ratios=(1.0, 1.0))
    a, b = counts(one)
    name, sure, _ = sureness(one)
    show(
        left,
        one,
        f"Nearest line: {a} fixes in alley 17, {b} in 18.\nThe whole drive: {name} ({sure:.0%} sure)",
        north=True,
    )
    when = np.array(settled_at(one)[: len(one.match.steps)])
    steps = one.match.steps
    names = [one.core.line_of_edge(int(edge)) if edge >= 0 else "" for edge in one.match.edge]
    colours = [{"alley 17": OWN, "alley 18": OTHER}.get(n, "#666666") for n in names]
    right.barh(steps, when - steps, left=steps, height=0.6, color=colours)
    right.invert_yaxis()
    right.set_xlabel("fixes received, one every 5 s")
    right.set_ylabel("step")
    right.set_title("How long each step stays open:\nthe alley until its end", fontsize=11, loc="left")
    right.spines[["top", "right"]].set_visible(False)
    _save(figure, path)


def doubted(one: Drive, path: Path) -> None:
    """The second picture: a drive between two dead ends."""
    figure, axes = plt.subplots(figsize=(5.2, 5.8))
    name, sure, rival = sureness(one)
    text = f"Counts for {name}, {sure:.0%} sure:"
    verdict = f"ambiguous with {rival}" if rival else "no rival"
    show(axes, one, f"{text}\n{verdict}", north=False)
    _save(figure, path)


def _save(figure: plt.Figure, path: Path) -> None:
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)
    print(path)


if __name__ == "__main__":
    main()
