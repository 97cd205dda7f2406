"""One report for each identity, whatever came twice, late or in another order.

Of two reports with one identity (unit, kind, device time) and different content, the one whose canonical
bytes sort first counts, whichever came first; the other is kept as the rejection `conflict`. So the survivors
are a function of the set of reports, not of their order or batching.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from processing.fix import Kind, Reason, Rejection, Report

Identity = tuple[str, Kind, int]


@dataclass(frozen=True, slots=True)
class Resolved:
    """What a batch changes: `accepted` are new identities and winners that take an old one's place.

    `accepted_at` tells where among the incoming these stood. `replaced` are the reports that had that place,
    `conflicts` all that lost (each content once a batch), and `duplicates` counts those that said nothing new.
    """

    accepted: tuple[Report, ...]
    accepted_at: tuple[int, ...]
    replaced: tuple[Report, ...]
    conflicts: tuple[Rejection, ...]
    duplicates: int


def identity(report: Report) -> Identity:
    """What makes two reports the same: unit, kind and device time."""
    return report.unit_id, report.kind, report.fix_time_us


def resolve(existing: Mapping[Identity, Report], incoming: Iterable[Report]) -> Resolved:
    """Settle a batch against the reports that are known under the same identities."""
    standing: dict[Identity, Report] = {}
    stood: dict[Identity, int] = {}
    losers: dict[bytes, Report] = {}
    duplicates = 0
    for number, report in enumerate(incoming):
        key = identity(report)
        rival = standing.get(key) or existing.get(key)
        if rival is None:
            standing[key], stood[key] = report, number
            continue
        content, rival_content = report.canonical(), rival.canonical()
        if content == rival_content or content in losers:
            duplicates += 1
        elif content < rival_content:
            losers[rival_content] = rival
            standing[key], stood[key] = report, number
        else:
            losers[content] = report
    return Resolved(
        accepted=tuple(standing.values()),
        accepted_at=tuple(stood.values()),
        replaced=tuple(existing[key] for key in standing if key in existing),
        conflicts=tuple(_conflict(content, report) for content, report in losers.items()),
        duplicates=duplicates,
    )


def _conflict(content: bytes, report: Report) -> Rejection:
    """The loser by its canonical bytes: a report doesn't know those it came with, who has the log does."""
    return Rejection(
        reason=Reason.CONFLICT,
        detail=f"another {report.kind.name.lower()} with device time {report.fix_time_us} us counts instead",
        mqtt_topic=f"swept/v1/+/{report.unit_id}/{report.kind.name.lower()}",
        payload=content,
        received_us=report.received_us,
        unit_id=report.unit_id,
    )
