r"""A convex function that CVXPY writes as a cone program, and lower bounds of it that trust no solver.

CVXPY's canonicalisation of f(v; l), v (n,), at fixed parameters l, is

    f(v) = min over x with x_v = v  of  x'P x / 2 + q'x + d     subject to   b - A x = s in K

with K a product of zero, nonnegative and second-order cones. For any y in the dual cone K*, any x0, and any
S (n,) every x of the program with lo <= x <= hi has

    f(v) - <S, v>  >=  -x0'P x0 / 2 - b'y + d + sum_i min(r_i lo_i, r_i hi_i),     r = P x0 + q - S + A'y

by (x - x0)'P (x - x0) >= 0 and s'y >= 0. Where x0 and y are those of a minimum, r is a solver's rounding and
the bound is sharp; whatever they are, it holds. The box is that of the level set f(v) <= level: the rows of
the program, and q'x + d <= level, are tightened against each other from what is known of v
(`Cone.box`), and variables that only stand above others are lowered onto them. A side that stays infinite
costs nothing where r_i has the other sign, and everything else.

What is trusted is that the program is f, and that P is positive semidefinite: CVXPY's canonicalisation, no
solver. Exponential, power and semidefinite cones are refused: there y would be held against a cone whose
dual is known to rounding only.

Theory.md section 15. Sources: Nesterov, Nemirovskii, Interior-point polynomial algorithms, 1994 (duality);
Jansson, Chaykin, Keil, Rigorous error bounds for the optimal value in
semidefinite programming, 2007 (bounds from a box).
"""

from amtl_cvx.cones.form import ConeForm
from amtl_cvx.cones.program import Cone, Dual

__all__ = ["Cone", "ConeForm", "Dual"]
