"""Data sets in memory, images as uint8 tensors, tables as float32 inputs: splits, batch order, augmentation, scaling."""

from nncompress.data.batches import augment, batch_indices, halved_batch_indices, scale
from nncompress.data.folders import ImageFiles
from nncompress.data.problems import PROBLEMS, known_fingerprint
from nncompress.data.sources import DATASETS
from nncompress.data.splits import Splits, as_images, load, splits

__all__ = [
    "DATASETS",
    "PROBLEMS",
    "ImageFiles",
    "Splits",
    "as_images",
    "augment",
    "batch_indices",
    "halved_batch_indices",
    "known_fingerprint",
    "load",
    "scale",
    "splits",
]
