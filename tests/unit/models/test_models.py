"""Models have the sizes of their papers, and start weights that depend on (model, seed) alone."""

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.func import functional_call, stack_module_state, vmap

from nncompress.errors import UserError
from nncompress.models import (
    MODELS,
    build,
    initial_weights,
    input_shape,
    layer_operations,
    layer_units,
    multiply_accumulates,
    output_layer,
    parameter_names,
    parameter_sizes,
)
from nncompress.models.layers import Dropout
from nncompress.types import Model

torch.set_num_threads(1)

MLP = Model("mlp", (784, 300, 100, 10))
EVERY = [MLP, *(Model(name) for name in MODELS if name not in ("mlp", "alexnet", "vgg_16"))]  # these two: test_imagenet_models
SMALL = [  # one of each kind, quick to run
    Model("mlp", (12, 8, 6, 4)),
    Model("lenet_300_100", input_shape=(1, 8, 8)),
    Model("lenet_5", input_shape=(1, 16, 16)),
    Model("conv_2", input_shape=(1, 4, 4)),
    Model("conv_6", input_shape=(2, 8, 8), classes=5),
    Model("alexnet", (2, 3, 4, 5, 6, 7, 8), (3, 63, 63), 3),
    Model("vgg_16", (2, 2, 3, 3, 4, 4, 4, 5, 5, 5, 5, 5, 5, 7, 8), (3, 32, 32), 3),
]
by_name = {"ids": lambda model: model.name}


def loaded(model, seed=0):
    net = build(model)
    net.load_state_dict({name: torch.from_numpy(array) for name, array in initial_weights(model, seed).items()})
    return net


@pytest.mark.parametrize(
    ("model", "parameters", "weights"),
    [
        (Model("lenet_300_100"), 266_610, 266_200),
        (Model("lenet_5"), 431_080, 430_500),
        (Model("conv_2"), 4_301_642, 4_300_992),
        (Model("conv_4"), 2_425_930, 2_425_024),
        (Model("conv_6"), 2_262_602, 2_261_184),
        (Model("mlp", (784, 1200, 1200, 10)), 2_395_210, 2_392_800),
        (Model("mlp", (784, 800, 800, 10)), 1_276_810, 1_275_200),
    ],
)
def test_parameter_counts_are_those_of_the_papers(model, parameters, weights):
    shapes = [parameter.shape for parameter in build(model).parameters()]
    assert sum(map(math.prod, shapes)) == parameters
    assert sum(math.prod(shape) for shape in shapes if len(shape) > 1) == weights


def test_lenet_300_100_is_the_mlp_of_its_widths():
    first, second = initial_weights(Model("lenet_300_100"), 1), initial_weights(MLP, 1)
    assert all(np.array_equal(first[name], second[name]) for name in first) and list(first) == list(second)


@pytest.mark.parametrize("model", EVERY, **by_name)
def test_layers_are_numbered_by_kind_and_the_last_is_the_output_layer(model):
    names = parameter_names(model)
    net = build(model)
    layers = [name for name, module in net.named_modules() if isinstance(module, nn.Linear | nn.Conv2d)]
    kinds = [name.rstrip("0123456789") for name in layers]
    assert layers == [f"{kind}{kinds[: i + 1].count(kind)}" for i, kind in enumerate(kinds)]
    assert names == [name for name, _ in net.named_parameters()] == list(initial_weights(model, 0))
    assert names == [f"{layer}.{part}" for layer in layers for part in ("weight", "bias")]
    assert output_layer(net) == layers[-1] == ("fc2" if model.name.startswith("lenet_5") else "fc3")


def test_lenet_5_relu_is_lenet_5_with_relu_after_its_convolutions() -> None:
    named = [name for name, module in build(Model("lenet_5_relu")).named_children() if isinstance(module, nn.ReLU)]
    assert named == ["conv1_relu", "conv2_relu", "fc1_relu"]
    assert parameter_sizes(Model("lenet_5_relu")) == parameter_sizes(Model("lenet_5"))


def test_operations_and_units_of_each_layer_are_those_of_han_s_tables() -> None:
    assert layer_operations(Model("lenet_5_relu")) == {"conv1": 288_000, "conv2": 1_600_000, "fc1": 400_000, "fc2": 5_000}
    assert layer_units(Model("lenet_5_relu")) == {"conv1": 2880, "conv2": 800, "fc1": 500, "fc2": 10}
    assert layer_operations(Model("lenet_300_100")) == {"fc1": 235_200, "fc2": 30_000, "fc3": 1_000}
    assert layer_units(Model("lenet_300_100")) == {"fc1": 300, "fc2": 100, "fc3": 10}


