r"""A proof as JSON: everything `checker` needs, and nothing that it would have to believe.

Numbers are exact: doubles of the data as hexadecimal floats, rationals as "p/q", Gram factors as whole
multiples of 2^-bits. The checker computes the box, the objective and the bound itself.

    problem                                                    its description (`Problem.save`) and names, for
                                                               readers: the checker has no use for it
    reduction, mu, coupling, task_weights, tasks [{n, X, y}]   the problem; c_t = 1/sqrt(n_t) is "1/sqrt(7)"
    weights (n) of a task                                      how often its rows count, if not once each
    omega [a, g (T)]                                           sum a |W g|^2, a penalty on W, if there is one
    W (d, T), B (T, T)                                         the point of the upper bound
    level                                                      U' >= J(W, B): the box is that of J <= U'
    radius                                                     per variable, at least its range around (W, B)
    unit, bits, blocks [{of, basis, factor}]                   J - upper = unit * sum of squares + rest
    or cut [k, at], above {...}, below {...}                   the same in both cells, which may be cut again
    lower, upper                                               what is claimed
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

from amtl_cvx.enclosure.cells import Cell
from amtl_cvx.enclosure.exact import Matrix, exact_omega, squares_of, task_weights
from amtl_cvx.problem import Problem
from amtl_cvx.problem.stored import described, named
from amtl_cvx.tasks import Array

FORMAT, WITH_OMEGA, WITH_WEIGHTS = (f"amtl-cvx global minimum {k}" for k in (2, 3, 4))
"""Version 1 held c_t = 1/sqrt(n_t) as the double next to it, 3 has a penalty on W, 4 weights of rows, with or
without one; the checker reads all."""


def proof_of(
    problem: Problem,
    *,
    W: Matrix,
    B: Matrix,
    level: Fraction,
    radius: Sequence[Fraction],
    unit: Fraction,
    bits: int,
    cell: Cell,
    lower: Fraction,
    upper: Fraction,
) -> dict[str, Any]:
    """The proof as a dictionary that JSON can hold; see the module essay."""
    return {
        "format": _format(problem),
        "statement": "lower <= J(W, B) <= upper at a global minimum; B[s][t]: task s helps task t",
        "problem": _description(problem),
        **problem_of(problem),
        "W": _texts(W),
        "B": _texts(B),
        "level": str(level),
        "radius": [str(value) for value in radius],
        "unit": str(unit),
        "bits": bits,
        **_squares(cell),
        "lower": str(lower),
        "upper": str(upper),
    }


def problem_of(problem: Problem) -> dict[str, Any]:
    """The part of a proof that says which problem it is about."""
    tasks, model = problem.tasks, problem.model
    return {
        "reduction": model.loss.reduction,
        "mu": float(model.mu).hex(),
        "coupling": float(model.coupling).hex(),
        "task_weights": [c.name for c in task_weights(tasks, model)],
        **({} if model.omega is None else {"omega": _texts(squares_of(exact_omega(model, tasks.T)) or ())}),
        "tasks": [
            {
                "n": len(task.y),
                **({} if task.sample_weight is None else {"weights": _hex(task.sample_weight)}),
                "X": [_hex(row) for row in task.X],
                "y": _hex(task.y),
            }
            for task in tasks
        ],
    }


def _format(problem: Problem) -> str:
    """The oldest version that can say it."""
    if problem.tasks.weighted:
        return WITH_WEIGHTS
    return FORMAT if problem.model.omega is None else WITH_OMEGA


def _hex(numbers: Array) -> list[str]:
    return [value.hex() for value in numbers.tolist()]


def _description(problem: Problem) -> dict[str, Any]:
    """Which problem it is, as run folders and saved problems say it; the hash is of the numbers proved."""
    numbers = replace(problem.tasks, digest=None, basis=None, links=None)
    return {**described(numbers, problem.model), **named(numbers)}


def _texts(rows: Matrix) -> list[list[str]]:
    return [[str(value) for value in row] for row in rows]


def _squares(cell: Cell) -> dict[str, Any]:
    """The sums of squares of a cell, or its cut and those of its parts."""
    if cell.cut is not None:
        number, at = cell.cut
        above, below = cell.parts
        return {"cut": [number, str(at)], "above": _squares(above), "below": _squares(below)}
    blocks = zip(*cell.proof, strict=True)
    return {"blocks": [{"of": block.of, "basis": block.basis, "factor": factor} for block, factor in blocks]}
