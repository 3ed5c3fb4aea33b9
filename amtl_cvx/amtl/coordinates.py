"""A fit of AMTL in the common row space of its tasks, where that is small, and back (`rowspace`)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from amtl_cvx.arrays import Array
from amtl_cvx.families import Method
from amtl_cvx.footprint import check_fit
from amtl_cvx.options import Options
from amtl_cvx.problem import Blocks, Model
from amtl_cvx.run import Checkpoint, Iterate
from amtl_cvx.solution import Solution, State, Status
from amtl_cvx.tasks import TaskSet


def fitted(method: Method, tasks: TaskSet, model: Model, options: Options) -> Solution:
    """The run, in coordinates of the row space where it is small: then W is judged once more."""
    model.check(tasks)
    basis = tasks.row_basis if model.rotation_invariant else None
    small = tasks if basis is None else tasks.in_basis(basis)
    check_fit(small, model, options, method=method.name)
    if basis is None:
        return method.run(tasks, model, options)
    start, checkpoint = (
        _turned(options.start, tasks, basis),
        _lifting(options.checkpoint, tasks, model, basis),
    )
    iterate = _lifting_blocks(options.iterate, basis)
    options = replace(options, start=start, checkpoint=checkpoint, iterate=iterate)
    found = _lifted(method.run(small, model, options), tasks, model, basis)
    if not options.judged:
        return found
    point = Blocks(found.W, found.B, found.order, found.ridge)
    certificate = method.judge(tasks, model, point, options.tol)
    status, growth = found.status, found.certificate.reasons.get("growth")
    if growth is not None and not certificate.passes:
        certificate = replace(certificate, reasons={"growth": growth, **certificate.reasons})
    if status is not Status.INTERRUPTED and certificate.passes != (status is Status.CERTIFIED):
        status = Status.CERTIFIED if certificate.passes else Status.STALLED
    return replace(found, objective=certificate.objective, certificate=certificate, status=status)


def _turned(start: Any, tasks: TaskSet, basis: Array) -> Blocks | State | None:
    """The start in coordinates, without what no row sees: that only costs coupling."""
    if start is None:
        return None
    W, B = tasks.check_point(start.W, start.B)
    if isinstance(start, State):
        return replace(start, blocks={"W": basis.T @ W, "B": B})
    return Blocks(basis.T @ W, B)


def _lifted(found: Solution, tasks: TaskSet, model: Model, basis: Array) -> Solution:
    """A solution in coordinates as one in the features."""
    W, state = basis @ found.W, found.state
    return replace(
        found,
        blocks={"W": W, "B": found.B},
        losses=model.losses(tasks, W),
        feature_names=tasks.feature_names,
        state=None if state is None else replace(state, blocks={"W": basis @ state.W, "B": state.B}),
    )


def _lifting(checkpoint: Checkpoint | None, tasks: TaskSet, model: Model, basis: Array) -> Checkpoint | None:
    return None if checkpoint is None else lambda found: checkpoint(_lifted(found, tasks, model, basis))


def _lifting_blocks(iterate: Iterate | None, basis: Array) -> Iterate | None:
    if iterate is None:
        return None
    return lambda number, step, blocks: iterate(number, step, {**blocks, "W": basis @ blocks["W"]})
