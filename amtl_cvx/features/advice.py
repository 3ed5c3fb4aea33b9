"""What the command line says where a point of shared features does not pass: what it misses, what to try."""

from __future__ import annotations

import math

from amtl_cvx.certificate.figures import rounded_down, rounded_up
from amtl_cvx.features.certificate import FeatureCertificate
from amtl_cvx.features.model import FeatureModel


def shortfall(certificate: FeatureCertificate) -> str:
    """What misses which limit, and why where that is known."""
    if certificate.feasibility > 0.0:
        return (
            "not certified: A must not be negative with feedback nonnegative, an entry of it is"
            f" {-certificate.feasibility:.3g}"
        )
    missed = []
    if not certificate.relative <= certificate.tol:
        missed.append(f"the relative residual is {certificate.relative:.1e}, its limit {certificate.tol:g}")
    names = "LS" if certificate.fed_back is None else "LSA"
    gaps = {name: getattr(certificate, f"gap_{name}") for name in names}
    known = {name: gap for name, gap in gaps.items() if gap is not None and math.isfinite(gap)}
    if len(known) < len(gaps) or sum(known.values()) > certificate.limit:
        told = [f"of {name} {rounded_up(gap)}" for name, gap in known.items()]
        told += [f"of {name} by what is not known" for name in gaps if name not in known]
        missed.append(
            f"moves of one block alone can gain, {', '.join(told)}, the limit for the sum is"
            f" {rounded_down(certificate.limit)}"
        )
    if certificate.live_features == 0:
        missed.append("no feature is live: it is the zero point, at which nothing is learned")
    why = [certificate.reasons[name] for name in ("growth", "objective") if name in certificate.reasons]
    return f"not certified: {'; '.join([*(missed or ['no level is reached']), *why])}"


def advice(certificate: FeatureCertificate, model: FeatureModel) -> str:
    """What to try where blocks from elsewhere do not pass."""
    if certificate.feasibility > 0.0:
        return "clip A at 0, or judge it with --feedback signed"
    if certificate.live_features == 0:
        return "a smaller --mu or --decay, at which features are worth their price, or another start"
    told = f"{model.features} features, mu {model.mu:g}, decay {model.decay:g}"
    if model.has_feedback:
        told += f", alpha {model.alpha:g}, gamma {model.gamma:g} {_PER[model.gamma_per]}, {model.feedback} A"
    return (
        f"check the model (loss {model.loss.label}, {model.loss.reduction}, {told}), then run the solver"
        " longer; `amtl-cvx fit` gives a reference point"
    )


_PER = {"total": "in total", "row": "per row"}
