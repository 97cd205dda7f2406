"""Load: what one machine carries from device to figure, with everything on it, and where its time goes.

    python benchmarks/load.py [--fixes 1|50] [--seconds 600] [--rates R ...] [--budget] [--json FILE]

A city (benchmarks/city.py) sends over MQTT at QoS 1, open loop; a reader of the store notes when it can see the
newest fix of a sample of units. A message is visible when the transaction that also changes its figures has
committed. A rate is kept when 99 of 100 messages are visible within 2 s and the log's lag doesn't grow.

Messages of one fix: as many units as messages a second, each of them once a second. Messages of many: units that
measure once a second and send when they have so many; the city's clock runs faster, so that fewer units send as
many fixes (2,000 units at 25 times for 50,000 a second). Each message is then of a unit, extends its track and
touches its street as in a city of 25 times as many; the shift runs 25 times as fast, so that tracks grow as long in
ten minutes as they do in four hours. What is smaller than in such a city is the map, and the memory that units take:
docs/scale.md has their cost. --budget is a short run that prints what a fix costs where. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from swept.kernel_cache import use_own_cache

use_own_cache()

import numpy as np
import psutil
import psycopg

from benchmarks.budget import Budget, budget_of, show_budget
from benchmarks.city import City, Plan, append_history, encode, phase
from benchmarks.generator import Job
from benchmarks.measured import Meter, Seen, Slope, cpu_s
from benchmarks.stack import ROOT, Stack, full_is_missing, stack
from processing.service_day import US
from simulators.device import Broker
from simulators.fleet import DistrictClock, set_clock
from storage.queries.status import positions
from swept.embedded_postgres import EmbeddedPostgres

VISIBLE_S_MAX = 2.0
#: A generator that is later than this doesn't keep its rate.
LATE_S_MAX = 0.25
LEAD_S = 4.0
SETTLE_S = 5.0
DRAIN_S_MAX = 600.0
SAMPLE = 100


@dataclass(frozen=True, slots=True)
class Trial:
    """One rate for some time: what was offered, how soon it was visible, and whether that can go on."""

    fixes_per_s: float
    messages_per_s: float
    seconds: float
    p50_s: float
    p99_s: float
    max_s: float
    sampled: int
    generator_late_s: float
    lag_begin: int
    lag_end: int
    drain_s: float
    cpu_us_per_fix: dict[str, float]
    cores_used: float

    @property
    def kept(self) -> bool:
        """Whether 99 of 100 were visible in time (all were in the log, without workers), and the rate was kept."""
        waited_s = self.p99_s if self.sampled else self.drain_s
        return waited_s <= VISIBLE_S_MAX and self.generator_late_s <= LATE_S_MAX


class Load:
    """A stack, a plan of packets, and how far it has been sent."""

    def __init__(self, stack: Stack, city: City, plan: Plan, district_id: str, log: Any) -> None:  # noqa: ANN401
        self.stack, self.city, self.plan, self.log = stack, city, plan, log
        self._district_id = district_id
        self._next_period = 0
        #: Without workers what lags is the log: so many messages were sent, and it had so many records before.
        self._sent, self._had = 0, sum(log.ends().values())
        self._connection = psycopg.connect(stack.services.store_url, autocommit=True)
        self.seen: Seen | None = None

    def lag(self) -> int:
        """Records in the log that no committed figure has seen; without workers, messages that aren't in the log."""
        if not any(name.startswith("worker") for name in self.stack.children):
            return max(0, self._had + self._sent - sum(self.log.ends().values()))  # ticks are records too
        done = {
            p.partition: p.next_offset for p in positions(self._connection) if p.log_id == self.log.log_id
        }
        return sum(max(0, end - done.get(number, 0)) for number, end in self.log.ends().items())

    def drain(self) -> float:
        """Wait until all is processed; how many seconds."""
        begun_s = time.monotonic()
        while self.lag() > 0:
            self.stack.check()
            if time.monotonic() - begun_s > DRAIN_S_MAX:
                raise SystemExit(f"{self.lag()} records are still in the log after {DRAIN_S_MAX:.0f} s.")
            time.sleep(0.2)
        return time.monotonic() - begun_s

    def run(self, fixes_per_s: float, seconds: float) -> tuple[Trial, Budget]:
        """Offer a rate for some time."""
        connections, period_s = self._pace(fixes_per_s)
        periods = max(2, round(seconds / period_s))
        if self._next_period + periods > self.plan.periods:
            raise SystemExit("all that was encoded has been sent; give --encode-seconds more.")
        job = self._job(connections, period_s, periods)
        before, begun_s = self._snapshot(), time.monotonic()
        lag_begin = self.lag()
        late_s, generator_cpu_s = self._generate(job)
        self._sent += periods * connections * self.plan.each
        lag_end = self.lag()
        drain_s = self.drain()
        time.sleep(1.5)  # watched roles write once a second
        after = self._snapshot()
        self._next_period += periods
        fixes = periods * connections * self.plan.each * self.plan.fixes
        assert self.seen is not None
        found = self.seen.latencies()
        latencies = found[found[:, 0] >= min(SETTLE_S, 0.25 * seconds), 1]
        budget = budget_of(before, after, fixes, periods * connections * self.plan.each, generator_cpu_s)
        lasted_s = periods * period_s
        trial = Trial(
            fixes_per_s=round(fixes / lasted_s, 1),
            messages_per_s=round(fixes / lasted_s / self.plan.fixes, 1),
            seconds=round(lasted_s, 1),
            p50_s=_quantile(latencies, 0.5),
            p99_s=_quantile(latencies, 0.99),
            max_s=_quantile(latencies, 1.0),
            sampled=len(latencies),
            generator_late_s=late_s,
            lag_begin=lag_begin,
            lag_end=lag_end,
            drain_s=round(drain_s, 2),
            cpu_us_per_fix=budget.cpu_us_per_fix,
            cores_used=round(budget.cpu_s / (time.monotonic() - begun_s), 2),
        )
        return trial, budget

    def _pace(self, fixes_per_s: float) -> tuple[int, float]:
        """How many connections send, and how long a period lasts."""
        plan = self.plan
        if plan.fixes == 1:
            return max(1, min(plan.connections, round(fixes_per_s / plan.each))), 1.0
        return plan.connections, plan.connections * plan.each * plan.fixes / fixes_per_s

    def _job(self, connections: int, period_s: float, periods: int) -> Job:
        """Set the city's clock, tell the reader what to expect, and what to send from when on."""
        plan, start_s = self.plan, time.time() + LEAD_S
        first = self._next_period
        clock_us = self.city.start_us + US * ((plan.before + first + 1) * plan.fixes - 1)
        rate = plan.fixes / period_s
        clock = DistrictClock(clock_us, rate, round(start_s * US))
        ingestors = sum(name.startswith("ingest") for name in self.stack.children)
        broker = Broker.of(self.stack.services.mqtt_url)
        set_clock(broker, self._district_id, clock, ingestors=ingestors)
        each = [(c, slot) for c in range(connections) for slot in range(plan.each)]
        some = [each[n] for n in np.linspace(0, len(each) - 1, min(SAMPLE, len(each))).astype(int)]
        share = np.array([(slot + phase(c)) / plan.each for c, slot in some])
        phase_us = np.array([1_000 * plan.phase_ms(c, slot) for c, slot in some], np.int64)
        if self.seen is not None:
            self.seen.stop()
        self.seen = Seen(self.stack.services.store_url, [plan.units_of(c)[slot] for c, slot in some])
        self.seen.expect(clock_us + phase_us, US * plan.fixes, start_s + share * period_s, period_s)
        self.seen.start()
        if start_s - time.time() < 0.2:
            raise SystemExit("setting the clock took too long; is the machine busy with something else?")
        return Job(
            plan, self.stack.mqtt_port, self._district_id, connections, first, periods, period_s, start_s
        )

    def _generate(self, job: Job) -> tuple[float, float]:
        """Let the generator send; how late it was at most, and its CPU seconds."""
        path = self.stack.folder / "job.json"
        job.write(path)
        late_s, used_s = 0.0, 0.0
        with subprocess.Popen(
            [sys.executable, "-m", "benchmarks.generator", str(path)],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            text=True,
        ) as generator:
            assert generator.stdout is not None
            for line in generator.stdout:
                self.stack.check()
                told = json.loads(line)
                late_s, used_s = max(late_s, told["late_s"]), told["cpu_s"]
        if generator.returncode:
            raise SystemExit("the generator failed.")
        return late_s, used_s

    def _snapshot(self) -> dict[str, Any]:
        return {
            "cpu_s": cpu_s(self.stack.pids),
            "watched": {name: self.stack.watched(name) for name in self.stack.children},
        }


