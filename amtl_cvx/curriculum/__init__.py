r"""Curriculum learning: Algorithm 2 of [L16], and single-task learning, where it starts.

From single-task W (ridge weight `Options.ridge`, by default the coupling), U = all tasks, nothing learned.
Repeat until U is empty:

    (eq. 5) for every t in U, with r_s = w_s - sum_{j learned} B[j, s] w_j, the outgoing row over s in U \ {t}
                B[t, s] = max(0, (r_s'w_t - price_t / (2 coupling)) / ||w_t||^2),   price_t = mu c_t l_t
            and its cost
                (1 + mu ||b_t^o||_1) c_t l_t + coupling sum_{s in U \ {t}} ||r_s - B[t, s] w_t||^2;
            the t of least cost is learned next
    (eq. 6) refit
                w_t = argmin (1 + mu ||b_t^o||_1) c_t L_t(w) + coupling ||w - sum_{j learned} B[j, t] w_j||^2.

The graph is acyclic and the order is part of the result. l_t in eq. 5 is taken at the not yet refitted w_t,
ties go to the smallest index, w_t = 0 gives a zero row. Every step is convex: eq. 5 has the closed form
above, eq. 6 is the one-task W-problem of `subproblems`. So every step has a gap, and the certificate is their
sum; the result as a whole is not a first-order point of J.

The method of comparison that knows of a task's predecessor alone is `simple`.

Source: Lee, Yang, Hwang, ICML 2016, section 3.2, Algorithm 2.
"""

from amtl_cvx.curriculum.audit import certify_curriculum
from amtl_cvx.curriculum.learning import Curriculum, SingleTask, curriculum, single_task
from amtl_cvx.curriculum.rows import Choice, outgoing, outgoing_cost, refit_step, row_sizes
from amtl_cvx.curriculum.simple import SimpleCurriculum, simple_curriculum
from amtl_cvx.curriculum.simple_audit import certify_simple

__all__ = [
    "Choice",
    "Curriculum",
    "SimpleCurriculum",
    "SingleTask",
    "certify_curriculum",
    "certify_simple",
    "curriculum",
    "outgoing",
    "outgoing_cost",
    "refit_step",
    "row_sizes",
    "simple_curriculum",
    "single_task",
]
