"""The report of a run: one self-contained HTML file.

Pictures are embedded as PNG, style and script are inline, and a content security policy forbids the page to
load anything, so a report can be mailed, archived and opened anywhere. Names of tasks and everything else
that comes from users' files is escaped.

    >>> data = {"name": "pilot", "source": "generated", "T": 15, "d": 20, "rows": 600, "fingerprint": "9f"}
    >>> run = {"arguments": {"mu": 0.1}, "versions": {"numpy": "2.4"}, "data": data}
    >>> write_report("report.html", solution=solution, **run)
"""

from __future__ import annotations

import base64
import importlib.resources
import io
from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import jinja2
import numpy as np
from numpy.typing import ArrayLike

from amtl_cvx.certificate import LEVELS, rungs
from amtl_cvx.certificate.figures import facts, rounded_up
from amtl_cvx.graph import ORIENTATION, TransferGraph
from amtl_cvx.plotting import convergence_figure, heatmap, node_link, truth_figure, write_png
from amtl_cvx.plotting.canvas import shortened
from amtl_cvx.scoring import SINGLE_TASK, SINGLE_TASK_WORDS
from amtl_cvx.solution import Solution

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MAX_ROWS = 2000
"""How many edges, the strongest, the edge table lists."""
MAX_FEATURES, MAX_TASKS = 80, 40
"""The features and tasks with the largest weights that the table of W shows."""
STRONGEST = 12
"""How many single weights are listed."""
_DPI = 180

_METRICS = {
    "class accuracy": "share of rows whose largest score is that of their class",
    "accuracy": "share of right labels, mean over the tasks",
    "rmse": "root mean squared error, mean over the tasks",
    "pooled rmse": "root mean squared error over all rows",
}
"""What `scoring.score` measures."""

_UNTOLD = ("command", "command_line", "data", "out", "quiet", "verbose", "json", "force")
"""Arguments that the table of settings leaves out."""
_MARKS = {
    "reached": "\N{CHECK MARK}",
    "not reached": "\N{MULTIPLICATION X}",
    "cannot tell": "?",
    "cannot be had": "\N{EN DASH}",
    "not tried": "",
}


class Picture(NamedTuple):
    """An embedded figure; `width` in CSS pixels at its natural size."""

    uri: str
    alt: str
    caption: str
    width: int


class Weights(NamedTuple):
    """W as a table: `rows` of (feature, cells), a cell is (number, its share of the largest)."""

    columns: list[str]
    rows: list[tuple[str, list[tuple[str, float]]]]
    left_out: str
    strongest: list[tuple[str, str, float]]


def write_report(
    path: str | PathLike[str],
    *,
    solution: Solution,
    arguments: Mapping[str, Any],
    versions: Mapping[str, str],
    data: Mapping[str, Any],
    scores: Mapping[str, Any] | None = None,
    truth_B: ArrayLike | None = None,
) -> None:
    """Write the HTML report of a run.

    Parameters
    ----------
    path : path
        The file to write.
    solution : Solution
        The result.
    arguments, versions : Mapping
        The run's arguments, and the versions of the software.
    data : Mapping
        What was learned from: name, source, T, d, rows, fingerprint (any other entry is listed too).
    scores : Mapping, optional
        Per method a number, or a mapping from metric to number; e.g. test errors.
    truth_B : (T, T) array_like, optional
        The planted B, where it is known.

    Raises
    ------
    DataError
        If truth_B has another shape than B.
    """
    graph = solution.graph
    page = _template().render(
        solution=solution,
        certificate=solution.certificate,
        level_word=LEVELS.get(solution.certificate.level or "", ""),
        sentences=solution.certificate.sentences(),
        headline=_headline(solution),
        numbers=_numbers(solution, data),
        graph=graph,
        weights=_weights(solution),
        command=arguments.get("command_line"),
        score_words=_score_words(scores or {}),
        pictures=_graph_pictures(graph),
        convergence=_convergence_picture(solution),
        truth=None if truth_B is None else _truth_picture(graph, truth_B),
        rungs=[
            (rung, _MARKS[rung.state], rung.state.replace(" ", "-")) for rung in rungs(solution.certificate)
        ],
        fact_groups=facts(solution.certificate),
        edges=_edge_rows(graph),
        tasks=graph.to_dict()["tasks"],
        score_table=_score_table(scores or {}),
        run_tables=[
            ("Settings", _settings(arguments)),
            ("Data", data),
            ("Versions", versions),
            ("Seconds", solution.seconds),
        ],
    )
    Path(path).write_text(page, encoding="utf-8")


def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["shown"] = _shown
    environment.filters["digits"] = _digits
    environment.filters["short"] = lambda name: shortened(name, 22)
    source = importlib.resources.files("amtl_cvx").joinpath("report.html.jinja").read_text(encoding="utf-8")
    return environment.from_string(source)


def _headline(solution: Solution) -> str:
    """The verdict in one line, without claiming more than was shown."""
    certificate = solution.certificate
    if certificate.level is None:
        return "Not feasible: B violates its constraints"
    if not certificate.passes:
        return "The certificate does not pass"
    return {
        "joint": "A verified first-order point",
        "single-task": "Verified single-task solutions",
        "curriculum": "Every step of the curriculum is verified",
    }.get(certificate.kind, "The certificate passes")


