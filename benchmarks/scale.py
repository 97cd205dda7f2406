"""The tables of docs/scale.md, made anew from what benchmarks/load.py measured.

    python benchmarks/scale.py FILE.json ... [--cores 1 8 64] [--write docs/scale.md]

All files together give what a fix, a message, a worker's batch and a second cost each role; name at least four, with
one and with many fixes a message and with 1, 2 and 4 workers, and the tables say how far these costs miss each run. The
first file of each kind is the one under full load. --cores also builds the cores of so many districts side by side and measures their memory. With --write the tables stand in
the document, between its markers; what is outside of them is prose and is left alone. No figure that isn't in
the files, or computed of them by the formulas below, is written.
"""

from __future__ import annotations

import argparse
import json
import math
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import nnls

ROOT = Path(__file__).resolve().parent.parent
ROLES = ("broker", "ingest", "kafka", "worker", "postgres")
#: A process is planned to use so much of a core, since load comes in waves.
BUSY = 0.6
#: Hours of a day in which a unit reports.
SHIFT_H = 8
UNITS = {"a city": 2_000, "a province": 50_000, "a country": 500_000}
#: How units report: seconds between two fixes, and fixes a message.
WAYS = {
    "every 5 s, one fix a message": (5, 1),
    "each second, one fix a message": (1, 1),
    "each second, 50 a message": (1, 50),
}
#: Units of one store; more is another district, with a store, a topic and workers of its own.
UNITS_A_STORE = 2_000
Found = Mapping[str, Any]


class Cost(NamedTuple):
    """CPU microseconds of a role: for each fix, each message, each batch of a worker, and each second."""

    fix_us: float
    message_us: float
    batch_us: float
    second_us: float

    def of(self, counted: Counted) -> float:
        """Microseconds for so many of each."""
        return float(np.dot(self, counted))


class Counted(NamedTuple):
    """What a run, or a second, had."""

    fixes: float
    messages: float
    batches: float
    seconds: float

    @classmethod
    def of(cls, run: Found) -> Counted:
        """Of a run."""
        budget = run["budget"]
        # CPU is counted from before the first message until all is processed: longer than messages are sent.
        seconds = budget["cpu_s"] / run["trial"]["cores_used"]
        return cls(budget["fixes"], budget["messages"], budget["batches"], seconds)


def costs(runs: Sequence[Found]) -> dict[str, Cost]:
    """Which costs, none of them negative, come nearest to what all runs used: least squares of the shares missed."""
    counted = np.array([Counted.of(run) for run in runs])
    found = {}
    for role in ROLES:
        used_us = np.array([_used_us(run, role) for run in runs])
        solved, _ = nnls(counted / used_us[:, None], np.ones(len(runs)))
        found[role] = Cost(*solved.tolist())
    return found


def _used_us(run: Found, role: str) -> float:
    return float(run["budget"]["cpu_us_per_fix"][role] * run["budget"]["fixes"])


def rates(runs: Sequence[Found]) -> str:
    """What each run kept, and for how long."""
    rows = [
        "| fixes a message | workers | fixes a second | messages a second | for | visible after p50, p99 | kept |",
        "|---|---|---|---|---|---|---|",
    ]
    for run in runs:
        tried = [*run["curve"], *([run["trial"]] if "trial" in run else [])]
        for one in tried:
            kept = one["p99_s"] <= 2.0 and one["generator_late_s"] <= 0.25
            rows.append(
                f"| {run['fixes_per_message']} | {run['workers']} | {one['fixes_per_s']:,.0f} | {one['messages_per_s']:,.0f} "
                f"| {one['seconds']:,.0f} s | {one['p50_s']:.2f} s, {one['p99_s']:.2f} s | {'yes' if kept else 'no'} |"
            )
    return "\n".join(rows)


