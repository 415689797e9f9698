"""Image files in the formats they are published in, written here byte by byte; damaged ones; pixels in batches."""

import gzip
import io
import pickle
import struct
import tarfile

import numpy as np
import pytest

import data
from data import batches, from_images, limit, load, read_cifar10, read_idx, read_mnist, scale, split
from data.cifar import read_binary_batch, read_python_batch
from layers import Affine, SoftmaxLoss
from models import Solver
from optim import SGD

RNG = np.random.default_rng(0)


def pixels(*shape):
    return RNG.integers(256, size=shape, dtype=np.uint8)


# --- idx


def idx(array):
    """The bytes of an idx file: 0, 0, type 8 (unsigned byte), number of axes, each size, big-endian; then the data."""
    return bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}i", *array.shape) + array.tobytes()


@pytest.fixture
def mnist(tmp_path):
    """The four files in tmp_path/mnist; returns the arrays."""
    arrays = {
        "train-images-idx3-ubyte": pixels(30, 28, 28),
        "train-labels-idx1-ubyte": np.arange(30, dtype=np.uint8) % 10,
        "t10k-images-idx3-ubyte": pixels(20, 28, 28),
        "t10k-labels-idx1-ubyte": np.arange(20, dtype=np.uint8)[::-1] % 10,
    }
    (tmp_path / "mnist").mkdir()
    for name, array in arrays.items():
        (tmp_path / "mnist" / name).write_bytes(idx(array))
    return arrays


def test_mnist_is_the_training_images_as_bytes_and_the_published_test_part(mnist, tmp_path):
    dataset = load("mnist", data_dir=tmp_path)
    for part, which in ((dataset, "train"), (dataset.test, "t10k")):
        assert part.X.dtype == np.uint8
        assert np.array_equal(part.X[:, 0], mnist[f"{which}-images-idx3-ubyte"])
        assert np.array_equal(part.y, mnist[f"{which}-labels-idx1-ubyte"])
        assert (part.y.dtype, part.image_shape, part.name) == (np.int64, (1, 28, 28), "mnist")
    assert dataset.classes == tuple("0123456789")
    assert repr(dataset) == "Dataset('mnist', classification, X (30, 1, 28, 28), 10 classes, 20 more to test)"


@pytest.mark.parametrize("rename", ["{}", "{}.gz", "dot", "dot.gz"])
def test_the_files_may_be_gzipped_and_have_a_dot_for_the_dash(mnist, tmp_path, rename):
    for name, array in mnist.items():
        (tmp_path / "mnist" / name).unlink()
        new = rename.format(name) if "{" in rename else rename.replace("dot", name.replace("-idx", ".idx"))
        (tmp_path / new).write_bytes(gzip.compress(idx(array)) if new.endswith(".gz") else idx(array))
    assert np.array_equal(read_mnist(tmp_path).X[:, 0], mnist["train-images-idx3-ubyte"])


def test_a_gzip_file_is_known_by_its_content(tmp_path):
    path = tmp_path / "train-labels-idx1-ubyte"
    path.write_bytes(gzip.compress(idx(np.array([3, 1], np.uint8))))
    assert read_idx(path).tolist() == [3, 1]


def test_fashion_mnist_has_a_folder_and_names_of_its_own(mnist, tmp_path):
    (tmp_path / "mnist").rename(tmp_path / "fashion_mnist")
    dataset = load("fashion_mnist", data_dir=tmp_path)
    assert (dataset.name, dataset.classes[0], dataset.classes[9]) == ("fashion_mnist", "T-shirt/top", "Ankle boot")
    with pytest.raises(ValueError, match="name must be one of mnist, fashion_mnist; got 'kmnist'"):
        read_mnist(tmp_path, "kmnist")


