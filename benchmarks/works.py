"""The nets that `speed.py` trains, each of ours beside its twin in PyTorch: both do one whole training step."""

import itertools

import numpy as np
import torch
from torch import nn

from layers import (
    GRU,
    LSTM,
    Affine,
    BatchNorm,
    Conv2D,
    EncoderLayer,
    Flatten,
    MaxPool2D,
    ReLU,
    SoftmaxLoss,
    TemporalSoftmaxLoss,  # fmt: skip
)
from models import MLP, ResNet, Sequential, TransformerLM
from optim import SGD, Adam

TINY = np.float32(1e-6)  # scale of a dout that stays the same: many steps in its direction leave the weights finite


def optimizer_of(parameters, opt):
    return Adam(parameters, learning_rate=1e-3) if opt == "adam" else SGD(parameters, learning_rate=1e-3, momentum=0.9)


def torch_optimizer_of(parameters, opt):
    return torch.optim.Adam(parameters, 1e-3) if opt == "adam" else torch.optim.SGD(parameters, 1e-3, momentum=0.9)


def ours(model, opt, x, y, loss=None):
    """One step of a classifier."""
    loss, optimizer = loss or SoftmaxLoss(), optimizer_of(model.parameters(), opt)

    def step():
        optimizer.zero_grad()
        loss.forward(model.forward(x), y)
        model.add_grads(loss.backward())
        optimizer.step()

    return step


def pytorch(model, opt, x, y):
    """One step of a classifier."""
    loss, optimizer = nn.CrossEntropyLoss(), torch_optimizer_of(model.parameters(), opt)
    x, y = torch.from_numpy(x), torch.from_numpy(y)

    def step():
        optimizer.zero_grad()
        scores = model(x)
        loss(scores.reshape(-1, scores.shape[-1]), y.reshape(-1)).backward()
        optimizer.step()

    return step


def ours_from(layer, x, dout):
    """One step of a layer within a net: dout comes from above, dx goes on below."""
    optimizer = optimizer_of(layer.parameters(), "momentum")

    def step():
        optimizer.zero_grad()
        layer.forward(x)
        layer.backward(dout)
        optimizer.step()

    return step


def pytorch_from(module, x, dout):
    """One step of a module within a net: dout comes from above, dx goes on below."""
    optimizer = torch_optimizer_of(module.parameters(), "momentum")
    x, dout = torch.from_numpy(x).requires_grad_(), torch.from_numpy(dout)

    def step():
        optimizer.zero_grad()
        x.grad = None
        out = module(x)
        (out[0] if isinstance(out, tuple) else out).backward(dout)
        optimizer.step()

    return step


def inference(model, twin, x):
    """Scores alone, in evaluation mode, no gradients."""
    model.eval()
    twin.eval()
    rows = torch.from_numpy(x)

    def scores():
        with torch.no_grad():
            return twin(rows)

    return (lambda: model.forward(x)), scores


# --- dense


def mlps(sizes, *, norm=False, dropout=0.0):
    """An MLP of ours and PyTorch's."""
    chain = []
    for fan_in, fan_out in itertools.pairwise(sizes):
        chain += [nn.Linear(fan_in, fan_out)] + [nn.BatchNorm1d(fan_out)] * norm + [nn.ReLU()]
        chain += [nn.Dropout(dropout)] * (dropout > 0)
    chain = chain[: max(i for i, module in enumerate(chain) if isinstance(module, nn.Linear)) + 1]
    options = {"norm": "batch"} if norm else {}
    return MLP(sizes[0], sizes[1:-1], sizes[-1], dropout=dropout, rng=0, **options), nn.Sequential(*chain)


def dense(sizes, batch, opt, **options):
    """A step of an MLP."""
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((batch, sizes[0]), dtype=np.float32), rng.integers(0, sizes[-1], batch)
    model, twin = mlps(sizes, **options)
    return ours(model, opt, x, y), pytorch(twin, opt, x, y)


def dense_scores(sizes, batch):
    x = np.random.default_rng(0).standard_normal((batch, sizes[0]), dtype=np.float32)
    return inference(*mlps(sizes), x)


# --- images


