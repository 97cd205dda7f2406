"""A track that may go on: its passes from its fixes, as many at a time as come, and only what may change is kept.

What later fixes can't change any more is frozen: rows of the lattice whose state all survivors share, the legs
and passes on them. The rest, a tail of some rows, is decoded and joined anew with each part that comes. So a
track's passes are those of all of its fixes at once, bit for bit, and a part costs the same however long the
track is.
"""

from __future__ import annotations

import hashlib
import math
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from processing.ambiguity import NO_RIVAL, Rival, Window, certainty, find_windows, rival_of, window_of
from processing.datum_guard import Seen
from processing.district import Unit
from processing.fix import ReportColumns
from processing.join import ANEW, Begun, Legs, Path, Steps, join_steps
from processing.lattice import Lattice, Weights, new_lattice
from processing.match import Match, TrackFixes, close_track, take_fixes, weights_of, write_way
from processing.network import Network
from processing.route import Routes
from processing.rules import Rules
from processing.sweep import Pass, Piece, Run, group_legs, lay_runs, pieces_of
from processing.track import begin_stay, ending
from processing.viterbi import meeting
from processing.working import SPEED_WINDOW_S, Band, Fixes, doings_of

_HASHED = np.dtype(
    [
        (name, "i1" if name == "working" else "i8" if name == "time_us" else "f8")
        for name in TrackFixes._fields
    ]
)
ROWS_MIN = 32
#: Rows that a tail may have and still be kept: about 2 MB.
ROWS_MAX = 4_096


class Ground(NamedTuple):
    """What all tracks of a district are matched on."""

    network: Network
    routes: Routes
    rules: Rules
    line_ids: tuple[str, ...]
    streets: int


class Changes(NamedTuple):
    """Statuses (c,) of the equipment alone: when, and whether the unit works from then on."""

    time_us: NDArray[np.int64]
    state: NDArray[np.int8]

    def part(self, index: Any) -> Changes:  # noqa: ANN401 - whatever numpy indexes with
        """Those that a numpy index selects."""
        return Changes(self.time_us[index], self.state[index])

    def then(self, more: Changes) -> Changes:
        """These, then more."""
        return Changes(np.concatenate([self.time_us, more.time_us]), np.concatenate([self.state, more.state]))


NO_CHANGES = Changes(np.empty(0, np.int64), np.empty(0, np.int8))


class _Settled(NamedTuple):
    """How much of a tail no later fix can change: all before a step.

    That step's fix in the track, what the path comes to there (where it is on the network), how many legs from it
    on are settled as well, and how many passes.
    """

    step: int
    fix: int
    on: bool
    begun: Begun
    legs: int
    passes: int


class _Found(NamedTuple):
    """What a tail comes to: the lines of its steps (m,), the runs (r,), their pieces (p, 5), and what is settled."""

    step_line: NDArray[np.int64]
    pieces: NDArray[np.int64]
    runs: NDArray[np.void]
    settled: _Settled


