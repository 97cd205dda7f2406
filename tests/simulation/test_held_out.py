"""Families of scenarios that nothing is fitted to: played a little here, much more by the benchmarks."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from processing.district_files import parse_district, parse_plan
from processing.pipeline import Core
from simulators.district import generate
from simulators.scenario import load_scenario, true_shift
from simulators.score import right_passes

ROOT = Path(__file__).parents[2]
HELD_OUT = ROOT / "benchmarks" / "held_out"
FITTING = ROOT / "configs" / "scenarios"
SEEDS_MAX = 1_000


def test_only_the_accuracy_benchmark_reads_what_is_held_out() -> None:
    folders = (
        "api",
        "benchmarks",
        "ingest",
        "processing",
        "simulators",
        "storage",
        "streams",
        "swept",
        "tests",
    )
    sources = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    readers = {path.relative_to(ROOT).as_posix() for path in sources if "held_out" in path.read_text("utf-8")}
    assert readers == {"benchmarks/accuracy.py", "tests/simulation/test_held_out.py"}


def test_families_have_districts_of_their_own() -> None:
    towns = [
        (path, town.first_seed)
        for folder in (HELD_OUT, FITTING)
        for path in folder.glob("*.toml")
        if (town := load_scenario(path).town) is not None
    ]
    starts = sorted(start for _, start in towns)
    assert all(b - a >= SEEDS_MAX for a, b in pairwise(starts))
    assert {path.stem for path, _ in towns}.issuperset(
        {"plain", "beside", "crossing", "canyons", "brush", "survey", "all"}
    )


@pytest.mark.parametrize(
    ("family", "sigma_m", "every_s", "exact_min", "right_min"),
    [
        ("plain", 5.0, 5.0, 0.98, 0.99),
        ("crossing", 5.0, 10.0, 0.99, 0.99),
        ("all", 8.0, 15.0, 0.94, 0.99),
    ],
)
def test_a_shift_of_a_held_out_family_is_nearly_right(
    family: str, sigma_m: float, every_s: float, exact_min: float, right_min: float
) -> None:
    scenario = load_scenario(HELD_OUT / f"{family}.toml")
    assert scenario.town is not None
    files = generate(scenario.town.first_seed, scenario.town.layout)
    district = parse_district(files)
    core = Core(district)
    shift = true_shift(district, scenario, parse_plan(files))
    sensed = shift.sensed(replace(scenario.reception, sigma_m=sigma_m, fix_interval_s=every_s))
    passes = [
        one
        for unit_id, columns in sensed.items()
        for track in core.tracks(unit_id, columns, {})
        for one in track.passes or ()
    ]
    found = {(day.street_id, day.work): day.frequency for day in core.street_days(passes)}
    true = {(day.street_id, day.work): day.frequency for day in core.street_days(shift.passes)}
    wanted = [(street.street_id, street.work) for street in district.streets]
    exact = sum(found.get(key, 0) == true.get(key, 0) for key in wanted) / len(wanted)
    certain = [one for one in passes if one.swept and one.ambiguous_with is None]
    right = sum(right_passes(certain, shift.stays)) / len(certain)
    print(family, f"exact {exact:.4f}, of {len(certain)} certain passes right {right:.4f}")
    assert exact >= exact_min
    assert right >= right_min
