"""What a fix costs in the core, stage by stage, in microseconds of one thread's CPU time.

    python benchmarks/core.py [--repeats N]

The fixes of a simulated shift of twelve units go the way of the worker, in messages of one and of fifty: they are
read as columns, their identities settled, cut by unit, and encoded for the store. (The first decode is the one-by-one
way, which what isn't plain takes.) Then tracks with their passes, and street-days. The stages take turns in each
repeat; the median of the repeats is printed. Last comes one street's day by how often it was swept. The last line
is JSON.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import date
from statistics import median
from typing import Any

import numpy as np

from swept.kernel_cache import use_own_cache

use_own_cache()

from processing.batch import compare, settle
from processing.decode import Directory, decode
from processing.district import Street
from processing.frequency import street_day
from processing.linear_reference import Reference
from processing.pipeline import Core
from processing.read import BatchReader
from processing.rules import Rules
from processing.service_day import US, day_start_us
from processing.sweep import Pass, Passes, Piece
from simulators.channel import Delivery
from simulators.scenario import load_scenario, play
from storage import fixes
from storage.copy_binary import encode
from streams.log import Envelope
from swept.playing import district_and_plan
from swept.settings import configs_folder

#: So many records a worker takes in one batch.
RECORDS = 2_000
#: A street that a unit sweeps in 46 s with a fix each second, within four hours, so many times.
LENGTH_MM, FIXES, WITHIN_S, TIMES = 120_000, 46, 4 * 3_600, (1, 5, 25, 50)
DAY = date(2024, 5, 1)


def messages(deliveries: Sequence[Delivery], size: int) -> list[Envelope]:
    """The fixes of a run, each once, in messages of `size`, as the units' messages would be mixed."""
    sent: dict[str, dict[object, bytes]] = defaultdict(dict)
    for one in deliveries:
        if one.mqtt_topic.endswith("/fix"):
            content = json.loads(one.payload)
            for body in content if isinstance(content, list) else [content]:
                sent[one.mqtt_topic].setdefault(
                    body["time"], json.dumps(body, separators=(",", ":")).encode()
                )
    now_us = max(one.deliver_at_us for one in deliveries)
    found: list[tuple[int, Envelope]] = []
    for mqtt_topic, bodies in sent.items():
        rows = [*bodies.values()]
        for first in range(0, len(rows), size):
            payload = b"[%b]" % b",".join(rows[first : first + size]) if size > 1 else rows[first]
            found.append((first, Envelope(mqtt_topic.split("/")[3], mqtt_topic, payload, now_us)))
    return [envelope for _, envelope in sorted(found, key=lambda pair: pair[0])]


def stages_of(title: str, sent: Sequence[Envelope], directory: Directory) -> dict[str, Callable[[], Any]]:
    """What a worker does with these messages before it looks at tracks."""
    reader = BatchReader(directory)
    batches = [sent[first : first + RECORDS] for first in range(0, len(sent), RECORDS)]
    read = [reader.read(batch).batch for batch in batches]
    accepted = [settle(batch, compare(batch), {}).accepted for batch in read]
    places = np.stack([np.zeros(RECORDS, dtype=np.int64), np.arange(RECORDS)], axis=1)
    columns = [fixes.columns_of(batch, places) for batch in accepted]
    return {
        f"{title}decode one by one": lambda: [
            decode(one.mqtt_topic, one.payload, one.received_us, directory) for one in sent
        ],
        f"{title}read as columns": lambda: [reader.read(batch) for batch in batches],
        f"{title}settle identities": lambda: [settle(batch, compare(batch), {}) for batch in read],
        f"{title}cut by unit": lambda: [dict(batch.by_unit()) for batch in accepted],
        f"{title}columns of the store": lambda: [fixes.columns_of(batch, places) for batch in accepted],
        f"{title}encode for COPY": lambda: [
            encode([fixes.TYPES[name] for name in one], list(one.values())) for one in columns
        ],
    }