class Growing:
    """A track of a unit, from its first fix on. Take fixes in order of time; only what is new each time."""

    def __init__(self, ground: Ground, unit: Unit, start_us: int) -> None:
        self.unit = unit
        self.start_us = self.end_us = start_us
        self.count = 0
        self.status: ReportColumns | None = None  # of the equipment alone, the last one
        #: The passes that may still change, as they are now; the first has the number `_ordinal`.
        self.open: tuple[Pass, ...] = ()
        self._ground = ground
        self._weights = weights_of(unit.profile, ground.rules)
        self._lattice = new_lattice(ROWS_MIN)
        self._fixes: TrackFixes | None = None
        self._first_fix = 0
        self._changes = self._pending = NO_CHANGES
        self._begun = ANEW
        self._skip = self._ordinal = 0
        self._told = False
        self._rivals: dict[Window, Rival] = {}
        #: Of each open pass its pieces as numbers, and as what they were made into.
        self._made: list[tuple[bytes, tuple[tuple[Piece, ...], tuple[Piece, ...]]]] = []
        self._hashed = hashlib.sha256(), hashlib.sha256()
        self._settled: _Settled | None = None
        self._stay = begin_stay(start_us)
        self._seen = Seen(ground.network)

    @property
    def digest(self) -> bytes:
        """Tells whether anything that the passes depend on has changed; 16 bytes."""
        return hashlib.sha256(b"".join(one.digest() for one in self._hashed)).digest()[:16]

    @property
    def nbytes(self) -> int:
        """What is kept of it, about."""
        fixes = () if self._fixes is None else self._fixes
        arrays = sum(int(one.nbytes) for one in (*self._lattice, *fixes, self._seen))
        # A piece is 40 bytes as numbers, and as objects five times as many.
        return arrays + 6 * sum(len(key) for key, _ in self._made) + 1_024 * (len(self.open) + 4)

    def ending(self, fixes: TrackFixes) -> tuple[int, int] | None:
        """Where these fixes end the track (`track.ending`), None where it goes on with all of them."""
        return ending(self._stay, fixes.time_us, fixes.x_m, fixes.y_m, self._ground.rules)

    def fits(self, fixes: TrackFixes) -> bool:
        """Whether a track that is known to be on the map is so with its next fixes; if not it is used up."""
        self._seen.add(fixes.x_m, fixes.y_m)
        return self._seen.fits

    def note(self, fixes: TrackFixes, changes: Changes) -> None:
        """Count fixes and changes in, for the digest; `take` matches them."""
        if len(changes.time_us):
            self._pending = self._pending.then(changes)
        if not len(fixes.time_us):
            return
        self.end_us = int(fixes.time_us[-1])
        self.count += len(fixes.time_us)
        rows = np.empty(len(fixes.time_us), dtype=_HASHED)
        for name, column in fixes._asdict().items():
            rows[name] = column
        self._hashed[0].update(rows.tobytes())
        if len(self._pending.time_us):
            low, high = np.searchsorted(self._pending.time_us, [self.start_us, self.end_us + 1])
            told, self._pending = self._pending.part(slice(low, high)), self._pending.part(slice(high, None))
            self._hashed[1].update(np.stack([told.time_us, told.state.astype(np.int64)], axis=1).tobytes())
            self._changes = self._changes.then(told)

    def take(self, fixes: TrackFixes) -> tuple[Pass, ...]:
        """Match fixes that were noted; the passes that may have changed, now `open`."""
        ground, profile = self._ground, self.unit.profile
        self._told = self._told or not np.isnan(fixes.speed_kmh).all()
        tail = fixes if self._fixes is None else _joined(self._fixes, fixes)
        self._fixes = tail
        self._lattice = _with_room(self._lattice, len(fixes.time_us) + 1)
        found = _found(
            ground.network,
            ground.routes,
            self._weights,
            self._lattice,
            tail,
            len(tail.time_us) - len(fixes.time_us),
            self._first_fix,
            self._changes,
            Band(profile.work_kmh_min, profile.work_kmh_max),
            self._begun,
            self._skip,
            ground.streets,
            ground.rules.leave_m_min,
            not self._told,
        )
        self._settled = found.settled
        self.open = tuple(self._passes(found))
        return self.open

    def _passes(self, found: _Found) -> list[Pass]:
        ground, unit, rules = self._ground, self.unit, self._ground.rules
        passes: list[Pass] = []
        rivals: dict[Window, Rival] = {}
        known, made = dict(self._made), []
        for run in map(Run._make, found.runs.tolist()):
            rows = found.pieces[run.first_piece : run.last_piece]
            # Most runs are as they were before, and to make a piece costs as much as to find it.
            key = rows.tobytes()
            swept, unobserved = pieces = known.get(key) or pieces_of(rows)
            made.append((key, pieces))
            window = window_of(run, found.step_line) if swept else None
            rival = NO_RIVAL if window is None else self._rival(window, rivals)
            sure = certainty(rival, rules)
            passes.append(
                Pass(
                    unit_id=unit.unit_id,
                    track_start_us=self.start_us,
                    ordinal=self._ordinal + len(passes),
                    street_id=ground.line_ids[run.line],
                    work=unit.profile.work,
                    direction=run.direction,
                    enter_us=run.enter_us,
                    leave_us=run.leave_us,
                    enter_mm=run.enter_mm,
                    leave_mm=run.leave_mm,
                    swept=swept,
                    unobserved=unobserved,
                    ambiguous_with=ground.line_ids[rival.line] if sure < rules.certainty_min else None,
                    certainty=sure,
                )
            )
        self._rivals, self._made = rivals, made
        return passes

    def _rival(self, window: Window, rivals: dict[Window, Rival]) -> Rival:
        """A pass's rival, as it was found before where what it depends on is the same."""
        dropped = int(self._lattice.tip["dropped"][0])
        known = window._replace(low=window.low + dropped, high=window.high + dropped)
        rival = self._rivals.get(known)
        if rival is None:
            rival = rival_of(self._ground.network, self._ground.routes, self._weights, self._lattice, window)
        # The last row may be there only because the track ends here for now.
        if known.high <= int(self._lattice.tip["rows"][0]):
            rivals[known] = rival
        return rival

    def settle(self) -> bool:
        """Freeze what no later fix can change, and let go of it; False: what is left is too much to keep."""
        settled, fixes = self._settled, self._fixes
        # Without told speeds places are smoothed over neighbours to both sides.
        if settled is None or fixes is None or not self._told:
            return len(self._lattice.rows) <= ROWS_MAX
        if settled.step > 0:
            fix = settled.fix - self._first_fix
            if settled.on:
                self._begun = settled.begun
            self._fixes = _joined(fixes.part(fix, len(fixes.time_us)))
            self._first_fix = settled.fix
            self._changes = self._changes.part(self._changes.time_us > fixes.time_us[fix])
            self._skip, self._ordinal = settled.legs, self._ordinal + settled.passes
            self.open = self.open[settled.passes :]
            self._made = self._made[settled.passes :]
            self._lattice = _without(self._lattice, settled.step)
        self._settled = None
        return len(self._lattice.rows) <= ROWS_MAX


