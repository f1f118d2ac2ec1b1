import json
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from pystac_client.exceptions import APIError

from stac.retry import Retry, RetryIO, _is_cut, bare_url

QUICK = Retry(tries=3, backoff=0, timeout=5)


class Scripted(BaseHTTPRequestHandler):
    """Answers by a script: a status with headers, "drop" for no answer at all, "cut" for half a body, "stall" for one
    that does not end, "short" for half a body whose length is not stated."""

    protocol_version = "HTTP/1.1"

    def _answer(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.asked.append(self.command)
        step = self.server.script.pop(0) if self.server.script else (200, {})
        if step == "drop":
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True
            return
        texts = {
            "cut": (200, {"Content-Length": "1000"}),
            "stall": (200, {"Content-Length": "1000"}),
            "short": (200, {}),
        }
        status, headers = texts[step] if isinstance(step, str) else step
        body = json.dumps({"asked": len(self.server.asked)}).encode()
        self.send_response(status)
        if step == "short":
            self.send_header("Connection", "close")
            body, headers = body[:5], {}
        else:
            headers = {"Content-Length": str(len(body)), **headers}
        for key, value in headers.items():
            self.send_header(key, value)
        self.end_headers()
        self.wfile.write(body)
        if step == "stall":
            self.wfile.flush()
            self.server.over.wait(5)
        self.close_connection = step in ("cut", "stall", "short")

    do_GET = do_POST = _answer

    def log_message(self, *args):
        pass


@pytest.fixture
def server():
    with ThreadingHTTPServer(("127.0.0.1", 0), Scripted) as server:
        server.daemon_threads = True
        server.script, server.asked, server.over = [], [], threading.Event()
        server.url = f"http://127.0.0.1:{server.server_port}/"
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield server
        server.over.set()
        server.shutdown()


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_busy_servers_are_asked_again(server, method, status):
    server.script = [(status, {}), (status, {})]
    text = RetryIO(QUICK).request(server.url, method=method, parameters={})
    assert json.loads(text) == {"asked": 3}
    assert server.asked == [method] * 3


def test_a_search_that_is_forbidden_is_asked_again(server):
    http = RetryIO(QUICK, {"X-Key": "k"}).for_search()
    server.script = [(403, {})]
    assert json.loads(http.request(server.url, method="POST", parameters={})) == {"asked": 2}
    assert http.session.headers["X-Key"] == "k"
    server.script = [(403, {})] * 9
    with pytest.raises(APIError) as caught:
        http.request(server.url, method="POST", parameters={})
    assert http.tries(caught.value) == 1 + QUICK.tries


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("fault", ["drop", "cut"])
def test_dropped_connections_are_asked_again(server, method, fault):
    server.script = [fault, fault]
    assert json.loads(RetryIO(QUICK).request(server.url, method=method, parameters={})) == {"asked": 3}


@pytest.mark.parametrize("fault", ["stall", "short"])
def test_bodies_that_do_not_end_are_asked_for_again(server, fault):
    server.script = [fault]
    patient = Retry(tries=3, backoff=0, timeout=0.3)
    assert json.loads(RetryIO(patient).request(server.url, method="POST", parameters={})) == {"asked": 2}


@pytest.mark.parametrize("text", ['{"a": 1', '{"a": "b', "[1, 2,", '{"a"', "["])
def test_json_that_ends_too_early_is_told_from_other_texts(text):
    assert _is_cut(text)
    for other in ("", "<html>", '{"a": 1}', '{"a": nonsense, "b": 1}', "{'a': 1}", "[1] and more"):
        assert not _is_cut(other)


@pytest.mark.parametrize("fault", ["drop", "cut", (503, {})])
def test_bytes_are_fetched_as_patiently(server, fault):
    server.script = [fault]
    assert json.loads(RetryIO(QUICK).content(server.url)) == {"asked": 2}


@pytest.mark.parametrize("status", [400, 403, 404, 500])
def test_other_statuses_are_final(server, status):
    server.script = [(status, {})]
    for ask in (RetryIO(QUICK).request, RetryIO(QUICK).content):
        server.script, server.asked = [(status, {})], []
        with pytest.raises(APIError) as caught:
            ask(server.url)
        assert caught.value.status_code == status
        assert len(server.asked) == 1


@pytest.mark.parametrize("fault", ["drop", "cut", (503, {})])
def test_patience_ends(server, fault):
    server.script = [fault] * 9
    with pytest.raises(APIError):
        RetryIO(QUICK).request(server.url, method="POST", parameters={})
    assert len(server.asked) == 1 + QUICK.tries


def test_retry_after_is_honoured_up_to_the_longest_wait(server, monkeypatch):
    waits = []
    monkeypatch.setattr("urllib3.util.retry.time.sleep", waits.append)
    server.script = [(503, {"Retry-After": "7"}), (429, {"Retry-After": "3600"})]
    RetryIO(Retry(tries=3, backoff=0, longest_wait=60)).request(server.url, method="POST", parameters={})
    assert waits == [7, 60]


def test_waits_double_and_stay_below_the_longest(monkeypatch):
    waits = []
    monkeypatch.setattr("stac.retry.time.sleep", waits.append)
    for attempt in range(12):
        Retry(backoff=0.5, longest_wait=30).wait(attempt)
    assert all(0.5 * 2**k <= wait <= 0.75 * 2**k for k, wait in enumerate(waits[:5]))
    assert waits[-1] == 30


def test_a_host_that_refuses_is_not_waited_for_long_and_gives_no_warning(monkeypatch, caplog):
    waits = []
    monkeypatch.setattr("urllib3.util.retry.time.sleep", waits.append)
    with caplog.at_level("INFO"), pytest.raises(APIError, match="refused"):
        RetryIO(Retry(tries=9)).request("http://127.0.0.1:9/?token=secret")
    assert 0 < len(waits) < 4
    assert {record.levelname for record in caplog.records} == {"INFO"}
    assert "asking again" in caplog.text
    assert "secret" not in caplog.text


def test_messages_do_not_show_secrets():
    assert bare_url("https://user:word@host.org:8443/a/b?token=x#y") == "https://host.org:8443/a/b"
    assert bare_url("/data/catalog.json") == "/data/catalog.json"
    assert bare_url("https://user:word@[bad/a?token=x") == "https://[bad/a"
