"""Looking inside: gradients of inputs against numbers, and a model that is left as it was."""

import numpy as np
import pytest

from gradcheck import numerical_gradient
from layers import (
    Affine,
    BatchNorm,
    ContentLoss,
    Conv2D,
    Dropout,
    Flatten,
    GramMatrix,
    ReLU,
    StyleLoss,
    Tanh,
    TotalVariationLoss,
)
from models import MLP, Sequential, class_visualization, fooling_image, saliency_map


def convnet():
    model = Sequential(
        Conv2D(2, 3, 3, padding=1, rng=0), BatchNorm(3), Tanh(), Dropout(0.5, rng=1), Flatten(), Affine(60, 4, rng=2)
    )
    model.forward(np.random.default_rng(0).standard_normal((8, 2, 4, 5)))  # running statistics of its own
    return model.astype(np.float64)


IMAGES = np.random.default_rng(1).standard_normal((3, 2, 4, 5))
Y = np.array([0, 3, 1])


def test_saliency_is_the_size_of_the_score_s_slope_in_evaluation_mode():
    model = convnet()
    found = saliency_map(model, IMAGES, Y)
    model.eval()
    for n, label in enumerate(Y):
        numeric = numerical_gradient(lambda x, label=label: model.forward(x[None])[0, label], IMAGES[n])
        assert np.allclose(found[n], np.abs(numeric).max(axis=0), atol=1e-7)


@pytest.mark.parametrize(
    "look",
    [
        lambda model: saliency_map(model, IMAGES, Y),
        lambda model: fooling_image(model, IMAGES[0], 2),
        lambda model: class_visualization(model, (2, 4, 5), 1, steps=3, rng=0),
    ],
)
def test_the_model_stays_as_it_was(look):
    model = convnet()
    out = model.forward(IMAGES)
    for parameter in model.parameters().values():
        parameter.grad = np.full(parameter.value.shape, 7.0)
    state = {name: value.copy() for name, value in model.state_dict().items()}
    drawn = model.layers[3].rng.bit_generator.state
    look(model)
    assert model.training
    assert all((parameter.grad == 7).all() for parameter in model.parameters().values())
    assert all(np.array_equal(value, state[name]) for name, value in model.state_dict().items())
    assert model.layers[3].rng.bit_generator.state == drawn
    assert model.backward(np.ones_like(out)).shape == IMAGES.shape  # its own forward's cache is there


def test_a_fooled_model_takes_the_image_for_the_target_and_it_is_still_near():
    model = MLP(6, [16], 3, rng=0)
    x = np.random.default_rng(3).standard_normal(6).astype(np.float32)
    before = x.copy()
    label = int(model.forward(x[None])[0].argmax())
    for target in set(range(3)) - {label}:
        image, steps = fooling_image(model, x, target)
        assert 0 < steps < 200
        assert model.forward(image[None])[0].argmax() == target
        assert np.linalg.norm(image - x) <= 0.1 * steps * np.linalg.norm(x) * 1.01
    assert np.array_equal(x, before)
    assert fooling_image(model, x, label)[1] == 0


def test_what_cannot_be_fooled_takes_all_steps():
    model = Affine(2, 2, rng=0)
    model.W.value, model.b.value = np.zeros((2, 2)), [1.0, 0.0]
    assert fooling_image(model, [1.0, 1.0], 1, max_steps=5)[1] == 5


def test_a_class_s_image_is_what_its_weights_look_for():
    model = Affine(4, 2, rng=0)
    model.W.value = np.array([[1.0, 0], [-2, 0], [0, 3], [0, 1]])
    image = class_visualization(model, (4,), 1, reg=0.5, steps=400, learning_rate=0.01, rng=0)
    # the maximum of W_1 x - reg |x|^2 is W_1 / (2 reg)
    assert np.allclose(image, [0, 0, 3, 1], atol=0.05)