def _joined(*parts: TrackFixes) -> TrackFixes:
    columns: list[Any] = [np.concatenate(column) for column in zip(*parts, strict=True)]
    return TrackFixes(*columns)


def _with_room(lattice: Lattice, rows: int) -> Lattice:
    """The lattice with room for so many rows more."""
    held = int(lattice.tip["rows"][0] - lattice.tip["dropped"][0])
    if held + rows <= len(lattice.rows):
        return lattice
    return _moved(lattice, 0, held, max(held + rows, 2 * len(lattice.rows)))


def _without(lattice: Lattice, rows: int) -> Lattice:
    """The lattice without its first rows, in less room where it has too much."""
    held = int(lattice.tip["rows"][0] - lattice.tip["dropped"][0]) - rows
    moved = _moved(lattice, rows, held, max(ROWS_MIN, min(len(lattice.rows), 2 * held)))
    moved.tip["dropped"] += rows
    return moved


def _moved(lattice: Lattice, low: int, count: int, room: int) -> Lattice:
    moved = new_lattice(room)
    moved.rows[:count] = lattice.rows[low : low + count]
    moved.candidates[:count] = lattice.candidates[low : low + count]
    return Lattice(moved.rows, moved.candidates, lattice.work, lattice.tip)


@njit(cache=True, nogil=True)
def _found(
    network: Network,
    routes: Routes,
    weights: Weights,
    lattice: Lattice,
    tail: TrackFixes,
    new: int,
    first_fix: int,
    changes: Changes,
    band: Band,
    begun: Begun,
    skip: int,
    streets: int,
    leave_m_min: float,
    smooth: bool,  # noqa: FBT001 - a kernel takes no keywords
) -> _Found:
    """Take a tail's fixes from `new` on into the lattice; what the whole tail comes to if they are the last.

    All in one kernel: a call from outside costs some microseconds for the network alone.
    """
    take_fixes(network, routes, weights, tail, new, len(tail.time_us), lattice)
    # The row that ends the track may not be one later: it goes into an end of its own.
    closed = Lattice(lattice.rows, lattice.candidates, lattice.work.copy(), lattice.tip.copy())
    state = close_track(network, routes, weights, closed)
    held = closed.tip[0].rows - closed.tip[0].dropped
    match = Match(
        lattice.rows[:held],
        lattice.candidates[:held],
        weights,
        np.empty(held, dtype=np.int64),
        np.empty(held, dtype=np.int64),
        np.empty(held, dtype=np.int64),
        np.empty(held),
    )
    write_way(match, 0, held, state)
    local, step_line = np.empty(held, dtype=np.int64), np.full(held, -1, dtype=np.int64)
    sigma_m, driven_m = np.empty(held), np.empty(held)
    for i in range(held):
        row = match.rows[i]
        local[i], sigma_m[i], driven_m[i] = row.fix - first_fix, row.sigma_m, row.driven_m
        if match.edge[i] >= 0:
            step_line[i] = network.edges[match.edge[i]].line
    steps = Steps(
        tail.time_us[local],
        tail.x_m[local],
        tail.y_m[local],
        sigma_m,
        match.edge,
        match.direction,
        match.measure_m,
        driven_m,
    )
    legs, path = join_steps(network, routes, weights, steps, begun)
    numbers = group_legs(network, legs, path, match.edge, streets, leave_m_min, skip)
    told = Fixes(tail.time_us, tail.speed_kmh, tail.working, changes.time_us, changes.state)
    doings, at_m = doings_of(network, legs, path, told, local, step_line, band, smooth)
    pieces, runs = lay_runs(network, legs, numbers, doings, at_m, tail.time_us)
    anew = math.isnan(begun.measure_m)
    step, more, frozen = _frozen(network, lattice, match.edge, path, legs, numbers, skip, leave_m_min, anew)
    settled = _Settled(
        step,
        match.rows[step].fix,
        match.edge[step] >= 0,
        Begun(path.at_m[step], path.hole[step], path.measure_m[step]),
        more,
        frozen,
    )
    find_windows(match.states, step_line, runs)
    return _Found(step_line, pieces, runs, settled)


