"""Central differences, the independent witness of a backward pass."""

import numpy as np


def slopes(f, x, h=1e-5):
    """df/dx of a function from an array to a float, one entry of `x` at a time."""
    out = np.zeros(x.shape)
    for i in np.ndindex(x.shape):
        step = np.zeros(x.shape)
        step[i] = h
        out[i] = (f(x + step) - f(x - step)) / (2 * h)
    return out


def assert_backward_is_right(layer, x, *, tolerance=1e-8):
    """`backward` of a float64 layer gives the slopes of sum(dout * forward) in `x` and in every parameter."""
    dout = np.random.default_rng(11).standard_normal(np.shape(layer.forward(x)))
    layer.zero_grad()
    layer.forward(x)
    dx = layer.backward(dout)
    gradients = {name: parameter.grad.copy() for name, parameter in layer.parameters().items()}
    np.testing.assert_allclose(
        dx, slopes(lambda x: float((dout * layer.forward(x)).sum()), x), rtol=1e-6, atol=tolerance
    )
    for name, parameter in layer.parameters().items():

        def of_value(value, parameter=parameter):
            parameter.value = value
            return float((dout * layer.forward(x)).sum())

        value = parameter.value.copy()
        expected = slopes(of_value, value)
        parameter.value = value
        np.testing.assert_allclose(gradients[name], expected, rtol=1e-6, atol=tolerance, err_msg=name)
