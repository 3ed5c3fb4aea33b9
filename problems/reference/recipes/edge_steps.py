"""B-steps: the best graph for predictors that are given."""

from __future__ import annotations

from amtl_cvx.transfer import ElasticNet, RowBudget, SignedL1
from recipes.designs import Rows
from recipes.integers import Draws
from recipes.recipe import Array, Recipe
from recipes.steps import LABELS, TWELVE, step_recipe


def _twins(draws: Draws, rows: Rows, B: Array) -> tuple[Rows, Array]:
    """The predictor of task 1 is twice that of task 0: of several best graphs all have the same W B."""
    W = rows.W.copy()
    W[:, 1] = 2 * W[:, 0]
    return Rows(X=rows.X, W=W, scores=rows.scores), B


def _exact_fit(draws: Draws, rows: Rows, B: Array) -> tuple[Rows, Array]:
    """The targets of task 0 are those of its predictor, without noise: its edges cost nothing."""
    scores = [rows.X[0] @ rows.W[:, 0], *rows.scores[1:]]
    return Rows(X=rows.X, W=rows.W, scores=scores), B


def _b(name: str, title: str, grade: str = "easy", traits: tuple[str, ...] = (), **given: object) -> Recipe:
    return step_recipe("b-step", f"step-b-{name}", f"B-step: {title}", grade, traits, None, given)


RECIPES = (
    _b("squared", "four tasks, mean squared loss.", loss="squared", coupling=0.25),
    _b(
        "squared-sum",
        "six tasks, squared loss summed over rows.",
        loss="squared",
        reduction="sum",
        coupling=4.0,
        counts=(12, 9, 16, 10, 14, 8),
        d=6,
    ),
    _b("logistic", "four tasks, mean logistic loss.", loss="logistic", coupling=0.25, counts=LABELS),
    _b("poisson", "four tasks, mean Poisson loss.", loss="poisson", coupling=0.5),
    _b(
        "twelve",
        "twelve tasks of sixteen features, mean squared loss.",
        "average",
        loss="squared",
        coupling=0.25,
        counts=TWELVE,
        d=16,
    ),
    _b(
        "collinear",
        "one predictor is twice another: B is not unique, W B is.",
        "hard",
        ("collinear tasks", "non-unique B with unique W B"),
        loss="squared",
        mu=0.0,
        coupling=0.25,
        change=_twins,
    ),
    _b(
        "more-tasks",
        "twelve tasks of five features.",
        "hard",
        ("many tasks",),
        loss="squared",
        mu=0.25,
        coupling=1.0,
        counts=TWELVE,
        d=5,
    ),
    _b(
        "perfect-fit",
        "a task without loss, whose edges cost nothing.",
        "average",
        ("perfectly fitted task",),
        loss="squared",
        coupling=0.25,
        change=_exact_fit,
    ),
    _b(
        "elastic-net",
        "prices and squares of edges.",
        "easy",
        loss="squared",
        coupling=0.25,
        transfer=ElasticNet(mu=0.5, rho=0.5),
    ),
    _b("signed", "edges of any sign.", "easy", loss="squared", coupling=0.25, transfer=SignedL1(mu=0.5)),
    _b(
        "row-budget",
        "no task gives more than 1/2.",
        "average",
        loss="squared",
        coupling=0.25,
        transfer=RowBudget(mu=0.25, budget=0.5),
    ),
)
