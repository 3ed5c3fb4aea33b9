r"""Where the first-order points are: many starts, each fitted to its certificate, and what they reached.

J is biconvex, so where the alternation ends depends on where it starts. `explore` fits one problem from many
B (W follows from the first W-step) and lists the distinct first-order points with the number of starts that
reached each of them:

    starts = draw_starts(tasks, model, 60, rng=np.random.default_rng(0))
    landscape = explore(tasks, model, starts, validation=validation)
    print(landscape.describe())

Starts (`draw_starts`): B = 0; "single-task", the B-step at predictors learned alone (ridge weight a
thousandth of the coupling); "curriculum", the B of Algorithm 2; random sparse B, each entry present with
probability `density`, uniform, and of such a length that the other tasks together make `size` times w_t on
average, were all of one direction.

Two certified results are one point when they agree within what their certificates leave open:

    |J_1 - J_2|  <=  tol (J_1 + J_2)              the gaps of a certificate are at most tol * J
    distance     <=  2 sqrt(tol)                  J grows with the square of the distance from a minimum
    distance     =   max over t of max(||w_t - w'_t||, ||W (b_t - b'_t)||, ||W' (b_t - b'_t)||) / ||w_t||

(||w_t|| the larger of the two). Groups are the connected parts of that relation, so the order of the starts
does not matter; how far the groups are from each other, and how tight each is, is reported. Two B that
differ without changing W B, as with collinear tasks, count as one point. A result whose certificate does
not pass is listed apart and belongs to no point.

What nobody started near is not found: the lowest J here is an upper bound of the minimum, no more. Nor does
J choose a model: where validation rows are given, each point carries its error on them.
"""

from amtl_cvx.explore.landscape import COLUMNS, Landscape
from amtl_cvx.explore.points import FirstOrderPoint, Reached, distance
from amtl_cvx.explore.search import explore
from amtl_cvx.explore.starts import DENSITIES, SIZES, Start, draw_starts

__all__ = [
    "COLUMNS",
    "DENSITIES",
    "SIZES",
    "FirstOrderPoint",
    "Landscape",
    "Reached",
    "Start",
    "distance",
    "draw_starts",
    "explore",
]
