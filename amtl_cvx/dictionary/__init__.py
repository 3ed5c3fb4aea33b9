"""A shared dictionary: SC-MTL, whose predictors are sparse codes over directions that all tasks share.

D (d, K) has the directions, in the unit ball; G (K, T) the codes, each in an l1 ball: predictors are D G.
What the package asks of a family is answered in `family`; what J is stands in `model` and `point`.
"""

from amtl_cvx.dictionary.certificate import DictionaryCertificate, certify
from amtl_cvx.dictionary.family import SC_MTL
from amtl_cvx.dictionary.methods import ScMtl
from amtl_cvx.dictionary.model import DictionaryModel
from amtl_cvx.dictionary.point import DictionaryPoint
from amtl_cvx.dictionary.problem import DictionaryProblem

__all__ = [
    "SC_MTL",
    "DictionaryCertificate",
    "DictionaryModel",
    "DictionaryPoint",
    "DictionaryProblem",
    "ScMtl",
    "certify",
]
