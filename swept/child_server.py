"""What servers that run as our children have in common: a folder, a port of 127.0.0.1, and an end with us.

A server gets a process group of its own, so that Ctrl-C is ours to handle, and its output goes to a file of
bounded size. A small watchdog process ends it when we die, however we die. Two servers on one folder would
spoil each other's data, so the folder is held by a lock.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import random
import signal
import socket
import subprocess
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any, ClassVar, Self

from swept.errors import UserError

PORTS = range(20_000, 32_768)
"""Below those that the kernel gives to outgoing connections: a server that is down keeps its port."""
PORT_TRIES_MAX = 100
START_TRIES_MAX = 3
LOG_BYTES_MAX = 10_000_000
TAIL_BYTES = 2_000
POLL_S = 0.03

# Reads until our end of the pipe closes (we stopped it, or died), then asks the server to end, then makes it.
_WATCHDOG = """
while read -r _; do :; done
kill -"$2" "$1" || exit
waited=0
while [ "$waited" -lt "$3" ]; do sleep 1; kill -0 "$1" || exit; waited=$((waited + 1)); done
kill -KILL "$1"
"""


class ChildServer(ABC):
    """One server on one folder; `ensure` may be called at any time, also after others killed it.

    Port 0 takes a free one, which it keeps over restarts.
    """

    name: ClassVar[str]
    """As in "Kafka did not start", and in small letters of its log file."""
    start_s_max: ClassVar[float]
    stop_s_max: ClassVar[float] = 15.0

    def __init__(self, folder: Path, port: int = 0) -> None:
        self.folder = folder.absolute()
        self.port = port
        self._port_is_free_choice = port == 0
        self._mutex = threading.RLock()
        self._hold: IO[str] | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._watchdog: subprocess.Popen[bytes] | None = None

    @property
    @abstractmethod
    def url(self) -> str:
        """Where clients connect; only after a start."""

    @property
    def pid(self) -> int | None:
        """The server's process id; None while it doesn't run."""
        process = self._process
        return process.pid if process is not None and process.poll() is None else None

    @property
    def log(self) -> Path:
        """The file of what it prints."""
        return self.folder / f"{self.name.lower()}.log"

    def start(self) -> str:
        """Start if it doesn't run, wait until it answers; the URL."""
        return self.ensure()

    def ensure(self) -> str:
        """The URL of a server that answers: starts it, or starts it again if it died."""
        with self._mutex:
            try:
                if self._hold is None:
                    self._hold = hold_folder(self.folder, self.name)
                if not self._becomes_ready():
                    self._launch()
            except BaseException:
                self.stop()
                raise
            return self.url

    def kill(self) -> None:
        """Kill -9, as a power cut would, and see it gone."""
        process = self._process
        if process is not None and process.poll() is None:
            process.kill()
            process.wait()

    def stop(self) -> None:
        """End it in good order; safe to call twice."""
        with self._mutex:
            self._halt()
            if self._hold is not None:
                self._hold.close()
                self._hold = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @abstractmethod
    def _command(self) -> Sequence[str]:
        """The command line that runs it, after making what that needs in the folder."""

    @abstractmethod
    def _answers(self) -> bool:
        """Whether a client's question is answered."""

    def _environment(self) -> dict[str, str]:
        """The variables that it starts with."""
        return dict(os.environ)

    def _said(self) -> str:
        """The end of what it said, for whom it didn't start."""
        return tail(self.log)

    def _launch(self) -> None:
        for _ in range(START_TRIES_MAX):
            self._halt()
            self.port = self.port or free_port()
            if accepts(self.port):
                raise UserError(
                    f"port {self.port} of 127.0.0.1 is in use; stop what uses it or take another."
                )
            self._spawn(self._command())
            if self._becomes_ready():
                self._port_is_free_choice = False
                return
            self._halt()
            if not (self._port_is_free_choice and "already in use" in self._said()):
                break
            self.port = 0  # somebody was faster
        raise RuntimeError(f"{self.name} did not start on port {self.port}:\n{self._said()}")

    def _spawn(self, command: Sequence[str]) -> None:
        if self.log.exists() and self.log.stat().st_size > LOG_BYTES_MAX:
            self.log.replace(self.log.with_suffix(".log.1"))
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(
                command,
                cwd=self.folder,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        self._watchdog = watchdog(self._process.pid, signal.SIGTERM, self.stop_s_max)

    def _becomes_ready(self) -> bool:
        deadline = time.monotonic() + self.start_s_max
        while self.pid is not None and time.monotonic() < deadline:
            if accepts(self.port) and self._answers():
                return self.pid is not None
            time.sleep(POLL_S)
        return False

    def _halt(self) -> None:
        end_watchdog(self._watchdog)
        end(self._process, ((signal.SIGTERM, self.stop_s_max), (signal.SIGKILL, None)))
        self._watchdog = self._process = None


def hold_folder(folder: Path, what: str) -> IO[str]:
    """Lock a folder, made if need be, until the file that is returned is closed; UserError if another has it."""
    folder.mkdir(parents=True, exist_ok=True)
    hold = (folder / "held_by").open("a+")
    try:
        fcntl.flock(hold, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        hold.seek(0)
        holder = hold.read().strip() or "another process"
        hold.close()
        raise UserError(
            f"{what} in {folder} is in use by process {holder}; stop that, or set SWEPT_HOME to another folder."
        ) from None
    hold.seek(0)
    hold.truncate()
    hold.write(f"{os.getpid()}\n")
    hold.flush()
    return hold


def watchdog(pid: int, polite: signal.Signals, patience_s: float, **options: Any) -> subprocess.Popen[bytes]:  # noqa: ANN401
    """A process that ends another when we are gone: politely, and after some patience for good."""
    group: dict[str, Any] = {"start_new_session": True} | options
    command = [
        "/bin/sh",
        "-c",
        _WATCHDOG,
        "sh",
        str(pid),
        polite.name.removeprefix("SIG"),
        f"{patience_s:.0f}",
    ]
    nowhere = subprocess.DEVNULL
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=nowhere, stderr=nowhere, **group)


def end_watchdog(watching: subprocess.Popen[bytes] | None) -> None:
    """End a watchdog, which leaves what it watches alone."""
    if watching is not None:
        watching.kill()
        watching.wait()
        if watching.stdin is not None:
            watching.stdin.close()


def end(
    process: subprocess.Popen[bytes] | None, steps: Sequence[tuple[signal.Signals, float | None]]
) -> None:
    """Signal a process, wait so many seconds, signal harder; returns when it is gone."""
    if process is None:
        return
    for how, wait_s in steps:
        if process.poll() is not None:
            break
        process.send_signal(how)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(wait_s)


def tail(log: Path) -> str:
    """The end of a log file, as far as there is one."""
    with contextlib.suppress(FileNotFoundError), log.open("rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - TAIL_BYTES))
        return file.read().decode(errors="replace")
    return ""


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on and that no outgoing connection takes meanwhile."""
    for _ in range(PORT_TRIES_MAX):
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", random.choice(PORTS)))  # noqa: S311 - no secret
            return int(probe.getsockname()[1])
    raise RuntimeError("no port of 127.0.0.1 is free")


def accepts(port: int) -> bool:
    """Whether something accepts connections on this port of 127.0.0.1."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=0.5):
        return True
    return False