def swept(times: int) -> Passes:
    """Passes along all of the street, at random moments and at a pace that changes each second."""
    chance = np.random.default_rng(times)
    begin_us = day_start_us(DAY, 6 * 3_600, Rules().timezone)
    found = []
    for number in range(times):
        inner = np.sort(chance.choice(np.arange(1, LENGTH_MM), FIXES - 1, replace=False)).tolist()
        at_mm = [0, *inner, LENGTH_MM][:: 1 if chance.random() < 0.5 else -1]
        first_us = begin_us + int(chance.uniform(0, WITHIN_S * US))
        at_us = [first_us + n * US for n in range(len(at_mm))]
        pieces = tuple(map(Piece, at_mm[:-1], at_mm[1:], at_us[:-1], at_us[1:]))
        way = 1 if at_mm[0] == 0 else -1
        found.append(
            Pass(
                f"u{number}",
                first_us,
                0,
                "s",
                "sweeping",
                way,
                first_us,
                at_us[-1],
                at_mm[0],
                at_mm[-1],
                pieces,
            )
        )
    return Passes.of("s", found)


def street_day_costs(repeats: int) -> dict[int, float]:
    """Microseconds of one street's day, by how often it was swept."""
    along_m = np.array([0.0, LENGTH_MM / 1_000])
    where = Reference(
        "s", LENGTH_MM, closed=False, xy=np.stack([along_m, 0.0 * along_m], axis=1), along_m=along_m
    )
    street, rules = Street("s", "Street", (((0.0, 0.0), (1.0, 0.0)),)), Rules()
    costs = {}
    for times in TIMES:
        passes = swept(times)
        took = []
        for _ in range(repeats + 1):
            begun = time.thread_time()
            for _ in range(20):
                street_day(street, where, DAY, "sweeping", passes, rules)
            took.append((time.thread_time() - begun) / 20)
        costs[times] = round(1e6 * median(took[1:]), 1)
    return costs


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    repeats = parser.parse_args().repeats
    district, rounds = district_and_plan(configs_folder() / "zhanqian")
    run = play(district, load_scenario(configs_folder() / "scenarios" / "shift.toml"), rounds)
    core = Core(district)
    stages: dict[str, Callable[[], Any]] = {}
    for size in (1, 50):
        stages |= stages_of(f"messages of {size}: ", messages(run.deliveries, size), Directory.of(district))
    reports = BatchReader(Directory.of(district)).read(messages(run.deliveries, 50)).batch
    accepted = settle(reports, compare(reports), {}).accepted
    whole = dict(accepted.by_unit())
    passes = [
        one
        for unit, rows in whole.items()
        for track in core.tracks(unit, rows, {})
        for one in track.passes or ()
    ]
    stages |= {
        "match alone": lambda: [core.matched(unit, rows) for unit, rows in whole.items()],
        "tracks: match, passes, ambiguity": lambda: [core.tracks(u, rows, {}) for u, rows in whole.items()],
        "street-days": lambda: core.street_days(passes),
    }
    seconds: dict[str, list[float]] = defaultdict(list)
    for stage in stages.values():
        stage()
    for _ in range(repeats):
        for name, stage in stages.items():
            begun = time.thread_time()
            stage()
            seconds[name].append(time.thread_time() - begun)
    costs = {name: 1e6 * median(times) / len(accepted) for name, times in seconds.items()}
    print(f"{len(accepted):,} fixes, {len(passes):,} passes, median of {repeats}")
    for name, cost in costs.items():
        print(f"  {name:42s} {cost:7.2f} us a fix")
    days = street_day_costs(repeats)
    for times, cost in days.items():
        print(f"  a street's day of {times:2} passes, {FIXES} pieces each {cost:11,.0f} us")
    told = {name: round(cost, 2) for name, cost in costs.items()}
    print(json.dumps({"fixes": len(accepted), "us_per_fix": told, "us_per_street_day": days}))


if __name__ == "__main__":
    main()