@njit(cache=True, nogil=True)
def _frozen(
    network: Network,
    lattice: Lattice,
    edge: NDArray[np.int64],
    path: Path,
    legs: Legs,
    numbers: NDArray[np.int64],
    skip: int,
    leave_m_min: float,
    anew: bool,  # noqa: FBT001 - a kernel takes no keywords
) -> tuple[int, int, int]:
    """The step before which nothing is needed any more; how many legs from it on are frozen, and how many passes."""
    rows, tip = lattice.rows, lattice.tip[0]
    row, _ = meeting(rows, 0, tip.rows - tip.dropped, lattice.work[0].score)
    settled, here = row + 1, row
    while here >= 0 and edge[here] < 0:
        here -= 1
    if here < 0:
        return (max(0, row), 0, 0) if anew else (0, 0, 0)
    final = 0
    while final < len(legs.edge) and legs.step_b[final] < settled:
        final += 1
    last = np.full(len(legs.edge) + 1, -1, dtype=np.int64)
    for i in range(skip, len(legs.edge)):
        if numbers[i] >= 0:
            last[numbers[i]] = i
    cut, reach, frozen, count = skip, -1, 0, 0
    for i in range(skip, final + 1):
        if i > reach:
            cut, frozen = i, count
        if i == final:
            break
        if numbers[i] < 0:
            continue
        j = last[numbers[i]]
        if (
            j >= final
            or legs.step_b[j] + 2 > settled
            or _may_go_on(network, edge, path, legs, j, here, leave_m_min)
        ):
            break
        reach, count = max(reach, j), max(count, numbers[i] + 1)
    first = legs.step_a[cut] if cut < final else here
    step = first - 1
    until_us = rows[first].time_us - int((SPEED_WINDOW_S + 1.0) * 1e6)
    while step > 0 and (edge[step] < 0 or rows[step].time_us > until_us):
        step -= 1
    if step <= 0:
        return 0, 0, 0
    begin = cut
    while begin > 0 and legs.step_a[begin - 1] >= step:
        begin -= 1
    return step, cut - begin, frozen


@njit(cache=True, nogil=True)
def _may_go_on(
    network: Network,
    edge: NDArray[np.int64],
    path: Path,
    legs: Legs,
    last: int,
    here: int,
    leave_m_min: float,
) -> bool:
    """Whether a leg from step `here` on may belong to the pass whose last leg is given."""
    b = legs.step_b[last]
    if path.hole[here] != path.hole[b]:
        return False
    end_m = legs.path_m[last] + abs(legs.to_m[last] - legs.from_m[last])
    if path.at_m[here] - end_m < leave_m_min:
        return True
    line = network.edges[legs.edge[last]].line
    for step in range(legs.step_a[last] + 1, here + 1):
        if edge[step] >= 0 and network.edges[edge[step]].line != line:
            return False
    return True
