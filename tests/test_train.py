"""The command line: what it prints, what it refuses, how it exits."""

import json
import re
import struct
import subprocess
import sys

import numpy as np
import pytest

import data
import train


def run(capsys, *arguments):
    """(exit status, standard output, standard error) of the command line, run in this process."""
    try:
        status = train.main(list(arguments))
    except SystemExit as exit_:
        status = exit_.code
    out, err = capsys.readouterr()
    return status, out, err


def test_without_arguments_it_trains_on_digits_to_97_percent():
    done = subprocess.run([sys.executable, train.__file__, "--json"], capture_output=True, text=True, check=True)
    figures = json.loads(done.stdout.splitlines()[-1])
    assert figures["dataset"] == "digits"
    assert figures["test_accuracy"] >= 0.97
    assert done.stderr == ""


def test_the_json_object_has_the_promised_keys(capsys):
    _, out, _ = run(capsys, "--dataset", "spirals", "--epochs", "2", "--json")
    figures = json.loads(out.splitlines()[-1])
    assert list(figures) == [
        *("dataset", "model", "seed", "epochs", "parameters", "train_loss"),
        *("val_accuracy", "test_accuracy", "seconds"),
    ]
    assert (figures["epochs"], figures["parameters"]) == (2, 2 * 128 + 128 + 128 * 3 + 3)


def test_regression_reports_r2(capsys):
    _, out, _ = run(capsys, "--dataset", "diabetes", "--epochs", "1", "--json", "-q")
    assert {"val_r2", "test_r2"} <= json.loads(out.splitlines()[-1]).keys()


def test_there_is_a_line_for_each_epoch_and_quiet_leaves_one_line(capsys):
    _, out, _ = run(capsys, "--dataset", "spirals", "--epochs", "3")
    assert len(re.findall(r"^ +\d+  ", out, re.MULTILINE)) == 3
    _, out, _ = run(capsys, "--dataset", "spirals", "--epochs", "3", "--quiet")
    assert len(out.splitlines()) == 1


def test_the_same_seed_gives_the_same_figures(capsys):
    figures = []
    for _ in range(2):
        _, out, _ = run(capsys, "--dataset", "moons", "--epochs", "3", "--dropout", "0.2", "--seed", "4", "--json")
        figures.append({k: v for k, v in json.loads(out.splitlines()[-1]).items() if k != "seconds"})
    assert figures[0] == figures[1]


@pytest.mark.parametrize("opt", train.OPTIMIZERS)
@pytest.mark.parametrize("model", ["mlp", "softmax", "svm"])
def test_every_model_trains_with_every_optimizer(capsys, model, opt):
    status, _, err = run(capsys, "--dataset", "blobs", "--model", model, "--opt", opt, "--epochs", "2", "-q")
    assert (status, err) == (0, "")


@pytest.mark.parametrize("flags", [["--opt", "adam"], ["--opt", "lbfgs", "--dropout", "0"], ["--augment", "crop"]])
def test_the_convnet_trains_on_images(capsys, flags):
    status, out, err = run(capsys, "--model", "cnn", "--limit", "60", "--epochs", "2", *flags)
    assert (status, err) == (0, "")
    assert "cnn: 1-32-32-64-64-128-10, 99,626 parameters" in out


@pytest.mark.parametrize("model", ["three_layer_cnn", "resnet"])
def test_the_other_nets_of_images_train(capsys, model):
    assert run(capsys, "--model", model, "--limit", "60", "--epochs", "1", "-q")[0] == 0


def test_six_epochs_of_the_convnet_read_98_percent_of_the_digits(capsys):
    _, out, _ = run(capsys, "--model", "cnn", "--epochs", "6", "-q", "--json")
    assert json.loads(out.splitlines()[-1])["test_accuracy"] >= 0.98


def test_nearest_neighbours_have_nothing_to_train_and_the_same_figures(capsys):
    _, out, _ = run(capsys, "--model", "knn", "--neighbors", "3", "--json")
    figures = json.loads(out.splitlines()[-1])
    assert (figures["epochs"], figures["parameters"], figures["train_loss"]) == (0, 0, None)
    assert 0.97 < figures["test_accuracy"] < 1


@pytest.mark.parametrize("sched", train.SCHEDULES)
def test_every_schedule_runs(capsys, sched):
    floor = [] if sched in ("none", "onecycle") else ["--min-lr", "1e-5"]
    assert run(capsys, "--dataset", "xor", "--sched", sched, "--epochs", "3", *floor)[0] == 0


