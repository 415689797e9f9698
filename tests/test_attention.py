import math

import numpy as np
import pytest

from gradcheck import assert_gradients
from layers import ReLU, _formulas
from layers.attention import MultiHeadAttention, ScaledDotProductAttention
from layers.transformer import DecoderLayer, EncoderLayer, FeedForward, NormedResidual, PatchEmbedding

N, T, S, D = 3, 4, 5, 6
MASK = np.random.default_rng(8).random((N, T, S)) < 0.6


def draw(*shape, seed=2):
    return np.random.default_rng(seed).standard_normal(shape)


def randomized(layer, seed=1):
    """In float64, with random biases and norms too, for zeros and ones hide mistakes."""
    rng = np.random.default_rng(seed)
    for parameter in layer.astype(np.float64).parameters().values():
        parameter.value = 0.5 * rng.standard_normal(parameter.value.shape)
    return layer


def naive_attention(q, k, v, allowed):
    """(T, d), (S, d), (S, e) and a table of bools -> (T, e), one number at a time."""
    out = np.zeros((len(q), v.shape[1]))
    for t in range(len(q)):
        weights = []
        for s in range(len(k)):
            score = sum(a * b for a, b in zip(q[t], k[s])) / math.sqrt(q.shape[1])
            weights.append(math.exp(score) if allowed[t][s] else 0.0)
        for s, weight in enumerate(weights):
            if weight:
                out[t] += weight / sum(weights) * v[s]
    return out


def naive_heads(layer, query, key, value, allowed):
    q, k, v = (
        x @ part.W.value + part.b.value for x, part in zip((query, key, value), (layer.query, layer.key, layer.value))
    )
    width = D // layer.num_heads
    out = np.zeros(query.shape)
    for n in range(len(query)):
        for head in range(layer.num_heads):
            own = slice(head * width, (head + 1) * width)
            out[n, :, own] = naive_attention(q[n, :, own], k[n, :, own], v[n, :, own], allowed[n])
    return out @ layer.proj.W.value + layer.proj.b.value


# --- scaled dot product


