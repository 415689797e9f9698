import itertools
import re

import numpy as np
import pytest

from data import Text, load, read_text, split, toy_text


def test_encoding_and_decoding_are_inverse():
    text = Text("to be, or not\nto be: ä€")
    assert text.vocabulary == tuple(sorted(set("to be, or not\nto be: ä€")))
    assert text.decode(text.tokens) == "to be, or not\nto be: ä€"
    assert text.encode("bet").tolist() == [text.vocabulary.index(character) for character in "bet"]
    assert text.tokens.dtype == text.encode("").dtype == np.int64
    assert text.decode([]) == ""


def test_a_vocabulary_can_be_given():
    assert Text("abba", ["b", "a", "c"]).tokens.tolist() == [1, 0, 0, 1]


@pytest.mark.parametrize(
    ("use", "message"),
    [
        (lambda: Text("abc").encode("cad"), "text must hold characters of the vocabulary of 3; got 'd' at 2"),
        (lambda: Text("abc", "ab"), "text must hold characters of the vocabulary of 2; got 'c' at 2"),
        (lambda: Text(""), "text must hold at least one character; it is empty"),
        (lambda: Text(b"abc"), "text must be a str; got bytes. Decode bytes, join lists"),
        (lambda: Text("ab", ["a", "b", "a"]), "vocabulary must hold single characters, each once"),
        (lambda: Text("ab", ["ab"]), "vocabulary must hold single characters, each once"),
        (lambda: Text("abc").decode([0, 3]), r"tokens must be 0\.\.2, for the vocabulary of 3; got 0\.\.3"),
        (lambda: Text("abc").decode([-1]), r"tokens must be 0\.\.2, for the vocabulary of 3; got -1\.\.-1"),
        (lambda: Text("abc").decode([[0]]), r"tokens must be whole numbers of shape \(n,\); got int64 \(1, 1\)"),
        (lambda: Text("abc").decode([0.0]), r"tokens must be whole numbers of shape \(n,\); got float64 \(1,\)"),
        (lambda: Text("abc").windows(3), "length must be less than the 3 characters of the text; got 3"),
        (lambda: Text("abc").windows(0), "length must be a whole number of at least 1; got 0"),
        (lambda: Text("abc").windows(1, stride=0), "stride must be a whole number of at least 1; got 0"),
        (lambda: Text("abc").cut(0), "val must be a fraction in .0, 1. that leaves two texts; got 0 of 3"),
        (lambda: Text("abc").cut(0.01), "val must be a fraction in .0, 1. that leaves two texts; got 0.01 of 3"),
        (
            lambda: Text("aaa").as_dataset(2),
            "text must have more than 2 characters, at least 2 of them different; got 3, 1",
        ),
        (
            lambda: Text("abc").as_dataset(3),
            "text must have more than 3 characters, at least 2 of them different; got 3, 3",
        ),
    ],
)
def test_what_cannot_be_is_refused_with_what_is_wrong(use, message):
    with pytest.raises((ValueError, TypeError), match=message):
        use()


@pytest.mark.parametrize(("length", "stride"), [(3, None), (3, 1), (4, 2), (9, None), (2, 5)])
def test_windows_are_stretches_and_the_same_one_character_later(length, stride):
    letters = "abcdefghij"
    x, y = Text(letters).windows(length, stride=stride)
    starts = [start for start in range(0, 10, stride or length) if start + length + 1 <= 10]
    assert [Text(letters).decode(row) for row in x] == [letters[i : i + length] for i in starts]
    assert [Text(letters).decode(row) for row in y] == [letters[i + 1 : i + 1 + length] for i in starts]


def test_a_text_is_cut_in_time_and_both_parts_know_all_characters():
    train, val = Text("abcdefghij").cut(0.3)
    assert (train.decode(train.tokens), val.decode(val.tokens)) == ("abcdefg", "hij")
    assert train.vocabulary == val.vocabulary == tuple("abcdefghij")


def test_the_parts_of_a_text_dataset_are_stretches_of_it():
    dataset = load("text")
    train, val, test = split(dataset, val=0.1, test=0.2)
    assert np.array_equal(np.concatenate([val.X, train.X, test.X]), dataset.X)
    assert np.array_equal(dataset.X[:, 1:], dataset.y[:, :-1])
    assert (dataset.X.dtype, dataset.X.shape[1], dataset.num_classes) == (np.int64, 64, len(dataset.classes))
    assert np.array_equal(load("text", n=10).X, dataset.X[:10])


def test_a_text_file_is_a_dataset_by_its_suffix(tmp_path):
    path = tmp_path / "poem.TXT"
    path.write_bytes(b"\xef\xbb\xbf" + "Größe\r\n".encode() * 20)
    assert read_text(path).vocabulary == tuple(sorted(set("Größe\n")))
    dataset = load("poem.TXT", data_dir=tmp_path)
    assert "".join(dataset.classes[token] for token in dataset.X[0])[:6] == "Größe\n"
    with pytest.raises(ValueError, match=r"target and task are for tables; poem\.TXT knows its own"):
        load("poem.TXT", data_dir=tmp_path, target="x")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty; it must hold text"),
        (b"abc\xff\xfe", "must be UTF-8 text; byte 3 is not"),
        (b"short", "must have more than 64 characters, at least 2 of them different; got 5"),
    ],
)
def test_a_file_that_is_no_text_is_refused_by_name(tmp_path, content, message):
    path = tmp_path / "a.txt"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message) as caught:
        load(path)
    assert str(caught.value).startswith(str(path))


def test_the_toy_text_is_decided_by_its_seed_and_finishes_its_last_line():
    assert toy_text(2000, seed=1) == toy_text(2000, seed=1) != toy_text(2000, seed=2)
    assert 40_000 <= len(toy_text()) < 40_100
    assert toy_text(100).endswith(".\n")


def test_in_the_toy_text_sums_are_right_and_verbs_agree():
    sums = sentences = 0
    for line in toy_text(5000).splitlines():
        if match := re.fullmatch(r"(\d+) \+ (\d+) = (\d+)\.", line):
            assert int(match[1]) + int(match[2]) == int(match[3])
            sums += 1
        else:
            match = re.fullmatch(
                r"(?:The|Every)(?: \w+)?? (\w+?)(s?) (see|follow|find|draw|paint|remember|answer|hear)(s?) .+\.", line
            )
            assert match, line
            assert bool(match[2]) != bool(match[4]), line
            sentences += 1
    assert sums > 10
    assert sentences > 50


def test_a_table_of_pairs_is_far_from_all_there_is_to_know():
    tokens = load("text").X.ravel()
    counts = np.zeros((40, 40))
    for a, b in itertools.pairwise(tokens):
        counts[a, b] += 1
    joint = counts / counts.sum()
    conditional = joint[joint > 0] @ -np.log((joint / joint.sum(axis=1, keepdims=True))[joint > 0])
    assert 1.3 < conditional < 2  # nats a character
