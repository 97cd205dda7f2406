from __future__ import annotations

from pathlib import Path

import pytest

from simulators.device import Broker
from simulators.replay import read_csv
from swept.embedded_broker import EmbeddedBroker
from swept.main import run
from swept.supervisor import Supervisor
from tests.integration.memory_log import memory_log

SHORT = "units = 2\nshift_end_s = 23400\n"


@pytest.fixture
def short(tmp_path: Path) -> Path:
    path = tmp_path / "short.toml"
    path.write_text(SHORT)
    return path


def test_simulating_offline_twice_writes_the_same_bytes(tmp_path: Path, short: Path) -> None:
    for name in ("one", "two"):
        arguments = ["simulate", "--offline", "--scenario", str(short), "--out", str(tmp_path / name)]
        assert run(arguments) == 0
    for file in ("fixes.csv", "truth.json"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


def test_a_run_simulated_live_and_its_csv_replayed_reach_the_log(
    tmp_path: Path, short: Path, broker: EmbeddedBroker, capsys: pytest.CaptureFixture[str]
) -> None:
    live = ["--mqtt", broker.url, "--rate", "5000"]
    out = ["--scenario", str(short), "--out", str(tmp_path)]
    with memory_log(Broker.of(broker.url), district_id="zhanqian") as log:
        assert run(["simulate", *out, *live]) == 0
        assert run(["simulate", "--offline", *out]) == 0
        simulated = {unit: len(seqs) for unit, seqs in log.seqs.items()}
        with (tmp_path / "fixes.csv").open("a") as file:
            file.write("ZQ-S01,soon,122.2\n")
        log.seqs.clear()
        capsys.readouterr()
        assert run(["replay", str(tmp_path / "fixes.csv"), *live]) == 0
    said = capsys.readouterr()
    assert {unit: len(seqs) for unit, seqs in log.seqs.items()} == simulated
    assert sum(simulated.values()) > 500
    assert "1 rows left out" in said.out
    assert f"fixes.csv:{sum(simulated.values()) + 2}:" in said.err


def test_without_a_broker_named_a_recording_goes_to_the_one_that_runs_here(
    tmp_path: Path,
    broker: EmbeddedBroker,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.delenv("SWEPT_MQTT_URL", raising=False)
    monkeypatch.setenv("SWEPT_HOME", str(tmp_path))
    file = tmp_path / "one.csv"
    file.write_text("unit,time,lon,lat\nZQ-S01,2024-05-01T06:00:00+08:00,122.25,40.67\n")
    assert run(["replay", str(file)]) == 2
    assert "start swept ingest first, or set SWEPT_MQTT_URL" in capsys.readouterr().err
    with (
        memory_log(Broker.of(broker.url), district_id="zhanqian") as log,
        Supervisor(tmp_path) as supervisor,
    ):
        supervisor.say(mqtt_url=broker.url)
        assert run(["replay", str(file)]) == 0
    assert list(log.seqs) == ["ZQ-S01"]


def test_scoring_prints_how_near_a_result_is(
    tmp_path: Path, short: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["simulate", "--offline", "--scenario", str(short), "--out", str(tmp_path)]) == 0
    units = {unit for _, unit, _ in read_csv(tmp_path / "fixes.csv")}
    assert units == {"ZQ-S01", "ZQ-S02"}
    figures = tmp_path / "frequency.csv"
    figures.write_text("service_day,street_id,frequency,coverage\n2026-06-01,ZQ-001,9,1.0\n")
    assert run(["score", "--truth", str(tmp_path / "truth.json"), "--frequency", str(figures)]) == 0
    said = capsys.readouterr().out
    assert "frequency exactly right" in said
    assert "ZQ-001" in said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["simulate", "--scenario", "nosuch"], "one of close, hard, quiet, shift, walls"),
        (["simulate", "--mqtt", "http://x", "--out", "{tmp}", "--scenario", "{short}"], "mqtt://host:1883"),
        (["simulate", "--mqtt", "mqtt://127.0.0.1:1", "--out", "{tmp}", "--scenario", "{short}"], "no MQTT"),
        (["replay", "{tmp}/nosuch.csv"], "name a recording"),
        (["replay", "{short}"], "convert or rename"),
        (["score", "--truth", "{short}", "--frequency", "{short}"], "swept simulate writes it"),
    ],
)
def test_what_a_user_gets_wrong_is_one_line_and_status_2(
    tmp_path: Path, short: Path, arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    places = {"tmp": str(tmp_path), "short": str(short)}
    assert run([argument.format(**places) for argument in arguments]) == 2
    error = capsys.readouterr().err.strip()
    assert said in error
    assert "\n" not in error
