"""What a fix costs where: in the worker's own steps, in ingest, and in the CPU of each process."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

#: The worker's steps under the names that a budget has.
STEPS = {
    "read": "read",
    "decode": "decode",
    "fence": "fence",
    "reports": "columns",
    "tracks": "match",
    "unit_days": "write",
    "figures": "write",
    "checkpoint": "commit",
    "commit": "commit",
    "closed": "commit",
}


@dataclass(frozen=True, slots=True)
class Budget:
    """Microseconds; `steps` are the wall clock's in workers, waiting for the database included."""

    fixes: int
    messages: int
    cpu_s: float
    cpu_us_per_fix: dict[str, float]
    steps_us_per_fix: dict[str, float]
    step_names_us_per_fix: dict[str, float]
    calls_us_per_record: dict[str, float]
    ingest_threads_us_per_message: dict[str, float]
    batches: int
    messages_per_batch: float
    refused: int
    duplicates: int


def budget_of(
    before: Mapping[str, Any], after: Mapping[str, Any], fixes: int, messages: int, generator_cpu_s: float
) -> Budget:
    """From two looks at all processes."""
    cpu = {_role(name): 0.0 for name in after["cpu_s"]} | {"generator": generator_cpu_s}
    for name, used_s in after["cpu_s"].items():
        cpu[_role(name)] += used_s - before["cpu_s"].get(name, 0.0)
    steps: dict[str, float] = defaultdict(float)
    calls: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])
    threads: dict[str, float] = defaultdict(float)
    counts: dict[str, int] = defaultdict(int)
    for name, now in after["watched"].items():
        then = before["watched"].get(name, {})
        _add(steps, now.get("steps", {}), then.get("steps", {}))
        _add(counts, now.get("counts", {}), then.get("counts", {}))
        if _role(name) == "ingest":
            _add(threads, now.get("threads", {}), then.get("threads", {}))
        for call, (_, records, spent_s) in now.get("calls", {}).items():
            _, records_then, spent_then = then.get("calls", {}).get(call, (0, 0, 0.0))
            if (_role(name), call) in {("ingest", "append"), ("worker", "read")}:
                calls[call][0] += records - records_then
                calls[call][1] += spent_s - spent_then
    named = {step: 1e6 * spent / fixes for step, spent in steps.items()}
    grouped: dict[str, float] = defaultdict(float)
    for step, each in named.items():
        grouped[STEPS.get(step, step)] += each
    return Budget(
        fixes=fixes,
        messages=messages,
        cpu_s=round(sum(cpu.values()), 2),
        cpu_us_per_fix=_rounded({name: 1e6 * spent / fixes for name, spent in cpu.items()}),
        steps_us_per_fix=_rounded(grouped),
        step_names_us_per_fix=_rounded(named),
        calls_us_per_record=_rounded(
            {call: 1e6 * spent / max(1, count) for call, (count, spent) in calls.items()}
        ),
        ingest_threads_us_per_message=_rounded(
            {name: 1e6 * spent / messages for name, spent in threads.items()}
        ),
        batches=counts["batches"],
        messages_per_batch=round(messages / max(1, counts["batches"]), 1),
        refused=counts["refused"],
        duplicates=counts["duplicates"],
    )


def _role(name: str) -> str:
    return name.split("-", maxsplit=1)[0]


def _add(to: dict[str, Any], now: Mapping[str, float], then: Mapping[str, float]) -> None:
    for name, value in now.items():
        if isinstance(value, int | float):
            to[name] += value - then.get(name, 0)


def _rounded(values: Mapping[str, float]) -> dict[str, float]:
    return {name: round(value, 2) for name, value in values.items()}


def show_budget(budget: Budget) -> None:
    """As a person reads it."""
    print(f"budget of {budget.fixes:,} fixes in {budget.messages:,} messages, microseconds a fix")
    print("  wall clock of the workers' steps, the database's time included:")
    for name in dict.fromkeys(STEPS.values()):
        print(f"    {name:10s} {budget.steps_us_per_fix.get(name, 0.0):9.2f}")
    own = ", ".join(f"{name} {each:.2f}" for name, each in budget.step_names_us_per_fix.items())
    print(f"    ({own}; {budget.messages_per_batch:,.0f} messages a batch)")
    print("  CPU of each process:")
    for name, each in sorted(budget.cpu_us_per_fix.items(), key=lambda item: -item[1]):
        print(f"    {name:10s} {each:9.2f}   {each * budget.fixes / budget.messages:9.1f} a message")
    print(f"    {'all':10s} {sum(budget.cpu_us_per_fix.values()):9.2f}")
    calls = ", ".join(f"{name} {each:.1f}" for name, each in budget.calls_us_per_record.items())
    print(f"  log, microseconds a record: {calls}")
    threads = ", ".join(f"{name} {each:.1f}" for name, each in budget.ingest_threads_us_per_message.items())
    print(f"  ingest's threads, CPU microseconds a message (mqtt is paho): {threads}")
    if budget.refused or budget.duplicates:
        print(f"  {budget.refused} refused, {budget.duplicates} duplicates")