def cnns(norm):
    """3x32x32: conv 32, pool, conv 64, pool, conv 128, affine; all 3x3 with ReLU."""
    model, twin = [], []
    for channels, filters in itertools.pairwise((3, 32, 64, 128)):
        model += [Conv2D(channels, filters, 3, padding=1, rng=0), *([BatchNorm(filters)] * norm), ReLU()]
        twin += [nn.Conv2d(channels, filters, 3, padding=1), *([nn.BatchNorm2d(filters)] * norm), nn.ReLU()]
        model += [MaxPool2D(2)] * (filters < 128)
        twin += [nn.MaxPool2d(2)] * (filters < 128)
    model += [Flatten(), Affine(128 * 64, 10, rng=0)]
    twin += [nn.Flatten(), nn.Linear(128 * 64, 10)]
    return Sequential(*model), nn.Sequential(*twin)


def cnn(batch, *, norm=False):
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((batch, 3, 32, 32), dtype=np.float32), rng.integers(0, 10, batch)
    model, twin = cnns(norm)
    return ours(model, "momentum", x, y), pytorch(twin, "momentum", x, y)


def cnn_scores(batch):
    return inference(*cnns(False), np.random.default_rng(0).standard_normal((batch, 3, 32, 32), dtype=np.float32))


class TorchBlock(nn.Module):
    """Two convolutions and their norms around a shortcut that pads channels with zeros."""

    def __init__(self, channels, filters):
        super().__init__()
        stride = 1 if channels == filters else 2
        self.body = nn.Sequential(
            nn.Conv2d(channels, filters, 3, stride, 1, bias=False), nn.BatchNorm2d(filters), nn.ReLU(),
            nn.Conv2d(filters, filters, 3, 1, 1, bias=False), nn.BatchNorm2d(filters),
        )  # fmt: skip
        self.more = filters - channels

    def forward(self, x):
        short = x if not self.more else nn.functional.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 0, self.more))
        return torch.relu(self.body(x) + short)


def resnet(batch):
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((batch, 3, 32, 32), dtype=np.float32), rng.integers(0, 10, batch)
    widths = [16, *[16] * 3, *[32] * 3, *[64] * 3]
    twin = nn.Sequential(
        nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU(),
        *[TorchBlock(a, b) for a, b in itertools.pairwise(widths)],
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10),
    )  # fmt: skip
    return ours(ResNet((3, 32, 32), 10, depth=20, rng=0), "momentum", x, y), pytorch(twin, "momentum", x, y)


# --- sequences


def recurrent(ours_class, twin_class, T, B, D, H):
    rng = np.random.default_rng(0)
    x, dout = (rng.standard_normal((B, T, width), dtype=np.float32) for width in (D, H))
    twin = twin_class(D, H, batch_first=True)
    return ours_from(ours_class(D, H, rng=0), x, TINY * dout), pytorch_from(twin, x, TINY * dout)


def torch_block(D, heads):
    gelu = nn.GELU(approximate="tanh")
    return nn.TransformerEncoderLayer(D, heads, 4 * D, dropout=0.0, activation=gelu, batch_first=True, norm_first=True)


def block(B, T, D, heads=4):
    """A transformer block: pre-norm, feed-forward 4 D, GELU in its tanh form, no mask, no dropout."""
    x, dout = (np.random.default_rng(i).standard_normal((B, T, D), dtype=np.float32) for i in range(2))
    return ours_from(EncoderLayer(D, heads, rng=0), x, TINY * dout), pytorch_from(torch_block(D, heads), x, TINY * dout)


def block_scores(B, T, D, heads=4):
    """Here PyTorch takes the fast path of its module, which is its best, and has the exact GELU whatever was asked."""
    x = np.random.default_rng(0).standard_normal((B, T, D), dtype=np.float32)
    return inference(EncoderLayer(D, heads, rng=0), torch_block(D, heads), x)


class TorchLM(nn.Module):
    """Embedding, learned positions, causal blocks, norm, scores."""

    def __init__(self, V, T, D, heads, blocks):
        super().__init__()
        self.words, self.places = nn.Embedding(V, D), nn.Parameter(0.02 * torch.randn(T, D))
        self.blocks = nn.ModuleList(torch_block(D, heads) for _ in range(blocks))
        self.norm, self.scores = nn.LayerNorm(D), nn.Linear(D, V)
        self.mask = nn.Transformer.generate_square_subsequent_mask(T)

    def forward(self, x):
        h = self.words(x) + self.places
        for each in self.blocks:
            h = each(h, src_mask=self.mask, is_causal=True)
        return self.scores(self.norm(h))


def language_model(B, T, D, blocks, V=65, heads=4):
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, V, (2, B, T))
    model = TransformerLM(V, max_len=T, embed_dim=D, num_heads=heads, num_layers=blocks, rng=0)
    return ours(model, "adam", x, y, TemporalSoftmaxLoss()), pytorch(TorchLM(V, T, D, heads, blocks), "adam", x, y)


