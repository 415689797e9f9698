"""Each exercise, and each function of the course that is known, by our own layers; `test_assignments` reads it."""

import numpy as np

import layers


def _set(layer, **values):
    for name, value in values.items():
        getattr(layer, name).value = np.reshape(value, getattr(layer, name).value.shape)
    return layer


def _grads(layer, *names):
    return tuple(np.copy(getattr(layer, name).grad) for name in names)


def _fresh(layer):
    layer.zero_grad()
    return layer


def add_forward(x, y):
    gate = layers.Add()
    return gate.forward(x, y), gate


def add_backward(dout, cache):
    return cache.backward(dout)


def multiply_forward(x, y):
    gate = layers.Multiply()
    return gate.forward(x, y), gate


def multiply_backward(dout, cache):
    return cache.backward(dout)


def maximum_forward(x, y):
    gate = layers.Maximum()
    return gate.forward(x, y), gate


def maximum_backward(dout, cache):
    return cache.backward(dout)


def power_forward(x, exponent=3):
    gate = layers.Power()
    return gate.forward(x, exponent), gate


def power_backward(dout, cache):
    return cache.backward(dout)[0]


def sigmoid_forward(x):
    layer = layers.Sigmoid()
    return layer.forward(x), layer


def sigmoid_backward(dout, cache):
    return cache.backward(dout)


def scale_and_shift_forward(x, gamma, beta):
    times, plus = layers.Multiply(), layers.Add()
    return plus.forward(times.forward(gamma, x), beta), (times, plus)


def scale_and_shift_backward(dout, cache):
    times, plus = cache
    dproduct, dbeta = plus.backward(dout)
    dgamma, dx = times.backward(dproduct)
    return dx, dgamma, dbeta


def outer_sum_forward(x, y):
    gate = layers.Add()
    return gate.forward(x[:, None], y), gate


def outer_sum_backward(dout, cache):
    dx, dy = cache.backward(dout)
    return dx[:, 0], dy


def affine_forward(x, w, b):
    layer = _set(layers.Affine(*w.shape, dtype=float), W=w, b=b)
    return layer.forward(x), layer


def affine_backward(dout, cache):
    return _fresh(cache).backward(dout), *_grads(cache, "W", "b")


def linear_forward(x, w, b):
    return x @ w + b, (x, w)


def linear_backward(dout, cache):
    x, w = cache
    return dout @ w.T, x.T @ dout, dout.sum(axis=0)


def relu_forward(x):
    layer = layers.ReLU()
    return layer.forward(x), layer


def relu_backward(dout, cache):
    return cache.backward(dout)


def softmax_loss(x, y):
    loss = layers.SoftmaxLoss()
    return loss.forward(x, y), loss.backward()


def svm_loss(x, y):
    loss = layers.SVMLoss()
    return loss.forward(x, y), loss.backward()


def _linear(loss, W, X, y, reg):
    value = loss.forward(X @ W, y) + reg * np.sum(W * W)
    return value, X.T @ loss.backward() + 2 * reg * W


def softmax_loss_naive(W, X, y, reg):
    return _linear(layers.SoftmaxLoss(), W, X, y, reg)


def softmax_loss_vectorized(W, X, y, reg):
    return _linear(layers.SoftmaxLoss(), W, X, y, reg)


def svm_loss_naive(W, X, y, reg):
    return _linear(layers.SVMLoss(), W, X, y, reg)


def svm_loss_vectorized(W, X, y, reg):
    return _linear(layers.SVMLoss(), W, X, y, reg)


def batchnorm_forward(x, gamma, beta, bn_param):
    layer = _set(layers.BatchNorm(len(gamma), eps=bn_param.get("eps", 1e-5), dtype=float), gamma=gamma, beta=beta)
    return layer.train(bn_param["mode"] == "train").forward(x), layer


def batchnorm_backward(dout, cache):
    return _fresh(cache).backward(dout), *_grads(cache, "gamma", "beta")


def batchnorm_backward_alt(dout, cache):
    return batchnorm_backward(dout, cache)


def layernorm_forward(x, gamma, beta, ln_param):
    layer = _set(layers.LayerNorm(len(gamma), eps=ln_param.get("eps", 1e-5), dtype=float), gamma=gamma, beta=beta)
    return layer.forward(x), layer


def layernorm_backward(dout, cache):
    return _fresh(cache).backward(dout), *_grads(cache, "gamma", "beta")