def test_lenet_5_has_one_relu_after_its_first_fully_connected_layer():
    assert [name for name, module in build(Model("lenet_5")).named_children() if isinstance(module, nn.ReLU)] == ["fc1_relu"]


@pytest.mark.parametrize("model", SMALL, **by_name)
def test_a_net_maps_images_to_logits(model):
    net = loaded(model)
    images = torch.rand(3, *input_shape(model))
    logits = net(images)
    assert logits.shape == (3, model.classes or (4 if model.name == "mlp" else 10)) and logits.std() > 0
    if model.name in ("mlp", "lenet_300_100"):
        assert torch.equal(net(images.flatten(1)), logits)


def test_input_shape_is_the_papers_unless_given():
    assert input_shape(Model("conv_4")) == (3, 32, 32) and input_shape(Model("lenet_5")) == (1, 28, 28)
    assert input_shape(Model("conv_4", input_shape=(1, 8, 8))) == (1, 8, 8)
    assert input_shape(MLP) == (1, 28, 28) and input_shape(Model("mlp", (13, 2))) == (1, 1, 13)
    assert input_shape(Model("mlp", (3072, 2), input_shape=(3, 32, 32))) == (3, 32, 32)


@pytest.mark.parametrize("model", EVERY, **by_name)
def test_initial_weights_are_gaussian_glorot_with_zero_biases(model):
    for name, array in initial_weights(model, 0).items():
        assert array.dtype == np.float32
        if name.endswith("bias"):
            assert not array.any()
            continue
        kernel = math.prod(array.shape[2:])
        std = math.sqrt(2 / (array.shape[0] * kernel + array.shape[1] * kernel))
        error = 5 / math.sqrt(array.size)
        assert array.std() == pytest.approx(std, rel=error), name
        assert abs(array.mean()) < error * std
        assert np.mean(np.abs(array) > 2 * std) == pytest.approx(0.0455, abs=1.1 / math.sqrt(array.size))  # normal tails


def test_initial_weights_may_be_given_one_std():
    glorot, small = Model("lenet_300_100"), Model("lenet_300_100", initial_std=0.01)
    for name, weights in initial_weights(small, 3).items():
        if name.endswith("weight"):
            assert weights.std() == pytest.approx(0.01, rel=0.1)
            np.testing.assert_allclose(
                weights / weights.std(), initial_weights(glorot, 3)[name] / initial_weights(glorot, 3)[name].std(), rtol=1e-4
            )
        else:
            assert not weights.any()


def test_initial_weights_are_a_function_of_model_and_seed():
    first = initial_weights(MLP, 3)
    torch.manual_seed(9)
    np.random.seed(9)
    again, other = initial_weights(MLP, 3), initial_weights(MLP, 4)
    for name in (name for name in first if name.endswith("weight")):
        assert np.array_equal(first[name], again[name])
        assert abs(np.corrcoef(first[name].ravel(), other[name].ravel())[0, 1]) < 5 / math.sqrt(first[name].size)
    square = initial_weights(Model("mlp", (50, 50, 50)), 0)
    assert abs(np.corrcoef(square["fc1.weight"].ravel(), square["fc2.weight"].ravel())[0, 1]) < 0.1  # layers differ too


def test_a_layers_initial_weights_do_not_depend_on_the_other_layers():
    short, long = initial_weights(Model("mlp", (20, 30, 10)), 0), initial_weights(Model("mlp", (20, 30, 40, 10)), 0)
    assert np.array_equal(short["fc1.weight"], long["fc1.weight"])


def test_initial_weights_never_change():
    weight = initial_weights(Model("mlp", (3, 2)), 0)["fc1.weight"]
    assert weight.astype("<f4").tobytes().hex() == "cc51a9bea21b453f7a9c53bff58949bf1e18073fd7e0cdbd"


def test_building_draws_nothing_and_starts_at_zero():
    before = torch.get_rng_state()
    net = build(MLP)
    assert torch.equal(before, torch.get_rng_state())
    assert not any(parameter.any() for parameter in net.parameters()) and all(p.device.type == "cpu" for p in net.parameters())


