"""What PyTorch does otherwise, and why it is otherwise here; see `parity_torch.py`."""

import math
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812, everyone's name for it

import layers
import optim

Show = Callable[[], tuple[float, float]]  # PyTorch's number and ours, which have to differ

# --- two numbers that differ


def tie():
    x, y = torch.ones(1, requires_grad=True), torch.ones(1)
    torch.maximum(x, y).backward()
    gate = layers.Maximum()
    gate.forward(1.0, 1.0)
    return float(x.grad), gate.backward(1.0)[0]


def tie_of_pixels():
    x = torch.ones(1, 1, 2, 2, requires_grad=True)
    x.amax((2, 3)).sum().backward()
    layer = layers.GlobalMaxPool2D()
    layer.forward(np.ones((1, 1, 2, 2)))
    return float(x.grad[0, 0, 0, 0]), float(layer.backward(np.ones((1, 1)))[0, 0, 0, 0])


def exponent_of_a_negative_base():
    exponent = torch.tensor(2.0, requires_grad=True)
    torch.pow(torch.tensor(-2.0), exponent).backward()
    gate = layers.Power()
    gate.forward(-2.0, 2.0)
    return float(exponent.grad), float(gate.backward(1.0)[1])


def softplus():
    x = torch.tensor(20.5, dtype=torch.float64)
    return float(F.softplus(x)) - 20.5, float(layers.Softplus().forward(np.array(20.5))) - 20.5


def query_without_key():
    q, mask = torch.ones(1, 1, 2), torch.ones(1, 1, dtype=torch.bool)
    module = torch.nn.MultiheadAttention(2, 1, batch_first=True, bias=False)
    layer = layers.MultiHeadAttention(2, 1, rng=0)
    out = layer.forward(np.ones((1, 1, 2)), mask=np.zeros((1, 1, 1), bool))
    return float(module(q, q, q, attn_mask=mask)[0].sum()), float(out.sum())


def one_key():
    """The largest dq of queries with one key, whose weight is 1 whatever q is: 0 but for rounding."""
    q, k, v, dout = np.random.default_rng(0).standard_normal((4, 99, 1, 9)).astype(np.float32)
    layer, twins = layers.ScaledDotProductAttention(), [torch.tensor(x, requires_grad=True) for x in (q, k, v)]
    layer.forward(q, k, v)
    F.scaled_dot_product_attention(*twins).backward(torch.from_numpy(dout))
    return float(twins[0].grad.abs().max()), float(np.abs(layer.backward(dout)[0]).max())


def batch_of_one():
    layer = layers.BatchNorm(1)
    out = float(layer.forward(np.full((1, 1), 7.0))[0, 0])
    try:
        return float(F.batch_norm(torch.full((1, 1), 7.0), None, None, training=True)), out
    except ValueError:
        return math.nan, out


def small_rms():
    x = np.full((1, 1), 1e-3)
    return float(F.rms_norm(torch.from_numpy(x), (1,))), float(layers.RMSNorm(1, dtype=np.float64).forward(x)[0, 0])


def all_ignored():
    y = np.array([-100])
    ours = layers.SoftmaxLoss(ignore_index=-100).forward(np.zeros((1, 2)), y)
    return float(F.cross_entropy(torch.zeros(1, 2), torch.from_numpy(y))), ours


def empty_batch():
    x = np.zeros((0, 3))
    return float(F.mse_loss(*map(torch.from_numpy, (x, x)))), layers.MSELoss().forward(x, x)


def hinge():
    x, y = np.zeros((1, 4)), np.array([0])
    return float(F.multi_margin_loss(*map(torch.from_numpy, (x, y)))), layers.SVMLoss().forward(x, y)


def triplet():
    a, p, n = np.zeros((3, 1, 4))
    n[0, 0] = 1e-6
    return float(F.triplet_margin_loss(*map(torch.from_numpy, (a, p, n)))), layers.TripletLoss().forward(a, p, n)


