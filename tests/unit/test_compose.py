"""compose.yaml as far as that can be checked without an engine: by the specification, and by all that it names."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import typer
from compose_spec import PyOptions
from typer.exceptions import TyperException

from swept.main import app
from swept.settings import read_settings

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "compose.yaml").read_text(encoding="utf-8")
VARIABLE = re.compile(r"\$(?:(?P<dollar>\$)|\{(?P<name>[A-Z_]+):\?[^}]+\})")
SERVERS = {"store", "kafka", "mosquitto", "prometheus"}
KAFKAS_OWN = {"HEAP_OPTS", "OPTS", "LOG4J_ROOT_LOGLEVEL"}
"""Variables of the image that aren't settings of Kafka."""


def read(text: str) -> dict[str, Any]:
    """A compose file as the specification has it; ValueError where it isn't one."""
    composed = PyOptions(apply_merge=True).from_yaml(text)
    composed.validate()
    return composed.to_dict()


def filled(text: str, values: Mapping[str, str]) -> str:
    """Variables replaced as Compose does: one that is missing or empty is refused."""

    def value(found: re.Match[str]) -> str:
        given = "$" if found["dollar"] else values.get(found["name"])
        assert given, f"{found[0]} is neither in .env.example nor made by make_secrets.py"
        return given

    assert "$" not in VARIABLE.sub("", text), "a variable without :? would be empty where it is missing"
    return VARIABLE.sub(value, text)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root in which make_secrets.py was run."""
    root = tmp_path_factory.mktemp("root")
    (root / "deploy/secrets").mkdir(parents=True, mode=0o700)
    for name in ("tls_certificate", "tls_key"):  # one's own, so that no openssl is needed
        (root / "deploy/secrets" / name).touch()
    (root / "deploy/.env.example").write_bytes((ROOT / "deploy/.env.example").read_bytes())
    make_secrets(root)
    return root


def make_secrets(root: Path, *options: str) -> None:
    command = [sys.executable, str(ROOT / "deploy/make_secrets.py"), "--root", str(root), *options]
    subprocess.run(command, check=True, capture_output=True)


@pytest.fixture(scope="module")
def env(made: Path) -> dict[str, str]:
    lines = (made / ".env").read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


@pytest.fixture(scope="module")
def compose(env: dict[str, str]) -> dict[str, Any]:
    return read(filled(TEXT, env))


@pytest.fixture(scope="module")
def ours(compose: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The services that run swept."""
    return {name: one for name, one in compose["services"].items() if name not in SERVERS}


def test_it_is_a_compose_file_whose_services_name_each_other(compose: dict[str, Any]) -> None:
    services = compose["services"]
    assert set(services) - SERVERS == {"ingest-1", "ingest-2", "ingest-3", "worker", "api", "migrate"}
    for name, one in services.items():
        for other, how in one.get("depends_on", {}).items():
            assert other in services, name
            if how["condition"] == "service_healthy":
                assert services[other]["healthcheck"]["test"], f"{name} waits for {other}"
        for bound in ("mem_limit", "logging", "stop_grace_period", "restart"):
            assert one.get(bound), f"{name} has no {bound}"
        assert name == "migrate" or one["healthcheck"]["test"]


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        ("services:\n", "servces:\n"),
        ("restart: unless-stopped", "restart: perhaps"),
        ("stop_grace_period: 60s", "stop_grace_period: 60 sweeps"),
        ("condition: service_healthy", "condition: service_happy"),
        ("mem_limit: 5g", "mem_limit: much"),
        ("healthcheck:", "healtcheck:"),
        ("- home:/var/lib/swept", "- nowhere:/var/lib/swept"),
        ("tls_key]", "tls_ky]"),
        ("  worker:\n", "  worker:\n   api: 1\n"),
    ],
)
def test_a_broken_file_is_refused(good: str, bad: str, env: dict[str, str]) -> None:
    assert good in TEXT
    with pytest.raises(ValueError, match=r"\w"):
        read(filled(TEXT.replace(good, bad), env))


def test_swept_takes_each_command_line_and_each_setting(ours: dict[str, dict[str, Any]]) -> None:
    for name, one in ours.items():
        parse(arguments(one))
        settings = read_settings({key: str(value) for key, value in one["environment"].items()})
        assert settings.store_url
        assert settings.mqtt_url
        assert settings.log_url, name
    for wrong in (["process", "--metric-port=1"], ["ingest", "--group"], ["sweep"], ["serve", "--port=http"]):
        with pytest.raises(TyperException):
            parse(wrong)


