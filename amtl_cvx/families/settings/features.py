"""AMTFL and GO-MTL on the command line: L makes features, S uses them, A is what tasks give back.

The weights mu, gamma and decay have no default: J changes with the units of the data, and eq. 6 of the paper
names none. alpha is in units of the losses, 1 where nobody says.
"""

from __future__ import annotations

from amtl_cvx.families.settings.amtl import REFINE
from amtl_cvx.families.settings.table import Setting, Settings

FEATURES = Setting(
    name="features", words="how many features are learned, K >= 1", needed=True, kind=int, metavar="K"
)
MU = Setting(name="mu", words="price of ||S||_1, > 0", needed=True, kind=float)
DECAY = Setting(name="decay", words="weight of ||L||^2, >= 0 (lambda of the paper)", needed=True, kind=float)
INIT = Setting(
    name="init",
    words="where the fit begins: at the singular vectors of single-task predictors (default), or at random"
    " (--seed)",
    default="svd",
    choices=("svd", "random"),
    begins=True,
)
DEFINITION = Setting(
    name="definition",
    words="solve the steps of L and S with the atom of the loss itself (slow)",
    default=False,
    switch=True,
)

AMTFL = Settings(
    family="features",
    title="AMTFL",
    methods=("amtfl-linear",),
    model=(
        FEATURES,
        Setting(
            name="alpha",
            words="price of feedback, >= 0, times the loss of its task (1)",
            default=1.0,
            kind=float,
        ),
        MU,
        Setting(
            name="gamma", words="weight of the reconstruction ||Z - Z S A||^2, >= 0", needed=True, kind=float
        ),
        Setting(
            name="gamma_per",
            words="row: gamma is divided by the rows that are reconstructed (total)",
            default="total",
            choices=("total", "row"),
        ),
        DECAY,
        Setting(
            name="feedback",
            words="whether A may be negative (signed)",
            default="signed",
            choices=("signed", "nonnegative"),
        ),
        Setting(
            name="price_floor",
            words="what feedback costs beside the loss, times sqrt(mean n / n_t) (0)",
            default=0.0,
            kind=float,
        ),
        Setting(
            name="reconstruct",
            words="whether rows without a label are reconstructed too (all)",
            default="all",
            choices=("all", "labelled"),
        ),
    ),
    fit=(INIT, REFINE, DEFINITION),
    further=("digits",),
    kept={"activation": "identity"},
)

GO_MTL = Settings(
    family="go-mtl",
    title="GO-MTL",
    methods=("go-mtl",),
    model=(FEATURES, MU, DECAY),
    fit=(INIT, REFINE, DEFINITION),
    further=("digits",),
    kept={"activation": "identity"},
)
