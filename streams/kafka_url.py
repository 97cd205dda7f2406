"""Where a Kafka log is, and what all its clients have in common.

`kafka://host:9092[,host:9092]/swept?partitions=16&replication=3`: the path is what the topics' names begin
with. `kafka+ssl://` is for TLS, `user:password@` for SASL (SCRAM-SHA-512, or what `sasl=` says). Nothing
here waits for longer than some seconds: who calls tries again, and can be told to stop meanwhile.
"""

from __future__ import annotations

import contextlib
import logging
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, unquote

from kafka.errors import KafkaError
from kafka.net.compat import KafkaNetClient

from streams.log import LogUnavailable

SCHEMES = ("kafka", "kafka+ssl")
PORT = 9092
PREFIX = "swept"
PARTITIONS = 16
PARTITIONS_MAX = 1_000
REPLICATION_MAX = 10
CALL_S_MAX = 5.0
"""A question to the brokers is answered within this time, or the log is unavailable."""
RECORD_BYTES_MAX = 4 << 20
"""The largest batch that our topics take; a record that is larger is refused before it is sent."""
_PREFIX = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")


@dataclass(frozen=True, slots=True)
class Address:
    """A Kafka log; `partitions` and `replication` are None where the URL leaves them to us."""

    servers: tuple[str, ...]
    prefix: str = PREFIX
    partitions: int | None = None
    replication: int | None = None
    tls: bool = False
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    sasl: str = "SCRAM-SHA-512"

    @property
    def records(self) -> str:
        """The topic of the records."""
        return f"{self.prefix}.records"

    @property
    def state(self) -> str:
        """The compacted topic of device acknowledgements and the district clock."""
        return f"{self.prefix}.state"


def parse(url: str) -> Address:
    """The address that a URL names; ValueError, without any part of the URL, where it names none."""
    scheme, _, rest = url.partition("://")
    place, _, asked = rest.partition("?")
    hosts, _, prefix = place.partition("/")
    who, _, hosts = hosts.rpartition("@")
    user, _, password = who.partition(":")
    options = {name: values[-1] for name, values in parse_qs(asked, strict_parsing=bool(asked)).items()}
    unknown = options.keys() - {"partitions", "replication", "sasl"}
    if scheme not in SCHEMES or unknown or (prefix and not _PREFIX.fullmatch(prefix)):
        raise ValueError("no address of a Kafka log")
    return Address(
        servers=tuple(_server(host) for host in hosts.split(",")),
        prefix=prefix or PREFIX,
        partitions=_count(options.get("partitions"), PARTITIONS_MAX),
        replication=_count(options.get("replication"), REPLICATION_MAX),
        tls=scheme == "kafka+ssl",
        user=unquote(user) or None,
        password=unquote(password) or None,
        sasl=options.get("sasl", "SCRAM-SHA-512"),
    )


def _server(text: str) -> str:
    host, colon, port = text.rpartition(":") if ":" in text else (text, "", "")
    number = int(port) if colon else PORT
    if not host.strip("[]") or any(char.isspace() for char in host) or not 0 < number < 65_536:
        raise ValueError("no host and port")
    return f"{host}:{number}"


def _count(text: str | None, most: int) -> int | None:
    if text is not None and not 0 < int(text) <= most:
        raise ValueError("out of range")
    return None if text is None else int(text)


def client(address: Address, name: str) -> dict[str, Any]:
    """The settings of any of its clients."""
    # What goes wrong reaches the caller as LogUnavailable; the library would say it on stderr as well.
    logging.getLogger("kafka").setLevel(logging.CRITICAL)
    settings: dict[str, Any] = {
        "bootstrap_servers": list(address.servers),
        "client_id": f"swept-{name}",
        "bootstrap_timeout_ms": int(CALL_S_MAX * 1000),
        "request_timeout_ms": int(CALL_S_MAX * 1000),
        "reconnect_backoff_max_ms": 1_000,
        "metadata_max_age_ms": 60_000,
        "security_protocol": ("SASL_" if address.user else "") + ("SSL" if address.tls else "PLAINTEXT"),
    }
    if address.user:
        settings |= {
            "sasl_mechanism": address.sasl,
            "sasl_plain_username": address.user,
            "sasl_plain_password": address.password or "",
        }
    return settings


def consumer(address: Address, name: str) -> dict[str, Any]:
    """The settings of those that read: never a position of Kafka's own, and never a topic made by looking."""
    return client(address, name) | {
        "enable_auto_commit": False,
        "auto_offset_reset": "none",
        "allow_auto_create_topics": False,
        "metrics_enabled": False,
        "fetch_max_bytes": 4 << 20,
        "max_partition_fetch_bytes": 256 << 10,
    }


def connect(kind: Callable[..., Any], settings: Mapping[str, Any]) -> Any:  # noqa: ANN401 - the library has no types
    """A client of a kind; of one that finds no broker neither thread nor socket stays behind."""
    made: list[KafkaNetClient] = []

    def network(**configs: Any) -> KafkaNetClient:  # noqa: ANN401
        made.append(KafkaNetClient(**configs))
        return made[-1]

    try:
        return kind(**settings, kafka_client=network)
    except BaseException:
        for one in made:
            one.close()
        raise


@contextlib.contextmanager
def unavailable() -> Iterator[None]:
    """What Kafka's clients raise is temporal to us; what the topics lack was looked for at the start."""
    try:
        yield
    except (KafkaError, OSError) as error:
        raise LogUnavailable(f"Kafka can't be used now: {error!r}"[:500]) from error