def decayed(ours, theirs, **options):
    """A weight of 1 after two steps of rate 0.1 with gradient 1 and weight_decay 0.5."""
    w, twin = layers.Parameter(np.ones(1)), torch.ones(1, dtype=torch.float64, requires_grad=True)
    w.grad, twin.grad = np.ones(1), torch.ones(1, dtype=torch.float64)
    rules = ours([w], learning_rate=0.1, weight_decay=0.5, **options), theirs([twin], 0.1, weight_decay=0.5, **options)
    for rule in rules * 2:
        rule.step()
    return float(twin.detach()), float(w.value[0])


def clipped():
    grad, twin = np.full(1, 2.0), torch.zeros(1, dtype=torch.float64)
    twin.grad = torch.full((1,), 2.0, dtype=torch.float64)
    optim.clip_by_global_norm([grad], 1.0)
    torch.nn.utils.clip_grad_norm_([twin], 1.0)
    return float(twin.grad), float(grad[0])


def first_average():
    w, module = layers.Parameter(np.zeros(1)), torch.nn.ParameterDict({"w": torch.zeros(1)})
    average = optim.EMA([w], 0.5, warmup=False)
    twin = torch.optim.swa_utils.AveragedModel(module, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.5))
    w.value, module["w"].data = np.ones(1), torch.ones(1)
    average.update()
    twin.update_parameters(module)
    with average.applied():
        return float(twin.module["w"]), float(w.value[0])


