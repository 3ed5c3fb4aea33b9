"""What the command line says of AMTL: its model, what a certificate misses, what to try."""

from __future__ import annotations

import math
from collections.abc import Mapping

from amtl_cvx.arrays import Array
from amtl_cvx.certificate import Certificate
from amtl_cvx.certificate.figures import rounded_down, rounded_up
from amtl_cvx.problem import Model


def shortfall(certificate: Certificate) -> str:
    """What misses which limit, and why where that is known."""
    missed = []
    if math.isinf(certificate.relative):
        known = certificate.reasons
        parts = [known[name] for name in ("relative_W", "relative_B") if name in known]
        missed.append("; ".join(parts) or "its residual is not known")
    elif certificate.relative > certificate.tol:
        missed.append(f"the relative residual is {certificate.relative:.1e}, its limit {certificate.tol:g}")
    gains, limit = (certificate.gain_W or 0.0, certificate.gap_B or 0.0), certificate.limit or 0.0
    if math.isinf(gains[0]):
        missed.append(f"what a move of W can gain is not known: {certificate.reasons.get('gain_W')}")
    elif sum(gains) > limit:
        missed.append(
            f"a move of W can gain up to {rounded_up(gains[0])} and one of B {rounded_up(gains[1])}, the"
            f" limit for both is {rounded_down(limit)} ({certificate.limit_words()})"
        )
    why = certificate.reasons.get("growth") or certificate.reasons.get("minimum")
    return f"not certified: {'; '.join([*(missed or ['B is not feasible']), *([why] if why else [])])}"


def advice(certificate: Certificate, model: Model, blocks: Mapping[str, Array]) -> str:
    """What to try where a W and B from elsewhere do not pass."""
    if certificate.kind == "single-task" and blocks["B"].any():
        return "judge it with --method alternating, or set B to 0"
    if certificate.feasibility > 0:
        return "clip B at 0 and clear its diagonal, then judge again"
    return (
        f"check the model (loss {model.loss.label}, {model.loss.reduction}, coupling"
        f" {model.coupling:g}, mu {model.mu:g}{model.omega_words}), then run the solver longer;"
        " `amtl-cvx fit` gives a reference point"
    )
