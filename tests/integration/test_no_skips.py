from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def run_pytest(folder: Path, source: str) -> subprocess.CompletedProcess[str]:
    (folder / "test_it.py").write_text(source, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-p", "tests.plugins.no_skips", "-c", "/dev/null", str(folder)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    "source",
    [
        "import pytest\n@pytest.mark.skip(reason='no server')\ndef test_it(): ...",
        "import pytest\ndef test_it(): pytest.skip('no server')",
        "import pytest\npytest.skip('no server', allow_module_level=True)",
        "import pytest\n@pytest.fixture\ndef server(): pytest.skip('no server')\ndef test_it(server): ...",
    ],
)
def test_in_ci_a_skipped_test_is_a_failed_one_that_names_its_reason(source: str, tmp_path: Path) -> None:
    done = run_pytest(tmp_path, source)
    assert done.returncode != 0
    assert "no server" in done.stdout


def test_in_ci_a_passing_test_and_an_expected_failure_stay_what_they_are(tmp_path: Path) -> None:
    source = "import pytest\ndef test_it(): ...\n@pytest.mark.xfail(strict=True)\ndef test_x(): assert False"
    done = run_pytest(tmp_path, source)
    assert done.returncode == 0, done.stdout
