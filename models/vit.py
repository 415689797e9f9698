"""Vision Transformer: an image as a sequence of patches."""

from __future__ import annotations

from typing import Any

import numpy as np

from data._checks import check_count
from layers import Affine, EncoderLayer, LayerNorm, LearnedEncoding, Mean, PatchEmbedding
from layers.initializers import xavier_normal

from ._checks import check_image_shape
from .convnets import ImageChain


class VisionTransformer(ImageChain):
    r"""Patches, learned positions, encoder layers, the mean over the patches, scores: :math:`(N, C, H, W) \to (N, M)`.

    Parameters
    ----------
    image_shape : (int, int, int)
        Channels C, height H and width W.
    out_features : int
        Classes M.
    patch_size : int
        Height and width of a patch, in pixels; must divide H and W.
    embed_dim : int, default 64
        Width D of a patch's vector.
    num_heads : int, default 4
        Must divide `embed_dim`.
    num_layers : int, default 2
    dropout : float in [0, 1), default 0.0
    rng : numpy.random.Generator or int, optional
    dtype : dtype, default float32

    Raises
    ------
    ValueError
        If patches do not tile the image, `num_heads` does not divide `embed_dim`, or an image has another shape.

    Notes
    -----
    The paper reads the answer off a class token of its own; the mean over the patches is as good [2]_ and has no
    special case.

    References
    ----------
    .. [1] Dosovitskiy et al. (2020), "An Image is Worth 16x16 Words", https://arxiv.org/abs/2010.11929
    .. [2] Beyer, Zhai and Kolesnikov (2022), "Better plain ViT baselines for ImageNet-1k",
       https://arxiv.org/abs/2205.01580

    Examples
    --------
    >>> model = VisionTransformer((1, 8, 8), 10, patch_size=2, rng=0)
    >>> model.forward(np.zeros((3, 1, 8, 8), np.float32)).shape
    (3, 10)
    """

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        out_features: int,
        *,
        patch_size: int,
        embed_dim: int = 64,
        num_heads: int = 4,
        num_layers: int = 2,
        dropout: float = 0.0,
        rng: Any = None,
        dtype: Any = np.float32,
    ) -> None:
        image_shape = channels, height, width = check_image_shape(image_shape)
        check_count("patch_size", patch_size), check_count("num_layers", num_layers)
        if height % patch_size or width % patch_size:
            raise ValueError(
                f"patch_size must divide the image's height and width {height, width}; got {patch_size}. "
                "Crop or pad the images"
            )
        rng = np.random.default_rng(rng)
        own = {"rng": rng, "dtype": dtype}
        super().__init__(
            image_shape,
            PatchEmbedding(channels, embed_dim, patch_size, **own),
            LearnedEncoding(height * width // patch_size**2, embed_dim, **own),
            *[EncoderLayer(embed_dim, num_heads, dropout=dropout, **own) for _ in range(num_layers)],
            LayerNorm(embed_dim, dtype=dtype),
            Mean(axis=1),  # (N, T, D) -> (N, D)
            Affine(embed_dim, out_features, init=xavier_normal, **own),
        )
