"""Every number a figure depends on, in one frozen value.

The defaults are those of docs/DEFINITIONS.md; a district may set others in its rules.toml. The digest of
all of them, with the release, is the rule version that each figure carries.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, fields


@dataclass(frozen=True, slots=True)
class Rules:
    """Parameters of matching and counting; names end in their unit."""

    # The service day
    timezone: str = "Asia/Shanghai"
    day_start_s: int = 0
    # What is accepted
    future_s_max: float = 300.0
    late_s_max: float = 30 * 86_400.0
    # Equipment on its own topic holds until the next status, this long at most.
    equipment_hold_s_max: float = 900.0
    # Tracks
    track_gap_s_max: float = 600.0
    stay_radius_m: float = 25.0
    stay_s: float = 600.0
    track_s_max: float = 86_400.0
    # Matching: emission, transition, bounds
    candidate_radius_m: float = 50.0
    sigma_m: float = 12.0
    sigma_m_min: float = 3.0
    sigma_m_max: float = 30.0
    map_m: float = 3.0
    white_m: float = 1.0
    noise_s: float = 20.0
    heading_sigma_deg: float = 30.0
    heading_speed_kmh_min: float = 3.0
    step_sigmas: float = 1.5
    beta_m: float = 12.0
    beta_share: float = 0.2
    slip_sigmas: float = 3.0
    turn_logp: float = -6.0
    tip_turn_logp: float = -1.5
    corner_logp: float = -0.5
    enter_logp: float = -0.5
    off_network_sigmas: float = 3.5
    off_network_switch_logp: float = -5.0
    lag_m_max: float = 2_000.0
    certainty_base: float = -0.61
    certainty_slope: float = 1.83
    certainty_min: float = 0.99
    # Joins and passes
    join_s_max: float = 120.0
    leave_m_min: float = 10.0
    # Depth, coverage, frequency
    depth_gap_s: float = 1_800.0
    close_gap_m: float = 10.0
    close_share_max: float = 0.10
    coverage_share: float = 0.90

    def digest(self) -> str:
        """Hexadecimal SHA-256 over all parameters in name order, first 16 digits."""
        canonical = json.dumps(asdict(self), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()[:16]

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """The names a rules.toml may set."""
        return tuple(field.name for field in fields(cls))
