r"""The W-step of a loss with one kink per row (hinge, quantile), solved exactly with its multipliers.

With v_i = weight_i u_i in [low_i, high_i], the kink at k_i, z_i = x_i'w_t(i), P = K K', K = I - B or that of
`problem.squares`, the W-step

    min over W of  coupling tr(W P W') + sum_i high_i max(0, z_i - k_i) + low_i min(0, z_i - k_i)

has its minimum where 2 coupling W P + sum_i v_i x_i e_t(i)' = 0 and, with z - k = p - q, p, q >= 0,
p (high - v) = 0, q (v - low) = 0. The multipliers v do not depend on where W stands: they are the dual
optimum, of least gap at every W.

1. Active sets: rows K are held on their kinks, v is at one end or the other elsewhere. On K
   W = W0 + N y, N a basis of what X_K leaves free, task by task; the minimum over y leaves a gradient in the
   span of X_K', which gives v_K. Rows that leave K (v beyond an end) or reach it (on the wrong side of the
   kink) are exchanged, as in the primal-dual active-set method. No row to exchange: that is the minimum. From
   a W that is nearly right this takes a step or two; from elsewhere it may go in circles.
2. Interior points then (Mehrotra's predictor and corrector), in W alone: with D = p/(high - v) + q/(v - low)
   the Newton step for a target of both products has the matrix 2 coupling P (x) I + X'D^-1 X. No inverse of
   I - B is taken: where that is nearly singular, rows near their kinks (D -> 0) hold W. Rows with p and q
   small beside v's distances from its ends begin step 1 anew.

Source: Wright, Primal-Dual Interior-Point Methods, 1997, chapter 5; theory.md section 5.
"""

from amtl_cvx.problem.kinks.minimum import DENSE_LIMIT, KinkedMinimum, KinkedProblem
from amtl_cvx.problem.kinks.rows import KinkedRows

__all__ = ["DENSE_LIMIT", "KinkedMinimum", "KinkedProblem", "KinkedRows"]