LABELS = idx(np.arange(10, dtype=np.uint8))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "magic number 2051 .* got 0"),
        (struct.pack("<i", 2049) + LABELS[4:], "magic number 2051 .images. or 2049 .labels.; got 17301504"),
        (LABELS[:6], "must begin with 8 bytes that say its sizes; got 6"),
        (LABELS[:-1], r"must hold labels of shape \(10,\), 10 bytes; got 9"),
        (LABELS + b"\0", r"must hold labels of shape \(10,\), 10 bytes; got 11"),
        (struct.pack(">4I", 2051, 2**32 - 1, 2**32 - 1, 2**32 - 1), "bytes; got 0"),
        (gzip.compress(LABELS)[:-9], "must be a whole gzip file; "),
        (gzip.compress(LABELS)[:12] + b"!!" + gzip.compress(LABELS)[14:], "must be a whole gzip file; "),
    ],
)
def test_a_damaged_idx_file_is_refused_in_one_line_that_names_it(tmp_path, content, message):
    path = tmp_path / "train-labels-idx1-ubyte"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message) as caught:
        read_idx(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.zeros(29, np.uint8), "must hold a label for each of the 30 images of .*train-images-idx3-ubyte; got 29"),
        (np.full(30, 10, np.uint8), r"train-labels-idx1-ubyte: y must hold labels 0\.\.9, .* got 10\.\.10"),
        (np.zeros((30, 2, 2), np.uint8), r"must hold images and .* labels; got shapes \(30, 28, 28\) and \(30, 2, 2\)"),
    ],
)
def test_labels_that_do_not_fit_their_images_are_refused(mnist, tmp_path, labels, message):
    (tmp_path / "mnist" / "train-labels-idx1-ubyte").write_bytes(idx(labels))
    with pytest.raises(ValueError, match=message):
        read_mnist(tmp_path)


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist", "cifar10"])
def test_missing_files_are_named_with_where_they_are_from_and_where_they_go(tmp_path, name):
    with pytest.raises(FileNotFoundError) as caught:
        load(name, data_dir=tmp_path)
    message = str(caught.value)
    assert str(tmp_path / name) in message
    assert f"download_dataset('{name}'" in message
    assert all(url in message for url in data.download.SOURCES[name])


# --- CIFAR-10


def cifar_arrays(n=4):
    return {name: (pixels(n, 3072), RNG.integers(10, size=n)) for name in data.cifar.BATCHES}


def binary(X, y):
    return b"".join(bytes([label]) + row.tobytes() for row, label in zip(X, y))


def python(X, y, protocol=4):
    return pickle.dumps({"data": X, "labels": y.tolist(), "batch_label": "batch"}, protocol)


