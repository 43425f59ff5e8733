"""Weights that torchvision publishes of nets of its own that are models here, layer for layer."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path
from urllib.parse import urlparse

import numpy as np
import torch

from nncompress.data.sources import fetched
from nncompress.errors import UserError, one_line
from nncompress.models.registry import parameter_shapes
from nncompress.types import Model

ORIGINS = ("imagenet1k_v1",)
"""torchvision's names of its weights, in small letters."""
CLASSES = {"alexnet": "AlexNet_Weights", "vgg_16": "VGG16_Weights"}
"""Model -> torchvision's list of its weights."""


def pretrained_weights(model: Model, origin: str, data_dir: Path) -> dict[str, np.ndarray]:
    """The weights by our names, float32, from torchvision's file in `data_dir`, downloaded there where it is not.

    Raises: UserError for a model or an origin without weights, a file that can be neither found nor downloaded, or is damaged, or does not fit.
    """
    path = find(model, origin, data_dir)
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # of a file that its checksum found whole
        raise UserError(f"{path} does not hold torchvision's weights ({one_line(error)}): delete it and get it again") from error
    expected = parameter_shapes(model)
    arrays = [tensor.numpy().astype(np.float32, copy=False) for tensor in found.values()]  # both go from the first layer to the last
    if [array.shape for array in arrays] != list(expected.values()):
        raise UserError(
            f"model {model.name}: the weights {origin} are of the net for 1000 classes and images of 224x224 as published; leave model.widths, "
            "model.input_shape and model.classes out"
        )
    return dict(zip(expected, arrays, strict=True))


def find(model: Model, origin: str, data_dir: Path) -> Path:
    """The file with the weights, in `data_dir`, where it is downloaded if it is not there. It is known by the SHA-256 that its name begins."""
    url = _url(model, origin)
    path = data_dir / Path(urlparse(url).path).name

    def fetch(folder: Path, download: bool) -> Path:
        if download:
            torch.hub.load_state_dict_from_url(url, str(folder), progress=False, check_hash=True, weights_only=True, map_location="cpu")
        if not path.exists():
            raise FileNotFoundError(path)
        return path

    def lacking(error: Exception) -> str:
        return (
            f"torchvision's weights of {model.name} were not found: there is no {path}, and it could not be downloaded ({one_line(error)}); "
            f"put {path.name} from {url} there, or run this once on a machine with a network"
        )

    fetched(path.name, fetch, data_dir, lacking)
    if not _digest(path, path.stat().st_mtime_ns).startswith(path.stem.rpartition("-")[2]):
        raise UserError(f"{path} is damaged (its SHA-256 does not begin as its name says): delete it and get it again")
    return path


@lru_cache
def _digest(path: Path, changed: int) -> str:
    """SHA-256 of the file, read once as long as it does not change."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _url(model: Model, origin: str) -> str:
    from torchvision import models

    if model.name not in CLASSES:
        raise UserError(f"model {model.name}: torchvision has no weights of it; there are weights of {', '.join(CLASSES)}")
    if origin not in ORIGINS:
        raise UserError(f"pretrained = {origin}: there are no such weights; there is {', '.join(ORIGINS)}")
    url: str = getattr(models, CLASSES[model.name])[origin.upper()].url
    return url
