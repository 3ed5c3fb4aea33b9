"""AMTL on the command line."""

from __future__ import annotations

from amtl_cvx.families.settings.table import Setting, Settings

REFINE = Setting(
    name="refine", words="refinement after the alternation, or alternation only", default=True, switch=True
)

AMTL = Settings(
    family="amtl",
    title="AMTL",
    methods=("alternating", "curriculum", "curriculum-simple", "stl"),
    model=(
        Setting(
            name="coupling", words="weight of ||W - W B||^2, > 0 (0: stl alone), or auto", default="auto"
        ),
        Setting(name="mu", words="price of transfer, >= 0, or auto", default="auto"),
        Setting(
            name="transfer",
            words="transfer penalty, with its parameters as NAME:key=value,...: loss-weighted-l1 (default),"
            " l1, size-priced-l1 (power), signed-l1, squared, elastic-net (rho), source-group-l2"
            " (weighted=true|false), target-group-l2, forbidden (file=edges.csv with source,target), required"
            " (file=edges.csv with source,target,value), ordered (file= with a task name a line, or"
            " order=names), symmetric, row-budget (budget), degree-cap (degree, cap), total-budget (total),"
            " or MODULE:CLASS, MODULE:FUNCTION of your own",
            default="loss-weighted-l1",
            metavar="NAME",
        ),
        Setting(
            name="omega",
            words="penalty on the predictors, NAME:rho=... or NAME:number: ridge, mean (how far they are from"
            " their mean), laplacian (file=edges.csv with source,target,value), l1, l21 (features), trace,"
            " trace-squared, fused (tasks in a row; file= with a task name a line), or MODULE:CLASS,"
            " MODULE:FUNCTION of your own; none (default) for none",
            metavar="NAME",
        ),
        Setting(
            name="rho",
            words="weight of the penalty on the predictors, >= 0, or auto: of --omega NAME, and of the"
            " methods mean, mtfl, amtl-mean (there auto by default)",
        ),
        Setting(
            name="power",
            words="by how much tasks of few rows find it dearer to teach: of --transfer size-priced-l1 and of"
            " the method amtl-imbalanced (1)",
        ),
    ),
    fit=(
        Setting(name="ridge", words="single-task start of the curriculum (coupling)", kind=float),
        Setting(
            name="reading",
            words="of curriculum-simple: the next task is that of the least step (greedy, default), or the"
            " order is that of single-task losses (fixed)",
            choices=("greedy", "fixed"),
        ),
        REFINE,
        Setting(
            name="definition",
            words="solve the W-step in its defining, conic form (slow)",
            default=False,
            switch=True,
        ),
        Setting(
            name="sweep",
            words="W-step over all tasks at once (default), or one by one",
            default="joint",
            choices=("joint", "tasks"),
        ),
    ),
    kept={"transfer_parameters": None, "omega_parameters": None},
    auto=("coupling", "mu", "rho"),
    further=("engine", "digits", "proof"),
)
