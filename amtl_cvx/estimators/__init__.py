"""Estimators for scikit-learn: AMTL and AMTFL behind `fit`, `predict` and `score`, with their certificates.

    AMTLRegressor().fit(X, y, task=shop).predict(X_new, task=shop_new)
    AMTLClassifier().fit(X, y)                                     more than two classes: one task a class
    AMTFLRegressor(features=8).fit(X, y, task=shop).transform(X_new)           by shared features

The task of each row is given beside the rows (`task=`, by metadata routing inside of other estimators) or
stands in a column of a frame (`task_column=`), and is no feature. What each row's predictor is:

    no task, numbers or two classes      one predictor, task "all": a ridge with the weight `coupling`
    tasks, numbers or two classes        one for each task, by its label
    no task, K > 2 classes               one for each class, "cat vs rest": B[s, t] > 0 says that what tells s
                                         from the rest helps to tell t from the rest
    tasks and K > 2 classes              one for each class that occurs in a task, "north: cat vs rest"

Everything else is `fit` and `Preparation`: the same J, the same certificate. `coef_` and `intercept_` of AMTL
are W in the units of X, and so are the first of `layers_` and `biases_` of AMTFL. Compiled problems are kept
from fit to fit (`compiled`): a grid search compiles once.
"""

from amtl_cvx.estimators.amtfl import AMTFLClassifier, AMTFLRegressor
from amtl_cvx.estimators.amtl import AMTLClassifier, AMTLRegressor

__all__ = ["AMTFLClassifier", "AMTFLRegressor", "AMTLClassifier", "AMTLRegressor"]
