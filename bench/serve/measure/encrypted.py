"""DoT and DoH: what a query costs, what idle connections take, and what those who never get to the
point do to everybody else."""

import contextlib
import json
import resource
import socket
import subprocess
import time
from pathlib import Path

import process
import rounds
from rounds import OTHER_CORE, Bench, Serving, pinned
from servers import CONNECTIONS, NAME, Hedgerow, Encrypted, Server

PARTS = ["encrypted", "idle", "slow"]
SERVERS = ["hedgerow", "unbound", "dnsdist-cdb"]
OVER = ["dot", "doh"]
# Queries a second at an even rate: what all of them can do.
RATE = 5_000
# Connections that ask nothing, after some that let the server grow to its ordinary size.
FEW, IDLE = 100, 10_000
# Clients that never get to the point, by how far they get.
SLOW = 1_000
KINDS = ["tcp", "hello", "silent", "half", "drip"]
# Seconds until they are cut off and come again: a second and a third time while it is measured.
SETTLE = 8
CERTIFICATE = f"""[req]
distinguished_name = subject
prompt = no
x509_extensions = extensions
[subject]
CN = {NAME}
[extensions]
basicConstraints = critical, CA:FALSE
subjectAltName = DNS:{NAME}
"""


def certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate that signs itself, and its key: ECDSA on P-256, made once."""
    made, key = folder / "certificate.pem", folder / "key.pem"
    if not made.exists():
        config = folder / "certificate.conf"
        config.write_text(CERTIFICATE)
        command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
        command += ["-days", "3650", "-config", config, "-keyout", key, "-out", made]
        subprocess.run([str(word) for word in command], check=True, capture_output=True)
    return made, key


@contextlib.contextmanager
def serving(bench: Bench, key: str, server: Server, idle: str = ""):
    """A server that speaks DoT and DoH too."""
    folder = bench.work / "serve"
    folder.mkdir(parents=True, exist_ok=True)
    ports = set()
    while len(ports) < 2:
        ports.add(process.free_port())
    with bench.serving(key, server, Encrypted(*ports, *certificate(folder), idle)) as it:
        for port in ports:
            wait_for(port)
        yield it


def wait_for(port: int) -> None:
    """Until somebody takes connections there."""
    begin = time.monotonic()
    while True:
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port)).close()
            return
        if time.monotonic() - begin > 10:
            raise process.DidNotFinish("takes no connections")
        time.sleep(0.01)


def told(it: Serving, verb: str, **options) -> dict:
    """What a part of the tool prints."""
    asked = {"trust": it.site.encrypted.certificate, "name": NAME, "names": it.bench.asked, "pids": it.pids()}
    words = [word for key, value in (asked | options).items() for word in (f"--{key}", str(value))]
    command = pinned(OTHER_CORE, [str(it.bench.tool), verb, *words])
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        raise process.DidNotFinish(f"{verb}: {done.stderr.strip()}")
    return json.loads(done.stdout)


def load(it: Serving, over: str, **options) -> dict:
    """The mix `cached` over warm connections."""
    port = getattr(it.site.encrypted, over)
    it.bench.runs += 1
    # The same five clients as over UDP, with as many queries on their way.
    asked = {"over": over, "server": f"127.0.0.1:{port}", "window": rounds.WINDOW, "seed": rounds.SEED}
    asked |= {"fresh": rounds.SEED + it.bench.runs, "seconds": it.bench.seconds}
    return told(it, "encrypted", **(asked | options))


def measure_rounds(bench: Bench, servers: dict[str, Server], count: int, say):
    """The figures so far, after each round: for each server a list with one entry for each round."""
    found = {key: [] for key in servers}
    for number in range(count):
        for key, server in servers.items():
            found[key].append(measure_round(bench, key, server))
            say(f"round {number + 1} {key}: {brief(found[key][-1])}")
        yield found


def measure_round(bench: Bench, key: str, server: Server) -> dict:
    try:
        with serving(bench, key, server) as it:
            found = {"udp": it.load("cached")}
            for over in OVER:
                found[over] = load(it, over)
                found[f"{over}-paced"] = load(it, over, rate=RATE)
            return found
    except process.DidNotFinish as error:
        return {"failure": str(error)}


def brief(found: dict) -> str:
    if "failure" in found:
        return found["failure"]
    parts = []
    for way, it in found.items():
        cpu = rounds.cpu_microseconds(it)
        part = f"{way} {cpu:.2f} us" if cpu else f"{way} nothing answered"
        part += f" {(it['right'] + it['wrong']) / it['seconds']:,.0f}/s"
        # With both at less than all of their time something else was the limit.
        part += f" busy {it['cpu_nanoseconds'] / it['seconds'] / 1e9:.0%}"
        part += f" generator {it.get('load_cpu_nanoseconds', 0) / it['seconds'] / 1e9:.0%}"
        part += "".join(f" {bad} {it[bad]}" for bad in ("wrong", "lost", "stray", "warming_lost") if it[bad])
        parts.append(part)
    return "; ".join(parts)


class Holder:
    """A process that holds connections."""

    def __init__(self, it: Serving, kinds: list[str]) -> None:
        ways = it.site.encrypted
        asked = {"kinds": ",".join(kinds), "trust": ways.certificate, "name": NAME}
        asked |= {"dot": f"127.0.0.1:{ways.dot}", "doh": f"127.0.0.1:{ways.doh}"}
        words = [word for key, value in asked.items() for word in (f"--{key}", str(value))]
        # Whoever measures comes before.
        command = pinned(OTHER_CORE, [str(it.bench.tool), "hold", *words], nice=0)
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __enter__(self):
        return self

    def __exit__(self, *_) -> None:
        self.process.kill()
        self.process.wait()

    def hold(self, count: int) -> dict:
        """Makes them so many."""
        self.process.stdin.write(f"{count}\n")
        self.process.stdin.flush()
        return self.line()

    def end(self) -> dict:
        """What became of them."""
        self.process.stdin.close()
        return self.line()

    def line(self) -> dict:
        line = self.process.stdout.readline()
        if not line:
            raise process.DidNotFinish("connections cannot be held")
        return json.loads(line)


def probe(it: Serving) -> dict:
    """How long ordinary clients wait."""
    ways = it.site.encrypted
    addresses = {"udp": f"127.0.0.1:{it.site.port}", "dot": f"127.0.0.1:{ways.dot}"}
    return told(it, "probe", seed=rounds.SEED, seconds=it.bench.seconds, **addresses)


def warm(it: Serving) -> None:
    """What is asked is in the cache."""
    load(it, "dot", lead=0, seconds=0.1)


def most_connections() -> int:
    """How many can be held: each is a descriptor there and here."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return min(IDLE, CONNECTIONS - 2 * FEW, hard - 2_000 if hard != resource.RLIM_INFINITY else IDLE)


