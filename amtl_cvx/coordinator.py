"""The coordinator: rounds over blocks, each step held against its own gap; J never rises.

    repeat   for each part:  block <- argmin J over this block     (a convex step)

An exact step cannot raise J and an inexact one by at most the gap of its own result. A rise beyond that gap
is an error of the run (`SolveError` with step and round); a rise within it is not taken: the block keeps its
value. What else a family does in its rounds (AMTL looks ahead, hands over, refines) is a strategy of its own.

Source: biconvex alternation: Gorski, Pfeuffer, Klamroth 2007.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np

from amtl_cvx.errors import SolveError
from amtl_cvx.families import Memory, Method, family_of
from amtl_cvx.options import Options
from amtl_cvx.run import Run, finish
from amtl_cvx.solution import Solution, Status
from amtl_cvx.solvers import Solved
from amtl_cvx.tasks import TaskSet

__all__ = [
    "BlockStep",
    "Options",
    "Part",
    "alternate",
    "carried_out",
    "half_step",
    "rounds",
    "solved",
    "start_run",
]

_NOISE = 1e-13  # relative size of rounding in J


def _no_more(point: Any) -> float:
    return 0.0


class BlockStep(Protocol):
    """A convex step over one block, the others standing still."""

    def solve(self, point: Any) -> Any: ...


@dataclass(frozen=True, kw_only=True)
class Part:
    """A step of a round: the block it moves, and what it says that J can still fall by moving it alone.

    `gap` is asked only where J rose; None means that it is not known. `noise` is what rounding can do to J at
    a point beyond 1e-12 of it, where a family knows of more.
    """

    block: str
    step: BlockStep
    gap: Callable[[Any], float | None]
    noise: Callable[[Any], float] = _no_more


def start_run(problem: Any, options: Options, *, method: Method, memory: Memory | None = None) -> Run:
    """The record of a new fit, at the start that the options give; `AMTLError` if it does not fit."""
    run = Run(
        family=family_of(problem.model),
        problem=problem,
        method=method.name,
        kind=method.kind,
        memory=memory or method.memory(),
        backend=options.backend,
        tol=options.tol,
        callback=options.callback,
        checkpoint=options.checkpoint,
        iterate=options.iterate,
        judged=options.judged,
    )
    if options.start is not None:
        run.begin(options.start)
    return run


def alternate(problem: Any, options: Options, *, method: Method, parts: Sequence[Part]) -> Solution:
    """Rounds over all parts until the judge is content, no step is taken any more, or the limit of rounds.

    Raises
    ------
    DataError
        Where the start does not fit the problem.
    SolveError
        Where no solver answers, or J rises beyond the accuracy of a step.
    """
    run = start_run(problem, options, method=method)

    def judged() -> Any:
        return method.judge(problem.tasks, problem.model, run.point.blocks, options.tol)

    def ended() -> Status | None:
        if run.history[-1].relative <= options.tol and judged().passes:
            return Status.CERTIFIED
        return None if run.moved else Status.STALLED

    def lowered() -> tuple[Status, None]:
        return rounds(run, parts, most=options.max_rounds, phase="rounds", ended=ended), None

    return carried_out(problem.tasks, run, lowered=lowered, judge=judged)


def carried_out(
    tasks: TaskSet, run: Run, *, lowered: Callable[[], tuple[Status, Any]], judge: Callable[[], Any]
) -> Solution:
    """The solution of a run: what lowers J, to an end or an interrupt, and the verdict on where it stands.

    Parameters
    ----------
    tasks, run
        The rows as they were given, and the record.
    lowered : callable() -> (Status, certificate or None)
        Leaves the last point in `run`; with its certificate where that was computed.
    judge : callable() -> certificate
        Of the run's point, where it was not.
    """
    found = None
    try:
        status, found = lowered()
    except KeyboardInterrupt:
        run.back()
        status = Status.INTERRUPTED
    before = run.elapsed
    found = found or run.verdict(judge)
    if found.passes and status is not Status.INTERRUPTED:
        status = Status.CERTIFIED
    return finish(tasks, run, found, status=status, seconds=run.seconds(certificate=run.elapsed - before))


def rounds(
    run: Run,
    parts: Sequence[Part],
    *,
    most: int,
    phase: str,
    ended: Callable[[], Status | None],
    first: Callable[[Part], bool] | None = None,
    after: Callable[[Part], Status | None] | None = None,
) -> Status:
    """Rounds from where the run is, in the middle of one or not; leaves the last point in `run`.

    Parameters
    ----------
    run, parts
        The record, and the steps of a round in their order.
    most : int
        Rounds of the whole run after which it ends with "round limit".
    phase : str
        What a stored state calls this part of the fit.
    ended : callable() -> Status or None
        Asked after every round.
    first : callable(Part) -> bool, optional
        A better first step of a round; whether it was taken.
    after : callable(Part) -> Status or None, optional
        Asked after every step but the last of a round.
    """
    names = [part.block for part in parts]
    last = run.enter(phase)
    done = names.index(last) + 1 if last in names else len(parts)
    if last == names[-1] and (status := ended()) is not None:
        return status
    if 0 < done < len(parts) and after is not None and (status := after(parts[done - 1])) is not None:
        return status
    while done < len(parts) or run.round < most:
        if done == len(parts):
            run.round, done = run.round + 1, 0
        part = parts[done]
        if not (done == 0 and first is not None and first(part)):
            half_step(run, part, fresh=done == 0)
        done += 1
        asked = ended() if done == len(parts) else None
        status = after(part) if done < len(parts) and after is not None else asked
        if status is not None:
            return status
    return Status.ROUND_LIMIT


def half_step(run: Run, part: Part, *, fresh: bool) -> None:
    """One step: taken if J does not rise, refused within its gap, an error beyond; `fresh` in a new round.

    A step's value is that of its block, or a mapping with those of blocks that move with it.
    """
    before = run.point
    value, told = solved(run, part.step, before)
    blocks = value if isinstance(value, Mapping) else {part.block: value}
    point = before.at(**blocks)
    if point.objective <= before.objective + _NOISE * abs(before.objective):
        run.point = point
    else:
        _check_rise(run, part, point, point.objective - before.objective, told)
        told = replace(told, status=f"{told.status}, not taken")
    moved = any(not np.array_equal(run.point.blocks[name], before.blocks[name]) for name in blocks)
    run.moved = moved or (run.moved and not fresh)
    run.note(part.block, told)


def solved(run: Run, step: BlockStep, point: Any) -> Any:
    """The step's answer at the point; its error names the round."""
    try:
        return step.solve(point)
    except SolveError as error:
        raise error.in_round(run.round) from error


def _check_rise(run: Run, part: Part, point: Any, rise: float, told: Solved) -> None:
    """Raise `SolveError` if J rose by more than the gap of the block that moved."""
    gap = part.gap(point)
    noise = 1e-12 * abs(run.history[-1].objective if run.history else 0.0)
    noise += part.noise(run.point) + part.noise(point)
    if gap is not None and rise > gap * (1.0 + 1e-6) + noise:
        raise SolveError(
            f"round {run.round}: the {part.block}-step raised the objective by {rise:.3g}, beyond its duality"
            f" gap {gap:.3g} ({told.solver}, {told.status}): try another solver and report this",
            step=part.block,
            solver=told.solver,
            status=told.status,
            round=run.round,
        )
