"""A small district for the simulator's tests: a grid of avenues with an alley through or into each block."""

from __future__ import annotations

from processing.district import District, Road, Street, Unit, UnitProfile

LON, LAT = 122.2, 40.65
DX, DY = 0.0024, 0.0018
BLOCKS = 3


def grid() -> District:
    """3 x 3 blocks of about 200 m; the last alley of each row is a dead end, the first has two sides."""
    roads, streets = [], []
    for i in range(BLOCKS + 1):
        row = tuple((LON + DX * k, LAT + DY * i) for k in range(BLOCKS + 1))
        column = tuple((LON + DX * i, LAT + DY * k) for k in range(BLOCKS + 1))
        roads += [Road(f"row-{i}", f"row {i}", (row,)), Road(f"column-{i}", f"column {i}", (column,))]
    for i in range(BLOCKS):
        for j in range(BLOCKS):
            y, reach = LAT + DY * (i + 0.5), 1.0 if j < BLOCKS - 1 else 0.6
            part = ((LON + DX * j, y), (LON + DX * (j + reach), y))
            name = f"alley-{i}{j}"
            streets.append(Street(name, name, (part,), required=2, sides=2 if j == 0 else 1))
    sweeper = UnitProfile("sweeper")
    badge = UnitProfile("badge", work="by_hand", working_when=(), work_kmh_max=6.0, top_speed_kmh=7.0)
    units = (Unit("u1", "u1", sweeper), Unit("u2", "u2", sweeper), Unit("b1", "b1", badge))
    return District("grid", "grid", tuple(streets), tuple(roads), units)
