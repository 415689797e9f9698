"""Work on the examples of a batch, shared among as many threads as BLAS may use."""

import functools
from concurrent.futures import ThreadPoolExecutor

import numpy as np

BLOCK = 1 << 16  # elements: a formula's few arrays of them lie in a second-level cache, and few calls are made
LEAST = 1 << 18  # elements to move for which a second thread is worth its start, some 50 microseconds


def over_batch(function, N, size):
    """Call ``function(part)`` for slices that make up N examples, and return what it returns for each, in their order.

    NumPy lets other threads run while it copies and multiplies. Products of few columns gain little from BLAS's own
    threads, copies nothing; so each thread takes a part of the batch, with BLAS held to one thread for the time. The
    parts depend on the number of threads alone: the same number gives the same bits. Below `size` elements to move, or
    where BLAS has one thread (`train.py --threads 1`, OMP_NUM_THREADS=1), all is one part.
    """
    blas = _blas() if size >= LEAST and N > 1 else None
    threads = 1 if blas is None else blas.num_threads
    if blas is None or threads < 2:
        return [function(slice(0, N))]
    parts = min(threads, N)
    slices = [slice(N * i // parts, N * (i + 1) // parts) for i in range(parts)]
    blas.set_num_threads(1)
    try:
        others = [_pool().submit(function, part) for part in slices[1:]]
        first = function(slices[0])
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

    over_batch(fill, out.size, out.size)
    return out


@functools.cache
def _blas():
    """The BLAS that NumPy calls, as far as its threads can be counted and held; None if not."""
    try:
        from threadpoolctl import ThreadpoolController  # scikit-learn brings it
    except ImportError:
        return None
    found = ThreadpoolController().select(user_api="blas").lib_controllers
    return next((each for each in found if "numpy" in each.filepath), None)


@functools.cache
def _pool():
    return ThreadPoolExecutor(thread_name_prefix="layerwise")
