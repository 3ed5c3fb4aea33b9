"""What a pack claims of its answer, computed from its problem and its arrays alone.

    claims = claims_of(problem, "joint", {"W": W, "B": B}, digits=digits, proof=proof)
    claims["certificate"]["passes"], claims["condition"]["kappa"], claims["tolerances"]["float32"]["x"]

Nothing of a solver enters, and nothing that a pack says of itself: `verify` calls the same function on the
stored arrays and holds what comes out against what is stored.

    facts         what is found out about an answer
    joint, steps, curriculum, features, networks     how, for each ask and family
    terms         what J and its gradients are summed from; the tolerance of first order
    response      how an answer moves with its data, and kappa; `condition` for AMTL
    tolerances    what a back end may be off by, for each dtype
    unique        whether a step has another answer
    step_digits, balls, edge_balls, curriculum_balls     steps to any number of digits
    numbers       decimals and their digits
    routes        the second derivation

The keys are those of pack.json: `objective`, `certificate`, `level`, `unique`, `unique_why`, `support`,
`min_positive_B`, `min_multiplier`, `condition`, `tolerances`, `digits` or `digits_why`, `bound` or
`bound_why`, `routes`, `minima`, `checks`. A pack is published only where every check is true.
"""

from __future__ import annotations

from amtl_cvx.reference.claims.claims import claims_of
from amtl_cvx.reference.claims.proving import digits_of

__all__ = ["claims_of", "digits_of"]
