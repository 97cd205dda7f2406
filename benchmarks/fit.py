"""Fit the parameters of matching: one at a time, to what does best on the scenarios for fitting.

    python benchmarks/fit.py [--recordings FOLDER] [--seeds N] [--rounds N] [--out FILE.md]

The loss is the share of streets with a wrong frequency, plus the share of swept passes that are wrong, each as
the mean over the families for fitting, their seeds and five receptions, once with all that a device tells and
once with time, place and equipment alone; plus, where there are recordings with true routes, the mean of
1 - F1 at 1, 10 and 30 s. A parameter takes another value if that lowers the loss by more than `GAIN_MIN`, so
that none is moved by chance. Last, what a margin is worth is fitted to the passes of the same shifts by
logistic regression (--rounds 0 does that alone). It reads no family that is held out, and tells every step.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass, replace
from math import log
from pathlib import Path
from statistics import mean

import numpy as np
from scipy.optimize import minimize

from swept.kernel_cache import use_own_cache

use_own_cache()

from families import Shift, for_fitting, frequencies, passes_of, played
from kubicka import CAR, agreement, matched_arcs, reports_of, thin

from processing.district import District
from processing.fix import ReportColumns
from processing.pipeline import Core
from processing.rules import Rules
from simulators.kubicka import read_recording, track_folders
from simulators.score import right_passes

#: What each parameter may be; the search begins with the defaults. Not here are `corner_logp` and `enter_logp`:
#: what they save is credit where nobody drove, which this loss doesn't see (benchmarks/no_credit.py does).
CHOICES: dict[str, tuple[float, ...]] = {
    "noise_s": (10.0, 20.0, 30.0, 45.0),
    "map_m": (2.0, 3.0, 4.0),
    "white_m": (0.7, 1.0, 1.5, 2.0),
    "beta_m": (8.0, 12.0, 16.0),
    "beta_share": (0.1, 0.2, 0.3),
    "heading_sigma_deg": (20.0, 30.0, 45.0),
    "turn_logp": (-4.0, -6.0, -8.0),
    "tip_turn_logp": (-0.5, -1.5, -3.0),
    "off_network_sigmas": (3.0, 3.5, 4.5),
    "off_network_switch_logp": (-3.0, -5.0, -7.0),
    "step_sigmas": (1.0, 1.5, 2.0),
    "sigma_m": (8.0, 12.0, 16.0),
}
GAIN_MIN = 2e-4
EVERY_S = (1.0, 10.0, 30.0)


@dataclass(frozen=True, slots=True, eq=False)
class Route:
    """A recording at the intervals, and the route that was truly driven."""

    core: Core
    fixes: tuple[ReportColumns, ...]
    route: list[int]


def recordings(folder: Path | None) -> list[Route]:
    """The recordings in a folder, made ready."""
    found = []
    for one in track_folders(folder) if folder else ():
        recording = read_recording(one)
        core = Core(District(recording.name, "", (), recording.roads, (CAR,), noded=True))
        reports = reports_of(recording)
        fixes = tuple(thin(reports, every_s) for every_s in EVERY_S)
        found.append(Route(core, fixes, [int(arc) for arc in recording.route]))
    return found


def wrong_shares(shift: Shift, rules: Rules) -> list[tuple[float, float]]:
    """(wrong frequencies, wrong passes) at each reception of a shift, by these parameters."""
    core = shift.place.core
    core.rules = rules
    true = frequencies(shift, shift.truth)
    out = []
    for units in shift.measured.values():
        passes = passes_of(core, units)
        found = frequencies(shift, passes)
        right = right_passes([one for one in passes if one.swept], shift.stays)
        out.append((mean(found[street] != true[street] for street in true), 1.0 - mean(right)))
    return out


def loss(shifts: list[Shift], routes: list[Route], rules: Rules) -> tuple[float, float, float]:
    """(wrong frequencies, wrong passes, 1 - F1), each a mean."""
    shares = [share for shift in shifts for share in wrong_shares(shift, rules)]
    missed = []
    for one in routes:
        one.core.rules = rules
        for fixes in one.fixes:
            both, have, want = agreement(one.core, matched_arcs(one.core, fixes), one.route)
            missed.append(1.0 - 2.0 * both / (have + want))
    return mean(a for a, _ in shares), mean(b for _, b in shares), mean(missed) if missed else 0.0


def worth_of_margins(shifts: list[Shift], rules: Rules) -> tuple[float, float, int]:
    """(base, slope) of the log-odds that a pass with a rival is right, by log(1 + margin), and of how many."""
    log1p_margin: list[float] = []
    right: list[bool] = []
    for shift in shifts:
        core = shift.place.core
        # With these two the odds that a pass tells are 1 + its margin.
        core.rules = replace(rules, certainty_base=0.0, certainty_slope=1.0)
        for units in shift.measured.values():
            swept = [one for one in passes_of(core, units) if one.swept]
            for one, is_right in zip(swept, right_passes(swept, shift.stays), strict=True):
                if one.certainty < 1.0:
                    log1p_margin.append(log(one.certainty / (1.0 - one.certainty)))
                    right.append(is_right)
    x, sign = np.array(log1p_margin), np.where(right, -1.0, 1.0)
    found = minimize(lambda p: float(np.logaddexp(0.0, sign * (p[0] + p[1] * x)).mean()), [0.0, 1.0])
    return float(found.x[0]), float(found.x[1]), len(x)


def main() -> None:
    """Search and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--recordings", type=Path, help="a folder of recordings with true routes")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--first-seed", type=int, default=101)
    parser.add_argument("--rounds", type=int, default=2, help="how often all parameters are gone through")
    parser.add_argument("--out", type=Path, help="write the steps as a table in Markdown")
    args = parser.parse_args()
    seeds = range(args.first_seed, args.first_seed + args.seeds)
    families = for_fitting()
    shifts = [
        played(families[name], seed, bare=bare)
        for name in families
        for seed in seeds
        for bare in (False, True)
    ]
    routes = recordings(args.recordings)
    lines: list[str] = []

    def say(text: str) -> None:
        lines.append(text)
        print(text, flush=True)

    say("| parameter | value | wrong frequencies | wrong passes | 1 - F1 | loss | |")
    say("|---|---|---|---|---|---|---|")
    begun_s, best = time.monotonic(), Rules()
    parts = loss(shifts, routes, best)
    least = sum(parts)
    say(_row("as it is", "", parts, kept=True))
    for _ in range(args.rounds):
        moved = False
        for name, values in CHOICES.items():
            for value in values:
                if value == getattr(best, name):
                    continue
                tried = replace(best, **{name: value})
                parts = loss(shifts, routes, tried)
                kept = sum(parts) < least - GAIN_MIN
                say(_row(name, f"{value:g}", parts, kept=kept))
                if kept:
                    best, least, moved = tried, sum(parts), True
        if not moved:
            break
    say("")
    changed = {name: getattr(best, name) for name in CHOICES if getattr(best, name) != getattr(Rules(), name)}
    say(
        f"Changed: {changed or 'nothing'}; loss {least:.5f}; {time.monotonic() - begun_s:.0f} s, "
        f"{len(shifts)} shifts at five receptions (seeds {seeds[0]} to {seeds[-1]}), {len(routes)} recordings."
    )
    told = [shift for i, shift in enumerate(shifts) if i % 2 == 0]
    base, slope, n = worth_of_margins(told, best)
    say(f"certainty_base {base:.2f}, certainty_slope {slope:.2f}, fitted to {n:,} passes that have a rival.")
    if args.out:
        args.out.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _row(name: str, value: str, parts: tuple[float, float, float], *, kept: bool) -> str:
    cells = " | ".join(f"{part:.5f}" for part in (*parts, sum(parts)))
    return f"| {name} | {value} | {cells} | {'kept' if kept else ''} |"


if __name__ == "__main__":
    main()
