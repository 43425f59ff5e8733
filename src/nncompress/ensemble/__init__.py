"""Ensembles selected from libraries of scikit-learn models."""

from nncompress.ensemble.selection import greedy, rmse

__all__ = ["greedy", "rmse"]
