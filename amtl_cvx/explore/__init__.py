"""Where the first-order points are: many starts, each fitted to its certificate, and what they reached.

J is convex in each block, not in all, so where a fit ends depends on where it starts. `explore` fits one
problem from many starts and lists the distinct first-order points with the number of starts that reached
each of them:

    starts = draw_starts(tasks, model, 60, rng=np.random.default_rng(0))
    landscape = explore(tasks, model, starts, validation=validation)
    print(landscape.describe())

The family says what its starts are and how far two results are from each other (`Exploration`). Two
certified results are one point when they agree within what their certificates leave open:

    |J_1 - J_2|  <=  tol (J_1 + J_2)              the gaps of a certificate are at most tol * J
    distance     <=  2 sqrt(tol)                  J grows with the square of the distance from a minimum

Groups are the connected parts of that relation, so the order of the starts does not matter; how far the
groups are from each other, and how tight each is, is reported. A result whose certificate does not pass is
listed apart and belongs to no point.

What nobody started near is not found: the lowest J here is an upper bound of the minimum, no more. Nor does
J choose a model: where validation rows are given, each point carries its error on them.
"""

from amtl_cvx.explore.base import Exploration, exploration_of
from amtl_cvx.explore.landscape import Landscape
from amtl_cvx.explore.points import FirstOrderPoint, Reached, distance
from amtl_cvx.explore.search import explore
from amtl_cvx.explore.starts import draw_starts

__all__ = [
    "Exploration",
    "FirstOrderPoint",
    "Landscape",
    "Reached",
    "distance",
    "draw_starts",
    "exploration_of",
    "explore",
]
