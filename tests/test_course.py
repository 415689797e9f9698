"""The page of the course's names: all of them are there, and what it says is ours exists and does the same."""

import fnmatch
import importlib
import pathlib
import re

import numpy as np
import pytest

from layers import Parameter
from optim import SGD, Adam, RMSProp

TEXT = (pathlib.Path(__file__).parent.parent / "docs" / "course.md").read_text()
ROWS = re.findall(r"^\| (.*) \|$", TEXT, re.MULTILINE)
OURS = sorted(set(re.findall(r"`((?:layers|models|optim|gradcheck|data)(?:\.\w+)+)`", "\n".join(ROWS))))
THEIRS = [pattern for row in ROWS for pattern in re.findall(r"`([\w*]+)`", row.split(" | ")[0])]

PAIRS = """
affine relu batchnorm layernorm dropout spatial_batchnorm spatial_groupnorm rnn_step rnn word_embedding lstm_step lstm
temporal_affine affine_relu affine_bn_relu conv_relu conv_bn_relu conv_relu_pool
"""  # each a NAME_forward and a NAME_backward
SINGLE = """
softmax_loss svm_loss batchnorm_backward_alt conv_forward_naive conv_backward_naive max_pool_forward_naive
max_pool_backward_naive sigmoid temporal_softmax_loss conv_forward_im2col conv_forward_strides conv_forward_fast
conv_backward_im2col conv_backward_strides conv_backward_fast max_pool_forward_reshape max_pool_forward_im2col
max_pool_forward_fast max_pool_backward_reshape max_pool_backward_im2col max_pool_backward_fast im2col_indices
col2im_indices PositionalEncoding MultiHeadAttention FeedForwardNetwork TransformerDecoderLayer TransformerEncoderLayer
PatchEmbedding VisionTransformer CaptioningTransformer UNet cfg_forward GaussianDiffusion q_sample p_sample
predict_start_from_noise predict_noise_from_start p_losses sim simclr_loss_naive sim_positive_pairs compute_sim_matrix
simclr_loss_vectorized compute_train_transform CIFAR10Pair get_similarity_no_loop clip_zero_shot_classifier
CLIPImageRetriever DINOSegmentation sample_noise discriminator generator discriminator_loss generator_loss
ls_discriminator_loss ls_generator_loss build_dc_classifier build_dc_generator get_optimizer compute_saliency_maps
make_fooling_image class_visualization_update_step content_loss gram_matrix style_loss tv_loss KNearestNeighbor
compute_distances_two_loops compute_distances_one_loop compute_distances_no_loops predict_labels softmax_loss_naive
softmax_loss_vectorized LinearClassifier LinearSVM Softmax svm_loss_naive svm_loss_vectorized hog_feature
color_histogram_hsv TwoLayerNet FullyConnectedNet ThreeLayerConvNet CaptioningRNN sgd sgd_momentum rmsprop adam Solver
CaptioningSolver eval_numerical_gradient eval_numerical_gradient_array eval_numerical_gradient_blobs
eval_numerical_gradient_net grad_check_sparse visualize_grid vis_grid load_CIFAR10 get_CIFAR10_data load_tiny_imagenet
load_coco_data sample_coco_minibatch decode_captions
"""
COURSE = [*SINGLE.split(), *(f"{name}_{way}" for name in PAIRS.split() for way in ("forward", "backward"))]


@pytest.mark.parametrize("name", OURS)
def test_every_name_of_ours_on_the_page_exists(name):
    package, *path = name.split(".")
    thing = importlib.import_module(package)
    for part in path:
        thing = getattr(thing, part)


def test_every_name_of_the_course_is_on_the_page():
    assert [name for name in COURSE if not any(fnmatch.fnmatchcase(name, pattern) for pattern in THEIRS)] == []


def test_every_row_names_something_of_ours():
    tables = TEXT.split("## Left out")[0]
    rows = re.findall(r"^\| (?!the course|---)(.*)\|$", tables, re.MULTILINE)
    assert len(rows) > 45
    assert all(re.search(r"`(layers|models|optim|gradcheck|data)\.\w+", row.split(" | ")[1]) for row in rows)


# --- the course's update rules, as its optim.py has students write them


def sgd_momentum(w, dw, config):
    config["velocity"] = 0.9 * config.get("velocity", 0) - config["learning_rate"] * dw
    return w + config["velocity"]


def rmsprop(w, dw, config):
    config["cache"] = 0.99 * config.get("cache", 0) + 0.01 * dw**2
    return w - config["learning_rate"] * dw / (np.sqrt(config["cache"]) + 1e-8)


def adam(w, dw, config):
    config["t"] = config.get("t", 0) + 1
    config["m"] = 0.9 * config.get("m", 0) + 0.1 * dw
    config["v"] = 0.999 * config.get("v", 0) + 0.001 * dw**2
    m, v = config["m"] / (1 - 0.9 ** config["t"]), config["v"] / (1 - 0.999 ** config["t"])
    return w - config["learning_rate"] * m / (np.sqrt(v) + 1e-8)


@pytest.mark.parametrize(
    ("rule", "ours", "options"), [(sgd_momentum, SGD, {"momentum": 0.9}), (rmsprop, RMSProp, {}), (adam, Adam, {})]
)
def test_the_course_s_rule_takes_the_same_path(rule, ours, options):
    rng, config = np.random.default_rng(0), {"learning_rate": 0.01}
    w = rng.standard_normal(5)
    parameter = Parameter(w.copy())
    optimizer = ours({"w": parameter}, learning_rate=0.01, **options)
    for _ in range(20):
        dw = rng.standard_normal(5)
        w = rule(w, dw, config)
        optimizer.zero_grad()
        parameter.add_grad(dw)
        optimizer.step()
        np.testing.assert_allclose(parameter.value, w, rtol=1e-10)
