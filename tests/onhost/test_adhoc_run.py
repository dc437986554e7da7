"""One command on request: whole output, its exit code, and an end in any case."""

import base64
import os
import time
import unittest

from executor_case import ExecutorCase


class Run(ExecutorCase):
    def ask(self, **command):
        controller = self.order("run", command=command)
        self.end = controller.until("end")
        controller.hang_up()
        controller.wait()
        out = {"out": b"", "err": b""}
        for message in controller.of("output"):
            out[message["stream"]] += base64.b64decode(message["data"])
        return out

    def test_output_and_code(self):
        said = self.ask(argv=["sh", "-c", "echo out; echo err >&2; exit 3"])
        assert (said["out"], said["err"], self.end["counts"]) == (b"out\n", b"err\n", {"code": 3})
        assert self.end["outcome"] == "done"

    def test_nothing_is_truncated(self):
        """Ten megabytes of bytes that are no text arrive as they are."""
        said = self.ask(argv=["sh", "-c", "head -c 10000000 /dev/zero | tr '\\0' '\\377'"])
        assert said["out"] == b"\xff" * 10000000

    def test_a_script_is_in_no_argv_and_cannot_eat_itself(self):
        """What the script runs finds an empty stdin, and ps does not show the script."""
        script = "cat\ntr '\\0' ' ' < /proc/$$/cmdline\necho canary-4711\n"
        said = self.ask(script=script)
        assert said["out"].endswith(b"canary-4711\n")
        assert said["out"].count(b"canary") == 1
        assert os.listdir(os.path.join(self.state, "tmp")) == []

    def test_a_command_that_sleeps_ends_at_its_timeout_with_its_children(self):
        started = time.time()
        self.ask(argv=["sh", "-c", "sleep 60 & sleep 60"], timeout_s=0.5)
        assert time.time() - started < 10
        assert (self.end["outcome"], self.end["counts"]) == ("failed", {})
        assert "did not end within 0.5 s" in self.end["reason"]

    def test_a_signal_is_told_as_shells_do(self):
        self.ask(argv=["sh", "-c", "kill -9 $$"])
        assert self.end["counts"] == {"code": 137}

    def test_what_cannot_start_says_why(self):
        self.ask(argv=["no-such-command"])
        assert self.end["outcome"] == "failed"
        assert "command not found" in self.end["reason"]

    def test_stdin_environment_and_directory(self):
        entry = self.blob("from the channel")
        said = self.ask(argv=["sh", "-c", "cat; echo $WORD; pwd"], stdin=entry, env={"WORD": "w"}, cwd=self.machine)
        assert said["out"].decode() == f"from the channelw\n{self.machine}\n"

    def test_cancel_ends_the_command(self):
        controller = self.order("run", command={"argv": ["sleep", "60"]})
        controller.until("ready")
        controller.send({"type": "cancel"})
        assert controller.until("end")["outcome"] == "stopped"

    def test_a_lost_channel_does_not_lose_the_outcome(self):
        """The command ends, and the next contact is told how."""
        controller = self.order(
            "run", command={"script": "sleep 0.5; echo said; touch {}; exit 4".format(self.at("done"))}
        )
        controller.until("ready")
        controller.hang_up()
        controller.wait()
        assert self.exists("done")
        kept = self.order("facts").until("ready")["memory"]["undelivered"]
        assert (kept[0]["kind"], kept[0]["counts"], kept[0]["output"]) == ("run", {"code": 4}, "said\n")

    def test_limits_hold_for_commands(self):
        self.ask(argv=["true"])
        controller = self.order("run", command={"argv": ["touch", self.at("x")]}, limits={"paths": ["/nowhere"]})
        assert controller.until("end")["outcome"] == "refused"
        assert not self.exists("x")


class Probes(ExecutorCase):
    def test_answers_are_typed_and_failures_have_reasons(self):
        """A failing probe is an answer without a value; it costs the others nothing and never hangs."""

        def probe(name, *argv, **fields):
            return dict({"name": name, "argv": list(argv), "type": "text", "timeout_s": 5}, **fields)

        controller = self.order(
            "facts",
            probes=[
                probe("text", "printf", "a\\n\\n"),
                probe("number", "echo", "12", type="integer"),
                probe("word", "echo", "twelve", type="integer"),
                probe("flag", "echo", "true", type="boolean"),
                probe("there", "test", "-e", "/", type="boolean"),
                probe("gone", "test", "-e", "/no/such", type="boolean"),
                probe("unclear", "sh", "-c", "exit 2", type="boolean"),
                probe("complains", "sh", "-c", "echo no right >&2; exit 1", type="boolean"),
                probe("json", "echo", '{"a": [1]}', type="json"),
                probe("nan", "echo", "NaN", type="json"),
                probe("fails", "sh", "-c", "echo why >&2; exit 1"),
                probe("missing", "no-such-tool"),
                probe("slow", "sleep", "60", timeout_s=0.3),
            ],
        )
        answers = controller.until("ready")["probes"]
        values = {name: answer["value"] for name, answer in answers.items() if answer["ok"]}
        assert values == {
            "text": "a",
            "number": 12,
            "flag": True,
            "there": True,
            "gone": False,
            "json": {"a": [1]},
        }
        reasons = {name: answer["reason"] for name, answer in answers.items() if not answer["ok"]}
        assert "expected a whole number" in reasons["word"]
        assert "why" in reasons["fails"]
        assert "not found" in reasons["missing"]
        assert "0.3 s" in reasons["slow"]
        assert "exited with code 2" in reasons["unclear"]
        assert "no right" in reasons["complains"]
        assert set(reasons) == {"word", "nan", "fails", "missing", "slow", "unclear", "complains"}


if __name__ == "__main__":
    unittest.main()