def _quantile(values: np.ndarray[Any, np.dtype[np.float64]], share: float) -> float:
    return round(float(np.quantile(values, share)), 3) if len(values) else 0.0


def search(load: Load, rates: Sequence[float], seconds: float) -> tuple[list[Trial], float]:
    """Offer rates from low to high until one isn't kept, then the middle twice; the trials, and the best that was kept."""
    trials: list[Trial] = []

    def offer(rate: float) -> bool:
        trial, _ = load.run(rate, seconds)
        trials.append(trial)
        show_trial(trial)
        return trial.kept

    best, failed = 0.0, 0.0
    for rate in sorted(rates):
        if not offer(rate):
            failed = rate
            break
        best = rate
    for _ in range(2 if best and failed else 0):
        middle = round((best + failed) / 2)
        if offer(middle):
            best = middle
        else:
            failed = middle
    return trials, best


def show_trial(trial: Trial) -> None:
    """One line."""
    print(
        f"{trial.fixes_per_s:9,.0f} fixes/s {trial.messages_per_s:7,.0f} messages/s for {trial.seconds:4.0f} s: visible after "
        f"p50 {trial.p50_s:.2f} s, p99 {trial.p99_s:.2f} s, at most {trial.max_s:.2f} s; lag {trial.lag_end:,} records, "
        f"gone {trial.drain_s:.1f} s later; generator at most {1e3 * trial.generator_late_s:.0f} ms late; "
        f"{trial.cores_used:.2f} cores{'' if trial.kept else '   NOT KEPT'}",
        flush=True,
    )


