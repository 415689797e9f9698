"""Work in parts, shared among as many threads as BLAS may use."""

import functools
import os
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np

BLOCK = 1 << 16  # elements: a formula's few arrays of them lie in a second-level cache, and few calls are made
KEPT = (32 << 20) - (1 << 16)  # bytes
LEAST = 1 << 20  # elements to move, pass by pass, for which a second thread is worth its start, some 50 microseconds
ALONE = 1 << 18  # multiplications of a product to which OpenBLAS gives one thread of its own accord
SHARED = 1 << 20  # multiplications of one that its threads make faster, though they wait for more work afterwards

# glibc returns freed memory to the system, and then takes it anew page by page, beyond twice the size of the largest
# block that was freed, up to 32 MB: the arrays of a recurrent layer's step cost a quarter of its time. So free one.
np.empty(KEPT, np.uint8)


def in_parts(function, count, size, *, product=0):
    """Call ``function(part)`` for slices that make up `count` things, and return what it returns for each, in order.

    NumPy lets other threads run while it copies and multiplies. Products of few columns gain little from BLAS's own
    threads, copies nothing; so each thread takes a part, with BLAS held to one thread for the time. Where `size`, the
    elements to move, is small, all is one part, since to wake another thread costs more; and BLAS, whose threads would
    cost as much, is held then too, if a `product` of the function has more multiplications than BLAS does ALONE and
    fewer than SHARED, from which on its threads pay. Such a product has to be NumPy's: compiled ones call another BLAS.
    """
    parts = parts_of(count, size)
    hold = len(parts) > 1 or ALONE < product < SHARED
    return _each_on_one_thread(function, [(part,) for part in parts]) if hold else [function(parts[0])]


def parts_of(count, size):
    """Slices that make up `count` things: one for each thread that BLAS may use, or one if there is little to move.

    They depend on the number of threads alone: the same number gives the same bits.
    """
    parts = max(1, min(_thread_count(), count)) if size >= LEAST else 1
    return [slice(count * i // parts, count * (i + 1) // parts) for i in range(parts)]


def each(function, *things):
    """``[*map(function, *things)]``, each call on a thread of its own; one call alone may use all of BLAS's threads."""
    calls = list(zip(*things))
    return [function(*calls[0])] if len(calls) == 1 else _each_on_one_thread(function, calls)


def _each_on_one_thread(function, calls):
    limits = _blas() if len(calls) > 1 else _blas()[:1]  # see in_parts
    threads = [get() for get, _ in limits]
    if not limits or threads[0] == 1:
        return [function(*call) for call in calls]
    for _, set_ in limits:
        set_(1)
    try:
        others = [_pool().submit(function, *call) for call in calls[1:]]
        return [function(*calls[0]), *(other.result() for other in others)]
    finally:
        for (_, set_), number in zip(limits, threads):
            set_(number)


def over_blocks(function, count, size, *, product=0):
    """Call ``function(block)`` in parts, for `size` elements and a few passes; of many on slices of some BLOCK each."""
    moves = 4 * size
    step = max(1, count if moves < LEAST else BLOCK * count // size)

    def through(part):
        for start in range(part.start, part.stop, step):
            function(slice(start, min(start + step, part.stop)))

    in_parts(through, count, moves, product=product)


def elementwise(formula, x, *others):
    """An array like `x`, in memory too, that ``formula(x, *others, out)`` fills, called on blocks of one axis.

    For formulas of many passes in place: what they need on the way is never larger than a block. All have the dtype of
    `x`.
    """
    out = np.empty_like(x)
    axes = sorted(range(x.ndim), key=lambda axis: -out.strides[axis])  # as they lie in memory
    flat = [np.asarray(array, x.dtype).transpose(axes).reshape(-1) for array in (x, *others, out)]
    over_blocks(lambda block: formula(*(array[block] for array in flat)), out.size, out.size)
    return out


def _thread_count():
    """How many threads NumPy's BLAS may use (OMP_NUM_THREADS); 1 if they cannot be counted and held."""
    return next((get() for get, _ in _blas()), 1)


def _blas():
    return _loaded_blas("scipy.linalg.cython_blas" in sys.modules)


@functools.cache
def _loaded_blas(scipy):
    """(get, set) of the number of threads of the BLAS that NumPy calls, and behind it of SciPy's, if it is loaded.

    Products in compiled code call the latter. It is loaded late: a limit that was set before, as by ``train.py
    --threads``, has missed it.
    """
    try:
        from threadpoolctl import ThreadpoolController  # scikit-learn brings it
    except ImportError:
        return []
    found = ThreadpoolController().select(user_api="blas").lib_controllers
    found.sort(key=lambda library: "numpy" not in library.filepath)
    for late in found[1:]:
        late.set_num_threads(min(late.num_threads, found[0].num_threads))
    return [_limit_of(library) for library in found]


def _limit_of(library):
    """(get, set): OpenBLAS's own functions where they are found; threadpoolctl's way to them takes ten times as long.

    Built with OpenMP it has a number for each thread, which is threadpoolctl's business.
    """
    names = [f"{prefix}openblas_{{}}_num_threads{suffix}" for prefix in ("", "scipy_") for suffix in ("", "64_")]
    for name in names if getattr(library, "threading_layer", "") == "pthreads" else []:
        if hasattr(library.dynlib, name.format("set")):
            return getattr(library.dynlib, name.format("get")), getattr(library.dynlib, name.format("set"))
    return library.get_num_threads, library.set_num_threads


@functools.cache
def _pool():
    return ThreadPoolExecutor(thread_name_prefix="layerwise")


if hasattr(os, "register_at_fork"):  # threads do not come along into a forked process, which would wait for them
    os.register_at_fork(after_in_child=_pool.cache_clear)
