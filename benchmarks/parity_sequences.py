"""Sequences, attention and losses and their equals in PyTorch: more entries for `parity_cases.py`."""

import math

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812, everyone's name for it
from torch import nn
from torch.func import functional_call
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import layers
from benchmarks.parity_cases import CASES, WIDTH, Case, compared_with, linear, torch_feed_forward

# --- embedding and positions


@compared_with("nn.functional.embedding")
def embedding(draw):
    V, D = draw.sizes("V D")
    x = draw.labels(V, *draw.sizes("N T"))
    return Case(layers.Embedding(V, D), (), lambda p, x: F.embedding(x, p["W"]), given=(x,))


@compared_with("x + nn.functional.embedding")
def learned_encoding(draw):
    N, T, D, more = draw.sizes("N T D more")
    layer = layers.LearnedEncoding(T + more - 1, D)
    return Case(layer, (draw.normal(N, T, D),), lambda p, x: x + F.embedding(torch.arange(T), p["W"]))


@compared_with("expression: the paper's")
def sinusoidal_encoding(draw):
    N, T, D = draw.sizes("N T D", 1, 9)
    base = draw.number("base", 10, 10000)

    def twin(p, x):
        t, j = torch.arange(T)[:, None], torch.arange(D)
        angles = t * torch.exp(-math.log(base) * (j - j % 2).double() / D)
        return x + torch.where(j % 2 == 0, torch.sin(angles), torch.cos(angles)).to(x.dtype)

    return Case(layers.SinusoidalEncoding(D, base=base), (draw.normal(N, T, D),), twin)


def turned(x, base=10000.0):
    """Pairs (i, i + D/2) as complex numbers, turned by multiplication; (..., T, D)."""
    (T, D), (real, imaginary) = x.shape[-2:], x.chunk(2, -1)
    angles = torch.arange(T)[:, None] * base ** (-torch.arange(0, D, 2).double() / D)
    z = torch.complex(real, imaginary) * torch.polar(torch.ones_like(angles), angles).to(torch.complex(x, x).dtype)
    return torch.cat([z.real, z.imag], -1)


@compared_with("expression: complex product")
def rotary_encoding(draw):
    N, T, pairs = draw.sizes("N T pairs")
    base = draw.number("base", 10, 10000)
    return Case(
        layers.RotaryEncoding(2 * pairs, base=base), (draw.normal(N, T, 2 * pairs),), lambda p, x: turned(x, base)
    )


# --- recurrent layers


def torch_gates(array, order):
    """Our gates (..., G * H) in PyTorch's order, and PyTorch's layout (G * H, ...)."""
    blocks = array.chunk(len(order), -1)
    ordered = torch.cat([blocks[i] for i in order], -1)
    return ordered.T if ordered.ndim == 2 else ordered


def recurrent(ours, theirs, order, state_names):
    """An entry of a recurrent layer whose k-th gate in PyTorch is our gate order[k]."""

    def weights(p, module):
        """All of PyTorch's weights from ours: transposed, and the second bias, which we have once, at 0."""
        for name, _ in module.named_parameters():
            kind, _, suffix = name.partition("_l")
            level, _, reverse = suffix.partition("_")
            ending = (f"_{level}" if level != "0" else "") + (f"_{reverse}" if reverse else "")
            letter = {"weight_ih": "Wx", "weight_hh": "Wh", "bias_ih": "b", "bias_hh": "bh"}[kind]
            if letter != "bh":
                yield name, torch_gates(p[letter + ending], order)
            else:
                inner = p.get(letter + ending, torch.zeros(0).to(p["b"]))  # GRU's, of the candidate alone
                yield name, torch.cat([torch.zeros(len(p["b"]) - len(inner)).to(inner), inner])

    def make(draw):
        N, T, D, H = draw.sizes("N T D H")
        L, both = draw.size("num_layers", 1, 3), draw.flag("bidirectional")
        k = L * (1 + both)
        lengths = draw.rng.integers(1, T + 1, N) if draw.flag("lengths") else None
        states = [draw.normal(*(N, H) if k == 1 else (N, k, H)) for _ in state_names] * draw.flag("initial states")
        module = theirs(D, H, L, batch_first=True, bidirectional=both)

        def twin(p, x, *start):
            start = [part.reshape(N, k, H).transpose(0, 1).contiguous() for part in start]  # theirs are (k, N, H)
            if lengths is not None:
                x = pack_padded_sequence(x, torch.from_numpy(lengths), batch_first=True, enforce_sorted=False)
            start = (start[0] if len(start) == 1 else tuple(start),) if start else ()
            out, end = functional_call(module, dict(weights(p, module)), (x, *start))
            if lengths is not None:
                out, _ = pad_packed_sequence(out, batch_first=True, total_length=T)
            end = end if isinstance(end, tuple) else (end,)
            return out, *(part.transpose(0, 1).reshape((N, H) if k == 1 else (N, k, H)) for part in end)

        layer = ours(D, H, num_layers=L, bidirectional=both, return_state=True)
        return Case(layer, (draw.normal(N, T, D), *states), twin, options={"lengths": lengths})

    return make


