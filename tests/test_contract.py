"""The promises of every layer, gate, loss and model, one function a promise; `cases.py` says what there is."""

import copy
import inspect
import pickle

import numpy as np
import pytest

import layers
import models
import optim
from gradcheck import assert_gradients, check_layer
from layers import Layer

from .cases import GATES, IMAGES, LAYERS, LOSSES, MODELS, OPTIMIZERS, SEQUENCES

MAPS = [*LAYERS, *IMAGES, *SEQUENCES, *GATES, *MODELS]
EVERYTHING = [*MAPS, *LOSSES]
every_case = pytest.mark.parametrize("case", EVERYTHING, ids=lambda case: case.id)
every_map = pytest.mark.parametrize("case", MAPS, ids=lambda case: case.id)
every_batched = pytest.mark.parametrize("case", [c for c in EVERYTHING if c.batched], ids=lambda case: case.id)


def as_tuple(value):
    return value if isinstance(value, tuple) else () if value is None else (value,)


def draw_douts(out, seed=1):
    """One random dout an output, of its shape and dtype."""
    rng = np.random.default_rng(seed)
    return tuple(np.asarray(rng.standard_normal(np.shape(o)), getattr(o, "dtype", float)) for o in as_tuple(out))


def run(layer, inputs, douts=None):
    """(out, douts, gradients of the inputs, gradients of the parameters) of one forward and backward."""
    layer.reseed(5)
    layer.zero_grad()
    out = layer.forward(*inputs)
    douts = draw_douts(out) if douts is None else douts
    dinputs = as_tuple(layer.backward(*douts))
    return out, douts, dinputs, {name: p.grad.copy() for name, p in layer.parameters().items()}


