"""AlexNet and VGG-16: their layers, and that torchvision's weights answer in them as they do in torchvision's nets."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from torch import Tensor

import nncompress.models.pretrained as pretrained
from nncompress.errors import UserError
from nncompress.models import build, initial_weights, layer_operations, layer_units, output_layer, parameter_shapes, parameter_sizes
from nncompress.models.pretrained import pretrained_weights
from nncompress.types import Model

THEIRS = {"alexnet": torchvision.models.alexnet, "vgg_16": torchvision.models.vgg16}
NARROW = Model("alexnet", (2, 3, 4, 5, 6, 7, 8), (3, 70, 70), 3)
NARROW_VGG = Model("vgg_16", (2, 2, 3, 3, 4, 4, 4, 5, 5, 5, 5, 5, 5, 7, 8), (3, 40, 40), 3)


@pytest.mark.parametrize(("name", "parameters"), [("alexnet", 61_100_840), ("vgg_16", 138_357_544)])
def test_parameters_are_as_many_and_of_the_shapes_of_torchvisions(name: str, parameters: int) -> None:
    with torch.device("meta"):
        theirs = THEIRS[name](weights=None, init_weights=False) if name == "vgg_16" else THEIRS[name](weights=None)
    assert [tuple(p.shape) for p in theirs.state_dict().values()] == list(parameter_shapes(Model(name)).values())
    assert sum(parameter_sizes(Model(name)).values()) == parameters


def test_layers_are_named_as_in_the_papers_tables_and_need_their_operations() -> None:
    vgg = layer_operations(Model("vgg_16"))
    # Han et al. 2015, Table 5: two operations for each multiply-accumulate.
    printed = {
        "conv1_1": 0.2,
        "conv1_2": 3.7,
        "conv2_1": 1.8,
        "conv3_1": 1.8,
        "conv4_3": 3.7,
        "conv5_3": 0.9,
        "fc6": 0.206,
        "fc7": 0.034,
        "fc8": 0.008,
    }
    assert {name: pytest.approx(2e-9 * vgg[name], abs=0.05) for name in printed} == printed
    assert 2 * sum(vgg.values()) == pytest.approx(30.9e9, rel=0.005)
    assert list(layer_operations(Model("alexnet"))) == ["conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7", "fc8"]
    assert layer_units(Model("alexnet"))["conv5"] == 256 * 6 * 6 and layer_units(Model("vgg_16"))["conv5_3"] == 512 * 7 * 7


def test_widths_make_a_narrow_net_of_the_same_layers() -> None:
    for narrow, whole in ((NARROW, Model("alexnet")), (NARROW_VGG, Model("vgg_16"))):
        assert list(parameter_shapes(narrow)) == list(parameter_shapes(whole)) == list(initial_weights(narrow, 0))
        assert output_layer(build(narrow)) == "fc8"
        assert build(narrow)(torch.zeros(2, *narrow.input_shape)).shape == (2, 3)
    assert parameter_shapes(NARROW)["fc6.weight"] == (7, 6 * 36)


@pytest.mark.parametrize(
    ("model", "line"),
    [
        (Model("alexnet", (1, 2)), "model.widths = [1, 2]: alexnet has 7 hidden layers; give the channels or units of each, or none"),
        (Model("vgg_16", (64,) * 7), f"model.widths = {[64] * 7}: vgg_16 has 15 hidden layers; give the channels or units of each, or none"),
        (Model("alexnet", (), (3, 62, 62)), "model.input_shape = [3, 62, 62] is too small for alexnet: images must be 63x63 or larger"),
        (Model("vgg_16", (), (3, 31, 40)), "model.input_shape = [3, 31, 40] is too small for vgg_16: images must be 32x32 or larger"),
    ],
)
def test_what_they_cannot_be_is_refused_in_one_line(model: Model, line: str) -> None:
    with pytest.raises(UserError) as refusal:
        build(model)
    assert str(refusal.value) == line


@pytest.mark.parametrize(("name", "side"), [("alexnet", 63), ("vgg_16", 32)])
def test_the_smallest_images_pass(name: str, side: int) -> None:
    model = Model(name, (2,) * (7 if name == "alexnet" else 15), (3, side, side), 2)
    assert build(model)(torch.zeros(1, 3, side, side)).shape == (1, 2)


# -- weights of torchvision ----------------------------------------------------------------------------------------------------------------


def publish(arrays: dict[str, Tensor], folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file of weights, named by its checksum as torchvision's are, which is what torchvision is said to publish."""
    torch.save(arrays, folder / "made.pth")
    path = folder / f"net-{hashlib.sha256((folder / 'made.pth').read_bytes()).hexdigest()[:8]}.pth"
    (folder / "made.pth").rename(path)
    monkeypatch.setattr(pretrained, "_url", lambda *_: f"https://nowhere.invalid/models/{path.name}")
    return path


