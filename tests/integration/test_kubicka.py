"""Recordings with known routes through the whole line: broker, log, worker, store.

SWEPT_KUBICKA_DIR names the folder with the recordings (or their zip), which aren't ours to publish.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from benchmarks.kubicka_pipeline import play_through
from simulators.kubicka import TINY_DEG, Recording, read_recording, track_folders

pytestmark = [pytest.mark.private_data, pytest.mark.slow]


def recordings() -> list[Recording]:
    """All recordings, the one with the fewest fixes first."""
    folder = os.environ.get("SWEPT_KUBICKA_DIR")
    if not folder:
        pytest.skip("set SWEPT_KUBICKA_DIR to the folder with kubicka_dev16.zip, or with its track folders")
    found = [read_recording(one, tiny_deg=TINY_DEG) for one in track_folders(Path(folder))]
    return sorted(found, key=lambda one: (len(one.fixes), one.name))


@pytest.mark.parametrize("place", [0.0, 0.5], ids=["the shortest", "a middle one"])
def test_the_store_knows_nineteen_parts_in_twenty_of_a_recorded_route(place: float) -> None:
    found = recordings()
    result = play_through(found[int(place * len(found))])
    print(result)
    assert result.refused == 0
    assert result.recall >= 0.95
    assert result.precision >= 0.95
