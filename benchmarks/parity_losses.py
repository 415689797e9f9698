"""Losses and penalties and their equals in PyTorch: more entries for `parity_cases.py`."""

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812, everyone's name for it
from torch.distributions import Normal, kl_divergence

import layers
from benchmarks.parity_cases import CASES, Case, compared_with


@compared_with("nn.functional.cross_entropy")
def softmax_loss(draw):
    N, C = draw.sizes("N C", 1, 8)
    scores, y = 2 * draw.normal(N, C), draw.labels(C, N)
    ignored = draw.choice("ignore_index", None, -100)
    if ignored is not None:
        y[1:][draw.rng.random(N - 1) < 0.3] = ignored
    elif draw.flag("probabilities"):
        y = draw.rng.dirichlet([1.0] * C, N)
    smoothing = draw.choice("label_smoothing", 0.0, 0.1, 0.4)
    weights = draw.choice("class_weights", None, draw.rng.uniform(0.1, 2, C))
    draw.settings["class_weights"] = weights is not None

    def twin(p, scores, y):
        options = {"label_smoothing": smoothing, **({} if ignored is None else {"ignore_index": ignored})}
        return F.cross_entropy(scores, y, None if weights is None else scores.new_tensor(weights), **options)

    layer = layers.SoftmaxLoss(label_smoothing=smoothing, class_weights=weights, ignore_index=ignored)
    return Case(layer, (scores,), twin, given=(y,))


@compared_with("nn.functional.cross_entropy, classes on axis 1")
def temporal_softmax_loss(draw):
    N, T, V = draw.sizes("N T V")
    y, mask, mean_over = draw.labels(V, N, T), draw.mask(N, T), draw.choice("mean_over", "steps", "examples")

    def twin(p, scores, y):
        y = y.masked_fill(~torch.from_numpy(mask), -100)
        if mean_over == "steps":
            return F.cross_entropy(scores.mT, y)
        return F.cross_entropy(scores.mT, y, reduction="sum") / N

    layer = layers.TemporalSoftmaxLoss(mean_over=mean_over)
    return Case(layer, (draw.normal(N, T, V),), twin, given=(y,), options={"mask": mask})


@compared_with("nn.functional.multi_margin_loss * C")
def svm_loss(draw):
    N, C = draw.sizes("N C", 1, 8)
    margin = draw.number("margin", 0, 2)
    return Case(
        layers.SVMLoss(margin),
        (draw.normal(N, C),),
        lambda p, scores, y: C * F.multi_margin_loss(scores, y, margin=margin),
        given=(draw.labels(C, N),),
    )


@compared_with("nn.functional.binary_cross_entropy_with_logits")
def logistic_loss(draw):
    shape = draw.sizes("N D")
    y = draw.labels(2, *shape) * 1.0 if draw.flag("labels") else draw.rng.random(shape)
    twin = lambda p, scores, y: F.binary_cross_entropy_with_logits(scores, y)  # noqa: E731
    return Case(layers.LogisticLoss(), (3 * draw.normal(*shape),), twin, given=(y,))


def regression(make_layer, twin):
    def make(draw):
        shape, layer = draw.sizes("N D"), make_layer(draw)
        x, y = draw.normal(*shape), draw.normal(*shape)
        return Case(layer, (x,), lambda p, x, y: twin(layer, x, y), given=(y,))

    return make


CASES += [
    ("nn.functional.mse_loss", regression(lambda draw: layers.MSELoss(), lambda layer, x, y: F.mse_loss(x, y))),
    ("nn.functional.l1_loss", regression(lambda draw: layers.L1Loss(), lambda layer, x, y: F.l1_loss(x, y))),
    (
        "nn.functional.huber_loss",
        regression(
            lambda draw: layers.HuberLoss(draw.number("delta", 0.1, 2)),
            lambda layer, x, y: F.huber_loss(x, y, delta=layer.delta),
        ),
    ),
]


