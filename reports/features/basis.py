"""Whether AMTFL recovers planted features, and what that does for tasks with little signal.

    python reports/features/basis.py                      all designs, seeds and methods: 15 min of CPU time
    python reports/features/basis.py --only standardised  one design; the rest is kept from the last run
    python reports/features/basis.py --seeds 2            a look

writes basis.json, basis.md and basis.png beside itself. T = 12 tasks with predictors L s_t, d = 20, k = 6;
each task uses two or three features; six tasks have noise 1, six have noise 10 (planted.py). The weights of
every method are chosen in `GRIDS` by the RMSE on validation rows, once a method, design and seed; the grids
were written with a look at seeds that are not counted. Differences are paired over seeds, with 95 % intervals
of Student's t.

Methods: single-task learning with a ridge (`stl`), AMTL with a ridge, GO-MTL, AMTFL with linear features, and
`naive`, the combination of GO-MTL with AMTL's transfer between tasks that [L18, eq. 5] argues against:

    sum_t {(1 + alpha ||b_t||_1) L_t(L s_t) + mu ||s_t||_1} + gamma ||L S - L S B||_F^2 + decay ||L||_F^2,
    B >= 0 with a zero diagonal

which is minimised here by L-BFGS-B from the same start; the report tells its residual.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from scipy.stats import t as student

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "reports"), str(HERE)]

from machine import machine  # noqa: E402
from planted import DESIGNS, EASY, FITS, Fitted, K, Planted, T, planted  # noqa: E402

from amtl_cvx import TaskSet  # noqa: E402
from amtl_cvx.errors import AMTLError  # noqa: E402
from amtl_cvx.plotting import write_png  # noqa: E402

GRIDS: dict[str, dict[str, tuple[float, ...]]] = {
    "stl": {"rho": (0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)},
    "amtl": {"mu": (0.1, 0.3, 1.0, 3.0), "coupling": (0.03, 0.3, 3.0), "rho": (0.003, 0.03, 0.3, 3.0)},
    "go-mtl": {"mu": (0.03, 0.1, 0.3, 1.0, 3.0), "decay": (0.003, 0.01, 0.03, 0.1, 0.3, 1.0)},
    "naive": {
        "mu": (0.03, 0.1, 0.3, 1.0),
        "gamma": (0.03, 0.3, 3.0),
        "decay": (0.01, 0.1, 1.0),
        "alpha": (1.0,),
    },
    "amtfl": {
        "mu": (0.03, 0.1, 0.3, 1.0),
        "gamma": (0.03, 0.3, 3.0),
        "decay": (0.01, 0.1, 1.0),
        "alpha": (1.0,),
    },
}
"""gamma is per row (AMTFL) or as it stands (naive)."""
METHODS = tuple(GRIDS)


# ---- what is measured


def rmse(W: np.ndarray, tasks: TaskSet) -> float:
    """The mean over tasks."""
    return float(
        np.mean([np.sqrt(np.mean((task.X @ w - task.y) ** 2)) for task, w in zip(tasks, W.T, strict=True)])
    )


def overlap(basis: np.ndarray, true: np.ndarray) -> float:
    """||P_true P_found||_F^2 / K: 1 where the features span the planted ones, 0 where they miss them."""
    if not basis.size or not np.abs(basis).max() > 0.0:
        return 0.0
    U, values, _ = np.linalg.svd(basis, full_matrices=False)
    kept = U[:, values > 1e-6 * values[0]]
    return float((np.linalg.qr(true)[0].T @ kept).__pow__(2).sum()) / K


def figures(found: Fitted, problem: Planted) -> dict[str, Any]:
    """Errors of predictors relative to their length, by easy and hard tasks; overlap; feedback."""
    errors = np.linalg.norm(found.W - problem.W, axis=0) / np.linalg.norm(problem.W, axis=0)
    told: dict[str, Any] = {
        "easy": float(errors[:EASY].mean()),
        "hard": float(errors[EASY:].mean()),
        "overlap": overlap(found.basis, problem.basis),
        "validation": rmse(found.W, problem.validation),
        "certified": bool(found.certified),
        "residual": float(found.residual),
    }
    if found.A is not None:
        told["silent hard rows"] = int((found.A[EASY:] == 0.0).all(axis=1).sum())
        told["giving easy rows"] = int((found.A[:EASY] != 0.0).any(axis=1).sum())
    return told


def settings(method: str) -> Iterator[dict[str, float]]:
    names = tuple(GRIDS[method])
    for values in itertools.product(*GRIDS[method].values()):
        yield dict(zip(names, values, strict=True))


def chosen(method: str, problem: Planted) -> dict[str, Any]:
    """The fit whose validation error is least, and what was lost on the way."""
    best: dict[str, Any] | None = None
    refused, uncertified, nothing, started = 0, 0, 0, time.process_time()
    for given in settings(method):
        try:
            found = FITS[method](problem.train, **given)
        except AMTLError:
            refused += 1
            continue
        told = figures(found, problem) | {"settings": given}
        nothing += found.nothing
        uncertified += not told["certified"] and not found.nothing
        if best is None or told["validation"] < best["validation"]:
            best = told
    assert best is not None
    spent = round(time.process_time() - started, 2)
    return best | {
        "refused": refused,
        "nothing": nothing,
        "uncertified": uncertified,
        "cpu_seconds": spent,
    }


# ---- the report


def interval(differences: np.ndarray) -> tuple[float, float]:
    """Mean and half of a 95 % interval."""
    n = len(differences)
    half = student.ppf(0.975, n - 1) * differences.std(ddof=1) / np.sqrt(n) if n > 1 else float("nan")
    return float(differences.mean()), float(half)


def compared(rows: list[dict[str, Any]], figure: str, other: str) -> str:
    mean, half = interval(np.array([row["amtfl"][figure] - row[other][figure] for row in rows]))
    better = sum(
        (row["amtfl"][figure] < row[other][figure]) is (figure != "overlap")
        and row["amtfl"][figure] != row[other][figure]
        for row in rows
    )
    return f"{mean:+.3f} +- {half:.3f} ({better} of {len(rows)})"


def text(told: Mapping[str, Any]) -> str:
    lines = [
        "# Are planted features recovered?",
        "",
        f"Written by `basis.py`. {told['machine']}",
        "",
        "T = 12, d = 20, k = 6, six easy and six hard tasks; weights chosen on validation rows of the same"
        " noise. Errors are ||w_t - w*_t|| / ||w*_t||, means over tasks; overlap is"
        " ||P_true P_found||_F^2 / k, for STL and AMTL that of the six first singular directions of W.",
    ]
    for name, rows in told["designs"].items():
        lines += ["", f"## {DESIGNS[name].words}", ""]
        lines += ["| method | error, easy | error, hard | overlap | validation RMSE | CPU s, all fits |"]
        lines += ["|---|---|---|---|---|---|"]
        for method in METHODS:
            cells = [
                f"{np.mean([row[method][figure] for row in rows]):.3f}"
                for figure in ("easy", "hard", "overlap", "validation")
            ]
            spent = np.mean([row[method]["cpu_seconds"] for row in rows])
            lines.append(f"| {method} | {' | '.join(cells)} | {spent:.1f} |")
        lines += [
            "",
            "AMTFL minus other, paired over seeds, 95 % interval (seeds on which it is better):",
            "",
        ]
        lines += [
            "| other | error, easy | error, hard | overlap | validation RMSE |",
            "|---|---|---|---|---|",
        ]
        for other in METHODS[:-1]:
            cells = [compared(rows, figure, other) for figure in ("easy", "hard", "overlap", "validation")]
            lines.append(f"| {other} | {' | '.join(cells)} |")
        silent = sum(row["amtfl"]["silent hard rows"] for row in rows)
        giving = sum(row["amtfl"]["giving easy rows"] for row in rows)
        count = (T - EASY) * len(rows)
        lines += [
            "",
            f"Rows of A of hard tasks that are exactly 0: {silent} of {count}; of easy tasks that are not:"
            f" {giving} of {EASY * len(rows)}.",
            f"Chosen fits that are certified: AMTFL {total(rows, 'amtfl', 'certified')} of {len(rows)},"
            f" GO-MTL {total(rows, 'go-mtl', 'certified')}. Of all fits in their grids"
            f" {total(rows, 'amtfl', 'nothing')} and {total(rows, 'go-mtl', 'nothing')} end at the point 0,"
            f" {total(rows, 'amtfl', 'uncertified')} and {total(rows, 'go-mtl', 'uncertified')} more are not"
            f" certified. Worst residual of `naive`, over J:"
            f" {max(row['naive']['residual'] for row in rows):.1e}.",
            "",
            verdict(rows),
        ]
    return "\n".join(lines) + "\n"


def total(rows: list[dict[str, Any]], method: str, figure: str) -> int:
    return int(sum(row[method][figure] for row in rows))


def verdict(rows: list[dict[str, Any]]) -> str:
    """What the intervals allow to be said, figure by figure."""
    lines = []
    for figure, sign, words in (
        ("hard", -1.0, "the error of hard tasks"),
        ("easy", -1.0, "the error of easy tasks"),
        ("overlap", 1.0, "the overlap with the planted features"),
        ("validation", -1.0, "the validation error"),
    ):
        found: dict[str, list[str]] = {"better": [], "worse": [], "not told apart": []}
        for other in METHODS[:-1]:
            gained = np.array([sign * (row["amtfl"][figure] - row[other][figure]) for row in rows])
            mean, half = interval(gained)
            told = "better" if mean > half else "worse" if mean < -half else "not told apart"
            found[told].append(other)
        shown = [f"{told} than {', '.join(m)}" for told, m in list(found.items())[:2] if m]
        shown += [f"not told apart from {', '.join(found['not told apart'])}"] * bool(found["not told apart"])
        lines.append(f"- {words}: {'; '.join(shown)}")
    return "\n".join(["AMTFL, at 95 %:", "", *lines])


def drawn(told: Mapping[str, Any], path: Path) -> None:
    """Hard tasks' error of every method, a point a seed, by design."""
    designs = told["designs"]
    figure = Figure(figsize=(4.2 * len(designs), 3.6), layout="constrained")
    axes = np.atleast_1d(figure.subplots(1, len(designs), sharey=True))
    for axis, (name, rows) in zip(axes, designs.items(), strict=True):
        for place, method in enumerate(METHODS):
            values = [row[method]["hard"] for row in rows]
            axis.plot([place] * len(values), values, "o", color="0.6", markersize=4)
            axis.plot([place - 0.25, place + 0.25], [np.mean(values)] * 2, color="tab:blue", linewidth=2)
        for row in rows:
            axis.plot(range(len(METHODS)), [row[m]["hard"] for m in METHODS], color="0.85", zorder=0)
        axis.set_xticks(range(len(METHODS)), METHODS)
        axis.set_title(DESIGNS[name].words, fontsize=9)
    axes[0].set_ylabel("relative error of hard tasks' predictors")
    figure.suptitle("A grey line is a seed, a blue bar the mean", fontsize=9)
    write_png(figure, path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=tuple(DESIGNS))
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--out", type=Path, default=HERE)
    given = parser.parse_args()
    place = given.out / "basis.json"
    told: dict[str, Any] = json.loads(place.read_text()) if place.is_file() else {"designs": {}}
    told = {"machine": machine(), "grids": GRIDS, **{"designs": told["designs"]}}
    for name in (given.only,) if given.only else tuple(DESIGNS):
        rows = []
        for seed in range(1, given.seeds + 1):
            problem = planted(DESIGNS[name], seed)
            rows.append({method: chosen(method, problem) for method in METHODS})
            shown = {m: f"{r['hard']:.3f} ({r['cpu_seconds']:.0f} s)" for m, r in rows[-1].items()}
            print(name, seed, shown, flush=True)
        told["designs"][name] = rows
        place.write_text(json.dumps(told, indent=1) + "\n")
    order = {name: told["designs"][name] for name in DESIGNS if name in told["designs"]}
    told["designs"] = order
    (given.out / "basis.md").write_text(text(told))
    drawn(told, given.out / "basis.png")


if __name__ == "__main__":
    main()
