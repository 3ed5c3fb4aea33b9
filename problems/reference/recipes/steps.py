"""Single steps: the best W for a graph, the best graph for predictors, the best predictor of one task.

What is given is made of whole numbers as well: a graph of sixty-fourths, predictors of eighths. Each step is
convex; its answer is found in NumPy and proven to 40 digits by other means where that can be
(`reference.claims.digits_of`), and is then the doubles next to these.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from amtl_cvx import LossWeightedL1, Model, Problem
from amtl_cvx.losses import make_loss
from amtl_cvx.refine.b_step import direct_step
from amtl_cvx.subproblems import Coupled, task_step
from amtl_cvx.subproblems.numpy_steps import minimal_weights
from amtl_cvx.transfer import ElasticNet, RowBudget, SignedL1, TransferPenalty
from recipes.answers import nearest_doubles
from recipes.designs import Rows, graph, related
from recipes.integers import Draws, dyadic
from recipes.losses import KINDS
from recipes.recipe import Answer, Array, Recipe, Stated

NEWTON_STEPS = 60


def with_digits(recipe: Recipe, stated: Stated, blocks: Mapping[str, Array], *, method: str) -> Answer:
    """Blocks that were found, or the doubles next to their digits where these are proven."""
    from amtl_cvx.reference.claims import digits_of

    problem = Problem(stated.tasks, stated.model)
    digits, why = digits_of(problem, recipe.ask, blocks, given=stated.given, task=recipe.task)
    settings = {"method": method}
    if digits is None:
        return Answer(solution=dict(blocks), settings={**settings, "no digits": why})
    near = {
        name: nearest_doubles(_rows(digits[name]), like=block) if name in digits else block
        for name, block in blocks.items()
    }
    return Answer(solution=near, digits=digits, settings=settings)


def _rows(decimals: Sequence[object]) -> Sequence[Sequence[str]]:
    """Decimals of a block as rows; those of one predictor are one row."""
    return [decimals] if isinstance(decimals[0], str) else decimals  # type: ignore[list-item, return-value]


def best_weights(recipe: Recipe, stated: Stated, proof: object = None) -> Answer:
    """The W-step at the given B."""
    B = stated.given["B"]
    point = Problem(stated.tasks, stated.model).at(np.zeros((stated.tasks.d, stated.tasks.T)), B)
    return with_digits(recipe, stated, {"W": minimal_weights(point)}, method="Newton's method in NumPy")


def best_graph(recipe: Recipe, stated: Stated, proof: object = None) -> Answer:
    """The B-step at the given W."""
    W, T = stated.given["W"], stated.tasks.T
    step = direct_step(stated.model, T)
    assert step is not None
    point = Problem(stated.tasks, stated.model).at(W, stated.model.transfer.start(T))
    for _ in range(20):
        found = point.at(B=step.solve(point).value)
        if not found.objective < point.objective:
            break
        point = found
    return with_digits(recipe, stated, {"B": point.B}, method="active set or prox steps in NumPy")


def best_predictor(recipe: Recipe, stated: Stated, proof: object = None) -> Answer:
    """The predictor of one task at the given W and B, by Newton's method with halved steps."""
    assert recipe.task is not None
    point = Problem(stated.tasks, stated.model).at(stated.given["W"], stated.given["B"])
    w = newton(task_step(point, recipe.task), point.W[:, recipe.task])
    return with_digits(recipe, stated, {"w": w}, method="Newton's method in NumPy")


def newton(step: Coupled, w: Array) -> Array:
    """argmin of a L(w) + ||k w - q||^2 of one task with a smooth loss, (d,)."""
    (task,), a, k, q = step.tasks, float(step.a[0]), float(step.Q[0, 0]), step.O[:, 0]

    def value(w: Array) -> float:
        return a * step.loss.value(task, w) + float(((k * w - q) ** 2).sum())

    for _ in range(NEWTON_STEPS):
        slope = a * step.loss.gradient(task, w) + 2.0 * k * (k * w - q)
        H = a * step.loss.hessian(task, w) + 2.0 * k * k * np.eye(len(w))
        move, length = np.linalg.solve(H, slope), 1.0
        while length > 1e-12 and value(w - length * move) > value(w):
            length *= 0.5
        w = w - length * move
    return w


