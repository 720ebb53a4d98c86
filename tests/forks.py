"""
Processes that begin with their imports done: one process imports once, and forks for each that a test starts.

A fresh Python spends two seconds of CPU on the import of Airflow, and a third of a second on that of a command. A fork
is a process of its own all the same: it has its own environment, folder, files, locks and exit status, and can be
killed.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import pickle
import runpy
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path

ROOT = Path(__file__).parents[1]
PREPARED = set()
"""What has been called in the process that forks."""


class Forks:
    """
    What starts the processes; at its end those that still run are killed.

    :param imports: The modules that all of them begin with. The module of a function comes to them when the function
        is first started.
    """

    def __init__(self, *imports):
        self._socket, theirs = socket.socketpair()
        with theirs:
            number = theirs.fileno()
            command = [sys.executable, "-m", "tests.forks", str(number), *imports]
            self._server = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, pass_fds=[number])
        self._answers = self._socket.makefile("rb")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._answers.close()
        self._socket.close()
        self._server.wait(60)

    def start(self, function, *arguments, files=(None, None, None), env=None, cwd=None):
        """
        Call a function in a process.

        :param function: A function of a module.
        :param arguments: What it is given; they are pickled.
        :param files: Its input, output and errors, as files or their numbers; this process's by default, and nothing
            as the input.
        :param env: Its variables; this process's by default.
        :param cwd: Its folder; this process's by default.
        """
        work = function.__module__, function.__qualname__, pickle.dumps(arguments)
        env = dict(os.environ if env is None else env)
        with Path(os.devnull).open() as nothing:
            numbers = [
                own if file is None else file if isinstance(file, int) else file.fileno()
                for file, own in zip(files, (nothing.fileno(), 1, 2), strict=True)
            ]
            return Fork(self, self.order("start", work, env, str(cwd or Path.cwd()), numbers=numbers))

    def prepare(self, function):
        """Call a function, once, in the process that all those that are started later are forks of."""
        self.order("prepare", function.__module__, function.__qualname__)

    def run(self, function, *arguments, **options):
        """Call a function in a process as :meth:`start` does; return how it has ended and what it has printed."""
        with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
            fork = self.start(function, *arguments, files=(None, output, errors), **options)
            fork.wait()
            for file in (output, errors):
                file.seek(0)
            return subprocess.CompletedProcess(arguments, fork.returncode, output.read(), errors.read())

    def start_piped(self, function, *arguments, stdin=None, **options):
        """Call a function in a process as :meth:`start` does; what it prints is read from the process."""
        ours, theirs = zip(os.pipe(), os.pipe(), strict=True)
        fork = self.start(function, *arguments, files=(stdin, *theirs), **options)
        for number in theirs:
            os.close(number)
        fork.stdout, fork.stderr = (os.fdopen(number) for number in ours)
        return fork

    def order(self, *order, numbers=()):
        """Have something done, and return what came of it."""
        socket.send_fds(self._socket, [b"."], numbers)
        self._socket.sendall(pickle.dumps(order))
        return pickle.load(self._answers)


class Fork:
    """A process, with what the tests need of ``subprocess.Popen``."""

    def __init__(self, forks, pid):
        self._forks = forks
        self.pid = pid
        self.returncode = self.stdout = self.stderr = None

    def poll(self):
        """Return how it has ended, if it has."""
        if self.returncode is None:
            self.returncode = self._forks.order("poll", self.pid)
        return self.returncode

    def wait(self, timeout=240):
        """Return how it ends."""
        until = time.monotonic() + timeout
        while self.poll() is None:
            if time.monotonic() > until:
                raise subprocess.TimeoutExpired("a forked process", timeout)
            time.sleep(0.05)
        return self.returncode

    def communicate(self, timeout=240):
        """Wait for its end, and return what it has printed, which has to fit into a pipe."""
        self.wait(timeout)
        with self.stdout, self.stderr:
            return self.stdout.read(), self.stderr.read()

    def send_signal(self, number):
        """Send it a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self):
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self):
        """End it at once."""
        self.send_signal(signal.SIGKILL)


def run_module(name, *arguments):
    """Be ``python -m NAME ARGUMENTS``."""
    sys.argv = [name, *map(str, arguments)]
    runpy.run_module(name, run_name="__main__", alter_sys=True)


def serve(orders):
    """Do what is ordered until nobody orders any more, and kill what runs then."""
    running = set()
    do = {"start": start, "poll": poll, "prepare": prepare}
    with orders.makefile("rb") as lines:
        while True:
            byte, numbers, *_ = socket.recv_fds(orders, 1, 3)
            if not byte:
                break
            what, *order = pickle.load(lines)
            orders.sendall(pickle.dumps(do[what](running, *order, *([numbers] if numbers else []))))
    for pid in running:
        os.killpg(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def load(module):
    """Import a module for all forks."""
    if module not in sys.modules:
        importlib.import_module(module)
        gc.freeze()
    return sys.modules[module]


def prepare(_, module, name):
    """Call a function, unless it has been."""
    if (module, name) not in PREPARED:
        PREPARED.add((module, name))
        getattr(load(module), name)()
        gc.freeze()


def start(running, work, env, cwd, numbers):
    """Import the module of the work, so that the next process has it too, and fork."""
    load(work[0])
    pid = os.fork()
    if pid == 0:
        end_with(become, numbers, work, env, cwd)
    running.add(pid)
    for number in numbers:
        os.close(number)
    return pid


def poll(running, pid):
    """Return how a process has ended, as ``subprocess`` says it, if it has."""
    ended, status = os.waitpid(pid, os.WNOHANG)
    if not ended:
        return None
    running.remove(pid)
    return os.waitstatus_to_exitcode(status)


def become(numbers, work, env, cwd):
    """Be the process that was ordered, from now on."""
    os.setsid()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for here, there in enumerate(numbers):
        os.dup2(there, here)
    # Those of before may have been opened for another kind of file: a terminal gets each line at once.
    sys.stdin, sys.stdout = open(0), open(1, "w")  # noqa: SIM115
    sys.stderr = open(2, "w", buffering=1)  # noqa: SIM115
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    sys.path[:0] = filter(None, env.get("PYTHONPATH", "").split(os.pathsep))
    tempfile.tempdir = None
    gc.enable()
    module, name, arguments = work
    getattr(sys.modules[module], name)(*pickle.loads(arguments))


def end_with(function, *arguments):
    """Call a function, and end this process with the exit code that Python would give; nothing is cleaned up."""
    code = 1
    try:
        function(*arguments)
        code = 0
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
        if isinstance(ended.code, str):
            print(ended.code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
    finally:
        for file in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError):
                file.flush()
        os._exit(code)


if __name__ == "__main__":
    gc.disable()
    for module in sys.argv[2:]:
        load(module)
    serve(socket.socket(fileno=int(sys.argv[1])))
