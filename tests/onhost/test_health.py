"""Health: what was changed is asked whether it is well, until it is or its time is over, and nothing else is."""

import http.server
import os
import socket
import threading
import time
import unittest

from executor_case import ExecutorCase

from statectl.onhost import health
from statectl.onhost.failure import Failed
from statectl.onhost.host import Host


class Answers(http.server.BaseHTTPRequestHandler):
    status = 200
    asked = 0

    def do_GET(self):
        type(self).asked += 1
        self.send_response(self.status if self.path == "/healthz?deep=1" else 404)
        self.end_headers()

    def log_message(self, *_):
        pass


def never():
    return ""


class Check(unittest.TestCase):
    def wait(self, kind, *what, host=None, **fields):
        """-> '' or why it is not well."""
        check = dict({"kind": kind, "what": list(what), "expect": 200, "within_s": 0.2}, **fields)
        try:
            return health.wait(host or Host(), check, never)
        except Failed as error:
            return error.message

    def beside(self, work, stop):
        """Run it in a thread that is gone when the test is over: a signal of another test must not find it."""
        thread = threading.Thread(target=work)
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(stop)

    def test_a_port(self):
        """A port that listens is well, with and without a host in front of it; one that does not is told with the system's word."""
        listening = socket.socket()
        self.addCleanup(listening.close)
        listening.bind(("127.0.0.1", 0))
        listening.listen(5)
        port = listening.getsockname()[1]
        assert self.wait("tcp", str(port)) == ""
        assert self.wait("tcp", f"localhost:{port}") == ""
        listening.close()
        assert f"no connection to {port}: connection refused" in self.wait("tcp", str(port))

    def test_a_url(self):
        """The status decides, path and query are asked for, and what is no HTTP is told as that."""
        answers = type("Page", (Answers,), {})
        server = http.server.HTTPServer(("127.0.0.1", 0), answers)
        self.addCleanup(server.server_close)
        self.beside(server.serve_forever, server.shutdown)
        url = f"http://127.0.0.1:{server.server_port}/healthz?deep=1"
        assert self.wait("http", url) == ""
        answers.status = 503
        assert "answers 503, expected 200" in self.wait("http", url)
        assert self.wait("http", url, expect=503) == ""
        answers.status = 200
        assert "answers 404" in self.wait("http", url.replace("deep", "other"))

    def test_what_speaks_no_http(self):
        """A server of something else is not well, and costs no more than the time of the check."""
        listening = socket.socket()
        self.addCleanup(listening.close)
        listening.bind(("127.0.0.1", 0))
        listening.listen(5)

        def greet():
            while True:
                try:
                    client = listening.accept()[0]
                except OSError:
                    return
                client.sendall(b"220 mail ready\r\n\r\n")
                client.close()

        self.beside(greet, lambda: listening.shutdown(socket.SHUT_RDWR))
        said = self.wait("http", f"http://127.0.0.1:{listening.getsockname()[1]}/")
        assert "does not answer as HTTP" in said, said

    def test_a_command(self):
        """Exit 0 is well; anything else is told by its code, a command that hangs by its time."""
        assert self.wait("command", "true") == ""
        assert "exited with 3" in self.wait("command", "sh", "-c", "exit 3")
        assert "command not found" in self.wait("command", "no-such-command")
        started = time.monotonic()
        assert "did not end in time" in self.wait("command", "sleep", "60")
        assert time.monotonic() - started < 10

    def test_no_command_where_only_paths_are_allowed(self):
        """limits.paths means that nothing but paths is touched, and a health check is no way around it."""
        host = Host(limits={"paths": ["/srv"]})
        assert "limits.paths" in self.wait("command", "true", host=host)

    def test_it_is_tried_again(self):
        """A service that needs a moment is well once it answers."""
        marker = os.path.join("/tmp", f"statectl-health-{os.getpid()}")
        timer = threading.Timer(0.7, lambda: os.mkdir(marker))
        timer.start()
        try:
            assert self.wait("command", "test", "-d", marker, within_s=10) == ""
        finally:
            timer.join()
            os.rmdir(marker)

    def test_who_is_told_to_stop_tries_once_more_and_stops(self):
        """Cancelled: what is well already still counts as well, and what is not is not waited for."""
        check = {"kind": "tcp", "what": ["1"], "within_s": 60}
        started = time.monotonic()
        assert health.wait(Host(), check, lambda: "cancelled by the controller") == "cancelled by the controller"
        assert time.monotonic() - started < 5
        with socket.socket() as listening:
            listening.bind(("127.0.0.1", 0))
            listening.listen(5)
            well = dict(check, what=[str(listening.getsockname()[1])])
            assert health.wait(Host(), well, lambda: "cancelled by the controller") == ""


class InAnApply(ExecutorCase):
    def check(self, *argv, **fields):
        return dict({"kind": "command", "what": list(argv), "expect": 200, "within_s": 0.2}, **fields)

    def site(self, web="one\n", other="one\n", well=("true",)):
        associations = [{"name": "web", "health": self.check(*well)}, {"name": "other"}]
        return self.apply(
            self.file("web", web, notify=[f"daemon:{self.at('daemon')}"]),
            self.daemon(),
            self.file("other", other, association="other"),
            associations=associations,
        )

    def checks(self):
        return [one for one in self.notified if one["verb"] == "check"]

    def test_asked_after_the_restart_and_only_where_something_changed(self):
        """The check sees the restarted service; without a change of its own association it is not made at all."""
        self.site()
        seen = os.path.join(self.machine, "daemon.log")
        self.site(web="two\n", well=("test", "-e", seen))
        (told,) = self.checks()
        assert (told["address"], told["outcome"]) == ("health:web", "ok")
        assert self.ended["outcome"] == "applied"
        self.site(web="two\n", other="two\n", well=("false",))
        assert self.checks() == []
        assert self.ended["outcome"] == "applied"

    def test_a_host_that_is_not_well_has_failed(self):
        """The change stays, and the outcome says what is wrong; a second apply that changes nothing does not ask."""
        self.site(well=("sh", "-c", "echo no database; exit 7"))
        (told,) = self.checks()
        assert told["outcome"] == "failed"
        assert "exited with 7" in told["error"]["message"]
        assert "no database" in told["error"]["output"]
        assert self.ended["outcome"] == "failed"
        assert "health of association web: sh exited with 7" in self.ended["reason"]
        assert self.text("web") == "one\n"
        self.site(well=("false",))
        assert self.ended["outcome"] == "applied"

    def test_what_failed_is_not_asked(self):
        """A change that failed is the reason of its host, and nobody waits for a service that cannot be well."""
        odd = self.odd("broken", how="fails", association="web")
        self.apply(self.file("web"), odd, associations=[{"name": "web", "health": self.check("false", within_s=60)}])
        assert self.checks() == []
        assert self.ended["outcome"] == "failed"


class OnItsOwn(ExecutorCase):
    def test_an_order_of_its_own(self):
        """Between two batches hosts are asked again: done when all is well, else failed with the reason."""
        check = {"association": "web", "kind": "command", "expect": 200, "within_s": 0.2}
        for argv, outcome in ((["true"], "done"), (["false"], "failed")):
            controller = self.order("health", checks=[dict(check, what=argv)])
            end = controller.until("end")
            controller.send({"type": "ack", "runs": []})
            controller.wait()
            assert end["outcome"] == outcome, end
        assert "health of association web: false exited with 1" in end["reason"]


if __name__ == "__main__":
    unittest.main()
