"""Every server that is measured: its configuration, as its best admin would write it, and its start.

All of them have one thread for queries, caches that hold all that is asked, the same names, the same
stub upstream, no validation, and no limit to how much one client may ask.
"""

import shutil
import struct
from dataclasses import dataclass, field
from pathlib import Path

import contenders
import process
from data import Data

# Answers a cache has to hold: 42,500 names of a household and three types each, and what is new.
ENTRIES = 2_000_000
# What a reload adds.
ADDED = "added-by-the-reload.example"
PROGRAMS = "/usr/sbin:/usr/bin:/sbin:/bin"


# What the certificate is for, and connections over TLS that there may be.
NAME, CONNECTIONS = "dns.home.example", 12_000


@dataclass
class Encrypted:
    """Where DoT and DoH are spoken, with what certificate, and how long who asks nothing may stay, if
    that is not what it is anyway."""

    dot: int
    doh: int
    certificate: Path
    key: Path
    idle: str = ""


@dataclass
class Site:
    """Where a server runs: its folder, its port, the port of its upstream, the names, and where it
    speaks TLS if it is to."""

    folder: Path
    port: int
    upstream: int
    data: Data
    encrypted: Encrypted | None = None


@dataclass
class Started:
    """How a server is started, and how it is told to read its lists anew: by a command, by a signal,
    or not at all."""

    command: list[str]
    reload: list[str] = field(default_factory=list)
    reload_signal: int = 0


class Server:
    """One of those that are compared."""

    label = ""
    package = ""
    program = ""
    # It has no lists, so that nothing can be blocked.
    is_echo = False

    def missing(self) -> str | None:
        """The package to install, if its program is not there."""
        return None if shutil.which(self.program, path=PROGRAMS) else self.package

    def version(self) -> str:
        return contenders.debian_version(self.package)

    def configure(self, site: Site) -> Started:
        raise NotImplementedError

    def with_one_more(self, site: Site) -> tuple[Path, Path] | None:
        """A file of its names with `ADDED` among them, made beside, and the file it takes the place
        of; none if it reads nothing anew."""
        return None


def appended(path: Path, text: str) -> tuple[Path, Path]:
    """A copy of a file with some text behind it, and the file."""
    beside = path.with_name(path.name + ".more")
    shutil.copy(path, beside)
    with beside.open("a") as out:
        out.write(text)
    return beside, path


class Echo(Server):
    """What does nothing: the bar."""

    is_echo = True

    def __init__(self, tool: Path, batch: int) -> None:
        self.tool, self.batch = tool, batch
        self.label = f"echo, {batch} at once" if batch > 1 else "echo, one by one"

    def missing(self) -> str | None:
        return None

    def version(self) -> str:
        return ""

    def configure(self, site: Site) -> Started:
        return Started([str(self.tool), "echo", f"127.0.0.1:{site.port}", str(self.batch)])


class Hedgerow(Server):
    label = "hedgerow"
    # What the five clients of the load are; with the household's own lists in place of the presets'.
    PROFILES = ["preschooler", "schoolchild", "adolescent", "adult", "guest"]

    def __init__(self, program: Path, label: str = "hedgerow", cache: str = "256 MiB") -> None:
        self.path, self.label, self.cache = program, label, cache

    def missing(self) -> str | None:
        return None if self.path.exists() else "hedgerow"

    def version(self) -> str:
        return ""

    def configure(self, site: Site) -> Started:
        state, work = site.folder / "state", site.folder / "work"
        for it in (state, work):
            it.mkdir(parents=True, exist_ok=True)
        lists = site.data.lists()
        categories = ", ".join(f'"{category}"' for category, _ in lists)
        size = f'[cache]\nsize = "{self.cache}"\n[limits]\nmemory = "512 MiB"\n' if self.cache else "[limits]\n"
        encrypted = ""
        if site.encrypted:
            # An eighth of the memory is theirs, 16 KiB for each.
            size = size.replace("512 MiB", "2 GiB")
            size += f"encrypted-connections = {CONNECTIONS}\n"
            # One client makes 50 new ones a second, a fifth of what it may have at a time.
            size += "encrypted-per-client = 256\n"
            size += f'encrypted-idle = "{site.encrypted.idle}"\n' if site.encrypted.idle else ""
            encrypted = (
                f'[encrypted]\nname = "{NAME}"\n'
                f'dot = ["127.0.0.1:{site.encrypted.dot}"]\ndoh = ["127.0.0.1:{site.encrypted.doh}"]\n'
                f'certificate = "{site.encrypted.certificate}"\nkey = "{site.encrypted.key}"\n'
            )
        text = f"""[server]
listen = ["127.0.0.1:{site.port}"]
workers = 1
[control]
socket = "{site.folder}/control.sock"
[upstream]
servers = ["127.0.0.1:{site.upstream}"]
[lists]
starter = false
update = false
folder = "{state}"
work-folder = "{work}"
{size}in-flight-per-client = 512
{encrypted}[household]
guest-profile = "measured-guest"
"""
        for number, preset in enumerate(self.PROFILES):
            text += f"""[profile.measured-{preset}]
inherits = "{preset}"
categories = [{categories}]
allow-only = false
[[device]]
name = "device {number}"
profile = "measured-{preset}"
address = ["127.0.0.{2 + number}"]
"""
        for category, path in lists:
            text += f'[[list]]\nid = "the-{category}"\ncategory = "{category}"\nfile = "{path}"\n'
            text += "public-suffixes = true\n"
        config = site.folder / "hedgerow.toml"
        config.write_text(text)
        serve = [str(self.path), "serve", "--config", str(config)]
        return Started(serve, [str(self.path), "reload", "--socket", f"{site.folder}/control.sock"])

    def with_one_more(self, site: Site) -> tuple[Path, Path]:
        return appended(site.data.lists()[0][1], f"{ADDED}\n")


