"""What every layer inherits: bookkeeping around forward and backward, names, modes, ties, state."""

import copy
import pickle

import numpy as np
import pytest

from layers import Affine, BatchNorm, Dropout, Layer, MSELoss, Parameter


class Square(Layer):
    def forward(self, x):
        self.cache = x
        return x * x

    def backward(self, dout):
        return dout * 2 * self.cache


class Split(Layer):
    """Two outputs, x and 2 x."""

    def forward(self, x):
        return x, 2 * x

    def backward(self, da, db):
        return (0 if da is None else da) + (0 if db is None else 2 * db)


class Net(Layer):
    """Layers as attributes and in a list, one of them twice."""

    def __init__(self):
        self.first = Affine(2, 3, rng=0)
        self.blocks = [BatchNorm(3), self.first, Dropout(0.5, rng=0)]


# --- Parameter


def test_gradients_add_until_they_are_forgotten():
    w = Parameter(np.zeros(2))
    w.add_grad(np.array([1.0, 2.0]))
    w.add_grad(np.array([10.0, 20.0]))
    np.testing.assert_array_equal(w.grad, [11, 22])
    w.zero_grad()
    np.testing.assert_array_equal(w.grad, [0, 0])
    w.add_grad(np.array([5.0, 6.0]))
    np.testing.assert_array_equal(w.grad, [5, 6])


def test_products_add_like_other_gradients():
    a, b = np.random.default_rng(0).standard_normal((2, 3, 3))
    w = Parameter(np.zeros((3, 3)))
    w.add_grad_matmul(a, b)
    np.testing.assert_array_equal(w.grad, a @ b)
    w.add_grad_matmul(a, b)
    np.testing.assert_array_equal(w.grad, a @ b + a @ b)


def test_a_product_in_another_dtype_is_converted():
    w = Parameter(np.zeros((2, 2), np.float32))
    w.add_grad_matmul(np.eye(2), np.full((2, 2), 3.0))
    assert w.grad.dtype == np.float32
    np.testing.assert_array_equal(w.grad, np.full((2, 2), 3))


def test_assigning_copies_in_so_that_views_stay_true():
    w = Parameter(np.zeros(3, np.float32))
    view, source = w.value, np.array([1.0, 2.0, 3.0])
    w.value = source
    source[:] = 7
    np.testing.assert_array_equal(view, [1, 2, 3])
    assert w.value is view
    w.grad = [4, 5, 6]
    np.testing.assert_array_equal(w.grad, [4, 5, 6])


@pytest.mark.parametrize("wrong", [np.zeros(2), np.zeros((3, 1)), 0.0])
def test_an_array_of_another_shape_is_refused_rather_than_broadcast(wrong):
    w = Parameter(np.zeros(3))
    for name, assign in (("value", lambda: setattr(w, "value", wrong)), ("grad", lambda: w.add_grad(wrong))):
        with pytest.raises(ValueError, match=rf"{name} must have the shape \(3,\) of the parameter; got"):
            assign()


def test_a_parameter_moves_house_with_its_contents():
    w = Parameter(np.array([1.0, 2.0]))
    w.add_grad(np.array([3.0, 4.0]))
    flat_value, flat_grad = np.zeros(5), np.zeros(5)
    w.move_to(flat_value[1:3], flat_grad[1:3])
    np.testing.assert_array_equal(flat_value, [0, 1, 2, 0, 0])
    np.testing.assert_array_equal(flat_grad, [0, 3, 4, 0, 0])
    w.zero_grad()
    w.add_grad(np.array([5.0, 6.0]))
    np.testing.assert_array_equal(flat_grad, [0, 5, 6, 0, 0])


# --- forward and backward


def test_backward_before_forward_says_what_to_do():
    with pytest.raises(ValueError, match=r"Square.backward was called before forward; call forward first"):
        Square().backward(np.ones(2))


def test_backward_of_a_loss_before_forward_says_so_too():
    with pytest.raises(ValueError, match=r"MSELoss\.backward was called before forward"):
        MSELoss().backward()