def arguments(service: dict[str, Any]) -> list[str]:
    command = service["command"]
    return shlex.split(command) if isinstance(command, str) else [str(part) for part in command]


def parse(line: list[str]) -> None:
    """Read a command line as `swept` does, without doing what it says."""
    group = typer.main.get_group(app)
    with group.make_context("swept", list(line), resilient_parsing=False) as context:
        name, command, rest = group.resolve_command(context, line)
        assert command is not None
        command.make_context(name, rest, parent=context)


def test_members_of_the_group_of_ingestors_have_names_that_stay(ours: dict[str, dict[str, Any]]) -> None:
    members = {name: arguments(one) for name, one in ours.items() if name.startswith("ingest")}
    assert len(members) == 3
    for name, line in members.items():
        assert "--group=swept" in line
        assert f"--client-id=swept-{name}" in line
        assert not ours[name].get("deploy"), "scaled, two would take one name"


def test_kafka_has_the_settings_that_ours_has(compose: dict[str, Any]) -> None:
    kafka = compose["services"]["kafka"]
    pom = (ROOT / "deploy/kafka/pom.xml").read_text(encoding="utf-8")
    version = re.search(r"kafka_2\.13</artifactId>\s*<version>([^<]+)<", pom)
    assert version
    assert kafka["image"] == f"apache/kafka:{version[1]}"
    lines = (ROOT / "deploy/kafka/server.properties").read_text(encoding="utf-8").splitlines()
    wanted = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    given = {
        name.removeprefix("KAFKA_").replace("_", ".").lower(): str(value).removesuffix(".0").lower()
        for name, value in kafka["environment"].items()
        if name.removeprefix("KAFKA_") not in KAFKAS_OWN
    }
    assert set(given) == set(wanted)
    places = {name for name, value in wanted.items() if "{" in value}
    assert places == {"controller.quorum.voters", "listeners", "advertised.listeners", "log.dirs"}
    assert {name: given[name] for name in wanted if name not in places} == {
        name: value.lower() for name, value in wanted.items() if name not in places
    }


def test_all_that_is_mounted_is_there_or_made(compose: dict[str, Any], made: Path) -> None:
    for one in compose["services"].values():
        for volume in one.get("volumes", []):
            source = volume["source"] if isinstance(volume, dict) else volume.split(":")[0]
            if "/" in source:
                assert (ROOT / source).exists(), source
    secrets = {secret["file"] for secret in compose["secrets"].values()}
    assert {path.relative_to(made).as_posix() for path in (made / "deploy/secrets").iterdir()} == {
        Path(path).as_posix() for path in secrets
    }


def test_each_variable_of_the_example_is_used(env: dict[str, str]) -> None:
    assert {found["name"] for found in VARIABLE.finditer(TEXT)} - {None} == set(env)


def test_prometheus_asks_each_service_that_exports_metrics(ours: dict[str, dict[str, Any]]) -> None:
    text = (ROOT / "deploy/prometheus/prometheus.yml").read_text(encoding="utf-8")
    found = re.search(r"names: \[([^\]]+)\], type: A, port: 9100", text)
    assert found
    assert set(found[1].split(", ")) == {
        name for name, one in ours.items() if "--metrics-port=9100" in arguments(one)
    }
    assert "rule_files: [alerts.yml]" in text


def test_the_image_gets_what_the_wheel_is_made_of() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]["only-include"]
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    sent = {line[1:] for line in lines if line.startswith("!")}
    assert sent == {*wheel, "LICENSE", "README.md", "pyproject.toml", "requirements-dev.lock"}
    assert lines.index("*") < lines.index("!LICENSE")


def test_a_password_of_a_device_is_written_into_the_file_that_containers_have(made: Path) -> None:
    passwords = made / "deploy/secrets/mosquitto_passwords"
    inode = passwords.stat().st_ino
    make_secrets(made, "--device", "ZQ-S01")
    assert "\nZQ-S01:" in passwords.read_text(encoding="utf-8")
    assert passwords.stat().st_ino == inode
    assert passwords.stat().st_mode & 0o777 == 0o644