def long_run(load: Load, rate: float, seconds: float) -> dict[str, Any]:
    """One rate for long: the trial, the budget, and what memory and lag did meanwhile."""
    with closing(load.stack.open_log()) as own_log:
        watching = Load(load.stack, load.city, load.plan, "", own_log)
        meter = Meter(load.stack.pids, watching.lag, load.stack.check)
        trial, budget = load.run(rate, seconds)
        gauges = meter.stop()
    show_trial(trial)
    show_budget(budget)
    # Caches fill first: growth is what is left after the first half.
    memory = [(at_s, found) for at_s, found in gauges.memory_mib if seconds / 2 <= at_s <= seconds]
    lag = [(at_s, float(records)) for at_s, records in gauges.lag if SETTLE_S <= at_s <= seconds]
    growth = {
        name: Slope.of([(at_s, found[name]) for at_s, found in memory if name in found])
        for name in (memory[0][1] if memory else {})
    }
    for name, line in growth.items():
        told = line.told("MiB an hour")
        print(f"  memory of {name}: {line.first:,.0f} to {line.last:,.0f} MiB in the second half, {told}")
    lag_line = Slope.of(lag)
    print(f"  lag: {lag_line.told('records a second', 1 / 3_600)}")
    return {
        "trial": asdict(trial),
        "budget": asdict(budget),
        "memory_mib": {name: asdict(line) for name, line in growth.items()},
        "lag_records": asdict(lag_line),
        "gauges": {"lag": gauges.lag, "memory_mib": gauges.memory_mib},
        "store": sizes(load),
    }


def sizes(load: Load) -> dict[str, float]:
    """What the store holds, and bytes a fix."""
    with psycopg.connect(load.stack.services.store_url) as connection:
        row = connection.execute(
            "SELECT (SELECT count(*) FROM fix), pg_total_relation_size('fix'), pg_database_size(current_database())"
        ).fetchone()
    assert row is not None
    fixes, fix_bytes, all_bytes = row
    each = max(1, fixes)
    return {"fixes": fixes, "fix_bytes_per_fix": fix_bytes / each, "store_bytes_per_fix": all_bytes / each}


@contextmanager
def place(given: Path | None) -> Iterator[Path]:
    """The folder of a run; without one given it goes with all that is in it."""
    if given is not None:
        given.mkdir(parents=True, exist_ok=True)
        yield given
        return
    with tempfile.TemporaryDirectory(prefix="swept-load-") as folder:
        path = Path(folder)
        path.chmod(0o711)
        yield path
        EmbeddedPostgres(path / "postgres").destroy()


