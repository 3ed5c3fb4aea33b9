"""AMTFL with ReLU and Deep-AMTFL: a network makes the features, and a certificate says what a fit is worth.

    model, rows, problem, point    J and the forward pass
    backward                       the gradient, every kink with a mask
    hessian                        second derivatives in the cell of a point

Source: Lee, Yang, Hwang, Deep Asymmetric Multi-task Feature Learning, ICML 2018.
"""

from amtl_cvx.network.model import NetworkModel
from amtl_cvx.network.point import NetworkPoint
from amtl_cvx.network.problem import NetworkProblem

__all__ = ["NetworkModel", "NetworkPoint", "NetworkProblem"]
