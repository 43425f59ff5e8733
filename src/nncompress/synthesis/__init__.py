"""Synthetic cases for transfer sets (Bucilă, Caruana & Niculescu-Mizil 2006, section 3): RANDOM, NBE and MUNGE, on numpy arrays."""

from nncompress.synthesis.marginals import random_cases
from nncompress.synthesis.munge import disturb, munge
from nncompress.synthesis.naive_bayes import NaiveBayes, fit_naive_bayes

__all__ = ["NaiveBayes", "disturb", "fit_naive_bayes", "munge", "random_cases"]
