"""Vision Transformer, encoder-decoder, captioning: what they see, and that they learn."""

import numpy as np
import pytest

from layers import TemporalSoftmaxLoss
from models import CaptioningRNN, EncoderDecoder, VisionTransformer
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


@pytest.mark.parametrize("cell", ["rnn", "lstm"])
def test_captions_are_learnt_from_the_features_and_sampled_back(cell):
    features = np.eye(3, dtype=np.float32)
    captions = np.array([[0, 1, 2, 3], [0, 3, 1, 1], [0, 2, 2, 1]])
    model = CaptioningRNN(4, in_features=3, embed_dim=8, hidden_size=16, cell=cell, rng=0)
    _, after = train(model, TemporalSoftmaxLoss(mean_over="examples"), (features, captions[:, :-1]), captions[:, 1:])
    assert after < 0.05
    np.testing.assert_array_equal(model.sample(features, start=0, length=3), captions[:, 1:])
