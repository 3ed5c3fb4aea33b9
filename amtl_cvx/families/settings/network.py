"""AMTFL with ReLU and Deep-AMTFL on the command line: hidden layers make the features.

`--features K` is one hidden layer of K units, `--layers 25,15,10` are several, from below; what a file of
weights holds says it by its shapes. The weights of J are those of linear AMTFL.
"""

from __future__ import annotations

from amtl_cvx.families.settings.amtl import REFINE
from amtl_cvx.families.settings.features import AMTFL, INIT
from amtl_cvx.families.settings.table import Setting, Settings

LINEAR = {each.name: each for each in AMTFL.model}
FEATURES = Setting(
    name="features", words="how many units the one hidden layer has, K >= 1", kind=int, metavar="K"
)
LAYERS = Setting(
    name="layers", words="how many units each hidden layer has, from below: 25,15,10", metavar="K1,K2,..."
)
BIASES = (
    Setting(
        name="fit_bias", words="a bias of every unit, decayed as its weights", default=False, switch=True
    ),
    Setting(name="feedback_bias", words="a bias of what feedback rebuilds", default=False, switch=True),
)
DECAY = Setting(
    name="decay", words="weight of the squares of all layers and biases, > 0", needed=True, kind=float
)
DEFINITION = Setting(
    name="definition",
    words="begin with rounds of convex steps in cells, by --solver (slow)",
    default=False,
    switch=True,
)

NETWORK = Settings(
    family="network",
    title="networks",
    methods=("amtfl", "deep-amtfl"),
    model=(
        FEATURES,
        LAYERS,
        *(LINEAR[name] for name in ("alpha", "mu", "gamma", "gamma_per")),
        DECAY,
        *(LINEAR[name] for name in ("feedback", "price_floor", "reconstruct")),
        *BIASES,
    ),
    fit=(INIT, REFINE, DEFINITION),
    further=("snap", "kink_width"),
    kept={"activation": "relu"},
)
