"""A Host whose commands are answered by the test: recorded outputs, or a function that changes the temp root as the tool would."""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))

from statectl.onhost import process
from statectl.onhost.host import Host
from statectl.onhost.process import Ran


class RecordedHost(Host):
    """`answers`: list of (words that the argv must start with, answer); the first that fits counts.

    An answer is text (the output of a success), a Ran, an exception to raise, or a function of (argv, input text) giving one of these.
    `ran`: every argv so far; `inputs`: what each got on stdin.
    """

    def __init__(self, root, facts=None):
        Host.__init__(self, facts=facts, root=root)
        self.answers = []
        self.ran = []
        self.inputs = []
        self.users = []

    def answer(self, words, answer=""):
        self.answers.insert(0, (words.split(), answer))

    def run(self, argv, timeout=300, input=b"", env=None, cwd=None, user=None, check=True, **more):  # noqa: A002
        argv = list(argv)
        self.ran.append(argv)
        self.inputs.append(bytes(input).decode("utf-8"))
        self.users.append(user)
        answer = self._answer(argv)
        if callable(answer):
            answer = answer(argv, self.inputs[-1])
        if isinstance(answer, Exception):
            raise answer
        ran = answer if isinstance(answer, Ran) else Ran(0, answer or "", "")
        if check and ran.code != 0:
            raise process.failure(argv, ran, timeout)
        return ran

    def _answer(self, argv):
        for words, answer in self.answers:
            if argv[: len(words)] == words:
                return answer
        raise AssertionError("no answer recorded for " + " ".join(argv))

    def which(self, name):
        return "/usr/bin/" + name
