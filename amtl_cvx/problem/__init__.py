"""What is minimised, and its blocks at one place: `Problem` (tasks, model), `Point` (at W, B)."""

from amtl_cvx.problem.point import Point, Problem

__all__ = ["Point", "Problem"]
