"""The one error a person at the keyboard sees: a line that says what is wrong and what to do.

Anything else that reaches the front door is a fault of ours and keeps its traceback.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class UserError(Exception):
    """Something the user can put right; the message is one line and says how."""

    exit_code = 2

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))


@contextmanager
def on_disk(path: Path, do: str) -> Iterator[None]:
    """What the system says against a file or folder, as the user's error; `do` tells what would help."""
    try:
        yield
    except OSError as error:
        raise UserError(f"{path}: {error.strerror or error}; {do}.") from None
