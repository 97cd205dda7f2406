from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer
from kafka.admin import NewTopic
from kafka.errors import KafkaError
from kafka.structs import TopicPartition

from swept import kafka_server
from swept.errors import UserError
from swept.kafka_server import KafkaServer
from swept.settings import deploy_folder
from tests.chaos import shim

MAVEN_THAT_FETCHES = """\
#!/bin/sh
echo run >> "$RUNS"
for argument; do case "$argument" in -DoutputDirectory=*) folder="${argument#*=}";; esac; done
sleep 0.3; mkdir -p "$folder"; touch "$folder/kafka.jar"
"""
MAVEN_THAT_FAILS = "#!/bin/sh\necho '[ERROR] Could not transfer artifact: Network is unreachable'\nexit 1\n"


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "never came true"
        time.sleep(0.05)


def alive(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text(encoding="ascii").rpartition(")")[2].split()[0] != "Z"


def address(server: KafkaServer) -> str:
    return server.url.removeprefix("kafka://")


def make_topic(server: KafkaServer) -> str:
    topic = f"test.{uuid.uuid4().hex}"
    admin = KafkaAdminClient(bootstrap_servers=address(server))
    admin.create_topics([NewTopic(topic, 1, 1)])
    admin.close()
    return topic


def send(server: KafkaServer, topic: str, *values: bytes) -> None:
    producer = KafkaProducer(bootstrap_servers=address(server), acks="all", max_request_size=5_000_000)
    for sent in [producer.send(topic, value) for value in values]:
        sent.get(timeout=30)
    producer.close()


def read(server: KafkaServer, topic: str) -> list[bytes]:
    consumer = KafkaConsumer(bootstrap_servers=address(server), max_partition_fetch_bytes=5_000_000)
    partition = TopicPartition(topic, 0)
    consumer.assign([partition])
    end = consumer.end_offsets([partition])[partition]
    consumer.seek_to_beginning(partition)
    values: list[bytes] = []
    while consumer.position(partition) < end:
        values += [record.value for records in consumer.poll(1_000).values() for record in records]
    consumer.close()
    return values


def test_what_kafka_acknowledged_is_there_after_kill_9_on_the_same_port(kafka: KafkaServer) -> None:
    topic = make_topic(kafka)
    send(kafka, topic, b"one", b"two")
    url, pid = kafka.url, kafka.pid
    kafka.kill()
    assert kafka.pid is None
    assert kafka.ensure() == url
    assert kafka.pid not in {None, pid}
    send(kafka, topic, b"three")
    assert read(kafka, topic) == [b"one", b"two", b"three"]


def test_a_message_of_4_mib_passes(kafka: KafkaServer) -> None:
    topic = make_topic(kafka)
    largest = os.urandom(4 * 1024 * 1024)
    send(kafka, topic, largest)
    assert read(kafka, topic) == [largest]


def test_a_topic_that_nobody_made_is_not_made_by_asking(kafka: KafkaServer) -> None:
    producer = KafkaProducer(bootstrap_servers=address(kafka), max_block_ms=1_000)
    with pytest.raises(KafkaError):
        producer.send("nobody.made.this", b"one").get(timeout=10)
    producer.close()


def test_kafkas_warnings_are_in_a_file_and_nothing_else_is(kafka: KafkaServer) -> None:
    lines = kafka.warnings.read_text(encoding="utf-8").splitlines()
    assert any(" WARN " in line for line in lines)
    assert not any(" INFO " in line for line in lines)
    assert kafka.log.read_text(encoding="utf-8") == "", "slf4j complains here when it finds no binding"


def test_a_folder_has_one_kafka_at_a_time(kafka: KafkaServer) -> None:
    other = KafkaServer(kafka.folder)
    with pytest.raises(UserError, match=f"in use by process {os.getpid()}"):
        other.start()
    assert kafka.pid is not None


def test_a_port_that_something_else_listens_on_is_one_line(kafka: KafkaServer, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"port {kafka.port} of 127.0.0.1 is in use"):
        KafkaServer(tmp_path, kafka.port).start()


def test_kafka_ends_when_whoever_started_it_is_killed(kafka: KafkaServer, tmp_path: Path) -> None:
    assert kafka.pid is not None  # so that its jars are there, and a machine without Java skips this
    source = (
        "import sys, time; from pathlib import Path; from swept.kafka_server import KafkaServer\n"
        "server = KafkaServer(Path(sys.argv[1])); server.start(); print(server.pid, flush=True); time.sleep(600)"
    )
    command = [sys.executable, "-c", source, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert os.getpgid(pid) == pid, "Ctrl-C must not reach it"
        parent.send_signal(signal.SIGKILL)
        parent.wait()
        wait_for(lambda: not alive(pid))


@pytest.fixture
def maven(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """A program of this name at the front of PATH, and an empty cache; gives the cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("RUNS", str(tmp_path / "runs"))

    def put(script: str) -> Path:
        program = tmp_path / "bin/mvn"
        program.parent.mkdir()
        program.write_text(script, encoding="utf-8")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
        return tmp_path / "cache/swept"

    return put


def test_two_that_need_the_jars_at_once_fetch_them_once(
    kafka: KafkaServer, maven: Callable[[str], Path], tmp_path: Path
) -> None:
    assert kafka.pid is not None
    cache = maven(MAVEN_THAT_FETCHES)
    source = "from swept.kafka_server import jars; print(*jars().iterdir(), sep='\\n')"
    both = [
        subprocess.Popen([sys.executable, "-c", source], stdout=subprocess.PIPE, text=True) for _ in range(2)
    ]
    told = {one.communicate(timeout=60)[0] for one in both}
    assert len(told) == 1
    (jar,) = told.pop().split()
    assert Path(jar).parent.parent == cache
    assert (tmp_path / "runs").read_text() == "run\n"


def test_jars_of_other_releases_do_not_pile_up(kafka: KafkaServer, maven: Callable[[str], Path]) -> None:
    assert kafka.pid is not None
    cache = maven(MAVEN_THAT_FETCHES)
    for i in range(3):
        old = cache / f"kafka-{i}"
        old.mkdir(parents=True)
        os.utime(old, (i, i))
    folder = kafka_server.jars()
    assert {path.name for path in cache.glob("kafka-*")} == {folder.name, "kafka-2"}


def test_jars_that_can_not_be_fetched_are_one_line_that_says_what_helps(
    kafka: KafkaServer, maven: Callable[[str], Path], tmp_path: Path
) -> None:
    assert kafka.pid is not None
    cache = maven(MAVEN_THAT_FAILS)
    with pytest.raises(UserError, match=r"Network is unreachable.*reach Maven.*mirror.*SWEPT_LOG_URL"):
        KafkaServer(tmp_path / "kafka").start()
    assert list(cache.glob("kafka-*")) == []


def test_without_java_or_maven_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    assert kafka_server.missing() is not None
    with pytest.raises(UserError, match="there is no java: install default-jre-headless and maven"):
        KafkaServer(tmp_path / "kafka").start()
    (tmp_path / "bin").mkdir()
    java = tmp_path / "bin/java"
    java.write_text("#!/bin/sh\necho 'openjdk version \"11.0.2\" 2019-01-15' >&2\n", encoding="utf-8")
    java.chmod(0o755)
    assert "java is release 11" in str(kafka_server.missing())
    java.write_text("#!/bin/sh\necho 'openjdk version \"21\" 2023-09-19' >&2\n", encoding="utf-8")
    assert "Maven is missing" in str(kafka_server.missing())


def test_the_java_form_and_the_container_are_one_release_of_kafka() -> None:
    pom = (deploy_folder() / "kafka/pom.xml").read_text(encoding="utf-8")
    assert "<version>4.1.1</version>" in pom


def test_on_a_full_disk_it_does_not_start_and_with_room_it_has_its_topics(tmp_path: Path) -> None:
    if lacking := kafka_server.missing() or shim.missing():
        pytest.skip(lacking)
    disk = shim.Shim(shim.build(tmp_path), tmp_path / "disk.shim")

    class OnThatDisk(KafkaServer):
        def _environment(self) -> dict[str, str]:
            return super()._environment() | dict(disk.environment)

    with OnThatDisk(tmp_path / "kafka") as server:
        topic = make_topic(server)
        send(server, topic, b"one")
        disk.set(full=True)
        server.kill()
        for _ in range(2):
            with pytest.raises(UserError, match="make room there"):
                server.ensure()
        disk.good()
        server.ensure()
        send(server, topic, b"two")
        assert read(server, topic) == [b"one", b"two"]
