"""One server after the other, in turns, so that what else the machine does strikes all alike."""

import atexit
import contextlib
import json
import os
import socket
import subprocess
import threading
import time
from pathlib import Path

import dns
import process
import servers
from data import Data
from servers import Hedgerow, Encrypted, Server, Site, Started

# The server has one processor, what asks it and answers it another.
SERVER_CORE, OTHER_CORE = "0", "1"
# Before others, where that may be: what else runs makes every figure larger, and not equally.
NICE = -10
# Queries on their way: five sockets with this many each. More would not fit into the buffer of a
# socket nobody made larger.
WINDOW = 32
RATE = 10_000
MIXES = ["cached", "blocked", "household", "misses"]
SEED = 20261122
PORTS_ASKED = 2_000
# Seconds of an even rate before a reload, and as many around it: the longest gap grows with the time.
RELOADING = 20
# Of a server that cannot be asked for that.
NO_LISTS = "reads no list anew"
COUNTS = "counts.of.the.stub.invalid"


class Bench:
    """What all measurements share: the tool, the folder, the names asked for."""

    def __init__(self, tool: Path, work: Path, asked: Path, data: Data, seconds: float) -> None:
        self.tool, self.work, self.asked, self.data, self.seconds = tool, work, asked, data, seconds
        self.runs = 0

    @contextlib.contextmanager
    def stub(self):
        """The stub upstream; gives its port."""
        port = process.free_port()
        command = pinned(OTHER_CORE, [str(self.tool), "stub", f"127.0.0.1:{port}"])
        with process.running(command, self.work / "stub.log"):
            while counts(port) is None:
                time.sleep(0.01)
            yield port

    @contextlib.contextmanager
    def serving(self, key: str, server: Server, encrypted: Encrypted | None = None):
        """A server that has given its first right answers."""
        with self.stub() as upstream:
            # What a server keeps is of these lists: an index of others would serve until its own is made.
            folder = self.work / "serve" / self.data.folder.name / key
            folder.mkdir(parents=True, exist_ok=True)
            site = Site(folder, process.free_port(), upstream, self.data, encrypted)
            started = server.configure(site)
            command = pinned(SERVER_CORE, started.command)
            begin = time.monotonic()
            with process.running(command, self.work / f"serve-{key}.log") as it:
                if server.is_echo:
                    time.sleep(0.2)
                    loaded = 0.0
                else:
                    # The port may be taken before lists are there: only right answers count.
                    loaded = self.wait(it, site.port, begin)
                yield Serving(self, server, started, it, site, loaded)

    def wait(self, child: subprocess.Popen, port: int, begin: float) -> float:
        """Seconds until a listed name is blocked and another one is not."""
        listed, unlisted = self.first_names()
        with socket.socket(type=socket.SOCK_DGRAM) as client:
            client.connect(("127.0.0.1", port))
            while True:
                said = [process.ask(client, name, 0.25) for name in (listed, unlisted)]
                now = time.monotonic()
                # The stub has two addresses for each name; some servers hand out one of them.
                if said[0] in ("blocked", "0 answers") and (said[1] == "2 answers" or said[1].startswith("192.0.2.")):
                    return now - begin
                if child.poll() is not None:
                    raise process.DidNotFinish(f"ended with {child.returncode}")
                if process.cpu_seconds(child.pid) > process.MOST_CPU_SECONDS:
                    raise process.DidNotFinish(f"not within {process.MOST_CPU_SECONDS} s on the processor")
                if now - begin > process.MOST_SECONDS:
                    raise process.DidNotFinish(f"not within {process.MOST_SECONDS} s; last {said}")
                time.sleep(0.002)

    def first_names(self) -> tuple[str, str]:
        """A listed name and an unlisted one."""
        found = {}
        with self.asked.open() as lines:
            for line in lines:
                sort, name = line.split()
                found.setdefault(sort, name)
                if len(found) == 2:
                    break
        return found["listed"], found["unlisted"]


class Serving:
    """A server that runs."""

    def __init__(self, bench: Bench, server: Server, started: Started, child, site: Site, loaded: float) -> None:
        self.bench, self.server, self.started, self.child = bench, server, started, child
        self.site, self.loaded = site, loaded

    def load(self, mix: str, **options) -> dict:
        """One run of the load generator."""
        return json.loads(self.start_load(mix, **options).communicate()[0])

    def start_load(self, mix: str, **options) -> subprocess.Popen:
        self.bench.runs += 1
        asked = {
            "server": f"127.0.0.1:{self.site.port}",
            "mix": "echo" if self.server.is_echo else mix,
            "names": self.bench.asked,
            "pids": self.pids(),
            "seconds": self.bench.seconds,
            "window": WINDOW,
            "seed": SEED,
            # New names are new to this server, and the same in every round.
            "fresh": SEED + self.bench.runs,
        }
        words = [word for key, value in (asked | options).items() for word in (f"--{key}", str(value))]
        command = pinned(OTHER_CORE, [str(self.bench.tool), "load", *words])
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    def pids(self) -> str:
        """The processes whose time is the server's."""
        return ",".join(map(str, [self.child.pid, *process.children(self.child.pid)]))

    def ports(self) -> int:
        """From how many ports upstream is asked in 2,000 queries."""
        counts(self.site.upstream)
        self.load("misses", queries=PORTS_ASKED, lead=0, seconds=5)
        time.sleep(0.1)
        _, ports = counts(self.site.upstream)
        return ports

    def memory(self) -> dict:
        now = process.memory(self.child.pid)
        return {"resident": now.anonymous + now.file, "anonymous": now.anonymous, "peak": now.peak}


