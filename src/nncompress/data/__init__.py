"""Image data sets as uint8 tensors in memory: splits, batch order, augmentation, scaling."""

from nncompress.data.batches import augment, batch_indices, halved_batch_indices, scale
from nncompress.data.sources import DATASETS, known_fingerprint
from nncompress.data.splits import Splits, load, splits

__all__ = ["DATASETS", "Splits", "augment", "batch_indices", "halved_batch_indices", "known_fingerprint", "load", "scale", "splits"]
