"""Each contender: its configuration, how it starts, how it is measured."""

import itertools
import shutil
import subprocess
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import hedgerow
import process
from data import Data
from process import DidNotFinish

# Questions of each sort that are asked before memory is read.
SAMPLE = 1_000


@dataclass
class Started:
    """How to start a contender, and which of its files hold the names."""

    command: list[str]
    files: list[Path]


class Server:
    """A contender that answers over UDP."""

    def __init__(self, label: str, package: str, program: str) -> None:
        self.label, self.package, self.program = label, package, program

    def missing(self) -> str | None:
        """The Debian package to install, if its program is not there."""
        return None if shutil.which(self.program, path="/usr/sbin:/usr/bin:/sbin:/bin") else self.package

    def version(self) -> str:
        return debian_version(self.package)

    def configure(self, data: Data, port: int, upstream: int) -> Started:
        raise NotImplementedError


class Dnsmasq(Server):
    def __init__(self, option: str) -> None:
        super().__init__(f"dnsmasq `{option}=/…/`", "dnsmasq-base", "dnsmasq")
        self.option = option

    def configure(self, data: Data, port: int, upstream: int) -> Started:
        names = data.written(f"dnsmasq.{self.option}", f"{self.option}=/@/\n")
        config = data.folder / "dnsmasq.conf"
        config.write_text(
            f"port={port}\nlisten-address=127.0.0.1\nbind-interfaces\nno-resolv\nno-hosts\n"
            f"no-daemon\npid-file=\nuser=root\nserver=127.0.0.1#{upstream}\nconf-file={names}\n"
        )
        return Started(["dnsmasq", f"--conf-file={config}"], [names])


class Unbound(Server):
    def __init__(self, zones: bool) -> None:
        super().__init__("unbound local-zone" if zones else "unbound RPZ", "unbound", "unbound")
        self.zones = zones

    def configure(self, data: Data, port: int, upstream: int) -> Started:
        if self.zones:
            names = data.written("unbound.conf", 'local-zone: "@." always_null\n', "server:\n")
            modules, lists = "iterator", f'include: "{names}"\n'
        else:
            head = "$ORIGIN rpz.test.\n$TTL 3600\n@ SOA localhost. root.localhost. 1 3600 600 86400 3600\n@ NS localhost.\n"
            names = data.written("rpz.zone", "@ CNAME .\n*.@ CNAME .\n", head)
            modules = "respip iterator"
            lists = f'rpz:\n  name: "rpz.test."\n  zonefile: "{names}"\n'
        config = data.folder / f"{names.name}.main"
        config.write_text(
            f'server:\n  interface: 127.0.0.1@{port}\n  directory: "{data.folder}"\n  chroot: ""\n'
            f'  username: ""\n  pidfile: ""\n  use-syslog: no\n  num-threads: 1\n  do-ip6: no\n'
            f'  module-config: "{modules}"\n  do-not-query-localhost: no\n  hide-version: yes\n'
            f"remote-control:\n  control-enable: no\n"
            f'forward-zone:\n  name: "."\n  forward-addr: 127.0.0.1@{upstream}\n{lists}'
        )
        return Started(["unbound", "-d", "-p", "-c", str(config)], [names])


class Dnsdist(Server):
    def __init__(self) -> None:
        super().__init__("dnsdist SuffixMatchNode", "dnsdist", "dnsdist")

    def configure(self, data: Data, port: int, upstream: int) -> Started:
        config = data.folder / "dnsdist.lua"
        config.write_text(
            f'setLocal("127.0.0.1:{port}")\n'
            f'newServer({{address="127.0.0.1:{upstream}", healthCheckMode="up"}})\n'
            f"local names = newSuffixMatchNode()\n"
            f'for line in io.lines("{data.names}") do names:add(line) end\n'
            f"addAction(SuffixMatchNodeRule(names), RCodeAction(DNSRCode.NXDOMAIN))\n"
        )
        command = ["dnsdist", "--supervised", "--disable-syslog", "-C", str(config)]
        return Started(command, [data.names])


SERVERS: dict[str, Server] = {
    "dnsmasq-address": Dnsmasq("address"),
    "dnsmasq-local": Dnsmasq("local"),
    "unbound-local-zone": Unbound(zones=True),
    "unbound-rpz": Unbound(zones=False),
    "dnsdist": Dnsdist(),
}