@pytest.mark.parametrize("dout", [np.ones(3), np.ones((2, 1)), 1.0])
def test_a_dout_of_another_shape_is_refused_rather_than_broadcast(dout):
    layer = Square()
    layer.forward(np.ones(2))
    with pytest.raises(
        ValueError, match=r"dout of Square.backward must have the shape \(2,\) of forward's output; got"
    ):
        layer.backward(dout)


def test_a_missing_dout_is_an_error():
    layer = Square()
    for x in (np.ones(2), 3.0):
        layer.forward(x)
        with pytest.raises(TypeError, match="dout"):
            layer.backward()


def test_plain_numbers_go_through():
    layer = Square()
    assert layer.forward(3.0) == 9.0
    assert layer.backward(2.0) == 12.0
    assert layer.backward(dout=2.0) == 12.0


def test_the_dout_of_an_unused_output_may_be_none():
    layer = Split()
    layer.forward(np.ones(2))
    np.testing.assert_array_equal(layer.backward(None, np.ones(2)), [2, 2])
    with pytest.raises(ValueError, match=r"dout of Split\.backward"):
        layer.backward(np.ones(2), np.ones(3))
    with pytest.raises(TypeError, match="db"):
        layer.backward(np.ones(2))


def test_a_forward_that_no_backward_follows_is_replaced_by_the_next():
    layer = Square()
    layer.forward(np.ones(5))
    layer.forward(np.array([3.0]))
    np.testing.assert_array_equal(layer.backward(np.ones(1)), [6])


def test_a_subclass_may_build_on_the_forward_and_backward_of_its_base():
    class SumOfSquares(Square):
        def forward(self, x):
            return super().forward(x).sum(axis=1)

        def backward(self, dout):
            return super().backward(np.broadcast_to(dout[:, None], self.cache.shape))

    layer = SumOfSquares()
    np.testing.assert_array_equal(layer.forward(np.array([[1.0, 2.0]])), [5])
    np.testing.assert_array_equal(layer.backward(np.array([10.0])), [[20, 40]])
    with pytest.raises(ValueError, match=r"dout of SumOfSquares\.backward"):
        layer.backward(np.ones((1, 2)))


def test_calling_a_layer_is_its_forward():
    np.testing.assert_array_equal(Square()(np.array([3.0])), [9.0])


def test_calling_a_layer_on_a_node_lets_the_node_build():
    class Node:
        def apply_layer(self, layer, *inputs):
            return layer, inputs

    layer, node = Square(), Node()
    assert layer(node) == (layer, (node,))


def test_a_dropped_cache_needs_a_new_forward():
    layer = Square()
    layer.forward(np.ones(2))
    layer.drop_cache()
    assert not hasattr(layer, "cache")
    with pytest.raises(ValueError, match="call forward first"):
        layer.backward(np.ones(2))
    layer.drop_cache()  # twice is no harm


# --- trees


def test_parameters_have_dotted_names_and_come_once_each():
    assert list(Net().parameters()) == ["first.W", "first.b", "blocks.0.gamma", "blocks.0.beta"]


def test_modes_reach_every_layer_and_return_the_layer():
    net = Net()
    assert net.training
    assert net.eval() is net
    assert not net.blocks[2].training
    assert net.train() is net
    assert net.blocks[2].training


def test_reseed_gives_every_random_layer_a_generator_of_its_own():
    net, other = Net(), Net()
    net.extra = Dropout(0.5)
    net.reseed(3, 1)
    other.reseed(3, 1)
    drawn = net.blocks[2].rng.random()
    assert drawn == other.blocks[2].rng.random()
    assert drawn != net.extra.rng.random()


def test_state_goes_round_with_parameters_and_buffers():
    net, other = Net(), Net()
    net.first.W.value = np.full((2, 3), 7.0)
    net.blocks[0].running_mean[:] = 5
    state = net.state_dict()
    assert list(state) == [*net.parameters(), "blocks.0.running_mean", "blocks.0.running_var"]
    other.load_state_dict(state)
    np.testing.assert_array_equal(other.first.W.value, np.full((2, 3), 7))
    np.testing.assert_array_equal(other.blocks[0].running_mean, [5, 5, 5])
    state["first.W"][:] = 0
    np.testing.assert_array_equal(net.first.W.value, np.full((2, 3), 7))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.pop("first.b"), r"missing \['first.b'\], unknown \[\]"),
        (lambda s: s.update(extra=1), r"missing \[\], unknown \['extra'\]"),
        (
            lambda s: s.update({"blocks.0.running_var": np.ones(2)}),
            r"state\['blocks.0.running_var'\] must have shape \(3,\)",
        ),
    ],
)
def test_a_state_that_does_not_fit_changes_nothing(change, message):
    net = Net()
    before, state = net.state_dict(), {name: array + 1 for name, array in net.state_dict().items()}
    change(state)
    with pytest.raises(ValueError, match=message):
        net.load_state_dict(state)
    for name, array in net.state_dict().items():
        np.testing.assert_array_equal(array, before[name])