def _step(
    draws: Draws,
    *,
    ask: str,
    loss: str,
    coupling: float,
    mu: float = 1.0,
    transfer: TransferPenalty | None = None,
    omega: str | None = None,
    reduction: str = "mean",
    counts: Sequence[int] = (8, 12, 10, 16),
    d: int = 4,
    noise: Sequence[int] | None = None,
    weighted: bool = False,
    change: Callable[[Draws, Rows, Array], tuple[Rows, Array]] | None = None,
) -> Stated:
    kind = KINDS[loss.partition(":")[0]]
    usual = (64, 256) if kind == "labels" else (16, 64)
    rows = related(draws, counts=counts, d=d, noise=noise or usual, weighted=weighted, spread=4)
    B = graph(draws, len(counts))
    if change is not None:
        rows, B = change(draws, rows, B)
    model = Model(
        loss=make_loss(loss, reduction=reduction),
        transfer=transfer or LossWeightedL1(mu=mu),
        coupling=coupling,
        omega=omega,
    )
    tasks, W = rows.tasks(kind), rows.predictors
    given = {"w-step": {"B": B}, "b-step": {"W": W}, "one-task": {"W": W, "B": B}}[ask]
    return Stated(tasks=tasks, model=model.bind(tasks), given=given)


def _near_one(draws: Draws, rows: Rows, B: Array) -> tuple[Rows, Array]:
    """A cycle of edges of 1 - 2^-10: the least singular value of I - B is about 2^-10."""
    T = len(rows.X)
    cycle = np.zeros((T, T), dtype=np.int64)
    cycle[np.arange(T), (np.arange(T) + 1) % T] = 1023
    return rows, dyadic(cycle, 10)


def _twins(draws: Draws, rows: Rows, B: Array) -> tuple[Rows, Array]:
    """The predictor of task 1 is twice that of task 0: of several best graphs all have the same W B."""
    W = rows.W.copy()
    W[:, 1] = 2 * W[:, 0]
    return Rows(X=rows.X, W=W, scores=rows.scores), B


def _exact_fit(draws: Draws, rows: Rows, B: Array) -> tuple[Rows, Array]:
    """The targets of task 0 are those of its predictor, without noise: its edges cost nothing."""
    scores = [rows.X[0] @ rows.W[:, 0], *rows.scores[1:]]
    return Rows(X=rows.X, W=rows.W, scores=scores), B


def _recipe(
    ask: str,
    name: str,
    title: str,
    grade: str,
    traits: tuple[str, ...],
    task: int | None,
    given: Mapping[str, object],
) -> Recipe:
    answers = {"w-step": best_weights, "b-step": best_graph, "one-task": best_predictor}
    state = functools.partial(_step, ask=ask, **given)  # type: ignore[arg-type]
    return Recipe(
        name=name,
        title=title,
        grade=grade,
        traits=traits,
        state=state,
        ask=ask,
        task=task,
        answer=answers[ask],
    )


def _w(name: str, title: str, grade: str = "easy", traits: tuple[str, ...] = (), **given: object) -> Recipe:
    return _recipe("w-step", f"step-w-{name}", f"W-step: {title}", grade, traits, None, given)


def _b(name: str, title: str, grade: str = "easy", traits: tuple[str, ...] = (), **given: object) -> Recipe:
    return _recipe("b-step", f"step-b-{name}", f"B-step: {title}", grade, traits, None, given)


def _one(name: str, title: str, task: int, traits: tuple[str, ...] = (), **given: object) -> Recipe:
    return _recipe("one-task", f"step-one-{name}", f"One task: {title}", "easy", traits, task, given)


