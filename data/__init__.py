"""Data: arrays in. Toy sets, scikit-learn's sets, images, text, files; splits, scaling, batches, augmentation."""

from .augment import AUGMENTATIONS, Compose, Crop, Cutout, Flip, Noise
from .batching import as_floats, batches
from .cifar import read_cifar10
from .dataset import Dataset, from_arrays, from_images
from .download import download_dataset, download_file
from .files import read_csv, read_npz
from .mnist import read_idx, read_mnist
from .registry import DATASETS, load
from .scaling import SCALINGS, scale, scale_targets
from .splits import limit, split
from .text import Text, read_text, toy_text
from .toys import blobs, circles, moons, spirals, xor

__all__ = [
    "DATASETS",
    "load",
    "Dataset",
    "from_arrays",
    "from_images",
    "read_csv",
    "read_npz",
    "read_idx",
    "read_mnist",
    "read_cifar10",
    "Text",
    "read_text",
    "toy_text",
    "download_dataset",
    "download_file",
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
    "as_floats",
    "AUGMENTATIONS",
    "Compose",
    "Flip",
    "Crop",
    "Cutout",
    "Noise",
]
