"""Rounds of the steps in cells: W1 <- argmin J, W2, ..., S, A, each with its bias in the cell of the point.

Every step enters a cell at whose border those before it ended. J falls, and then hardly any more, where no
block gains in its cell while a joint move does (`reports/features/cells.md`): rounds are a start, and a
definition to compare with, and no method by themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from amtl_cvx.coordinator import BlockStep, Part, rounds
from amtl_cvx.network.problem import NetworkProblem
from amtl_cvx.network.steps.definition import Definition
from amtl_cvx.network.steps.moves import FeedbackStep, LossStep
from amtl_cvx.run import Run
from amtl_cvx.solution import Status
from amtl_cvx.solvers import AUTO, Backend
from amtl_cvx.subproblems import Problems
from amtl_cvx.subproblems.problems import kept

STALLED = 1e-9
"""Part of J by which a round must fall for another one to follow."""


def cell_steps(
    problem: NetworkProblem,
    *,
    definition: bool = False,
    backend: Backend = AUTO,
    problems: Problems | None = None,
) -> Mapping[str, BlockStep]:
    """The steps of a round by the names of their blocks, in order.

    Parameters
    ----------
    problem : NetworkProblem
        Of whose sizes they are.
    definition : bool
        With the loss's own atom and every sign at once, of a size that grows with the rows; slow.
    backend : Backend
        The solver that is asked first, and the GPU's part.
    problems : Problems, optional
        Compiled problems that may be shared.

    Examples
    --------
    >>> import numpy as np
    >>> from amtl_cvx import NetworkModel, TaskSet
    >>> from amtl_cvx.network import NetworkProblem
    >>> from amtl_cvx.network.steps import cell_steps
    >>> tasks = TaskSet.from_arrays([np.eye(2)], [[1.0, 0.0]])
    >>> problem = NetworkProblem(tasks, NetworkModel(features=1, mu=1.0, alpha=0.5, gamma=2.0, decay=0.25))
    >>> list(cell_steps(problem))
    ['W1', 'S', 'A']
    """
    names = [name for name in problem.model.blocks if not name.startswith("bias")]
    if definition:
        return {name: Definition.compile(problem, name, backend=backend) for name in names}
    shared = kept(problems)
    return {
        name: FeedbackStep.compile(problem, backend=backend, problems=shared)
        if name == "A"
        else LossStep.compile(problem, name, backend=backend, problems=shared)
        for name in names
    }


def cell_rounds(
    run: Run,
    steps: Mapping[str, BlockStep],
    *,
    most: int,
    ended: Callable[[], Status | None] | None = None,
) -> Status:
    """Rounds from where the run is, up to its round `most`; the last point is left in `run`.

    Parameters
    ----------
    run : Run
        Of a network.
    steps : mapping
        `cell_steps` of its problem.
    most : int
        The round of the run after which they end with "round limit".
    ended : callable() -> Status or None, optional
        Asked after every round; by default they end where J has stopped to fall.
    """
    parts = [Part(block=name, step=step, gap=lambda point: None) for name, step in steps.items()]

    def stalled() -> Status | None:
        J = [record.objective for record in run.history[-1 - len(parts) :]]
        still = len(J) > len(parts) and J[0] - J[-1] <= STALLED * abs(J[-1])
        return Status.STALLED if still or not run.moved else None

    return rounds(run, parts, most=most, phase="cells", ended=ended or stalled)
