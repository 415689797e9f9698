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
    look(model)
    assert model.training
    assert all((parameter.grad == 7).all() for parameter in model.parameters().values())
    assert all(np.array_equal(value, state[name]) for name, value in model.state_dict().items())
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


def test_an_image_s_class_is_climbed_with_shifts_and_blur():
    model = convnet()
    image = class_visualization(model, (2, 4, 5), 2, steps=60, rng=0)
    assert image.shape == (2, 4, 5)
    assert model.eval().forward(image[None])[0].argmax() == 2
    again = class_visualization(model, (2, 4, 5), 2, steps=60, rng=0)
    assert np.array_equal(image, again)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m: saliency_map(m, IMAGES, [0, 1]), "one class, a whole number, for each of 3 examples"),
        (lambda m: saliency_map(m, IMAGES, [0.0, 1.0, 2.0]), "a whole number"),
        (lambda m: saliency_map(m, IMAGES, [0, 1, 4]), "classes must be within 0 to 3; got 0 to 4"),
    ],
)
def test_wrong_classes_are_named(call, message):
    with pytest.raises(ValueError, match=message):
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


def test_roughness_is_the_sum_of_squared_steps_to_the_neighbours():
    x = np.array([[[[1.0, 2.0], [4.0, 8.0]]]])
    assert TotalVariationLoss(0.5).forward(x) == 0.5 * (1 + 16 + 9 + 36)
    assert TotalVariationLoss().forward(np.ones((1, 1, 1, 1))) == 0


def test_relu_s_saliency_is_zero_where_nothing_fires():
    model = Sequential(Affine(2, 3, rng=0), ReLU(), Affine(3, 2, rng=1))
    model.layers[0].b.value = -100 * np.ones(3)
    assert not saliency_map(model, [[0.1, 0.2]], [1]).any()
