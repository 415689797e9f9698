"""The rules, against the published algorithms written out for one weight in Python floats."""

import math

import numpy as np
import pytest

import optim
from layers import Parameter
from optim.flat import BLOCK


def sgd(w, gradients, rate):
    for g in gradients:
        w = w - rate * g
    return w


def momentum(w, gradients, rate, mu):
    v = 0.0
    for g in gradients:
        v = mu * v + g
        w = w - rate * v
    return w


def nesterov(w, gradients, rate, mu):
    """Sutskever's: the gradients are those at the point looked ahead to, which is what the optimizer keeps as w."""
    v, ahead = 0.0, w  # ahead = w + mu v
    for g in gradients:
        w = ahead - mu * v
        v = mu * v - rate * g
        w = w + v
        ahead = w + mu * v
    return ahead


def adagrad(w, gradients, rate, eps):
    total = 0.0
    for g in gradients:
        total += g * g
        w -= rate * g / (math.sqrt(total) + eps)
    return w


def rmsprop(w, gradients, rate, decay, eps):
    mean_square = 0.0
    for g in gradients:
        mean_square = decay * mean_square + (1 - decay) * g**2
        w -= rate * g / (math.sqrt(mean_square) + eps)
    return w


def adam(w, gradients, rate, beta1, beta2, eps, decay=0.0):
    m = v = 0.0
    for t, g in enumerate(gradients, start=1):
        w -= rate * decay * w
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g * g
        w -= rate * (m / (1 - beta1**t)) / (math.sqrt(v / (1 - beta2**t)) + eps)
    return w


RULES = {
    "SGD": (lambda p, **o: optim.SGD(p, learning_rate=0.1, **o), lambda w, g: sgd(w, g, 0.1)),
    "momentum": (
        lambda p, **o: optim.SGD(p, learning_rate=0.1, momentum=0.9, **o),
        lambda w, g: momentum(w, g, 0.1, 0.9),
    ),
    "Nesterov": (
        lambda p, **o: optim.SGD(p, learning_rate=0.1, momentum=0.9, nesterov=True, **o),
        lambda w, g: nesterov(w, g, 0.1, 0.9),
    ),
    "Adagrad": (lambda p, **o: optim.Adagrad(p, eps=0.01, **o), lambda w, g: adagrad(w, g, 0.01, 0.01)),
    "RMSProp": (lambda p, **o: optim.RMSProp(p, eps=0.01, **o), lambda w, g: rmsprop(w, g, 0.01, 0.99, 0.01)),
    "Adam": (lambda p, **o: optim.Adam(p, eps=0.01, **o), lambda w, g: adam(w, g, 0.001, 0.9, 0.999, 0.01)),
    "AdamW": (
        lambda p, **o: optim.AdamW(p, learning_rate=0.1, betas=(0.5, 0.7), **o),
        lambda w, g: adam(w, g, 0.1, 0.5, 0.7, 1e-8, 0.01),
    ),
}
every_rule = pytest.mark.parametrize("rule", RULES)


def train(optimizer, parameters, gradients):
    """A step for each of the dicts of gradients."""
    for step in gradients:
        optimizer.zero_grad()
        for name, grad in step.items():
            parameters[name].add_grad(grad)
        optimizer.step()


def make_parameters(dtype=np.float64):
    rng = np.random.default_rng(0)
    return {
        "b": Parameter(rng.standard_normal(3).astype(dtype), decay=False),
        "W": Parameter(rng.standard_normal((2, 3)).astype(dtype)),
        "scale": Parameter(np.array(1.5, dtype)),
    }


def draw_gradients(parameters, steps, seed=1):
    rng = np.random.default_rng(seed)
    return [
        {name: rng.standard_normal(p.value.shape).astype(p.value.dtype) for name, p in parameters.items()}
        for _ in range(steps)
    ]


@every_rule
def test_fifty_steps_follow_the_published_algorithm(rule):
    make, reference = RULES[rule]
    parameters = make_parameters()
    del parameters["b"]  # whose weights AdamW does not decay
    gradients = draw_gradients(parameters, 50)
    expected = {
        name: [
            reference(w, [float(g[name].flat[i]) for g in gradients]) for i, w in enumerate(p.value.ravel().tolist())
        ]
        for name, p in parameters.items()
    }
    train(make(parameters), parameters, gradients)
    for name, p in parameters.items():
        np.testing.assert_allclose(p.value.ravel(), expected[name], rtol=1e-12, atol=1e-13)


