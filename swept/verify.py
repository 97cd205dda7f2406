"""`swept verify`: is an evidence pack what it says? Needs no store, only the pack."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from swept.errors import UserError, on_disk

if TYPE_CHECKING:
    from evidence.verify import Outside

DIGESTS_BYTES_MAX = 64 << 20


def verify(
    pack: Annotated[Path, typer.Argument(help="The zip that swept evidence wrote.")],
    digest: Annotated[
        list[str] | None,
        typer.Option(help="Digest of a day, 64 hexadecimal digits, from a report or MQTT; may be repeated."),
    ] = None,
    digests: Annotated[
        Path | None,
        typer.Option(help="File of digests: the messages of swept/v1/DISTRICT/digest, one a line."),
    ] = None,
    key: Annotated[
        str | None, typer.Option(help="The district's public key: hexadecimal digits, or a file in PEM.")
    ] = None,
) -> int:
    """Check a pack and compute its figures once more from the raw records.

    [bold]swept verify swept-ZQ-S01-2026-06-01.zip --digest 5f0c...[/bold]

    Prints equal, or the first difference: which part, which row, what is in the pack and what is recomputed. The
    status is 0 or 1. Without a digest from outside the pack it can only say that the pack is consistent: whoever
    has the store could have made all of it anew. Figures that another release made are checked by that release.
    """
    from evidence.pack import PACK_BYTES_MAX
    from evidence.verify import Differs, NotAPack, OtherRelease
    from evidence.verify import verify as check
    from swept.versions import release

    outside = _outside(digest or [], digests, key)
    with on_disk(pack, "name the zip that swept evidence wrote"), pack.open("rb") as file:
        data = file.read(PACK_BYTES_MAX + 1)
    try:
        found = check(data, release(), outside)
    except NotAPack as error:
        print(f"not verified: {error}")
        return 1
    except Differs as error:
        print(f"differs: {error}")
        return 1
    except OtherRelease as error:
        print(f"not verified: {error}")
        return 1
    print(f"equal: {found.said}")
    print(found.anchor)
    for note in found.notes:
        print(f"  {note}")
    return 0


def _outside(given: list[str], digests: Path | None, key: str | None) -> Outside:
    from evidence.verify import Outside

    any_day = frozenset(_digest(one, "--digest") for one in given)
    by_day = {} if digests is None else _by_day(digests)
    return Outside(any_day, by_day, None if key is None else _key(key))


def _digest(text: object, where: str) -> bytes:
    try:
        found = bytes.fromhex(str(text).strip())
    except ValueError:
        found = b""
    if len(found) != 32:
        raise UserError(f"{where} {str(text)[:80]!a} is no digest; give all of its 64 hexadecimal digits.")
    return found


def _by_day(path: Path) -> dict[str, bytes]:
    with on_disk(path, "name a file of digests"):
        if path.stat().st_size > DIGESTS_BYTES_MAX:
            raise UserError(f"{path} is over {DIGESTS_BYTES_MAX >> 20} MiB; name a file of digests.")
        lines = path.read_bytes().splitlines()
    found = {}
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            told = json.loads(line)
            day, digest = str(told["day"]), told["digest"]
        except (ValueError, KeyError, TypeError, RecursionError):
            raise UserError(f'{path}:{number} has no "day" and "digest"; put one message a line.') from None
        found[day] = _digest(digest, f"{path}:{number}")
    return found


def _key(text: str) -> bytes:
    from evidence.signing import NotAKey, public_key_of

    content = text.encode()
    if len(text) != 64:
        with on_disk(Path(text), "give the public key's 64 hexadecimal digits, or a file in PEM"):
            content = Path(text).read_bytes()
    try:
        return public_key_of(content)
    except NotAKey as error:
        raise UserError(f"--key {text}: {error}.") from None
