"""Imported before NumPy, so that OpenBLAS reads it: how long its threads wait for more work at full speed.

That is 2 ** 26 cycles unless said, some 25 ms, in which they hold the core that threads of ours need (`_threads.py`): a
convolution after a product on two threads then takes as long as on one. 2 ** 18 cycles, 0.1 ms, reach from one
product of a dense net to the next. Where NumPy was imported first, or the variable is set, all stays as it is.
"""

import os

os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "18")