CASES += [
    ("nn.RNN", recurrent(layers.RNN, nn.RNN, (0,), "h")),
    ("nn.LSTM", recurrent(layers.LSTM, nn.LSTM, (0, 1, 3, 2), "hc")),
    ("nn.GRU", recurrent(layers.GRU, nn.GRU, (0, 1, 2), "h")),
]

# --- attention


def from_numpy(mask):
    return None if mask is None else torch.from_numpy(mask)


def past(T, S):
    """What a causal layer allows."""
    return torch.ones(T, S, dtype=torch.bool).tril()


@compared_with("scaled_dot_product_attention; our dropout mask")
def scaled_dot_product_attention(draw):
    N, h, T, S, d, width = draw.sizes("N h T S d d'")
    causal, rate = draw.flag("causal"), draw.choice("dropout", 0.0, 0.3)
    mask = draw.choice("mask", None, draw.mask(N, h, T, S), draw.mask(T, S), draw.mask(N, 1, 1, S))
    draw.settings["mask"] = None if mask is None else f"{mask.ndim}-D"
    layer = layers.ScaledDotProductAttention(causal=causal, dropout=rate, rng=draw.rng)

    def twin(p, q, k, v):
        allowed = from_numpy(np.ones((1, 1), bool) if mask is None else mask)
        allowed = (allowed & past(T, S)) if causal else allowed.expand(*allowed.shape[:-2], T, S)
        if not rate:
            return F.scaled_dot_product_attention(q, k, v, attn_mask=allowed)
        weights = F.softmax((q @ k.mT / math.sqrt(d)).masked_fill(~allowed, -math.inf), -1)
        return weights * torch.from_numpy(layer.dropout.cache) / (1 - rate) @ v

    shapes = (N, h, T, d), (N, h, S, d), (N, h, S, width)
    return Case(layer, tuple(draw.normal(*shape) for shape in shapes), twin, options={"mask": mask})


def attention_weights(p, ours, theirs):
    """PyTorch's weights of attention: query, key and value in one, all transposed."""
    names = [f"{ours}{name}" for name in ("query", "key", "value")]
    return {
        f"{theirs}in_proj_weight": torch.cat([p[f"{name}.W"].T for name in names]),
        f"{theirs}in_proj_bias": torch.cat([p[f"{name}.b"] for name in names]),
        f"{theirs}out_proj.weight": p[f"{ours}proj.W"].T,
        f"{theirs}out_proj.bias": p[f"{ours}proj.b"],
    }


def forbidden(mask, heads, causal, N, T, S):
    """PyTorch's mask of attention, (N * heads, T, S), True where it is forbidden."""
    allowed = (torch.ones(N, T, S, dtype=torch.bool) if mask is None else torch.from_numpy(mask)).expand(N, T, S)
    return ~(allowed & past(T, S) if causal else allowed).repeat_interleave(heads, 0)


def attention_mask(draw, name, N, T, S):
    mask = draw.choice(name, None, draw.mask(N, T, S), draw.mask(N, 1, S))
    draw.settings[name] = None if mask is None else "padding" if mask.shape[1] == 1 < T else "full"
    return mask


@compared_with("nn.MultiheadAttention")
def multi_head_attention(draw):
    N, T, S, heads = draw.sizes("N T S heads", 1, 5)
    D, causal = heads * draw.size("D / heads"), draw.flag("causal")
    given = draw.choice("given", "query", "query, key", "query, key, value").count(",") + 1
    S = T if given == 1 else S
    mask = attention_mask(draw, "mask", N, T, S)
    module = nn.MultiheadAttention(D, heads, batch_first=True)

    def twin(p, *x):
        q, k, v = (*x, *x[-1:] * 2)[:3]
        options = {"attn_mask": forbidden(mask, heads, causal, N, T, S), "need_weights": False}
        return functional_call(module, attention_weights(p, "", ""), (q, k, v), options)[0]

    inputs = (draw.normal(N, T, D), draw.normal(N, S, D), draw.normal(N, S, D))[:given]
    layer = layers.MultiHeadAttention(D, heads, causal=causal)
    return Case(layer, inputs, twin, options={"mask": mask})