def measure_idle(bench: Bench, server: Hedgerow, count: int, say):
    """Memory of idle connections, and whether new ones are served, after each round."""
    found = []
    wanted = most_connections()
    for number in range(count):
        with serving(bench, "hedgerow", server, "10m") as it, Holder(it, ["idle"]) as holder:
            warm(it)
            holder.hold(FEW)
            without = probe(it)
            before = it.memory()
            spent = process.cpu_seconds(it.child.pid)
            made = holder.hold(FEW + wanted)
            spent = process.cpu_seconds(it.child.pid) - spent
            after = it.memory()
            with_them = probe(it)
            end = holder.end()
        found.append(
            {
                "connections": wanted,
                "before": before["resident"],
                "after": after["resident"],
                "seconds": made["seconds"],
                "cpu_seconds": spent,
                "without": without,
                "with": with_them,
                "end": end,
            }
        )
        each = (after["resident"] - before["resident"]) / wanted
        say(f"round {number + 1} idle: {wanted:,} connections in {made['seconds']:.1f} s, {each:,.0f} octets each")
        say(f"  {json.dumps(end)}; {waits(without)} -> {waits(with_them)}")
        yield found


def measure_slow(bench: Bench, server: Hedgerow, count: int, say):
    """What clients that never get to the point do to others, after each round."""
    found: dict[str, list] = {}
    most_connections()
    for number in range(count):
        for name, kinds in [*((kind, [kind]) for kind in KINDS), ("all", KINDS)]:
            # A server for each, so that none has the memory or the remains of the last.
            with serving(bench, "hedgerow", server) as it:
                warm(it)
                without = probe(it)
                with Holder(it, kinds) as holder:
                    holder.hold(SLOW)
                    time.sleep(SETTLE)
                    with_them = probe(it)
                    end = holder.end()
            found.setdefault(name, []).append({"without": without, "with": with_them, "end": end})
            say(f"round {number + 1} slow, {name}: {waits(without)} -> {waits(with_them)}; {json.dumps(end)}")
        yield found


def waits(it: dict) -> str:
    parts = []
    for way in ("udp", "dot", "new"):
        one = it[way]
        parts.append(f"{way} p50 {one['p50_nanoseconds'] / 1000:.0f} p99 {one['p99_nanoseconds'] / 1000:.0f} us")
        parts[-1] += "".join(f" {bad} {one[bad]}" for bad in ("wrong", "lost") if one[bad])
    return ", ".join(parts) + f", busy {it['cpu_nanoseconds'] / it['seconds'] / 1e9:.0%}"