# --- pairs, triplets, distributions, sequences


@compared_with("nn.functional.triplet_margin_loss, eps=0")
def triplet_loss(draw):
    N, D, margin = *draw.sizes("N D"), draw.number("margin", 0, 3)
    twin = lambda p, *x: F.triplet_margin_loss(*x, margin=margin, eps=0)  # noqa: E731
    return Case(layers.TripletLoss(margin), tuple(draw.normal(N, D) for _ in range(3)), twin)


@compared_with("nn.functional.cosine_embedding_loss")
def cosine_loss(draw):
    N, D, margin = draw.size("N"), draw.size("D", 4, 8), draw.number("margin", -1, 1)
    twin = lambda p, left, right, y: F.cosine_embedding_loss(left, right, y, margin)  # noqa: E731
    y = draw.rng.choice([-1, 1], N)
    return Case(layers.CosineLoss(margin), (2 * draw.normal(N, D), 2 * draw.normal(N, D)), twin, given=(y,))


@compared_with("expression: cosine_similarity, logsumexp")
def nt_xent_loss(draw):
    N, D, temperature = draw.size("N", 2), draw.size("D", 2), draw.number("temperature", 0.1, 2)

    def twin(p, left, right):
        views = torch.cat([left, right])
        similar = F.cosine_similarity(views[:, None], views[None], dim=2) / temperature
        others = similar[~torch.eye(2 * N, dtype=torch.bool)].reshape(2 * N, 2 * N - 1)
        partners = torch.cat([similar.diagonal(N), similar.diagonal(-N)])
        return (torch.logsumexp(others, 1) - partners).mean()

    return Case(layers.NTXentLoss(temperature), (draw.normal(N, D), draw.normal(N, D)), twin)


def divergence(mu, logvar):
    standard = Normal(torch.zeros_like(mu), torch.ones_like(mu))
    return kl_divergence(Normal(mu, (logvar / 2).exp()), standard).sum() / len(mu)


@compared_with("distributions.kl_divergence")
def gaussian_kl(draw):
    shape = draw.sizes("N Z")
    return Case(layers.GaussianKL(), (draw.normal(*shape), draw.normal(*shape)), lambda p, *x: divergence(*x))


@compared_with("sum of cross-entropy or mse, kl_divergence")
def elbo_loss(draw):
    N, D, Z = draw.sizes("N D Z")
    likelihood, beta = draw.choice("likelihood", "bernoulli", "gaussian"), draw.number("beta", 0, 2)

    def twin(p, scores, mu, logvar, y):
        bernoulli = likelihood == "bernoulli"
        distance = F.binary_cross_entropy_with_logits if bernoulli else lambda *x, **o: F.mse_loss(*x, **o) / 2
        return distance(scores, y, reduction="sum") / N + beta * divergence(mu, logvar)

    inputs = draw.normal(N, D), draw.normal(N, Z), draw.normal(N, Z)
    return Case(layers.ELBOLoss(likelihood, beta=beta), inputs, twin, given=(draw.rng.random((N, D)),))


@compared_with("mu + (logvar / 2).exp() * our noise")
def gaussian_sample(draw):
    shape, seed, training = draw.sizes("N Z"), int(draw.rng.integers(2**32)), draw.flag("training")

    def twin(p, mu, logvar):
        noise = np.random.default_rng(seed).standard_normal(shape)
        return mu + (logvar / 2).exp() * torch.from_numpy(noise).to(mu) if training else mu.clone()

    layer = layers.GaussianSample(rng=seed).train(training)
    return Case(layer, (draw.normal(*shape), draw.normal(*shape)), twin)


