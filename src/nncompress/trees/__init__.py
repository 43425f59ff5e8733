"""Classification trees: CART, arcing, and born-again trees (Breiman & Shang 1996). NumPy and scikit-learn, no torch."""

from nncompress.trees.arcing import Ensemble, arc
from nncompress.trees.born_again import fewest_errors, grow
from nncompress.trees.cart import cart, cross_validated
from nncompress.trees.smearing import smear
from nncompress.trees.tree import Tree, prunings

__all__ = ["Ensemble", "Tree", "arc", "cart", "cross_validated", "fewest_errors", "grow", "prunings", "smear"]
