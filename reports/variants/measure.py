"""Every penalty on transfer and on predictors on the same three problems: what each does to the graph.

    python reports/variants/measure.py                        all of it, minutes
    python reports/variants/measure.py --only digits          one problem; the rest is kept from the last run

writes figures.json, README.md and <problem>.png beside itself. mu, rho and the other parameters stand
in `TRANSFERS` and `OMEGAS` below, chosen once and for all problems alike; a penalty without losses has mu
times the mean loss of single tasks. Seconds are CPU seconds of one fit, engine "fast", in a warm process.
Data that are absent (`AMTL_CVX_DATA`, else ../shared/data beside the repository) are told.
"""

from __future__ import annotations

import argparse
import inspect
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "reports")]

from machine import machine  # noqa: E402

from amtl_cvx import Model, Options, Preparation, Solution, TaskSet, fit, read  # noqa: E402
from amtl_cvx.errors import AMTLError  # noqa: E402
from amtl_cvx.losses import Logistic, Loss, Squared  # noqa: E402
from amtl_cvx.plotting import write_png  # noqa: E402
from amtl_cvx.plotting.canvas import edge_scale  # noqa: E402
from amtl_cvx.scoring import score  # noqa: E402
from amtl_cvx.transfer import TRANSFERS as CLASSES  # noqa: E402
from amtl_cvx.weights import OMEGAS as WEIGHTS  # noqa: E402

Parameters = Callable[[int], dict[str, Any]]


def nothing(T: int) -> dict[str, Any]:
    """No parameters."""
    return {}


TRANSFERS: dict[str, Parameters] = dict.fromkeys(CLASSES, nothing) | {
    "elastic-net": lambda T: {"rho": 0.1},
    "forbidden": lambda T: {"edges": [(0, t) for t in range(1, T)]},
    "required": lambda T: {"edges": [(0, t, 0.05) for t in range(1, T)]},
    "row-budget": lambda T: {"budget": 0.5},
    "degree-cap": lambda T: {"degree": 2, "cap": 0.5},
    "total-budget": lambda T: {"total": 0.5 * T},
}
"""Parameters for T tasks besides mu, by the name of the penalty."""
OMEGAS: dict[str, Parameters] = dict.fromkeys(WEIGHTS, nothing) | {
    "laplacian": lambda T: {"edges": [(t, t + 1, 1.0) for t in range(T - 1)]}
}
UNWEIGHTED = ("l1", "target-group-l2")
BESIDE = {
    "forbidden": "task 0 teaches nobody",
    "required": "task 0 teaches everybody",
    "laplacian": "a chain",
}


@dataclass(frozen=True, kw_only=True)
class Case:
    """One problem: tasks, what their model has besides the penalty, mu, and rows to test on if any."""

    tasks: TaskSet | None
    settings: dict[str, Any]
    mu: float
    rho: float
    test: TaskSet | None = None


def data_folder() -> Path:
    """Where the real data are, if anywhere."""
    named = os.environ.get("AMTL_CVX_DATA")
    return Path(named) if named else ROOT.parent / "shared" / "data"


def bench(name: str) -> TaskSet | None:
    path = data_folder() / "bench" / f"{name}.npz"
    if not path.is_file():
        return None
    with np.load(path, allow_pickle=False) as data:
        return TaskSet.from_stacked(data["X"], data["y"], data["task"])


def digits() -> Case:
    dataset = read("digits")
    prepared = Preparation.learn(dataset.train, standardize=True, intercept=True)
    train = prepared.apply_tasks(dataset.train)
    test = None if dataset.test is None else prepared.apply_tasks(dataset.test)
    return Case(tasks=train, settings={"loss": Logistic(), "coupling": 0.001}, mu=0.3, rho=0.001, test=test)


def settings(loss: Loss, coupling: float) -> dict[str, Any]:
    return {"loss": loss, "coupling": coupling}


CASES: dict[str, Callable[[], Case]] = {
    "pilot15": lambda: Case(tasks=bench("pilot15"), settings=settings(Squared(), 1.0), mu=0.1, rho=0.01),
    "hard20": lambda: Case(
        tasks=bench("hard20"), settings=settings(Squared(reduction="sum"), 10.0), mu=0.001, rho=0.01
    ),
    "digits": digits,
}


def models(case: Case) -> Iterator[tuple[str, str, Model]]:
    """Kind, name and model of every variant."""
    assert case.tasks is not None
    T, plain = case.tasks.T, CLASSES["loss-weighted-l1"](mu=case.mu)
    alone = fit(case.tasks, Model(transfer=plain, **case.settings), method="stl")
    for name, parameters in TRANSFERS.items():
        mu = case.mu * (float(alone.losses.mean()) if name in UNWEIGHTED else 1.0)
        penalty = CLASSES[name](mu=mu, **parameters(T))
        yield "transfer", name, Model(transfer=penalty, **case.settings)
    for name, parameters in OMEGAS.items():
        omega = WEIGHTS[name](rho=case.rho, **parameters(T))
        yield "omega", name, Model(transfer=plain, omega=omega, **case.settings)