def pinned(core: str, command: list[str], nice: int = NICE) -> list[str]:
    return ["nice", "-n", str(nice), "taskset", "-c", core, *command]


def come_first() -> None:
    """The same for the session, which the kernel weighs as one where it groups by session; until we end,
    since others may be at home in it."""
    group = Path("/proc/self/autogroup")
    with contextlib.suppress(OSError):
        # `/autogroup-7 nice 0`
        before = group.read_text().split()[-1]
        group.write_text(str(NICE))
        atexit.register(group.write_text, before)


def counts(port: int) -> tuple[int, int] | None:
    """Queries and ports the stub has counted since it was asked last."""
    with socket.socket(type=socket.SOCK_DGRAM) as client:
        client.settimeout(1)
        client.connect(("127.0.0.1", port))
        query = bytearray(dns.question(COUNTS, 1))
        query[-4:-2] = b"\0\x10"
        with contextlib.suppress(OSError):
            client.send(query)
            reply = client.recv(512)
            queries, ports = reply[len(query) + 13 :].split()
            return int(queries), int(ports)
    return None


def measure_round(bench: Bench, key: str, server: Server, mixes: list[str]) -> dict:
    """A server from its start to its end: the mixes, the even rate, memory."""
    try:
        with bench.serving(key, server) as it:
            found = {"load_seconds": it.loaded, "started": it.memory()}
            if server.is_echo:
                found["cached"] = it.load("echo")
                found["paced"] = it.load("echo", rate=RATE)
                return found
            for mix in mixes:
                found[mix] = it.load(mix)
            found["paced"] = it.load("cached", rate=RATE)
            if "misses" in mixes:
                found["ports"] = it.ports()
            found["memory"] = it.memory()
            return found
    except process.DidNotFinish as error:
        return {"failure": str(error)}


def measure_rounds(bench: Bench, all_servers: dict[str, Server], mixes: list[str], count: int, say):
    """All of them in each round, each time another one first; yields what was found so far."""
    keys = list(all_servers)
    for key, server in all_servers.items():
        # Compiled lists are what is started with.
        if isinstance(server, Hedgerow):
            with bench.serving(key, server):
                pass
    found = {key: [] for key in keys}
    for number in range(count):
        turn = number % len(keys)
        for key in keys[turn:] + keys[:turn]:
            one = measure_round(bench, key, all_servers[key], mixes)
            say(f"round {number + 1} {key}: {brief(one)}")
            found[key].append(one)
        yield found


def cpu_microseconds(it: dict) -> float | None:
    """Time on the processor for a query."""
    answered = it.get("sent") or it["right"] + it["wrong"]
    return it["cpu_nanoseconds"] / answered / 1000 if answered else None


def brief(found: dict) -> str:
    if "failure" in found:
        return found["failure"]
    parts = [f"start {found['load_seconds']:.2f} s"]
    for mix in [*MIXES, "paced"]:
        if mix in found:
            it = found[mix]
            cpu = cpu_microseconds(it)
            rate = (it.get("sent") or it["right"] + it["wrong"]) / it["seconds"]
            part = f"{mix} {cpu:.2f} us {rate:,.0f}/s" if cpu else f"{mix} nothing answered"
            for bad in ("wrong", "lost", "stray", "warming_wrong", "warming_lost"):
                part += f" {bad} {it[bad]}" if it[bad] else ""
            if "p50_nanoseconds" in it:
                part += f" p50 {it['p50_nanoseconds'] / 1000:.0f} us p99 {it['p99_nanoseconds'] / 1000:.0f} us"
            parts.append(part)
    if "ports" in found:
        parts.append(f"ports {found['ports']}")
    if "memory" in found:
        parts.append(f"RSS {found['memory']['resident'] / 1e6:.1f} MB peak {found['memory']['peak'] / 1e6:.1f}")
    return "; ".join(parts)


