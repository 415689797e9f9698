"""Work in parts, shared among as many threads as BLAS may use."""

import functools
from concurrent.futures import ThreadPoolExecutor

import numpy as np

BLOCK = 1 << 16  # elements: a formula's few arrays of them lie in a second-level cache, and few calls are made
LEAST = 1 << 20  # elements to move, pass by pass, for which a second thread is worth its start, some 50 microseconds


def in_parts(function, count, size):
    """Call ``function(part)`` for slices that make up `count` things, and return what it returns for each, in order.

    NumPy lets other threads run while it copies and multiplies. Products of few columns gain little from BLAS's own
    threads, copies nothing; so each thread takes a part, with BLAS held to one thread for the time. The parts depend on
    the number of threads alone: the same number gives the same bits. Where `size`, the elements to move, is small, or
    BLAS has one thread (`train.py --threads 1`, OMP_NUM_THREADS=1), all is one part.
    """
    blas = _blas() if size >= LEAST and count > 1 else None
    parts = 1 if blas is None else min(blas.num_threads, count)
    return each(function, [slice(count * i // parts, count * (i + 1) // parts) for i in range(parts)])


def each(function, items):
    """``[function(item) for item in items]``, the first here and the others on threads of their own."""
    if len(items) < 2:
        return [function(item) for item in items]
    blas = _blas()
    threads = blas.num_threads
    blas.set_num_threads(1)
    try:
        others = [_pool().submit(function, item) for item in items[1:]]
        first = function(items[0])
        return [first, *(other.result() for other in others)]
    finally:
        blas.set_num_threads(threads)


def in_blocks(formula, x, *others):
    """An array like `x` that ``formula(x, *others, out)`` fills, called on 1-D blocks that stay in cache.

    For elementwise formulas of many passes in place: what they need on the way is never larger than a block. Memory
    order is kept.
    """
    out = np.empty_like(x)
    axes = sorted(range(x.ndim), key=lambda axis: -out.strides[axis])  # as they lie in memory
    flat = [np.asarray(array).transpose(axes).reshape(-1) for array in (x, *others, out)]

    def fill(part):
        for start in range(part.start, part.stop, BLOCK):
            block = slice(start, min(start + BLOCK, part.stop))
            formula(*(array[block] for array in flat))

    in_parts(fill, out.size, 4 * out.size)  # for a few passes
    return out


@functools.cache
def _blas():
    """The BLAS that NumPy calls, as far as its threads can be counted and held; None if not."""
    try:
        from threadpoolctl import ThreadpoolController  # scikit-learn brings it
    except ImportError:
        return None
    found = ThreadpoolController().select(user_api="blas").lib_controllers
    return next((library for library in found if "numpy" in library.filepath), None)


@functools.cache
def _pool():
    return ThreadPoolExecutor(thread_name_prefix="layerwise")
