"""Service days: which one an instant lies in, and which ones a pass can change."""

from __future__ import annotations

from datetime import date, timedelta

from processing.rules import Rules
from processing.service_day import US, day_start_us, service_day
from processing.sweep import Pass


class Days:
    """Service days under a district's rules."""

    def __init__(self, rules: Rules) -> None:
        self._zone = (rules.day_start_s, rules.timezone)
        self._depth_gap_us = int(rules.depth_gap_s * US)

    def of(self, moment_us: int) -> date:
        """The service day in which an instant lies."""
        return service_day(moment_us, *self._zone)

    def start_us(self, day: date) -> int:
        """The instant at which a service day begins."""
        return day_start_us(day, *self._zone)

    def just_swept_us(self, day: date) -> int:
        """The instant from which what was swept counts as just swept when the day begins."""
        return self.start_us(day) - self._depth_gap_us

    def of_pass(self, one: Pass) -> list[date]:
        """The service days whose figures a pass can change."""
        day = self.of(one.enter_us)
        swept_until_us = one.swept_until_us
        following = day + timedelta(days=1)
        reaches = swept_until_us is not None and swept_until_us >= self.just_swept_us(following)
        return [day, following] if reaches else [day]
