"""The one error a person at the keyboard sees: a line that says what is wrong and what to do.

Anything else that reaches the front door is a fault of ours and keeps its traceback.
"""

from __future__ import annotations


class UserError(Exception):
    """Something the user can put right; the message is one line and says how."""

    exit_code = 2

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))
