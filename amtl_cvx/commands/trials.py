"""The trials of a tuning: on the console, as JSON, and in the files of a run."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from amtl_cvx.certificate.levels import is_stopped, stopped_words
from amtl_cvx.experiment.tuning import Trial, Tuning
from amtl_cvx.experiment.tuning.axes import ROUNDS
from amtl_cvx.experiment.tuning.trial import shown
from amtl_cvx.runfolder import to_json
from amtl_cvx.solution import Solution

_SHOWN = 12
"""Points that the table on the console has at most."""
Scores = Mapping[str, Mapping[str, float]]


def write_trials(tuning: Tuning, folder: Path) -> None:
    """tuning.csv and tuning.json."""
    rows = tuning.rows()
    with (folder / "tuning.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    (folder / "tuning.json").write_text(to_json(tuning.to_dict()))


def draw_trials(tuning: Tuning, title: str, path: Path) -> None:
    """heatmap.png; matplotlib is loaded here."""
    from amtl_cvx.plotting import write_png
    from amtl_cvx.plotting.tuning import tuning_figure

    write_png(tuning_figure(tuning, title=title), path)


def content_of(solution: Solution, tuning: Tuning, place: Path, scores: Scores) -> dict[str, Any]:
    """What --json prints."""
    return {
        "status": solution.status.value,
        "chosen": dict(tuning.chosen.parameters),
        "measure": tuning.measure,
        "error": tuning.chosen.mean,
        "se": tuning.chosen.se,
        "resumed": tuning.resumed,
        "certificate": solution.certificate.to_dict(),
        "where": str(place),
        "scores": scores,
        "tuning": tuning.to_dict(),
    }


def lines_of(
    words: Sequence[str], solution: Solution, tuning: Tuning, scores: Scores, place: Path
) -> list[str]:
    """What is said at the end; `words` are those of the data."""
    certificate = solution.certificate
    found = [
        f"test, {name}: {', '.join(f'{metric} {value:.4g}' for metric, value in values.items())}"
        for name, values in scores.items()
    ]
    resumed = [f"{tuning.resumed} points and splits were taken from the journal"] if tuning.resumed else []
    spent = solution.seconds.get("total", 0.0)
    return [
        *words,
        *table(tuning),
        tuning.sentence(),
        _status(solution),
        f"objective {solution.objective:.12g}; {certificate.verdict()}",
        solution.family.summary(solution),
        *found,
        *resumed,
        f"wrote {place} in {tuning.seconds:.1f} s of trials and {spent:.1f} s of fitting; open"
        f" {place / 'report.html'}",
    ]


def _status(solution: Solution) -> str:
    """How the fit ended; a stop on purpose is no limit that was in the way."""
    kind = solution.certificate.kind
    if is_stopped(kind) and not solution.certificate.passes:
        return f"status: {stopped_words(kind)}"
    return f"status: {solution.status.value}, {solution.status.text}"


def table(tuning: Tuning) -> list[str]:
    """The points of least error as lines of text, each at its best rounds, the chosen one marked."""
    points: dict[tuple[object, ...], Trial] = {}
    for trial in sorted(tuning.trials, key=lambda trial: (trial is not tuning.chosen, trial.mean)):
        point = tuple(value for name, value in trial.parameters.items() if name != ROUNDS)
        points.setdefault(point, trial)
    ranked = sorted(points.values(), key=lambda trial: trial.mean)
    listed = ranked[:_SHOWN]
    if all(trial is not tuning.chosen for trial in listed):
        listed = [*listed[:-1], tuning.chosen]
    names, several = list(tuning.chosen.parameters), len(tuning.chosen.errors) > 1
    cells = [[*names, tuning.measure, *(["se"] if several else [])]]
    for trial in listed:
        error = f"{trial.mean:.6g}" if math.isfinite(trial.mean) else "none"
        se = ["" if trial.se is None else f"{trial.se:.2g}"] if several else []
        cells.append([*(shown(value) for value in trial.parameters.values()), error, *se])
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    marks = ["  ", *("* " if trial is tuning.chosen else "  " for trial in listed)]
    lines = [
        mark + "  ".join(f"{cell:>{width}}" for cell, width in zip(row, widths, strict=True))
        for mark, row in zip(marks, cells, strict=True)
    ]
    left = len(ranked) - len(listed)
    if ROUNDS in names:
        return [*lines, f"  each at its best rounds; all {len(tuning.trials)} points are in tuning.csv"]
    return [*lines, f"  ... {left} more in tuning.csv"] if left > 0 else lines