MLPS = {"a": ((2, 100, 3), 300), "b": ((64, 128, 10), 64), "c": ((784, 512, 256, 10), 128),
        "d": ((784, 1024, 1024, 10), 256)}  # fmt: skip


def conv_flops(C, F, pixels, first=False):
    """Multiplications and additions of a 3x3 convolution, forward and the two backward, for one image."""
    return 2 * 9 * C * F * pixels * (2 if first else 3)


def block_flops(B, T, D):
    return 3 * B * T * 2 * (4 * D * D + 8 * D * D + 2 * T * D)


CNN_FLOPS = conv_flops(3, 32, 1024, first=True) + conv_flops(32, 64, 256) + conv_flops(64, 128, 64) + 6 * 128 * 64 * 10
RESNET_FLOPS = conv_flops(3, 16, 1024, first=True) + sum(
    conv_flops(a, b, p) for a, b, p, n in [(16, 16, 1024, 6), (16, 32, 256, 1), (32, 32, 256, 5), (32, 64, 64, 1),
                                           (64, 64, 64, 5)] for _ in range(n)
)  # fmt: skip


def recurrent_flops(gates, T, B, D, H):
    return 6 * T * B * gates * H * (D + H)


# letter, name, bar (ours / PyTorch), FLOPs of a step or None, what makes the two steps
WORKS = [
    *[
        (letter, f"{'-'.join(map(str, sizes))} x {batch} {opt}", {"a": 0.35, "b": 0.35, "c": 1.0, "d": 1.03}[letter],
         batch * sum(2 * a * b * (3 if i else 2) for i, (a, b) in enumerate(itertools.pairwise(sizes))),
         lambda sizes=sizes, batch=batch, opt=opt: dense(sizes, batch, opt))
        for letter, (sizes, batch) in MLPS.items()
        for opt in ("momentum", "adam")
    ],
    ("e", "784-512-256-10, norm, dropout x 128", 0.6, 128 * 2 * (2 * 784 * 512 + 3 * 512 * 256 + 3 * 2560),
     lambda: dense((784, 512, 256, 10), 128, "adam", norm=True, dropout=0.5)),
    ("f", "CNN 3x32x32 x 64", 1.0, 64 * CNN_FLOPS, lambda: cnn(64)),
    ("g", "CNN with batch norm x 64", 1.0, 64 * CNN_FLOPS, lambda: cnn(64, norm=True)),
    ("h", "ResNet-20 x 32", 1.0, 32 * RESNET_FLOPS, lambda: resnet(32)),
    ("i", "LSTM T 64, B 32, D 65, H 256", 1.2, recurrent_flops(4, 64, 32, 65, 256),
     lambda: recurrent(LSTM, nn.LSTM, 64, 32, 65, 256)),
    ("j", "GRU, the same", 1.2, recurrent_flops(3, 64, 32, 65, 256),
     lambda: recurrent(GRU, nn.GRU, 64, 32, 65, 256)),
    ("j", "LSTM T 32, B 16, D 65, H 64", 1.4, recurrent_flops(4, 32, 16, 65, 64),
     lambda: recurrent(LSTM, nn.LSTM, 32, 16, 65, 64)),
    ("k", "block B 32, T 64, D 128", 1.0, block_flops(32, 64, 128), lambda: block(32, 64, 128)),
    ("k", "block B 16, T 32, D 64", 0.75, block_flops(16, 32, 64), lambda: block(16, 32, 64)),
    ("l", "four blocks B 16, T 64, D 128, V 65", 1.0, 4 * block_flops(16, 64, 128) + 6 * 16 * 64 * 128 * 65,
     lambda: language_model(16, 64, 128, 4)),
    ("m", "scores of b, batch 1", 0.35, None, lambda: dense_scores((64, 128, 10), 1)),
    ("m", "scores of b, batch 64", 1.0, None, lambda: dense_scores((64, 128, 10), 64)),
    ("m", "scores of f, batch 1", 1.0, None, lambda: cnn_scores(1)),
    ("m", "scores of f, batch 64", 1.0, None, lambda: cnn_scores(64)),
    ("m", "scores of k, batch 1", 0.35, None, lambda: block_scores(1, 64, 128)),
    ("m", "scores of k, batch 64", 1.0, None, lambda: block_scores(64, 64, 128)),
    ("m", "scores of the small k, batch 1", 0.35, None, lambda: block_scores(1, 32, 64)),
    ("m", "scores of the small k, batch 64", 1.0, None, lambda: block_scores(64, 32, 64)),
]  # fmt: skip