def measure_memory(bench: Bench, key: str, server: Server, millions: float) -> dict:
    """Memory over many queries of a household, looked at each second."""
    with bench.serving(key, server) as it:
        child = it.start_load("household", seconds=3600, queries=int(millions * 1e6), warm="no")
        samples = [[0, it.memory()["resident"]]]
        begin = time.monotonic()
        while child.poll() is None:
            time.sleep(0.5)
            samples.append([round(time.monotonic() - begin, 1), it.memory()["resident"]])
        load = json.loads(child.communicate()[0])
        return {"samples": samples, "load": load, **it.memory()}


def measure_reload(bench: Bench, key: str, server: Server) -> dict:
    """A list with one name more is put in force while 10,000 queries a second are asked; for the echo, the
    same without."""
    try:
        with bench.serving(key, server) as it:
            if server.is_echo:
                return {"quiet": it.load("household", rate=RATE, seconds=RELOADING)}
            made = server.with_one_more(it.site)
            return reloaded(it, *made) if made else {"failure": NO_LISTS}
    except (process.DidNotFinish, OSError, ValueError) as error:
        # It ended in the middle, too.
        return {"failure": str(error)}


def reloaded(it: Serving, beside: Path, path: Path) -> dict:
    # What is late without a reload is late because of the machine.
    quiet = it.load("household", rate=RATE, seconds=RELOADING)
    kept = path.with_name(path.name + ".kept")
    kept.unlink(missing_ok=True)
    os.link(path, kept)
    child = it.start_load("household", rate=RATE, seconds=RELOADING, warm="no")
    try:
        time.sleep(2)
        steady = it.memory()["resident"]
        with Peaks(it.child.pid) as peaks:
            begin = time.monotonic()
            beside.rename(path)
            read_anew(it)
            took = waited(it, is_blocked=True)
            load = json.loads(child.communicate()[0])
    finally:
        child.kill()
        kept.rename(path)
    if it.started.reload or it.started.reload_signal:
        # What it keeps is of the lists that the next round begins with. Who reads them by himself looks
        # for newer files alone, and begins with what is there.
        read_anew(it)
        waited(it, is_blocked=False)
    return {
        "quiet": quiet,
        "load": load,
        "seconds": took - begin,
        "steady": steady,
        "peak": max(peaks.most, steady),
        "peak_of_children": peaks.children,
        "peak_together": max(peaks.together, steady),
    }


def read_anew(it: Serving) -> None:
    """Has the server read its lists; some do that by themselves."""
    if it.started.reload_signal:
        os.kill(it.child.pid, it.started.reload_signal)
    elif it.started.reload:
        # Some of these commands wait until all is done, and a server may not answer them meanwhile.
        subprocess.Popen(it.started.reload, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def waited(it: Serving, is_blocked: bool) -> float:
    """When the added name was blocked, or no longer."""
    with socket.socket(type=socket.SOCK_DGRAM) as client:
        client.connect(("127.0.0.1", it.site.port))
        begin = time.monotonic()
        while time.monotonic() - begin < 4 * RELOADING:
            # A name below it each time: the answer to the last one is in the cache.
            name = f"n{time.monotonic_ns() % 10**9}.{servers.ADDED}"
            said = process.ask(client, name, 0.25)
            if said != "silent" and (said in ("blocked", "0 answers")) == is_blocked:
                return time.monotonic()
            time.sleep(0.02)
    raise process.DidNotFinish("a list that changed was not in force in time")


class Peaks:
    """The most memory a process and its children have meanwhile."""

    def __init__(self, pid: int) -> None:
        self.pid, self.most, self.children, self.together = pid, 0, 0, 0
        self.is_over = threading.Event()
        self.thread = threading.Thread(target=self.look)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_) -> None:
        self.is_over.set()
        self.thread.join()

    def look(self) -> None:
        while not self.is_over.wait(0.01):
            own = process.resident_of_child(self.pid)
            theirs = sum(process.resident_of_child(child) for child in process.children(self.pid))
            self.most, self.children = max(self.most, own), max(self.children, theirs)
            self.together = max(self.together, own + theirs)


def leave_out(bench: Bench, server: Server, drawn: Path) -> None:
    """Of the names that were drawn, those are asked for which even our strictest profile lets through
    where no list names them: no other server judges names by how they look."""
    all_names = bench.asked
    bench.asked = drawn
    with bench.serving("leave-out", server) as it, socket.socket(type=socket.SOCK_DGRAM) as client:
        client.bind(("127.0.0.2", 0))
        client.connect(("127.0.0.1", it.site.port))
        lines = drawn.read_text().splitlines()
        kept = [
            line for line in lines if line.startswith("listed ") or process.ask(client, line.split()[1], 2) != "blocked"
        ]
    beside = all_names.with_suffix(".new")
    beside.write_text("".join(f"{line}\n" for line in kept))
    beside.rename(all_names)
    bench.asked = all_names
