"""A PDF to be filed: front page with verdicts and map, the table, units, excuses, and what the figures rest on.

Front and back are upright; the table lies across where it is wide. The same document gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Sequence

from reports import shown, words
from reports.colours import BY_VERDICT
from reports.columns import COLUMNS
from reports.document import VERDICTS, Document
from reports.files import ReportError
from reports.map_drawing import draw_map
from reports.paper import GREY, INK, MARGIN_MM, RED, RULE, Paper, PaperColumn
from reports.shown import plain

_SIZE = 7.5
_SIGNATURE_MM = 30.0
_DIGESTS_LARGE_MAX = 31


def render(document: Document) -> bytes:
    """The file's bytes; `ReportError` where the table is too wide."""
    foot = f"{words.title(document)}  ·  {words.period(document)}"
    with Paper(document.language, plain(foot)) as paper:
        paper.set_title(words.title(document))
        paper.set_lang("zh-CN" if document.language == "zh" else "en")
        paper.set_creation_date(document.made_at)
        paper.turn("portrait")
        _front(paper, document)
        _figures(paper, document)
        paper.turn("portrait")
        _units(paper, document)
        _excuses(paper, document)
        _definitions(paper, document)
        _versions(paper, document)
        _digests(paper, document)
        _notes_on_letters(paper)
        return bytes(paper.output())


def _front(paper: Paper, document: Document) -> None:
    """Title, what the report is of, verdicts, map."""
    paper.y += 2
    paper.paragraph(words.title(document), 20, "B")
    paper.y += 1
    if document.synthetic:
        _warning(paper, words.say("synthetic", document.language))
    paper.y += 1.5
    for label, value in shown.facts(document):
        top = paper.y
        paper.line_of(label, MARGIN_MM, top + 3.15, 8.5, colour=GREY)
        paper.paragraph(value, x=MARGIN_MM + 30)
        paper.y = max(paper.y, top + 4.6)
    _verdicts(paper, document)
    coloured = "map_by_verdict" if document.days == 1 else "map_by_compliance"
    # The map takes what is left of the page, or the next one where notes have left too little.
    paper.section(words.say(coloured, document.language), 100 + _SIGNATURE_MM)
    draw_map(paper, document.streets, paper.bottom - _SIGNATURE_MM - paper.y)
    _signature(paper)


def _warning(paper: Paper, text: str) -> None:
    paper.y += 1
    top = paper.y
    paper.y += 1.2
    paper.paragraph(text, 9, "B", RED, x=MARGIN_MM + 3, width=paper.width - 6)
    paper.y += 1.4
    paper.set_draw_color(*RED)
    paper.set_line_width(0.4)
    paper.rect(MARGIN_MM, top, paper.width, paper.y - top)
    paper.y += 1


def _verdicts(paper: Paper, document: Document) -> None:
    """The share of each verdict as a bar, in words below it, and what has none."""
    language = document.language
    paper.section(words.say("summary", language))
    shares = [(verdict, document.verdict_percent.get(verdict, 0.0)) for verdict in VERDICTS]
    total = sum(share for _, share in shares)
    if total > 0:
        _bar(paper, shares, total)
        _bar_legend(paper, shares, language)
        closed = document.street_days - document.open_days
        paper.paragraph(words.say("of_closed", language).format(f"{closed:,}"), 8, colour=GREY)
    else:
        paper.paragraph(words.say("no_verdicts", language))
    if document.open_days:
        paper.paragraph(words.say("open_days", language).format(f"{document.open_days:,}"), 8, colour=GREY)
    for note in document.notes:
        paper.paragraph(note)


def _bar(paper: Paper, shares: Sequence[tuple[str, float]], total: float) -> None:
    x = MARGIN_MM
    for verdict, share in shares:
        width = paper.width * share / total
        paper.set_fill_color(*BY_VERDICT[verdict].rgb)
        if width > 0:
            paper.rect(x, paper.y, width, 6.5, style="F")
        x += width
    paper.y += 8.5


def _bar_legend(paper: Paper, shares: Sequence[tuple[str, float]], language: str) -> None:
    x, step = MARGIN_MM, paper.width / len(shares)
    for verdict, share in shares:
        paper.set_fill_color(*BY_VERDICT[verdict].rgb)
        paper.rect(x, paper.y, 2.6, 9.2, style="F")
        paper.line_of(words.say(verdict, language), x + 4, paper.y + 3, 8, colour=GREY)
        paper.line_of(f"{share:g} %", x + 4, paper.y + 8.8, 13, "B")
        x += step
    paper.y += 12


def _figures(paper: Paper, document: Document) -> None:
    """The table, on pages of its own that lie across where it is too wide to stand."""
    columns = [
        PaperColumn(
            column.heading(document.language),
            right=column.kind in shown.NUMERIC,
            breaks=column.kind in {"text", "times"},
        )
        for column in document.columns
    ]
    rows = []
    for row in document.rows:
        day = shown.row_day(row, document.columns, document)
        rows.append(
            [
                shown.cell(value, column, document, day)
                for value, column in zip(row, document.columns, strict=True)
            ]
        )
    if document.totals is not None:
        total = [
            shown.cell(value, column, document)
            for value, column in zip(document.totals, document.columns, strict=True)
        ]
        total[0] = total[0] or words.say("totals", document.language)
        rows.append(total)
    likes, _ = paper.widths_of(columns, rows[:500], _SIZE)
    paper.turn("landscape" if sum(likes) > paper.width else "portrait")
    paper.section(words.say("table", document.language).format(words.grouped(document)))
    if not document.rows:
        paper.paragraph(words.say("no_rows", document.language))
        return
    size = paper.size_of(columns, rows, _SIZE)
    if size is None:
        raise ReportError(f"{len(columns)} columns are too wide for paper; ask for fewer or write .xlsx")
    paper.grid(columns, rows, size, bold_last=document.totals is not None)
    if paper.is_cut:
        paper.paragraph(words.say("cut", document.language), 8, colour=GREY)