def torch_rate(make, steps):
    """The rate of a schedule of PyTorch after some steps, each with its metric or None."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], 1.0)
    schedule = make(optimizer)
    for metric in steps:
        optimizer.step()
        schedule.step(*(() if metric is None else (metric,)))
    return optimizer.param_groups[0]["lr"]


def beyond_the_cosine():
    rate = torch_rate(lambda optimizer: torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 4), [None] * 8)
    return rate, optim.CosineDecay(4)(8)


def negative_metric():
    options, metrics = {"patience": 0, "threshold": 0.1}, (-1.0, -0.95)  # the second is worse
    plateau = optim.Plateau(**options)
    for metric in metrics:
        plateau.update(metric)
    return torch_rate(lambda o: torch.optim.lr_scheduler.ReduceLROnPlateau(o, **options), metrics), plateau(0)


def decayed_sgd():
    return decayed(optim.SGD, torch.optim.SGD, momentum=0.9)


def decayed_adam():
    return decayed(optim.Adam, torch.optim.Adam)


# fmt: off
DIFFERENCES: list[tuple[str, str, str, Show | None]] = [  # (whose, PyTorch does, here and why, how to show it)
    ("Affine, TemporalAffine", "weight (M, D)", "W (D, M): x @ W reads as the formula, as in CS231n", None),
    ("Affine", "keeps leading axes", "flattens an example's axes; TemporalAffine keeps them", None),
    ("LSTM", "gates i, f, g, o", "i, f, o, g, as in CS231n: the three sigmoids are one block", None),
    ("RNN, LSTM", "two biases", "one: only their sum ever acts", None),
    ("GRU", "two biases", "b, and bh inside the reset, where alone a second one acts", None),
    ("GRU", "reset after the product with Wh", "the same, not the first paper's: weights carry over", None),
    ("RNN, LSTM, GRU", "weights (G H, D)", "(D, G H): x @ Wx, as in CS231n", None),
    ("RNN, LSTM, GRU", "states (k, N, H)", "(N, k, H), at k = 1 (N, H): examples come first", None),
    ("RNN, LSTM, GRU", "packed sequences, no length 0", "lengths=, 0 too: it holds the state", None),
    ("ScaledDotProductAttention", "row sum over keys of W * dW", "over features of dout * out: less work", one_key),
    ("MultiHeadAttention", "one weight for q, k and v", "four layers, each with its name", None),
    ("MultiHeadAttention", "masks: True is forbidden", "True is allowed, as in both libraries' sdpa", None),
    ("MultiHeadAttention", "NaN: a query without a key", "proj.b: padding poisons no batch", query_without_key),
    ("EncoderLayer, DecoderLayer", "post-norm, ReLU, dropout 0.1", "pre-norm, GELU, none: no warm-up needed", None),
    ("Maximum, Minimum", "a tie: half of dout to each", "all to the first: the course's router", tie),
    ("GlobalMaxPool2D", "amax shares dout at ties", "the first, as MaxPool2D in both", tie_of_pixels),
    ("AdaptiveAvgPool2D", "windows from floor to ceil", "the same: they overlap where OH does not divide H", None),
    ("Power", "NaN: d exponent, base < 0", "0: whole exponents need no detach", exponent_of_a_negative_base),
    ("Softplus", "x itself above 20", "exact: logaddexp does not overflow", softplus),
    ("BatchNorm", "momentum weighs the new", "running_decay weighs the old, as in CS231n", None),
    ("BatchNorm", "running variance unbiased", "the same; CS231n's is biased", None),
    ("BatchNorm", "refuses a batch of one", "out is beta: the last batch may be of one", batch_of_one),
    ("GroupNorm, LayerNorm", "eps inside the root, 1e-5", "the same", None),
    ("InstanceNorm", "scale, shift if affine=True", "always; an image of one pixel gives beta", None),
    ("RMSNorm", "eps: the dtype's epsilon", "1e-5, as in the other norms", small_rms),
    ("Dropout, Dropout2D", "rate to float precision", "to 2**-16: drawn twice as fast; compared by our mask", None),
    ("Flatten", "leaves (N,)", "(N, 1): always one row an example", None),
    ("Embedding", "starts at deviation 1", "0.02, GPT-2's", None),
    ("GaussianSample", "rsample draws in eval mode too", "in eval mode the mean: predictions repeat", None),
    ("SoftmaxLoss", "NaN: all rows ignored", "0: there is nothing to learn", all_ignored),
    ("MSELoss, L1Loss, HuberLoss", "NaN: an empty batch", "0: a sum of nothing", empty_batch),
    ("SVMLoss", "divides by C", "the sum over classes, as in the paper and CS231n", hinge),
    ("TripletLoss", "adds 1e-6 to each difference", "exact distances: slope 0 at a distance of 0", triplet),
    ("CosineLoss", "adds 1e-12 to squared lengths", "exact lengths; no direction, no gradient", None),
    ("CTCLoss", "log-probabilities (T, N, V)", "scores (N, T, V), as in the other losses", None),
    ("CTCLoss", "mean divides by labels first", "the mean over N of what the paper defines", None),
    ("CTCLoss", "inf: too few steps for labels", "an error, or 0 with zero_infinity=True", None),
    ("TemporalSoftmaxLoss", "classes on axis 1", "on the last, where TemporalAffine leaves them", None),
    ("SGD", "weight_decay: L2 in the gradient", "decoupled: another path with momentum", decayed_sgd),
    ("Adam", "weight_decay: L2 in the gradient", "decoupled, as AdamW in both", decayed_adam),
    ("SGD", "momentum outside of the rate", "the same: v = m v + g; CS231n's is inside", None),
    ("Optimizer", "skips a parameter without grad", "it counts as 0: all are one vector", None),
    ("LBFGS", "fixed rate, line search if asked", "SciPy's: always a line search, so no rate", None),
    ("LBFGS", "no step shorter than 1e-9", "down to rounding: minima with all their digits", None),
    ("clip_by_global_norm", "divides by norm + 1e-6", "by the norm, 0 is never divided by", clipped),
    ("EMA", "first update copies, no warm-up", "starts as a copy, warms up unless told not to", first_average),
    ("CosineDecay", "rises again after the end", "stays at the minimum", beyond_the_cosine),
    ("Plateau", "a worse negative can be better", "better always needs a gain", negative_metric),
    ("OneCycle", "cycles the momentum too", "the rate alone: a schedule is one function", None),
]
# fmt: on
