"""A small supervisor: starts programs, starts again what dies, and says in a file which process is which.

A program is a command line and nothing else; what it knows is in the store and the log, so it can be killed
and started again at any moment. `runtime.json` names the processes, so that others can join (or kill) them.
Nothing outlives the supervisor: not on Linux even if it is killed itself.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from swept.errors import UserError
from swept.memory import memory_mib

RUNTIME = "runtime.json"
POLL_S = 0.1
MEMORY_EVERY_POLLS = 10
#: A program that dies this often without having lived for `LIVED_S` won't get better by trying.
DEATHS_MAX = 10
LIVED_S = 5.0
DELAY_S_MAX = 2.0
STOP_S_MAX = 15.0
PR_SET_PDEATHSIG = 1

_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


@dataclass(frozen=True, slots=True)
class Program:
    """A command line with a name; `stop_signal` asks it to end in good order."""

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    stop_signal: signal.Signals = signal.SIGTERM


@dataclass(frozen=True, slots=True)
class Adopted:
    """A process that another object of ours runs; `ensure` starts it again, None if the object does so itself."""

    name: str
    pid: Callable[[], int | None]
    ensure: Callable[[], object] | None = None


@dataclass(slots=True)
class _Running:
    program: Program
    process: subprocess.Popen[bytes]
    started_s: float
    deaths: int = 0
    lived: bool = False
    restart_s: float | None = None


class Supervisor:
    """Runs programs until it is closed; `folder` gets runtime.json and a log file for each program."""

    def __init__(self, folder: Path, facts: Mapping[str, str] | None = None) -> None:
        self._folder = folder
        self._facts = dict(facts or {})
        self._running: dict[str, _Running] = {}
        self._adopted: dict[str, Adopted] = {}
        self._reviving: dict[str, threading.Thread] = {}
        self._seen: dict[str, int] = {}
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._failure: UserError | None = None
        self._peak_mib = 0.0
        self._restarts: list[str] = []
        (folder / "logs").mkdir(parents=True, exist_ok=True)
        self._thread = threading.Thread(target=self._watch, name="supervisor", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def pids(self) -> dict[str, int]:
        """Name and process id of each program, as of now."""
        with self._lock:
            return self._pids()

    @property
    def restarts(self) -> tuple[str, ...]:
        """The names of the programs that died and were started again, in order."""
        with self._lock:
            return tuple(self._restarts)

    @property
    def peak_mib(self) -> float:
        """The most memory that this process and all its descendants were seen to use at once."""
        return self._peak_mib

    def start(
        self, program: Program, ready: Callable[[], bool] | None = None, ready_s_max: float = 60.0
    ) -> None:
        """Start a program, and return when it is ready; raises `UserError` if it never is."""
        with self._lock:
            self._running[program.name] = _Running(program, self._spawn(program), time.monotonic())
            self._write()
        deadline = time.monotonic() + ready_s_max
        while ready is not None and not ready():
            self.check()
            if time.monotonic() > deadline:
                raise UserError(f"{program.name} isn't ready after {ready_s_max:.0f} s; {self._see(program)}")
            time.sleep(POLL_S / 2)

    def adopt(self, one: Adopted) -> None:
        """Name a process in runtime.json, and start it again when it dies, but don't end it."""
        with self._lock:
            self._adopted[one.name] = one
            if (pid := one.pid()) is not None:
                self._seen[one.name] = pid
            self._write()

    def say(self, **facts: str) -> None:
        """Add facts to runtime.json: where the store, the broker and the API are."""
        with self._lock:
            self._facts.update(facts)
            self._write()

    def check(self) -> None:
        """Raise if a program can't be kept running."""
        if self._failure is not None:
            raise self._failure

    def close(self) -> None:
        """End all programs, the last started first, and remove runtime.json."""
        self._ended.set()
        self._thread.join()
        for reviving in self._reviving.values():
            reviving.join()
        for one in reversed(list(self._running.values())):
            _stop(one.process, one.program.stop_signal)
        self._running.clear()
        (self._folder / RUNTIME).unlink(missing_ok=True)

    def _spawn(self, program: Program) -> subprocess.Popen[bytes]:
        with self._log(program).open("ab") as log:
            # A session of its own: Ctrl-C is for us, and we end our programs in order.
            return subprocess.Popen(
                program.command,
                env={**os.environ, **program.environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=_dies_with_us(program.stop_signal),  # noqa: PLW1509 - one system call, libc is loaded
            )

    def _watch(self) -> None:
        polls = 0
        while not self._ended.wait(POLL_S):
            with self._lock:
                for one in self._running.values():
                    self._revive(one)
            self._watch_adopted()
            if polls % MEMORY_EVERY_POLLS == 0:
                self._peak_mib = max(self._peak_mib, memory_mib(os.getpid()))
            polls += 1

    def _revive(self, one: _Running) -> None:
        now_s = time.monotonic()
        if one.process.poll() is None:
            return
        if one.restart_s is None:
            lives = now_s - one.started_s > LIVED_S
            one.deaths, one.lived = 1 if lives else one.deaths + 1, one.lived or lives
            one.restart_s = now_s + min(DELAY_S_MAX, 0.05 * 2 ** min(one.deaths, 10))
        # One that once lived can start: what it needs is away, and it is tried until that is back.
        if one.deaths >= DEATHS_MAX and not one.lived:
            self._failure = UserError(
                f"{one.program.name} dies as soon as it starts; {self._see(one.program)}"
            )
        elif now_s >= one.restart_s:
            one.process, one.started_s, one.restart_s = self._spawn(one.program), now_s, None
            self._restarts.append(one.program.name)
            self._write()

    def _watch_adopted(self) -> None:
        for one in list(self._adopted.values()):
            if one.pid() is None and one.ensure is not None and not self._is_reviving(one.name):
                # In a thread of its own: a large server takes seconds, and others may die meanwhile.
                reviving = threading.Thread(target=_revive, args=(one.ensure,), name=one.name, daemon=True)
                self._reviving[one.name] = reviving
                reviving.start()
        with self._lock:
            adopted = {name: pid for name in self._adopted if (pid := self._adopted[name].pid()) is not None}
            changed = [name for name, pid in adopted.items() if self._seen.get(name, pid) != pid]
            self._restarts += changed
            if adopted.items() - self._seen.items():
                self._seen |= adopted
                self._write()

    def _is_reviving(self, name: str) -> bool:
        reviving = self._reviving.get(name)
        return reviving is not None and reviving.is_alive()

    def _pids(self) -> dict[str, int]:
        adopted = {name: pid for name, one in self._adopted.items() if (pid := one.pid()) is not None}
        return adopted | {name: one.process.pid for name, one in self._running.items()}

    def _log(self, program: Program) -> Path:
        return self._folder / "logs" / f"{program.name}.log"

    def _see(self, program: Program) -> str:
        lines = self._log(program).read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return f"see {self._log(program)}" + (f" (last line: {lines[-1][:200]})" if lines else "")

    def _write(self) -> None:
        """Replace runtime.json in one step, so that nobody reads half of it."""
        draft = self._folder / f"{RUNTIME}.new"
        draft.touch(mode=0o600)
        draft.write_text(
            json.dumps({"pid": os.getpid(), "programs": self._pids(), **self._facts}, indent=2) + "\n"
        )
        draft.replace(self._folder / RUNTIME)


def running(folder: Path) -> dict[str, Any] | None:
    """What runtime.json says, if the supervisor that wrote it is alive."""
    try:
        found = json.loads((folder / RUNTIME).read_text(encoding="utf-8"))
        os.kill(int(found["pid"]), 0)
    except PermissionError:
        return None  # another user's process has got the number
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return found if isinstance(found, dict) else None


def _revive(ensure: Callable[[], object]) -> None:
    with contextlib.suppress(RuntimeError, OSError, UserError):  # the next poll tries again
        ensure()


def _stop(process: subprocess.Popen[bytes], stop_signal: signal.Signals) -> None:
    if process.poll() is not None:
        return
    process.send_signal(stop_signal)
    try:
        process.wait(STOP_S_MAX)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _dies_with_us(stop_signal: signal.Signals) -> Callable[[], None] | None:
    """What a child calls before it becomes the program: Linux then signals it when we are gone."""
    if _libc is None:
        return None
    libc = _libc

    def ask() -> None:
        libc.prctl(PR_SET_PDEATHSIG, int(stop_signal))

    return ask