def _units(paper: Paper, document: Document) -> None:
    language = document.language
    paper.section(words.say("units", language))
    if not document.units:
        paper.paragraph(words.say("no_units", language))
        return
    columns = [
        COLUMNS[key] for key in ("unit_id", "unit", "driven_km", "working_km", "work_share", "working_hours")
    ]
    rows = [
        (unit.unit_id, unit.name, unit.driven_km, unit.working_km, unit.work_share, unit.working_hours)
        for unit in document.units
    ]
    paper.grid(
        [
            PaperColumn(
                column.heading(language), right=column.kind in shown.NUMERIC, breaks=column.kind == "text"
            )
            for column in columns
        ],
        [
            [shown.cell(value, column, document) for value, column in zip(row, columns, strict=True)]
            for row in rows
        ],
        _SIZE,
    )


def _excuses(paper: Paper, document: Document) -> None:
    language = document.language
    paper.section(words.say("excuses", language))
    if not document.excuses:
        paper.paragraph(words.say("no_excuses", language))
        return
    paper.paragraph(words.say("excuses_say", language), 8, colour=GREY)
    paper.y += 1
    headings = [words.say(word, language) for word in ("street", "days", "kind", "reason", "author")]
    rows = []
    for note in document.excuses:
        days = str(note.first_day)
        if note.last_day != note.first_day:
            days += f" {words.say('to', language)} {note.last_day}"
        street = plain(f"{note.street} {note.street_id}")
        rows.append([street, days, words.say(note.kind, language), plain(note.reason), plain(note.author)])
    paper.grid([PaperColumn(heading, breaks=True) for heading in headings], rows, _SIZE)


def _definitions(paper: Paper, document: Document) -> None:
    language = document.language
    paper.section(words.say("definitions", language))
    paper.paragraph(words.sections(document), 7, colour=GREY)
    paper.y += 1
    for term in document.definitions:
        meaning = term.meaning(language)
        lines = len(paper.fitting(meaning, paper.width - 38, 8, ""))
        paper.room(lines * 3.9 + 1.2)
        top = paper.y
        paper.paragraph(term.name(language), 8, "B", x=MARGIN_MM, width=36)
        below, paper.y = paper.y, top
        paper.paragraph(meaning, 8, x=MARGIN_MM + 38)
        paper.y = max(paper.y, below) + 1.2


def _versions(paper: Paper, document: Document) -> None:
    language = document.language
    paper.section(words.say("versions", language))
    kinds = (("rule_version", document.rule_versions), ("map_version", document.map_versions))
    rows = [
        [words.say(kind, language), version.version, shown.used(version, language)]
        for kind, versions in kinds
        for version in versions
    ]
    if not rows:
        paper.paragraph(words.say("no_versions", language))
        return
    headings = ("", words.say("version", language), words.say("days_made", language))
    paper.grid([PaperColumn(heading, breaks=True) for heading in headings], rows, _SIZE)


def _digests(paper: Paper, document: Document) -> None:
    """Each service day's digest in groups of eight digits, which a person can compare; two days side by side."""
    language = document.language
    paper.section(words.say("digests", language))
    paper.paragraph(words.say("digests_say", language), 8, colour=GREY)
    if document.public_key:
        paper.paragraph(f"{words.say('public_key', language)}  {_grouped(document.public_key)}", 8)
    paper.y += 1
    if not document.digests:
        paper.paragraph(words.say("not_closed", language))
    # A month of them can be large; a year has two side by side.
    across = 1 if len(document.digests) <= _DIGESTS_LARGE_MAX else 2
    step, size = paper.width / across, 8.0 if across == 1 else 6.5
    leading, date_mm = size * 0.54, size * 2.2
    for number, day in enumerate(document.digests):
        if number % across == 0:
            paper.room(leading)
        x, y = MARGIN_MM + step * (number % across), paper.y + leading * 0.8
        paper.line_of(day.service_day.isoformat(), x, y, size, colour=GREY)
        text = _grouped(day.digest) or words.say("not_closed", language)
        paper.line_of(text, x + date_mm, y, size - 1, colour=INK if day.digest else GREY)
        if number % across == across - 1 or number == len(document.digests) - 1:
            paper.y += leading


def _grouped(digest: str) -> str:
    return " ".join(digest[start : start + 8] for start in range(0, len(digest), 8))


def _notes_on_letters(paper: Paper) -> None:
    if paper.missing:
        codes = ", ".join(f"U+{ord(letter):04X}" for letter in sorted(paper.missing)[:40])
        paper.y += 3
        paper.paragraph(words.say("missing_letters", paper.language).format(codes), 8, colour=GREY)


def _signature(paper: Paper) -> None:
    """At the foot of the page, a place for the seal of who files, who made and who checked it, and the date."""
    shares = (("filed_by", 0.34), ("made_by", 0.22), ("checked_by", 0.22), ("date", 0.22))
    x, top = MARGIN_MM, paper.bottom - _SIGNATURE_MM + 4
    paper.set_draw_color(*RULE)
    paper.set_line_width(0.2)
    for word, share in shares:
        width = paper.width * share
        paper.rect(x, top, width, _SIGNATURE_MM - 5)
        paper.line_of(words.say(word, paper.language), x + 2, top + 4.5, 7.5, colour=GREY)
        x += width
