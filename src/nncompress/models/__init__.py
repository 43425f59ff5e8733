"""Nets by name: plain modules without losses or training."""

from nncompress.models.registry import (
    MODELS,
    build,
    convolutional,
    initial_weights,
    input_shape,
    layer_operations,
    layer_units,
    multiply_accumulates,
    output_layer,
    parameter_names,
    parameter_shapes,
    parameter_sizes,
)

__all__ = [
    "MODELS",
    "build",
    "convolutional",
    "initial_weights",
    "input_shape",
    "layer_operations",
    "layer_units",
    "multiply_accumulates",
    "output_layer",
    "parameter_names",
    "parameter_shapes",
    "parameter_sizes",
]