LABELS = (20, 17, 24, 18)
TWELVE = (14, 20, 16, 24, 12, 18, 22, 15, 13, 19, 17, 21)

RECIPES = (
    _w("squared", "four tasks, mean squared loss.", loss="squared", coupling=0.25),
    _w(
        "squared-sum",
        "six tasks, squared loss summed over rows.",
        loss="squared",
        reduction="sum",
        coupling=4.0,
        counts=(12, 9, 16, 10, 14, 8),
        d=5,
    ),
    _w(
        "squared-few-rows",
        "fewer rows than features, mean squared loss.",
        "average",
        ("n < d",),
        loss="squared",
        coupling=0.25,
        counts=(3, 4, 2, 5),
        d=8,
    ),
    _w(
        "squared-near-singular",
        "the edges form a cycle of 1 - 2^-10, mean squared loss.",
        "hard",
        ("near-singular I - B",),
        loss="squared",
        coupling=0.25,
        change=_near_one,
    ),
    _w(
        "squared-twelve",
        "twelve tasks of twenty features, mean squared loss.",
        "average",
        loss="squared",
        coupling=0.25,
        counts=TWELVE,
        d=20,
    ),
    _w(
        "row-weights",
        "rows that count 1/4 to 2 times, mean squared loss.",
        "easy",
        ("row weights",),
        loss="squared",
        coupling=0.25,
        weighted=True,
    ),
    _w(
        "ridge",
        "a ridge, mean squared loss.",
        "easy",
        ("ridge",),
        loss="squared",
        coupling=0.25,
        omega="ridge:rho=0.0625",
    ),
    _w(
        "l21",
        "few features, mean squared loss.",
        "average",
        ("penalty on predictors",),
        loss="squared",
        coupling=0.25,
        omega="l21:rho=0.25",
    ),
    _w("logistic", "four tasks, mean logistic loss.", loss="logistic", coupling=0.03125, counts=LABELS),
    _w(
        "logistic-sum",
        "logistic loss summed over rows.",
        loss="logistic",
        reduction="sum",
        coupling=0.5,
        counts=LABELS,
    ),
    _w(
        "squared-hinge",
        "four tasks, mean squared hinge loss.",
        loss="squared-hinge",
        coupling=0.0625,
        counts=LABELS,
    ),
    _w("hinge", "four tasks, mean hinge loss.", "average", loss="hinge", coupling=0.0625, counts=LABELS),
    _w(
        "huber",
        "four tasks, summed Huber loss, threshold 1/2.",
        loss="huber:0.5",
        reduction="sum",
        coupling=2.0,
    ),
    _w(
        "quantile",
        "four tasks, mean quantile loss, tau 1/4.",
        "average",
        loss="quantile:0.25",
        coupling=0.125,
    ),
    _w("poisson", "four tasks, mean Poisson loss.", loss="poisson", coupling=0.25),
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
    _one("squared", "the second of four, mean squared loss.", 1, loss="squared", coupling=0.25),
    _one(
        "squared-sum",
        "the third of six, squared loss summed over rows.",
        2,
        loss="squared",
        reduction="sum",
        coupling=4.0,
        counts=(12, 9, 16, 10, 14, 8),
        d=5,
    ),
    _one(
        "logistic",
        "the first of four, mean logistic loss.",
        0,
        loss="logistic",
        coupling=0.03125,
        counts=LABELS,
    ),
    _one(
        "squared-hinge",
        "the last of four, mean squared hinge loss.",
        3,
        loss="squared-hinge",
        coupling=0.0625,
        counts=LABELS,
    ),
    _one("huber", "the second of four, mean Huber loss.", 1, loss="huber:0.5", coupling=0.25),
    _one("poisson", "the third of four, mean Poisson loss.", 2, loss="poisson", coupling=0.25),
)
