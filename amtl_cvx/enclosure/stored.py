"""A proof read back from a file that anyone may have written: is it one, and is it about this problem?

    found = stored_enclosure(read_proof(path), tasks, model, W, B)      # no search, no solver

The checker says whether a proof holds; it proves whatever problem the file names. `difference` holds that
problem against the data and the model at hand, number by number.

A proof has its problem twice. The exact numbers are what the checker, which has no other file, computes with:
they alone decide. The description, that of `Problem.save` with its hash, is read by the reader of stored
problems (`problem_in`), and believed only where it is one of the very numbers that are proved.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from amtl_cvx.certificate.figures import double_above
from amtl_cvx.enclosure.enclose import Enclosure
from amtl_cvx.enclosure.exact import ExactProblem, Matrix
from amtl_cvx.enclosure.point import exact_point
from amtl_cvx.enclosure.proof import problem_of
from amtl_cvx.errors import DataError, ModelError
from amtl_cvx.losses import Squared
from amtl_cvx.problem import Model, Point, Problem
from amtl_cvx.problem.stored import names_from, problem_from
from amtl_cvx.tasks import TaskSet
from amtl_cvx.transfer import LossWeightedL1


def read_proof(path: Path) -> dict[str, Any]:
    """A proof from a file that anyone may have written; `DataError` where it is none.

    What it proves, if anything, is for the checker to say.
    """
    try:
        with path.open("rb") as file:
            text = file.read(_checker().BYTES + 1)
        found = json.loads(text) if len(text) <= _checker().BYTES else None
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}: choose another --proof") from error
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict) or found.get("format") not in _checker().FORMATS:
        raise DataError(f"{path} exists and is no proof of ours: choose another --proof")
    return found


def problem_in(proof: Mapping[str, Any]) -> Problem | None:
    """The problem that a proof describes, with its names; None for one of an earlier version: numbers alone.

    Raises
    ------
    DataError, ModelError
        Where the description is none, is not one of the numbers that are proved, or names an unknown term.
    """
    about = proof.get("problem")
    if about is None:
        return None
    exact = _checker().number
    with _naming():  # an exact number that is no double differs from the one next to it
        arrays = {
            "X": np.array([[float(exact(x)) for x in row] for task in proof["tasks"] for row in task["X"]]),
            "y": np.array([float(exact(value)) for task in proof["tasks"] for value in task["y"]]),
            "task": np.array([t for t, task in enumerate(proof["tasks"]) for _ in task["y"]]),
        }
        if any("weights" in task for task in proof["tasks"]):
            often = [v for task in proof["tasks"] for v in task.get("weights", ["1"] * len(task["y"]))]
            arrays["sample_weight"] = np.array([float(exact(v)) for v in often])
        found = Problem(*problem_from(arrays, about, names_from(about, source="problem")))
        if (other := _difference(proof, found)) or about["fingerprint"] != found.tasks.fingerprint():
            raise DataError(f"it describes another problem than it proves, {other or 'with another hash'}")
    return found


def difference(proof: Mapping[str, Any], tasks: TaskSet, model: Model) -> str:
    """Where a stored proof is about another problem than this one, in words; "" where it is about this one.

    Raises
    ------
    DataError
        For a file that does not name its problem.
    """
    if not (isinstance(model.loss, Squared) and isinstance(model.transfer, LossWeightedL1)):
        return f"the loss is squared there, with {LossWeightedL1.name}, and {model.loss.label} here"
    problem_in(proof)
    with _naming():
        return _difference(proof, Problem(tasks, model))


@contextlib.contextmanager
def _naming() -> Iterator[None]:
    """Whatever a file of another's making raises is a `DataError`."""
    try:
        yield
    except (KeyError, IndexError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        if isinstance(error, ModelError):
            raise
        why = str(error) if isinstance(error, DataError) else f"{type(error).__name__}: {error}"
        raise DataError(f"the proof does not name its problem ({why})") from error


def _difference(proof: Mapping[str, Any], problem: Problem) -> str:
    """The exact numbers of a proof held against those of a problem; "" where they are the same."""
    tasks, model, mine = problem.tasks, problem.model, problem_of(problem)
    if len(proof["tasks"]) != tasks.T:
        return f"there are {len(proof['tasks'])} tasks there and {tasks.T} here"
    for name in ("mu", "coupling"):
        theirs = _checker().number(proof[name])
        if theirs != Fraction(float.fromhex(mine[name])):
            return f"{name} is {float(theirs)!r} there and {float.fromhex(mine[name])!r} here"
    if not _equal(proof.get("omega", []), mine.get("omega", [])):
        return f"the penalty on W is another there, here it is {model.omega.label if model.omega else 'none'}"
    if proof["reduction"] != mine["reduction"]:
        return f"the reduction is {str(proof['reduction'])[:20]} there and {mine['reduction']} here"
    for name, there, here in zip(tasks.names, proof["task_weights"], mine["task_weights"], strict=True):
        if _checker().ends(there) != _checker().ends(here):
            return f"the weight of task {name!r} is {there[:40]} there and {here} here"
    for name, there, here in zip(tasks.names, proof["tasks"], mine["tasks"], strict=True):
        if [len(there["y"]), len(there["X"][0])] != [len(here["y"]), tasks.d]:
            return f"task {name!r} has another shape there"
        if not all(_equal(there[key], here[key]) for key in ("X", "y")):
            return f"the rows of task {name!r} are others there"
        if not _equal(there.get("weights", []), here.get("weights", [])):
            return f"the rows of task {name!r} have other weights there"
    return ""


def _equal(there: Any, here: Any) -> bool:
    """Whether nested lists hold the same numbers, however they are written."""
    if isinstance(here, str):
        return bool(there == here or _checker().number(there) == _checker().number(here))
    return len(there) == len(here) and all(map(_equal, there, here))


def checked_bounds(proof: Mapping[str, Any], tasks: TaskSet, model: Model) -> tuple[Fraction, Fraction]:
    """lower <= min J <= upper of this problem, by a stored proof that the checker accepts.

    Raises
    ------
    DataError
        Where it is about another problem (other rows, mu, coupling, ...), or the checker rejects it.
    """
    if other := difference(proof, tasks, model):
        raise DataError(
            f"the proof is about another problem, {other}: give the data and the model of the proof, or"
            " another --proof"
        )
    try:
        lower, upper = _checker().check(proof, 100 * _checker().STEPS)
    except Exception as rejection:  # a file can raise anything
        raise DataError(
            f"the checker rejects the proof ({type(rejection).__name__}: {rejection}): choose another --proof"
        ) from rejection
    return lower, upper


def stored_enclosure(proof: dict[str, Any], point: Point) -> Enclosure:
    """What a stored proof establishes of this problem and of J at (W, B); errors as of `checked_bounds`."""
    tasks, model, W, B = point.tasks, point.model, point.W, point.B
    lower, upper = checked_bounds(proof, tasks, model)
    problem = ExactProblem.read(tasks, model)
    asked = exact_point(problem, *tasks.check_point(W, B))
    return Enclosure(
        lower=lower,
        upper=upper,
        at=asked.objective * problem.ratio,
        ratio=problem.ratio,
        width=double_above((upper - lower) / upper),
        tight=False,
        cells=_cells(proof),
        stopped="",
        W=_matrix(proof["W"]),
        B=_matrix(proof["B"]),
        proof=proof,
    )


def _matrix(rows: Any) -> Matrix:
    return tuple(tuple(map(_checker().number, row)) for row in rows)


def _cells(cell: Mapping[str, Any]) -> int:
    return _cells(cell["above"]) + _cells(cell["below"]) if "cut" in cell else 1


def _checker() -> ModuleType:
    from amtl_cvx.enclosure import checker  # here, so that ``python -m`` can run it as a program of its own

    return checker
