"""numpy columns as the bytes of PostgreSQL's COPY in the binary format, without a Python object for a value.

A row is the number of its fields and, for each field, its size and its bytes, big-endian; size -1 is NULL.
All places are computed first, then each column is written to its places at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from psycopg import Connection

#: Signature, flags, and the length of the header's extension.
HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
TRAILER = b"\xff\xff"
#: How PostgreSQL's types of fixed width are written.
TYPE_OF: Mapping[str, np.dtype[Any]] = {
    "bool": np.dtype("u1"),
    "int2": np.dtype(">i2"),
    "int4": np.dtype(">i4"),
    "int8": np.dtype(">i8"),
    "float8": np.dtype(">f8"),
}


@dataclass(frozen=True, slots=True, eq=False)
class Texts:
    """A column of texts: each row's index into the few that differ, -1 for NULL."""

    codes: NDArray[np.int64]
    values: tuple[bytes, ...]

    def __len__(self) -> int:
        return len(self.codes)

    @classmethod
    def of(cls, texts: Iterable[str | None]) -> Texts:
        """The column of these texts."""
        known: dict[str | None, int] = {}
        codes = [-1 if text is None else known.setdefault(text, len(known)) for text in texts]
        return cls(np.array(codes, dtype=np.int64), tuple(str(text).encode() for text in known))


#: Numbers that are masked are NULL.
Column = NDArray[Any] | Texts


def encode(types: Sequence[str], columns: Sequence[Column]) -> bytes:
    """The whole stream; `types` names the columns' PostgreSQL types, which only numbers need.

    Raises ValueError where a number doesn't fit into its type.
    """
    rows = len(columns[0])
    sizes = [_sizes(name, column) for name, column in zip(types, columns, strict=True)]
    field_bytes = [np.maximum(size, 0) + 4 for size in sizes]
    row_bytes = np.full(rows, 2, dtype=np.int64)
    for each in field_bytes:
        row_bytes += each
    ends = np.cumsum(row_bytes)
    stream = np.empty(int(ends[-1]) if rows else 0, dtype=np.uint8)
    at = ends - row_bytes
    _put(stream, at, np.int16(len(columns)), TYPE_OF["int2"])
    at += 2
    for name, column, size, each in zip(types, columns, sizes, field_bytes, strict=True):
        _put(stream, at, size, TYPE_OF["int4"])
        if isinstance(column, Texts):
            _put_texts(stream, at + 4, size, column)
        else:
            told = size > 0
            whole = bool(told.all())
            numbers = np.ma.getdata(column) if whole else np.ma.getdata(column)[told]
            _put(stream, (at if whole else at[told]) + 4, _fitting(name, numbers), TYPE_OF[name])
        at += each
    return b"".join((HEADER, stream.tobytes(), TRAILER))


def copy_in(
    connection: Connection[Any], table: str, types: Mapping[str, str], columns: Mapping[str, Column]
) -> None:
    """Copy columns into a table; `types` has their PostgreSQL types. All names are our own, never a user's."""
    statement = f"COPY {table} ({', '.join(columns)}) FROM STDIN (FORMAT binary)"
    stream = encode([types[name] for name in columns], list(columns.values()))
    with connection.cursor() as cursor, cursor.copy(statement.encode()) as copy:
        copy.write(stream)


def _sizes(name: str, column: Column) -> NDArray[np.int64]:
    """Bytes of each value, -1 for NULL."""
    if isinstance(column, Texts):
        lengths = np.array([*map(len, column.values), -1], dtype=np.int64)
        return lengths[column.codes]
    width = TYPE_OF[name].itemsize
    if np.ma.getmask(column) is np.ma.nomask:
        return np.full(len(column), width, dtype=np.int64)
    return np.where(np.ma.getmaskarray(column), -1, width).astype(np.int64)


def _fitting(name: str, numbers: NDArray[Any]) -> NDArray[Any]:
    """The numbers, once it is sure that none is cut when it is written."""
    target = TYPE_OF[name]
    if target.kind == "i" and numbers.dtype.itemsize > target.itemsize and len(numbers):
        bounds = np.iinfo(target)
        if numbers.min() < bounds.min or numbers.max() > bounds.max:
            raise ValueError(f"{numbers.min()} to {numbers.max()} doesn't fit into {name}")
    return numbers


def _put(stream: NDArray[np.uint8], at: NDArray[np.int64], values: Any, kind: np.dtype[Any]) -> None:  # noqa: ANN401
    """Write values of one width at places of the stream: it is seen as overlapping numbers, one a byte."""
    if len(at):
        places = len(stream) - kind.itemsize + 1
        np.ndarray((places,), dtype=kind, buffer=stream.data, strides=(1,))[at] = values


def _put_texts(
    stream: NDArray[np.uint8], at: NDArray[np.int64], sizes: NDArray[np.int64], column: Texts
) -> None:
    told = sizes > 0
    at, sizes, codes = at[told], sizes[told], column.codes[told]
    pool = np.frombuffer(b"".join(column.values), dtype=np.uint8)
    begins = np.cumsum([0, *map(len, column.values)])[codes]
    within = np.arange(int(sizes.sum())) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    stream[np.repeat(at, sizes) + within] = pool[np.repeat(begins, sizes) + within]
