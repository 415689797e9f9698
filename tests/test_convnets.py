"""Convolutional nets and ResNet: parameters counted by hand, shapes, shortcuts, that they learn; models by name."""

import numpy as np
import pytest

from layers import Affine, BatchNorm, Conv2D, SoftmaxLoss
from models import MLP, VGG, ResNet, Solver, ThreeLayerConvNet, build
from models.registry import MODELS
from optim import Adam

RNG = np.random.default_rng(0)


def size(model):
    return sum(parameter.value.size for parameter in model.parameters().values())


def shapes(model, x):
    """The shape after every layer of the chain."""
    out = []
    for _, layer in model.children():
        x = layer.forward(x)
        out.append(x.shape[1:])
    return out


# --- the course's net


def test_the_three_layers_have_the_parameters_of_the_course():
    conv, hidden, scores = 32 * 3 * 7 * 7 + 32, 32 * 16 * 16 * 100 + 100, 100 * 10 + 10
    assert size(ThreeLayerConvNet((3, 32, 32), 10)) == conv + hidden + scores == 825_046


def test_the_three_layers_by_hand():
    model = ThreeLayerConvNet((1, 2, 2), 2, filters=1, kernel_size=1, hidden=1, dtype=np.float64)
    for parameter, value in zip(model.parameters().values(), ([[[[2]]]], [-3], [[2]], [1], [[1, -1]], [0, 4])):
        parameter.value = value
    # 2 x - 3 is -1, 1, 3, 5; the largest is 5; 2 * 5 + 1 = 11
    np.testing.assert_array_equal(model.forward([[[[1.0, 2.0], [3.0, 4.0]]]]), [[11, -7]])
    # all negative: relu leaves 0, then 2 * 0 + 1 = 1
    np.testing.assert_array_equal(model.forward([[[[1.0, 0.0], [1.0, 1.0]]]]), [[1, 3]])


def test_an_image_of_odd_height_loses_its_last_row_in_the_pool():
    model = ThreeLayerConvNet((2, 5, 4), 3, filters=6, kernel_size=3, rng=0)
    assert shapes(model, np.zeros((1, 2, 5, 4), np.float32))[:4] == [(6, 5, 4), (6, 5, 4), (6, 2, 2), (24,)]


def test_an_even_kernel_and_an_image_below_the_pool_are_refused():
    with pytest.raises(ValueError, match=r"kernel_size must be odd.*got 4"):
        ThreeLayerConvNet((1, 8, 8), 10, kernel_size=4)
    with pytest.raises(
        ValueError, match="image_shape must have at least 2 x 2 pixels, to be halved 1 times; got 8 x 1"
    ):
        ThreeLayerConvNet((1, 8, 1), 10)


# --- VGG


def test_the_parameters_of_a_small_vgg():
    convolutions = 9 * (1 * 32 + 32 * 32 + 32 * 64 + 64 * 64)  # no bias: the norm's beta is one
    norms = 2 * (32 + 32 + 64 + 64 + 128)
    affine = 64 * 2 * 2 * 128 + 128 + 128 * 10 + 10
    assert size(VGG((1, 8, 8), 10)) == convolutions + norms + affine == 99_626
    assert size(VGG((1, 8, 8), 10, norm="none")) == convolutions + affine + (32 + 32 + 64 + 64)


def test_every_stage_of_a_vgg_halves_the_image_rounded_down():
    model = VGG((3, 13, 9), 5, widths=(2, 4, 6), convolutions=1, hidden=(), norm="none", dropout=0, rng=0)
    sizes = shapes(model, np.zeros((1, 3, 13, 9), np.float32))
    assert sizes == [
        *[(2, 13, 9), (2, 13, 9), (2, 6, 4), (4, 6, 4), (4, 6, 4), (4, 3, 2), (6, 3, 2), (6, 3, 2), (6, 1, 1)],
        *[(6,), (5,)],
    ]


def test_a_vgg_refuses_an_image_too_small_and_an_unknown_norm():
    with pytest.raises(ValueError, match=r"at least 8 x 8 pixels, to be halved 3 times; got 8 x 7\. Use fewer stages"):
        VGG((1, 8, 7), 10, widths=(4, 4, 4))
    with pytest.raises(ValueError, match="norm must be one of none, batch; got 'layer'"):
        VGG((1, 8, 8), 10, norm="layer")


