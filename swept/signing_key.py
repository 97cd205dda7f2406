"""The key that signs day digests: a file, made on first use, that its owner alone can read."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path

from evidence.signing import NotAKey, Signer, new_key
from swept.errors import UserError, on_disk
from swept.settings import Settings

NAME = "signing_key.pem"


def signer(settings: Settings) -> Signer:
    """The signer of SWEPT_SIGNING_KEY, else of the key in SWEPT_HOME, which is made where there is none."""
    path = settings.signing_key or settings.home / NAME
    if settings.signing_key is None and not path.exists():
        with on_disk(path, "set SWEPT_HOME to a folder that you may write to, or SWEPT_SIGNING_KEY to a key"):
            path.parent.mkdir(parents=True, exist_ok=True)
            _make(path)
    with on_disk(path, "set SWEPT_SIGNING_KEY to an ed25519 key in PEM"):
        pem = path.read_bytes()
    try:
        return Signer(pem)
    except NotAKey as error:
        raise UserError(
            f"{path} can't sign: {error}; set SWEPT_SIGNING_KEY to an ed25519 key in PEM."
        ) from None


def _make(path: Path) -> None:
    """Write a new key whole or not at all; where another process was first, its key stays."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{NAME}.")  # readable for the owner alone
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(new_key())
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(name, path)
    finally:
        Path(name).unlink()