def python2(X, y):
    """What Python 2 and NumPy 1 wrote, opcode by opcode: protocol 2, text as bytes, a dtype with 0 for align."""

    def text(content):
        return b"T" + struct.pack("<i", len(content)) + content

    def number(n):
        return b"J" + struct.pack("<i", n)

    array = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\n" + number(0) + b"\x85" + text(b"b") + b"\x87R("
    array += number(1) + number(len(X)) + number(3072) + b"\x86"
    array += b"cnumpy\ndtype\n" + text(b"u1") + number(0) + number(1) + b"\x87R"
    array += b"(" + number(3) + text(b"|") + b"NNN" + number(-1) + number(-1) + number(0) + b"tb"
    array += b"\x89" + text(X.tobytes()) + b"tb"
    labels = b"](" + b"".join(map(number, y.tolist())) + b"e"
    return b"\x80\x02}(" + text(b"data") + array + text(b"labels") + labels + b"u."


def write_folder(folder, arrays, form, suffix=""):
    folder.mkdir(parents=True)
    for name, (X, y) in arrays.items():
        (folder / (name + suffix)).write_bytes(form(X, y))


def write_archive(path, folder, arrays, form, suffix=""):
    with tarfile.open(path, "w:gz") as archive:
        for name, (X, y) in reversed(arrays.items()):
            member = tarfile.TarInfo(f"{folder}/{name}{suffix}")
            member.size = len(form(X, y))
            archive.addfile(member, io.BytesIO(form(X, y)))


def check_cifar(dataset, arrays):
    *train, test = arrays.values()
    assert np.array_equal(dataset.X.reshape(-1, 3072), np.concatenate([X for X, _ in train]))
    assert np.array_equal(dataset.y, np.concatenate([y for _, y in train]))
    assert np.array_equal(dataset.test.X.reshape(-1, 3072), test[0])
    assert np.array_equal(dataset.test.y, test[1])
    assert (dataset.X.dtype, dataset.y.dtype, dataset.X.shape[1:]) == (np.uint8, np.int64, (3, 32, 32))
    assert (dataset.name, dataset.test.name, dataset.classes[3]) == ("cifar10", "cifar10", "cat")


@pytest.mark.parametrize("inner", ["cifar10", "."])
def test_cifar_10_is_read_from_folders_of_either_version(tmp_path, inner):
    arrays = cifar_arrays()
    write_folder(tmp_path / inner / "cifar-10-batches-py", arrays, python2)
    check_cifar(load("cifar10", data_dir=tmp_path), arrays)
    preferred = cifar_arrays()
    write_folder(tmp_path / inner / "cifar-10-batches-bin", preferred, binary, ".bin")
    check_cifar(load("cifar10", data_dir=tmp_path), preferred)


def test_cifar_10_is_read_out_of_the_archives_as_they_are_published(tmp_path):
    arrays = cifar_arrays()
    write_archive(tmp_path / "cifar-10-python.tar.gz", "cifar-10-batches-py", arrays, python2)
    check_cifar(read_cifar10(tmp_path), arrays)
    arrays = cifar_arrays()
    write_archive(tmp_path / "cifar-10-binary.tar.gz", "cifar-10-batches-bin", arrays, binary, ".bin")
    check_cifar(read_cifar10(tmp_path), arrays)
    assert {path.name for path in tmp_path.iterdir()} == {"cifar-10-python.tar.gz", "cifar-10-binary.tar.gz"}


def test_a_record_is_the_label_then_red_green_and_blue_row_by_row():
    record = bytes([7]) + bytes([1] * 1024) + bytes([2] * 1024) + bytes([3] * 32 + [4] * 992)
    X, y = read_binary_batch(record)
    assert (y.tolist(), X.shape) == ([7], (1, 3, 32, 32))
    assert [X[0, c, 0, 0] for c in range(3)] == [1, 2, 3]
    assert X[0, 2, :2, :2].tolist() == [[3, 3], [4, 4]]


@pytest.mark.parametrize("protocol", [3, 4, 5])
@pytest.mark.parametrize("module", [b"numpy.core", b"numpy._core"])
def test_pickles_of_either_numpy_and_any_protocol_are_read(protocol, module):
    X, y = pixels(3, 3072), np.array([1, 0, 9])
    content = python(X, y, protocol)
    written = b"numpy._core" if b"numpy._core" in content else b"numpy.core"
    for name in (b".multiarray", b".numeric"):  # a name stands behind its length, or before a line end
        old, new = written + name, module + name
        content = content.replace(b"\x8c" + bytes([len(old)]) + old, b"\x8c" + bytes([len(new)]) + new)
        content = content.replace(b"c" + old + b"\n", b"c" + new + b"\n")
    if protocol >= 4:  # frames have a length, which has changed; a frame may be left out
        content = content[:2] + content[11:]
    assert module in content
    images, labels = read_python_batch(content)
    assert np.array_equal(images.reshape(3, 3072), X)
    assert labels.tolist() == [1, 0, 9]


class Crafted:
    """Pickles as a call of any function."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def test_a_crafted_pickle_is_refused_and_runs_nothing(tmp_path):
    witness = tmp_path / "witness"
    for call in (
        Crafted(open, str(witness), "w"),
        Crafted(eval, f"open({str(witness)!r}, 'w')"),
        Crafted(np.load, "x"),
    ):
        content = pickle.dumps({"data": pixels(1, 3072), "labels": [0], "more": call})
        with pytest.raises(
            ValueError, match=r"batch of CIFAR-10's Python version; it asks for \w+\.\w+, which makes no"
        ):
            read_python_batch(content)
    assert not witness.exists()


def test_names_within_allowed_modules_are_refused_unless_they_make_arrays():
    for name in (b"numpy\nload", b"numpy.core.multiarray\nfromfile", b"numpy\nndarray.tofile", b"builtins\ngetattr"):
        with pytest.raises(ValueError, match="which makes no array"):
            read_python_batch(b"\x80\x02c" + name + b"\n.")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "must be a batch of CIFAR-10's Python version; Ran out of input"),
        (python(pixels(2, 3072), np.arange(2))[:-50], "must be a batch of CIFAR-10's Python version; "),
        (b"not a pickle", "must be a batch of CIFAR-10's Python version; "),
        (pickle.dumps([1, 2]), r"must be a dict that holds data, uint8 of shape \(N, 3072\)"),
        (pickle.dumps({"data": np.zeros((2, 3072)), "labels": [0, 1]}), r".* data, uint8 of shape \(N, 3072\)"),
        (pickle.dumps({"data": pixels(2, 3071), "labels": [0, 1]}), r".* data, uint8 of shape \(N, 3072\)"),
        (pickle.dumps({"data": pixels(2, 3072), "labels": [0, [1]]}), ".* labels, a list of whole numbers"),
    ],
)
def test_a_damaged_pickle_is_refused_by_name(content, message):
    with pytest.raises(ValueError, match="^data_batch_1 " + message):
        read_python_batch(content, "data_batch_1")


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda c: c[:-1], ValueError, r"data_batch_2.bin must hold whole records of 3073 bytes; got 12291"),
        (lambda c: b"", ValueError, r"data_batch_2.bin must hold whole records of 3073 bytes; got 0"),
        (lambda c: b"\x0a" + c[1:], ValueError, r"data_batch_2.bin: y must hold labels 0..9, .*\.\.10"),
        (None, FileNotFoundError, "cifar-10-batches-bin: no data_batch_2.bin"),
    ],
)
def test_a_damaged_or_missing_binary_batch_is_named(tmp_path, change, error, message):
    write_folder(tmp_path / "cifar-10-batches-bin", cifar_arrays(), binary, ".bin")
    path = tmp_path / "cifar-10-batches-bin" / "data_batch_2.bin"
    content = path.read_bytes()
    path.unlink()
    if change:
        path.write_bytes(change(content))
    with pytest.raises(error, match=message):
        read_cifar10(tmp_path)


def test_labels_of_another_number_than_the_images_are_refused(tmp_path):
    write_folder(tmp_path / "cifar-10-batches-py", cifar_arrays(), lambda X, y: python(X, y[:-1]))
    with pytest.raises(
        ValueError, match=r"data_batch_1: y must have one label for each of the 4 images; got shape \(3,"
    ):
        read_cifar10(tmp_path)


@pytest.mark.parametrize("end", [20, 5000, -20])
def test_an_archive_cut_short_is_refused(tmp_path, end):
    path = tmp_path / "cifar-10-binary.tar.gz"
    write_archive(path, "cifar-10-batches-bin", cifar_arrays(), binary, ".bin")
    path.write_bytes(path.read_bytes()[:end])
    with pytest.raises(ValueError, match=r"must be a whole \.tar\.gz archive; "):
        read_cifar10(tmp_path)


# --- images of bytes, from split to batch


def images(n=40, shape=(3, 4, 5)):
    return from_images(pixels(n, *shape), np.arange(n) % 2, classes=["even", "odd"])


@pytest.mark.parametrize(
    ("X", "y", "message"),
    [
        (np.zeros((2, 3, 4, 5)), [0, 1], r"X must hold uint8 pixels, \(N, C, H, W\), .* got float64 \(2, 3, 4, 5\)"),
        (np.zeros((2, 4, 5), np.uint8), [0, 1], r"got uint8 \(2, 4, 5\)"),
        (np.zeros((0, 3, 4, 5), np.uint8), [], r"got uint8 \(0, 3, 4, 5\)"),
        (np.zeros((2, 3, 4, 5), np.uint8), [0], r"y must have one label for each of the 2 images; got shape \(1,\)"),
        (np.zeros((2, 3, 4, 5), np.uint8), [0, 2], r"y must hold labels 0\.\.1, for the 2 classes; got 0\.\.2"),
    ],
)
def test_arrays_that_are_no_images_are_refused(X, y, message):
    with pytest.raises(ValueError, match=message):
        from_images(X, y, classes=["a", "b"])


def test_bytes_stay_bytes_until_they_are_a_batch_of_floats_from_0_to_1():
    train, val, test = scale(*split(images()), how="minmax")
    assert all(part.X.dtype == np.uint8 for part in (train, val, test))
    assert train.image_shape == (3, 4, 5)
    for shuffle in (True, False):
        for x, _ in batches(train.X, train.y, 8, shuffle=shuffle):
            assert (x.dtype, x.shape[1:]) == (np.float32, (3, 4, 5))
    for i, (x, _) in enumerate(batches(train.X, train.y, 8, shuffle=False)):
        np.testing.assert_allclose(x, train.X[8 * i : 8 * i + 8].astype(np.float64) / 255, rtol=1e-6)


def test_0_and_255_become_exactly_0_and_1_and_tokens_of_a_byte_stay():
    assert data.as_floats(np.array([0, 255], np.uint8).reshape(1, 1, 1, 2)).ravel().tolist() == [0, 1]
    tokens = np.array([[0, 255]], np.uint8)
    assert data.as_floats(tokens) is tokens


def test_a_scale_that_would_fill_the_memory_with_floats_is_refused():
    with pytest.raises(ValueError, match="images: how must be minmax or none for X of uint8; got 'standard'"):
        scale(images())


def test_a_model_sees_the_same_numbers_in_training_and_in_prediction():
    dataset = images()
    model = Affine(60, 2, rng=0)
    floats = dataset.X.astype(np.float32) / 255
    expected = floats.reshape(40, 60) @ model.W.value + model.b.value
    solver = Solver(model, SoftmaxLoss(), SGD(model.parameters(), learning_rate=0.0), epochs=1, batch_size=40)
    (row,) = solver.fit(dataset.X, dataset.y, dataset.X, dataset.y)
    loss = np.mean(np.log(np.exp(expected).sum(axis=1)) - expected[np.arange(40), dataset.y])
    np.testing.assert_allclose([row["train_loss"], row["val_loss"]], loss, rtol=1e-5)


def test_a_published_test_part_is_the_test_part_whatever_the_seed(mnist, tmp_path):
    dataset = read_mnist(tmp_path)
    train, val, test = split(dataset, val=0.2, test=0.01, seed=3)
    assert test is dataset.test
    assert (len(train), len(val)) == (24, 6)
    assert train.test is val.test is None
    both = np.concatenate([train.X, val.X])
    assert sorted(image.tobytes() for image in both) == sorted(image.tobytes() for image in dataset.X)
    parts = split(dataset, val=0.2, test=0)
    assert [len(part) for part in parts] == [24, 6, 0]
    assert all(part.test is None for part in parts)


def test_a_limit_holds_for_both_published_parts(mnist, tmp_path):
    dataset = read_mnist(tmp_path)
    assert [(len(part), len(part.test)) for part in (limit(dataset, n) for n in (10, 25, 30))] == [
        (10, 10),
        (25, 20),
        (30, 20),
    ]
    assert np.bincount(limit(dataset, 10).test.y).tolist() == [1] * 10
    assert len(load("mnist", n=10, data_dir=tmp_path)) == 10


def test_rows_become_images_where_their_shape_is_known():
    digits = load("digits")
    assert digits.as_images().X.shape == (1797, 1, 8, 8)
    assert np.array_equal(digits.as_images().X[5].ravel(), digits.X[5])
    with pytest.raises(ValueError, match=r"iris must hold images; got X \(150, 4\) without an image_shape"):
        load("iris").as_images()
