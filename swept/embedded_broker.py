"""The MQTT broker rumqttd as a child process, from the iotcore wheel; loopback only, MQTT 5.

A process of its own so that it doesn't hold our interpreter's lock and can be killed. It keeps sessions,
retained messages and queues in memory: whoever kills it loses them, which is why devices keep their
reports until ingest acknowledges them by `.../ack`. It ends when we do: it reads a pipe that we hold.

A broker that runs and lets nobody in is no better than a dead one. So while started, a thread asks it as a
client would, and kills one that doesn't answer; who calls `ensure` (the supervisor does) starts it again.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

from swept.child_server import accepts, free_port
from swept.mqtt_probe import answers

START_S_MAX = 15.0
STOP_S_MAX = 5.0
PROBE_EVERY_S = 2.0
PROBES_MAX = 3
"""So many in a row without an answer, each up to 5 s long, and it is killed: a busy machine is slow, not dead."""
PAYLOAD_BYTES_MAX = 4 * 1024 * 1024
"""A broker that refuses a payload cuts the device off again and again; ingest refuses above 1 MiB itself."""

# Messages wait, per subscription, in 32 segments of 16 MiB: 60 units with a fix a second for 6 hours.
# 65,535 in flight, the protocol's most: the subscriber's receive maximum is the bound.
CONFIG = """\
id = 0

[router]
id = 0
max_connections = 10010
max_outgoing_packet_count = 1000
max_segment_size = 16777216
max_segment_count = 32

[v5.1]
name = "v5-1"
listen = "127.0.0.1:{port}"
next_connection_delay_ms = 1
    [v5.1.connections]
    connection_timeout_ms = 60000
    max_payload_size = {payload_bytes_max}
    max_inflight_count = 65535
    dynamic_filters = true
"""

# `-c` puts the working directory first on sys.path, where a folder called iotcore could lie.
_CHILD = """
import sys
sys.path[:] = [place for place in sys.path if place not in ("", ".")]
import json, logging, os, threading
logging.basicConfig(level=logging.WARNING)
logging.getLogger("rumqttd").setLevel(logging.CRITICAL)
def end_with_parent():
    sys.stdin.buffer.read()
    os._exit(0)
threading.Thread(target=end_with_parent, daemon=True).start()
from iotcore.iotcore import IotCoreBroker
IotCoreBroker(**json.loads(sys.argv[1])).run_forever()
"""


class EmbeddedBroker:
    """One broker on one port of 127.0.0.1; port 0 takes a free one and keeps it over restarts."""

    def __init__(self, port: int = 0, report: Callable[[str], None] = lambda _: None) -> None:
        self.port = port
        self._report = report
        self._mutex = threading.RLock()
        self._process: subprocess.Popen[bytes] | None = None
        self._config: Path | None = None
        self._watcher: threading.Thread | None = None
        self._stopped = threading.Event()

    @property
    def url(self) -> str:
        """The broker's URL for paho and for swept's options."""
        return f"mqtt://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int | None:
        """The broker's process id; None while it doesn't run."""
        process = self._process
        return process.pid if process is not None and process.poll() is None else None

    def start(self) -> str:
        """Start if it doesn't run, wait until it accepts connections; the URL."""
        with self._mutex:
            if self.pid is not None:
                return self.url
            self._reap()  # one that somebody else killed
            self.port = self.port or free_port()
            if accepts(self.port):
                raise OSError(f"port {self.port} of 127.0.0.1 is in use; stop what uses it or take another")
            self._process = self._spawn()
            self._wait_ready()
            if self._watcher is None:
                self._stopped.clear()
                self._watcher = threading.Thread(target=self._watch, name="broker-watch", daemon=True)
                self._watcher.start()
            return self.url

    def ensure(self) -> str:
        """The URL of a broker that accepts connections: starts it again if it died."""
        return self.start()

    def kill(self) -> None:
        """Kill -9; sessions, queues and retained messages are gone."""
        process = self._process
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)
            self._reap()

    def restart(self) -> str:
        """Stop if it runs, start on the same port; the URL."""
        self.stop()
        return self.start()

    def stop(self) -> None:
        """End the process; safe to call twice."""
        self._stopped.set()
        with self._mutex:
            watcher, self._watcher = self._watcher, None
        if watcher is not None:
            watcher.join()
        with self._mutex:
            process = self._process
            if process is None:
                return
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(STOP_S_MAX)
            if process.poll() is None:
                process.kill()
            self._reap()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _watch(self) -> None:
        """Ask again and again whether it lets a client in; kill it when it doesn't."""
        asked: int | None = None
        failures = 0
        while not self._stopped.wait(PROBE_EVERY_S):
            pid = self.pid
            if pid is None or pid != asked:
                asked, failures = pid, 0
            if pid is None or answers(self.port):
                failures = 0
                continue
            failures += 1
            if failures >= PROBES_MAX and self._end_deaf(pid):
                self._report(f"the MQTT broker (process {pid}) lets no client in any more; it was ended")

    def _end_deaf(self, pid: int) -> bool:
        """Kill this very process; False where another has taken its place meanwhile."""
        with self._mutex:
            if self._stopped.is_set() or self.pid != pid:
                return False
            self.kill()
            return True

    def _spawn(self) -> subprocess.Popen[bytes]:
        descriptor, name = tempfile.mkstemp(prefix="swept-broker-", suffix=".toml")
        self._config = Path(name)
        with os.fdopen(descriptor, "w") as file:
            file.write(CONFIG.format(port=self.port, payload_bytes_max=PAYLOAD_BYTES_MAX))
        return subprocess.Popen(
            [sys.executable, "-c", _CHILD, json.dumps({"config_path": name})],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is ours to handle
        )

    def _wait_ready(self) -> None:
        deadline = time.monotonic() + START_S_MAX
        while not accepts(self.port):
            if self.pid is None or time.monotonic() > deadline:
                self.stop()
                raise RuntimeError(f"the MQTT broker did not start on port {self.port}")
            time.sleep(0.02)

    def _reap(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.wait()
            if process.stdin is not None:
                process.stdin.close()
        if self._config is not None:
            self._config.unlink(missing_ok=True)
            self._config = None
