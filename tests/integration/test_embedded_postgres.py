from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import psycopg
import pytest

from swept import embedded_postgres
from swept.embedded_postgres import SOCKET_NAME, EmbeddedPostgres
from swept.errors import UserError
from tests.integration.waiting import within


@pytest.fixture
def server() -> Iterator[EmbeddedPostgres]:
    folder = Path(tempfile.mkdtemp(prefix="swept-test-"))
    folder.chmod(0o711)
    made = EmbeddedPostgres(folder / "postgres")
    made.start()
    yield made
    made.destroy()
    folder.rmdir()


eventually = partial(within, 30.0)


def test_what_was_committed_survives_a_kill_and_the_server_comes_back_by_itself(
    server: EmbeddedPostgres,
) -> None:
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute("CREATE TABLE kept (number integer)")
        connection.execute("INSERT INTO kept SELECT generate_series(1, 1000)")
    killed = server.pid
    server.kill()
    assert eventually(lambda: server.pid not in (None, killed))
    with psycopg.connect(server.ensure()) as connection:
        assert connection.execute("SELECT count(*) FROM kept").fetchone() == (1000,)


def test_a_server_that_was_made_sure_of_is_not_started_a_second_time(server: EmbeddedPostgres) -> None:
    with server._mutex:
        server.kill()
        time.sleep(0.5)  # the supervisor looks every 0.2 s: it has seen the death, and waits for us
        server.ensure()
    started = server.pid
    time.sleep(0.5)
    assert server.pid == started


def test_a_stopped_server_keeps_its_data_and_its_pid_is_gone(server: EmbeddedPostgres) -> None:
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute("CREATE TABLE kept (number integer)")
    server.stop()
    assert server.pid is None
    with psycopg.connect(server.start()) as connection:
        assert connection.execute("SELECT count(*) FROM kept").fetchone() == (0,)


def test_a_second_start_on_one_folder_says_who_holds_it(server: EmbeddedPostgres) -> None:
    with pytest.raises(UserError, match=rf"in use by process {os.getpid()};"):
        EmbeddedPostgres(server.folder).start()


def test_it_flushes_to_disk_and_listens_on_no_network(server: EmbeddedPostgres) -> None:
    with psycopg.connect(server.url) as connection:
        for name, value in (("fsync", "on"), ("synchronous_commit", "on"), ("listen_addresses", "")):
            assert connection.execute("SELECT current_setting(%s)", [name]).fetchone() == (value,)


def test_a_folder_with_a_path_too_long_for_a_socket_works(tmp_path: Path) -> None:
    server = EmbeddedPostgres(tmp_path / ("long" * 30))
    try:
        url = server.start()
        with psycopg.connect(url) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
    finally:
        server.destroy()


def test_a_stale_pid_file_that_names_a_living_stranger_is_no_obstacle(server: EmbeddedPostgres) -> None:
    server.stop()
    (server.data / "postmaster.pid").write_text(f"{os.getpid()}\n{server.data}\n0\n5432\n\n\n\n")
    (server.data / SOCKET_NAME).touch()
    with psycopg.connect(server.start()) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_the_server_ends_when_the_process_that_started_it_is_killed(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from swept.embedded_postgres import EmbeddedPostgres\n"
        "server = EmbeddedPostgres(Path(sys.argv[1])); server.start(); print(server.pid, flush=True)\n"
        "time.sleep(600)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    try:
        assert eventually(lambda: not Path(f"/proc/{pid}").exists() or _is_zombie(pid))
    finally:
        EmbeddedPostgres(tmp_path).destroy()


@pytest.mark.parametrize("gone", [True, False])
def test_data_outside_a_temporary_folder_goes_once_that_folder_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, gone: bool
) -> None:
    monkeypatch.setattr(embedded_postgres, "OUTSIDE", tmp_path)
    orphan = tmp_path / "swept-postgres-0"
    (orphan / "data").mkdir(parents=True)
    (orphan / embedded_postgres.OF).write_text(str(tmp_path / "home"))
    if not gone:
        (tmp_path / "home").mkdir()
    embedded_postgres._remove_orphans()
    assert orphan.exists() is not gone


def _is_zombie(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except FileNotFoundError:
        return True