def options() -> argparse.Namespace:
    """What the command line says, completed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument(
        "--form", choices=("full", "embedded"), help="else full where Kafka and Mosquitto are there"
    )
    parser.add_argument("--fixes", type=int, default=1, help="fixes a message (default 1)")
    parser.add_argument(
        "--units", type=int, help="else the highest rate, or 2,000 for messages of several fixes"
    )
    parser.add_argument(
        "--rates", type=float, nargs="*", help="fixes a second to try, from low to high; none: --rate alone"
    )
    parser.add_argument("--trial-seconds", type=float, default=20.0)
    parser.add_argument("--rate", type=float, help="of the long run; else the best that was kept")
    parser.add_argument("--seconds", type=float, default=600.0, help="of the long run (default 600)")
    parser.add_argument(
        "--history", type=int, default=0, help="seconds of the shift that are in the log before"
    )
    parser.add_argument("--workers", type=int, default=2, help="default 2; 0: ingest alone is measured")
    parser.add_argument("--ingestors", type=int, default=1)
    parser.add_argument("--partitions", type=int, default=16, help="of Kafka's topic (default 16)")
    parser.add_argument(
        "--budget", action="store_true", help="a minute: what a fix costs where, at one modest rate"
    )
    parser.add_argument("--folder", type=Path, help="keep all files there; else they go")
    parser.add_argument("--json", type=Path, help="write what was found there too")
    given = parser.parse_args()
    if given.form is None:
        lacking = full_is_missing()
        given.form = "embedded" if lacking else "full"
        if lacking:
            print(f"the embedded form is measured; for the full one {lacking}")
    if given.budget:
        given.rates, given.seconds = [], min(given.seconds, 20.0)
        given.units = given.units or 240
        given.rate = given.rate or (240.0 if given.fixes == 1 else 5_000.0)
    given.rates = sorted(given.rates if given.rates is not None else rates_of(given.fixes))
    if given.units is None:
        given.units = round(max([*given.rates, given.rate or 0])) if given.fixes == 1 else 2_000
    return given


def rates_of(fixes: int) -> list[float]:
    """Rates to try: up to twice the floor of 2,000 messages of one fix, or of 50,000 fixes, and beyond."""
    floor = 2_000.0 if fixes == 1 else 50_000.0
    return [share * floor for share in (0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 2.5)]


def main() -> None:
    """Measure and print."""
    given = options()
    with place(given.folder) as folder:
        found = measure(given, folder)
    text = json.dumps(found)
    if given.json:
        given.json.write_text(text + "\n")
    print(text)


def measure(given: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Make the city and its packets, start all, and offer the load."""
    city = City(given.units)
    district = city.write_folder(folder / "city")
    most = max([*given.rates, given.rate or 0])
    period_s = 1.0 if given.fixes == 1 else given.units * given.fixes / most
    wanted_s = given.seconds + (given.trial_seconds + period_s) * (len(given.rates) + 2) + 2 * period_s
    before = -(-given.history // given.fixes)
    plan = encode(city, folder / "packets", given.fixes, before, round(wanted_s / period_s))
    gigabytes = Path(plan.path).stat().st_size / 1e9
    print(
        f"{given.form} form, {len(plan.units):,} units on {len(district.streets):,} streets, {gigabytes:.2f} GB of packets"
    )
    workers = [f"worker-{n}" for n in range(given.workers)]
    with stack(folder, given.form, district, folder / "city", given.partitions) as running:
        for number in range(given.ingestors):
            shared = ["--group", "load"] if given.ingestors > 1 else []
            name = f"ingest-{number}"
            running.start(
                name,
                "ingest",
                ["--district", district.district_id, "--client-id", name, *shared, "--stats", "10"],
            )
        for name in workers:
            running.start(name, "process", ["--stats", "10"])
        begun_s = time.monotonic()
        running.wait_ready(workers)
        print(f"workers ready after {time.monotonic() - begun_s:.0f} s", flush=True)
        with closing(running.open_log()) as log:
            load = Load(running, city, plan, district.district_id, log)
            if before:
                count = append_history(city, plan, log)
                print(f"history of {count:,} fixes processed in {load.drain():.0f} s", flush=True)
            load.run(given.rate or given.rates[0], 2 * period_s)  # first calls, first connections
            trials, best = search(load, given.rates, given.trial_seconds)
            rate = given.rate or best
            found = long_run(load, rate, given.seconds) if rate else {}
            if load.seen is not None:
                load.seen.stop()
    return {
        "machine": machine(),
        "form": given.form,
        "fixes_per_message": given.fixes,
        "units": len(plan.units),
        "streets": len(district.streets),
        "workers": given.workers,
        "ingestors": given.ingestors,
        "curve": [asdict(one) for one in trials],
        "best_fixes_per_s": best,
        **found,
    }


def machine() -> dict[str, Any]:
    """What it ran on."""
    return {
        "cores": psutil.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "python": platform.python_version(),
        "system": platform.system(),
    }


if __name__ == "__main__":
    main()
