"""What the package asks of a family, answered for shared features: AMTFL, and GO-MTL without feedback."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from amtl_cvx.arrays import Array, Indices, numbers
from amtl_cvx.errors import DataError
from amtl_cvx.families import Evidence, Family, Found, Method
from amtl_cvx.features.model import FeatureModel, GoMtlModel
from amtl_cvx.features.point import FeaturePoint
from amtl_cvx.features.problem import FeatureProblem
from amtl_cvx.tasks import TaskSet


class FeatureFamily(Family):
    """L (d, k) makes the features, S (k, T) uses them, A (T, k) is what tasks give back to them."""

    name = "features"
    blocks = FeatureModel.blocks
    places = ("columns of S and rows of A", "rows of L")
    methods: ClassVar[Mapping[str, type[Method]]] = {}
    model: ClassVar[type[FeatureModel]] = FeatureModel

    def model_from(self, stored: Mapping[str, Any]) -> FeatureModel:
        return self.model.made_from(stored)

    def told(self, blocks: Mapping[str, Array]) -> dict[str, Any]:
        return {"features": len(blocks["S"])}

    def problem(self, tasks: Any, model: Any) -> FeatureProblem:
        return FeatureProblem(tasks, model)

    def start(self, problem: FeatureProblem) -> Mapping[str, Array]:
        return problem.zero.blocks

    def checked(self, blocks: Mapping[str, Any], *, tasks: TaskSet | None = None) -> dict[str, Array]:
        found = {name: numbers(blocks[name], name) for name in self.blocks}
        for name, array in found.items():
            if array.ndim != 2:
                raise DataError(f"{name} must have two dimensions, it has shape {array.shape}")
        (d, k), T = found["L"].shape, found["S"].shape[1]
        d, T = (d, T) if tasks is None else (tasks.d, tasks.T)
        for name, shape in (("L", (d, k)), ("S", (k, T)), ("A", (T, k))):
            if name in found and found[name].shape != shape:
                whose = f"{T} tasks, {d} features of the data and {k} learned ones"
                raise DataError(f"{name} must have shape {shape} for {whose}, it has {found[name].shape}")
        return found

    def check(self, tasks: TaskSet, model: FeatureModel) -> None:
        FeatureProblem(tasks, model).check()

    def predictors(self, blocks: Mapping[str, Array]) -> Array:
        found: Array = blocks["L"] @ blocks["S"]
        return found

    def losses(self, tasks: TaskSet, model: FeatureModel, blocks: Mapping[str, Array]) -> Array:
        return FeatureProblem(tasks, model).at(**blocks).losses

    def arranged(self, found: Found, *, tasks: Indices | None, features: Indices | None) -> Found:
        blocks = dict(found.blocks)
        if tasks is not None:
            blocks["S"] = np.asarray(blocks["S"])[:, tasks]
            if "A" in blocks:
                blocks["A"] = np.asarray(blocks["A"])[tasks]
        if features is not None:
            blocks["L"] = np.asarray(blocks["L"])[features]
        return found._replace(blocks=blocks)

    def evidence(self, point: FeaturePoint) -> Evidence:
        raise NotImplementedError

    def unjudged(self, point: FeaturePoint, *, kind: str, tol: float, reason: str) -> Any:
        raise NotImplementedError


class GoMtlFamily(FeatureFamily):
    """L (d, k) makes the features, S (k, T) uses them."""

    name = "go-mtl"
    blocks = GoMtlModel.blocks
    places = ("columns of S", "rows of L")
    model = GoMtlModel


FEATURES = FeatureFamily()
GO_MTL = GoMtlFamily()
