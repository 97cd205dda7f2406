from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from swept.errors import UserError
from swept.memory import family, memory_mib
from swept.supervisor import Program, Supervisor, running

SLEEPER = (sys.executable, "-c", "import time; print('up', flush=True); time.sleep(600)")


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, "never came true"
        time.sleep(0.02)


def alive(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text(encoding="ascii").rpartition(")")[2].split()[0] != "Z"


def test_a_killed_program_is_started_again_and_the_file_names_the_new_process(tmp_path: Path) -> None:
    with Supervisor(tmp_path, {"mqtt_url": "mqtt://127.0.0.1:1"}) as supervisor:
        supervisor.start(Program("sleeper", SLEEPER))
        first = supervisor.pids["sleeper"]
        os.kill(first, signal.SIGKILL)
        wait_for(lambda: supervisor.pids["sleeper"] != first)
        assert supervisor.restarts == ("sleeper",)
        found = running(tmp_path)
        assert found is not None
        assert found["programs"] == supervisor.pids
        assert found["mqtt_url"] == "mqtt://127.0.0.1:1"
        assert (tmp_path / "runtime.json").stat().st_mode & 0o077 == 0


def test_at_the_end_every_program_is_gone_and_so_is_the_file(tmp_path: Path) -> None:
    with Supervisor(tmp_path) as supervisor:
        for name in ("one", "two"):
            supervisor.start(Program(name, SLEEPER))
        pids = list(supervisor.pids.values())
    assert not any(map(alive, pids))
    assert running(tmp_path) is None


def test_a_program_that_ignores_the_polite_signal_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("swept.supervisor.STOP_S_MAX", 0.5)
    source = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True)\n"
    with Supervisor(tmp_path) as supervisor:
        log = tmp_path / "logs" / "stubborn.log"
        supervisor.start(
            Program("stubborn", (sys.executable, "-c", source + "time.sleep(600)")),
            lambda: "up" in log.read_text(),
        )
        pid = supervisor.pids["stubborn"]
    assert not alive(pid)


def test_a_program_that_can_not_start_is_given_up_with_its_last_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("swept.supervisor.DEATHS_MAX", 3)
    with Supervisor(tmp_path) as supervisor, pytest.raises(UserError, match=r"broken dies .*no such table"):
        supervisor.start(
            Program("broken", (sys.executable, "-c", "raise SystemExit('no such table')")), lambda: False
        )


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child that its parent is gone")
def test_a_program_that_once_lived_is_tried_until_it_lives_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it needs may be away for long; that is no reason to end all others."""
    monkeypatch.setattr("swept.supervisor.DEATHS_MAX", 3)
    monkeypatch.setattr("swept.supervisor.DELAY_S_MAX", 0.1)
    monkeypatch.setattr("swept.supervisor.LIVED_S", 0.5)
    needed = tmp_path / "needed"
    needed.touch()
    source = f"import pathlib, sys, time\nif not pathlib.Path({str(needed)!r}).exists(): sys.exit(2)\ntime.sleep(600)"
    with Supervisor(tmp_path) as supervisor:
        supervisor.start(Program("needy", (sys.executable, "-c", source)))
        time.sleep(1.0)
        needed.unlink()
        os.kill(supervisor.pids["needy"], signal.SIGKILL)
        wait_for(lambda: len(supervisor.restarts) > 6)
        supervisor.check()
        needed.touch()
        restarts = -1
        while restarts < len(supervisor.restarts):
            restarts = len(supervisor.restarts)
            time.sleep(1.0)
        assert alive(supervisor.pids["needy"])


def test_nothing_outlives_a_supervisor_that_is_killed(tmp_path: Path) -> None:
    source = (
        "import sys, time; from pathlib import Path; from swept.supervisor import Program, Supervisor\n"
        "Supervisor(Path(sys.argv[1])).start(Program('sleeper', tuple(sys.argv[2:])))\ntime.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", source, str(tmp_path), *SLEEPER]) as parent:
        wait_for(lambda: running(tmp_path) is not None)
        pid = json.loads((tmp_path / "runtime.json").read_text())["programs"]["sleeper"]
        log = tmp_path / "logs" / "sleeper.log"
        wait_for(lambda: "up" in log.read_text())
        parent.kill()
        parent.wait()
        wait_for(lambda: not alive(pid))
    assert running(tmp_path) is None


def test_memory_counts_a_process_and_its_children() -> None:
    source = "import time; data = bytearray(b'x') * 50_000_000; print('up', flush=True); time.sleep(600)"
    with subprocess.Popen([sys.executable, "-c", source], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        assert child.pid in family(os.getpid())
        assert memory_mib(child.pid) > 45
        assert memory_mib(os.getpid()) > memory_mib(child.pid)
        child.kill()