def budget(one: Found, many: Found, found: Mapping[str, Cost]) -> str:
    """CPU of each role, and the worker's own steps."""
    rows = [
        "| | a fix | a message | a worker's batch | a second | measured: messages of one | messages of many |",
        "|---|---|---|---|---|---|---|",
    ]
    for role, cost in found.items():
        single, each = (run["budget"]["cpu_us_per_fix"][role] for run in (one, many))
        rows.append(
            f"| {role} | {cost.fix_us:.2f} us | {cost.message_us:.0f} us | {cost.batch_us / 1e3:.1f} ms "
            f"| {cost.second_us / 1e3:.0f} ms | {single:.0f} us a message | {each:.2f} us a fix |"
        )
    rows += [
        "",
        "| worker's steps, wall clock | messages of one, us a fix | messages of many, us a fix |",
        "|---|---|---|",
    ]
    for step in one["budget"]["steps_us_per_fix"]:
        single = one["budget"]["steps_us_per_fix"][step]
        rows.append(f"| {step} | {single:.1f} | {many['budget']['steps_us_per_fix'].get(step, 0):.2f} |")
    return "\n".join(rows)


def growth(runs: Sequence[Found], found: Mapping[str, Cost]) -> str:
    """What each run used, with one worker or more, and what the costs say of it."""
    rows = [
        (
            "| fixes a message | workers | fixes a second | messages a batch | CPU a fix: workers, database, all five "
            "| by the costs | all: said / measured | visible p99 |"
        ),
        "|---|---|---|---|---|---|---|---|",
    ]
    for run in sorted(runs, key=lambda one: (one["fixes_per_message"], one["workers"])):
        used = {role: _used_us(run, role) / run["budget"]["fixes"] for role in ROLES}
        said = {role: cost.of(Counted.of(run)) / run["budget"]["fixes"] for role, cost in found.items()}
        each = (
            f"{one['worker']:,.1f}, {one['postgres']:,.1f}, {sum(one.values()):,.1f} us"
            for one in (used, said)
        )
        rows.append(
            f"| {run['fixes_per_message']} | {run['workers']} | {run['trial']['fixes_per_s']:,.0f} "
            f"| {run['budget']['messages_per_batch']:,.0f} | {' | '.join(each)} "
            f"| {sum(said.values()) / sum(used.values()):.2f} | {run['trial']['p99_s']:.2f} s |"
        )
    return "\n".join(rows)


def memory(runs: Sequence[Found], cores: Sequence[Found]) -> str:
    """What each process holds, whether that grows, and what a map takes."""
    rows = [
        "| fixes a message | process | MiB at half, at the end | growth, MiB an hour |",
        "|---|---|---|---|",
    ]
    for run in runs:
        for name, line in run.get("memory_mib", {}).items():
            told = (
                "-"
                if line["per_hour"] is None
                else f"{line['per_hour']:+,.0f} ± {line['per_hour_bound']:,.0f}"
            )
            rows.append(
                f"| {run['fixes_per_message']} | {name} | {line['first']:,.0f}, {line['last']:,.0f} | {told} |"
            )
    if cores:
        rows += ["", "| streets | a worker's core is built in | and takes |", "|---|---|---|"]
        rows += [f"| {one['streets']:,} | {one['seconds']:.1f} s | {one['mib']:,.0f} MiB |" for one in cores]
    return "\n".join(rows)