def _numbers(solution: Solution, data: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The tiles under the headline."""
    certificate = solution.certificate
    d, T = solution.W.shape
    raw = None if solution.preparation is None else solution.preparation.d
    tiles = [
        ("objective J", f"{solution.objective:.8g}"),
        ("relative residual", rounded_up(certificate.relative)),
        ("edges", f"{certificate.edges} of {T * (T - 1)}"),
        ("tasks", str(T)),
        ("features", str(d)) if raw is None or raw == d else ("features, intercept", f"{raw} + {d - raw}"),
    ]
    if data.get("rows") is not None:
        tiles.append(("rows", _shown(data["rows"])))
    if "total" in solution.seconds:
        tiles.append(("seconds", f"{solution.seconds['total']:.3g}"))
    return tiles


def _settings(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """What was set: nothing without a value, no flag that is off but those of the preparation.

    The command stands by itself, and what only concerns the terminal is no setting.
    """
    kept = ("standardize", "intercept")
    return {
        name: value
        for name, value in arguments.items()
        if name not in _UNTOLD and value is not None and (value is not False or name in kept)
    }


def _weights(solution: Solution) -> Weights:
    """W, features in rows; of many features or tasks those with the largest weights.

    The intercept, in other units than all others, is shown but not compared with them.
    """
    W, names = solution.W, _feature_names(solution)
    d, T = W.shape
    size = np.abs(W)
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
        *np.unravel_index(np.argsort(-size, axis=None, kind="stable")[:STRONGEST], W.shape), strict=True
    )
    return Weights(
        columns=[solution.task_names[t] for t in tasks],
        rows=[(names[j], [_cell(float(W[j, t]), full) for t in tasks]) for j in features],
        left_out=" and ".join(cut),
        strongest=[(names[j], solution.task_names[t], float(W[j, t])) for j, t in largest if size[j, t]],
    )


def _cell(value: float, full: float) -> tuple[str, float]:
    """A weight in few characters, and its share of the largest."""
    shown = f"{value:.2f}" if 0.05 <= full < 1000 else f"{value:.1e}"
    return shown if value else "0", min(max(value / full, -1.0), 1.0)


def _feature_names(solution: Solution) -> list[str]:
    """A name of every row of W."""
    d = len(solution.W)
    names = list(solution.feature_names or ())
    if not names:
        raw = d if solution.preparation is None else solution.preparation.d
        names = [f"feature {j}" for j in range(raw)]
    return names + ["intercept"] * (d - len(names))


def _score_words(scores: Mapping[str, Any]) -> list[str]:
    """What the metrics and the baseline of the score table mean."""
    columns, _ = _score_table(scores)
    baseline = [f"{SINGLE_TASK}: {SINGLE_TASK_WORDS}"] if SINGLE_TASK in scores else []
    return [*(f"{name}: {_METRICS[name]}" for name in columns if name in _METRICS), *baseline]


def _graph_pictures(graph: TransferGraph) -> list[Picture]:
    words = graph.describe()
    bars, order = "Bars: what each task gives, and its loss.", "Tasks clockwise in their order."
    return [
        _picture(heatmap(graph), f"Heatmap of B, {ORIENTATION}. {words}", bars),
        _picture(node_link(graph), f"The graph as nodes and arrows. {words}", order),
    ]


def _convergence_picture(solution: Solution) -> Picture:
    figure = convergence_figure(solution.history, tol=solution.certificate.tol)
    words = f"Objective and residuals over the {len(solution.history)} steps of the run"
    return _picture(figure, words, f"{words}. Hollow marks on the lowest line are zeros.")


def _truth_picture(graph: TransferGraph, truth_B: ArrayLike) -> Picture:
    words = "The estimated graph beside the planted truth, with hits, misses and false edges"
    return _picture(truth_figure(graph, truth_B), words, f"{words}.")


def _picture(figure: Figure, alt: str, caption: str) -> Picture:
    buffer = io.BytesIO()
    write_png(figure, buffer, dpi=_DPI)
    uri = "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
    return Picture(uri, alt, caption, width=round(96 * figure.get_figwidth()))


def _edge_rows(graph: TransferGraph) -> list[dict[str, Any]]:
    incoming = graph.incoming
    return [
        {
            "source": graph.names[s],
            "target": graph.names[t],
            "weight": weight,
            "share": abs(weight) / float(incoming[t]),
        }
        for s, t, weight in graph.edges[:MAX_ROWS]
    ]


def _score_table(scores: Mapping[str, Any]) -> tuple[list[str], list[tuple[str, list[Any]]]]:
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


def _shown(value: Any) -> str:
    """A value as the tables print it."""
    if value is None:
        return "\N{EM DASH}"
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, float | np.floating):
        return f"{float(value):.6g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {_shown(entry)}" for key, entry in value.items())
    if isinstance(value, Sequence | np.ndarray) and not isinstance(value, str | bytes):
        return ", ".join(_shown(entry) for entry in value)
    return str(value)


def _digits(value: Any) -> str:
    """A number with four significant digits, so that a column of them lines up."""
    return f"{value:#.4g}".rstrip(".") if isinstance(value, float) and value else _shown(value)