@pytest.mark.parametrize(
    "flags",
    [
        ["--norm", "batch", "--dropout", "0.1"],
        ["--norm", "layer", "--activation", "gelu", "--init", "orthogonal"],
        ["--loss", "svm", "--reg", "1e-3", "--clip-grad", "1"],
        ["--ema", "0.9", "--warmup-epochs", "1", "--sched", "cosine"],
        ["--dtype", "float64", "--scale", "minmax", "--threads", "auto"],
        ["--hidden", "none", "--val-split", "0"],
        ["--patience", "1", "--monitor", "val_loss", "--limit", "60", "--test-split", "0"],
        ["-v", "-b", "7", "--weight-decay", "0.1", "--opt", "adamw"],
    ],
)
def test_every_flag_is_taken(capsys, flags):
    status, _, err = run(capsys, "fit", "--dataset", "moons", "--epochs", "2", *flags)
    assert (status, err) == (0, "")


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--dataset", "digit"], "unknown dataset 'digit'; did you mean digits?"),
        (["--model", "mpl"], "unknown model 'mpl'; did you mean mlp?"),
        (["--opt", "adm"], "unknown optimizer 'adm'; did you mean adam"),
        (["--lr", "-1"], "must be a number of at least 0; got -1"),
        (["--hidden", "0"], "must be whole numbers of at least 1"),
        (["--hidden", "64,x"], "must be whole numbers of at least 1"),
        (["--dropout", "1"], "of at least 0 and below 1; got 1"),
        (["--epochs", "2.5"], "must be a whole number"),
        (["--batch-size", "5000"], "--batch-size must be at most the 1079 training examples; got 5000"),
        (["--model", "linear"], "--model linear does not fit classification"),
        (["--loss", "mse"], "--loss mse does not fit classification"),
        (["--monitor", "val_r2"], "monitor must be one of"),
        (["--opt", "sgd", "--momentum", "0.5"], "--momentum: no effect with --opt sgd"),
        (["--opt", "lbfgs", "--sched", "cosine"], "--sched: no effect with --opt lbfgs"),
        (["--min-lr", "1", "--sched", "cosine"], "--min-lr must be at most the learning rate 0.003; got 1"),
        (["--augment", "flop"], "unknown augmentation 'flop'; did you mean flip"),
        (["--dataset", "iris", "--augment", "flip"], "--augment is for images; iris has none"),
        (["--dataset", "iris", "--model", "cnn"], "--model cnn needs images, examples of shape (C, H, W); got (4,)"),
        (["--dataset", "diabetes", "--model", "resnet"], "--model resnet does not fit regression; use mlp or linear"),
        (["--dataset", "diabetes", "--model", "knn"], "--model knn does not fit regression; use mlp or linear"),
        (["--model", "cnn", "--norm", "layer"], "--model cnn: norm must be one of none, batch; got 'layer'"),
        (["--model", "resnet", "--hidden", "9"], "--model resnet takes no hidden; its options: none"),
        (["--model", "cnn", "--opt", "lbfgs"], "--dropout does not go with --opt lbfgs; use --dropout 0"),
        (["--neighbors", "0"], "must be a whole number of at least 1; got 0"),
        (["--dataset", "text"], "--dataset text is text, for models of sequences"),
        (["--epoch=3"], "unknown flag --epoch; did you mean --epochs"),
        (["--datset", "moons"], "unknown flag --datset; did you mean --dataset"),
        (["--hiden", "3"], "unknown flag --hiden; did you mean --hidden"),
        (["--zzz"], "unknown flag --zzz. See train.py --help"),
        (["--model", "knn", "--epochs", "7", "-b", "3"], "--epochs, --batch-size: no effect with --model knn"),
        (["--neighbors", "3"], "--neighbors: no effect with --model mlp"),
        (["--warmup-epochs", "200"], "--warmup-epochs must be at most the 100 epochs; got 200"),
        (["--sched", "none", "--min-lr", "1e-5"], "--min-lr: no effect with --sched none"),
        (["--opt", "lbfgs", "-b", "8"], "--batch-size: no effect with --opt lbfgs"),
    ],
)
def test_wrong_usage_is_one_line_and_status_2(capsys, flags, words):
    status, _, err = run(capsys, *flags)
    assert status == 2
    assert words in err
    assert len(err.splitlines()) == 1


