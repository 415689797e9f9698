"""Data: arrays in. Toy sets, scikit-learn's sets, files; splits, scaling, batches."""

from .batching import batches
from .dataset import Dataset, from_arrays
from .files import read_csv, read_npz
from .registry import DATASETS, load
from .scaling import SCALINGS, scale, scale_targets
from .splits import limit, split
from .toys import blobs, circles, moons, spirals, xor

__all__ = [
    "DATASETS",
    "load",
    "Dataset",
    "from_arrays",
    "read_csv",
    "read_npz",
    "spirals",
    "xor",
    "moons",
    "circles",
    "blobs",
    "split",
    "limit",
    "SCALINGS",
    "scale",
    "scale_targets",
    "batches",
]
