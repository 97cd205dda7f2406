"""The topics of a Kafka log: made once, and checked by everyone who opens it.

Records stay until we trim them (`delete_records`, once originals are packed), so Kafka's own retention is
off. Timestamps are the district's clock, which a replay sets to years ago: Kafka must not judge them. Where
one replica is all there is, it writes to its disk before it acknowledges; where there are more, Kafka's way
is that they don't fail at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kafka import KafkaAdminClient
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.errors import TopicAlreadyExistsError

from streams.kafka_url import PARTITIONS, RECORD_BYTES_MAX, Address, client, connect, unavailable

_NEVER = str(2**63 - 1)


class TopicsWrong(Exception):  # noqa: N818 - it is what is the case
    """The topics of this log aren't there, or aren't as they must be; the message says which and how."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a log whose topics are right."""

    log_id: str
    partitions: int


def settings_of(topic: str, address: Address, replication: int) -> dict[str, str]:
    """What a topic's configuration must be; Kafka's own words."""
    in_sync = max(1, replication - 1)
    common = {
        "max.message.bytes": str(RECORD_BYTES_MAX),
        "min.insync.replicas": str(in_sync),
        "unclean.leader.election.enable": "false",
        "message.timestamp.type": "CreateTime",
        "message.timestamp.before.max.ms": _NEVER,
        "message.timestamp.after.max.ms": _NEVER,
        "compression.type": "producer",
        "flush.messages": "1" if in_sync == 1 else _NEVER,
    }
    if topic == address.records:
        return common | {"cleanup.policy": "delete", "retention.ms": "-1", "retention.bytes": "-1"}
    # Small segments and little patience: it is read whole by whoever starts.
    return common | {
        "cleanup.policy": "compact",
        "segment.bytes": str(16 << 20),
        "segment.ms": "3600000",
        "min.cleanable.dirty.ratio": "0.2",
    }


def admin(address: Address) -> KafkaAdminClient:
    """A client for what isn't records; raises LogUnavailable."""
    with unavailable():
        return connect(KafkaAdminClient, client(address, "admin"))


def facts(opened: KafkaAdminClient, address: Address) -> Facts:
    """What is known of the log; raises TopicsWrong, or LogUnavailable."""
    if wrong := problems(opened, address):
        raise TopicsWrong("; ".join(wrong))
    topic = _topics(opened, address)[address.records]
    return Facts(str(topic["topic_id"]), len(topic["partitions"]))


def problems(opened: KafkaAdminClient, address: Address) -> list[str]:
    """What is missing or wrong, one sentence for each; raises LogUnavailable."""
    found = _topics(opened, address)
    told = [f"topic {name} is missing" for name in _wanted(address) if name not in found]
    for name, topic in found.items():
        partitions = len(topic["partitions"])
        if partitions != (_wanted(address)[name] or partitions):
            told.append(f"topic {name} has {partitions} partitions, not {_wanted(address)[name]}")
        replication = _replication(topic)
        if replication != (address.replication or replication):
            told.append(f"topic {name} has {replication} replicas, not {address.replication}")
    for name, wrong in _wrong_settings(opened, address, found).items():
        told += [f"topic {name} has {key}={is_}, not {must}" for key, (is_, must) in sorted(wrong.items())]
    return told


def make(address: Address) -> list[str]:
    """Make what is missing and correct what is set otherwise; what was done. Raises TopicsWrong where it can't."""
    opened = admin(address)
    try:
        done = _create(opened, address)
        found = _topics(opened, address)
        for name, wrong in _wrong_settings(opened, address, found).items():
            changes = {key: must for key, (_, must) in wrong.items()}
            with unavailable():
                opened.alter_configs([ConfigResource(ConfigResourceType.TOPIC, name, changes)])
            done += [f"topic {name}: {key}={must}" for key, must in sorted(changes.items())]
        if wrong_still := problems(opened, address):
            raise TopicsWrong("; ".join(wrong_still))
    finally:
        opened.close()
    return done


def _create(opened: KafkaAdminClient, address: Address) -> list[str]:
    found = _topics(opened, address)
    replication = address.replication or 1
    missing: dict[str, dict[str, Any]] = {
        name: {
            "num_partitions": partitions or PARTITIONS,
            "replication_factor": replication,
            "configs": settings_of(name, address, replication),
        }
        for name, partitions in _wanted(address).items()
        if name not in found
    }
    if missing:
        with unavailable():
            try:
                opened.create_topics(missing, wait_for_metadata=True)
            except TopicAlreadyExistsError:  # somebody else's swept migrate was as fast
                opened.wait_for_topics(list(missing))
    return [f"topic {name}, {facts['num_partitions']} partitions" for name, facts in missing.items()]


def _wanted(address: Address) -> dict[str, int | None]:
    return {address.records: address.partitions, address.state: 1}


def _topics(opened: KafkaAdminClient, address: Address) -> dict[str, Any]:
    with unavailable():
        described = opened.describe_topics(list(_wanted(address)))
    return {topic["name"]: topic for topic in described if topic["error_code"] == 0}


def _replication(topic: Mapping[str, Any]) -> int:
    return min(len(partition["replica_nodes"]) for partition in topic["partitions"])


def _wrong_settings(
    opened: KafkaAdminClient, address: Address, found: Mapping[str, Mapping[str, Any]]
) -> dict[str, dict[str, tuple[str, str]]]:
    """For each topic that is there: settings that are otherwise, as they are and as they must be."""
    if not found:
        return {}
    resources = [ConfigResource(ConfigResourceType.TOPIC, name) for name in found]
    with unavailable():
        described = opened.describe_configs(resources, config_filter="all")["topic"]
    wrong = {}
    for name, topic in found.items():
        must = settings_of(name, address, _replication(topic))
        has = {key: str(one["value"]) for key, one in described[name].items()}
        wrong[name] = {
            key: (has.get(key, "?"), value) for key, value in must.items() if has.get(key) != value
        }
    return {name: settings for name, settings in wrong.items() if settings}
