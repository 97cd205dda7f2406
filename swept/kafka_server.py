"""Apache Kafka as a child process: one KRaft node on loopback, for small servers and for tests.

Maven fetches the jars once, into the user's cache; Java runs them. Both come with the operating system.
One node keeps what it acknowledged over a kill of its process; over the loss of its disk only a cluster does.
"""

from __future__ import annotations

import fcntl
import hashlib
import logging
import os
import re
import shutil
import subprocess
import sys
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from swept.child_server import ChildServer, free_port, tail
from swept.errors import UserError
from swept.kernel_cache import cache_home
from swept.settings import deploy_folder

JAVA_MIN = 17
INSTALL = "install default-jre-headless and maven"
FETCH_S_MAX = 900.0
FORMAT_S_MAX = 60.0
OTHER_JARS_MAX = 1
"""Sets of jars that other releases left behind and that are kept; each is some 45 MB."""
JAVA_OPTIONS = (
    "-Xms256m",
    "-Xmx512m",
    "-XX:MaxDirectMemorySize=128m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",  # starts in half the time, and peaks matter less here
    "-XX:+ExitOnOutOfMemoryError",
)
ROOM_MIB = 16
"""What must fit on the disk before Kafka starts."""
_FILL = """
import os, sys
file = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
for _ in range(int(sys.argv[2])):
    if os.write(file, bytes(1 << 20)) < 1 << 20:
        sys.exit("No space left on device")
os.fsync(file)
"""


class KafkaServer(ChildServer):
    """One Kafka node on one folder and one port."""

    name: ClassVar[str] = "Kafka"
    start_s_max: ClassVar[float] = 60.0

    @property
    def url(self) -> str:
        """Where Kafka clients of swept connect."""
        return f"kafka://127.0.0.1:{self.port}"

    @property
    def warnings(self) -> Path:
        """The file of what Kafka warned of, and why it ended."""
        return self.folder / "warnings.log"

    def _command(self) -> Sequence[str]:
        self._see_room()
        deploy = deploy_folder() / "kafka"
        java = [
            _java(),
            *JAVA_OPTIONS,
            f"-Dlog4j2.configurationFile={(deploy / 'log4j2.properties').as_uri()}",
            f"-Dswept.log={self.warnings}",
            "-cp",
            f"{jars()}/*",
        ]
        properties = self.folder / "server.properties"
        lines = [f"{name}={value}\n" for name, value in self._properties().items()]
        properties.write_text("".join(lines), encoding="utf-8")
        if not (self._data / "meta.properties").exists():
            self._format(java, properties)
        return [*java, "kafka.Kafka", str(properties)]

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    def _properties(self) -> dict[str, str]:
        """Kafka's configuration: the template's, filled in."""
        template = (deploy_folder() / "kafka/server.properties").read_text(encoding="utf-8")
        filled = template.format(port=self.port, controller_port=free_port(), data=self._data)
        lines = [line for line in filled.splitlines() if line and not line.startswith("#")]
        return dict(line.split("=", 1) for line in lines)

    def _see_room(self) -> None:
        """Raise UserError where the disk is full: a Kafka that starts on a full disk comes to lose its topics.

        What it can't write then it cuts off its metadata, and at the next start it takes the partitions for strays.
        """
        room = self.folder / "room"
        done = subprocess.run(
            [sys.executable, "-I", "-S", "-c", _FILL, str(room), str(ROOM_MIB)],
            env=self._environment(),
            check=False,
            capture_output=True,
            text=True,
        )
        room.unlink(missing_ok=True)
        if done.returncode:
            reason = (done.stderr.strip().splitlines() or ["it can't be written"])[-1]
            raise UserError(
                f"Kafka needs {ROOM_MIB} MiB to start, and {self.folder} hasn't got them ({reason}): make room there."
            )

    def _format(self, java: Sequence[str], properties: Path) -> None:
        cluster_id = urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        command = [
            *java,
            "kafka.tools.StorageTool",
            "format",
            f"--cluster-id={cluster_id}",
            "-c",
            str(properties),
        ]
        done = subprocess.run(
            # What an earlier try that was killed has formatted already is left as it is.
            [*command, "--ignore-formatted"],
            check=False,
            capture_output=True,
            text=True,
            timeout=FORMAT_S_MAX,
        )
        if done.returncode != 0:
            raise RuntimeError(f"Kafka's storage can't be formatted: {(done.stderr or done.stdout).strip()}")

    def _answers(self) -> bool:
        """Whether the broker is a member of its cluster and says so to a client."""
        from kafka import KafkaAdminClient
        from kafka.errors import KafkaError

        quiet = logging.getLogger("kafka")
        level = quiet.level
        quiet.setLevel(logging.CRITICAL)
        try:
            client = KafkaAdminClient(
                bootstrap_servers=f"127.0.0.1:{self.port}", client_id="swept-probe", request_timeout_ms=5_000
            )
            try:
                return bool(client.describe_cluster()["brokers"])
            finally:
                client.close()
        except (KafkaError, OSError):
            return False
        finally:
            quiet.setLevel(level)

    def _said(self) -> str:
        return (tail(self.warnings) + tail(self.log)).strip()