@every_rule
def test_float32_parameters_stay_float32_with_their_state(rule):
    parameters = make_parameters(np.float32)
    gradients = draw_gradients(parameters, 3)
    optimizer = RULES[rule][0](parameters)
    optimizer.learning_rate = np.float64(0.1)
    train(optimizer, parameters, gradients)
    arrays = [*optimizer.values, *optimizer.grads, *(p.value for p in parameters.values())]
    arrays += [value for value in optimizer.state_dict().values() if isinstance(value, np.ndarray)]
    assert {array.dtype for array in arrays} == {np.dtype(np.float32)}


@every_rule
def test_a_vector_of_several_blocks_is_updated_like_its_elements_alone(rule):
    make, _ = RULES[rule]
    n = 2 * BLOCK + 5
    rng = np.random.default_rng(0)
    start, gradients = rng.standard_normal(n), [{"w": rng.standard_normal(n)} for _ in range(2)]
    for threads in (1, 2):
        long = {"w": Parameter(start.copy())}
        train(make(long, threads=threads), long, gradients)
        for i in (0, 1, BLOCK - 1, BLOCK, 2 * BLOCK - 1, 2 * BLOCK, n - 1):
            short = {"w": Parameter(start[i : i + 1].copy())}
            train(make(short), short, [{"w": g["w"][i : i + 1]} for g in gradients])
            assert long["w"].value[i] == short["w"].value[0]


@every_rule
def test_threads_change_no_bit(rule):
    make, _ = RULES[rule]
    results = []
    for threads in (1, 2, 3):
        rng = np.random.default_rng(0)
        parameters = {"w": Parameter(rng.standard_normal(4 * BLOCK, dtype=np.float32))}
        train(make(parameters, threads=threads), parameters, draw_gradients(parameters, 2))
        results.append(parameters["w"].value)
    np.testing.assert_array_equal(results[0], results[1])
    np.testing.assert_array_equal(results[0], results[2])


@pytest.mark.parametrize("make", [optim.SGD, optim.Adagrad, optim.RMSProp, optim.Adam, optim.AdamW])
def test_weight_decay_shrinks_weights_and_leaves_biases_alone(make):
    parameters = make_parameters()
    before = {name: p.value.copy() for name, p in parameters.items()}
    make(parameters, learning_rate=0.5, weight_decay=0.25).step()  # no gradient: nothing but the decay
    np.testing.assert_allclose(parameters["W"].value, before["W"] * 0.875, rtol=1e-15)
    np.testing.assert_allclose(parameters["scale"].value, before["scale"] * 0.875, rtol=1e-15)
    np.testing.assert_array_equal(parameters["b"].value, before["b"])


def test_weight_decay_is_zero_unless_said_except_for_adamw():
    for make in (optim.SGD, optim.Adagrad, optim.RMSProp, optim.Adam):
        assert make(make_parameters(), learning_rate=0.1).weight_decay == 0
    assert optim.AdamW(make_parameters()).weight_decay == 0.01


def test_the_velocity_excludes_the_rate():
    w = Parameter(np.array([0.0]))
    optimizer = optim.SGD([w], learning_rate=1.0, momentum=0.5)
    w.add_grad(np.array([-4.0]))
    optimizer.step()
    optimizer.zero_grad()
    optimizer.learning_rate = 0.5
    optimizer.step()
    assert w.value.tolist() == [4.0 + 0.5 * (0.5 * 4.0)]  # with the rate inside it would be 4 + 0.5 * 4


def test_a_missing_gradient_counts_as_zero_not_as_the_last_one():
    w = Parameter(np.array([1.0]))
    optimizer = optim.SGD([w], learning_rate=0.1)
    w.add_grad(np.array([5.0]))
    optimizer.zero_grad()
    optimizer.step()
    assert w.value.tolist() == [1.0]


def test_step_calls_a_closure_first_and_returns_its_loss():
    w = Parameter(np.array([1.0]))
    optimizer = optim.SGD([w], learning_rate=0.5)

    def closure():
        optimizer.zero_grad()
        w.add_grad(np.array([2.0]))
        return 7.0

    assert optimizer.step(closure) == 7.0
    assert optimizer.step() is None
    assert w.value.tolist() == [-1.0]