def test_no_pixel_leaves_the_limits():
    model, limits = convnet(), (-0.25, 0.5)
    image = class_visualization(model, (2, 4, 5), 1, limits=limits, rng=0)
    assert image.min() == limits[0]
    assert image.max() == limits[1]
    start = np.clip(IMAGES[0], *limits)
    target = int(model.eval().forward(start[None])[0].argmin())
    fooled, steps = fooling_image(model, start, target, limits=limits)
    assert steps > 0
    assert fooled.min() >= limits[0]
    assert fooled.max() <= limits[1]
    free, _ = fooling_image(model, start, target)
    assert free.min() < limits[0]


def test_one_step_of_a_visualization_has_the_length_of_the_rate_and_shifts_the_image_back():
    # Each pixel of this model's input counts by its place, so that a shift which is not undone would show.
    model = Sequential(Flatten(), Affine(12, 2, rng=0, dtype=np.float64))
    weights = model.layers[1].W.value[:, 1].reshape(1, 3, 4)
    start = 0.1 * np.random.default_rng(5).standard_normal((1, 1, 3, 4))[0]
    still = class_visualization(model, (1, 3, 4), 1, steps=1, reg=0, jitter=0, rng=5)
    assert np.allclose(still - start, 0.05 * np.sqrt(12) * weights / np.linalg.norm(weights))
    moves = []
    for seed in range(20):
        start = 0.1 * np.random.default_rng(seed).standard_normal((1, 1, 3, 4))[0]
        move = class_visualization(model, (1, 3, 4), 1, steps=1, reg=0, jitter=1, rng=seed) - start
        shifts = [(a, b) for a in (-1, 0, 1) for b in (-1, 0, 1)]
        fits = [s for s in shifts if np.allclose(move, 0.05 * np.sqrt(12) * np.roll(weights, s, (1, 2))
                                                 / np.linalg.norm(weights))]  # fmt: skip
        assert len(fits) == 1
        moves += fits
    assert len(set(moves)) > 4


def test_blur_smooths():
    def roughness(blur):
        image = class_visualization(convnet(), (2, 4, 5), 1, steps=11, blur=blur, rng=0)
        return TotalVariationLoss().forward(image[None]) / (image**2).sum()

    assert roughness(1.0) < 0.7 * roughness(0.0)


def test_looking_keeps_the_model_s_dtype_and_its_arguments():
    for dtype in (np.float32, np.float64):
        model, x = MLP(6, [5], 3, rng=0, dtype=dtype), np.arange(6)
        x.setflags(write=False)
        assert saliency_map(model, [x], [1]).dtype == dtype
        assert fooling_image(model, x, 2)[0].dtype == dtype
        assert class_visualization(model, (6,), 2, steps=2, rng=0).dtype == dtype
    assert saliency_map(model, np.zeros((0, 6)), np.zeros(0, int)).shape == (0, 6)


def test_an_image_s_class_is_climbed_with_shifts_and_blur():
    model = convnet()
    image = class_visualization(model, (2, 4, 5), 2, steps=60, rng=0)
    assert image.shape == (2, 4, 5)
    assert model.eval().forward(image[None])[0].argmax() == 2
    again = class_visualization(model, (2, 4, 5), 2, steps=60, rng=0)
    assert np.array_equal(image, again)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda m: saliency_map(m, IMAGES, [0, 1]), ValueError, r"y must have shape \(3,\).*got \(2,\)"),
        (lambda m: saliency_map(m, IMAGES, [0.0, 1.0, 2.0]), TypeError, "y must be of whole numbers.*got float64"),
        (lambda m: saliency_map(m, IMAGES, [0, 1, 4]), ValueError, r"y must be within 0\.\.3.*got 0\.\.4"),
        (lambda m: fooling_image(m, IMAGES[0], 4), ValueError, r"target must be within 0\.\.3.*got 4"),
        (lambda m: fooling_image(m, IMAGES[0], 0.5), TypeError, "target must be of whole numbers"),
        (lambda m: fooling_image(m, IMAGES[0], 1, max_steps=0), ValueError, "max_steps must be .*at least 1; got 0"),
        (lambda m: fooling_image(m, IMAGES[0], 1, learning_rate=-1), ValueError, "learning_rate must be"),
        (lambda m: fooling_image(m, IMAGES[0], 1, limits=(1, 0)), ValueError, r"limits must be .*got \(1, 0\)"),
        (lambda m: class_visualization(m, (2, 4, 5), -1), ValueError, r"target must be within 0\.\.3.*got -1"),
        (lambda m: class_visualization(m, (2, 4, 5), 1, jitter=-1), ValueError, "jitter must be .*got -1"),
        (lambda m: class_visualization(m, (2, 4, 5), 1, steps=0), ValueError, "steps must be .*got 0"),
        (lambda m: class_visualization(m, (2, 4, 5), 1, reg=-0.1), ValueError, r"reg must be .*got -0\.1"),
        (lambda m: class_visualization(m, (2, 4, 5), 1, blur=-1), ValueError, "blur must be .*got -1"),
    ],
)
def test_a_wrong_argument_is_named(call, error, message):
    with pytest.raises(error, match=message):
        call(convnet())


