"""What the command line says where a point of a network does not pass: what it misses, what to try."""

from __future__ import annotations

from amtl_cvx.network.certificate import NetworkCertificate
from amtl_cvx.network.model import NetworkModel

_PARTS = {"weights": "layers and biases", "S": "S", "A": "A", "kinks": "concave kinks"}


def shortfall(certificate: NetworkCertificate) -> str:
    """What misses which limit, and why where that is known."""
    if certificate.feasibility > 0.0:
        return (
            "not certified: A must not be negative with feedback nonnegative, an entry of it is"
            f" {-certificate.feasibility:.3g}"
        )
    missed = []
    if not certificate.relative <= certificate.tol:
        worst = max(_PARTS, key=lambda name: getattr(certificate, f"relative_{name}"))
        missed.append(
            f"the relative residual is {certificate.relative:.1e} (of {_PARTS[worst]}), its limit"
            f" {certificate.tol:g}"
        )
    if certificate.live_features == 0:
        missed.append("no feature is live: it is the zero point, at which nothing is learned")
    why = [certificate.reasons[name] for name in ("C2", "objective") if name in certificate.reasons]
    return f"not certified: {'; '.join([*(missed or ['no level is reached']), *why])}"


def advice(certificate: NetworkCertificate, model: NetworkModel) -> str:
    """What to try where blocks from elsewhere do not pass."""
    if certificate.feasibility > 0.0:
        return "clip A at 0, or judge it with --feedback signed"
    if certificate.live_features == 0:
        return "a smaller --mu or --decay, at which features are worth their price, or another start"
    layers = ",".join(map(str, model.layers))
    per = "per row" if model.gamma_per == "row" else "in total"
    return (
        f"check the model (loss {model.loss.label}, {model.loss.reduction}, layers {layers}, mu"
        f" {model.mu:g}, decay {model.decay:g}, alpha {model.alpha:g}, gamma {model.gamma:g} {per},"
        f" {model.feedback} A), then refine these weights: `amtl-cvx fit` with --start takes them to a point"
        " that can be certified"
    )