def test_astype_converts_parameters_gradients_and_buffers():
    net = Net()
    assert net.astype(np.float64) is net
    assert {a.dtype for a in net.state_dict().values()} == {np.dtype(np.float64)}
    assert {p.grad.dtype for p in net.parameters().values()} == {np.dtype(np.float64)}


# --- tied twins


def test_a_tied_twin_shares_everything_but_the_cache():
    one = Affine(2, 3, rng=0, dtype=np.float64)
    two = one.tied()
    a, b, dout = np.ones((1, 2)), np.full((1, 2), 5.0), np.ones((1, 3))
    one.forward(a)
    two.forward(b)
    one.backward(dout)
    two.backward(dout)
    np.testing.assert_array_equal(one.W.grad, np.full((2, 3), 6.0))
    assert two.W is one.W


def test_a_mode_set_on_one_twin_is_the_mode_of_both():
    one = Dropout(0.5)
    two = one.tied()
    one.eval()
    assert not two.training
    two.train()
    assert one.training


def test_a_mode_set_on_a_tree_is_the_mode_of_its_twin():
    net = Net()
    twin = net.tied()
    net.eval()
    assert not twin.training
    assert not twin.blocks[2].training


def test_a_buffer_shared_by_twins_is_saved_once():
    net = Net()
    net.twin = net.blocks[0].tied()
    assert [name for name in net.state_dict() if "running_mean" in name] == ["blocks.0.running_mean"]


def test_a_tied_tree_has_leaves_of_its_own_with_shared_weights():
    net = Net()
    twin = net.tied()
    assert twin.first is not net.first
    assert twin.first.W is net.first.W
    assert twin.blocks[0].running_mean is net.blocks[0].running_mean
    assert list(twin.parameters()) == list(net.parameters())


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda layer: pickle.loads(pickle.dumps(layer))])
def test_a_copy_has_weights_of_its_own(duplicate):
    layer = Affine(2, 3, rng=0)
    other = duplicate(layer)
    other.W.value = np.zeros((2, 3))
    assert layer.W.value.any()
    np.testing.assert_array_equal(other.forward(np.ones((1, 2))), np.zeros((1, 3)))


def test_the_repr_tells_shapes_and_options():
    assert repr(Affine(2, 3)) == "Affine(W: (2, 3), b: (3,))"
    assert repr(Dropout(0.5)) == "Dropout(rate=0.5)"


def test_layers_in_lists_of_lists_and_in_dicts_are_found_and_tied():
    class Branches(Layer):
        def __init__(self):
            self.heads = {"left": [[Affine(2, 3, rng=0)], Affine(2, 3, rng=1)]}

        def forward(self, x):
            first, second = self.heads["left"]
            return first[0].forward(x) + second.forward(x)

        def backward(self, dout):
            first, second = self.heads["left"]
            return first[0].backward(dout) + second.backward(dout)

    layer = Branches()
    assert list(layer.parameters()) == [f"heads.left.{place}.{name}" for place in ("0.0", "1") for name in "Wb"]
    twin = layer.tied()
    assert twin.heads["left"][1] is not layer.heads["left"][1]
    assert twin.heads["left"][1].W is layer.heads["left"][1].W


def test_parameters_in_lists_and_in_dicts_are_found_shared_and_saved():
    class Deep(Layer):
        def __init__(self):
            self.Ws = [Parameter(np.ones(2)), {"b": Parameter(np.zeros(3))}]

    layer = Deep()
    assert list(layer.parameters()) == list(layer.state_dict()) == ["Ws.0", "Ws.1.b"]
    assert layer.tied().Ws[0] is layer.Ws[0]
