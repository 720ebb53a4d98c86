"""
Machines of their own, as far as one computer can be several.

Each has a network namespace with an address, a host name and a ``/tmp`` that no other machine sees; they share the
processors, the clock, the kernel, and one folder, as workers share a file server. What the hub's services offer on its
loopback, a machine finds on its own loopback under the same port: two relays lead there over a virtual cable, and one
of them may delay what the machine sends.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import services as own

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

RELAY = Path(__file__).with_name("relay.py")
ENTER = """
echo "$1" > /proc/sys/kernel/hostname
[ -z "$2" ] || mount --bind "$2" /tmp
shift 2
exec "$@"
"""


@dataclass(frozen=True)
class Machine:
    """
    One machine.

    :param name: Its host name.
    :param namespace: Its network namespace.
    :param hub: The hub's address on the cable between them.
    :param address: Its own.
    :param folder: What it sees as ``/tmp``.
    :param delay: Seconds by which what it sends arrives later.
    """

    name: str
    namespace: str
    hub: str
    address: str
    folder: Path
    delay: float = 0.0

    def command(self, command: Sequence[str]) -> list[str]:
        """
        Return the command line that runs a program on this machine, in the same process.

        :param command: The program and its arguments.
        """
        inside = ["ip", "netns", "exec", self.namespace, "unshare", "--mount", "--uts"]
        folder = str(self.folder) if _tmp_can_be_hidden() else ""
        return [*inside, "sh", "-c", ENTER, "sh", self.name, folder, *command]

    def environment(self, env: dict[str, str]) -> dict[str, str]:
        """
        Return a process's environment on this machine.

        :param env: The same on the hub.
        """
        without = {name: value for name, value in env.items() if name not in ("TMPDIR", "XDG_RUNTIME_DIR")}
        return without | ({} if _tmp_can_be_hidden() else {"TMPDIR": str(self.folder)})


@contextlib.contextmanager
def machines(services: own.Services, count: int, ports: list[int], delay: float) -> Iterator[list[Machine]]:
    """
    Make machines, connect them with the hub, and take them away at the end.

    :param services: Starts the relays.
    :param count: How many.
    :param ports: Ports of the hub's loopback that each finds on its own.
    :param delay: Seconds by which what the first one sends arrives later.
    :raises ScaleOutError: This computer or user cannot have any.
    """
    check()
    made: list[Machine] = []
    try:
        for number in range(1, count + 1):
            net = f"10.{20 + os.getpid() % 200}.{number}"
            machine = Machine(
                name=f"machine-{number}",
                namespace=f"scale-out-{os.getpid()}-{number}",
                hub=f"{net}.1",
                address=f"{net}.2",
                folder=services.folder / "machines" / str(number),
                delay=delay if number == 1 else 0.0,
            )
            made.append(machine)
            _make(machine, number)
            for name, listen, target, seconds, where in (
                (f"hub-{number}", machine.hub, "127.0.0.1", 0.0, None),
                (cable(machine), "127.0.0.1", machine.hub, machine.delay, machine),
            ):
                command = [sys.executable, str(RELAY), listen, target, str(seconds), *map(str, ports)]
                services.start(name, command, env={"PATH": os.environ["PATH"]}, machine=where)
        for machine in made:
            services.wait(
                lambda machine=machine: _reaches(machine, ports[0]), f"{machine.name} is connected", 30
            )
        yield made
    finally:
        for machine in made:
            subprocess.run(["ip", "netns", "del", machine.namespace], capture_output=True, check=False)


def cable(machine: Machine) -> str:
    """Return the name of the relay that runs on a machine."""
    return f"{machine.name}-relay"


def _make(machine: Machine, number: int) -> None:
    machine.folder.mkdir(parents=True)
    machine.folder.chmod(0o1777)
    here, there = f"so{os.getpid()}h{number}", f"so{os.getpid()}m{number}"
    inside = f"ip -n {machine.namespace}"
    for command in (
        f"ip netns add {machine.namespace}",
        f"ip link add {here} type veth peer name {there} netns {machine.namespace}",
        f"ip addr add {machine.hub}/30 dev {here}",
        f"ip link set {here} up",
        f"{inside} addr add {machine.address}/30 dev {there}",
        f"{inside} link set {there} up",
        f"{inside} link set lo up",
    ):
        done = subprocess.run(command.split(), capture_output=True, text=True, check=False)
        if done.returncode:
            raise own.ScaleOutError(
                f"{command}: {done.stderr.strip() or 'failed'}. Machines want a Linux kernel with veth"
            )


def _reaches(machine: Machine, port: int) -> bool:
    """Say whether a machine reaches a port of the hub: the connection stays open for a moment."""
    code = (
        "import socket, sys; s = socket.create_connection(('127.0.0.1', int(sys.argv[1])), 5); s.settimeout(1.0)\n"
        "try: sys.exit(not s.recv(1))\nexcept TimeoutError: pass"
    )
    command = machine.command([sys.executable, "-c", code, str(port)])
    return subprocess.run(command, capture_output=True, check=False, timeout=30).returncode == 0


def check() -> None:
    """
    See whether this computer and user can have machines.

    :raises ScaleOutError: They cannot; the text says why.
    """
    missing = [name for name in ("ip", "unshare") if shutil.which(name) is None]
    if missing:
        raise own.ScaleOutError(
            f"{' and '.join(missing)} not found. On Debian and Ubuntu: sudo apt-get install iproute2 util-linux"
        )
    if os.geteuid() != 0:
        raise own.ScaleOutError(
            "Network namespaces want root: run it by sudo; run.py measures one machine with --machines 0"
        )


def _tmp_can_be_hidden() -> bool:
    """Say whether nothing that the programs need lies below ``/tmp``."""
    needed = (own.ROOT, Path(sys.prefix), Path(sys.base_prefix))
    return not any(path.resolve().is_relative_to("/tmp") for path in needed)
