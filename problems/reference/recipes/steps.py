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
from amtl_cvx.transfer import TransferPenalty
from recipes.answers import nearest_doubles
from recipes.designs import Rows, graph, related
from recipes.integers import Draws
from recipes.losses import KINDS
from recipes.recipe import Answer, Array, Recipe, Stated

NEWTON_STEPS, ROUNDING = 60, 1e-14
"""How many, and the part of a value that rounding may be."""


def with_digits(recipe: Recipe, stated: Stated, blocks: Mapping[str, Array], *, method: str) -> Answer:
    """Blocks that were found, or the doubles next to their digits where these are proven."""
    from amtl_cvx.reference.claims import digits_of

    problem = Problem(stated.tasks, stated.model)

    def proven(blocks: Mapping[str, Array]) -> tuple[dict[str, object] | None, str]:
        return digits_of(problem, recipe.ask, blocks, given=stated.given, task=recipe.task)

    digits, why = proven(blocks)
    settings = {"method": method}
    if digits is None:
        return Answer(solution=dict(blocks), settings={**settings, "no digits": why})
    near = {
        name: nearest_doubles(_rows(digits[name]), like=block)
        if name in digits and name != "order"
        else block
        for name, block in blocks.items()
    }
    return Answer(solution=near, digits=proven(near)[0], settings=settings)


def _rows(decimals: Sequence[object]) -> Sequence[Sequence[str]]:
    """Decimals of a block as rows; those of one predictor are one row."""
    return [decimals] if isinstance(decimals[0], str) else decimals


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
        while length > 1e-12 and value(w - length * move) > value(w) * (1.0 + ROUNDING):
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


def step_recipe(
    ask: str,
    name: str,
    title: str,
    grade: str,
    traits: tuple[str, ...],
    task: int | None,
    given: Mapping[str, object],
) -> Recipe:
    """The recipe of a single step; `given` as `_step` has it."""
    answers = {"w-step": best_weights, "b-step": best_graph, "one-task": best_predictor}
    state = functools.partial(_step, ask=ask, **given)
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


LABELS = (20, 17, 24, 18)
TWELVE = (14, 20, 16, 24, 12, 18, 22, 15, 13, 19, 17, 21)
