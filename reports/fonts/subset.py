"""Makes the fonts beside this file from whole ones: `python subset.py SOURCE.ttf TARGET.ttf gbk|gb2312`.

Kept are the characters of that code, Latin, punctuation and simple symbols; hinting and what only an editor
needs goes. The same source gives the same bytes.
"""

from __future__ import annotations

import sys

from fontTools import subset  # type: ignore[import-untyped]
from fontTools.ttLib import TTFont  # type: ignore[import-untyped]

#: Latin with its accents, punctuation, currency, letter-like signs, arrows, mathematics, shapes, kana marks, full width.
_BLOCKS = ((0x20, 0x180), (0x2000, 0x2070), (0x20A0, 0x20C0), (0x2100, 0x2300), (0x25A0, 0x2600),
           (0x3000, 0x3040), (0xFF00, 0xFFF0))  # fmt: skip
_DROPPED = ("BASE", "GDEF", "GPOS", "GSUB", "STAT", "VORG", "vhea", "vmtx")


def characters(code: str) -> set[int]:
    """The code points of a double-byte code, and of the blocks that are always kept."""
    pairs = (bytes((high, low)) for high in range(0x81, 0xFF) for low in range(0x40, 0xFF))
    chinese = {ord(text) for pair in pairs if len(text := pair.decode(code, "ignore")) == 1}
    return chinese.union(*(range(*block) for block in _BLOCKS))


def main(source: str, target: str, code: str) -> None:
    """Writes the subset."""
    font = TTFont(source, recalcTimestamp=False)
    options = subset.Options(hinting=False, layout_features=[], glyph_names=False, notdef_outline=True)
    options.name_IDs = [*range(7), 13, 14]
    options.drop_tables += _DROPPED
    subsetter = subset.Subsetter(options)
    subsetter.populate(unicodes=characters(code))
    subsetter.subset(font)
    font.save(target)


if __name__ == "__main__":
    main(*sys.argv[1:])