@every_rule
@pytest.mark.parametrize("through_file", [False, True])
def test_training_goes_on_bitwise_from_a_saved_state(rule, through_file, tmp_path):
    make, _ = RULES[rule]
    parameters = make_parameters()
    gradients = draw_gradients(parameters, 10)
    optimizer = make(parameters)
    train(optimizer, parameters, gradients[:5])
    state = optimizer.state_dict()
    # The same parameters in another order, and an optimizer with other hyper-parameters.
    copies = {name: Parameter(p.value.copy(), decay=p.decay) for name, p in reversed(parameters.items())}
    train(optimizer, parameters, gradients[5:])

    if through_file:
        np.savez(tmp_path / "state.npz", **state)
        state = dict(np.load(tmp_path / "state.npz"))
    other = make(copies)
    other.learning_rate = 123.0
    other.load_state_dict(state)
    train(other, copies, gradients[5:])
    for name, p in parameters.items():
        np.testing.assert_array_equal(copies[name].value, p.value)
    assert repr(other) == repr(optimizer)


def test_the_state_holds_copies():
    parameters = make_parameters()
    optimizer = optim.Adam(parameters)
    state = optimizer.state_dict()
    train(optimizer, parameters, draw_gradients(parameters, 1))
    assert not state["m.W"].any()
    optimizer.load_state_dict(state)
    state["m.W"][...] = 1
    assert not optimizer.state_dict()["m.W"].any()


def test_a_state_that_does_not_fit_is_refused_and_changes_nothing():
    parameters = make_parameters()
    optimizer = optim.Adam(parameters)
    train(optimizer, parameters, draw_gradients(parameters, 1))
    before = optimizer.state_dict()
    for change, message in [
        ({"m.W": np.zeros((3, 2))}, r"'m\.W'.*\(2, 3\).*\(3, 2\)"),
        ({"betas": np.zeros(3)}, "betas"),
        ({"velocity.W": np.zeros((2, 3))}, r"unknown \['velocity\.W'\]"),
    ]:
        with pytest.raises(ValueError, match=message):
            optimizer.load_state_dict({**before, "learning_rate": 9.0, **change})
    with pytest.raises(ValueError, match=r"missing \['v\.b'\]"):
        optimizer.load_state_dict({name: value for name, value in before.items() if name != "v.b"})
    after = optimizer.state_dict()
    assert after.keys() == before.keys()
    for name, value in before.items():
        np.testing.assert_array_equal(after[name], value)


W = Parameter(np.ones(2))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: optim.SGD([W], learning_rate=-0.1), "learning_rate must be a number of at least 0"),
        (lambda: optim.SGD([W], learning_rate=math.nan), "learning_rate"),
        (lambda: optim.SGD([W], learning_rate=math.inf), "learning_rate"),
        (
            lambda: optim.SGD([W], learning_rate=0.1, momentum=1.0),
            "momentum must be a number of at least 0 and below 1",
        ),
        (lambda: optim.SGD([W], learning_rate=0.1, momentum=-0.5), "momentum"),
        (lambda: optim.SGD([W], learning_rate=0.1, nesterov=True), "nesterov needs momentum"),
        (lambda: optim.SGD([W], learning_rate=0.1, weight_decay=-1), "weight_decay"),
        (lambda: optim.SGD([W], learning_rate=0.1, threads=0), "threads"),
        (lambda: optim.Adam([W], betas=(0.9, 1.0)), r"betas\[1\]"),
        (lambda: optim.Adam([W], betas=(-0.1, 0.9)), r"betas\[0\]"),
        (lambda: optim.Adam([W], betas=0.9), "betas must be two numbers"),
        (lambda: optim.Adam([W], eps=0), "eps must be a number above 0"),
        (lambda: optim.RMSProp([W], decay=1.0), "decay"),
        (lambda: optim.RMSProp([W], eps=-1), "eps"),
        (lambda: optim.Adagrad([W], eps=0), "eps"),
        (lambda: optim.SGD({}, learning_rate=0.1), "parameters is empty"),
    ],
)
def test_an_option_out_of_its_range_is_refused_by_name(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: optim.SGD([W], learning_rate="fast"), "learning_rate must be a number; got 'fast'"),
        (lambda: optim.SGD(W, learning_rate=0.1), "parameters must be a dict"),
        (lambda: optim.SGD([np.ones(2)], learning_rate=0.1), "must be a Parameter; got ndarray"),
        (lambda: optim.SGD({"n": Parameter(np.arange(3))}, learning_rate=0.1), "'n'.*float32 or float64.*int"),
        (lambda: optim.SGD([W], learning_rate=0.1, threads=1.5), "threads"),
    ],
)
def test_something_of_another_kind_is_refused(make, message):
    with pytest.raises(TypeError, match=message):
        make()


def test_a_rate_is_checked_when_it_is_set_too():
    optimizer = optim.Adam([Parameter(np.ones(2))])
    with pytest.raises(ValueError, match="learning_rate"):
        optimizer.learning_rate = -1.0
    assert optimizer.learning_rate == 0.001
