"""The versions that figures carry: the release, and with the digest of all parameters the rule version."""

from __future__ import annotations

from importlib.metadata import version

from processing.rules import Rules


def release() -> str:
    """The installed release of swept."""
    return version("swept")


def rule_version(rules: Rules) -> str:
    """Release and digest of all parameters."""
    return f"{release()}+{rules.digest()}"
