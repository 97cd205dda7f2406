"""Rows out of the store as numpy columns, in the binary format: no Python object is made for a number.

Where all columns have fixed widths, every row of a COPY has the same length, and the whole answer is one
`numpy.frombuffer`. Where some are lists or texts, each column is one. No column may be NULL.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from psycopg import Connection, Cursor

#: Signature (11 bytes), flags and length of the header's extension (4 each).
_HEADER = 19
_TRAILER = b"\xff\xff"

type_of: Mapping[str, str] = {"bool": "?", "int8": ">i8", "float8": ">f8", "int2": ">i2", "int4": ">i4"}


def copy_columns(
    connection: Connection[Any], query: str, parameters: Sequence[Any], types: Mapping[str, str]
) -> dict[str, NDArray[Any]]:
    """The query's columns by name; `types` names their PostgreSQL types in order, none may be NULL."""
    pairs: list[tuple[str, str]] = [("_fields", ">i2")]
    for name, kind in types.items():
        pairs += [(f"_size_{name}", ">i4"), (name, type_of[kind])]
    row = np.dtype(pairs)
    with connection.cursor() as cursor:
        statement = f"COPY ({query}) TO STDOUT (FORMAT binary)"
        with cursor.copy(statement.encode(), tuple(parameters)) as copy:
            data = b"".join(bytes(block) for block in copy)
    body = data[_HEADER : -len(_TRAILER)]
    rows = np.frombuffer(body, dtype=row)
    return {name: rows[name].astype(row[name].newbyteorder("=")) for name in types}


class Lists(NamedTuple):
    """A column of lists of integers: all their elements one after the other, and how many each row has."""

    elements: NDArray[np.int64]
    counts: NDArray[np.int64]


#: Dimensions, whether there are NULLs, the elements' type, their number and the first one's: four bytes each.
_LIST_HEADER = 20


class Fetched:
    """The answer to a query that was executed with a binary cursor, column by column."""

    def __init__(self, cursor: Cursor[Any]) -> None:
        assert cursor.pgresult is not None
        self._result = cursor.pgresult
        self.order: Sequence[int] = range(self._result.ntuples)

    def _cells(self, place: int) -> list[bytes]:
        value = self._result.get_value
        return [value(row, place) or b"" for row in self.order]

    def numbers(self, place: int, kind: str) -> NDArray[Any]:
        """A column of numbers of a PostgreSQL type, in the order of rows that `order` gives."""
        numbers = np.frombuffer(b"".join(self._cells(place)), dtype=type_of[kind])
        return numbers.astype(numbers.dtype.newbyteorder("="))

    def texts(self, place: int) -> list[str]:
        """A column of texts."""
        return [cell.decode() for cell in self._cells(place)]

    def lists(self, place: int, kind: str) -> Lists:
        """A column of lists of a type of integers."""
        element = np.dtype([("size", ">i4"), ("value", type_of[kind])])
        cells = [cell[_LIST_HEADER:] for cell in self._cells(place)]
        elements = np.frombuffer(b"".join(cells), dtype=element)["value"].astype(np.int64)
        return Lists(elements, np.array([len(cell) for cell in cells], dtype=np.int64) // element.itemsize)
