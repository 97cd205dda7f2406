"""The evidence pack: one zip whose manifest names every part with its SHA-256.

The same parts give the same bytes: names are sorted, and no time of making is in it. A pack comes from
somebody whom one has reason to check, so reading it trusts nothing: names, numbers and sizes are bounded
before anything is unpacked, and nothing is ever written to disk.
"""

from __future__ import annotations

import hashlib
import io
import re
import zipfile
import zlib
from collections.abc import Mapping
from datetime import date
from typing import Annotated, Any, TypeVar

import msgspec

FORMAT = "swept evidence 1"
MANIFEST = "manifest.json"
RECORDS, RANGES, DIGESTS = "log/records.jsonl", "log/ranges.jsonl", "log/digests.jsonl"
DISTRICT = "district/"
PACK_BYTES_MAX = 512 << 20
UNPACKED_BYTES_MAX = 1 << 30
MANIFEST_BYTES_MAX = 1 << 20
PARTS_MAX = 64
_NAME = re.compile(r"(district|log|computed)/[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_MADE = (1980, 1, 1, 0, 0, 0)

T = TypeVar("T")
Whole = Annotated[int, msgspec.Meta(ge=-(2**62), lt=2**62)]
Sha256 = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
Signature = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{128}$")]
Partition = Annotated[int, msgspec.Meta(ge=0, lt=2**31)]
Offset = Annotated[int, msgspec.Meta(ge=0, lt=2**62)]


class NotAPack(Exception):  # noqa: N818 - says what is the case
    """What is wrong with the file or one of its parts, in a line."""


class Part(msgspec.Struct, frozen=True):
    """A part of the pack as the manifest names it."""

    sha256: str
    bytes: Annotated[int, msgspec.Meta(ge=0, le=UNPACKED_BYTES_MAX)]
    what: str = ""


class Manifest(msgspec.Struct, frozen=True):
    """What the pack is about, who made it, and its parts.

    `release` is the one that made the figures, and so the one that can make them again. In a pack of a whole
    day (`whole_day`: the street is short of what it requires) all that any of `units` reported that day is in
    it, else the tracks that touch the street. `now_us` is up to when a day that isn't over was judged.
    """

    format: str
    release: str
    rule_version: str
    map_version: str
    district_id: str
    district_version: int
    street_id: str
    street_name: str
    service_day: date
    shift_id: str
    whole_day: bool
    now_us: int | None
    units: list[str]
    parts: dict[str, Part]


class Record(msgspec.Struct, frozen=True, omit_defaults=True):
    """A record of the log: with its bytes (as text, or in base64), or with their SHA-256 alone."""

    log_id: str
    partition: Partition
    offset: Offset
    key: str
    mqtt_topic: str
    received_us: Whole
    payload: str | None = None
    payload_base64: bytes | None = None
    payload_sha256: Sha256 | None = None

    @property
    def sent(self) -> bytes | None:
        """The payload, where the pack has it."""
        return self.payload_base64 if self.payload is None else self.payload.encode()


class Range(msgspec.Struct, frozen=True):
    """A stretch of a partition: a service day's, or one still open (''); `told` where its records are listed."""

    log_id: str
    service_day: str
    partition: Partition
    first_offset: Offset
    next_offset: Offset
    first_head: Sha256
    head: Sha256
    told: bool


class Digest(msgspec.Struct, frozen=True):
    """What was signed of a service day."""

    log_id: str
    service_day: str
    digest: Sha256
    signature: Signature
    public_key: Sha256


def lines(rows: list[Any]) -> bytes:
    """Rows as lines of JSON."""
    return b"".join(msgspec.json.encode(row) + b"\n" for row in rows)


def rows_of(parts: Mapping[str, bytes], name: str, kind: type[T]) -> list[T]:
    """The rows of a part of JSON lines."""
    decoder = msgspec.json.Decoder(kind)
    found = []
    for number, line in enumerate(parts.get(name, b"").splitlines(), 1):
        try:
            found.append(decoder.decode(line))
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            raise NotAPack(f"{name} line {number} can't be read: {error}") from None
    return found


def write(manifest: Manifest, parts: Mapping[str, bytes]) -> bytes:
    """The pack; `manifest.parts` is filled in, the words in it are kept."""
    told = {
        name: Part(
            hashlib.sha256(content).hexdigest(),
            len(content),
            manifest.parts[name].what if name in manifest.parts else "",
        )
        for name, content in sorted(parts.items())
    }
    head = msgspec.json.format(msgspec.json.encode(msgspec.structs.replace(manifest, parts=told)), indent=2)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as file:
        for name, content in sorted({**parts, MANIFEST: head + b"\n"}.items()):
            entry = zipfile.ZipInfo(name, _MADE)
            entry.compress_type, entry.create_system, entry.external_attr = (
                zipfile.ZIP_DEFLATED,
                3,
                0o644 << 16,
            )
            file.writestr(entry, content)
    return out.getvalue()


def read(data: bytes) -> tuple[Manifest, dict[str, bytes]]:
    """Manifest and parts, each as long as the manifest says and with the SHA-256 it names; else `NotAPack`."""
    if len(data) > PACK_BYTES_MAX:
        raise NotAPack(f"it is over {PACK_BYTES_MAX >> 20} MiB, which no evidence pack is")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as file:
            return _read(file)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError, ValueError):
        raise NotAPack("it is no zip, or it was cut off or damaged on the way; get it anew") from None


def _read(file: zipfile.ZipFile) -> tuple[Manifest, dict[str, bytes]]:
    entries = file.infolist()
    names = [entry.filename for entry in entries]
    if len(entries) > PARTS_MAX or len(set(names)) != len(names):
        raise NotAPack("it has too many parts, or two of one name; no evidence pack is like that")
    odd = next((name for name in names if name != MANIFEST and not _NAME.fullmatch(name)), None)
    if odd is not None:
        raise NotAPack(f"a part is called {odd[:80]!a}, as none of an evidence pack is")
    if MANIFEST not in names:
        raise NotAPack(f"it has no {MANIFEST}, so it is no evidence pack")
    manifest = _manifest(_content(file, MANIFEST, MANIFEST_BYTES_MAX))
    missing = sorted(manifest.parts.keys() ^ (set(names) - {MANIFEST}))
    if missing:
        raise NotAPack(f"{missing[0]} is in the pack or in its manifest, and not in both")
    if sum(part.bytes for part in manifest.parts.values()) > UNPACKED_BYTES_MAX:
        raise NotAPack(f"its parts would be over {UNPACKED_BYTES_MAX >> 20} MiB")
    parts = {}
    for name, part in sorted(manifest.parts.items()):
        content = _content(file, name, part.bytes)
        if len(content) != part.bytes or hashlib.sha256(content).hexdigest() != part.sha256:
            raise NotAPack(f"{name} isn't what the manifest says: it was edited")
        parts[name] = content
    return manifest, parts


def _content(file: zipfile.ZipFile, name: str, bytes_max: int) -> bytes:
    """A part's content, one byte more than allowed at most."""
    with file.open(name) as opened:
        return opened.read(bytes_max + 1)


def _manifest(content: bytes) -> Manifest:
    try:
        known = msgspec.json.decode(content)
        told = known.get("format") if isinstance(known, dict) else None
        if told != FORMAT:
            release = known.get("release", "that made it") if isinstance(known, dict) else "that made it"
            raise NotAPack(
                f"its format is {str(told)[:40]!a}; install swept {ascii(str(release)[:40])[1:-1]}"
            )
        return msgspec.json.decode(content, type=Manifest)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise NotAPack(f"{MANIFEST} can't be read: {error}") from None
