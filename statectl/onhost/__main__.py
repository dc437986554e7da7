"""Entry of the executor: protect the channel, then serve it.

Reached in three ways: from the bootstrap stub; as `python3 onhost.pyz < order.json` by hand, which takes JSON objects
one after the other on stdin and prints one JSON object a line; and through `main` by tests. Parses on Python 2.7, so that
by hand, too, an old interpreter is refused in words.
"""

import os
import sys

EXIT_REFUSED = 3


def main(stdin_fd, stdout_fd, buffered=b""):
    # type: (int, int, bytes) -> None
    """Serve one controller on two descriptors, then return. `buffered`: bytes of frames that were read already.

    No command may write into the protocol or read from it: both ends move to private descriptors first, and 0 and 1
    become /dev/null. 2 stays: what a crash prints there is what the controller shows when no `end` came.
    """
    import resource
    import signal

    from statectl.onhost import runner

    # secrets will be in our memory: a crash must not leave them in a file
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))

    receive_fd, send_fd = _private(stdin_fd), _private(stdout_fd)
    null = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1):
        os.dup2(null, fd)
    os.close(null)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # the controller going away ends nothing in the middle
    os.umask(0o077)
    runner.serve(receive_fd, send_fd, buffered)


def _private(fd):
    # type: (int) -> int
    import fcntl

    return fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 3)


def by_hand():
    # type: () -> int
    """JSON objects on stdin, answers as JSON lines on stdout -> exit code."""
    import json

    from statectl.onhost import protocol

    text = sys.stdin.buffer.read().decode("utf-8", "surrogateescape")
    decoder, orders, at = json.JSONDecoder(), b"", 0
    try:
        while text[at:].strip():
            at += len(text[at:]) - len(text[at:].lstrip())
            message, at = decoder.raw_decode(text, at)
            orders += protocol.encode(message)
    except ValueError as error:
        sys.stderr.write("statectl: stdin is not JSON: %s\n" % error)
        return EXIT_REFUSED
    if not orders:
        sys.stderr.write("statectl: no order on stdin; give one as a JSON object\n")
        return EXIT_REFUSED
    read_end, write_end = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(read_end)
        null = os.open(os.devnull, os.O_RDONLY)
        code = 1
        try:
            main(null, write_end, orders)
            code = 0
        except BaseException:  # noqa: BLE001  the traceback is the answer, and this child must not run on
            sys.excepthook(*sys.exc_info())
        os._exit(code)
    os.close(write_end)
    frames = protocol.Decoder()
    while True:
        data = os.read(read_end, 65536)
        if not data:
            break
        for _, payload in frames.feed(data):
            sys.stdout.write(payload.decode("ascii") + "\n")
            sys.stdout.flush()
    return 1 if os.waitpid(pid, 0)[1] else 0


def start():
    # type: () -> None
    refusal = ""
    if sys.version_info < (3, 6):
        refusal = "%s is Python %d.%d; statectl needs 3.6 or later" % (
            sys.executable,
            sys.version_info[0],
            sys.version_info[1],
        )
    else:
        try:
            import json  # noqa: F401
        except ImportError:
            refusal = "%s lacks its standard library; install python3, not only python3-minimal" % sys.executable
    if refusal:
        sys.stdout.write('{"type": "end", "outcome": "refused", "reason": "%s"}\n' % refusal)
        sys.exit(EXIT_REFUSED)
    sys.exit(by_hand())


if __name__ == "__main__":
    start()