class Dnsdist(Server):
    package = program = "dnsdist"

    def __init__(self, cdb: bool) -> None:
        self.cdb = cdb
        self.label = "dnsdist, CDB" if cdb else "dnsdist, suffix match"

    def configure(self, site: Site) -> Started:
        if self.cdb:
            path = cdb_of(site.data)
            # Looks for a new file each second.
            names = (
                f'names = newCDBKVStore("{path}", 1)\n'
                "addAction(KeyValueStoreLookupRule(names, KeyValueLookupKeySuffix(2, true)), "
                "RCodeAction(DNSRCode.NXDOMAIN))\n"
            )
        else:
            names = (
                "names = newSuffixMatchNode()\n"
                f'for line in io.lines("{site.data.names}") do names:add(line) end\n'
                "addAction(SuffixMatchNodeRule(names), RCodeAction(DNSRCode.NXDOMAIN))\n"
            )
        encrypted = ""
        if site.encrypted:
            files = f'"{site.encrypted.certificate}", "{site.encrypted.key}"'
            # Without maxInFlight one connection has one query at a time.
            encrypted = (
                f"setMaxTCPClientThreads(1)\n"
                f'addTLSLocal("127.0.0.1:{site.encrypted.dot}", {files}, {{maxInFlight=64}})\n'
                f'addDOHLocal("127.0.0.1:{site.encrypted.doh}", {files}, "/dns-query")\n'
            )
        config = site.folder / "dnsdist.lua"
        config.write_text(
            "setUDPMultipleMessagesVectorSize(32)\nsetSecurityPollSuffix(\"\")\n"
            f'setLocal("127.0.0.1:{site.port}")\n'
            'setACL({"127.0.0.0/8"})\n'
            f'newServer({{address="127.0.0.1:{site.upstream}", healthCheckMode="up"}})\n'
            f"{encrypted}{names}"
            f"cache = newPacketCache({ENTRIES}, {{maxTTL=86400, numberOfShards=1}})\n"
            'getPool(""):setCache(cache)\n'
        )
        return Started(["dnsdist", "--supervised", "--disable-syslog", "-C", str(config)])

    def with_one_more(self, site: Site) -> tuple[Path, Path] | None:
        if not self.cdb:
            return None
        beside = site.data.folder / "names.cdb.more"
        if not beside.exists():
            with site.data.names.open() as names:
                write_cdb((wire_name(name.rstrip("\n")) for name in [*names, ADDED]), beside)
        copy = beside.with_suffix(".copy")
        shutil.copy(beside, copy)
        return copy, cdb_of(site.data)


class Recursor(Server):
    label, package, program = "PowerDNS Recursor, RPZ", "pdns-recursor", "pdns_recursor"

    def configure(self, site: Site) -> Started:
        zone = rpz_of(site.data)
        (site.folder / "rpz.lua").write_text(f'rpzFile("{zone}", {{policyName="names"}})\n')
        settings = {
            "config-dir": site.folder,
            "socket-dir": site.folder,
            "daemon": "no",
            "local-address": "127.0.0.1",
            "local-port": site.port,
            "allow-from": "127.0.0.0/8",
            "forward-zones-recurse": f".=127.0.0.1:{site.upstream}",
            "dont-query": "",
            "dnssec": "off",
            "threads": 1,
            "pdns-distributes-queries": "no",
            "max-cache-entries": ENTRIES,
            "max-packetcache-entries": ENTRIES,
            "lua-config-file": site.folder / "rpz.lua",
            "security-poll-suffix": "",
            "loglevel": 3,
            "quiet": "yes",
        }
        command = ["pdns_recursor", *(f"--{key}={value}" for key, value in settings.items())]
        return Started(command, ["rec_control", f"--socket-dir={site.folder}", "reload-lua-config"])

    def with_one_more(self, site: Site) -> tuple[Path, Path]:
        return rpz_with_one_more(site.data)


