"""The tables and tiles of a report: what they show, of how much, and how numbers are written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from amtl_cvx.certificate.figures import rounded_up
from amtl_cvx.families.settings.named import NAMED
from amtl_cvx.scoring import BASELINES
from amtl_cvx.solution import Solution

MAX_FEATURES, MAX_TASKS = 80, 40
"""The features and tasks with the largest weights that the table of predictors shows."""
STRONGEST = 12
"""How many single weights are listed."""
_METRICS = {
    "class error": "share of rows whose largest score is not that of their class",
    "error": "share of wrong labels, mean over the tasks",
    "loss": "mean loss of the rows, mean over the tasks",
    "class accuracy": "share of rows whose largest score is that of their class",
    "accuracy": "share of right labels, mean over the tasks",
    "rmse": "root mean squared error, mean over the tasks",
    "pooled rmse": "root mean squared error over all rows",
}
"""What `scoring.score` measures."""
_UNTOLD = ("command", "command_line", "data", "out", "quiet", "verbose", "json", "force")
"""Arguments that the table of settings leaves out."""


class Weights(NamedTuple):
    """Predictors as a table: `rows` of (feature, cells), a cell is (number, its share of the largest)."""

    columns: list[str]
    rows: list[tuple[str, list[tuple[str, float]]]]
    left_out: str
    strongest: list[tuple[str, str, float]]


def tiles(solution: Solution, data: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The tiles under the headline."""
    certificate = solution.certificate
    d, T = solution.shape
    raw = None if solution.preparation is None else solution.preparation.d
    tiles = [
        ("objective J", f"{solution.objective:.8g}"),
        ("relative residual", rounded_up(certificate.relative)),
        *solution.family.tiles(solution),
        ("tasks", str(T)),
        ("features", str(d)) if raw is None or raw == d else ("features, intercept", f"{raw} + {d - raw}"),
    ]
    if data.get("rows") is not None:
        tiles.append(("rows", shown(data["rows"])))
    if "total" in solution.seconds:
        tiles.append(("seconds", f"{solution.seconds['total']:.3g}"))
    return tiles


def settings(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """What was set: nothing without a value, no flag that is off but those of the preparation.

    The command stands by itself, and what only concerns the terminal is no setting.
    """
    kept = ("standardize", "intercept")
    return {
        name: value
        for name, value in arguments.items()
        if name not in _UNTOLD and value is not None and (value is not False or name in kept)
    }


def method_words(solution: Solution, arguments: Mapping[str, Any]) -> str:
    """The method, and before it the name by which it was asked for, where that is another one."""
    name = arguments.get("named")
    known = NAMED.get(name) if isinstance(name, str) else None
    if known is None or known.method != solution.method or name == solution.method:
        return solution.method
    return f"{known.title} ({name}, {solution.method})"


def weight_table(solution: Solution) -> Weights:
    """The predictors, features in rows; of many features or tasks those with the largest weights.

    The intercept, in other units than all others, is shown but not compared with them.
    """
    weights, names = solution.predictors, _feature_names(solution)
    d, T = weights.shape
    size = np.abs(weights)
    if d > 1 and solution.preparation is not None and solution.preparation.intercept:
        size[-1] = 0.0
    full = float(size.max()) or 1.0
    features = np.sort(np.argsort(-size.max(axis=1), kind="stable")[:MAX_FEATURES])
    tasks = np.sort(np.argsort(-size.max(axis=0), kind="stable")[:MAX_TASKS])
    cut = [
        f"the {shown} {what} with the largest weights of {count}"
        for what, shown, count in (("features", len(features), d), ("tasks", len(tasks), T))
        if shown < count
    ]
    largest = zip(
        *np.unravel_index(np.argsort(-size, axis=None, kind="stable")[:STRONGEST], weights.shape), strict=True
    )
    return Weights(
        columns=[solution.task_names[t] for t in tasks],
        rows=[(names[j], [_cell(float(weights[j, t]), full) for t in tasks]) for j in features],
        left_out=" and ".join(cut),
        strongest=[
            (names[j], solution.task_names[t], float(weights[j, t])) for j, t in largest if size[j, t]
        ],
    )


def _cell(value: float, full: float) -> tuple[str, float]:
    """A weight in few characters, and its share of the largest."""
    shown = f"{value:.2f}" if 0.05 <= full < 1000 else f"{value:.1e}"
    return shown if value else "0", min(max(value / full, -1.0), 1.0)


def _feature_names(solution: Solution) -> list[str]:
    """A name of every row of W."""
    d = solution.shape[0]
    names = list(solution.feature_names or ())
    if not names:
        raw = d if solution.preparation is None else solution.preparation.d
        names = [f"feature {j}" for j in range(raw)]
    return names + ["intercept"] * (d - len(names))


def score_words(scores: Mapping[str, Any]) -> list[str]:
    """What the metrics and the baseline of the score table mean."""
    columns, _ = score_table(scores)
    baseline = [f"{name}: {words}" for name, words in BASELINES.items() if name in scores]
    return [*(f"{name}: {_METRICS[name]}" for name in columns if name in _METRICS), *baseline]


def score_table(scores: Mapping[str, Any]) -> tuple[list[str], list[tuple[str, list[Any]]]]:
    """Columns, and one row per method."""
    columns: list[str] = []
    for value in scores.values():
        columns += [
            name for name in (value if isinstance(value, Mapping) else ["score"]) if name not in columns
        ]
    rows = [
        (method, [(value if isinstance(value, Mapping) else {"score": value}).get(name) for name in columns])
        for method, value in scores.items()
    ]
    return columns, rows


def shown(value: Any) -> str:
    """A value as the tables print it."""
    if value is None:
        return "\N{EM DASH}"
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, float | np.floating):
        return f"{float(value):.6g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {shown(entry)}" for key, entry in value.items())
    if isinstance(value, Sequence | np.ndarray) and not isinstance(value, str | bytes):
        return ", ".join(shown(entry) for entry in value)
    return str(value)


def digits(value: Any) -> str:
    """A number with four significant digits, so that a column of them lines up."""
    return f"{value:#.4g}".rstrip(".") if isinstance(value, float) and value else shown(value)
