"""Rows out of the store as numpy columns, by COPY in the binary format.

Where no column can be NULL and all have fixed widths, every row of the stream has the same length, so the
whole answer is one `numpy.frombuffer`: no Python object is made for a row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from psycopg import Connection

#: Signature (11 bytes), flags and length of the header's extension (4 each).
_HEADER = 19
_TRAILER = b"\xff\xff"

type_of: Mapping[str, str] = {"int8": ">i8", "float8": ">f8", "int2": ">i2", "int4": ">i4"}


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
