r"""Multi-task feature learning (MTFL) without edges: min over W of F(W) + rho ||W||_*^2, F the losses.

    rho ||W||_*^2  =  min over D >= 0 (positive semidefinite), tr D = 1, of  rho tr(W' D^+ W)

so that the problem is convex in D alone, the covariance of the features, a matrix of d x d whatever T:

    min over D of  g(D),    g(D) = min over W of  F(W) + rho tr(W' D^+ W)

For F with Hessians H_t (`sides`) each w_t is a ridge regression, w_t = D z_t with 2 rho Z = -F'(W), and

    g'(D) = -rho Z Z',    g''(D)[X, Y] = 2 rho sum_t z_t'X P_t Y z_t,    P_t = (H_t D + 2 rho I)^-1 H_t

also where D is singular. An interior-point method in D (`path`) leaves D with all its eigenvalues, some of
them next to 0; Newton's method on the matrices of the rank that it found (`ranked`) goes on to the last
digits, 2 rho Z is the subgradient there; where doubles are too short for them it goes on with scores of more
digits (`rows`). Where there are fewer tasks than features the covariance of the tasks, E (T, T) with
tr(W E^+ W'), takes the place of D. A loss that is not quadratic takes its second-order model at W in place
of F, step after step (proximal Newton).

Argyriou, Evgeniou and Pontil alternate between W and D = (W W')^(1/2) / ||W||_*, which is slow near a
singular D; tests hold the two against each other.

Sources: Argyriou, Evgeniou, Pontil, Convex multi-task feature learning, 2008, Theorem 1; Helmberg, Rendl,
Vanderbei, Wolkowicz, An interior-point method for semidefinite programming, 1996 (the direction); Absil,
Mahony, Sepulchre, Optimization Algorithms on Matrix Manifolds, 2008 (Newton at fixed rank).
"""

from amtl_cvx.subproblems.covariance.minimum import covariance_minimum, has_covariance, last_digits

__all__ = ["covariance_minimum", "has_covariance", "last_digits"]
