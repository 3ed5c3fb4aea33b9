"""Convex steps of a network: every block in the activation cell of a point, and the joint model with kinks.

    cell, program, polish    what a cell is to a block; the compiled problem; its answer made exact
    moves, definition        the steps, fast and as they are written
    rounds                   the steps in turn
    kinks                    the joint problem of a step with kinks, as it is written

They are CVXPY problems: the definition that faster code is tested against, and the way to its solvers. The
engine of the methods is `newton`.
"""

from amtl_cvx.network.steps.cell import Cell
from amtl_cvx.network.steps.definition import Definition
from amtl_cvx.network.steps.kinks import KinkModel, KinkProblem
from amtl_cvx.network.steps.moves import FeedbackStep, LossStep
from amtl_cvx.network.steps.rounds import cell_rounds, cell_steps

__all__ = [
    "Cell",
    "Definition",
    "FeedbackStep",
    "KinkModel",
    "KinkProblem",
    "LossStep",
    "cell_rounds",
    "cell_steps",
]
