"""A comparison in rows: one a contender, one a fit, one a task; as CSV, JSON, and lines of text."""

from __future__ import annotations

import csv
import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from amtl_cvx.experiment.comparing.statistics import Interval

if TYPE_CHECKING:
    from amtl_cvx.experiment.comparing.comparison import Comparison

Row = dict[str, Any]
_GAIN = 40  # characters of a gain


def contender_rows(comparison: Comparison) -> list[Row]:
    """One row a contender: its error, its gain over the baseline with interval, who gained and lost."""
    return [_contender_row(comparison, contender) for contender in comparison.contenders]


def _contender_row(comparison: Comparison, contender: str) -> Row:
    found = comparison.of(contender)
    error = comparison.error(contender)
    row: Row = {
        "contender": contender,
        "title": comparison.titles[contender],
        "measure": comparison.measure,
        "parts": error.n,
        "error": error.mean,
        "se": error.se,
    }
    if comparison.baseline is not None:
        told = contender != comparison.baseline
        gain = comparison.gain(contender) if told else None
        gains = comparison.gains(contender) if told else None
        row |= {
            "gain": gain and gain.mean,
            "gain_low": gain and gain.low,
            "gain_high": gain and gain.high,
            "p": gain and gain.p,
            "better": comparison.better(contender) if told else None,
            "gained": gains and gains.gained,
            "lost": gains and gains.lost,
            "clearly_gained": gains and gains.clearly_gained,
            "clearly_lost": gains and gains.clearly_lost,
        }
        test = comparison.mcnemar(contender) if told else None
        row |= {"mcnemar_first": test and test.first, "mcnemar_second": test and test.second}
        row["mcnemar_p"] = test and test.p
    edges = [each.learned.edges for each in found if each.learned.edges is not None]
    row |= {
        "certificates": certificate_words(comparison, contender),
        "edges": sum(edges) / len(edges) if edges and any(edges) else None,
        "tuning_seconds": sum(each.learned.seconds["tuning"] for each in found),
        "fit_seconds": sum(each.learned.seconds["fit"] for each in found),
    }
    return row


def certificate_words(comparison: Comparison, contender: str) -> str:
    """What its certificates say: "C5", "C2 on 4; C0, stalled on 1", "C0, stopped after 3 to 6 rounds"."""
    learned = [each.learned for each in comparison.of(contender)]
    counted = Counter(each.judged for each in learned if not each.stopped)
    stopped = [each for each in learned if each.stopped]
    if stopped:
        rounds = sorted(int(each.parameters["rounds"]) for each in stopped)
        span = f"{rounds[0]}" if rounds[0] == rounds[-1] else f"{rounds[0]} to {rounds[-1]}"
        levels = "/".join(sorted({each.level or "not feasible" for each in stopped}))
        counted[f"{levels}, stopped after {span} round{'' if span == '1' else 's'}"] = len(stopped)
    if len(counted) == 1:
        return next(iter(counted))
    return "; ".join(f"{words} on {count}" for words, count in counted.most_common())


def fit_rows(comparison: Comparison) -> list[Row]:
    """One row a fit: what was chosen, how it scored, what its certificate says."""
    rows = []
    for outcome in comparison.outcomes:
        found = outcome.learned
        row: Row = {
            "part": outcome.part,
            "contender": outcome.contender,
            "error": outcome.error,
            **outcome.others,
            "parameters": parameter_words(found.parameters),
            "chosen_error": found.chosen.get("error"),
            "chosen_se": found.chosen.get("se"),
            "trials": found.chosen.get("trials"),
            "level": found.level,
            "passes": found.passes,
            "kind": found.kind,
            "status": found.status,
            "objective": found.objective,
            "relative": found.relative,
            "global_gap": found.gap,
            "edges": found.edges,
            "tuning_seconds": found.seconds["tuning"],
            "fit_seconds": found.seconds["fit"],
        }
        rows.append(row)
    return rows


def parameter_words(parameters: Mapping[str, Any]) -> str:
    """Parameters in a line."""
    shown = (f"{v:.4g}" if isinstance(v, float) else str(v) for v in parameters.values())
    return ", ".join(f"{name} {value}" for name, value in zip(parameters, shown, strict=True))


def task_rows(comparison: Comparison) -> list[Row]:
    """One row a part, contender and task: its error, and its gain over the baseline there."""
    rows = []
    for outcome in comparison.outcomes:
        base = None
        if comparison.baseline is not None:
            base = comparison.of(comparison.baseline)[comparison.parts.index(outcome.part)].by_task
        for t, (task, error) in enumerate(zip(comparison.tasks, outcome.by_task.tolist(), strict=True)):
            if error == error:  # not NaN
                row = {"part": outcome.part, "contender": outcome.contender, "task": task, "error": error}
                rows.append(row if base is None else {**row, "gain": float(base[t]) - error})
    return rows


