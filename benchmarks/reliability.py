"""Draw how often passes are right by what they say of their certainty.

    python benchmarks/reliability.py PASSES.json [--out docs]

PASSES.json is written by `benchmarks/accuracy.py --json`. Passes go into tenths by their certainty; in each the
share that is right is held against the mean of what was said. Prints the table in Markdown.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import matplotlib as mpl

mpl.use("svg")

import matplotlib.pyplot as plt
import numpy as np
from numpy.typing import NDArray

from processing.rules import Rules

TENTHS = 10
COLOUR, INK = "#2f6f73", "#3c4043"
#: What a tenth may be off, and what is called certain.
OFF_MAX, CERTAIN = 0.03, 0.95


def tenths(said: NDArray[np.float64], right: NDArray[np.bool_]) -> list[tuple[int, float, float, float]]:
    """For each tenth that has passes: (how many, mean said, share right, standard error of that)."""
    which = np.minimum((said * TENTHS).astype(np.int64), TENTHS - 1)
    rows = []
    for tenth in range(TENTHS):
        own = which == tenth
        n = int(own.sum())
        if n:
            share = float(right[own].mean())
            rows.append((n, float(said[own].mean()), share, float(np.sqrt(share * (1 - share) / n))))
    return rows


def draw(rows: list[tuple[int, float, float, float]], path: Path) -> None:
    """The diagram, with two standard errors, and the band in which a tenth is well told."""
    figure, axes = plt.subplots(figsize=(5.2, 4.6))
    ends = np.array([0.0, 1.0])
    axes.fill_between(ends, ends - OFF_MAX, ends + OFF_MAX, color="#e4efef", lw=0)
    axes.plot(ends, ends, color="#9aa0a6", lw=1)
    _, said, right, error = zip(*rows, strict=True)
    axes.errorbar(said, right, 2.0 * np.array(error), fmt="o", color=COLOUR, ms=5, lw=1.2, capsize=2)
    for n, x, y, _ in rows:
        below = x > 0.5
        axes.annotate(
            f"{n:,}",
            (x, y),
            (6, -12) if below else (6, 6),
            textcoords="offset points",
            fontsize=8,
            color=INK,
        )
    axes.set_xlabel("certainty that the pass states (mean of each tenth)")
    axes.set_ylabel("share of these passes that is right")
    axes.set_xlim(0, 1.06)
    axes.set_ylim(0, 1.06)
    axes.set_aspect("equal")
    axes.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})


def main() -> None:
    """Read, print and draw."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("passes", type=Path, nargs="+", help="what accuracy.py --json wrote")
    parser.add_argument("--out", type=Path, default=Path("docs"))
    args = parser.parse_args()
    mpl.rcParams["svg.hashsalt"] = "swept"
    results = [row for path in args.passes for row in json.loads(path.read_text())]
    passes = [one for row in results for one in row["passes"]]
    said = np.array([one["certainty"] for one in passes])
    right = np.array([one["right"] for one in passes], dtype=np.bool_)
    rows = tenths(said, right)
    print("| said | passes | mean said | right | standard error |")
    print("|---|---|---|---|---|")
    for n, mean_said, share, error in rows:
        print(
            f"| {int(mean_said * TENTHS) / TENTHS:.1f} | {n:,} | {mean_said:.3f} | {share:.3f} | {error:.3f} |"
        )
    print()
    print("| noise, interval | passes | 0.95 or more | of these right | not ambiguous | of these right |")
    print("|---|---|---|---|---|---|")
    for key in sorted({(row["sigma_m"], row["every_s"]) for row in results}):
        own = [one for row in results if (row["sigma_m"], row["every_s"]) == key for one in row["passes"]]
        cells = [f"{key[0]:.0f} m, {key[1]:.0f} s", f"{len(own):,}"]
        for least in (CERTAIN, Rules().certainty_min):
            sure = [one["right"] for one in own if one["certainty"] >= least]
            cells += [f"{len(sure) / len(own):.4f}", f"{np.mean(sure):.4f}"]
        print("| " + " | ".join(cells) + " |")
    draw(rows, args.out / "matching-reliability.svg")


if __name__ == "__main__":
    main()
