"""Messages to a broker with a progress bar: what simulate, replay and demo have in common."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from swept.errors import UserError
from swept.progress import progress
from swept.settings import Settings
from swept.supervisor import running
from swept.wiring import broker_url

if TYPE_CHECKING:
    from processing.district import District
    from processing.district_files import Round
    from simulators.channel import Delivery
    from simulators.fleet import Outcome


def mqtt_url(given: str | None, settings: Settings) -> str:
    """The broker's URL: the option's, else SWEPT_MQTT_URL, else the embedded one that runs in SWEPT_HOME."""
    return given if given is not None else broker_url(settings)


def ingestors(given: str | None, settings: Settings) -> int:
    """How many ingestors take the district's clock: those that runtime.json tells of, else one."""
    found = running(settings.home)
    if given is not None or settings.mqtt_url is not None or found is None:
        return 1
    return int(found.get("ingestors", 1))


def district_and_plan(folder: Path) -> tuple[District, tuple[Round, ...] | None]:
    """The district in a folder, and the rounds of its plan, None where it has none."""
    from processing.district_files import parse_plan
    from swept.district import load_folder, read_folder

    return load_folder(folder), parse_plan(read_folder(folder)) or None


def play_live(
    deliveries: Sequence[Delivery],
    url: str,
    district_id: str,
    rate: float,
    *,
    settle_s: float = 120.0,
    ingestors: int = 1,
) -> Outcome:
    """Set the district's clock to the first message, then send all, `rate` times faster than they were."""
    from simulators.device import Broker
    from simulators.fleet import ClockError, DistrictClock, Fleet, set_clock

    if not deliveries:
        raise UserError("There is nothing to send; the scenario or file holds no report that can be played.")
    try:
        broker = Broker.of(url)
    except ValueError as error:
        told = "write the broker as mqtt://host:1883, or mqtts://host:8883 for TLS"
        reason = "" if told in str(error) else f" ({error})"
        raise UserError(f"the broker's URL can't be used{reason}; {told}.") from None
    try:
        clock = DistrictClock.from_now(deliveries[0].deliver_at_us, rate)
        set_clock(broker, district_id, clock, ingestors=ingestors)
    except (ValueError, ClockError) as error:
        raise UserError(f"{error}.") from None
    units = sorted({delivery.unit_id for delivery in deliveries})
    fleet = Fleet(broker, district_id, units, settle_s=settle_s)
    with progress("playing", total=len(deliveries)) as advance:
        return fleet.play(deliveries, clock, lambda now: advance(now.acknowledged))


def tell(outcome: Outcome) -> None:
    """Print what became of the messages; what isn't durable is the user's error."""
    print(
        f"{outcome.sent:,} messages sent ({outcome.resent:,} again), {outcome.acknowledged:,} durable in the log."
    )
    if not outcome.complete:
        left = sum(outcome.unacknowledged.values())
        faults = (
            "; ".join(sorted({fault for fault in outcome.faults.values() if fault})) or "no acknowledgement"
        )
        raise UserError(
            f"{left:,} messages of {len(outcome.unacknowledged)} units were not acknowledged and "
            f"{outcome.dropped:,} were dropped ({faults}); see that swept ingest runs, then play again."
        )