# --- ResNet


def test_resnet_20_has_the_parameters_of_the_paper():
    first = 9 * 3 * 16
    stages = 9 * (6 * 16 * 16 + 16 * 32 + 5 * 32 * 32 + 32 * 64 + 5 * 64 * 64)
    norms = 2 * (7 * 16 + 6 * 32 + 6 * 64)
    model = ResNet((3, 32, 32), 10)
    assert size(model) == first + stages + norms + 64 * 10 + 10 == 269_722
    projections = 16 * 32 + 2 * 32 + 32 * 64 + 2 * 64
    assert size(ResNet((3, 32, 32), 10, shortcut="projection")) == 269_722 + projections


@pytest.mark.parametrize(("depth", "millions"), [(20, 0.27), (32, 0.46), (44, 0.66), (56, 0.85), (110, 1.7)])
def test_depth_counts_the_layers_with_weights_as_table_6_of_the_paper(depth, millions):
    model = ResNet((3, 32, 32), 10, depth=depth)
    weighted = [layer for _, layer in model.walk() if isinstance(layer, (Conv2D, Affine))]
    assert len(weighted) == depth
    assert size(model) / 1e6 == pytest.approx(millions, abs=0.05 if depth == 110 else 0.006)


@pytest.mark.parametrize("shortcut", ["pad", "projection"])
def test_stages_halve_the_image_rounded_up_and_double_the_channels(shortcut):
    model = ResNet((2, 9, 6), 5, depth=8, width=3, shortcut=shortcut, rng=0)
    sizes = shapes(model, np.zeros((2, 2, 9, 6), np.float32))
    assert sizes[3::2] == [(3, 9, 6), (6, 5, 3), (12, 3, 2), (12,)]


def test_blocks_that_add_nothing_hand_on_every_second_pixel_and_channels_of_zeros():
    model = ResNet((2, 9, 6), 5, depth=8, width=3, rng=0).eval()
    for _, layer in model.walk():
        if isinstance(layer, BatchNorm) and layer is not model[1]:
            layer.gamma.value = np.zeros_like(layer.gamma.value)
    x = RNG.standard_normal((2, 2, 9, 6)).astype(np.float32)
    stem = x
    for i in range(3):  # convolution, norm, relu
        stem = model[i].forward(stem)
    pooled = x
    for i in range(len(model) - 1):
        pooled = model[i].forward(pooled)
    expected = np.zeros((2, 12), np.float32)
    for n in range(2):
        for c in range(3):
            expected[n, c] = np.mean([stem[n, c, row, column] for row in (0, 4, 8) for column in (0, 4)])
    np.testing.assert_allclose(pooled, expected, rtol=1e-6)
    assert pooled[:, :3].max() > 0.1


@pytest.mark.parametrize("depth", [2, 18, 16, 0, -4])
def test_a_depth_that_is_not_6_n_plus_2_is_refused(depth):
    with pytest.raises(ValueError, match=f"depth must be 6 n \\+ 2, such as 8, 14, 20, 32; got {depth}"):
        ResNet((3, 32, 32), 10, depth=depth)


def test_an_unknown_shortcut_is_refused():
    with pytest.raises(ValueError, match="shortcut must be one of pad, projection; got 'identity'"):
        ResNet((3, 32, 32), 10, shortcut="identity")


# --- all of them


def stripes(n):
    """Images with one bright row, or one bright column, anywhere, and which of the two it is."""
    X, y = 0.3 * RNG.standard_normal((n, 1, 6, 6)).astype(np.float32), RNG.integers(0, 2, n)
    for image, label, at in zip(X[:, 0], y, RNG.integers(0, 6, n)):
        (image if label == 0 else image.T)[at] += 1
    return X, y