def dropout_forward(x, dropout_param):
    rng = np.random.default_rng(dropout_param["seed"]) if "seed" in dropout_param else np.random.randint(1 << 30)  # noqa: NPY002
    layer = layers.Dropout(1 - dropout_param["p"], rng=rng).train(dropout_param["mode"] == "train")
    return layer.forward(x), layer


def dropout_backward(dout, cache):
    return cache.backward(dout)


def conv_forward_naive(x, w, b, conv_param):
    F, C, *kernel = w.shape
    options = {"stride": conv_param["stride"], "padding": conv_param["pad"], "dtype": float}
    layer = _set(layers.Conv2D(C, F, tuple(kernel), **options), W=w, b=b)
    return layer.forward(x), (layer, w.shape)


def conv_backward_naive(dout, cache):
    layer, shape = cache
    dx = _fresh(layer).backward(dout)
    dw, db = _grads(layer, "W", "b")
    return dx, dw.reshape(shape), db


def max_pool_forward_naive(x, pool_param):
    window = pool_param["pool_height"], pool_param["pool_width"]
    layer = layers.MaxPool2D(window, stride=pool_param["stride"])
    return layer.forward(x), layer


def max_pool_backward_naive(dout, cache):
    return cache.backward(dout)


def spatial_batchnorm_forward(x, gamma, beta, bn_param):
    return batchnorm_forward(x, gamma, beta, bn_param)


def spatial_batchnorm_backward(dout, cache):
    return batchnorm_backward(dout, cache)


def spatial_groupnorm_forward(x, gamma, beta, G, gn_param):
    eps = gn_param.get("eps", 1e-5)
    layer = _set(layers.GroupNorm(G, x.shape[1], eps=eps, dtype=float), gamma=gamma, beta=beta)
    return layer.forward(x), (layer, gamma.shape)


def spatial_groupnorm_backward(dout, cache):
    layer, shape = cache
    dx = _fresh(layer).backward(dout)
    return dx, *(gradient.reshape(shape) for gradient in _grads(layer, "gamma", "beta"))


def word_embedding_forward(x, W):
    layer = _set(layers.Embedding(*W.shape, dtype=float), W=W)
    return layer.forward(x), layer


def word_embedding_backward(dout, cache):
    _fresh(cache).backward(dout)
    return _grads(cache, "W")[0]


def _recurrent(make, x, states, Wx, Wh, b):
    layer = _set(make(x.shape[-1], len(Wh), return_state=True, dtype=float), Wx=Wx, Wh=Wh, b=b)
    return layer.forward(x, *states), layer


def rnn_step_forward(x, prev_h, Wx, Wh, b):
    (_, h), layer = _recurrent(layers.RNN, x[:, None], [prev_h], Wx, Wh, b)
    return h, layer


def rnn_step_backward(dnext_h, cache):
    dx, dh = _fresh(cache).backward(None, dnext_h)
    return dx[:, 0], dh, *_grads(cache, "Wx", "Wh", "b")


def rnn_forward(x, h0, Wx, Wh, b):
    (out, _), layer = _recurrent(layers.RNN, x, [h0], Wx, Wh, b)
    return out, layer


def rnn_backward(dh, cache):
    dx, dh0 = _fresh(cache).backward(dh, None)
    return dx, dh0, *_grads(cache, "Wx", "Wh", "b")


def lstm_step_forward(x, prev_h, prev_c, Wx, Wh, b):
    (_, h, c), layer = _recurrent(layers.LSTM, x[:, None], [prev_h, prev_c], Wx, Wh, b)
    return h, c, layer


def lstm_step_backward(dnext_h, dnext_c, cache):
    dx, dh, dc = _fresh(cache).backward(None, dnext_h, dnext_c)
    return dx[:, 0], dh, dc, *_grads(cache, "Wx", "Wh", "b")


def lstm_forward(x, h0, Wx, Wh, b):
    (out, _, _), layer = _recurrent(layers.LSTM, x, [h0, np.zeros_like(h0)], Wx, Wh, b)
    return out, layer


def lstm_backward(dh, cache):
    dx, dh0, _ = _fresh(cache).backward(dh, None, None)
    return dx, dh0, *_grads(cache, "Wx", "Wh", "b")


def attention_forward(q, k, v):
    layer = layers.ScaledDotProductAttention()
    return layer.forward(q, k, v), layer


def attention_backward(dout, cache):
    return cache.backward(dout)


# --- not in the assignments: the rest of what gradcheck.cs231n knows


def tanh_forward(x):
    layer = layers.Tanh()
    return layer.forward(x), layer


