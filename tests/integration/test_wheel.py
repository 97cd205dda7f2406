"""The wheel, installed into an environment that has nothing of the checkout."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def run(folder: Path, *command: str | Path, timeout_s: float = 300) -> str:
    environment = {**os.environ, "SWEPT_HOME": str(folder / "home"), "COLUMNS": "200"}
    done = subprocess.run(
        list(map(str, command)),
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout_s,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an environment with the wheel; dependencies are those that the tests run with."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    venv.create(folder / "env", with_pip=False)
    python = folder / "env/bin/python"
    (wheel,) = folder.glob("*.whl")
    options = ["--no-deps", "--no-index", "--disable-pip-version-check"]
    run(folder, sys.executable, "-m", "pip", "--python", python, "install", *options, wheel)
    # A folder that a .pth file names is searched last, and its own .pth files (the checkout's) aren't read.
    site = run(folder, python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip()
    (Path(site) / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    return folder


@pytest.mark.slow
def test_the_wheel_holds_all_that_it_needs_and_nothing_of_the_checkout(installed: Path) -> None:
    script = (
        "import sys, swept, processing; from swept.settings import configs_folder, deploy_folder;"
        "from storage.migrate import migrations;"
        "print(swept.__file__, processing.__file__, configs_folder(), deploy_folder(), len(migrations()), sep='\\n')"
    )
    *places, count = run(installed, installed / "env/bin/python", "-c", script).splitlines()
    assert all(place.startswith(str(installed)) for place in places)
    assert int(count) == len(list((ROOT / "storage/schema").glob("*.sql")))
    configs, deploy = (Path(place) for place in places[2:])
    # The rest of deploy/ is for a checkout: compose.yaml is there and nowhere else.
    for name, place in (
        ("configs", configs),
        ("deploy/kafka", deploy / "kafka"),
        ("deploy/mosquitto", deploy / "mosquitto"),
    ):
        for file in (ROOT / name).rglob("*"):
            assert (place / file.relative_to(ROOT / name)).exists()


@pytest.mark.slow
def test_the_wheels_commands_answer_and_count(installed: Path) -> None:
    swept = installed / "env/bin/swept"
    assert "Usage: swept" in run(installed, swept, "--help")
    assert "144 streets" in run(installed, swept, "district", "check")
    streets = installed / "env/lib"
    (streets,) = streets.glob("python*/site-packages/swept/configs/zhanqian/streets.geojson")
    row = "s1,2024-05-01T06:00:00+08:00,122.2573668,40.6733782"
    (installed / "fixes.csv").write_text(f"unit,time,lon,lat\n{row}\n", encoding="utf-8")
    run(installed, swept, "analyze", "--streets", streets, "--fixes", "fixes.csv", "--out", "out")
    assert len((installed / "out/frequency.csv").read_text(encoding="utf-8").splitlines()) == 145


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_the_wheels_demo_runs_to_its_end(installed: Path) -> None:
    told = run(installed, installed / "env/bin/swept", "demo", "--exit", "--rate", "1000", timeout_s=380)
    assert "frequency exactly right" in told
    assert "ZQ-144" in told
    assert ", 0 not." in told
    assert not (installed / "home/demo/runtime.json").exists()
