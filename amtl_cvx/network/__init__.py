"""AMTFL with ReLU and Deep-AMTFL: a network makes the features, and a certificate says what a fit is worth.

    model, rows, problem, point    J and the forward pass
    backward                       the gradient, every kink with a mask
    hessian                        second derivatives in the cell of a point
    kinks, multipliers, vertex     active kinks, their multipliers in [0, w], what prices of S and A protect
    residuals, certificate         how far each entry is from its condition; what a point is worth
    snap                           points from elsewhere, moved onto kinks

Source: Lee, Yang, Hwang, Deep Asymmetric Multi-task Feature Learning, ICML 2018.
"""

from amtl_cvx.network.certificate import NetworkCertificate, certify
from amtl_cvx.network.model import NetworkModel
from amtl_cvx.network.point import NetworkPoint
from amtl_cvx.network.problem import NetworkProblem

__all__ = ["NetworkCertificate", "NetworkModel", "NetworkPoint", "NetworkProblem", "certify"]