def assert_close(actual, expected, tolerance=1e-10):
    for a, b in zip(as_tuple(actual), as_tuple(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


def public_classes(package, base):
    return {
        c
        for n in package.__all__
        if inspect.isclass(c := getattr(package, n)) and issubclass(c, base) and c is not base
    }


def test_every_public_layer_and_model_is_registered():
    penalties = {layers.L1Penalty, layers.L2Penalty}  # have no input; see test_losses
    assert public_classes(layers, Layer) - penalties - {case.type for case in EVERYTHING} == set()
    # A Graph answers by input name; it is a layer as Graph(...).as_layer(), which is registered.
    assert public_classes(models, Layer) - {case.type for case in EVERYTHING} - {models.Graph} == set()


def test_every_public_optimizer_is_registered():
    public = {c.__name__ for c in public_classes(optim, optim.Optimizer)}
    assert public - {name.split("-")[0] for name in OPTIMIZERS} == set()


@pytest.mark.parametrize("package", [layers, models, optim], ids=lambda p: p.__name__)
def test_every_public_name_has_a_docstring(package):
    for name in package.__all__:
        value = getattr(package, name)
        if inspect.isclass(value) or inspect.isfunction(value):
            assert value.__dict__.get("__doc__") or inspect.getdoc(value), name


@every_case
def test_gradients_of_every_input_and_parameter_are_right(case):
    assert_gradients(case.make(), *case.draw(), wrt=case.wrt)


@every_batched
def test_gradients_of_a_batch_of_one_are_right(case):
    inputs = case.draw()
    one = tuple(x[:1] if x.ndim and len(x) == len(inputs[0]) else x for x in inputs)
    report = check_layer(case.make(), *one, wrt=case.wrt)
    assert report.verdict in ("pass", "vacuous"), report  # vacuous: a view alone has nothing to be contrasted with


@every_case
def test_arguments_are_left_alone(case):
    layer, inputs = case.make().astype(np.float64), case.draw()
    before = [x.copy() for x in inputs]
    out = layer.forward(*inputs)
    douts = draw_douts(out)
    for dout in douts:
        dout.setflags(write=False)
    kept = copy.deepcopy(douts)
    layer.backward(*douts)
    for x, x_before in zip([*inputs, *douts], [*before, *kept]):
        np.testing.assert_array_equal(x, x_before)


@every_case
def test_backward_is_linear_in_dout(case):
    layer, inputs = case.make().astype(np.float64), case.draw()
    out, d1, dx1, _ = run(layer, inputs)
    d2 = draw_douts(out, seed=2)
    _, _, dx2, _ = run(layer, inputs, d2)
    _, _, mixed, _ = run(layer, inputs, tuple(2 * a - 3 * b for a, b in zip(d1, d2)))
    assert_close(mixed, tuple(2 * a - 3 * b for a, b in zip(dx1, dx2)))


@every_case
def test_a_second_backward_gives_the_same(case):
    layer = case.make().astype(np.float64)
    _, douts, dx, grads = run(layer, case.draw())
    layer.zero_grad()
    assert_close(layer.backward(*douts), dx, 0)
    for name, parameter in layer.parameters().items():
        np.testing.assert_array_equal(parameter.grad, grads[name])


@every_case
def test_float32_stays_float32(case):
    layer = case.make()
    out, _, dx, grads = run(layer, case.draw(dtype=np.float32))
    assert all(isinstance(o, float) or o.dtype == np.float32 for o in as_tuple(out))
    assert {np.asarray(g).dtype for g in [*dx, *grads.values()]} == {np.dtype(np.float32)}


@every_case
def test_float32_agrees_with_float64(case):
    out32, douts, dx32, grads32 = run(case.make(), case.draw(dtype=np.float32))
    inputs = tuple(x.astype(np.float64) if x.dtype.kind == "f" else x for x in case.draw(dtype=np.float32))
    out64, _, dx64, grads64 = run(case.make().astype(np.float64), inputs, tuple(d.astype(float) for d in douts))
    assert_close(out32, out64, 1e-4)
    assert_close(dx32, dx64, 1e-4)
    assert_close(tuple(grads32.values()), tuple(grads64.values()), 1e-4)


@every_case
def test_memory_layout_does_not_matter(case):
    layer, inputs = case.make().astype(np.float64), case.draw()
    out, douts, dx, _ = run(layer, inputs)
    strided = tuple(np.repeat(np.asfortranarray(x), 2, axis=-1)[..., ::2] if x.ndim else x for x in inputs)
    out2, _, dx2, _ = run(layer, strided, tuple(np.asarray(d, order="F") for d in douts))
    assert_close(out2, out)
    assert_close(dx2, dx)


@every_batched
@pytest.mark.parametrize("n", [0, 1])
def test_a_batch_of_none_and_of_one_example_works(case, n):
    layer, inputs = case.make().astype(np.float64), case.draw()
    cut = tuple(x[:n] if x.ndim and len(x) == len(inputs[0]) else x for x in inputs)
    out, _, dx, grads = run(layer, cut)
    assert [np.shape(g) for g in dx] == [x.shape for x in cut[: len(dx)]]
    assert all(np.isfinite(a).all() for a in [*as_tuple(out), *dx, *grads.values()])


@every_case
def test_wrong_shapes_are_refused_with_expected_and_got(case):
    for inputs in case.wrong:
        with pytest.raises((ValueError, TypeError), match=r"must|cannot") as error:
            case.make().forward(*inputs)
        assert "got" in str(error.value)


@every_case
def test_backward_before_forward_is_refused(case):
    layer = case.make()
    douts = draw_douts(case.make().forward(*case.draw()))
    with pytest.raises(ValueError, match="call forward first"):
        layer.backward(*douts)


@every_case
def test_a_dout_of_another_shape_is_refused(case):
    layer = case.make()
    out = layer.forward(*case.draw())
    douts = [np.zeros((*d.shape, 2)) for d in draw_douts(out)]
    with pytest.raises(ValueError, match=f"dout of {case.type.__name__}"):
        layer.backward(*douts)


@every_map
def test_train_and_eval_agree_where_they_should(case):
    layer, inputs = case.make().astype(np.float64), case.draw()
    trained = as_tuple(layer.train().forward(*inputs))
    evaluated = as_tuple(layer.eval().forward(*inputs))
    same = all(np.array_equal(a, b) for a, b in zip(trained, evaluated))
    assert same is not case.modes_differ


@every_case
def test_tied_twins_keep_two_caches_and_one_set_of_weights(case):
    one = case.make().astype(np.float64)
    a, b = case.draw(seed=3), case.draw(seed=4)
    _, da, dxa, grads_a = run(one, a)
    _, db, dxb, grads_b = run(one, b)
    two = one.tied()
    assert {id(p) for p in one.parameters().values()} == {id(p) for p in two.parameters().values()}
    one.zero_grad()
    one.reseed(5)
    one.forward(*a)
    one.reseed(5)
    two.forward(*b)
    assert_close(one.backward(*da), dxa)
    assert_close(two.backward(*db), dxb)
    for name, parameter in one.parameters().items():
        np.testing.assert_allclose(parameter.grad, grads_a[name] + grads_b[name], rtol=1e-10, atol=1e-12)
    one.train()
    two.eval()
    assert not one.training


@every_case
def test_gradients_add_up_until_zero_grad(case):
    layer, inputs = case.make().astype(np.float64), case.draw()
    _, douts, _, grads = run(layer, inputs)
    layer.backward(*douts)
    for name, parameter in layer.parameters().items():
        np.testing.assert_allclose(parameter.grad, 2 * grads[name], rtol=1e-12)


@every_map
def test_add_grads_is_the_parameters_half_of_backward(case):
    layer, inputs = case.make().astype(np.float64), case.draw()
    _, douts, _, grads = run(layer, inputs)
    if len(douts) == 1:
        layer.zero_grad()
        layer.add_grads(*douts)
        for name, parameter in layer.parameters().items():
            np.testing.assert_array_equal(parameter.grad, grads[name])


@every_case
def test_state_survives_a_round_trip_and_a_pickle(case):
    layer, inputs = case.make().eval(), case.draw(dtype=np.float32)
    layer.reseed(5)
    out = layer.forward(*inputs)
    other = pickle.loads(pickle.dumps(case.make().eval()))
    for parameter in other.parameters().values():
        parameter.value = parameter.value + 1
    other.load_state_dict(layer.state_dict())
    other.reseed(5)
    assert_close(other.forward(*inputs), out, 0)


@every_map
def test_the_cache_can_be_dropped(case):
    layer = case.make()
    out = layer.forward(*case.draw())
    layer.drop_cache()
    assert not any(hasattr(leaf, "cache") for _, leaf in layer.walk())
    with pytest.raises(ValueError, match="call forward first"):
        layer.backward(*draw_douts(out))


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_descends_on_a_bowl(name):
    weight = layers.Parameter(np.array([3.0, -2.0]))
    optimizer = OPTIMIZERS[name]({"w": weight})

    def closure():
        optimizer.zero_grad()
        weight.add_grad(weight.value)
        return 0.5 * float(weight.value @ weight.value)

    start = closure()
    for _ in range(100):
        if getattr(optimizer, "needs_closure", False):
            optimizer.step(closure)
        else:
            closure()
            optimizer.step()
    assert closure() < 0.5 * start