def missing() -> str | None:
    """What must be installed before a KafkaServer can start; None where nothing is missing."""
    java = _java_release()
    if java is None or java < JAVA_MIN:
        found = "there is no java" if java is None else f"java is release {java}"
        return f"Kafka needs Java {JAVA_MIN} or newer, and {found}: {INSTALL}."
    if not _jars_folder().is_dir() and shutil.which("mvn") is None:
        return f"Maven is missing, which fetches Kafka: {INSTALL}."
    return None


def jars() -> Path:
    """The folder of Kafka's jars, fetched if this machine hasn't got them; two at once fetch them once."""
    folder = _jars_folder()
    with folder.with_name("kafka.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.is_dir():
            lacking = missing()
            if lacking:
                raise UserError(lacking)
            _fetch(folder)
            _forget_others(folder)
    return folder


def _jars_folder() -> Path:
    pom = (deploy_folder() / "kafka/pom.xml").read_bytes()
    return cache_home() / f"kafka-{hashlib.sha256(pom).hexdigest()[:16]}"


def _fetch(folder: Path) -> None:
    draft = folder.with_name("kafka.new")
    shutil.rmtree(draft, ignore_errors=True)
    pom = deploy_folder() / "kafka/pom.xml"
    command = [
        "mvn",
        "-q",
        "-B",
        "-f",
        str(pom),
        "dependency:copy-dependencies",
        f"-DoutputDirectory={draft}",
    ]
    try:
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=FETCH_S_MAX)
        failed, said = done.returncode != 0, done.stdout + done.stderr
    except subprocess.TimeoutExpired:
        failed, said = True, f"no end after {FETCH_S_MAX:.0f} s"
    if failed:
        lines = [line for line in said.splitlines() if "ERROR" in line] or [said.strip()]
        raise UserError(
            f"Kafka's jars can't be fetched by Maven ({lines[0][:300]}); let this "
            "machine reach Maven's central repository, name a mirror of it in ~/.m2/settings.xml, or set "
            "SWEPT_LOG_URL to a Kafka that runs elsewhere."
        )
    draft.rename(folder)


def _forget_others(folder: Path) -> None:
    others = [path for path in folder.parent.glob("kafka-*") if path != folder]
    others.sort(key=lambda path: path.stat().st_mtime, reverse=True)
    for old in others[OTHER_JARS_MAX:]:
        shutil.rmtree(old, ignore_errors=True)


def _java() -> str:
    home = os.environ.get("JAVA_HOME")
    return str(Path(home) / "bin/java") if home else "java"


def _java_release() -> int | None:
    """As in `openjdk version "17.0.15"`; None where there is no Java."""
    try:
        told = subprocess.run([_java(), "-version"], check=False, capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = re.search(r'version "(\d+)', told.stderr + told.stdout)
    return int(found[1]) if found else None
