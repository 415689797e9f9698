"""Work in parts, shared among as many threads as BLAS may use."""

import functools
import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np

BLOCK = 1 << 16  # elements: a formula's few arrays of them lie in a second-level cache, and few calls are made
LEAST = 1 << 20  # elements to move, pass by pass, for which a second thread is worth its start, some 50 microseconds


def in_parts(function, count, size):
    """Call ``function(part)`` for slices that make up `count` things, and return what it returns for each, in order.

    NumPy lets other threads run while it copies and multiplies. Products of few columns gain little from BLAS's own
    threads, copies nothing; so each thread takes a part, with BLAS held to one thread for the time. The parts depend on
    the number of threads alone: the same number gives the same bits. Where `size`, the elements to move, is small, all
    is one part on one thread, to wake another costs more; and so it is where BLAS has but one (OMP_NUM_THREADS=1).
    """
    blas = _blas()
    threads = 1 if blas is None else blas.num_threads
    parts = max(1, min(threads, count)) if size >= LEAST else 1
    slices = [slice(count * i // parts, count * (i + 1) // parts) for i in range(parts)]
    if threads == 1 or (parts == 1 and size >= LEAST):
        return [function(part) for part in slices]
    blas.set_num_threads(1)
    try:
        others = [_pool().submit(function, part) for part in slices[1:]]
        first = function(slices[0])
        return [first, *(other.result() for other in others)]
    finally:
        blas.set_num_threads(threads)


def over_blocks(function, count, size):
    """Call ``function(block)`` in parts, for `size` elements and a few passes; of many on slices of some BLOCK each."""
    moves = 4 * size
    step = max(1, count if moves < LEAST else BLOCK * count // size)

    def through(part):
        for start in range(part.start, part.stop, step):
            function(slice(start, min(start + step, part.stop)))

    in_parts(through, count, moves)


def elementwise(formula, x, *others):
    """An array like `x`, in memory too, that ``formula(x, *others, out)`` fills, called on blocks of one axis.

    For formulas of many passes in place: what they need on the way is never larger than a block.
    """
    out = np.empty_like(x)
    axes = sorted(range(x.ndim), key=lambda axis: -out.strides[axis])  # as they lie in memory
    flat = [np.asarray(array).transpose(axes).reshape(-1) for array in (x, *others, out)]
    over_blocks(lambda block: formula(*(array[block] for array in flat)), out.size, out.size)
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


if hasattr(os, "register_at_fork"):  # threads do not come along into a forked process, which would wait for them
    os.register_at_fork(after_in_child=_pool.cache_clear)
