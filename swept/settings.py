"""Settings: read once, here, from the environment's SWEPT_* variables, and frozen.

Nothing else in swept looks at the environment. URLs may hold passwords, so they are secrets without a
repr. Where a URL is missing the embedded broker, store and log take its place (see swept/wiring.py).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator

from swept.errors import UserError

PREFIX = "SWEPT_"


class Settings(BaseModel):
    """What the environment decides; every field is SWEPT_ and its name in capitals."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    store_url: SecretStr | None = Field(default=None, description="PostgreSQL or TimescaleDB; none: embedded")
    mqtt_url: SecretStr | None = Field(default=None, description="mqtt:// or mqtts:// broker; none: embedded")
    log_url: SecretStr | None = Field(
        default=None, description="kafka:// or kafka+ssl://; none: a table in the store"
    )
    district: Path | None = Field(default=None, description="folder of the district; none: configs/zhanqian")
    home: Path = Field(
        default_factory=lambda: Path.home() / ".local/share/swept", description="where embedded servers live"
    )
    signing_key: Path | None = Field(
        default=None, description="ed25519 key in PEM that signs day digests; none: home/signing_key.pem"
    )
    raw_keep_days: int = Field(
        default=730, ge=60, description="days after which swept maintain drops fixes and original records"
    )
    log_bytes_max: int = Field(
        default=10 << 30,
        ge=1 << 28,
        description="bytes that the log may hold; when it is full swept ingest acknowledges nothing more",
    )
    kubicka_dir: Path | None = Field(default=None, description="a recording that only tests use")

    @field_validator("home", "district", "signing_key")
    @classmethod
    def _absolute(cls, value: Path | None) -> Path | None:
        try:
            return None if value is None else value.expanduser().absolute()
        except RuntimeError:
            raise ValueError(f"{value} names no user's home; write the whole path") from None

    @field_validator("store_url")
    @classmethod
    def _postgres(cls, value: SecretStr | None) -> SecretStr | None:
        given = _with_scheme(value, ("postgresql://", "postgres://"))
        if given is not None:
            _check_postgres(given.get_secret_value())
        return given

    @field_validator("mqtt_url")
    @classmethod
    def _mqtt(cls, value: SecretStr | None) -> SecretStr | None:
        given = _with_scheme(value, ("mqtt://", "mqtts://"))
        if given is not None:
            _check_mqtt(given.get_secret_value())
        return given

    @field_validator("log_url")
    @classmethod
    def _kafka(cls, value: SecretStr | None) -> SecretStr | None:
        given = _with_scheme(value, ("kafka://", "kafka+ssl://"))
        if given is not None:
            _check_kafka(given.get_secret_value())
        return given

    @property
    def district_folder(self) -> Path:
        """The district's folder: the one that is named, else the one that comes with swept."""
        return self.district or configs_folder() / "zhanqian"


def _with_scheme(value: SecretStr | None, schemes: tuple[str, ...]) -> SecretStr | None:
    if value is not None and not value.get_secret_value().startswith(schemes):
        raise ValueError(f"must start with {' or '.join(schemes)}")
    return value


def _check_postgres(url: str) -> None:
    """Raise ValueError, without any part of the URL, where libpq or a resolver would choke on it."""
    import psycopg
    from psycopg.conninfo import conninfo_to_dict

    try:
        parts = conninfo_to_dict(url)
        for host in str(parts.get("host") or "").split(","):
            if not host.startswith("/"):
                _check_host(host)
        for port in filter(None, str(parts.get("port") or "").split(",")):
            _check_port(int(port))
    except (psycopg.ProgrammingError, ValueError):
        raise ValueError(
            "is no PostgreSQL URL; write postgresql://user:password@host:5432/database, with %25 for each % of "
            "the password"
        ) from None


def _check_mqtt(url: str) -> None:
    """Raise ValueError, without any part of the URL, where it names no host or port to connect to."""
    try:
        parts = urlsplit(url)
        _check_host(parts.hostname or " ")
        _check_port(1883 if parts.port is None else parts.port)
    except ValueError:
        raise ValueError(
            "is no broker's URL; write mqtt://host:1883, or mqtts://user:password@host:8883 for TLS"
        ) from None


def _check_kafka(url: str) -> None:
    """Raise ValueError, without any part of the URL, where it names no log."""
    from streams.kafka_url import parse

    try:
        parse(url)
    except ValueError:
        raise ValueError(
            "is no log's URL; write kafka://host:9092,host:9092/swept?partitions=16&replication=3, or "
            "kafka+ssl://user:password@host:9093/swept for TLS"
        ) from None


def _check_host(host: str) -> None:
    host.encode("idna")  # a UnicodeError is a ValueError
    if any(char.isspace() for char in host):
        raise ValueError


def _check_port(port: int) -> None:
    if not 0 < port < 65_536:
        raise ValueError


def read_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """The settings of this process; an unknown SWEPT_* name or a bad value is the user's error."""
    given = os.environ if environ is None else environ
    values = {
        name.removeprefix(PREFIX).lower(): value
        for name, value in given.items()
        if name.startswith(PREFIX) and value
    }
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        name = PREFIX + "_".join(str(part) for part in first["loc"]).upper()
        known = ", ".join(PREFIX + field.upper() for field in Settings.model_fields)
        if first["type"] == "extra_forbidden":
            raise UserError(f"{name} is not a setting; known are {known}.") from None
        raise UserError(f"{name}: {first['msg'].removeprefix('Value error, ')}.") from None


def configs_folder() -> Path:
    """The folder of defaults."""
    return _data_folder("configs")


def deploy_folder() -> Path:
    """The folder of the full form's configuration: Kafka's, Mosquitto's."""
    return _data_folder("deploy")


def _data_folder(name: str) -> Path:
    """Beside the packages in a checkout, inside the package in a wheel."""
    packaged = Path(__file__).parent / name
    return packaged if packaged.is_dir() else Path(__file__).parent.parent / name
