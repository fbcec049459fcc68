"""Processes that are measured: started, asked, looked at through /proc, ended."""

import contextlib
import os
import resource
import signal
import socket
import subprocess
import sys
import time
import zlib
from dataclasses import dataclass
from pathlib import Path

import dns

# No contender may take more than this, nor longer to load: on the processor, and, since other
# things may keep the machine busy, by the clock.
MOST_MEMORY = 10 << 30
MOST_CPU_SECONDS, MOST_SECONDS = 120, 600
HERE = Path(__file__).parent
TICKS = os.sysconf("SC_CLK_TCK")


class DidNotFinish(Exception):
    """A contender that took too long, ended by itself, or answers wrong."""


@dataclass
class Memory:
    """What a process has in memory, in bytes."""

    anonymous: int
    file: int
    peak: int


def fields(path: str, wanted: set[str]) -> dict[str, int]:
    """Lines `Key: 12 kB` of a file under /proc, in bytes."""
    found = dict.fromkeys(wanted, 0)
    for line in Path(path).read_text().splitlines():
        key, _, rest = line.partition(":")
        if key in wanted:
            found[key] += int(rest.split()[0]) * 1024
    return found


def memory(pid: int) -> Memory:
    """What the process has now; file-backed is what is resident and not anonymous."""
    now = fields(f"/proc/{pid}/smaps_rollup", {"Rss", "Anonymous"})
    peak = fields(f"/proc/{pid}/status", {"VmHWM"})["VmHWM"]
    return Memory(now["Anonymous"], now["Rss"] - now["Anonymous"], peak)


def children(pid: int) -> list[int]:
    """The processes it started that still run."""
    lists = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for path in lists for child in path.read_text().split()]


def resident_of_child(pid: int) -> int:
    """What a process has that may end at any moment, in bytes."""
    with contextlib.suppress(OSError):
        return fields(f"/proc/{pid}/status", {"VmRSS"})["VmRSS"]
    return 0


def mapped(pid: int, path: Path) -> int:
    """Resident pages of the mappings of one file, in bytes; of a replaced file too."""
    resident = 0
    counts = False
    for line in Path(f"/proc/{pid}/smaps").read_text().splitlines():
        words = line.split()
        if "-" in words[0] and not words[0].endswith(":"):
            counts = len(words) >= 6 and words[5] == str(path)
        elif counts and words[0] == "Rss:":
            resident += int(words[1]) * 1024
    return resident


def cpu_seconds(pid: int) -> float:
    """User and system time of all its threads."""
    after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(after_name[11]) + int(after_name[12])) / TICKS


def free_port() -> int:
    """A port that nobody has just now, for UDP and TCP."""
    while True:
        with socket.socket(type=socket.SOCK_DGRAM) as udp, socket.socket() as tcp:
            udp.bind(("127.0.0.1", 0))
            port = udp.getsockname()[1]
            with contextlib.suppress(OSError):
                tcp.bind(("127.0.0.1", port))
                return port


@contextlib.contextmanager
def running(command: list[str], log: Path, **options):
    """A process of our own, ended with the block, its output in `log`."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            **{"stdin": subprocess.DEVNULL, "stdout": output, "stderr": output} | options,
        )
        try:
            resource.prlimit(process.pid, resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@contextlib.contextmanager
def stub_upstream(folder: Path, ttl: int = 3600):
    """A stub upstream; gives its port."""
    port = free_port()
    command = [sys.executable, "-B", str(HERE / "stub.py"), str(port), str(ttl)]
    with running(command, folder / "stub.log") as process:
        wait_for_answer(process, port, [("stub.example", "passed")], time.monotonic())
        yield port


def ask(client: socket.socket, name: str, seconds: float) -> str:
    """One question over a connected socket; `silent` when no answer comes."""
    query = dns.question(name, zlib.crc32(name.encode()) & 0xFFFF)
    client.settimeout(seconds)
    try:
        client.send(query)
        while True:
            reply = client.recv(4096)
            if reply[:2] == query[:2]:
                return dns.verdict(reply)
    except (TimeoutError, ConnectionRefusedError):
        return "silent"


def wait_for_answer(
    process: subprocess.Popen, port: int, expected: list[tuple[str, str]], begin: float
) -> float:
    """Seconds from `begin` until every question has its right answer."""
    with socket.socket(type=socket.SOCK_DGRAM) as client:
        client.connect(("127.0.0.1", port))
        while True:
            said = [ask(client, name, 0.25) for name, _ in expected]
            now = time.monotonic()
            if said == [right for _, right in expected]:
                return now - begin
            if process.poll() is not None:
                raise DidNotFinish(f"ended with {process.returncode}")
            if cpu_seconds(process.pid) > MOST_CPU_SECONDS:
                raise DidNotFinish(f"not within {MOST_CPU_SECONDS} s on the processor")
            if now - begin > MOST_SECONDS:
                raise DidNotFinish(f"not within {MOST_SECONDS} s; last {said}")
            time.sleep(0.005)


def wrong_answers(port: int, expected: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Asks one after the other; what was answered otherwise than expected."""
    wrong = []
    with socket.socket(type=socket.SOCK_DGRAM) as client:
        client.connect(("127.0.0.1", port))
        for name, right in expected:
            # One try more: a datagram may be lost.
            said = next((it for it in (ask(client, name, 2) for _ in range(2)) if it != "silent"), "silent")
            if said != right:
                wrong.append((name, said))
    return wrong


@dataclass
class Spent:
    """What a command took until its end."""

    wall: float
    cpu: float
    peak: int
    peak_anonymous: int
    working_files: int


def open_files(pid: int, folder: Path) -> int:
    """What files take that a process has open below a folder, with or without a name, in bytes: holes
    in them take nothing."""
    total = 0
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            if os.readlink(link).startswith(f"{folder}/"):
                total += link.stat().st_blocks * 512
    return total


def run_to_end(command: list[str], log: Path, work: Path) -> Spent:
    """Runs a command and waits for it; its peak is what the kernel counted. Files it has open below
    `work` are measured too: on a router that folder is memory.

    A small interpreter stands between: a child begins with its parent's peak, and ours is large.
    """
    pid_file = log.with_suffix(".pid")
    pid_file.unlink(missing_ok=True)
    between = [sys.executable, "-BSE", str(HERE / "spawn.py"), str(pid_file), *command]
    anonymous = working = 0
    with log.open("wb") as output:
        process = subprocess.Popen(between, stdout=subprocess.PIPE, stderr=output)
        while process.poll() is None:
            with contextlib.suppress(OSError, ValueError):
                pid = int(pid_file.read_text())
                anonymous = max(anonymous, fields(f"/proc/{pid}/status", {"RssAnon"})["RssAnon"])
                working = max(working, open_files(pid, work))
            time.sleep(0.005)
        told = process.communicate()[0].split()
    pid_file.unlink(missing_ok=True)
    if process.returncode != 0:
        raise DidNotFinish(f"{command[0]} ended with {process.returncode}; see {log}")
    return Spent(float(told[0]), float(told[1]), int(told[2]), anonymous, working)