# --- style


def test_a_gram_matrix_is_the_products_of_channels():
    x = IMAGES
    gram = GramMatrix(normalize=False).forward(x)
    for n in range(3):
        for c in range(2):
            for d in range(2):
                assert np.isclose(gram[n, c, d], sum(x[n, c, h, w] * x[n, d, h, w] for h in range(4) for w in range(5)))
    assert np.allclose(GramMatrix().forward(x), gram / 40)


def test_style_is_blind_to_where_and_content_is_not():
    turned = IMAGES[:, :, ::-1, ::-1]
    assert StyleLoss().forward(IMAGES, GramMatrix().forward(turned)) < 1e-20
    assert ContentLoss().forward(IMAGES, turned) > 1


def test_gradients_of_style_and_smoothness_are_those_of_loops():
    x, gram = IMAGES[:1], np.zeros((1, 2, 2))
    own = GramMatrix().forward(x)

    def style(values):
        total = 0.0
        for c in range(2):
            for d in range(2):
                total += (sum(values[0, c, h, w] * values[0, d, h, w] for h in range(4) for w in range(5)) / 40) ** 2
        return 0.3 * total

    def roughness(values):
        steps = [values[0, c, h + 1, w] - values[0, c, h, w] for c in range(2) for h in range(3) for w in range(5)]
        steps += [values[0, c, h, w + 1] - values[0, c, h, w] for c in range(2) for h in range(4) for w in range(4)]
        return 0.3 * sum(step * step for step in steps)

    for loss, inputs, loops in (
        (StyleLoss(0.3), (x, gram), style),
        (TotalVariationLoss(0.3), (x,), roughness),
    ):
        assert np.isclose(loss.forward(*inputs), loops(x))
        assert np.allclose(loss.backward(2.0), 2 * numerical_gradient(loops, x), atol=1e-8)
    assert np.array_equal(GramMatrix().forward(x), own)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: StyleLoss().forward(IMAGES, np.zeros((2, 2))), r"gram must have shape \(3, 2, 2\).*got \(2, 2\)"),
        (lambda: ContentLoss().forward(IMAGES, IMAGES[:1]), r"y must have the shape \(3, 2, 4, 5\) of x"),
        (lambda: GramMatrix().forward(IMAGES[0]), r"x must have shape \(N, C, H, W\).*got \(2, 4, 5\)"),
        (lambda: TotalVariationLoss().forward(IMAGES[0]), r"x must have shape \(N, C, H, W\)"),
        (lambda: TotalVariationLoss(-1), "weight must be a number in"),
    ],
)
def test_a_wrong_shape_or_weight_of_style_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_roughness_is_the_sum_of_squared_steps_to_the_neighbours():
    x = np.array([[[[1.0, 2.0], [4.0, 8.0]]]])
    assert TotalVariationLoss(0.5).forward(x) == 0.5 * (1 + 16 + 9 + 36)
    assert TotalVariationLoss().forward(np.ones((1, 1, 1, 1))) == 0


def test_relu_s_saliency_is_zero_where_nothing_fires():
    model = Sequential(Affine(2, 3, rng=0), ReLU(), Affine(3, 2, rng=1))
    model.layers[0].b.value = -100 * np.ones(3)
    assert not saliency_map(model, [[0.1, 0.2]], [1]).any()
