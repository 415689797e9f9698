"""Layers chained: containers, networks and the loop that trains them."""

from .autoencoder import VAE, Autoencoder
from .captioning import CaptioningRNN, CaptioningTransformer
from .containers import Concat, Residual, Sequential, predict
from .convnets import VGG, ThreeLayerConvNet
from .diffusion import Denoiser, GaussianDiffusion
from .encoder_decoder import EncoderDecoder
from .gan import GAN
from .graph import Graph, Input
from .inside import class_visualization, fooling_image, saliency_map
from .knn import KNearestNeighbor
from .linear import LinearRegression, LinearSVM, SoftmaxClassifier
from .metrics import accuracy, r2
from .mlp import MLP
from .registry import MODELS, build
from .resnet import PadShortcut, ResNet
from .sequence import RecurrentLM, TransformerLM, generate
from .solver import Diverged, Solver
from .summary import summary
from .unet import UNet
from .vit import VisionTransformer

__all__ = [
    "Autoencoder",
    "CaptioningRNN",
    "CaptioningTransformer",
    "Concat",
    "Denoiser",
    "Diverged",
    "EncoderDecoder",
    "GAN",
    "GaussianDiffusion",
    "Graph",
    "Input",
    "KNearestNeighbor",
    "LinearRegression",
    "LinearSVM",
    "MLP",
    "MODELS",
    "PadShortcut",
    "RecurrentLM",
    "ResNet",
    "Residual",
    "Sequential",
    "SoftmaxClassifier",
    "Solver",
    "ThreeLayerConvNet",
    "TransformerLM",
    "UNet",
    "VAE",
    "VGG",
    "VisionTransformer",
    "accuracy",
    "build",
    "class_visualization",
    "fooling_image",
    "generate",
    "predict",
    "r2",
    "saliency_map",
    "summary",
]
