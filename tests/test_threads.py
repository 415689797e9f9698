"""A batch in blocks, on threads, is the batch at once."""

import os
import subprocess
import sys
import types

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from layers import GELU, Conv2D, MultiHeadAttention, TemporalAffine, _threads
from layers._threads import elementwise, in_parts, over_blocks

LAYERS = {
    "gelu": (lambda: GELU("tanh"), (5, 7, 6)),
    "affine": (lambda: TemporalAffine(6, 4, rng=0, dtype=np.float64), (5, 7, 6)),
    "attention": (lambda: MultiHeadAttention(6, 2, rng=0, dtype=np.float64), (5, 7, 6)),
    "dropped attention": (lambda: MultiHeadAttention(6, 2, dropout=0.5, rng=0, dtype=np.float64), (5, 7, 6)),
    "causal attention": (lambda: MultiHeadAttention(6, 2, causal=True, rng=0, dtype=np.float64), (5, 7, 6)),
    "convolution": (lambda: Conv2D(3, 4, 3, padding=1, rng=0, dtype=np.float64), (5, 3, 6, 6)),
}


@pytest.fixture
def small_blocks(monkeypatch):
    """Blocks of a few elements, dealt to two threads however few they are."""
    monkeypatch.setattr(_threads, "LEAST", 1)
    monkeypatch.setattr(_threads, "BLOCK", 16)
    with threadpool_limits(2):
        yield


def outcome(make, x):
    """Output, gradient of the input, gradients of the parameters."""
    layer = make()
    out = layer.forward(x)
    dx = layer.backward(np.cos(np.arange(out.size)).reshape(out.shape))
    return [out, dx, *(parameter.grad for parameter in layer.parameters().values())]


@pytest.mark.parametrize("name", LAYERS)
def test_blocks_on_threads_give_what_the_whole_batch_gives(name, request):
    make, shape = LAYERS[name]
    x = np.random.default_rng(0).standard_normal(shape)
    whole = outcome(make, x)
    request.getfixturevalue("small_blocks")
    for part, at_once in zip(outcome(make, x), whole):
        np.testing.assert_allclose(part, at_once, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("N", "size"), [(0, 0), (1, 5), (7, 0), (7, 700), (100, 100)])
def test_blocks_cover_each_example_once(small_blocks, N, size):
    counts = np.zeros(N, int)

    def count(block):
        counts[block] += 1

    over_blocks(count, N, size)
    assert (counts == 1).all()


def test_a_block_holds_no_more_than_it_should(small_blocks):
    sizes = []
    over_blocks(lambda block: sizes.append((block.stop - block.start) * 4), 40, 160)
    assert max(sizes) == _threads.BLOCK


def test_parts_come_back_in_their_order(small_blocks):
    assert in_parts(lambda part: (part.start, part.stop), 7, 7) == [(0, 3), (3, 7)]


@pytest.mark.parametrize("wrong", [0, 3])
def test_an_error_in_a_part_is_raised_and_blas_has_its_threads_again(small_blocks, wrong):
    def fail(part):
        assert _threads._thread_count() == 1
        if part.start == wrong:
            raise ArithmeticError("in a part")

    with pytest.raises(ArithmeticError, match="in a part"):
        in_parts(fail, 7, 7)
    assert _threads._thread_count() == 2


@pytest.mark.parametrize(
    ("product", "threads"),
    [(0, 2), (_threads.ALONE, 2), (_threads.ALONE + 1, 1), (_threads.SHARED - 1, 1), (_threads.SHARED, 2)],
)
def test_blas_is_held_where_a_product_would_wake_its_threads_in_vain(product, threads):
    with threadpool_limits(2):
        assert in_parts(lambda part: _threads._thread_count(), 5, 5, product=product) == [threads]


def test_what_holds_blas_is_what_threadpoolctl_sees():
    with threadpool_limits(2):
        (get, set_), *_ = _threads._blas()
        assert get() == 2
        set_(1)
        assert {pool["num_threads"] for pool in threadpool_info() if "numpy" in pool["filepath"]} <= {1}
        assert get() == 1


def test_openblas_is_held_by_its_own_functions_and_scipy_s_as_well(monkeypatch):
    class Library:
        threading_layer = "pthreads"
        dynlib = types.SimpleNamespace(scipy_openblas_get_num_threads64_="get", scipy_openblas_set_num_threads64_="set")

    assert _threads._limit_of(Library) == ("get", "set")
    set_to = []
    monkeypatch.setattr(
        _threads, "_blas", lambda: [(lambda: 2, lambda n, of=of: set_to.append((of, n))) for of in "ns"]
    )
    _threads.each(str, range(2))
    assert set_to == [("n", 1), ("s", 1), ("n", 2), ("s", 2)]


def test_blas_of_another_kind_is_held_as_threadpoolctl_does():
    class Library:
        threading_layer = "intel"
        get_num_threads, set_num_threads = "get", "set"

    assert _threads._limit_of(Library) == ("get", "set")


def test_a_limit_set_before_scipy_s_blas_was_loaded_holds_for_it_too():
    code = """
from threadpoolctl import threadpool_info, threadpool_limits
from layers import _threads
threadpool_limits(1)
from scipy.linalg import cython_blas
_threads.in_parts(str, 2, _threads.LEAST)
assert {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"} == {1}
"""
    two = {**os.environ, "OMP_NUM_THREADS": "2", "OPENBLAS_NUM_THREADS": "2"}
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60, env=two)


def test_an_elementwise_formula_keeps_the_order_in_memory(small_blocks):
    x = np.random.default_rng(0).standard_normal((3, 4, 5, 6)).transpose(0, 3, 1, 2)
    other = np.random.default_rng(1).standard_normal(x.shape)
    out = elementwise(lambda a, b, out: np.add(a, b, out=out), x, other)
    assert out.strides == x.strides
    assert (out == x + other).all()


def test_an_elementwise_formula_meets_one_dtype(small_blocks):
    def formula(x, other, out):
        assert x.dtype == other.dtype == out.dtype
        np.add(x, other, out=out)

    out = elementwise(formula, np.ones((3, 4), np.float32), np.ones((3, 4), np.float16))
    assert (out == 2).all()


def test_a_forked_process_has_threads_of_its_own():
    code = """
import os
from layers import _threads
_threads._blas = lambda: [(lambda: 2, lambda number: None)]
assert _threads.in_parts(str, 2, _threads.LEAST) == ["slice(0, 1, None)", "slice(1, 2, None)"]
child = os.fork() if hasattr(os, "fork") else os._exit(0)
if child == 0:
    os._exit(len(_threads.in_parts(str, 2, _threads.LEAST)) != 2)
assert os.waitpid(child, 0)[1] == 0
"""
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True, timeout=60)
