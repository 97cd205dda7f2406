from __future__ import annotations

from pathlib import Path

import pytest

from swept.errors import UserError
from swept.settings import configs_folder, read_settings


def test_without_an_environment_everything_is_embedded_and_the_district_is_the_shipped_one() -> None:
    settings = read_settings({"PATH": "/bin"})
    assert settings.store_url is None
    assert settings.mqtt_url is None
    assert settings.log_url is None
    assert settings.home == Path.home() / ".local/share/swept"
    assert settings.district_folder == configs_folder() / "zhanqian"


def test_a_url_is_a_secret_without_a_repr() -> None:
    settings = read_settings({"SWEPT_STORE_URL": "postgresql://swept:hunter2@db/swept"})
    assert settings.store_url is not None
    assert settings.store_url.get_secret_value().endswith("@db/swept")
    assert "hunter2" not in f"{settings!r} {settings}"


def test_settings_are_frozen() -> None:
    settings = read_settings({})
    with pytest.raises(ValueError, match="frozen"):
        settings.home = Path("/elsewhere")


def test_an_empty_variable_is_an_absent_one() -> None:
    assert read_settings({"SWEPT_STORE_URL": ""}).store_url is None


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({"SWEPT_STOREURL": "x"}, "SWEPT_STOREURL is not a setting; known are SWEPT_STORE_URL"),
        ({"SWEPT_STORE_URL": "mysql://u:hunter2@x"}, "SWEPT_STORE_URL: must start with postgresql://"),
        ({"SWEPT_MQTT_URL": "http://x"}, "SWEPT_MQTT_URL: must start with mqtt://"),
        ({"SWEPT_LOG_URL": "redis://x"}, "SWEPT_LOG_URL: must start with kafka://"),
        ({"SWEPT_HOME": "~nobody-of-that-name/x"}, "SWEPT_HOME: ~nobody-of-that-name/x names no user's home"),
        *(
            ({"SWEPT_STORE_URL": url}, "SWEPT_STORE_URL: is no PostgreSQL URL; write postgresql://")
            for url in (
                "postgresql://%zz",
                "postgresql://swept:hunter2%zz@db/swept",
                "postgresql://swept:hunter2@db/swept?foo=1",
                "postgresql://[::1",
                "postgresql://db:x/swept",
                "postgresql://db:99999/swept",
                f"postgresql://{'a' * 80}/swept",
                "postgresql://\ud800/swept",
            )
        ),
        *(
            ({"SWEPT_MQTT_URL": url}, "SWEPT_MQTT_URL: is no broker's URL; write mqtt://host:1883")
            for url in (
                "mqtt://",
                "mqtt://h:x",
                "mqtt://h:99999",
                "mqtt://h:0",
                "mqtt://h:-1",
                "mqtt://[::1",
                "mqtts://swept:hunter2@:8883",
                f"mqtt://{'a' * 80}",
                "mqtt://a b",
            )
        ),
    ],
)
def test_a_wrong_setting_says_what_to_do_and_shows_no_secret(environ: dict[str, str], message: str) -> None:
    with pytest.raises(UserError) as caught:
        read_settings(environ)
    assert message in str(caught.value)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    ["postgresql:///swept?host=%2Ftmp%2Fx", "postgres://u:p%25@a,b:5432,5433/d", "postgresql://[::1]:5432/d"],
)
def test_urls_that_libpq_understands_are_taken_as_they_are(url: str) -> None:
    taken = read_settings({"SWEPT_STORE_URL": url}).store_url
    assert taken is not None
    assert taken.get_secret_value() == url


@pytest.mark.parametrize("url", ["mqtt://h", "mqtts://u:p@h:8883", "mqtt://[::1]:1883", "mqtt://车.cn"])
def test_brokers_are_taken_as_they_are(url: str) -> None:
    taken = read_settings({"SWEPT_MQTT_URL": url}).mqtt_url
    assert taken is not None
    assert taken.get_secret_value() == url


def test_a_relative_home_is_made_absolute() -> None:
    assert read_settings({"SWEPT_HOME": "state"}).home == Path.cwd() / "state"
