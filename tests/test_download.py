import hashlib
import io
import urllib.error

import pytest

from encoder import download
from stac.errors import WeightsError

CONTENT = b"weights" * 100
HASH = hashlib.sha256(CONTENT).hexdigest()[:8]


@pytest.fixture
def web(tmp_path, monkeypatch):
    """A web that answers CONTENT, and a cache in a temporary folder; returns the addresses asked for."""
    asked = []

    def answer(url, timeout):
        assert 0 < timeout <= 60
        asked.append(url)
        return io.BytesIO(CONTENT)

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(download.urllib.request, "urlopen", answer)
    return asked


def test_a_file_is_fetched_once(web):
    url = f"https://weights.test/resnet-{HASH}.pth"
    path = download.fetch_weights(url)
    assert path.read_bytes() == CONTENT
    assert path.parent == download.cache_folder()
    assert download.fetch_weights(url) == path
    assert web == [url]


def test_a_file_with_another_hash_is_refused_and_not_kept(web):
    with pytest.raises(WeightsError, match="try again"):
        download.fetch_weights("https://weights.test/resnet-00000000.pth")
    assert list(download.cache_folder().iterdir()) == []


@pytest.mark.parametrize("error", [urllib.error.URLError("no route"), TimeoutError("timed out")])
def test_without_a_network_the_sentence_says_what_to_fetch_and_where_to_put_it(web, monkeypatch, error):
    def fail(url, timeout):
        raise error

    monkeypatch.setattr(download.urllib.request, "urlopen", fail)
    with pytest.raises(WeightsError) as caught:
        download.fetch_weights("https://weights.test/resnet-12345678.pth")
    for part in ("https://weights.test/resnet-12345678.pth", str(download.cache_folder()), "'random'"):
        assert part in str(caught.value)
    assert list(download.cache_folder().iterdir()) == []