def test_attention_is_a_weighted_mean_of_the_values():
    q, k, v = draw(N, T, 3), draw(N, S, 3, seed=3), draw(N, S, 2, seed=4)
    out = ScaledDotProductAttention().forward(q, k, v, MASK)
    for n in range(N):
        np.testing.assert_allclose(out[n], naive_attention(q[n], k[n], v[n], MASK[n]), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("mask", [None, MASK, MASK[0], MASK[:, :1], MASK[0, 0]], ids=lambda m: str(np.shape(m)))
@pytest.mark.parametrize("causal", [False, True])
def test_gradients_of_queries_keys_and_values_are_the_slopes(mask, causal):
    q, k, v = draw(N, T, 3), draw(N, S, 3, seed=3), draw(N, S, 2, seed=4)
    assert_gradients(ScaledDotProductAttention(causal=causal), q, k, v, *([] if mask is None else [mask]))


def test_gradients_go_through_the_dropped_weights():
    q, k, v = draw(N, T, 3), draw(N, S, 3, seed=3), draw(N, S, 2, seed=4)
    assert_gradients(ScaledDotProductAttention(dropout=0.4, rng=0), q, k, v, MASK)


def test_dropout_can_be_replayed_and_is_off_in_evaluation():
    layer, x = ScaledDotProductAttention(dropout=0.5, rng=0), draw(N, T, 3)
    layer.reseed(7)
    first, second = layer.forward(x, x, x), layer.forward(x, x, x)
    layer.reseed(7)
    np.testing.assert_array_equal(layer.forward(x, x, x), first)
    assert (first != second).any()
    np.testing.assert_array_equal(layer.eval().forward(x, x, x), ScaledDotProductAttention().forward(x, x, x))


def test_a_query_that_may_attend_to_nothing_gets_zero_and_passes_nothing_back():
    q, k, v = draw(T, 3), draw(S, 3, seed=3), draw(S, 2, seed=4)
    mask = np.ones((T, S), bool)
    mask[1] = False
    layer = ScaledDotProductAttention()
    out = layer.forward(q, k, v, mask)
    np.testing.assert_array_equal(out[1], 0)
    dq, dk, dv = layer.backward(np.ones_like(out))
    np.testing.assert_array_equal(dq[1], 0)
    kept = mask.any(axis=1)
    layer.forward(q[kept], k, v)
    _, dk_kept, dv_kept = layer.backward(np.ones((T - 1, 2)))
    np.testing.assert_allclose(dk, dk_kept, rtol=1e-12)
    np.testing.assert_allclose(dv, dv_kept, rtol=1e-12)


@pytest.mark.parametrize("scale", [1e4, -1e4])
def test_large_scores_do_not_overflow(scale):
    q, k = np.full((2, 3), scale, np.float32), draw(5, 3).astype(np.float32)
    layer = ScaledDotProductAttention()
    out = layer.forward(q, k, k)
    best = k[np.argmax(scale * k.sum(axis=1))]
    np.testing.assert_allclose(out, [best, best], rtol=1e-6)
    assert all(np.isfinite(d).all() for d in layer.backward(np.ones_like(out)))


def test_no_keys_are_no_attention():
    out = ScaledDotProductAttention().forward(np.ones((2, 3)), np.ones((0, 3)), np.ones((0, 4)))
    np.testing.assert_array_equal(out, np.zeros((2, 4)))


@pytest.mark.parametrize(
    ("shapes", "mask", "message"),
    [
        (((T, 3), (S, 2), (S, 2)), None, "keys as wide as queries"),
        (((T, 3), (S, 3), (T, 2)), None, "one value a key"),
        (((N, T, 3), (S, 3), (S, 2)), None, "same leading axes"),
        (((T, 3), (S, 3), (S, 2)), np.ones((S, T), bool), r"mask must have shape \(4, 5\).*got \(5, 4\)"),
        (((T, 3), (S, 3), (S, 2)), np.ones((T, S)), "mask must be a bool array; got dtype float64"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(shapes, mask, message):
    with pytest.raises((ValueError, TypeError), match=message):
        ScaledDotProductAttention().forward(*map(np.zeros, shapes), mask)


# --- heads


def test_each_head_attends_on_its_own_features():
    layer = randomized(MultiHeadAttention(D, 3))
    query, key, value = draw(N, T, D), draw(N, S, D, seed=3), draw(N, S, D, seed=4)
    expected = naive_heads(layer, query, key, value, MASK)
    np.testing.assert_allclose(layer.forward(query, key, value, MASK), expected, rtol=1e-11, atol=1e-13)


def test_what_is_not_given_is_the_array_before():
    layer, x, memory = randomized(MultiHeadAttention(D, 2)), draw(N, T, D), draw(N, S, D, seed=3)
    np.testing.assert_array_equal(layer.forward(x), layer.forward(x, x, x))
    np.testing.assert_array_equal(layer.forward(x, memory), layer.forward(x, memory, memory))


@pytest.mark.parametrize("rotary", [False, True])
def test_gradients_of_all_arrays_that_were_given_are_the_slopes(rotary):
    layer = randomized(MultiHeadAttention(D, 3 if not rotary else 1, rotary=rotary, dropout=0.2, rng=0))
    x, memory, other = draw(N, T, D), draw(N, S, D, seed=3), draw(N, S, D, seed=4)
    assert_gradients(layer, x)
    assert_gradients(layer, x, memory)
    assert_gradients(layer, x, memory, other, MASK)


@pytest.mark.parametrize(
    "layer", [MultiHeadAttention(D, 2, causal=True, rng=0), EncoderLayer(D, 2, causal=True, rng=0)]
)
def test_a_causal_layer_does_not_see_the_future(layer):
    x = draw(N, T, D)
    changed = x.copy()
    changed[:, 2:] = draw(N, T - 2, D, seed=9)
    out, out_changed = layer.astype(np.float64).forward(x), layer.forward(changed)
    np.testing.assert_array_equal(out[:, :2], out_changed[:, :2])
    assert (out[:, 2:] != out_changed[:, 2:]).any(axis=-1).all()
    dout = np.zeros((N, T, D))
    dout[:, 1] = draw(N, D)
    dx = layer.backward(dout)
    np.testing.assert_array_equal(dx[:, 2:], 0)


@pytest.mark.parametrize("layer", [MultiHeadAttention(D, 2, rng=0), EncoderLayer(D, 2, rng=0)])
def test_masked_padding_changes_nothing(layer):
    layer.astype(np.float64)
    x, real = draw(N, T, D), np.arange(T) < np.array([[4], [2], [1]])
    out = layer.forward(x, mask=real[:, None])
    for n, length in enumerate((4, 2, 1)):
        alone = layer.forward(x[n : n + 1, :length])
        np.testing.assert_allclose(out[n, :length], alone[0], rtol=1e-11)


def test_a_mask_of_two_axes_is_refused_because_it_could_mean_two_things():
    layer = MultiHeadAttention(D, 2)
    with pytest.raises(ValueError, match=r"mask must have shape \(3, 4, 4\).*got \(4, 4\).*mask\[None\]"):
        layer.forward(draw(N, T, D), mask=np.ones((T, T), bool))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: MultiHeadAttention(6, 4), "num_heads must divide embed_dim = 6; got 4"),
        (lambda: MultiHeadAttention(6, 2, rotary=True), "embed_dim must be even"),
        (lambda: MultiHeadAttention(6, 2).forward(np.zeros((2, 6))), r"query must have shape \(N, T, 6\)"),
        (lambda: MultiHeadAttention(6, 2).forward(draw(2, 4, 6), draw(3, 4, 6)), r"key and value .* got \(3, 4, 6\)"),
        (lambda: PatchEmbedding(3, 5, 4).forward(np.zeros((2, 3, 8, 9))), "multiples of patch_size = 4"),
        (lambda: PatchEmbedding(3, 5, 4).forward(np.zeros((2, 1, 8, 8))), r"x must have shape \(N, 3, H, W\)"),
    ],
)
def test_wrong_arguments_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()


# --- blocks


def normalized(x):
    return (x - x.mean(axis=-1, keepdims=True)) / np.sqrt(x.var(axis=-1, keepdims=True) + 1e-5)


@pytest.mark.parametrize("pre_norm", [True, False])
def test_an_encoder_layer_is_attention_and_feed_forward_with_shortcuts(pre_norm):
    layer, x = EncoderLayer(D, 2, 7, pre_norm=pre_norm, activation=ReLU(), rng=0).astype(np.float64), draw(N, T, D)
    attend, feed = layer.attention.body, layer.feed_forward.body
    allowed = np.ones((N, T, T), bool)

    def feed_forward(h):
        return np.maximum(h @ feed.up.W.value, 0) @ feed.down.W.value

    if pre_norm:
        h = normalized(x)
        h = x + naive_heads(attend, h, h, h, allowed)
        expected = h + feed_forward(normalized(h))
    else:
        h = normalized(x + naive_heads(attend, x, x, x, allowed))
        expected = normalized(h + feed_forward(h))
    np.testing.assert_allclose(layer.forward(x), expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("pre_norm", [True, False])
def test_gradients_of_the_blocks_are_the_slopes(pre_norm):
    options = {"pre_norm": pre_norm, "dropout": 0.2, "rng": 0}
    x, memory = draw(N, T, D), draw(N, S, D, seed=3)
    assert_gradients(randomized(EncoderLayer(D, 2, 7, causal=True, **options)), x)
    assert_gradients(randomized(EncoderLayer(D, 1, 7, rotary=True, **options)), x, MASK[:, :, :T])
    assert_gradients(randomized(DecoderLayer(D, 2, 7, **options)), x, memory)
    assert_gradients(randomized(DecoderLayer(D, 2, 7, **options)), x, memory, MASK[:, :, :T], MASK)
    assert_gradients(randomized(NormedResidual(FeedForward(D, 7), D, **options)), x)


def test_a_decoder_layer_sees_its_past_and_what_the_memory_mask_allows():
    layer, x, memory = randomized(DecoderLayer(D, 2)), draw(N, T, D), draw(N, S, D, seed=3)
    real = np.array([[True] * 5, [True] * 3 + [False] * 2, [True] + [False] * 4])
    out = layer.forward(x, memory, memory_mask=real[:, None])
    dx, dmemory = layer.backward(np.concatenate([np.ones((N, 2, D)), np.zeros((N, T - 2, D))], axis=1))
    np.testing.assert_array_equal(dx[:, 2:], 0)
    np.testing.assert_array_equal(dmemory[~real], 0)
    assert (dmemory[real] != 0).all()
    memory[~real] = 99
    np.testing.assert_array_equal(layer.forward(x, memory, memory_mask=real[:, None]), out)


@pytest.mark.parametrize("shape", [(0, T), (1, T), (N, 1), (1, 1)])
def test_no_example_one_example_and_one_step_work(shape):
    layer, x, memory = DecoderLayer(D, 2, rng=0), draw(*shape, D), draw(shape[0], S, D)
    out = layer.forward(x, memory)
    dx, dmemory = layer.backward(out)
    assert out.shape == dx.shape == (*shape, D)
    assert dmemory.shape == memory.shape


def test_patches_go_row_by_row_and_each_is_a_filter():
    layer = randomized(PatchEmbedding(2, 5, 3))
    x = draw(N, 2, 6, 9)
    out = layer.forward(x)
    assert out.shape == (N, 6, 5)
    filters = layer.proj.W.value.reshape(2, 3, 3, 5)
    for row in range(2):
        for column in range(3):
            patch = x[:, :, 3 * row : 3 * row + 3, 3 * column : 3 * column + 3]
            for m in range(5):
                expected = (patch * filters[..., m]).sum(axis=(1, 2, 3)) + layer.proj.b.value[m]
                np.testing.assert_allclose(out[:, 3 * row + column, m], expected, rtol=1e-11, atol=1e-13)
    assert_gradients(layer, x)


def test_a_value_without_a_key_gets_its_own_gradient():
    query, value = np.random.default_rng(0).standard_normal((2, 2, 3, 4))
    layer = MultiHeadAttention(4, 2, rng=0, dtype=np.float64)
    assert_gradients(layer, query, None, value)
    same, alone = layer.forward(query, query, value), layer.forward(query, None, value)
    np.testing.assert_array_equal(same, alone)


def test_a_mask_of_the_memory_is_refused_by_its_own_name():
    x, memory = np.zeros((2, 3, 4)), np.zeros((2, 5, 4))
    with pytest.raises(ValueError, match=r"memory_mask must have shape \(2, 3, 5\)"):
        DecoderLayer(4, 2).forward(x, memory, memory_mask=np.ones((2, 3, 4), bool))
    with pytest.raises(TypeError, match="activation must be a layer, such as ReLU"):
        FeedForward(4, activation="relu")


def test_the_softmax_over_keys_is_compiled_where_that_is_there(compiled_loops, monkeypatch):
    module, called = compiled_loops("_formulas_compiled"), []
    monkeypatch.setattr(_formulas, "compiled", lambda name: called.append(name) or module)
    q, k, v = np.random.default_rng(0).standard_normal((3, 2, 64, 8)).astype(np.float32)
    layer, exact = ScaledDotProductAttention(), ScaledDotProductAttention()
    out = layer.forward(q, k, v)
    assert called == ["_formulas"]
    np.testing.assert_allclose(out, exact.forward(*(a.astype(np.float64) for a in (q, k, v))), rtol=0, atol=1e-6)
