"""The terms that a report uses, each in a sentence or two; docs/DEFINITIONS.md has them whole."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Term:
    """A term with its name and meaning in both languages, and the section of the definitions it is from."""

    section: str
    name_zh: str
    name_en: str
    zh: str
    en: str

    def name(self, language: str) -> str:
        """The term's name in a language."""
        return self.name_zh if language == "zh" else self.name_en

    def meaning(self, language: str) -> str:
        """What the term means, in a language."""
        return self.zh if language == "zh" else self.en


_FIGURES = "From passes to figures"

TERMS = (
    Term(
        _FIGURES,
        "作业日",
        "Service day",
        "自当地固定时刻起的一天；夏令时切换之日为23或25小时。一次通过整体计入其开始的作业日和班次。",
        "A day from a fixed local time of day; 23 or 25 hours long where the clock is changed. A pass belongs "
        "as a whole to the day and the shift in which it starts.",
    ),
    Term(
        "When a unit is working",
        "作业状态",
        "Working",
        "作业设备开启，且速度在作业范围内（一般高于0.5、不超过20公里/小时）。静止不计清扫；状态未知的里程记为未观测。",
        "The equipment of the work is on and the speed is that of work (by default above 0.5 and at most 20 "
        "km/h). Standing sweeps nothing; metres driven in an unknown state are unobserved.",
    ),
    Term(
        "From fixes to passes",
        "通过",
        "Pass",
        "一台作业单元沿一条街道的一次不间断行驶。驶离街道、掉头或数据中断即告结束。未清扫任何长度的通过只作记录，不计次。",
        "One unit's unbroken run along one street. It ends when the unit leaves, turns round, or its data break "
        "off. A pass that sweeps nothing is recorded and not counted.",
    ),
    Term(
        _FIGURES,
        "覆盖率",
        "Coverage",
        "当日至少清扫过一次的长度占街道长度的比例；不超过10米的空隙予以闭合，闭合总长不超过街道长度的10%。",
        "The share of a street's length that was swept at least once on the day. Gaps of up to 10 m are closed, "
        "as long as they add up to at most 10 % of the length.",
    ),
    Term(
        _FIGURES,
        "保洁频次",
        "Cleaning frequency",
        "街道至少90%的长度都被清扫过的最多次数。同一位置30分钟内的多次清扫只计一次，因此两车并行或在断头路往返只算一次。",
        "The largest number of times that at least 90 % of the length was swept. Sweeps of one place within 30 "
        "minutes count once, so two machines in tandem, or there and back in a dead end, are one cleaning.",
    ),
    Term(
        _FIGURES,
        "双侧街道",
        "Sides",
        "两侧分别计算。街道的频次取较低一侧，覆盖率取两侧平均。",
        "The two sides are counted apart. The street's frequency is the lower one, its coverage the mean.",
    ),
    Term(
        _FIGURES,
        "达标率、欠次",
        "Compliance, shortfall",
        "达标率为已结日中频次达到要求的街道·日所占比例；欠次为各日未达到的应扫次数之和，超出部分不抵扣。",
        "Compliance is the share of the street-days of closed days whose frequency meets the requirement. "
        "Shortfall adds up what each day lacks; what another day has beyond its requirement doesn't make up for it.",
    ),
    Term(
        "The verdict",
        "判定：已清扫",
        "Verdict: swept",
        "剔除存疑通过后，频次仍达到当日要求。",
        "The frequency meets the day's requirement, even without ambiguous passes.",
    ),
    Term(
        "The verdict",
        "判定：存疑",
        "Verdict: ambiguous",
        "计入存疑通过才达到要求；存疑通过是指两条街道几乎同样可以解释的通过。",
        "The requirement is met only with passes that another street explains about equally well.",
    ),
    Term(
        "The verdict",
        "判定：无数据",
        "Verdict: no data",
        "未达到要求，但某台应出勤的作业单元有足够长的数据空缺，可能已完成作业而未被观测到。",
        "It falls short, and an expected unit has a gap in its data in which the work could have been done "
        "unseen.",
    ),
    Term(
        "The verdict",
        "判定：部分清扫、未清扫",
        "Verdict: partial, not swept",
        "未达到要求且不属于无数据：有清扫为部分清扫，完全没有为未清扫。",
        "It falls short and isn't 'no data': partial where something was swept, not swept where nothing was.",
    ),
    Term(
        "The verdict",
        "免责事由",
        "Excuse",
        "道路施工、停放车辆、降雨、霜冻等情况，连同原因和登记人列于判定之旁，不改变任何实测数字。",
        "Road works, parked cars, rain or frost, shown with reason and author beside the verdict. It changes no "
        "measured figure.",
    ),
    Term(
        "Provisional, settled, restated",
        "重述",
        "Restated",
        "迟到的数据、更正的地图或规则会产生新版本的数字；旧版本连同原因予以保留，可按任意时点查询。",
        "Late data or a corrected map or rule make a new version of a figure. The old one is kept with the "
        "cause, and a report can be made as of any moment.",
    ),
)
