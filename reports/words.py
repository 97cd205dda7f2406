"""The fixed words of a report, in Chinese and English."""

from __future__ import annotations

from reports.document import Document

_WORDS = {
    "title": ("街道清扫保洁报告", "Street cleaning report"),
    "synthetic": (
        "模拟数据：本辖区及其街道系虚构，本报告不反映任何真实作业。",
        "Synthetic: this district and its streets are made up. The report says nothing about real work.",
    ),
    "district_label": ("辖区", "District"),
    "period_label": ("统计时段", "Period"),
    "grouped": ("统计口径", "Grouped by"),
    "scope": ("范围", "Narrowed to"),
    "as_of": ("数据截至", "As of"),
    "as_of_now": ("生成之时", "the time it was made"),
    "made_at": ("生成时间", "Made at"),
    "timezone": ("时区", "Time zone"),
    "day_start": ("作业日始于", "service day from"),
    "rule_version": ("规则版本", "Rule version"),
    "map_version": ("地图版本", "Map version"),
    "days_made": ("作业日", "Service days"),
    "to": ("至", "to"),
    "map_by_verdict": ("街道分布图：当日判定", "Map: the verdict of the day"),
    "map_by_compliance": ("街道分布图：时段达标率", "Map: compliance over the period"),
    "count": ("{}（{}条）", "{} ({})"),
    "no_map": ("本报告没有可绘制的街道。", "There is no street to draw."),
    "summary": ("总体判定", "Verdicts"),
    "of_closed": ("100 % = {} 个已结街道·日", "100 % = {} street-days of closed days"),
    "open_days": (
        "另有 {} 个街道·日尚未结日，不作判定。",
        "{} more street-days aren't closed yet and have no verdict.",
    ),
    "no_verdicts": (
        "时段内尚无已结的街道·日，不作判定。",
        "No street-day of the period is closed yet: no verdicts.",
    ),
    "table": ("统计表：{}", "Figures {}"),
    "no_rows": ("时段内没有记录。", "There is nothing in this period."),
    "totals": ("合计", "Total"),
    "units": ("作业单元", "Units"),
    "excuses": ("免责事由", "Excuses"),
    "excuses_say": (
        "免责事由列于实测数字之旁，不改变任何数字。",
        "Excuses stand beside the measured figures and change none of them.",
    ),
    "no_excuses": ("时段内无登记的免责事由。", "No excuses were entered for this period."),
    "no_units": ("时段内没有作业单元的记录。", "No unit drove in this period."),
    "definitions": ("术语定义", "Definitions used"),
    "definitions_say": ("摘要自 docs/DEFINITIONS.md，章节：{}。", "In short, from docs/DEFINITIONS.md: {}."),
    "versions": ("规则与地图版本", "Rule and map versions"),
    "version": ("版本", "Version"),
    "no_versions": ("尚未计算任何数字。", "No figures were computed."),
    "digests": ("作业日签名摘要", "Signed digests of the service days"),
    "digests_say": (
        "原始记录链的SHA-256摘要，经ed25519签名；用 swept verify 可与证据包核对。",
        "SHA-256 over the chained raw records, signed with ed25519; swept verify checks an evidence pack against it.",
    ),
    "public_key": ("公钥", "Public key"),
    "not_closed": ("尚未结日", "not closed yet"),
    "filed_by": ("填报单位（盖章）", "Filed by (seal)"),
    "made_by": ("填报人（签字）", "Prepared by (signature)"),
    "checked_by": ("审核人（签字）", "Checked by (signature)"),
    "date": ("日期", "Date"),
    "page": ("第 {} 页 共 {} 页", "Page {} of {}"),
    "north": ("北", "N"),
    "street": ("街道", "Street"),
    "street_id": ("街道编号", "Street ID"),
    "days": ("日期", "Days"),
    "kind": ("事由", "Kind"),
    "reason": ("原因", "Reason"),
    "author": ("登记人", "Author"),
    "cover": ("封面", "Cover"),
    "data": ("数据", "Data"),
    "cut": (
        "以“…”结尾的单元格未能全部列出，完整内容见 CSV 文件。",
        "Cells that end in '…' are cut; the CSV file has them whole.",
    ),
    "missing_letters": ("〓 代替字体中没有的字：{}。", "〓 stands for letters that the font lacks: {}."),
    "each day": ("按日", "by day"),
    "each week": ("按周", "by week"),
    "each month": ("按月", "by month"),
    "each period": ("全时段", "the whole period"),
    "by street": ("按街道", "by street"),
    "by grade": ("按等级", "by grade"),
    "by subdistrict": ("按街道办", "by subdistrict"),
    "by contractor": ("按作业单位", "by contractor"),
    "by district": ("按辖区", "by district"),
    "by shift": ("按班次", "by shift"),
    "swept": ("已清扫", "swept"),
    "ambiguous": ("存疑", "ambiguous"),
    "no data": ("无数据", "no data"),
    "partial": ("部分清扫", "partial"),
    "not swept": ("未清扫", "not swept"),
    "open": ("未结", "open"),
    "none": ("无判定", "nothing said"),
    "compliance": ("达标率", "compliance"),
    "sweeping": ("清扫", "sweeping"),
    "washing": ("冲洗", "washing"),
    "by_hand": ("人工保洁", "by hand"),
    "road works": ("道路施工", "road works"),
    "parked cars": ("停放车辆", "parked cars"),
    "rain": ("降雨", "rain"),
    "frost": ("霜冻", "frost"),
    "other": ("其他", "other"),
}


def say(word: str, language: str) -> str:
    """A word of the list in a language; one that isn't in it is shown as it is."""
    zh, en = _WORDS.get(word, (word, word))
    return zh if language == "zh" else en


def title(document: Document) -> str:
    """The report's title."""
    if document.language == "zh":
        return f"{document.district}{say('title', 'zh')}"
    return f"{say('title', 'en')}: {document.district}"


def period(document: Document) -> str:
    """The first and last service day, and how many days that are."""
    first, last, days = document.first_day, document.last_day, document.days
    if document.language == "zh":
        return f"{first}（1天）" if days == 1 else f"{first} 至 {last}（{days}天）"
    return f"{first} (1 day)" if days == 1 else f"{first} to {last} ({days} days)"


def grouped(document: Document) -> str:
    """What a row is of."""
    parts = [say(f"by {document.by}", document.language), say(f"each {document.each}", document.language)]
    return "、".join(parts) if document.language == "zh" else ", ".join(parts)


def sections(document: Document) -> str:
    """Which sections of the definitions the report's terms are from."""
    names = dict.fromkeys(term.section for term in document.definitions)
    return say("definitions_say", document.language).format("; ".join(names))
