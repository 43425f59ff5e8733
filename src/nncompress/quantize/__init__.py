"""Storing nets in few bits: shared weights, relative indices, entropy coding, a file format, and what each of them costs."""

from nncompress.quantize.codebook import initial_centroids, k_means, shared_gradient
from nncompress.quantize.storage import Account, CompressedNet, account, load, save
from nncompress.quantize.tensors import CompressedTensor, compress, dense, pruned, shared

__all__ = [
    "Account",
    "CompressedNet",
    "CompressedTensor",
    "account",
    "compress",
    "dense",
    "initial_centroids",
    "k_means",
    "load",
    "pruned",
    "save",
    "shared",
    "shared_gradient",
]
