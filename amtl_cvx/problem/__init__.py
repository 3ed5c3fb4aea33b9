"""What is minimised, and its blocks at one place: `Model`, `Problem` (tasks, model), `Point` (at W, B)."""

from amtl_cvx.problem.blocks import Blocks
from amtl_cvx.problem.making import check_problem, make_model
from amtl_cvx.problem.model import Model
from amtl_cvx.problem.point import Point, Problem

__all__ = [
    "Blocks",
    "Model",
    "Point",
    "Problem",
    "check_problem",
    "make_model",
]