def write(path, text):
    path.write_text(text)
    return str(path)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "empty"),
        ("a,b,y\n1,2,0\n1,2\n", "line 3"),
        ("a,b,y\n1,2,0\n1,two,1\n", "two"),
        ("a,b,y\n1,nan,0\n1,2,1\n", "nan"),
        ("a,b,y\n1,2,1\n1,2,3\n1,3,1\n1,3,3\n", "if they are amounts, the task is regression"),
        ("kind,b\nfern,2\nmoss,3\n", "got 'fern'. If kind is what to learn, name it: target='kind', or --target kind"),
    ],
)
def test_a_bad_csv_file_is_one_line_and_status_1(capsys, tmp_path, text, words):
    status, _, err = run(capsys, "--dataset", write(tmp_path / "bad.csv", text))
    assert status == 1
    assert words in err
    assert len(err.splitlines()) == 1


def test_fractions_that_are_the_whole_leave_nothing_to_train_on(capsys):
    status, _, err = run(capsys, "--val-split", "0.5", "--test-split", "0.5")  # of 1797, rounding would leave one
    assert status == 1
    assert (
        "val=0.5 and test=0.5 must leave examples to train on, their sum below 1; of 1797 they take 898 and 898" in err
    )


def test_a_missing_file_is_one_line_and_status_1(capsys):
    status, _, err = run(capsys, "--dataset", "nowhere.csv")
    assert (status, len(err.splitlines())) == (1, 1)


def test_a_file_in_the_data_folder_trains(capsys, tmp_path):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((60, 3))
    np.savez(tmp_path / "mine.npz", X=X, y=(X[:, 0] > 0).astype(int))
    assert run(capsys, "--dataset", "mine.npz", "--data-dir", str(tmp_path), "--epochs", "2")[0] == 0


def test_published_images_in_the_data_folder_train_with_augmentation(capsys, tmp_path):
    rng = np.random.default_rng(0)
    for part, n in (("train", 60), ("t10k", 20)):
        header = struct.pack(">4i", 2051, n, 28, 28)
        (tmp_path / f"{part}-images-idx3-ubyte").write_bytes(header + rng.bytes(n * 28 * 28))
        (tmp_path / f"{part}-labels-idx1-ubyte").write_bytes(
            struct.pack(">2i", 2049, n) + bytes(i % 10 for i in range(n))
        )
    flags = ["--dataset", "fashion_mnist", "--data-dir", str(tmp_path), "--epochs", "1", "--augment", "flip", "crop"]
    status, out, err = run(capsys, *flags)
    assert (status, err) == (0, "")
    assert "60 examples of 784 features, 10 classes; 48 to train, 12 to validate, 20 to test" in out


def test_augmentation_changes_what_is_trained_on(capsys):
    losses = set()
    for flags in ([], ["--augment", "crop"], ["--augment", "crop", "noise"]):
        _, out, _ = run(capsys, "--limit", "60", "--epochs", "2", "--json", *flags)
        losses.add(json.loads(out.splitlines()[-1])["train_loss"])
    assert len(losses) == 3


def test_target_and_task_say_how_to_read_a_table(capsys, tmp_path):
    path = write(tmp_path / "t.csv", "y,a\n" + "".join(f"{i % 5},{i}\n" for i in range(30)))
    _, out, _ = run(capsys, "--dataset", path, "--target", "y", "--task", "regression", "--epochs", "1", "-q")
    assert "R2" in out


def test_a_closed_pipe_ends_it_quietly():
    command = f"{sys.executable} {train.__file__} --dataset spirals --epochs 3 | head -n 1"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=True)
    assert done.stderr == ""


def test_divergence_is_status_3_and_names_step_and_cause(capsys):
    status, _, err = run(capsys, "--opt", "sgd", "--lr", "1e30", "-q")
    assert status == 3
    assert re.search(r"step \d+ \(epoch 1\)", err)
    assert len(err.splitlines()) == 1


def test_help_lists_every_dataset_on_a_line(capsys):
    _, out, _ = run(capsys, "--help")
    listed = out.partition("datasets:\n")[2].splitlines()
    assert [line.split()[0] for line in listed] == list(data.DATASETS)


def test_version(capsys):
    assert run(capsys, "--version")[1].startswith("layerwise ")