class Unbound(Server):
    label, package, program = "unbound, local-zone", "unbound", "unbound"

    def configure(self, site: Site) -> Started:
        names = site.data.written("unbound.nxdomain.conf", 'local-zone: "@." always_nxdomain\n', "server:\n")
        encrypted = ""
        if site.encrypted:
            encrypted = (
                f"  interface: 127.0.0.1@{site.encrypted.dot}\n  tls-port: {site.encrypted.dot}\n"
                f"  interface: 127.0.0.1@{site.encrypted.doh}\n  https-port: {site.encrypted.doh}\n"
                f'  tls-service-pem: "{site.encrypted.certificate}"\n  tls-service-key: "{site.encrypted.key}"\n'
                "  incoming-num-tcp: 100\n"
            )
        config = site.folder / "unbound.conf"
        config.write_text(
            f'server:\n  interface: 127.0.0.1@{site.port}\n  access-control: 127.0.0.0/8 allow\n'
            f'  directory: "{site.folder}"\n  chroot: ""\n  username: ""\n  pidfile: ""\n  use-syslog: no\n'
            "  num-threads: 1\n  do-ip6: no\n  module-config: iterator\n  do-not-query-localhost: no\n"
            "  msg-cache-size: 512m\n  rrset-cache-size: 1024m\n  msg-cache-slabs: 1\n  rrset-cache-slabs: 1\n"
            "  infra-cache-slabs: 1\n  key-cache-slabs: 1\n  outgoing-range: 4096\n"
            f"  num-queries-per-thread: 2048\n  minimal-responses: yes\n{encrypted}"
            "remote-control:\n  control-enable: yes\n  control-use-cert: no\n"
            f"  control-interface: {site.folder}/control\n"
            f'forward-zone:\n  name: "."\n  forward-addr: 127.0.0.1@{site.upstream}\n'
            f'include: "{names}"\n'
        )
        return Started(
            ["unbound", "-d", "-p", "-c", str(config)],
            ["unbound-control", "-c", str(config), "reload_keep_cache"],
        )

    def with_one_more(self, site: Site) -> tuple[Path, Path]:
        names = site.data.folder / "unbound.nxdomain.conf"
        return appended(names, f'local-zone: "{ADDED}." always_nxdomain\n')


class Bind(Server):
    label, package, program = "BIND, RPZ", "bind9", "named"

    def configure(self, site: Site) -> Started:
        zone = rpz_of(site.data)
        config = site.folder / "named.conf"
        config.write_text(
            f'options {{ directory "{site.folder}"; listen-on port {site.port} {{ 127.0.0.1; }};\n'
            "listen-on-v6 { none; }; allow-query { 127.0.0.0/8; }; allow-recursion { 127.0.0.0/8; };\n"
            f"recursion yes; forward only; forwarders {{ 127.0.0.1 port {site.upstream}; }};\n"
            "dnssec-validation no; empty-zones-enable no; minimal-responses yes; max-cache-size 1G;\n"
            'pid-file none; session-keyfile none; lock-file none; recursive-clients 10000;\n'
            'response-policy { zone "rpz.test"; } qname-wait-recurse no; };\n'
            'logging { category default { null; }; };\n'
            f'zone "rpz.test" {{ type primary; file "{zone}"; allow-query {{ none; }}; }};\n'
            "controls { };\n"
        )
        return Started(["named", "-f", "-4", "-n", "1", "-c", str(config)], reload_signal=1)

    def with_one_more(self, site: Site) -> tuple[Path, Path]:
        return rpz_with_one_more(site.data)


class Dnsmasq(Server):
    label, package, program = "dnsmasq, address=", "dnsmasq-base", "dnsmasq"

    def configure(self, site: Site) -> Started:
        names = site.data.written("dnsmasq.address", "address=/@/\n")
        config = site.folder / "dnsmasq.conf"
        config.write_text(
            f"port={site.port}\nlisten-address=127.0.0.1\nbind-interfaces\nno-resolv\nno-hosts\nno-daemon\n"
            f"pid-file=\nuser=root\nserver=127.0.0.1#{site.upstream}\ncache-size={ENTRIES}\n"
            f"dns-forward-max=1000\nconf-file={names}\n"
        )
        return Started(["dnsmasq", f"--conf-file={config}"])


