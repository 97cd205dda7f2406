"""What benchmarks/match.py found, as a table in Markdown and as a plot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl

mpl.use("svg")

from matplotlib import pyplot as plt

COLOURS = {"swept": "#2f6f73", "fastmm": "#b08a4a", "fastmm, tuned": "#d9b77c", "STRtree snap": "#9aa0a6"}
INK = "#3c4043"


@dataclass(frozen=True, slots=True)
class Row:
    """One matcher on one set of tracks: seconds, and counts of fixes."""

    name: str
    seconds: float
    fixes: int
    judged: int
    wrong: int
    nowhere: int

    @property
    def per_second(self) -> float:
        """Fixes given over seconds taken."""
        return self.fixes / self.seconds

    @property
    def wrong_share(self) -> float:
        """Of the fixes that are far enough from a junction."""
        return self.wrong / self.judged

    def as_json(self) -> dict[str, float | str]:
        """What a reader of the last line wants."""
        shares = {"wrong": round(self.wrong_share, 5), "nowhere": round(self.nowhere / self.judged, 5)}
        return {"name": self.name, "fixes": self.fixes, "fixes_per_second": round(self.per_second), **shares}


@dataclass(frozen=True, slots=True)
class Growth:
    """Microseconds a fix in the district and in the town, and what each took to build."""

    few_us: float
    many_us: float
    few: Mapping[str, float]
    many: Mapping[str, float]


def markdown(
    tables: Mapping[str, Sequence[Row]],
    grown: Growth | str,
    calls: Mapping[str, Mapping[str, float]],
    seed: int,
    repeats: int,
) -> str:
    """All of it as text."""
    lines = [
        f"A simulated shift of 12 units (seed {seed}), whole tracks, one core, medians of {repeats} repeats in turns.",
        "Speed counts the fixes given. Of the fixes more than 10 m from a junction *wrong* are those on an edge",
        "that isn't the true one, *nowhere* those on no edge.",
        "",
        "| noise, interval | matcher | fixes a second | swept is faster | wrong | nowhere | swept's share of wrong |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, rows in tables.items():
        own = rows[0]
        for row in rows:
            # Whoever starts from reports is compared with swept that does so too.
            like = next((r for r in rows if r.name == "swept, from reports"), own)
            beside = like if "from reports" in row.name else own
            share = f"{beside.wrong / row.wrong:.2f}" if row.wrong else ""
            lines.append(
                f"| {name} | {row.name} | {row.per_second:,.0f} | {row.seconds / beside.seconds:.2f} x "
                f"| {row.wrong_share:.3%} | {row.nowhere / row.judged:.3%} | {share} |"
            )
    return "\n".join([*lines, "", *_growth(grown), "", *_calls(calls), ""])


def _growth(grown: Growth | str) -> list[str]:
    if isinstance(grown, str):
        return [f"Growth: {grown}"]
    few, many = grown.few, grown.many
    rows = [
        ("streets", "", few["streets"], many["streets"]),
        ("junctions and ends", "", few["nodes"], many["nodes"]),
        ("one fix", "us", grown.few_us, grown.many_us),
        ("table of routes", "MB", few["route_bytes"] / 1e6, many["route_bytes"] / 1e6),
        ("network", "MB", few["network_bytes"] / 1e6, many["network_bytes"] / 1e6),
        ("building both", "s", few["build_s"], many["build_s"]),
        ("peak memory, of the process before", "MB", few["before_bytes"] / 1e6, many["before_bytes"] / 1e6),
        ("peak memory, built and matched", "MB", few["peak_bytes"] / 1e6, many["peak_bytes"] / 1e6),
    ]
    return [
        "| the map | unit | one district | the town | ratio |",
        "|---|---|---|---|---|",
        *(f"| {name} | {unit} | {a:,.4g} | {b:,.4g} | {b / a:.2f} |" for name, unit, a, b in rows),
    ]


def _calls(calls: Mapping[str, Mapping[str, float]]) -> list[str]:
    return [
        "| a new process, seconds | until it is ready | first match | first passes and street-days |",
        "|---|---|---|---|",
        *(
            f"| {'without' if state == 'cold' else 'with'} compiled kernels | {one['start_s']:.2f} "
            f"| {one['match_s']:.2f} | {one['passes_s']:.2f} |"
            for state, one in calls.items()
        ),
    ]


def plot(tables: Mapping[str, Sequence[Row]], path: Path) -> None:
    """Speed and wrongly placed fixes of swept and its peers, side by side."""
    mpl.rcParams.update({"svg.hashsalt": "swept", "font.size": 10, "text.color": INK, "axes.labelcolor": INK})
    figure, (left, right) = plt.subplots(1, 2, figsize=(9.0, 3.6), sharey=True, layout="constrained")
    height = 0.8 / len(COLOURS)
    for i, (matcher, colour) in enumerate(COLOURS.items()):
        rows = [next(row for row in table if row.name == matcher) for table in tables.values()]
        places = [at + (i - (len(COLOURS) - 1) / 2) * height for at in range(len(rows))]
        speeds, shares = [row.per_second / 1e6 for row in rows], [100 * row.wrong_share for row in rows]
        for axes, values, text in ((left, speeds, "{:.2f}"), (right, shares, "{:.2f}")):
            bars = axes.barh(places, values, 0.9 * height, color=colour, label=matcher)
            axes.bar_label(bars, [text.format(value) for value in values], padding=3, fontsize=8, color=INK)
    left.set_yticks(range(len(tables)), list(tables))
    left.set_ylabel("noise, interval of fixes")
    left.invert_yaxis()
    left.set_xlabel("million fixes a second, one core")
    right.set_xlabel("fixes on a wrong edge, %")
    for axes in (left, right):
        axes.margins(x=0.14)
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(colors=INK)
    figure.legend(
        *left.get_legend_handles_labels(), loc="outside upper center", ncols=len(COLOURS), frameon=False
    )
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)
