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
import dataclasses
import importlib.resources
import io
from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import jinja2
import numpy as np
from numpy.typing import ArrayLike

from amtl_cvx.certificate import LEVELS, Certificate, rungs
from amtl_cvx.certificate.figures import rounded_down, rounded_up
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

_MEANING = {
    "kind": "the problem the point is judged against",
    "objective": "J(W, B)",
    "stationarity_W": "largest entry of the gradient in W",
    "stationarity_B": "largest violation of the conditions on B, in units of its gradient",
    "relative_W": "the same over the size of its terms, worst entry",
    "relative_B": "the same over the size of its terms, worst edge",
    "relative": "the residual that is held against the tolerance",
    "joint_relative": "the residual of the joint objective",
    "feasibility": "how far an entry of B is from the feasible set; must be 0",
    "gap_W": "what a move of W alone can still gain",
    "gap_B": "what a move of B alone can still gain",
    "gap_W_exact": "whether gap_W is exact or an upper bound",
    "gain_W": "what a move of W alone can still gain, the least bound that is proved, rounding included",
    "gain_W_by": "which bound: of the Newton decrement, gap_W with room for rounding, or the value J itself",
    "limit": "what gain_W and gap_B together are held against: tol J, not below the rounding of J(0, 0)",
    "sigma_min": "smallest singular value of I - B; near 0 it inflates an upper bound gap_W",
    "tol": "the tolerance for the residual, and for gains and gaps relative to J",
    "passes": "feasible, residual within the tolerance, gain_W and gap_B within the limit",
    "level": "rung on the ladder C0 (evaluated) to C5 (global)",
    "edges": "entries of B that are not 0, off its diagonal",
    "zeros": "the other entries off its diagonal: absent edges",
    "zeros_proven": "absent edges that are absent from every best B for this W",
    "error_W": "W is at most this far from the best W for this B (Frobenius norm)",
    "error_B": "B is at most this far from the best B for this W (Frobenius norm)",
    "condition_W": "condition number of the Hessian of the W-step",
    "condition_B": "largest condition number of a B-step on its edges",
    "reduced_hessian_min": "smallest curvature of J in W and the edges; positive at a strict local minimum",
    "min_multiplier": "smallest price that an absent edge would have to pay beyond its use",
    "min_positive_B": "smallest edge",
    "held_rows": "rows on the kink of their loss, off which J rises; the curvature is that along them",
    "proven_radius": "the entries of the true first-order point are known to this accuracy",
    "proven_distance": "no entry of W and B is further away from it",
    "proven_isolation": "there is no other first-order point within this distance of W and B",
    "global_lower": "no point has a lower objective",
    "global_upper": "the lowest objective known",
    "global_width": "distance of the two, relative",
    "global_excess": "J of this point is at most so far above global_lower",
    "global_method": "exact: proved without trust in a solver; solver-claimed: not proved",
    "refused": "levels that cannot be had here",
}

_METRICS = {
    "class accuracy": "share of rows whose largest score is that of their class",
    "accuracy": "share of right labels, mean over the tasks",
    "rmse": "root mean squared error, mean over the tasks",
    "pooled rmse": "root mean squared error over all rows",
}
"""What `scoring.score` measures."""

_UNTOLD = ("command", "command_line", "data", "out", "quiet", "verbose", "json", "force")
"""Arguments that the table of settings leaves out."""

_GROUPS = (
    ("Verdict", ("kind", "objective", "tol", "passes", "level", "refused", "feasibility")),
    (
        "Residuals",
        ("relative", "relative_W", "relative_B", "stationarity_W", "stationarity_B", "joint_relative"),
    ),
    ("Gaps", ("gain_W", "gain_W_by", "gap_B", "limit", "gap_W", "gap_W_exact", "error_W", "error_B")),
    ("Edges and proven zeros", ("edges", "zeros", "zeros_proven")),
    ("Conditioning", ("sigma_min", "condition_W", "condition_B")),
    ("C3, second order", ("reduced_hessian_min", "min_multiplier", "min_positive_B", "held_rows")),
    ("C4, proven digits", ("proven_radius", "proven_distance", "proven_isolation")),
    (
        "C5, global minimum",
        ("global_lower", "global_upper", "global_width", "global_excess", "global_method"),
    ),
)
"""The fields of the certificate as the page groups them."""
_AT_MOST = (
    "relative", "relative_W", "relative_B", "gap_W", "gain_W", "gap_B", "error_W", "error_B", "proven_radius",
    "proven_distance", "global_upper", "global_width", "global_excess",
)  # fmt: skip
_AT_LEAST = ("reduced_hessian_min", "min_multiplier", "min_positive_B", "proven_isolation", "global_lower")
"""The fields that are bounds: they are rounded to the side on which they hold."""
_LEVEL_OF = {name: title[:2] for title, names in _GROUPS if title[:2] in LEVELS for name in names}
_UNTRIED = dict.fromkeys(_LEVEL_OF, "not asked for")
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


class Fact(NamedTuple):
    """One line of the certificate table; `missing` says why there is no value."""

    name: str
    value: str
    meaning: str
    missing: str | None


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
        fact_groups=_fact_groups(solution.certificate),
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


def _fact_groups(certificate: Certificate) -> list[tuple[str, list[Fact]]]:
    """Every field of the certificate, by group; last what `reasons` says of anything else."""
    groups = [(title, [_fact(certificate, name) for name in names]) for title, names in _GROUPS]
    known = {entry.name for entry in dataclasses.fields(certificate)} | set(LEVELS)
    others = [Fact(name, "", "", why) for name, why in certificate.reasons.items() if name not in known]
    return groups + ([("Remarks", others)] if others else [])


def _fact(certificate: Certificate, name: str) -> Fact:
    """A field of the certificate; where it has no value, the reason."""
    value = getattr(certificate, name)
    if value is None:
        reason = certificate.reasons.get(name) or certificate.reasons.get(_LEVEL_OF.get(name, ""))
        return Fact(name, "", _MEANING[name], reason or _UNTRIED.get(name, "not available"))
    digits = 12 if name in ("objective", "global_lower", "global_upper") else 6
    if name in _AT_MOST:
        shown = rounded_up(value, digits)
    elif name in _AT_LEAST:
        shown = rounded_down(value, digits)
    else:
        shown = f"{value:.{digits}g}" if isinstance(value, float) else _shown(value)
    return Fact(name, shown or "none", _MEANING[name], None)


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
