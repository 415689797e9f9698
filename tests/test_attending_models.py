"""Vision Transformer, encoder-decoder, captioning: what they see, and that they learn."""

import numpy as np
import pytest

from layers import TemporalSoftmaxLoss
from models import CaptioningRNN, CaptioningTransformer, EncoderDecoder, VisionTransformer
from optim import Adam


def train(model, loss, inputs, labels, steps=150):
    """The loss before and after so many steps on one batch."""
    optimizer = Adam(model.parameters(), learning_rate=0.01)
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        losses.append(loss.forward(model.forward(*inputs), labels))
        model.backward(loss.backward())
        optimizer.step()
    return losses[0], losses[-1]


def test_a_vision_transformer_knows_where_a_patch_was():
    model = VisionTransformer((1, 4, 4), 3, patch_size=2, embed_dim=8, num_heads=2, rng=0)
    x = np.random.default_rng(0).standard_normal((2, 1, 4, 4)).astype(np.float32)
    assert not np.allclose(model.forward(x), model.forward(x[..., ::-1]), atol=1e-3)


def test_an_image_of_another_shape_is_refused_by_that_shape():
    with pytest.raises(ValueError, match=r"x must have shape \(N, 1, 4, 4\), .*; got \(2, 1, 8, 8\)"):
        VisionTransformer((1, 4, 4), 3, patch_size=2, rng=0).forward(np.zeros((2, 1, 8, 8)))


def test_patches_that_do_not_tile_the_image_are_refused():
    with pytest.raises(ValueError, match=r"patch_size must divide the image's height and width \(8, 8\); got 3"):
        VisionTransformer((1, 8, 8), 10, patch_size=3)


def test_the_decoder_sees_the_whole_source_and_no_later_target():
    model = EncoderDecoder(5, 7, max_len=6, embed_dim=8, num_heads=2, rng=0)
    source, target = np.array([[0, 1, 2, 3]]), np.array([[1, 2, 3]])
    out = model.forward(source, target)
    later = model.forward(source, np.array([[1, 2, 6]]))
    np.testing.assert_allclose(later[:, :2], out[:, :2], rtol=1e-5)
    other = model.forward(np.array([[0, 1, 2, 4]]), target)
    assert not np.allclose(other[:, 0], out[:, 0], atol=1e-4)


def test_an_encoder_decoder_learns_to_reverse_and_translates_so():
    rng = np.random.default_rng(0)
    source = rng.integers(0, 4, (24, 4))
    target = np.concatenate([np.full((24, 1), 4), source[:, ::-1]], axis=1)  # 4 starts the answer
    model = EncoderDecoder(4, 5, max_len=5, embed_dim=16, num_heads=2, rng=0)
    before, after = train(model, TemporalSoftmaxLoss(), (source, target[:, :-1]), target[:, 1:])
    assert before > 1
    assert after < 0.01
    np.testing.assert_array_equal(model.translate(source, start=4, length=4), source[:, ::-1])
    assert model.training


def test_what_a_mask_hides_of_the_source_is_seen_by_nobody():
    model = EncoderDecoder(5, 7, max_len=6, embed_dim=8, num_heads=2, num_layers=2, rng=0)
    short, target = np.array([[3, 1, 2]]), np.array([[1, 2, 3]])
    padded, real = np.array([[3, 1, 2, 4, 0]]), np.array([[True, True, True, False, False]])
    alone = model.forward(short, target)
    np.testing.assert_allclose(model.forward(padded, target, real), alone, rtol=1e-4, atol=1e-6)
    assert not np.allclose(model.forward(padded, target), alone, atol=1e-3)
    np.testing.assert_array_equal(model.translate(padded, 0, 4, real), model.translate(short, 0, 4))


CAPTIONS = np.array([[0, 1, 2, 3], [0, 3, 1, 1], [0, 2, 2, 1]])
CAPTIONERS = {
    **{
        cell: lambda cell=cell: CaptioningRNN(4, in_features=3, embed_dim=8, hidden_size=16, cell=cell, rng=0)
        for cell in ("rnn", "lstm")
    },
    "transformer": lambda: CaptioningTransformer(4, max_len=4, in_features=3, embed_dim=16, num_heads=2, rng=0),
}
every_captioner = pytest.mark.parametrize("make", CAPTIONERS.values(), ids=CAPTIONERS)


@every_captioner
def test_captions_are_learnt_from_the_features_and_sampled_back(make):
    features, model = np.eye(3, dtype=np.float32), make()
    _, after = train(model, TemporalSoftmaxLoss(mean_over="examples"), (features, CAPTIONS[:, :-1]), CAPTIONS[:, 1:])
    assert after < 0.05
    np.testing.assert_array_equal(model.sample(features, start=0, length=3), CAPTIONS[:, 1:])
    assert model.sample(features, start=0, length=0).shape == (3, 0)
    assert model.training


@every_captioner
def test_no_word_is_seen_before_it_comes(make):
    model, features, changed = make(), np.eye(3, dtype=np.float32), CAPTIONS.copy()
    changed[:, 2:] = 0
    np.testing.assert_allclose(
        model.forward(features, changed)[:, :2], model.forward(features, CAPTIONS)[:, :2], rtol=1e-5
    )


def test_a_captioning_transformer_says_what_stands_where_in_the_image():
    features = np.zeros((2, 5, 3), np.float32)  # a place with the answer among others without, not always the same
    features[0, 1], features[1, 4] = [1, 0, 0], [0, 1, 0]
    captions = np.array([[0, 1, 2], [0, 3, 1]])
    model = CaptioningTransformer(4, max_len=3, in_features=3, embed_dim=16, num_heads=2, rng=0)
    _, after = train(model, TemporalSoftmaxLoss(), (features, captions[:, :-1]), captions[:, 1:])
    assert after < 0.05
    np.testing.assert_array_equal(model.sample(features[:, ::-1], start=0, length=2), captions[:, 1:])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m: m.translate(np.zeros((2, 3), int), 9, 3), r"start must hold integers 0..6; got 9..9"),
        (lambda m: m.translate(np.zeros((2, 3), int), 1, 7), "length must be at most max_len = 6; got 7"),
        (lambda m: m.translate(np.zeros((2, 3), int), 1, -1), "length must be a whole number of at least 0; got -1"),
        (lambda m: m.translate(np.zeros(3, int), 1, 2), r"source must have shape \(N, T\).*One sequence alone is"),
        (lambda m: m.forward([[0, 1]], [[1], [2]]), "target must have 1 rows, one an example of source; got 2"),
        (lambda m: m.forward([[0, 1]], [[1]], np.ones((1, 3), bool)), r"source_mask must have shape \(1, 2\)"),
        (lambda m: EncoderDecoder(5, 7, max_len=6, num_layers=0), "num_layers must be a whole number of at least 1"),
        (lambda m: CaptioningRNN(4, cell="gru"), "cell must be one of rnn, lstm; got 'gru'"),
        (lambda m: CAPTIONERS["rnn"]().sample(np.eye(3), 4, 2), "start must hold integers 0..3; got 4"),
        (lambda m: CAPTIONERS["rnn"]().forward(np.eye(3), [[0]]), "captions must have 3 rows, .* of features; got 1"),
        (lambda m: CAPTIONERS["transformer"]().sample(np.eye(3), 0, 5), "length must be at most max_len = 4; got 5"),
    ],
)
def test_bad_arguments_are_named_and_leave_the_mode(call, message):
    model = EncoderDecoder(5, 7, max_len=6, embed_dim=8, num_heads=2, rng=0)
    with pytest.raises(ValueError, match=message):
        call(model)
    assert model.training
