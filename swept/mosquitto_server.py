"""Mosquitto as a child process: MQTT on loopback without passwords, for small servers and for tests.

It has the limits of the deployed one (deploy/mosquitto/limits). Unlike rumqttd it keeps sessions, queues and
retained messages in a file, so that a restart loses nothing and a kill what came after the last save.
"""

from __future__ import annotations

import getpass
import os
import shutil
from collections.abc import Sequence
from typing import ClassVar

from swept.child_server import ChildServer
from swept.errors import UserError
from swept.mqtt_probe import answers
from swept.settings import deploy_folder

CONFIG = """\
listener {port} 127.0.0.1
allow_anonymous true
user {user}
persistence_location {data}/
log_dest stderr
include_dir {limits}
"""


class MosquittoServer(ChildServer):
    """One Mosquitto on one folder and one port."""

    name: ClassVar[str] = "Mosquitto"
    start_s_max: ClassVar[float] = 60.0
    """A large file of queued messages is read first."""

    @property
    def url(self) -> str:
        """The broker's URL for paho and for swept's options."""
        return f"mqtt://127.0.0.1:{self.port}"

    def _command(self) -> Sequence[str]:
        program = _program()
        if program is None:
            raise UserError(str(missing()))
        data = self.folder / "data"
        data.mkdir(exist_ok=True)
        config = self.folder / "mosquitto.conf"
        limits = deploy_folder() / "mosquitto/limits"
        # Started by root it would become the user mosquitto, who can't write here.
        text = CONFIG.format(port=self.port, user=getpass.getuser(), data=data, limits=limits)
        config.write_text(text, encoding="utf-8")
        return [program, "-c", str(config)]

    def _answers(self) -> bool:
        return answers(self.port)


def missing(path: str | None = None) -> str | None:
    """What must be installed before a MosquittoServer can start; None where nothing is missing."""
    return None if _program(path) else "Mosquitto is missing: install mosquitto."


def _program(path: str | None = None) -> str | None:
    """Debian puts it where only root's PATH leads."""
    usual = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/local/sbin"])
    return shutil.which("mosquitto", path=path or usual)