@pytest.mark.parametrize(
    "make",
    [
        lambda: ThreeLayerConvNet((1, 6, 6), 2, filters=8, kernel_size=3, hidden=16, rng=0),
        lambda: VGG((1, 6, 6), 2, widths=(8, 8), convolutions=1, hidden=[16], dropout=0.2, rng=0),
        lambda: ResNet((1, 6, 6), 2, depth=8, width=4, rng=0),
        lambda: ResNet((1, 6, 6), 2, depth=8, width=4, shortcut="projection", rng=0),
    ],
    ids=["three-layers", "vgg", "resnet", "resnet-projection"],
)
def test_rows_are_told_from_columns_wherever_they_are(make):
    (X, y), (X_new, y_new) = stripes(200), stripes(200)
    model = make()
    solver = Solver(model, SoftmaxLoss(), Adam(model.parameters(), learning_rate=0.01), epochs=12, batch_size=20)
    solver.fit(X, y)
    assert solver.evaluate(X_new, y_new)["val_accuracy"] > 0.95


@pytest.mark.parametrize("name", ["cnn", "three_layer_cnn", "resnet"])
def test_the_same_generator_gives_the_same_weights(name):
    states = [build(name, (1, 8, 8), 10, rng=seed).state_dict() for seed in (3, 3, 4)]
    assert all(np.array_equal(states[0][key], states[1][key]) for key in states[0])
    assert not all(np.array_equal(states[0][key], states[2][key]) for key in states[0])


# --- by name


@pytest.mark.parametrize("name", MODELS)
def test_every_name_builds_a_net_of_so_many_outputs(name):
    model = build(name, (2, 8, 6), 3, task=MODELS[name].tasks[0], rng=0, dtype=np.float64)
    assert model.forward(np.zeros((4, 2, 8, 6))).shape == (4, 3)
    assert {parameter.value.dtype for parameter in model.parameters().values()} == {np.dtype(np.float64)}


def test_options_reach_the_model_and_features_are_counted():
    model = build("mlp", (2, 3), 4, task="regression", hidden=[5], activation="tanh")
    assert isinstance(model, MLP)
    assert [p.value.shape for p in model.parameters().values()] == [(6, 5), (5,), (5, 4), (4,)]


@pytest.mark.parametrize(
    ("name", "shape", "options", "words"),
    [
        ("cmm", (8,), {}, "name must be one of mlp, softmax.*got 'cmm'"),
        ("cnn", (8,), {}, r"cnn needs images, examples of shape \(C, H, W\); got \(8,\)"),
        ("cnn", (1, 2, 2), {}, "cnn: image_shape must have at least 4 x 4 pixels"),
        ("linear", (8,), {}, "linear does not fit classification; use mlp or softmax"),
        ("softmax", (8,), {"dropout": 0.1}, "softmax takes no dropout; its options: none"),
        ("cnn", (1, 8, 8), {"activation": "tanh"}, "cnn takes no activation; its options: hidden, norm, dropout"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(name, shape, options, words):
    with pytest.raises(ValueError, match=words):
        build(name, shape, 3, **options)


@pytest.mark.parametrize("model", [ThreeLayerConvNet, VGG, ResNet])
@pytest.mark.parametrize("shape", [(8, 8), 8, (1, 8, 8, 1)])
def test_a_shape_that_is_not_an_image_s_is_refused(model, shape):
    with pytest.raises(ValueError, match=r"image_shape must be \(C, H, W\): channels, height, width; got"):
        model(shape, 10)


@pytest.mark.parametrize("model", [ThreeLayerConvNet, VGG])
def test_images_of_another_shape_are_refused_by_the_shape_expected(model):
    with pytest.raises(ValueError, match=r"x must have shape \(N, 3, 8, 6\), .*; got \(2, 3, 6, 8\)"):
        model((3, 8, 6), 10, rng=0).forward(np.zeros((2, 3, 6, 8)))


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"widths": (8, 0)}, ValueError, "widths must be a whole number of at least 1; got 0"),
        ({"hidden": 128}, TypeError, r"hidden must be several whole numbers, such as \(128,\); got 128"),
        ({"convolutions": 0}, ValueError, "convolutions must be a whole number of at least 1; got 0"),
    ],
)
def test_sizes_of_vgg_that_make_no_net_are_refused(options, error, message):
    with pytest.raises(error, match=message):
        VGG((3, 8, 8), 10, **options)