def tanh_backward(dout, cache):
    return cache.backward(dout)


def elu_forward(x):
    layer = layers.ELU()
    return layer.forward(x), layer


def elu_backward(dout, cache):
    return cache.backward(dout)


def softplus_forward(x):
    layer = layers.Softplus()
    return layer.forward(x), layer


def softplus_backward(dout, cache):
    return cache.backward(dout)


def silu_forward(x):
    layer = layers.SiLU()
    return layer.forward(x), layer


def silu_backward(dout, cache):
    return cache.backward(dout)


def swish_forward(x):
    return silu_forward(x)


def swish_backward(dout, cache):
    return cache.backward(dout)


def gelu_forward(x):
    layer = layers.GELU()
    return layer.forward(x), layer


def gelu_backward(dout, cache):
    return cache.backward(dout)


def avg_pool_forward(x, pool_param):
    window = pool_param["pool_height"], pool_param["pool_width"]
    layer = layers.AvgPool2D(window, stride=pool_param["stride"])
    return layer.forward(x), layer


def avg_pool_backward(dout, cache):
    return cache.backward(dout)


def mse_loss(x, y):
    loss = layers.MSELoss()
    return loss.forward(x, y), loss.backward()


def leaky_relu_forward(x):
    layer = layers.LeakyReLU(0.1)
    return layer.forward(x), layer


def leaky_relu_backward(dout, cache):
    return cache.backward(dout)


def temporal_affine_forward(x, w, b):
    layer = _set(layers.TemporalAffine(*w.shape, dtype=float), W=w, b=b)
    return layer.forward(x), layer


def temporal_affine_backward(dout, cache):
    return _fresh(cache).backward(dout), *_grads(cache, "W", "b")


def temporal_softmax_loss(x, y, mask, verbose=False):
    loss = layers.TemporalSoftmaxLoss(mean_over="examples")
    return loss.forward(x, y, mask), loss.backward()


def affine_relu_forward(x, w, b):
    a, fc = affine_forward(x, w, b)
    out, relu = relu_forward(a)
    return out, (fc, relu)


def affine_relu_backward(dout, cache):
    fc, relu = cache
    return affine_backward(relu_backward(dout, relu), fc)


def conv_relu_pool_forward(x, w, b, conv_param, pool_param):
    a, conv = conv_forward_naive(x, w, b, conv_param)
    s, relu = relu_forward(a)
    out, pool = max_pool_forward_naive(s, pool_param)
    return out, (conv, relu, pool)


def conv_relu_pool_backward(dout, cache):
    conv, relu, pool = cache
    return conv_backward_naive(relu_backward(max_pool_backward_naive(dout, pool), relu), conv)


def affine_bn_relu_forward(x, w, b, gamma, beta, bn_param):
    a, fc = affine_forward(x, w, b)
    n, bn = batchnorm_forward(a, gamma, beta, bn_param)
    out, relu = relu_forward(n)
    return out, (fc, bn, relu)


def affine_bn_relu_backward(dout, cache):
    fc, bn, relu = cache
    da, dgamma, dbeta = batchnorm_backward(relu_backward(dout, relu), bn)
    return *affine_backward(da, fc), dgamma, dbeta


def conv_relu_forward(x, w, b, conv_param):
    a, conv = conv_forward_naive(x, w, b, conv_param)
    out, relu = relu_forward(a)
    return out, (conv, relu)


def conv_relu_backward(dout, cache):
    conv, relu = cache
    return conv_backward_naive(relu_backward(dout, relu), conv)


def conv_bn_relu_forward(x, w, b, gamma, beta, conv_param, bn_param):
    a, conv = conv_forward_naive(x, w, b, conv_param)
    n, bn = spatial_batchnorm_forward(a, gamma, beta, bn_param)
    out, relu = relu_forward(n)
    return out, (conv, bn, relu)


def conv_bn_relu_backward(dout, cache):
    conv, bn, relu = cache
    da, dgamma, dbeta = spatial_batchnorm_backward(relu_backward(dout, relu), bn)
    return *conv_backward_naive(da, conv), dgamma, dbeta


def affine_bn_relu_dropout_forward(x, w, b, gamma, beta, bn_param, dropout_param):
    a, net = affine_bn_relu_forward(x, w, b, gamma, beta, bn_param)
    out, dropout = dropout_forward(a, dropout_param)
    return out, (net, dropout)


def affine_bn_relu_dropout_backward(dout, cache):
    net, dropout = cache
    return affine_bn_relu_backward(dropout_backward(dout, dropout), net)