@compared_with("expression: nn.functional.cross_entropy")
def focal_loss(draw):
    N, C, gamma = draw.size("N"), draw.size("C", 2), draw.choice("gamma", 0.0, 0.5, 2.0, 5.0)
    alpha = draw.choice("alpha", None, draw.rng.uniform(0.1, 2, C))
    draw.settings["alpha"] = alpha is not None

    def twin(p, scores, y):
        minus_log_p = F.cross_entropy(scores, y, reduction="none")
        factor = 1 if alpha is None else scores.new_tensor(alpha)[y]
        return (factor * (1 - (-minus_log_p).exp()) ** gamma * minus_log_p).mean()

    return Case(layers.FocalLoss(gamma, alpha=alpha), (draw.normal(N, C),), twin, given=(draw.labels(C, N),))


@compared_with("nn.functional.ctc_loss / N")
def ctc_loss(draw):
    N, U, V = draw.size("N"), draw.size("U", 1, 4), draw.size("V", 2, 5)
    T, blank = 2 * U + draw.size("more steps", 0, 4), draw.size("blank", 0, V - 1)
    y = (blank + draw.rng.integers(1, V, (N, U))) % V  # anything but the blank, repeats too
    lengths, label_lengths = draw.rng.integers(2 * U, T + 1, N), draw.rng.integers(0, U + 1, N)

    def twin(p, scores, y):
        log_s = F.log_softmax(scores, 2).transpose(0, 1)  # (T, N, V)
        sizes = torch.from_numpy(lengths), torch.from_numpy(label_lengths)
        return F.ctc_loss(log_s, y, *sizes, blank=blank, reduction="sum") / N

    options = {"lengths": lengths, "label_lengths": label_lengths}
    return Case(layers.CTCLoss(blank=blank), (draw.normal(N, T, V),), twin, given=(y,), options=options)


# --- penalties


def penalty(make_layer, term):
    def make(draw):
        W = layers.Parameter(draw.normal(*draw.sizes("D M")))
        b = layers.Parameter(draw.normal(3), decay=False)
        reg = draw.number("reg", 0, 1)
        layer = make_layer({"W": W, "b": b}, reg)
        return Case(layer, (), lambda p: reg * term(p["W"]), parameters={"W": W, "b": b})

    return make


CASES += [
    ("reg / 2 * W.square().sum()", penalty(layers.L2Penalty, lambda W: 0.5 * W.square().sum())),
    ("reg * W.abs().sum()", penalty(layers.L1Penalty, lambda W: W.abs().sum())),
]


@compared_with("einsum of channels / (C H W)")
def gram_matrix(draw):
    N, C, H, W = draw.sizes("N C H W")
    normalize = draw.flag("normalize")

    def twin(p, x):
        return torch.einsum("nchw,ndhw->ncd", x, x) / (C * H * W if normalize else 1)

    return Case(layers.GramMatrix(normalize=normalize), (draw.normal(N, C, H, W),), twin)


@compared_with("nn.functional.mse_loss, sum")
def content_loss(draw):
    shape = draw.sizes("N C H W")
    weight = draw.number("weight", 0.1, 2)
    return Case(
        layers.ContentLoss(weight),
        (draw.normal(*shape),),
        lambda p, x, y: weight * F.mse_loss(x, y, reduction="sum"),
        given=(draw.normal(*shape),),
    )


@compared_with("mse_loss of Gram matrices, sum")
def style_loss(draw):
    N, C, H, W = draw.sizes("N C H W")
    weight = draw.number("weight", 0.1, 2)

    def twin(p, x, gram):
        return weight * F.mse_loss(torch.einsum("nchw,ndhw->ncd", x, x) / (C * H * W), gram, reduction="sum")

    return Case(layers.StyleLoss(weight), (draw.normal(N, C, H, W),), twin, given=(draw.normal(N, C, C),))


@compared_with("squares of torch.diff, summed")
def total_variation_loss(draw):
    weight = draw.number("weight", 0.1, 2)

    def twin(p, x):
        return weight * (torch.diff(x, dim=2).square().sum() + torch.diff(x, dim=3).square().sum())

    return Case(layers.TotalVariationLoss(weight), (draw.normal(*draw.sizes("N C H W")),), twin)
