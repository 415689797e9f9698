import hashlib

import pytest

from data import download, download_dataset, download_file

CONTENT = b"pixels" * 500_000  # several blocks


@pytest.fixture
def source(tmp_path):
    """A file on this machine with a URL, as urllib opens it, and its checksums."""
    path = tmp_path / "published" / "images.gz"
    path.parent.mkdir()
    path.write_bytes(CONTENT)
    return path


SHA256 = "sha256:" + hashlib.sha256(CONTENT).hexdigest()
MD5 = "md5:" + hashlib.md5(CONTENT).hexdigest()


@pytest.mark.parametrize("checksum", [SHA256, MD5, SHA256.replace(SHA256[7:], SHA256[7:].upper())])
def test_a_file_with_the_right_checksum_gets_its_name(source, tmp_path, checksum):
    path = tmp_path / "new" / "folder" / "images.gz"
    assert download_file(source.as_uri(), path, checksum) == path
    assert path.read_bytes() == CONTENT
    assert list(path.parent.iterdir()) == [path]


def test_another_file_leaves_what_was_there(source, tmp_path):
    path = tmp_path / "images.gz"
    path.write_bytes(b"old")
    source.write_bytes(CONTENT[:-1])
    with pytest.raises(
        ValueError, match=r"images\.gz must have the md5 \w+; got \w+\. It is cut short or another file"
    ):
        download_file(source.as_uri(), path, MD5)
    assert path.read_bytes() == b"old"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["images.gz", "published"]


def test_a_whole_file_is_not_fetched_again_and_a_damaged_one_is(source, tmp_path):
    path = tmp_path / "images.gz"
    path.write_bytes(CONTENT)
    download_file("file:///nowhere", path, SHA256)
    path.write_bytes(CONTENT[:10])
    download_file(source.as_uri(), path, SHA256)
    assert path.read_bytes() == CONTENT


def test_where_the_network_does_not_allow_it_the_message_says_what_to_put_where(tmp_path):
    path = tmp_path / "mnist" / "images.gz"
    with pytest.raises(OSError, match=r"cannot fetch file:///nowhere/images\.gz: ") as caught:
        download_file("file:///nowhere/images.gz", path, MD5)
    assert str(caught.value).endswith(f"get the file on another machine and put it at {path}")
    assert list(path.parent.iterdir()) == []


@pytest.mark.parametrize("checksum", ["", "md5:", "crc32:00", MD5[4:]])
def test_without_a_checksum_nothing_is_fetched(source, tmp_path, checksum):
    with pytest.raises(ValueError, match=r'checksum must be "sha256:\.\.\." or "md5:\.\.\."; got'):
        download_file(source.as_uri(), tmp_path / "x", checksum)


def test_a_dataset_is_fetched_into_the_folder_of_its_name(source, tmp_path, monkeypatch):
    monkeypatch.setitem(download.SOURCES, "mnist", {source.as_uri(): MD5})
    assert download_dataset("mnist", tmp_path) == tmp_path / "mnist"
    assert (tmp_path / "mnist" / "images.gz").read_bytes() == CONTENT
    with pytest.raises(ValueError, match="name must be one of mnist, fashion_mnist, cifar10; got 'iris'"):
        download_dataset("iris", tmp_path)


def test_every_published_file_has_a_checksum_of_the_right_length():
    for files in download.SOURCES.values():
        for url, checksum in files.items():
            assert url.startswith("http")
            algorithm, _, digits = checksum.partition(":")
            assert len(bytes.fromhex(digits)) == hashlib.new(algorithm).digest_size
