"""Storing nets in few bits: shared weights, relative indices, entropy coding, a file format, and what each of them costs."""

from nncompress.quantize.codebook import initial_centroids, k_means, shared_gradient
from nncompress.quantize.integers import to_integers
from nncompress.quantize.sparse_index import to_gaps
from nncompress.quantize.storage import Account, CompressedNet, account, accounts, decode, encode, load, save, with_best_gaps
from nncompress.quantize.tensors import INDEX_BITS, CompressedTensor, coded, compress, dense, pruned, shared

__all__ = [
    "INDEX_BITS",
    "Account",
    "CompressedNet",
    "CompressedTensor",
    "account",
    "accounts",
    "coded",
    "compress",
    "decode",
    "dense",
    "encode",
    "initial_centroids",
    "k_means",
    "load",
    "pruned",
    "save",
    "shared",
    "shared_gradient",
    "to_gaps",
    "to_integers",
    "with_best_gaps",
]
