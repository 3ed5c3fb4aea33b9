r"""L4: what the price of edges does, from mu = 0 to a mu at which no edge is left.

affine        J is affine in mu, and in the coupling, whatever else is wrong with it:
J(2 mu) - J(mu) = J(mu) - J(0), and with 4, 2 and 1 times the coupling likewise
free          at mu = 0 the B-step is non-negative least squares
dear-b-step   mu above 2 coupling w_s'w_t / (c_s l_s) for all s, t: the B-step gives the empty graph
dear-fit      from there on a fit begun at the empty graph stays there, and W is the ridge: the W-step at
B = 0
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from amtl_cvx.arrays import Array
from amtl_cvx.problem import Problem
from amtl_cvx.reference.judge.asked import doubles
from amtl_cvx.reference.judge.case import Case, Outcome
from amtl_cvx.reference.judge.checks.edges import best_B, several
from amtl_cvx.reference.judge.checks.held import Step, distance
from amtl_cvx.reference.judge.checks.registry import check
from amtl_cvx.reference.judge.checks.steps import best_W
from amtl_cvx.reference.judge.checks.turned import Twin, amtl
from amtl_cvx.reference.judge.failure import Failure
from amtl_cvx.reference.judge.misses import misses_B
from amtl_cvx.reference.judge.tolerance import SOLVABLE
from amtl_cvx.transfer import LossWeightedL1

_DEAR = 4.0
_DEAREST = 1e12


def at_price(case: Case, name: str, *, mu: float | None = None, coupling: float = 1.0) -> Case:
    """The same back end at another mu, and so many times the coupling; kept."""
    key = f"at {name}"
    if key not in case.kept:
        model = case.problem.model
        transfer = model.transfer if mu is None else LossWeightedL1(mu=mu)
        turned = replace(model, transfer=transfer, coupling=coupling * model.coupling)
        problem = Problem(case.problem.tasks, turned)
        solution = {"W": case.W["generic"], "B": case.B["generic"]}
        case.kept[key] = case.before(Twin(name=f"{case.name} {name}", problem=problem, solution=solution))
    found: Case = case.kept[key]
    return found


def dear(case: Case, W: Array) -> float | None:
    """A power of two that is a mu at which W has no edges; None where no price is too high."""
    point = case.problem.at(W, np.zeros((case.T, case.T)))
    gains = 2.0 * float(point.model.coupling) * (W.T @ W)
    np.fill_diagonal(gains, 0.0)
    losses = np.asarray(point.weighted_losses)
    worst = gains.max(axis=1)
    if not (losses[worst > 0.0] > 0.0).all():
        return None
    most = float((worst[worst > 0.0] / losses[worst > 0.0]).max(initial=1e-6))
    mu = float(2.0 ** math.ceil(math.log2(_DEAR * most)))
    return mu if mu <= _DEAREST * max(float(point.model.mu), 1e-6) else None


# ------------------------------------------------------------------------------------------- affine


def _affine(what: str) -> Callable[[Case], Outcome]:
    def run(case: Case) -> Outcome:
        mu = float(case.problem.model.mu) or 1.0
        if what == "mu":
            others = [at_price(case, f"mu x{k:g}", mu=k * mu) for k in (0.0, 1.0, 2.0)]
        else:
            others = [at_price(case, f"coupling x{k:g}", coupling=k) for k in (1.0, 2.0, 3.0)]
        W, B = case.W["generic"], case.B["generic"]
        asked = [other.asked("evaluate", W=W, B=B) for other in others]
        answers = [other.answer(each) for other, each in zip(others, asked, strict=True)]
        if not all("objective" in answer for answer in answers):
            return Outcome("skipped", "evaluate does not give objective")
        limits = [other.limits(other.point(each)) for other, each in zip(others, asked, strict=True)]
        J = [float(answer["objective"]) for answer in answers]
        found = abs((J[2] - J[1]) - (J[1] - J[0]))
        limit = limits[0].objective + 2.0 * limits[1].objective + limits[2].objective
        figures = {"bend": found, "limit": limit}
        if found <= limit:
            return Outcome("passed", f"J is affine in {what}", figures)
        right = [float(each.point.objective) for each in limits]
        worse = int(
            np.argmax([abs(a - b) / each.objective for a, b, each in zip(J, right, limits, strict=True)])
        )
        failure = Failure(
            check="",
            asked=asked[worse],
            problem=others[worse].problem,
            quantity="objective",
            answer=answers[worse],
            right={"objective": np.array(right[worse])},
            limit=limits[worse].objective,
            pack=case.pack,
        )
        words = f"J is not affine in {what}: it bends by {found:.2e}, the limit is {limit:.1e}"
        evidence = {"answer": np.array(J), "right": np.array(right)}
        return Outcome("failed", words, figures, evidence, failure)

    return run


# -------------------------------------------------------------------------------------------- b-step


def _b_step(case: Case, other: Case) -> tuple[Step, Array]:
    """The step there, at the generic W."""
    asked = other.asked("b-step", W=case.W["generic"])
    answer = other.answer(asked)
    best = best_B(other, doubles(asked.W))
    step = Step(
        case=other,
        quantity="b_step",
        asked=asked,
        answer=answer,
        right={"B": best.B},
        limits=other.limits(best),
    )
    return step, other.problem.model.transfer.project(answer["B"])


def _free(case: Case) -> Outcome:
    step, B = _b_step(case, at_price(case, "mu x0", mu=0.0))
    return step.held("residual", misses_B(step.case.point(step.asked, B=B)).relative, step.residual)


def _dear_b_step(case: Case) -> Outcome:
    mu = dear(case, case.W["generic"])
    assert mu is not None
    step, B = _b_step(case, at_price(case, "dear edges", mu=mu))
    point = step.case.point(step.asked, B=B)
    prices = np.asarray(point.row_prices)
    gap = float((prices[:, None] * B).sum())
    limit = step.limits.gap_B(step.residual, np.zeros_like(B))
    figures = {"price": gap, "limit": limit}
    if gap <= limit:
        return Outcome("passed", "the graph is empty", figures)
    s, t = np.unravel_index(int(B.argmax()), B.shape)
    words = f"at mu = {mu:g} no edge pays, B[{s}, {t}] is {B[s, t]:.3g}: the graph has to be empty"
    return step.failed(words, figures)


# ----------------------------------------------------------------------------------------------- fit


def _dear_fit(case: Case) -> Outcome:
    mu = dear(case, best_W(case, case.B["zero"]).W)
    assert mu is not None
    other = at_price(case, "a dear graph", mu=mu)
    asked = other.asked("fit", W=case.W["zero"], B=case.B["zero"])
    answer = other.answer(asked)
    best = best_W(other, doubles(asked.B))
    limits = other.limits(best)
    step = Step(
        case=other,
        quantity="fit",
        asked=asked,
        answer=answer,
        right={"W": best.W, "B": best.B},
        limits=limits,
        final=True,
    )
    limit = limits.kappa_W * step.residual
    if not limit <= SOLVABLE:
        return Outcome("skipped", f"{case.dtype} does not resolve it: the limit would be {limit:.1e}")
    root = np.sqrt(limits.curvature_W)
    found, edges = distance(root * answer["W"], root * best.W), float(np.abs(answer["B"]).max())
    figures = {"distance": found, "edges": edges, "limit": limit}
    if max(found, edges) <= limit:
        return Outcome("passed", f"the graph is empty and W the ridge to {found:.1e}", figures)
    if edges > limit:
        words = f"at mu = {mu:g} no edge pays, the largest is {edges:.3g}: the graph has to be empty"
    else:
        words = f"without edges W is the ridge, it is off by {found:.2e} of it, the limit is {limit:.1e}"
    return step.failed(words, figures)


# ------------------------------------------------------------------------------------------- registry


def _of_price(case: Case) -> str:
    return several(case) or amtl(case)


def _with_dear_step(case: Case) -> str:
    why = _of_price(case)
    return why or ("" if dear(case, case.W["generic"]) is not None else "no price empties the graph")


def _with_dear_fit(case: Case) -> str:
    why = _of_price(case)
    if why:
        return why
    found = dear(case, best_W(case, case.B["zero"]).W)
    return "" if found is not None else "no price empties the graph"


for _what in ("mu", "coupling"):
    check(
        "L4",
        f"affine-{_what}",
        needs="evaluate",
        title=f"J is affine in {_what}",
        most=3,
        applies=_of_price,
    )(_affine(_what))
check(
    "L4",
    "free-b-step",
    needs="b-step",
    title="the B-step at mu = 0 is non-negative least squares",
    most=3,
    applies=_of_price,
)(_free)
check(
    "L4",
    "dear-b-step",
    needs="b-step",
    title="the B-step at a large mu gives the empty graph",
    most=3,
    applies=_with_dear_step,
)(_dear_b_step)
check(
    "L4",
    "dear-fit",
    needs="fit",
    title="a fit at a large mu gives the empty graph and the ridge",
    most=3,
    applies=_with_dear_fit,
)(_dear_fit)