def arrays_of(model: Model) -> dict[str, Tensor]:
    """As torchvision has them: under other names, in the order of the layers."""
    generator = torch.Generator().manual_seed(0)
    return {f"features.{i}": torch.randn(shape, generator=generator) for i, shape in enumerate(parameter_shapes(model).values())}


def test_weights_come_by_our_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = arrays_of(NARROW)
    publish(theirs, tmp_path, monkeypatch)
    found = pretrained_weights(NARROW, "imagenet1k_v1", tmp_path)
    assert list(found) == list(parameter_shapes(NARROW))
    for ours, array in zip(found.values(), theirs.values(), strict=True):
        np.testing.assert_array_equal(ours, array.numpy())


@pytest.mark.slow
@pytest.mark.parametrize("name", THEIRS)
def test_torchvisions_net_and_ours_give_the_same_logits(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    theirs = THEIRS[name](weights=None).eval()
    publish(theirs.state_dict(), tmp_path, monkeypatch)
    ours = build(Model(name, hidden_dropout=0.5))
    ours.load_state_dict({key: torch.from_numpy(array) for key, array in pretrained_weights(Model(name), "imagenet1k_v1", tmp_path).items()})
    image = torch.rand(1, 3, 224, 224)
    with torch.inference_mode():
        torch.testing.assert_close(ours(image), theirs(image), rtol=1e-4, atol=1e-5)


def refusal(model: Model, origin: str, folder: Path) -> str:
    with pytest.raises(UserError) as refused:
        pretrained_weights(model, origin, folder)
    assert "\n" not in str(refused.value)
    return str(refused.value)


def test_without_file_and_network_one_line_says_where_it_belongs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*_: object, **__: object) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", offline)
    path = tmp_path / "alexnet-owt-7be5be79.pth"
    assert refusal(Model("alexnet"), "imagenet1k_v1", tmp_path) == (
        f"torchvision's weights of alexnet were not found: there is no {path}, and it could not be downloaded (no route to host); "
        "put alexnet-owt-7be5be79.pth from https://download.pytorch.org/models/alexnet-owt-7be5be79.pth there, "
        "or run this once on a machine with a network"
    )


def test_a_damaged_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = publish(arrays_of(NARROW), tmp_path, monkeypatch)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    line = f"{path} is damaged (its SHA-256 does not begin as its name says): delete it and get it again"
    assert refusal(NARROW, "imagenet1k_v1", tmp_path) == line


def test_weights_of_another_net_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(arrays_of(NARROW), tmp_path, monkeypatch)
    assert "leave model.widths, model.input_shape and model.classes out" in refusal(NARROW_VGG, "imagenet1k_v1", tmp_path)


def test_a_model_or_an_origin_without_weights_is_refused(tmp_path: Path) -> None:
    assert refusal(Model("lenet_5"), "imagenet1k_v1", tmp_path) == (
        "model lenet_5: torchvision has no weights of it; there are weights of alexnet, vgg_16"
    )
    assert refusal(Model("alexnet"), "imagenet", tmp_path) == "pretrained = imagenet: there are no such weights; there is imagenet1k_v1"