@pytest.mark.parametrize("model", SMALL, **by_name)
def test_stacked_nets_compute_what_each_computes_alone(model):
    nets = [loaded(model, seed) for seed in range(3)]
    images = torch.rand(3, 4, *input_shape(model))
    parameters, buffers = stack_module_state(nets)
    stacked = vmap(lambda p, b, x: functional_call(nets[0], (p, b), (x,)))(parameters, buffers, images)
    torch.testing.assert_close(stacked, torch.stack([net(x) for net, x in zip(nets, images, strict=True)]))


@pytest.mark.parametrize("model", SMALL, **by_name)
def test_hidden_layers_may_be_bfloat16_while_the_logits_stay_float32(model):
    nets = [loaded(model, seed) for seed in range(2)]
    images = torch.rand(2, 4, *input_shape(model))
    parameters, _ = stack_module_state(nets)
    last = output_layer(nets[0])
    mixed = {name: p if name.startswith(last) else p.bfloat16() for name, p in parameters.items()}
    logits = vmap(lambda p, x: functional_call(nets[0], p, (x,)))(mixed, images)
    assert logits.dtype == torch.float32
    torch.testing.assert_close(logits, torch.stack([net(x) for net, x in zip(nets, images, strict=True)]), atol=0.05, rtol=0.05)
    logits.sum().backward()
    assert all(p.grad is not None and p.grad.dtype == torch.float32 for p in parameters.values())


@pytest.mark.parametrize("model", [Model("mlp", (12, 8, 6, 4)), Model("conv_2", input_shape=(3, 2, 2))], **by_name)
def test_dropout_stands_on_the_input_and_behind_every_hidden_fully_connected_layer(model):
    from dataclasses import replace

    net = build(replace(model, input_dropout=0.2, hidden_dropout=0.5))
    found = {name: (module.p, module.features) for name, module in net.named_modules() if isinstance(module, Dropout)}
    hidden = {f"fc{i}_dropout": (0.5, getattr(net, f"fc{i}").out_features) for i in (1, 2)}
    assert found == {"input_dropout": (0.2, 12), **hidden}
    net.load_state_dict(loaded(model).state_dict())  # dropout adds no parameters
    images = torch.rand(2, *input_shape(model))
    torch.testing.assert_close(net(images), loaded(model)(images))
    silent = functional_call(net, {"input_dropout.keep": torch.zeros(2, 12)}, (images,))
    torch.testing.assert_close(silent, torch.zeros_like(silent))


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (Model("mlp", (784, 300, 100, 10)), 784 * 300 + 300 * 100 + 100 * 10),
        (Model("lenet_5"), 24 * 24 * 20 * 25 + 8 * 8 * 50 * 20 * 25 + 800 * 500 + 500 * 10),
        (Model("conv_2"), 32 * 32 * 64 * 9 * (3 + 64) + 16 * 16 * 64 * 256 + 256 * 256 + 256 * 10),
        (Model("conv_2", input_dropout=0.1, hidden_dropout=0.5), 32 * 32 * 64 * 9 * (3 + 64) + 16 * 16 * 64 * 256 + 256 * 256 + 256 * 10),
    ],
)
def test_multiply_accumulates_are_counted_by_layer(model, expected):
    assert multiply_accumulates(model) == expected


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (Model("lenet_300"), "no model 'lenet_300'; did you mean 'lenet_300_100'."),
        (Model("transformer"), "no model 'transformer'; there are mlp, lenet_300_100, lenet_5"),
        (Model("mlp"), r"model.widths = \[\]: an mlp needs the units of every layer"),
        (Model("mlp", (784,)), r"model.widths = \[784\]"),
        (Model("mlp", (784, 10), input_shape=(3, 32, 32)), "3072 features, but model.widths begins with 784"),
        (Model("mlp", (784, 10), classes=100), "model.classes = 100, but model.widths ends with 10"),
        (Model("conv_2", (784, 10)), r"model.widths = \[784, 10\] is for mlp, alexnet, vgg_16 only"),
        (Model("conv_2", input_shape=(32, 32)), r"model.input_shape = \[32, 32\] must be three numbers"),
        (Model("conv_6", input_shape=(3, 7, 8)), r"model.input_shape = \[3, 7, 8\] is too small for conv_6: images must be 8x8"),
        (Model("lenet_5", input_shape=(1, 15, 28)), "too small for lenet_5: images must be 16x16"),
    ],
)
def test_a_model_that_cannot_be_is_refused_in_one_line(model, said):
    for attempt in (build, parameter_names, lambda model: initial_weights(model, 0)):
        with pytest.raises(UserError, match=said) as caught:
            attempt(model)
        assert "\n" not in str(caught.value)