def needs(one: Found, many: Found, found: Mapping[str, Cost]) -> str:
    """What a city, a province and a country need, at these costs, with batches as large as under full load."""
    bytes_a_fix = one.get("store", many.get("store", {})).get("store_bytes_per_fix", 0.0)
    rows = [
        (
            "| | units | reporting | stores | cores: brokers, ingest, Kafka, workers, database "
            "| of these a store: workers, database | database a day |"
        ),
        "|---|---|---|---|---|---|---|",
    ]
    for name, units in UNITS.items():
        for way, (every_s, fixes) in WAYS.items():
            per_s = units / every_s
            stores = math.ceil(units / UNITS_A_STORE)
            messages = per_s / fixes
            batches = messages / (one if fixes == 1 else many)["budget"]["messages_per_batch"]
            a_second = Counted(per_s, messages, batches, stores)
            cores = {role: cost.of(a_second) / 1e6 / BUSY for role, cost in found.items()}
            day = per_s * 3_600 * SHIFT_H
            rows.append(
                f"| {name} | {units:,} | {way} | {stores:,} "
                f"| {', '.join(_cores(cores[role]) for role in ROLES)} "
                f"| {_cores(cores['worker'] / stores)}, {_cores(cores['postgres'] / stores)} "
                f"| {_bytes(day * bytes_a_fix)} |"
            )
    return "\n".join(rows)


def _cores(value: float) -> str:
    return f"{value:.1f}" if value < 10 else f"{value:,.0f}"


def _bytes(value: float) -> str:
    return f"{value / 1e9:,.1f} GB" if value < 1e12 else f"{value / 1e12:,.1f} TB"


def written(text: str, name: str, table: str) -> str:
    """The document with a table between its markers."""
    begin, end = f"<!-- {name}: made by benchmarks/scale.py -->", f"<!-- end of {name} -->"
    found, count = re.subn(
        re.escape(begin) + ".*?" + re.escape(end), lambda _: f"{begin}\n{table}\n{end}", text, flags=re.DOTALL
    )
    if count != 1:
        raise SystemExit(f"the document has no place for {name}: write {begin} and {end} into it.")
    return found


_BUILD = """
import json, sys, time
from swept.kernel_cache import use_own_cache
use_own_cache()
import os
from pathlib import Path
from tempfile import TemporaryDirectory
from benchmarks.city import City
from processing.pipeline import Core
from swept.district import load_folder
from swept.memory import memory_mib
with TemporaryDirectory() as folder:
    City(12 * int(sys.argv[1])).write_folder(Path(folder))
    district = load_folder(Path(folder))
before = memory_mib(os.getpid())
begun = time.perf_counter()
core = Core(district)
seconds = time.perf_counter() - begun
print(json.dumps({"streets": len(district.streets), "seconds": seconds, "mib": memory_mib(os.getpid()) - before}))
"""


def built(copies: int) -> Found:
    """Build the core of so many districts side by side, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", _BUILD, str(copies)], cwd=ROOT, check=True, capture_output=True, text=True
    )
    found: Found = json.loads(done.stdout)
    return found


def main() -> None:
    """Read, compute, print or write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("files", type=Path, nargs="+", help="what benchmarks/load.py wrote with --json")
    parser.add_argument(
        "--cores", type=int, nargs="*", default=[], help="build cores of so many districts, and measure"
    )
    parser.add_argument("--write", type=Path, help="the document that has places for the tables")
    given = parser.parse_args()
    runs: list[Found] = [json.loads(path.read_text()) for path in given.files]
    # The first of each kind is the one under full load.
    single = [run for run in runs if run["fixes_per_message"] == 1 and "budget" in run]
    several = [run for run in runs if run["fixes_per_message"] > 1 and "budget" in run]
    if not single or not several or len(single) + len(several) < len(Cost._fields):
        sys.exit(
            "name files of messages of one fix and of many, four at least: docs/scale.md says how to make them."
        )
    one, many = single[0], several[0]
    measured = [*single, *several]
    found = costs(measured)
    tables = {
        "rates": rates([run for run in runs if run["curve"] or run in (one, many)]),
        "budget": budget(one, many, found),
        "growth": growth(measured, found),
        "memory": memory([one, many], [built(copies) for copies in given.cores]),
        "needs": needs(one, many, found),
    }
    if given.write is None:
        print("\n\n".join(tables.values()))
        return
    text = given.write.read_text(encoding="utf-8")
    for name, table in tables.items():
        text = written(text, name, table)
    given.write.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
