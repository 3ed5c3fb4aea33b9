"""Answers: the lowest of many fits, digits proven next to it, and the doubles nearest to these digits.

    answer = answered(recipe, stated)

Of a joint problem of AMTL fits begin at B = 0 and at dyadic B of the recipe's draws. Where the digits of a
point are proven (`digits.prove`, `features.prove_features`) its blocks are the doubles next to the decimals,
and so the same on every machine, whatever last bits the fit had. Where the proof of an exact bound knows of
a lower point, fits begin there as well.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from amtl_cvx import Options, fit
from amtl_cvx.amtl.starts import Start
from amtl_cvx.enclosure import enclose, stored_enclosure
from amtl_cvx.errors import AMTLError, ModelError, NotCertifiable
from amtl_cvx.explore import explore
from amtl_cvx.families import DEFAULT, family_of
from amtl_cvx.limits import limited
from amtl_cvx.problem import Problem
from amtl_cvx.solution import Solution
from recipes.integers import Draws, dyadic
from recipes.recipe import Answer, Array, Arrays, Recipe, Stated

MOST_MINIMA = 6
"""Other first-order points that a pack lists, at most."""
SECONDS = 600.0
"""Limit of one search for an exact bound."""
WIDTH = 1e-6
"""Largest relative width of an enclosure that a pack has; most are below 1e-17."""
_TOLERANCES = (1e-12, 1e-10, 1e-8)


def answered(recipe: Recipe, stated: Stated, proof: dict[str, Any] | None = None) -> Answer:
    """The answer to what a recipe asks; a stored proof of its bound is not searched again."""
    if recipe.answer is not None:
        return recipe.answer(recipe, stated, proof)
    if recipe.ask != "joint":
        raise ValueError(f"{recipe.name}: a recipe that asks for a {recipe.ask} says how it is answered")
    if family_of(stated.model).name == DEFAULT:
        return of_starts(recipe, stated, proof)
    return of_fit(recipe, stated)


def fitted(stated: Stated, *, method: str | None = None, start: Any = None) -> Solution:
    """A fit to the smallest tolerance that it comes to, with the fast engine where that has the steps.

    Raises
    ------
    RuntimeError
        Where it passes at no tolerance.
    """
    start = stated.start if start is None else start
    found = None
    for tol in _TOLERANCES:
        found = fit(stated.tasks, stated.model, method=method, options=_options(stated, tol=tol, start=start))
        if found.certificate.passes:
            return found
    raise RuntimeError(f"no certificate: {found and found.certificate.verdict()}")


def of_fit(recipe: Recipe, stated: Stated) -> Answer:
    """One fit of any family, its digits proven where they are to be had."""
    found = fitted(stated)
    blocks, digits = sharpened(recipe, stated, dict(found.blocks))
    return Answer(solution=blocks, digits=digits, settings={"method": found.method})


def of_starts(recipe: Recipe, stated: Stated, proof: dict[str, Any] | None) -> Answer:
    """The lowest of many fits of AMTL, the others beside it, and an exact bound where one is wanted."""
    starts = list(_starts(Draws(recipe.name), stated.tasks.T, recipe.starts))
    points = _points(stated, starts)
    solution, digits = sharpened(recipe, stated, dict(points[0]))
    if recipe.enclosed:
        lower, proof = bounded(stated, solution, proof)
        if lower is not None:
            points.insert(0, lower)
            solution, digits = sharpened(recipe, stated, dict(lower))
    others = [sharpened(recipe, stated, dict(each))[0] for each in points[1 : MOST_MINIMA + 1]]
    return Answer(
        solution=solution,
        minima=tuple(others),
        digits=digits,
        proof=proof,
        settings={"method": "alternating", "starts": len(starts), "first-order points": len(points)},
    )


def sharpened(
    recipe: Recipe, stated: Stated, blocks: dict[str, Array]
) -> tuple[Arrays, dict[str, Any] | None]:
    """The doubles next to the proven digits of a point, and these; what was given where none are proven."""
    if not recipe.digits:
        return blocks, None
    try:
        found = _proven(stated, blocks)
        if found is None:
            return blocks, None
        nearest = {name: nearest_doubles(getattr(found, name), like=block) for name, block in blocks.items()}
        found = _proven(stated, nearest)  # whose distance is that of what is stored, on every machine
    except (NotCertifiable, ModelError):
        return blocks, None
    said = {key: value for key, value in found.named(stated.tasks).items() if key != "seconds"}
    return nearest, said


def nearest_doubles(decimals: Sequence[Sequence[str]], *, like: Array) -> Array:
    """The doubles nearest to decimals; a zero of which only decimals are known is 0."""
    found = np.array([[float(text) for text in row] for row in decimals]).reshape(like.shape)
    return np.where(np.abs(found) < 1e-30 * max(float(np.abs(found).max(initial=0.0)), 1e-300), 0.0, found)


def _proven(stated: Stated, blocks: Arrays) -> Any:
    """What is proved next to a point, None where it is no strict local minimum or not of this basin."""
    if family_of(stated.model).name == DEFAULT:
        from amtl_cvx.digits import prove

        return prove(stated.tasks, stated.model, blocks["W"], blocks["B"])
    problem = family_of(stated.model).problem(stated.tasks, stated.model)
    if set(blocks) != {"L", "S", "A"} and set(blocks) != {"L", "S"}:
        return None
    from amtl_cvx.features.proven import prove_features

    return prove_features(problem.at(**blocks))


def _points(stated: Stated, starts: Sequence[Start]) -> list[Arrays]:
    """The distinct first-order points that the starts lead to, lowest J first."""
    found = explore(stated.tasks, stated.model, starts, options=_options(stated, tol=1e-10))
    if not found.points:
        return [fitted(stated).blocks]
    return [_refitted(stated, point.solution) for point in found.points]


def _refitted(stated: Stated, solution: Solution) -> Arrays:
    """The same point at the smallest tolerance that a fit from it comes to."""
    try:
        better = fitted(stated, start=dict(solution.blocks))
    except (RuntimeError, AMTLError):
        return dict(solution.blocks)
    return dict(better.blocks) if better.objective <= solution.objective else dict(solution.blocks)


def _options(stated: Stated, *, tol: float, start: Any = None) -> Options:
    fast = (
        family_of(stated.model).name == DEFAULT
        and stated.model.transfer.row_prices(np.zeros(stated.tasks.T)) is not None
    )
    return Options(tol=tol, engine="fast" if fast else "cvxpy", start=start)


def _starts(draws: Draws, T: int, count: int) -> Iterator[Start]:
    """B = 0, then dyadic B: an entry in two, three or five is there, column sums of about 1/2 to 4."""
    yield Start("zero", np.zeros((T, T)))
    for k in range(1, count if T > 1 else 1):
        there = draws.integers(f"start {k} edges", (T, T), 0, (1, 2, 4)[k % 3]) == 0
        size = draws.integers(f"start {k}", (T, T), 1, 64 * 2 ** (k % 4))
        B = dyadic(np.where(there & ~np.eye(T, dtype=bool), size, 0), 6)
        yield Start(f"dyadic {k}", B)


def bounded(
    stated: Stated, solution: Arrays, proof: dict[str, Any] | None
) -> tuple[Arrays | None, dict[str, Any]]:
    """A proof of an exact bound, the stored one if it holds, and the lower point that it knows of, if any."""
    point = Problem(stated.tasks, stated.model).at(solution["W"], solution["B"])
    with limited(SECONDS):
        if proof is None:
            found = enclose(stated.tasks, stated.model, point.W, point.B)
        else:
            found = stored_enclosure(proof, point)
    if found.width > WIDTH:
        raise RuntimeError(f"the enclosure is not closed: {found.width:.1e} ({found.stopped})")
    if found.beaten <= 1e-9:
        return None, found.proof
    start = {name: np.array(getattr(found, name), dtype=float) for name in ("W", "B")}
    return dict(fitted(stated, start=start).blocks), found.proof