@compared_with("turned by complex product, then sdpa")
def rotary_attention(draw):
    N, T, heads = draw.sizes("N T heads", 1, 5)
    D, causal = 2 * heads * draw.size("D / heads / 2", 1, 3), draw.flag("causal")

    def twin(p, x):
        q, k, v = (
            linear(p, x, f"{name}.").unflatten(2, (heads, -1)).transpose(1, 2) for name in ("query", "key", "value")
        )
        out = F.scaled_dot_product_attention(turned(q), turned(k), v, is_causal=causal)
        return linear(p, out.transpose(1, 2).flatten(2), "proj.")

    return Case(layers.MultiHeadAttention(D, heads, causal=causal, rotary=True), (draw.normal(N, T, D),), twin)


@compared_with("nn.functional.layer_norm around the body")
def normed_residual(draw):
    N, T, D = draw.size("N"), draw.size("T"), draw.size("D", WIDTH)
    pre_norm = draw.flag("pre_norm")

    def twin(p, x):
        norm = lambda x: F.layer_norm(x, (D,), p["norm.gamma"], p["norm.beta"])  # noqa: E731
        body = lambda x: torch_feed_forward(p, x, "body.")  # noqa: E731
        return x + body(norm(x)) if pre_norm else norm(x + body(x))

    layer = layers.NormedResidual(layers.FeedForward(D), D, pre_norm=pre_norm)
    return Case(layer, (draw.normal(N, T, D),), twin)


ACTIVATIONS = {
    "relu": (layers.ReLU, F.relu),
    "gelu": (layers.GELU, F.gelu),
    "gelu tanh": (lambda: None, lambda x: F.gelu(x, approximate="tanh")),
}


def block_weights(p, bodies):
    """PyTorch's weights of a transformer layer with these bodies: ours in a norm with its body, theirs numbered."""
    for i, (name, attention) in enumerate(bodies.items(), start=1):
        yield f"norm{i}.weight", p[f"{name}.norm.gamma"]
        yield f"norm{i}.bias", p[f"{name}.norm.beta"]
        if attention:
            yield from attention_weights(p, f"{name}.body.", f"{attention}.").items()
    for ours, theirs in (("up", "linear1"), ("down", "linear2")):
        yield f"{theirs}.weight", p[f"feed_forward.body.{ours}.W"].T
        yield f"{theirs}.bias", p[f"feed_forward.body.{ours}.b"]


ENCODER = {"attention": "self_attn", "feed_forward": None}
DECODER = {"attention": "self_attn", "cross_attention": "multihead_attn", "feed_forward": None}


def transformer_layer(draw, ours, theirs):
    """Our layer and PyTorch's, with one set of options, and the width."""
    heads, hidden = draw.size("heads", 1, 4), draw.size("ff_dim", 1, 9)
    D, pre_norm, causal = heads * draw.size("D / heads", WIDTH, 6), draw.flag("pre_norm"), draw.flag("causal")
    activation, function = ACTIVATIONS[draw.choice("activation", *ACTIVATIONS)]
    options = {"dropout": 0.0, "activation": function, "batch_first": True, "norm_first": pre_norm}
    layer = ours(D, heads, hidden, causal=causal, pre_norm=pre_norm, activation=activation())
    return layer, theirs(D, heads, hidden, **options), D, heads, causal


@compared_with("nn.TransformerEncoderLayer")
def encoder_layer(draw):
    N, T = draw.sizes("N T", 1, 5)
    layer, module, D, heads, causal = transformer_layer(draw, layers.EncoderLayer, nn.TransformerEncoderLayer)
    mask = attention_mask(draw, "mask", N, T, T)

    def twin(p, x):
        options = {"src_mask": forbidden(mask, heads, causal, N, T, T)}
        return functional_call(module, dict(block_weights(p, ENCODER)), (x,), options)

    return Case(layer, (draw.normal(N, T, D),), twin, options={"mask": mask})


@compared_with("nn.TransformerDecoderLayer")
def decoder_layer(draw):
    N, T, S = draw.sizes("N T S", 1, 5)
    layer, module, D, heads, causal = transformer_layer(draw, layers.DecoderLayer, nn.TransformerDecoderLayer)
    mask, memory_mask = attention_mask(draw, "mask", N, T, T), attention_mask(draw, "memory_mask", N, T, S)

    def twin(p, x, memory):
        masks = forbidden(mask, heads, causal, N, T, T), forbidden(memory_mask, heads, False, N, T, S)
        return functional_call(module, dict(block_weights(p, DECODER)), (x, memory, *masks))

    inputs = draw.normal(N, T, D), draw.normal(N, S, D)
    return Case(layer, inputs, twin, options={"mask": mask, "memory_mask": memory_mask})
