"""Draw the pictures of the README: the packaged problems fitted with their recommended settings.

    python reports/gallery.py

writes <problem>-graph.png, <problem>-convergence.png, paper-synthetic-truth.png and gallery.json beside
itself, in gallery/. tests/test_gallery.py holds gallery.json against a new fit, and says when to run this.
"""

from __future__ import annotations

import json
from pathlib import Path

from amtl_cvx import Dataset, Preparation, Solution, fit, read
from amtl_cvx.plotting import convergence_figure, graph_figure, truth_figure, write_png
from amtl_cvx.problem import make_model
from amtl_cvx.runfolder import versions
from amtl_cvx.scoring import score

HERE = Path(__file__).resolve().parent / "gallery"
PROBLEMS = ("digits", "paper-synthetic")


def solve(name: str) -> tuple[Dataset, Solution, dict[str, object]]:
    """Fit one problem; the data, the solution and the figures that gallery.json holds."""
    dataset = read(name)
    settings = dict(dataset.settings)
    preparation = Preparation.learn(
        dataset.train, standardize=settings.pop("standardize"), intercept=settings.pop("intercept")
    )
    train = preparation.apply_tasks(dataset.train)
    model = make_model(**settings)
    solution = fit(train, model)
    facts: dict[str, object] = {
        "verdict": solution.certificate.verdict(),
        "objective": solution.objective,
        "edges": solution.certificate.edges,
    }
    if dataset.test is not None:
        test, classes = preparation.apply_tasks(dataset.test), dataset.classes is not None
        single = fit(train, model, method="stl")
        facts["test"] = dict(score(solution, test, classes=classes))
        facts["test, single-task at the same coupling"] = dict(score(single, test, classes=classes))
    return dataset, solution, facts


def draw(name: str) -> dict[str, object]:
    """Fit one problem, write its pictures, return its figures."""
    dataset, solution, facts = solve(name)
    write_png(graph_figure(solution.graph, title=name), HERE / f"{name}-graph.png")
    write_png(convergence_figure(solution.history, tol=1e-8), HERE / f"{name}-convergence.png")
    if dataset.truth_B is not None:
        write_png(truth_figure(solution.graph, dataset.truth_B), HERE / f"{name}-truth.png")
    return facts


if __name__ == "__main__":
    HERE.mkdir(exist_ok=True)
    found = {name: draw(name) for name in PROBLEMS}
    (HERE / "gallery.json").write_text(json.dumps({**found, "versions": versions()}, indent=1) + "\n")
