"""How right the figures and the passes are, by family of scenarios and by reception.

    python benchmarks/accuracy.py [--families fitting|held-out|NAME ...] [--seeds N] [--bare] [--json FILE]

Each line is a noise and an interval: the mean share of streets whose frequency is exactly right after a
simulated shift, with its standard error; how many streets in a thousand are off by more than one; the share
of swept passes that are certain; of those the share that is right, by number and by metres swept; and the
share of all that is right. A pass is right where for more than half of what it says it swept its unit truly
was on that street at that moment. With --bare the fixes tell time, place and equipment alone. --json writes
every swept pass, for a reliability diagram.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

from swept.kernel_cache import use_own_cache

use_own_cache()

from benchmarks.families import GRID, for_fitting, frequencies, passes_of, played, read
from processing.sweep import Pass
from simulators.scenario import Scenario
from simulators.score import right_passes
from simulators.vehicle import Stay

HELD_OUT = Path(__file__).parent / "held_out"


@dataclass(frozen=True, slots=True)
class Judged:
    """A pass that says it swept: how sure it is, if it tells, and whether it is right."""

    street_id: str
    certainty: float | None
    ambiguous: bool
    right: bool
    swept_m: float


@dataclass(frozen=True, slots=True)
class Result:
    """A shift at one reception; `off` counts the streets whose frequency is off by more than one."""

    family: str
    seed: int
    sigma_m: float
    every_s: float
    bare: bool
    fixes: int
    streets: int
    exact: int
    off: int
    passes: tuple[Judged, ...]


def judged(found: Iterable[Pass], stays: Iterable[Stay]) -> tuple[Judged, ...]:
    """The passes that say they swept, held against the truth."""
    swept = [one for one in found if one.swept]
    return tuple(
        Judged(
            street_id=one.street_id,
            certainty=getattr(one, "certainty", None),
            ambiguous=one.ambiguous_with is not None,
            right=right,
            swept_m=one.swept_mm / 1_000,
        )
        for one, right in zip(swept, right_passes(swept, stays), strict=True)
    )


def results(task: tuple[str, Scenario, int, bool]) -> list[Result]:
    """A family's shift of one seed at all receptions."""
    name, scenario, seed, bare = task
    shift = played(scenario, seed, bare=bare)
    true = frequencies(shift, shift.truth)
    out = []
    for (sigma_m, every_s), units in shift.measured.items():
        passes = passes_of(shift.place.core, units)
        found = frequencies(shift, passes)
        off = [abs(found[street_id] - true[street_id]) for street_id in true]
        out.append(
            Result(
                family=name,
                seed=seed,
                sigma_m=sigma_m,
                every_s=every_s,
                bare=bare,
                fixes=sum(map(len, units.values())),
                streets=len(off),
                exact=off.count(0),
                off=sum(one > 1 for one in off),
                passes=judged(passes, shift.stays),
            )
        )
    return out


def line(rows: list[Result]) -> str:
    """One family at one reception, all seeds."""
    shares = [row.exact / row.streets for row in rows]
    error = statistics.stdev(shares) / len(shares) ** 0.5 if len(shares) > 1 else float("nan")
    passes = [one for row in rows for one in row.passes]
    certain = [one for one in passes if not one.ambiguous]
    right = [one for one in certain if one.right]
    off = 1_000 * sum(row.off for row in rows) / sum(row.streets for row in rows)
    return (
        f"{rows[0].family:10} {rows[0].sigma_m:3.0f} m {rows[0].every_s:4.0f} s"
        f"   {statistics.mean(shares):.4f} ± {error:.4f}   {off:8.2f}   {_share(certain, passes):7.4f}"
        f"   {_share(right, certain):13.4f}   {_metres(right) / max(_metres(certain), 1e-9):9.4f}"
        f"   {_share([one for one in passes if one.right], passes):9.4f}"
    )


def _share(some: list[Judged], of: list[Judged]) -> float:
    return len(some) / max(len(of), 1)


def _metres(some: list[Judged]) -> float:
    return sum(one.swept_m for one in some)


def chosen(names: list[str]) -> dict[str, Scenario]:
    """The families of these names; `fitting` and `held-out` are all of one kind."""
    kinds = {"fitting": for_fitting(), "held-out": read(HELD_OUT)}
    known = {**kinds["fitting"], **kinds["held-out"]}
    found: dict[str, Scenario] = {}
    for name in names:
        if name not in kinds and name not in known:
            raise SystemExit(f"No family {name!r}; name fitting, held-out, or one of {', '.join(known)}.")
        found |= kinds.get(name) or {name: known[name]}
    return found


def played_all(tasks: list[tuple[str, Scenario, int, bool]], jobs: int) -> Iterator[list[Result]]:
    """The results of tasks in order, from so many processes."""
    if jobs == 1:
        yield from map(results, tasks)
        return
    with ProcessPoolExecutor(jobs) as pool:
        yield from pool.map(results, tasks)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--families", nargs="+", default=["fitting"], help="fitting, held-out, or names")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first-seed", type=int, default=1)
    parser.add_argument("--bare", action="store_true", help="leave out speed, heading and accuracy")
    parser.add_argument("--jobs", type=int, default=1, help="processes at a time")
    parser.add_argument("--json", type=Path, help="write every swept pass to this file")
    args = parser.parse_args()
    families = chosen(args.families)
    seeds = range(args.first_seed, args.first_seed + args.seeds)
    tasks = [(name, families[name], seed, args.bare) for name in families for seed in seeds]
    began_s = time.monotonic()
    everything: list[Result] = []
    print(
        "family     noise  every   exactly right      off in 1000   certain   certain right   by metres   all right"
    )
    for rows in played_all(tasks, args.jobs):
        everything += rows
        if rows[0].seed == seeds[-1]:
            own = [row for row in everything if row.family == rows[0].family]
            for key in GRID:
                print(line([row for row in own if (row.sigma_m, row.every_s) == key]), flush=True)
    fixes, seconds = sum(row.fixes for row in everything), time.monotonic() - began_s
    print(f"{len(everything)} shifts, {fixes:,} fixes, seeds {seeds[0]} to {seeds[-1]}, {seconds:.0f} s")
    if args.json:
        args.json.write_text(json.dumps([asdict(row) for row in everything]))


if __name__ == "__main__":
    main()
