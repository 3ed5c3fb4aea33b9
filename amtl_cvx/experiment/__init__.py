"""Experiments: many fits, choose coupling and mu; `score` of `scoring` is at hand here too.

Starts, grids and folds are lists of fits that know nothing of each other:

    jobs = [Job(tasks=tasks, model=replace(model, coupling=coupling)) for coupling in (0.1, 1.0, 10.0)]
    solutions = fit_many(jobs, executor=executor)

`--coupling auto` and `--mu auto` mean, for a given data set (tune.md of the guide):

    mu        a tenth of mu_max, the price from which the graph stays empty, at the single-task W
    coupling  from a short path of ridge weights (the mean curvature of the losses times 1e-4 ... 10, and up
              to three decades beyond an end that is best), each tried with its own mu for a few rounds of
              the alternation, judged on a held-out fifth of every task's rows, or on validation rows

mu_max = max over edges s -> t of 2 coupling w_s'w_t / (c_s l_s) at the W of B = 0: from there on the first
B-step gives B = 0 (theory.md section 3). It is defined for the loss-weighted L1 penalty, and a scale for
the others.
"""

from amtl_cvx.experiment.jobs import Job, fit_many
from amtl_cvx.experiment.scales import mu_max, suggest_loss
from amtl_cvx.experiment.tune import COUPLING_PATH, Choice, Trial, choose
from amtl_cvx.holdout import hold_out
from amtl_cvx.scoring import score

__all__ = [
    "COUPLING_PATH",
    "Choice",
    "Job",
    "Trial",
    "choose",
    "fit_many",
    "hold_out",
    "mu_max",
    "score",
    "suggest_loss",
]