def write_rows(rows: Sequence[Row], path: str | PathLike[str]) -> None:
    """Rows as CSV, their columns in the order in which they come first."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    with Path(path).open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, restval="")
        writer.writeheader()
        writer.writerows({key: "" if value is None else value for key, value in row.items()} for row in rows)


def to_dict(comparison: Comparison) -> dict[str, Any]:
    """All of it as JSON holds it, graphs and blocks apart."""
    stable = {each: comparison.stability(each) for each in comparison.contenders}
    return {
        "format": "amtl_cvx comparison",
        "version": 1,
        "measure": comparison.measure,
        "baseline": comparison.baseline,
        "level": comparison.level,
        "overlap": comparison.overlap,
        "tasks": list(comparison.tasks),
        "parts": list(comparison.parts),
        "contenders": contender_rows(comparison),
        "outcomes": [outcome.to_dict() for outcome in comparison.outcomes],
        "stability": {name: found and found.to_dict() for name, found in stable.items()},
        "said": list(comparison.said),
        "about": dict(comparison.about),
    }


def write_json(comparison: Comparison, path: str | PathLike[str]) -> None:
    """`to_dict` as a file."""
    text = json.dumps(finite(to_dict(comparison)), indent=1, ensure_ascii=False, default=str)
    Path(path).write_text(text + "\n", encoding="utf-8")


def finite(value: Any) -> Any:
    """The value with None for numbers that JSON has not: infinite ones and NaN."""
    if isinstance(value, Mapping):
        return {str(key): finite(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [finite(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def describe(comparison: Comparison) -> list[str]:
    """The table as lines of text, and what is to be known of it."""
    wide = max(len(title) for title in (*comparison.titles.values(), "method"))
    over = "" if comparison.baseline is None else f"gain over {comparison.titles[comparison.baseline]}"
    of = f"  {over:<{_GAIN}}" if over else ""
    head = f"{'method':<{wide}}  {comparison.measure:<18}{of}  certificates"
    return [head, *(_line(comparison, row, wide) for row in contender_rows(comparison)), *notes(comparison)]


def _line(comparison: Comparison, row: Row, wide: int) -> str:
    error = f"{row['error']:.4g}" + ("" if row["se"] is None else f" +- {row['se']:.2g}")
    line = f"{row['title']:<{wide}}  {error:<18}"
    if comparison.baseline is not None:
        line += f"  {'' if row['gain'] is None else gain_words(row):<{_GAIN}}"
    return f"{line}  {row['certificates']}"


def gain_words(row: Row) -> str:
    """The gain of a row with what is known of it, and its tasks: "+0.16 (0.09 to 0.23), 90/49 tasks"."""
    words = f"{row['gain']:+.3g}"
    if row["gain_low"] is not None:
        words += f" ({row['gain_low']:.3g} to {row['gain_high']:.3g})"
    elif row["mcnemar_p"] is not None:
        words += f" (McNemar p {row['mcnemar_p']:.2g})"
    return f"{words}, {row['gained']} up {row['lost']} down"


def notes(comparison: Comparison) -> list[str]:
    """What is to be known of the figures."""
    parts, level = len(comparison.parts), f"{comparison.level:.0%}"
    lines = []
    if parts > 1:
        lines.append(f"+- is the standard error over {parts} parts")
    if comparison.baseline is not None and parts > 1:
        how = "paired t intervals"
        if comparison.overlap > 0.0:
            how += f" that allow for parts of the same rows (Nadeau-Bengio, overlap {comparison.overlap:.2g})"
        lines.append(f"gains have {level} {how}; up and down count tasks whose mean error falls and rises")
    elif comparison.baseline is not None:
        lines.append(
            "one part: no interval over parts"
            + (
                "; McNemar's exact test counts rows that one method alone gets right"
                if _tested(comparison)
                else ""
            )
        )
    return [*lines, *comparison.said]


def _tested(comparison: Comparison) -> bool:
    return any(
        comparison.mcnemar(each) is not None for each in comparison.contenders if each != comparison.baseline
    )


def shown(value: Any) -> str:
    """A value of a row in a few characters."""
    return "" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)


def interval_words(found: Interval) -> str:
    """An interval in words; its mean alone where there is none."""
    if found.low is None or found.high is None:
        return f"{found.mean:+.3g}"
    return f"{found.mean:+.3g} ({found.low:.3g} to {found.high:.3g})"
