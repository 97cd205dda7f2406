"""Packs as files: the same bytes each time, and nothing that comes as one does any harm."""

from __future__ import annotations

import ast
import io
import sys
import zipfile
import zlib
from datetime import date
from pathlib import Path

import pytest

from evidence.pack import FORMAT, MANIFEST, UNPACKED_BYTES_MAX, Manifest, NotAPack, read, write
from evidence.signing import NotAKey, Signer, is_signed, new_key, public_key_of


def manifest(**more: object) -> Manifest:
    told: dict[str, object] = {
        "format": FORMAT, "release": "1", "rule_version": "1+2", "map_version": "m", "district_id": "d",
        "district_version": 1, "street_id": "s", "street_name": "S", "service_day": date(2024, 5, 1),
        "shift_id": "", "whole_day": False, "now_us": None, "units": [], "parts": {},
    }  # fmt: skip
    return Manifest(**(told | more))  # type: ignore[arg-type]


PARTS = {"log/records.jsonl": b"{}\n", "district/district.toml": b"x = 1\n"}


def test_the_same_parts_give_the_same_bytes_and_come_back() -> None:
    pack = write(manifest(), PARTS)
    assert pack == write(manifest(), dict(reversed(PARTS.items())))
    found, parts = read(pack)
    assert parts == PARTS
    assert found.service_day == date(2024, 5, 1)


def zipped(entries: list[tuple[str, bytes]]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in entries:
            file.writestr(name, content)
    return out.getvalue()


def entries(pack: bytes) -> list[tuple[str, bytes]]:
    with zipfile.ZipFile(io.BytesIO(pack)) as file:
        return [(name, file.read(name)) for name in file.namelist()]


@pytest.mark.parametrize("cut", [0, 1, 10, 100, -1, -30])
def test_a_pack_that_was_cut_off_is_told(cut: int) -> None:
    with pytest.raises(NotAPack, match="no zip, or it was cut off"):
        read(write(manifest(), PARTS)[:cut])


def test_any_single_byte_that_changed_is_told_or_makes_no_difference() -> None:
    pack = write(manifest(), PARTS)
    for place in range(len(pack)):
        changed = pack[:place] + bytes([pack[place] ^ 0x55]) + pack[place + 1 :]
        try:
            assert read(changed)[1] == PARTS
        except NotAPack:
            continue


@pytest.mark.parametrize(
    "name", ["../evil", "/etc/passwd", "log/../../evil", "log\\evil", "x", "log/a/b", "log/.x"]
)
def test_names_that_lead_elsewhere_are_refused(name: str) -> None:
    with pytest.raises(NotAPack, match="is called"):
        read(zipped([*entries(write(manifest(), PARTS)), (name, b"")]))


def test_a_part_too_many_or_too_few_or_edited_is_named() -> None:
    whole = entries(write(manifest(), PARTS))
    with pytest.raises(NotAPack, match=r"log/more\.jsonl is in the pack or in its manifest"):
        read(zipped([*whole, ("log/more.jsonl", b"")]))
    with pytest.raises(NotAPack, match=r"district/district\.toml is in the pack or in its manifest"):
        read(zipped([one for one in whole if one[0] != "district/district.toml"]))
    edited = [
        (name, content.replace(b"1", b"2") if name.startswith("district") else content)
        for name, content in whole
    ]
    with pytest.raises(NotAPack, match=r"district/district\.toml isn't what the manifest says"):
        read(zipped(edited))
    with pytest.raises(NotAPack, match=r"no manifest\.json"):
        read(zipped([one for one in whole if one[0] != MANIFEST]))


def test_a_part_that_unpacks_to_more_than_it_says_is_not_unpacked_further() -> None:
    whole = [one for one in entries(write(manifest(), PARTS)) if one[0] != "log/records.jsonl"]
    bomb = zipped([*whole, ("log/records.jsonl", b"\0" * (64 << 20))])
    assert len(bomb) < 1 << 20
    with pytest.raises(NotAPack, match=r"log/records\.jsonl isn't what the manifest says"):
        read(bomb)
    manifest_bomb = zipped([(MANIFEST, b" " * (64 << 20))])
    with pytest.raises(NotAPack, match=r"manifest\.json can't be read"):
        read(manifest_bomb)


def test_parts_that_say_they_are_huge_are_refused_unread() -> None:
    big = UNPACKED_BYTES_MAX // 2 + 1
    head = dict(entries(write(manifest(), PARTS)))[MANIFEST]
    for length in (6, 3):
        head = head.replace(b'"bytes": %d' % length, b'"bytes": %d' % big)
    with pytest.raises(NotAPack, match="parts would be over"):
        read(zipped([(MANIFEST, head), *PARTS.items()]))


def test_another_format_says_which_release_to_install() -> None:
    other = write(manifest(format="swept evidence 9", release="7.0.0"), PARTS)
    with pytest.raises(NotAPack, match=r"install swept 7\.0\.0"):
        read(other)


def test_text_is_no_pack() -> None:
    for data in (b"hello", b"", b"PK\3\4" + zlib.compress(b"x" * 100), b"PK\5\6" + b"\0" * 18):
        with pytest.raises(NotAPack):
            read(data)


def test_a_signature_holds_for_its_digest_and_its_key_alone() -> None:
    mine, other = Signer(new_key()), Signer(new_key())
    digest = b"\7" * 32
    signature = mine.sign(digest)
    assert is_signed(mine.public_key, signature, digest)
    assert not is_signed(mine.public_key, signature, b"\x08" * 32)
    assert not is_signed(other.public_key, signature, digest)
    assert not is_signed(b"short", signature, digest)
    assert public_key_of(mine.public_key.hex().encode()) == mine.public_key


@pytest.mark.parametrize(
    "text", [b"", b"no key", b"00" * 31, b"-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----"]
)
def test_what_is_no_key_is_told(text: bytes) -> None:
    with pytest.raises(NotAKey, match="no public key"):
        public_key_of(text)
    with pytest.raises(NotAKey, match="no private key"):
        Signer(text)


def test_who_verifies_needs_no_store_no_network_and_no_file() -> None:
    folder = Path(__file__).parents[2] / "evidence"
    allowed = {"evidence", "processing", "msgspec", "cryptography", *sys.stdlib_module_names}
    forbidden = {"os", "socket", "pathlib", "tempfile", "subprocess", "random", "time", "sqlite3"}
    pure = [path for path in sorted(folder.glob("*.py")) if path.name != "gather.py"]
    assert len(pure) > 5
    for path in pure:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        names = {
            alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names
        }
        names |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        roots = {name.split(".")[0] for name in names}
        assert roots <= allowed - forbidden, path
        assert "evidence.gather" not in names, path
        assert not any(
            isinstance(node, ast.Name) and node.id in {"open", "print"} for node in ast.walk(tree)
        ), path
