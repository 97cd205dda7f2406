"""Shares in whole numbers that add up, so that nobody has to ask where the rest went."""

from __future__ import annotations

from collections.abc import Mapping


def percents(counts: Mapping[str, int], whole: int = 100) -> dict[str, int]:
    """Each count's share of all of them in parts of `whole`, by largest remainder; of equal ones the first.

    Without anything counted there are no shares: the answer is empty.
    """
    total = sum(counts.values())
    if total == 0:
        return {}
    shares = {name: whole * count // total for name, count in counts.items()}
    missing = whole - sum(shares.values())
    for name in sorted(counts, key=lambda name: -(whole * counts[name] % total))[:missing]:
        shares[name] += 1
    return shares
