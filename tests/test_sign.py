import json
import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from stac import sign
from stac.errors import ReadError
from stac.retry import Retry
from stac.sign import forget_tokens, sign_href

BLOB = "https://acc.blob.core.windows.net/box/a/b.tif"
QUICK = Retry(tries=1, backoff=0, timeout=5)


class Tokens(BaseHTTPRequestHandler):
    """A token service: numbered tokens that live as long as the server says."""

    def do_GET(self):
        self.server.asked.append((self.path, self.headers.get("Ocp-Apim-Subscription-Key")))
        end = datetime.now(UTC) + self.server.life
        answer = {"msft:expiry": f"{end:%Y-%m-%dT%H:%M:%SZ}", "token": f"st=1&se=2&sig=secret{len(self.server.asked)}"}
        body = json.dumps(answer if self.server.status == 200 else {}).encode()
        self.send_response(self.server.status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


@pytest.fixture
def service(monkeypatch):
    with ThreadingHTTPServer(("127.0.0.1", 0), Tokens) as server:
        server.asked, server.life, server.status = [], timedelta(minutes=45), 200
        monkeypatch.setenv("PC_SDK_SAS_URL", f"http://127.0.0.1:{server.server_port}/token")
        monkeypatch.delenv("PC_SDK_SUBSCRIPTION_KEY", raising=False)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        forget_tokens(timedelta(0))
        yield server
        server.shutdown()
    forget_tokens(timedelta(0))


@pytest.mark.parametrize(
    "href",
    [
        "/data/a.tif",
        "s3://eodata/a.jp2",
        "https://sentinel-cogs.s3.us-west-2.amazonaws.com/a.tif",
        "https://blob.core.windows.net.evil.org/box/a.tif",
        "https://ai4edatasetspublicassets.blob.core.windows.net/assets/a.png",
    ],
)
def test_other_addresses_are_left_alone(href, service):
    assert sign_href(href) == href
    assert service.asked == []


def test_one_token_serves_a_container(service):
    assert sign_href(BLOB) == f"{BLOB}?st=1&se=2&sig=secret1"
    assert sign_href(BLOB.replace("b.tif", "c.tif")).endswith("c.tif?st=1&se=2&sig=secret1")
    assert sign_href(BLOB.replace("/box/", "/other/")).endswith("secret2")
    assert [path for path, _ in service.asked] == ["/token/acc/box", "/token/acc/other"]


def test_a_token_near_its_end_is_replaced(service):
    service.life = sign.MARGIN - timedelta(seconds=30)
    assert sign_href(BLOB).endswith("secret1")
    service.life = timedelta(minutes=45)
    assert sign_href(BLOB).endswith("secret2")
    assert sign_href(BLOB).endswith("secret2")


def test_a_signed_address_is_signed_anew_and_keeps_its_own_query(service):
    old = f"{BLOB}?version=3&st=0&se=0&sig=old"
    assert sign_href(old) == f"{BLOB}?version=3&st=1&se=2&sig=secret1"


def test_threads_share_one_token(service):
    with ThreadPoolExecutor(8) as pool:
        signed = set(pool.map(sign_href, [BLOB] * 32))
    assert len(signed) == len(service.asked) == 1


def test_the_subscription_key_is_sent(service, monkeypatch):
    monkeypatch.setenv("PC_SDK_SUBSCRIPTION_KEY", "mine")
    sign_href(BLOB)
    assert service.asked[0][1] == "mine"


@pytest.mark.parametrize("status", [503, 403, 204])
def test_no_token_is_one_sentence_and_an_oserror(service, status):
    service.status = status
    with pytest.raises(ReadError, match="try again in some minutes") as caught:
        sign_href(BLOB, QUICK)
    assert isinstance(caught.value, OSError)  # what a reader takes as a reason to try again
    assert "acc/box" in str(caught.value)


def test_secrets_reach_no_log(service, caplog, monkeypatch):
    monkeypatch.setenv("PC_SDK_SUBSCRIPTION_KEY", "secretkey")
    with caplog.at_level(logging.DEBUG):
        sign_href(f"{BLOB}?sig=oldsecret")
        service.status = 503
        with pytest.raises(ReadError) as caught:
            sign_href("https://acc.blob.core.windows.net/third/x.tif?sig=oldsecret", QUICK)
    assert "secret" not in caplog.text + str(caught.value)


def test_a_refused_token_is_replaced_unless_it_is_young(service):
    sign_href(BLOB)
    forget_tokens()
    assert sign_href(BLOB).endswith("secret1")
    forget_tokens(timedelta(0))
    assert sign_href(BLOB).endswith("secret2")
