"""Proven digits of an answer, whatever it answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from amtl_cvx.arrays import Array
from amtl_cvx.errors import NotCertifiable
from amtl_cvx.families import family_of
from amtl_cvx.reference.claims.facts import Facts
from amtl_cvx.reference.claims.point import point_of

WITHOUT_EXTRAS = "the extra [verify] is not used"


def digits_of(
    problem: Any,
    ask: str,
    solution: Mapping[str, Array],
    *,
    given: Mapping[str, Array] | None = None,
    task: int | None = None,
) -> tuple[dict[str, Any] | None, str]:
    """What digits.json holds of an answer, or None with the reason; needs the extra ``[verify]``.

    Parameters
    ----------
    problem, ask, solution, given, task
        As of `claims_of`.

    Examples
    --------
    >>> import numpy as np
    >>> from amtl_cvx import LossWeightedL1, Model, Problem, TaskSet
    >>> from amtl_cvx.reference.claims import digits_of
    >>> tasks = TaskSet.from_arrays([np.eye(2), np.eye(2)], [[1.0, 0.0], [0.0, 1.0]])
    >>> problem = Problem(tasks, Model(transfer=LossWeightedL1(mu=1.0), coupling=0.5))
    >>> found, why = digits_of(problem, "w-step", {"W": np.eye(2) / 2}, given={"B": np.zeros((2, 2))})
    >>> found["W"][0][0][:6], found["strict_local_min"]
    ('0.5000', True)
    """
    from amtl_cvx.digits import prove, require_flint

    given = given or {}
    family = family_of(problem.model).name
    try:
        require_flint()
        if family in ("features", "go-mtl"):
            from amtl_cvx.features.proven import prove_features

            return prove_features(problem.at(**solution)).named(problem.tasks), ""
        if family != "amtl":
            return None, "no way is known to prove digits of a network"
        if ask == "joint":
            point = point_of(problem, ask, solution, given, task=task)
            return prove(point.tasks, point.model, point.W, point.B).named(problem.tasks), ""
        if ask == "curriculum":
            from amtl_cvx.reference.claims.curriculum_balls import curriculum_digits

            return curriculum_digits(problem, solution), ""
        from amtl_cvx.reference.claims.step_digits import step_digits

        return step_digits(problem, ask, solution, given, task=task), ""
    except NotCertifiable as refusal:
        return None, str(refusal)


def with_digits(
    facts: Facts,
    problem: Any,
    ask: str,
    solution: Mapping[str, Array],
    given: Mapping[str, Array],
    *,
    task: int | None,
    extras: bool,
) -> Facts:
    """The facts of a step with its digits, or with why it has none."""
    if not extras:
        return replace(facts, no_digits=WITHOUT_EXTRAS)
    found, why = digits_of(problem, ask, solution, given=given, task=task)
    return replace(facts, digits=found, no_digits=why)
