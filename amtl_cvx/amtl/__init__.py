"""AMTL, the first family: W, the predictors, and B, who helps whom.

What the package asks of a family is answered here (`family`), with its methods (`alternating`, the curricula,
single-task learning) and its part of reports and pictures. Its mathematics has rooms of its own: problem,
certificate, subproblems, refine, curriculum, digits, enclosure, ladder.
"""

from amtl_cvx.amtl.alternating import Alternating, alternate
from amtl_cvx.amtl.family import AMTL
from amtl_cvx.curriculum import Curriculum, SimpleCurriculum, SingleTask

__all__ = ["AMTL", "Alternating", "Curriculum", "SimpleCurriculum", "SingleTask", "alternate"]