def debian_version(package: str) -> str:
    """A package's version as Debian says it."""
    query = ["dpkg-query", "-W", "-f", "${Version}", package]
    return subprocess.run(query, capture_output=True, text=True, check=False).stdout or "unknown"


def sample(data: Data) -> list[tuple[str, str]]:
    """Questions with their right answers, both sorts in turn; a single name again and again."""
    listed, unlisted = data.questions()
    pairs = zip(itertools.islice(itertools.cycle(listed), SAMPLE), unlisted)
    return [it for one, other in pairs for it in ((one, "blocked"), (other, "passed"))]


def result_of(label: str, measure) -> dict:
    """What `measure` found, or why it found nothing."""
    try:
        return {"label": label, **measure()}
    except DidNotFinish as error:
        return {"label": label, "failure": str(error)}


def serve(started: Started, data: Data, port: int, log: Path) -> dict:
    """Starts a server, waits for its first right answers, asks the sample, reads its memory."""
    begin = time.monotonic()
    questions = sample(data)
    with process.running(started.command, log) as it:
        load = process.wait_for_answer(it, port, questions[:2], begin)
        cpu = process.cpu_seconds(it.pid)
        wrong = process.wrong_answers(port, questions)
        memory = process.memory(it.pid)
    return {
        "load_seconds": load,
        "load_cpu_seconds": cpu,
        "disk": sum(path.stat().st_size for path in started.files),
        "asked": len(questions),
        "wrong": len(wrong),
        "first_wrong": wrong[:3],
        **asdict(memory),
    }


def measure_server(key: str, data: Data, work: Path) -> dict:
    """One of `SERVERS` with one size of the data."""
    server = SERVERS[key]
    if package := server.missing():
        return {"label": server.label, "failure": f"not installed: {package}"}

    def measure() -> dict:
        with process.stub_upstream(work) as upstream:
            port = process.free_port()
            started = server.configure(data, port, upstream)
            return serve(started, data, port, work / f"{key}-{data.count}.log")

    return result_of(server.label, measure)


def measure_hashset(tool: Path, data: Data, work: Path) -> dict:
    """The plain set of strings, in a process of its own without a server around it."""

    def measure() -> dict:
        command = [str(tool), "hashset", str(data.names), str(data.folder / "questions")]
        begin = time.monotonic()
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        with process.running(command, work / "hashset.log", **pipes) as it:
            if not it.stdout.readline().startswith("ready"):
                raise DidNotFinish("ended by itself")
            load = time.monotonic() - begin
            cpu = process.cpu_seconds(it.pid)
            memory = process.memory(it.pid)
            told = pairs(it.communicate("\n")[0])
        listed, unlisted = data.questions()
        return {
            "load_seconds": load,
            "load_cpu_seconds": cpu,
            "disk": data.names.stat().st_size,
            "asked": len(listed) + len(unlisted),
            "wrong": int(told["wrong"]),
            "listed_nanoseconds": int(told["listed"]),
            "unlisted_nanoseconds": int(told["unlisted"]),
            **asdict(memory),
        }

    return result_of("`HashSet<Box<str>>`", measure)


def measure_hedgerow(program: Path, timer: Path | None, data: Data, work: Path) -> dict:
    """Our daemon with one size of the data, its index compiled before, and the index alone."""

    def measure() -> dict:
        with process.stub_upstream(work) as upstream:
            home = hedgerow.Home(program, work / f"hedgerow-{data.count}", upstream, data.lists())
            compiled = home.compile()
            home.settle()
            started = Started(home.serve_command(), home.index_files())
            found = serve(started, data, home.port, work / f"hedgerow-{data.count}.log")
            return found | {"compile": compiled} | timed(timer, home.index_files(), data)

    return result_of("hedgerow", measure)


def timed(timer: Path | None, index: list[Path], data: Data) -> dict:
    """Look-ups in the index alone, for names of which all answers are known."""
    if not timer or not index:
        return {}
    command = [timer, *index, data.folder / "questions"]
    told = pairs(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    return {
        "open_seconds": int(told["open"]) / 1e9,
        "wrong_in_index": int(told["wrong"]),
        "listed_nanoseconds": int(told["listed"]),
        "unlisted_nanoseconds": int(told["unlisted"]),
    }


def pairs(text: str) -> dict[str, str]:
    """Lines of a word and a figure."""
    return dict(line.split() for line in text.splitlines())
