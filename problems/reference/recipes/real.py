"""Joint problems of real data (`measured`): AMTL, shared features, networks."""

from __future__ import annotations

import functools

from amtl_cvx import FeatureModel, GoMtlModel, LossWeightedL1, Model, NetworkModel, SignedL1, TaskSet
from amtl_cvx.losses import make_loss
from recipes import networks
from recipes.integers import Draws
from recipes.losses import STARTS, of_zero
from recipes.measured import cancer, diabetes, digits, iris_widths, one_vs_rest
from recipes.recipe import Recipe, Stated

SOURCE = "scikit-learn, datasets.load_"


def joint(
    draws: Draws,
    *,
    tasks: functools.partial[TaskSet],
    loss: str,
    mu: float,
    coupling: float,
    signed: bool = False,
    omega: str | None = None,
) -> Stated:
    """Real tasks with AMTL's price, on edges of any sign where classes stand against each other."""
    transfer = (SignedL1 if signed else LossWeightedL1)(mu=mu)
    model = Model(loss=make_loss(loss), transfer=transfer, coupling=coupling, omega=omega)
    return Stated(tasks=tasks(), model=model)


def learned(draws: Draws, *, tasks: functools.partial[TaskSet], model: FeatureModel) -> Stated:
    """Real tasks with a model of shared features; of a network, where its fit begins."""
    found = tasks()
    start = networks.start(draws, model, found.d, found.T) if isinstance(model, NetworkModel) else None
    return Stated(tasks=found, model=model, start=start)


def _real(
    name: str, title: str, data: str, grade: str = "average", traits: tuple[str, ...] = (), **given: object
) -> Recipe:
    return Recipe(
        name=name,
        title=title,
        grade=grade,
        traits=("real data", *traits),
        state=functools.partial(joint, **given),
        source=f"{SOURCE}{data}",
        starts=STARTS,
        answer=of_zero if data == "digits" else None,
    )


def _learned(
    name: str, title: str, data: str, tasks: functools.partial[TaskSet], model: FeatureModel
) -> Recipe:
    network = isinstance(model, NetworkModel)
    return Recipe(
        name=name,
        title=title,
        grade="hard" if network else "average",
        traits=("real data",),
        state=functools.partial(learned, tasks=tasks, model=model),
        source=f"{SOURCE}{data}",
        digits=not network,
        answer=networks.answer if network else of_zero,
    )


part = functools.partial
IRIS, WINE = part(one_vs_rest, "iris"), part(one_vs_rest, "wine")
SOME_WINE = part(one_vs_rest, "wine", (0, 6, 9, 12))
BLOCKS = part(digits, rows=60, blocks=True)

RECIPES = (
    _real(
        "iris-logistic",
        "Three species one against the others, mean logistic loss.",
        "iris",
        "average",
        ("shared rows",),
        tasks=IRIS,
        loss="logistic",
        mu=0.125,
        coupling=0.015625,
        signed=True,
    ),
    _real(
        "iris-squared-hinge",
        "Three species one against the others, mean squared hinge loss.",
        "iris",
        "average",
        ("shared rows",),
        tasks=IRIS,
        loss="squared-hinge",
        mu=0.0625,
        coupling=0.03125,
    ),
    _real(
        "iris-widths",
        "Petal widths from the other measures, a task a species, mean squared loss.",
        "iris",
        "easy",
        ("several known minima",),
        tasks=iris_widths,
        loss="squared",
        mu=0.5,
        coupling=0.0625,
    ),
    _real(
        "wine-logistic",
        "Three cultivars one against the others, thirteen measures, mean logistic loss.",
        "wine",
        "average",
        ("shared rows", "ridge", "several known minima"),
        tasks=WINE,
        loss="logistic",
        mu=0.25,
        coupling=0.0625,
        signed=True,
        omega="ridge:rho=0.015625",
    ),
    _real(
        "wine-hinge",
        "Three cultivars one against the others, four measures, mean hinge loss.",
        "wine",
        "hard",
        ("shared rows",),
        tasks=SOME_WINE,
        loss="hinge",
        mu=0.25,
        coupling=0.03125,
        signed=True,
    ),
    _real(
        "cancer-logistic",
        "Benign or not by thirds of texture, ten measures, mean logistic loss.",
        "breast_cancer",
        "hard",
        ("near-singular I - B",),
        tasks=cancer,
        loss="logistic",
        mu=0.5,
        coupling=0.015625,
    ),
    _real(
        "cancer-squared-hinge",
        "Benign or not by thirds of texture, ten measures, squared hinge loss.",
        "breast_cancer",
        "hard",
        ("near-singular I - B", "several known minima"),
        tasks=cancer,
        loss="squared-hinge",
        mu=0.25,
        coupling=0.015625,
    ),
    _real(
        "diabetes-squared",
        "Progression by sex and age, mean squared loss.",
        "diabetes",
        "average",
        ("several known minima",),
        tasks=diabetes,
        loss="squared",
        mu=0.25,
        coupling=0.25,
    ),
    _real(
        "diabetes-huber",
        "Progression by sex and age, mean Huber loss.",
        "diabetes",
        "average",
        ("several known minima",),
        tasks=diabetes,
        loss="huber",
        mu=0.25,
        coupling=0.25,
    ),
    _real(
        "diabetes-quantile",
        "Medians of the progression by sex and age, quantile loss.",
        "diabetes",
        "hard",
        ("several known minima",),
        tasks=diabetes,
        loss="quantile:0.5",
        mu=0.25,
        coupling=0.125,
    ),
    _real(
        "digits-blocks-logistic",
        "Ten digits from sixteen blocks of pixels, mean logistic loss.",
        "digits",
        "average",
        ("ridge",),
        tasks=BLOCKS,
        loss="logistic",
        mu=0.25,
        coupling=0.015625,
        omega="ridge:rho=0.00390625",
    ),
    _real(
        "digits-pixels-logistic",
        "Ten digits from 64 pixels, mean logistic loss.",
        "digits",
        "hard",
        ("many features", "ridge"),
        tasks=part(digits, rows=80, blocks=False),
        loss="logistic",
        mu=0.125,
        coupling=0.015625,
        omega="ridge:rho=0.00390625",
    ),
    _learned(
        "iris-features",
        "GO-MTL with two features, three species, mean logistic loss.",
        "iris",
        IRIS,
        GoMtlModel(loss="logistic", features=2, mu=0.015625, decay=0.0078125),
    ),
    _learned(
        "diabetes-features",
        "AMTFL with two linear features, progression, mean squared loss.",
        "diabetes",
        diabetes,
        FeatureModel(features=2, mu=0.25, alpha=0.25, gamma=0.0078125, decay=0.0625),
    ),
    _learned(
        "diabetes-relu",
        "AMTFL with three ReLU units, progression, mean squared loss.",
        "diabetes",
        diabetes,
        NetworkModel(layers=(3,), mu=0.25, alpha=0.25, gamma=0.0009765625, decay=0.0625),
    ),
    _learned(
        "cancer-deep",
        "Deep-AMTFL with layers of four and three units, mean logistic loss.",
        "breast_cancer",
        cancer,
        NetworkModel(
            loss="logistic", layers=(4, 3), mu=0.03125, alpha=0.125, gamma=0.00048828125, decay=0.0078125
        ),
    ),
)
