"""The common mistakes by name: what a verdict calls them, and what is to be done."""

from __future__ import annotations

from collections.abc import Mapping

MISTAKES: Mapping[str, str] = {
    "transposed B": "B[s, t] is the edge from s to t: column t rebuilds w_t as W @ B[:, t]; hand B back so",
    "incoming for outgoing": "a_t = c_t (1 + mu B[t, :].sum()): a task pays for what it gives, its row",
    "factor 2 in the loss": "the losses have no 1/2: squared is (1/n_t) ||y_t - X_t w_t||^2",
    "factor 2 in the coupling": "the coupling is coupling ||W - W B||_F^2, without 1/2 and counted once",
    "gradient without its factor 2": "the derivative of a square has a factor 2: take finite differences",
    "sum for mean": 'reduction "mean" divides the loss of task t by its number of rows n_t',
    "mean for sum": 'reduction "sum" does not divide by the number of rows',
    "mean over all rows": "the loss of task t is divided by its own number of rows n_t, not by that of all",
    "no cross terms": "w_t stands in the residual of every task it helps too: 2 coupling R (I - B)'",
    "B rescaled": "B is what the B-step gives; its sums are not set to anything",
    "squared loss in the penalty": "an edge s -> t costs mu c_s l_s, the loss itself",
    "other loss in the penalty": "an edge s -> t costs mu c_s l_s with the very loss of the model",
    "diagonal leak": "a task is not rebuilt from itself: diag(B) = 0",
    "early stop": "stop on the first-order residuals, not on a change of J or of the iterates",
    "float32 accumulation": "sum in float64, or say that the back end is one of float32",
    "standardisation not undone": "solve in the features that were given; nothing is scaled or centred",
    "tasks permuted": "column t of W and row and column t of B belong to task t as it was given",
    "features permuted": "row j of W belongs to column j of X_t as it was given",
    "W transposed": "W has a row for every feature and a column for every task, (d, T), C order",
    "mu ignored": "mu weighs the loss in the W-step, a_t = c_t (1 + mu B[t, :].sum()), and prices the edges",
    "task weights ignored": "c_t weighs the loss of task t wherever it stands, in the price of its edges too",
    "row weights ignored": "a row of weight v counts v times, and a mean divides by the sum of weights",
    "B not clipped": "B >= 0 is part of the B-step: setting negative entries to 0 afterwards is another B",
    "threshold": "of one edge b_j = max(0, (w_j'r_j - p_j / (2 coupling)) / ||w_j||^2), p_j = mu c_j l_j",
    "labels flipped": "labels are -1/+1: phi is a function of y z, large where y z is negative",
    "coupling 0": "the coupling has to reach the step: pass it by name",
    "norm not squared": "the coupling is the square of the Frobenius norm",
    "stale losses": "the B-step prices edges by the losses of the W that it is given",
    "one-row gradients": "the loss of a task is over all its rows",
}
"""What to do about each."""
