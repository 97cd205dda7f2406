"""Match recordings with hand-corrected routes (Kubicka et al. 2015) and say how right the routes are.

    python benchmarks/kubicka.py FOLDER [--every SECONDS] [--out DIR] [--against fastmm]

FOLDER holds a folder per track, or the zip of them (simulators/kubicka.py says what is in it). The figure is
F1, weighted by length, over the multiset of undirected arcs: consecutive repeats of one arc count once, so a
street driven twice counts twice. With --against the peer (8 candidates within 50 m) is judged by the same
measure, and the difference by a paired bootstrap over the tracks. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import compress
from pathlib import Path
from statistics import median

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from swept.kernel_cache import use_own_cache

use_own_cache()

from processing.district import District, Road, Unit, UnitProfile
from processing.fix import Kind, Report, ReportColumns
from processing.join import ANEW, TOUCH_M, Legs, join_steps
from processing.pipeline import Core, steps_of
from processing.rules import Rules
from simulators.kubicka import Recording, read_recording, track_folders

PEER_CANDIDATES = 8
RESAMPLES, SEED = 10_000, 1
REPEATS = 3
NEAR_M, M_PER_DEG = 3_000.0, 111_000.0

#: Over a silence a district leaves metres unobserved; here the likeliest way is asked for, whatever it is.
RULES = Rules(join_s_max=Rules().track_gap_s_max)

CAR = Unit("car", "car", UnitProfile("car", working_when=(), top_speed_kmh=200.0))


def reports_of(recording: Recording) -> ReportColumns:
    """The fixes as reports of the car, whose clock begins with 1970."""
    return ReportColumns.of(
        [
            Report("car", Kind.FIX, round(1e6 * t), round(1e6 * t), lon=lon, lat=lat)
            for lon, lat, t in recording.fixes.tolist()
        ]
    )


def core_of(recording: Recording) -> Core:
    """The map made ready; of one too large for a district the part within `NEAR_M` of the fixes."""
    try:
        return Core(_district(recording.name, recording.roads))
    except ValueError as error:
        print(f"{recording.name}: {error}; only what lies near the track is taken", file=sys.stderr)
    scale = M_PER_DEG * np.array([np.cos(np.radians(recording.fixes[:, 1].mean())), 1.0])
    ends = np.array([(road.parts[0][0], road.parts[-1][-1]) for road in recording.roads])
    away_m = cKDTree(recording.fixes[:, :2] * scale).query(ends * scale)[0].min(axis=1)
    near = (away_m < NEAR_M).tolist()
    return Core(_district(recording.name, tuple(compress(recording.roads, near))))


def _district(name: str, roads: tuple[Road, ...]) -> District:
    return District(name, "", (), roads, (CAR,), rules=RULES, noded=True)


def thin(reports: ReportColumns, every_s: float) -> ReportColumns:
    """Fixes at least `every_s` apart, the first one kept."""
    keep, last = [], -(10**18)
    for i, moment in enumerate(reports.fix_time_us.tolist()):
        if moment - last >= every_s * 1e6:
            keep.append(i)
            last = moment
    return reports.take(np.array(keep))


def matched_arcs(core: Core, reports: ReportColumns) -> list[int]:
    """Arc indexes of the decoded path in order, consecutive repeats once; what it only touched isn't in it."""
    driven: list[int] = []
    for fixes, match in core.matched("car", reports):
        legs, _ = join_steps(core.network, core.routes, match.weights, steps_of(fixes, match), ANEW)
        driven += without_touches(legs, core.rules.leave_m_min)
    return arcs_of(core, driven)


def without_touches(legs: Legs, leave_m_min: float) -> list[int]:
    """The edges of a path but for those left again where they were entered, after less than `leave_m_min`.

    To leave a street for less is no leaving (docs/DEFINITIONS.md), and a fix that lies beyond a junction by
    its noise is no visit. The more fixes there are, the more of them do.
    """
    moved = np.flatnonzero(legs.from_m != legs.to_m)
    edge, from_m, to_m = legs.edge[moved], legs.from_m[moved], legs.to_m[moved]
    if len(edge) == 0:
        return []
    first = np.flatnonzero(np.diff(edge, prepend=-1))
    last = np.append(first[1:], len(edge)) - 1
    reach_m = np.maximum.reduceat(np.maximum(from_m, to_m), first)
    reach_m -= np.minimum.reduceat(np.minimum(from_m, to_m), first)
    touched = (np.abs(to_m[last] - from_m[first]) < TOUCH_M) & (reach_m < leave_m_min)
    touched[[0, -1]] = False
    edges: list[int] = edge[first[~touched]].tolist()
    return edges