def measured(case: Case, model: Model) -> tuple[dict[str, Any], Solution | None]:
    """The row of one fit; a refusal in its own words."""
    assert case.tasks is not None
    started = time.process_time()
    try:
        solution = fit(case.tasks, model, options=Options(engine="fast"))
    except AMTLError as error:
        return {"refused": str(error)}, None
    seconds, found = time.process_time() - started, solution.certificate
    row: dict[str, Any] = {
        "objective": found.objective,
        "edges": found.edges,
        "level": found.level,
        "status": str(solution.status.value),
        "residual": found.relative,
        "steps": len(solution.history),
        "seconds": round(seconds, 2),
        "B": solution.B,
    }
    if case.test is not None:
        row["error"] = 1.0 - score(solution, case.test, classes=True)["class accuracy"]
    return row, solution


def picture(name: str, rows: list[dict[str, Any]]) -> None:
    """The graphs of all variants side by side, each with its own scale."""
    shown = [row for row in rows if "B" in row]
    columns = 6
    height = -(-len(shown) // columns)
    figure = Figure(figsize=(2.05 * columns, 2.35 * height + 0.5))
    grid = figure.subplots(height, columns, squeeze=False)
    for axes in grid.ravel():
        axes.set_axis_off()
    for axes, row in zip(grid.ravel(), shown, strict=False):
        B = row["B"]
        colors = edge_scale(B[B != 0.0])
        low, high = colors.get_clim()
        axes.set_axis_on()
        axes.set_facecolor("#f2f4f7")
        axes.imshow(np.ma.masked_equal(B, 0.0), cmap=colors.get_cmap(), vmin=low, vmax=high)
        axes.set(xticks=[], yticks=[])
        for t in range(len(B)):
            axes.add_patch(Rectangle((t - 0.5, t - 0.5), 1, 1, facecolor="#dfe4ea", linewidth=0))
        what = row["name"] if row["kind"] == "transfer" else f"omega {row['name']}"
        axes.set_title(f"{what}\n{row['edges']} edges, {row['level']}", fontsize=8)
    figure.suptitle(
        f"{name}: B, row s helps column t; every graph has its own scale, red is negative", fontsize=10
    )
    figure.tight_layout(rect=(0.0, 0.0, 1.0, 0.97))
    write_png(figure, HERE / f"{name}.png", dpi=110)


def table(name: str, rows: list[dict[str, Any]]) -> list[str]:
    tested = any("error" in row for row in rows)
    head = ["variant", "J", "edges", "level", "residual", "steps", "CPU seconds"]
    lines = ["", f"## {name}", "", f"![graphs of {name}]({name}.png)", ""]
    head += ["test error"] if tested else []
    lines += [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    for row in rows:
        what = f"`{row['name']}`" if row["kind"] == "transfer" else f"omega `{row['name']}`"
        if "refused" in row:
            lines.append(f"| {what} | {row['refused']} |" + " |" * (len(head) - 2))
            continue
        cells = [
            f"{row['objective']:.7g}",
            str(row["edges"]),
            row["level"] or "-",
            f"{row['residual']:.1e}",
            str(row["steps"]),
            f"{row['seconds']:.2f}",
        ]
        cells += [f"{100.0 * row['error']:.2f} %"] if tested else []
        lines.append(f"| {what} | {' | '.join(cells)} |")
    return lines


def sentence(cls: type) -> str:
    """What the term does: the first line of its docstring."""
    return (inspect.getdoc(cls) or "").splitlines()[0].replace("|", "\\|")


def page(found: dict[str, Any]) -> str:
    """README.md."""
    lines = [
        "# Variants",
        "",
        "Written by `python reports/variants/measure.py`; do not edit. " + found["machine"],
        "",
        "Every penalty on the same problems, from its own start, engine `fast`; parameters stand in the"
        " script and were not tuned. J of different penalties are different functions: compare graphs, levels"
        " and errors. Penalties on predictors go with `loss-weighted-l1`; a penalty without"
        " losses has mu times the mean loss of single tasks. Steps are the records of the history, half-steps"
        " and steps of refinement together.",
        "",
        "| term | what it does |",
        "|---|---|",
    ]
    for name, cls in CLASSES.items():
        beside = f" (here: {BESIDE[name]})" if name in BESIDE else ""
        lines.append(f"| `{name}` | {sentence(cls)}{beside} |")
    for name, cls in WEIGHTS.items():
        beside = f" (here: {BESIDE[name]})" if name in BESIDE else ""
        lines.append(f"| omega `{name}` | {sentence(cls)}{beside} |")
    for name, rows in found["problems"].items():
        lines += table(name, rows) if isinstance(rows, list) else ["", f"## {name}", "", str(rows)]
    return "\n".join([*lines, ""])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", choices=CASES, action="append")
    chosen = parser.parse_args().only or list(CASES)
    path = HERE / "figures.json"
    problems = json.loads(path.read_text())["problems"] if path.exists() else {}
    for name in chosen:
        case = CASES[name]()
        if case.tasks is None:
            problems[name] = f"Not measured: {data_folder() / 'bench'} is not there."
            continue
        rows = []
        for kind, variant, model in models(case):
            row, _ = measured(case, model)
            rows.append({"kind": kind, "name": variant, **row})
            print(name, variant, {key: value for key, value in row.items() if key != "B"}, flush=True)
        picture(name, rows)
        problems[name] = [{key: value for key, value in row.items() if key != "B"} for row in rows]
    found = {"machine": machine(), "problems": {name: problems[name] for name in CASES if name in problems}}
    path.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    (HERE / "README.md").write_text(page(found), encoding="utf-8")


if __name__ == "__main__":
    main()
