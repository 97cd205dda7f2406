from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import pytest

from processing.decode import Directory, decode
from processing.district import District
from processing.district_files import Round, parse_district, parse_plan
from processing.pipeline import analyze
from simulators.scenario import Run, load_scenario, play
from simulators.score import Figure, Score, score
from tests.unit.simulators.grid import grid

CONFIGS = Path(__file__).parents[2] / "configs"


@pytest.fixture(scope="module")
def zhanqian() -> tuple[District, tuple[Round, ...]]:
    folder = CONFIGS / "zhanqian"
    files = {p.name: p.read_bytes() for p in folder.iterdir() if p.suffix in {".toml", ".geojson"}}
    return parse_district(files), parse_plan(files)


def scored(run: Run) -> Score:
    """What the core makes of a run's deliveries, against its truth."""
    directory = Directory.of(run.district)
    decoded = [decode(d.mqtt_topic, d.payload, d.deliver_at_us, directory) for d in run.deliveries]
    assert not any(one.rejections for one in decoded)
    analysis = analyze(run.district, [report for one in decoded for report in one.reports])
    works = {street.street_id: street.work for street in run.district.streets}
    figures = {
        one.street_id: Figure(one.street_id, one.frequency, one.coverage)
        for one in analysis.street_days
        if one.work == works[one.street_id] and one.service_day == run.scenario.date
    }
    swept = defaultdict[str, list[tuple[float, float]]](list)
    for one in analysis.passes:
        if one.work == works[one.street_id]:
            swept[one.street_id] += [(p.from_mm / 1e3, p.to_mm / 1e3) for p in one.swept]
    return score(run.district, run.truth_passes, figures, run.scenario.date, swept)


def test_without_noise_every_frequency_of_the_grid_is_exactly_right() -> None:
    result = scored(play(grid(), load_scenario(CONFIGS / "scenarios" / "quiet.toml")))
    assert result.exact_share == 1.0
    assert result.coverage_error < 0.005
    assert result.credited_undriven == 0


@pytest.mark.parametrize(
    ("name", "exact_min", "off_max"), [("quiet", 1.0, 0), ("shift", 0.98, 0), ("hard", 0.94, 1)]
)
def test_a_shift_in_zhanqian_scores_as_well_as_its_receivers_allow(
    name: str, exact_min: float, off_max: int, zhanqian: tuple[District, tuple[Round, ...]]
) -> None:
    result = scored(play(zhanqian[0], load_scenario(CONFIGS / "scenarios" / f"{name}.toml"), zhanqian[1]))
    print(name, *result.table(), sep="\n")
    assert result.exact_share >= exact_min
    assert result.off_by_more <= off_max
    assert result.credited_undriven == 0
    assert result.true_m > 30_000.0