def peer_arcs(core: Core, reports: ReportColumns) -> list[int]:
    """The same of fastmm's path, which gets all fixes at once and parts them itself."""
    from benchmarks.peers import Fastmm  # noqa: PLC0415 - a development dependency that only --against needs

    peer = Fastmm(core.network, core.line_references)
    x_m, y_m = core.projection.to_xy(reports.lon, reports.lat)
    return arcs_of(
        core, peer.path(peer.match(peer.trajectory(x_m, y_m, reports.fix_time_us), PEER_CANDIDATES))
    )


def arcs_of(core: Core, edges: list[int]) -> list[int]:
    """Arc indexes of edges driven one after the other, consecutive repeats once."""
    arcs = [int(core.line_of_edge(edge)) for edge in edges]
    return [arc for i, arc in enumerate(arcs) if i == 0 or arcs[i - 1] != arc]


def agreement(core: Core, found: list[int], route: list[int]) -> tuple[float, float, float]:
    """Metres of (found and true, found, true), as multisets of arcs."""
    length = {int(ref.line_id): ref.length_mm / 1000 for ref in core.line_references}
    have, want = Counter(found), Counter(route)
    both = have & want
    return tuple(sum(length.get(arc, 0.0) * n for arc, n in c.items()) for c in (both, have, want))  # type: ignore[return-value]


@dataclass(frozen=True, slots=True)
class Score:
    """How right a track's path is: shares of metres."""

    f1: float
    precision: float
    recall: float

    @classmethod
    def of(cls, core: Core, found: list[int], recording: Recording) -> Score:
        """The score of found arcs against the recording's route."""
        both, have, want = agreement(core, found, [int(arc) for arc in recording.route])
        return cls(*(a / b if b else 0.0 for a, b in ((2 * both, have + want), (both, have), (both, want))))

    def __str__(self) -> str:
        return f"f1 {self.f1:.4f} precision {self.precision:.4f} recall {self.recall:.4f}"


def timed(run: Callable[[], list[int]]) -> tuple[list[int], float]:
    """What a run gives, and the median of its seconds."""
    seconds = []
    for _ in range(REPEATS):
        begun = time.perf_counter()
        found = run()
        seconds.append(time.perf_counter() - begun)
    return found, median(seconds)


def lower_bound(differences: NDArray[np.float64]) -> float:
    """The one-sided 95 % bound below the mean of paired differences, by resampling the tracks."""
    drawn = np.random.default_rng(SEED).integers(len(differences), size=(RESAMPLES, len(differences)))
    return float(np.quantile(differences[drawn].mean(axis=1), 0.05))


def tell_peer(own: list[Score], peer: list[Score]) -> None:
    """Print how the peer did, and what the difference is worth."""
    difference = np.array([a.f1 - b.f1 for a, b in zip(own, peer, strict=True)])
    print(
        f"fastmm f1 {np.mean([one.f1 for one in peer]):.4f} precision "
        f"{np.mean([one.precision for one in peer]):.4f} recall {np.mean([one.recall for one in peer]):.4f}"
    )
    print(
        f"swept is ahead by {difference.mean():+.4f}, at least {lower_bound(difference):+.4f} "
        f"(95 %, {RESAMPLES:,} resamples of {len(own)} tracks, seed {SEED})"
    )


def main() -> None:
    """Run all tracks of a folder."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--every", type=float, default=0.0, help="seconds between the fixes used")
    parser.add_argument("--out", type=Path, help="write DIR/TRACK.arcs here")
    parser.add_argument("--against", choices=["fastmm"], help="judge this peer by the same measure")
    args = parser.parse_args()
    try:
        folders = track_folders(args.folder)
    except ValueError as error:
        sys.exit(f"{error}.")
    scores: list[Score] = []
    peer_scores: list[Score] = []
    fixes, seconds = 0, 0.0
    for folder in folders:
        recording = read_recording(folder)
        core = core_of(recording)
        reports = thin(reports_of(recording), args.every)
        matched_arcs(core, reports.take(slice(0, 30)))  # compiles; a large map has kernels of its own
        found, median_s = timed(partial(matched_arcs, core, reports))
        seconds += median_s
        fixes += len(reports)
        scores.append(Score.of(core, found, recording))
        told = f"{recording.name} {scores[-1]}"
        if args.against:
            peer_scores.append(Score.of(core, peer_arcs(core, reports), recording))
            told += f"   fastmm f1 {peer_scores[-1].f1:.4f}"
        print(told, flush=True)
        if args.out:
            args.out.mkdir(parents=True, exist_ok=True)
            (args.out / f"{recording.name}.arcs").write_text("".join(f"{arc}\n" for arc in found))
    if args.against:
        tell_peer(scores, peer_scores)
    print(
        json.dumps(
            {
                "tracks": len(folders),
                "fixes": fixes,
                "precision": round(float(np.mean([one.precision for one in scores])), 4),
                "recall": round(float(np.mean([one.recall for one in scores])), 4),
                "f1": round(float(np.mean([one.f1 for one in scores])), 4),
                "fixes_per_second": round(fixes / seconds),
            }
        )
    )


if __name__ == "__main__":
    main()
