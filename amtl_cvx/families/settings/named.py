"""The methods of the paper's tables by their names: each a method of a family with settings that it fixes.

    named("mtfl")      `stl` of AMTL at coupling 0 with the penalty rho ||W||_*^2; rho is its parameter

A name says which settings are fixed and which are its parameters, that is, what a grid may go over; it adds
no mathematics. Values of a grid that nobody gives are in units of the data: "curvature" is the mean curvature
of the losses at 0, "length" the mean length of single-task predictors, "price" the price from which the first
B-step leaves the graph empty.

Sources: the tables of Lee, Yang, Hwang, ICML 2016, and Lee, Yang, Hwang, ICML 2018.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from amtl_cvx.errors import ModelError
from amtl_cvx.families.settings.naming import NamedMethod, Parameter

__all__ = ["NAMED", "NamedMethod", "Parameter", "named"]


def _coupling(*factors: float) -> Parameter:
    values = factors or (1e-3, 1e-2, 1e-1, 1.0, 10.0)
    return Parameter(
        name="coupling",
        words="weight of ||W - W B||^2, and of the ridge of a task that nobody helps",
        values=values,
        unit="curvature",
    )


def _rho(words: str) -> Parameter:
    values = (1e-3, 1e-2, 1e-1, 1.0, 10.0)
    return Parameter(name="rho", words=words, values=values, unit="curvature", into=("omega", "rho"))


MU = Parameter(name="mu", words="price of transfer", values=(0.01, 0.03, 0.1, 0.3, 1.0), unit="price")
POWER = Parameter(
    name="power",
    words="edges of task s cost (n_max / n_s)^power more; 0 is the price of AMTL",
    values=(0.0, 1.0, 2.0),
    into=("transfer", "power"),
    default=1.0,
)
FEATURES = Parameter(name="features", words="how many features are learned", values=(2, 4, 8), kind=int)
SPARSITY = Parameter(name="mu", words="price of ||S||_1", values=(1e-3, 1e-2, 1e-1), unit="curvature")
DECAY = Parameter(
    name="decay", words="weight of the squares of the layers", values=(1e-3, 1e-2, 1e-1), unit="curvature"
)
READING = Parameter(
    name="reading",
    words="the next task is that of the least step (greedy), or the order is that of single-task losses"
    " (fixed)",
    values=("greedy", "fixed"),
    into=("fit", "reading"),
    kind=str,
    default="greedy",
)
RADIUS = Parameter(
    name="radius",
    words="how large the sum of a task's code may be, and so how long its predictor",
    values=(0.3, 0.5, 1.0, 2.0, 4.0),
    unit="length",
)
GAMMA = Parameter(name="gamma", words="weight of the reconstruction", values=(1e-3, 1e-2, 1e-1))

_AMTL_2016 = "Lee, Yang, Hwang, ICML 2016"
_AMTFL_2018 = "Lee, Yang, Hwang, ICML 2018"
_ALONE: Mapping[str, Any] = {"coupling": 0.0, "mu": 0.0}
_AMTL: Mapping[str, Any] = {"transfer": "loss-weighted-l1", "omega": "none"}
"""Eq. 1 of the paper, whatever a problem recommends."""

_TABLE = (
    NamedMethod(
        name="stl",
        title="STL",
        family="amtl",
        method="stl",
        parameters=(_coupling(),),
        fixed={"mu": 0.0},
        convex=True,
        words="each task alone, with a ridge of weight coupling",
        source="the baseline of every table",
    ),
    NamedMethod(
        name="mean",
        title="Mean-regularised",
        family="amtl",
        method="stl",
        parameters=(_rho("weight of the distance of the predictors from their mean"),),
        fixed={**_ALONE, "omega": "mean"},
        convex=True,
        words="predictors are drawn to their mean",
        source="Evgeniou, Pontil, KDD 2004",
    ),
    NamedMethod(
        name="mtfl",
        title="MTFL",
        family="amtl",
        method="stl",
        parameters=(_rho("weight of the squared trace norm"),),
        fixed={**_ALONE, "omega": "trace-squared"},
        convex=True,
        words="multi-task feature learning: predictors in few dimensions, rho ||W||_*^2",
        source="Argyriou, Evgeniou, Pontil, Machine Learning 73, 2008",
    ),
    NamedMethod(
        name="go-mtl",
        title="GO-MTL",
        family="go-mtl",
        method="go-mtl",
        parameters=(FEATURES, SPARSITY, DECAY),
        rounds=True,
        words="predictors are sparse combinations L S of few shared ones",
        source="Kumar, Daume, ICML 2012",
    ),
    NamedMethod(
        name="sc-mtl",
        title="SC-MTL",
        family="sc-mtl",
        method="sc-mtl",
        parameters=(RADIUS, FEATURES),
        rounds=True,
        words="predictors are sparse codes over directions that all tasks share",
        source="Maurer, Pontil, Romera-Paredes, ICML 2013",
    ),
    NamedMethod(
        name="curriculum-simple",
        title="Curriculum-simple",
        family="amtl",
        method="curriculum-simple",
        parameters=(_coupling(), READING),
        fixed={"mu": 0.0},
        words="tasks one after another, each near the one before it and no other",
        source="Pentina, Sharmanska, Lampert, CVPR 2015",
    ),
    NamedMethod(
        name="smtl",
        title="SMTL",
        family="amtl",
        method="alternating",
        parameters=(_coupling(), MU),
        fixed={**_AMTL, "transfer": "symmetric"},
        rounds=True,
        words="AMTL with a symmetric graph: two tasks help each other equally",
        source=_AMTL_2016,
    ),
    NamedMethod(
        name="amtl-noloss",
        title="AMTL-noLoss",
        family="amtl",
        method="alternating",
        parameters=(_coupling(), MU),
        fixed={**_AMTL, "transfer": "l1"},
        rounds=True,
        words="AMTL whose edges cost the same whoever teaches",
        source=_AMTL_2016,
    ),
    NamedMethod(
        name="amtl",
        title="AMTL",
        family="amtl",
        method="alternating",
        parameters=(_coupling(), MU),
        fixed=_AMTL,
        rounds=True,
        words="asymmetric multi-task learning: what a task teaches costs its own loss",
        source=f"{_AMTL_2016}, Algorithm 1",
    ),
    NamedMethod(
        name="amtl-curriculum",
        title="AMTL-curriculum",
        family="amtl",
        method="curriculum",
        parameters=(_coupling(), MU),
        fixed=_AMTL,
        words="tasks one after another, each from those learned before it",
        source=f"{_AMTL_2016}, Algorithm 2",
    ),
    NamedMethod(
        name="amtl-imbalanced",
        title="AMTL-imbalanced",
        family="amtl",
        method="alternating",
        parameters=(_coupling(), MU, POWER),
        fixed={"reduction": "sum", "task_weights": "inverse-sqrt", **_AMTL, "transfer": "size-priced-l1"},
        rounds=True,
        words="AMTL for tasks of unequal size: losses summed and weighed by 1/sqrt(n_t), small tasks dearer",
        source=_AMTL_2016,
    ),
    NamedMethod(
        name="amtl-mean",
        title="AMTL + mean",
        family="amtl",
        method="alternating",
        parameters=(_coupling(), MU, _rho("weight of the distance of the predictors from their mean")),
        fixed={**_AMTL, "omega": "mean"},
        rounds=True,
        words="AMTL whose predictors are also drawn to their mean",
        source="theory.md of the guide",
    ),
    NamedMethod(
        name="amtfl-linear",
        title="AMTFL, linear",
        family="features",
        method="amtfl-linear",
        parameters=(FEATURES, SPARSITY, GAMMA, DECAY),
        rounds=True,
        words="asymmetric transfer into learned features, without hidden units",
        source=_AMTFL_2018,
    ),
    NamedMethod(
        name="amtfl",
        title="AMTFL, ReLU",
        family="network",
        method="amtfl",
        parameters=(FEATURES, SPARSITY, GAMMA, DECAY),
        rounds=True,
        words="the same with one layer of rectified units; a round is 100 iterations of L-BFGS",
        source=_AMTFL_2018,
    ),
    NamedMethod(
        name="deep-amtfl",
        title="Deep-AMTFL",
        family="network",
        method="deep-amtfl",
        parameters=(
            Parameter(name="layers", words="how many units each layer has", values=("8,4", "16,8"), kind=str),
            SPARSITY,
            GAMMA,
            DECAY,
        ),
        rounds=True,
        words="the same with several layers",
        source=_AMTFL_2018,
    ),
)
NAMED: Mapping[str, NamedMethod] = MappingProxyType({each.name: each for each in _TABLE})
"""The named methods, in the order of the tables."""


def named(name: object) -> NamedMethod:
    """The method of a name of the papers' tables; what is a `NamedMethod` already is given back.

    Raises
    ------
    ModelError
        For a name that is none; it lists those there are.

    Examples
    --------
    >>> from amtl_cvx import named
    >>> method = named("amtl-noloss")
    >>> method.method, method.fixed["transfer"], [each.name for each in method.parameters]
    ('alternating', 'l1', ['coupling', 'mu'])
    """
    if isinstance(name, NamedMethod):
        return name
    if not isinstance(name, str) or name not in NAMED:
        raise ModelError(f"unknown method {str(name)[:40]!r}: choose one of {', '.join(NAMED)}")
    return NAMED[name]
