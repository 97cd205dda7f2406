"""The columns that reports are made of: a key for programs, its kind, and the headings for people."""

from __future__ import annotations

from reports.document import Column

_ALL = (
    # What a row is of.
    Column("street_id", "text", "街道编号", "Street ID"),
    Column("street", "text", "街道", "Street"),
    Column("grade", "int", "等级", "Grade"),
    Column("subdistrict", "text", "所属街道办", "Subdistrict"),
    Column("contractor", "text", "作业单位", "Contractor"),
    Column("district", "text", "辖区", "District"),
    Column("service_day", "date", "作业日", "Service day"),
    Column("week", "text", "周", "Week"),
    Column("month", "text", "月", "Month"),
    Column("period", "text", "时段", "Period"),
    Column("first_day", "date", "起", "From"),
    Column("last_day", "date", "止", "To"),
    Column("shift", "text", "班次", "Shift"),
    Column("work", "work", "作业类型", "Work"),
    # What was found.
    Column("streets", "int", "街道数", "Streets"),
    Column("days", "int", "天数", "Days"),
    Column("street_days", "int", "街道·日", "Street-days"),
    Column("required", "int", "应扫次数", "Required"),
    Column("frequency", "int", "保洁频次", "Frequency"),
    Column("frequency_certain", "int", "确定频次", "Frequency, certain"),
    Column("frequency_mean", "number", "日均频次", "Frequency a day"),
    Column("cleanings", "int", "完成次数", "Cleanings"),
    Column("cleanings_certain", "int", "确定次数", "Cleanings, certain"),
    Column("shortfall", "int", "欠次", "Shortfall"),
    Column("compliant", "int", "达标", "Compliant"),
    Column("compliance", "share", "达标率", "Compliance"),
    Column("coverage", "share", "覆盖率", "Coverage"),
    Column("coverage_certain", "share", "确定覆盖率", "Coverage, certain"),
    Column("length_m", "metres", "长度（米）", "Length (m)"),
    Column("swept_m", "metres", "清扫长度（米）", "Swept (m)"),
    Column("length_km", "km", "长度（公里）", "Length (km)"),
    Column("swept_km", "km", "清扫里程（公里）", "Swept (km)"),
    Column("passes", "int", "通过次数", "Passes"),
    Column("cleaned_at", "times", "清扫时刻", "Cleaned at"),
    Column("last_cleaned_at", "time", "末次清扫", "Last cleaned"),
    Column("longest_without_h", "hours", "最长未扫间隔（小时）", "Longest time without (h)"),
    Column("verdict", "verdict", "判定", "Verdict"),
    Column("swept", "int", "已清扫", "Swept"),
    Column("ambiguous", "int", "存疑", "Ambiguous"),
    Column("no_data", "int", "无数据", "No data"),
    Column("partial", "int", "部分清扫", "Partial"),
    Column("not_swept", "int", "未清扫", "Not swept"),
    Column("open", "int", "未结", "Open"),
    Column("swept_percent", "percent", "已清扫 %", "Swept %"),
    Column("ambiguous_percent", "percent", "存疑 %", "Ambiguous %"),
    Column("no_data_percent", "percent", "无数据 %", "No data %"),
    Column("partial_percent", "percent", "部分清扫 %", "Partial %"),
    Column("not_swept_percent", "percent", "未清扫 %", "Not swept %"),
    Column("excused", "int", "有免责事由", "Excused"),
    Column("excuses", "text", "免责事由", "Excuses"),
    # Of a unit.
    Column("unit_id", "text", "单元编号", "Unit ID"),
    Column("unit", "text", "作业单元", "Unit"),
    Column("driven_km", "km", "行驶里程（公里）", "Driven (km)"),
    Column("working_km", "km", "作业里程（公里）", "Working (km)"),
    Column("work_share", "share", "作业里程占比", "Share of work"),
    Column("working_hours", "hours", "作业时长（小时）", "Working (h)"),
)

COLUMNS = {column.key: column for column in _ALL}
