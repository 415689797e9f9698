import csv

import numpy as np
import pytest

from data import load, read_csv, read_npz


@pytest.fixture
def write(tmp_path):
    """Write a file of text or bytes; returns its path."""

    def write(content, name="table.csv"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


@pytest.fixture
def save(tmp_path):
    """Write an .npz file; returns its path."""

    def save(**arrays):
        np.savez(tmp_path / "arrays.npz", **arrays)
        return tmp_path / "arrays.npz"

    return save


# --- CSV


def test_text_labels_with_commas_and_quotes_survive_a_round_trip(tmp_path):
    labels = ["fern, tall", 'moss "green"', "fern, tall", "line\r\nbreak"]
    with open(tmp_path / "plants.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["height", "width, cm", "kind"])
        writer.writerows([i + 0.5, -i, label] for i, label in enumerate(labels))
    dataset = load(tmp_path / "plants.csv")
    assert dataset.classes == ("fern, tall", "line\r\nbreak", 'moss "green"')
    assert [dataset.classes[label] for label in dataset.y] == labels
    assert dataset.X.tolist() == [[0.5, 0], [1.5, -1], [2.5, -2], [3.5, -3]]
    assert dataset.X.dtype == np.float32


def test_a_file_whose_name_ends_in_tsv_has_tabs(write):
    tabs = load(write("a\tb\tkind\n1.5\t2\tx\n3\t4\ty\n", "table.tsv"))
    assert tabs.X.tolist() == [[1.5, 2], [3, 4]]
    with pytest.raises(ValueError, match="columns separated by tabs"):
        load(write("a,b\n1,2\n", "commas.tsv"))


def test_windows_line_ends_a_byte_order_mark_and_blank_lines_change_nothing(write):
    plain = read_csv(write("a,b,kind\n1,2,x\n3,4,y\n", "plain.csv"))
    windows = read_csv(write(b'\xef\xbb\xbfa,b,kind\r\n1, 2, "x"\r\n\r\n3,4,y \r\n', "windows.csv"))
    assert windows.X.tolist() == plain.X.tolist() == [[1, 2], [3, 4]]
    assert windows.classes == plain.classes == ("x", "y")


def test_a_first_line_with_a_number_in_it_is_no_header(write):
    assert len(read_csv(write("1,2,x\n3,4,y\n"))) == 2


def test_a_byte_order_mark_does_not_make_a_header_of_a_first_line_of_numbers(write):
    assert read_csv(write(b"\xef\xbb\xbf1,0\n2,1\n3,1\n")).X.tolist() == [[1], [2], [3]]


def test_a_target_column_is_found_by_name_wherever_it_stands(write):
    dataset = read_csv(write("a,kind,b\n1,x,2\n3,y,4\n"), target="kind")
    assert dataset.X.tolist() == [[1, 2], [3, 4]]
    assert dataset.classes == ("x", "y")


@pytest.mark.parametrize(
    ("targets", "task"),
    [
        ("0 1 2 0", "classification"),
        ("0.0 1.0 1.0 0.0", "classification"),  # as np.savetxt writes labels
        ("0.5 1 1 0", "regression"),
        ("3 5 7 9", "regression"),  # each once
        (" ".join(map(str, [*range(20), 0])), "classification"),
        (" ".join(map(str, [*range(21), 0])), "regression"),  # more than 20 of them
    ],
)
def test_repeated_whole_numbers_are_labels_and_other_numbers_targets(write, targets, task):
    path = write("".join(f"1,{target}\n" for target in targets.split()))
    dataset = read_csv(path)
    assert dataset.task == task
    assert dataset.y.ravel().tolist() == [float(target) for target in targets.split()]


def test_the_task_overrides_the_rule(write):
    assert read_csv(write("1,0\n2,1\n3,1\n"), task="regression").y.tolist() == [[0], [1], [1]]
    assert read_csv(write("1,0\n2,1\n"), task="classification").y.tolist() == [0, 1]
    assert read_csv(write("1,3a\n2,4\n"), task="classification").classes == ("3a", "4")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is empty; it must hold a line an example"),
        ("\n\n", "is empty"),
        ("a,b,y\n", "has a header and no examples"),
        ("1;2;0\n3;4;1\n", "in columns separated by commas; its first line is one column: '1;2;0'"),
        ("a,b,y\n1,2,0\n\n1,2\n", "line 4: expected 3 columns, as in the first line; got 2"),
        ("1,2,0\n1,2,0,5\n", "line 2: expected 3 columns, as in the first line; got 4"),
        ("a,b,y\n1,2,0\n1,tall,0\n", r"line 3, column 2 \(b\): expected a number; got 'tall'"),
        ("1,2,0\n1,tall,0\n", "line 2, column 2: expected a number; got 'tall'"),
        ("a,b,y\n1,,0\n", r"line 2, column 2 \(b\): expected a number; the cell is empty"),
        ("a,b,y\n1,2,0\n1,nan,0\n", r"line 3, column 2 \(b\): expected a finite number .* got nan"),
        ("1,2,0\n-inf,2,0\n", "line 2, column 1: expected a finite number .* got -inf"),
        ("1,2,0\n1e39,2,0\n", r"line 2, column 1: expected a finite number within float32's 3.4e38; got 1e\+39"),
        ("a,y\n1,0\n1,NaN\n", r"line 3, column 2 \(y\): expected a finite number .* got nan"),
        ("a,y\n1,0\n1,\n", r"line 3, column 2 \(y\): expected a label or target; the cell is empty"),
        ("1,0\n1,one\n", "line 2, column 2: expected all numbers or all text; got 'one' here and '0' in line 1"),
        ("1,0\n2,2\n3,2\n", r"y must hold every label of 0..C-1; got 0, 2\. Number the classes"),
        ("1,1\n2,2\n3,2\n", r"y must hold every label of 0..C-1; got 1, 2\."),
        ("1,a\n2,a\n", "at least 2 classes; every label is a"),
        ('1,"a\n2,b\n', "line 2: unexpected end of data"),
        (b"\xff\xfe1\x00,\x002\x00", "must be UTF-8 text"),
        (",a,y\n0,1,0\n1,1,1\n", "column 1 has no name in the header.*index=False"),
    ],
)
def test_a_csv_that_is_no_dataset_is_refused_in_one_line_with_file_line_and_column(write, content, message):
    path = write(content)
    with pytest.raises(ValueError, match=message) as caught:
        load(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_line_numbers_are_those_of_the_file_when_quoted_cells_span_lines(write):
    with pytest.raises(ValueError, match="line 4, column 1: expected a number; got 'x'"):
        read_csv(write('1,"two\nlines"\n2,b\nx,c\n'))


def test_columns_are_counted_as_in_the_file_when_the_target_stands_first(write):
    with pytest.raises(ValueError, match=r"line 2, column 2 \(a\): expected a number; got 'x'"):
        read_csv(write("kind,a\nfern,x\n"), target="kind")
    with pytest.raises(ValueError, match=r"line 2, column 2 \(a\): expected a finite"):
        read_csv(write("kind,a\nfern,nan\n"), target="kind")


def test_text_among_the_targets_of_a_regression_is_refused(write):
    with pytest.raises(ValueError, match="line 2, column 2: expected a number; got 'b'"):
        read_csv(write("1,2\n1,b\n"), task="regression")


def test_a_target_that_is_not_in_the_header_is_refused_with_those_that_are(write):
    with pytest.raises(ValueError, match="got 'kinds', and the header has a, kind"):
        read_csv(write("a,kind\n1,x\n2,y\n"), target="kinds")
    with pytest.raises(ValueError, match="got 'kind', and the file has no header"):
        read_csv(write("1,x\n2,y\n"), target="kind")


def test_an_unknown_task_is_refused(write):
    with pytest.raises(ValueError, match=r"task must be .* got 'ranking'"):
        read_csv(write("1,x\n2,y\n"), task="ranking")


# --- npz


def test_arrays_of_an_npz_file_become_a_dataset(save):
    X = np.random.default_rng(0).standard_normal((4, 3))
    dataset = load(save(X=X, y=np.array([0, 1, 1, 0], np.uint8), classes=["no", "yes"]))
    np.testing.assert_array_equal(dataset.X, X.astype(np.float32))
    assert (dataset.y.tolist(), dataset.y.dtype, dataset.classes) == ([0, 1, 1, 0], np.int64, ("no", "yes"))
    assert load(save(X=X, y=[0.5, 1, 2, 3])).task == "regression"
    assert load(save(X=X, y=list("abca"))).classes == ("a", "b", "c")
    assert load(save(X=X, label=[0, 1, 1, 0]), target="label").num_classes == 2


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"X": X} | rest, message)
        for X, rest, message in [
            (np.ones((3, 2)), {}, "must hold arrays X and y; got X"),
            (np.ones((3, 2)), {"y": [0, 1]}, r"one entry for each of the 3 rows of X; got shape \(2,\)"),
            (np.ones((3, 2)), {"y": [1, 2, 3]}, "every label of 0..C-1; got 1, 2, 3. Number the classes"),
            (np.ones((3, 2)), {"y": [0, -1, 1]}, "every label of 0..C-1; got -1, 0, 1."),
            (np.full((3, 2), np.nan), {"y": [0, 1, 1]}, "X must be finite .* got nan at row 0, column 0"),
            (np.ones((3, 2)), {"y": np.array([0, None, 1])}, "plain arrays; Object arrays cannot be loaded"),
        ]
    ],
)
def test_an_npz_that_is_no_dataset_is_refused_in_one_line(save, arrays, message):
    path = save(**arrays)
    with pytest.raises(ValueError, match=message) as caught:
        load(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_a_damaged_npz_is_refused(save, write):
    whole = save(X=np.random.default_rng(0).standard_normal((500, 2)), y=np.arange(500) % 2).read_bytes()
    with pytest.raises(ValueError, match="is empty; it must hold arrays X and y"):
        read_npz(write("", "empty.npz"))
    with pytest.raises(ValueError, match=r"must be a whole \.npz file; it is something else or cut short"):
        read_npz(write(whole[:4000], "short.npz"))
    with pytest.raises(ValueError, match=r"must be a whole \.npz file of plain arrays; Bad CRC-32"):
        read_npz(write(whole[:4000] + b"!!" + whole[4002:], "changed.npz"))


# --- where files are


def test_a_relative_path_is_looked_for_in_data_dir_and_an_absolute_one_where_it_is(write, tmp_path):
    path = write("1,x\n2,y\n")
    assert len(load("table.csv", data_dir=tmp_path)) == 2
    assert len(load(path, data_dir=tmp_path / "elsewhere")) == 2


def test_a_suffix_counts_in_either_case(write):
    assert len(load(write("1,x\n2,y\n", "TABLE.CSV"))) == 2


def test_a_file_is_cut_to_n_examples(write):
    assert len(load(write("1,x\n2,y\n" * 10), n=4)) == 4


def test_a_missing_file_is_named_with_its_folder(tmp_path):
    for name in ("none.csv", "none.npz"):
        with pytest.raises(FileNotFoundError, match=r"no file .*none"):
            load(name, data_dir=tmp_path)


def test_another_suffix_is_an_unknown_dataset(write):
    with pytest.raises(ValueError, match=r"unknown dataset '.*table.xls'; .* a path that ends in .csv, .tsv, .npz or"):
        load(write("1,2\n", "table.xls"))