class Smartdns(Server):
    label, package, program = "smartdns", "smartdns", "smartdns"

    def configure(self, site: Site) -> Started:
        config = site.folder / "smartdns.conf"
        config.write_text(
            f"bind 127.0.0.1:{site.port}\nserver 127.0.0.1:{site.upstream}\ncache-size {ENTRIES}\n"
            "prefetch-domain no\nserve-expired no\nspeed-check-mode none\ndualstack-ip-selection no\n"
            "cache-persist no\nlog-level fatal\naudit-enable no\nmax-reply-ip-num 8\nmax-query-limit 0\n"
            f"domain-set -name listed -type list -file {site.data.names}\n"
            "domain-rules /domain-set:listed/ -address #\n"
        )
        return Started(["smartdns", "-f", "-x", "-c", str(config), "-p", str(site.folder / "pid")])


class KnotResolver(Server):
    label, package, program = "Knot Resolver, RPZ", "knot-resolver", "kresd"

    def configure(self, site: Site) -> Started:
        zone = rpz_of(site.data)
        config = site.folder / "kresd.conf"
        config.write_text(
            f"net.listen('127.0.0.1', {site.port}, {{ kind = 'dns' }})\nnet.ipv6 = false\n"
            "modules = { 'policy' }\n"
            "for _, it in ipairs({ 'ta_update', 'ta_signal_query', 'ta_sentinel', 'priming' }) do\n"
            "modules.unload(it)\nend\n"
            "trust_anchors.remove('.')\ncache.size = 1024*MB\nlog_level('crit')\n"
            f"policy.add(policy.rpz(policy.DENY, '{zone}', false))\n"
            f"policy.add(policy.all(policy.FORWARD('127.0.0.1@{site.upstream}')))\n"
        )
        return Started(["kresd", "-n", "-c", str(config), str(site.folder)])


def rpz_of(data: Data) -> Path:
    """The names as a response policy zone; each with all below it is no such name."""
    head = "$ORIGIN rpz.test.\n$TTL 3600\n@ SOA localhost. root.localhost. 1 3600 600 86400 3600\n@ NS localhost.\n"
    return data.written("rpz.zone", "@ CNAME .\n*.@ CNAME .\n", head)


def rpz_with_one_more(data: Data) -> tuple[Path, Path]:
    beside, path = appended(rpz_of(data), f"{ADDED} CNAME .\n*.{ADDED} CNAME .\n")
    # A zone with the old serial number is the old zone.
    with beside.open("r+b") as zone:
        head = zone.read(200)
        zone.seek(head.index(b" 1 3600 ") + 1)
        zone.write(b"2")
    return beside, path


def cdb_of(data: Data) -> Path:
    """The names as a constant database, keys in wire format."""
    path = data.folder / "names.cdb"
    if not path.exists():
        beside = path.with_suffix(".new")
        with data.names.open() as names:
            write_cdb((wire_name(name.rstrip("\n")) for name in names), beside)
        beside.rename(path)
    return path


def wire_name(name: str) -> bytes:
    return b"".join(bytes([len(label)]) + label.encode() for label in name.split(".")) + b"\0"


def write_cdb(keys, path: Path) -> None:
    """Keys without values: 256 tables of hashes behind the records, their places at the head."""
    tables: list[list[tuple[int, int]]] = [[] for _ in range(256)]
    with path.open("wb") as out:
        out.seek(2048)
        place = 2048
        for key in keys:
            out.write(struct.pack("<II", len(key), 0) + key)
            hash = 5381
            for octet in key:
                hash = (hash * 33 & 0xFFFFFFFF) ^ octet
            tables[hash & 255].append((hash, place))
            place += 8 + len(key)
        heads = b""
        for table in tables:
            count = 2 * len(table)
            slots = [(0, 0)] * count
            for hash, where in table:
                slot = (hash >> 8) % count
                while slots[slot][1]:
                    slot = (slot + 1) % count
                slots[slot] = (hash, where)
            heads += struct.pack("<II", place, count)
            out.write(b"".join(struct.pack("<II", *slot) for slot in slots))
            place += 8 * count
        out.seek(0)
        out.write(heads)


def all_servers(tool: Path, hedgerow: Path) -> dict[str, Server]:
    return {
        "echo": Echo(tool, 32),
        "echo-single": Echo(tool, 1),
        "hedgerow": Hedgerow(hedgerow),
        "dnsdist-cdb": Dnsdist(cdb=True),
        "dnsdist-suffix": Dnsdist(cdb=False),
        "recursor": Recursor(),
        "unbound": Unbound(),
        "smartdns": Smartdns(),
        "bind": Bind(),
        "knot-resolver": KnotResolver(),
        "dnsmasq": Dnsmasq(),
    }
