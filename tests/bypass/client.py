"""A device: does what each line it reads says, and prints what came of it in one line.

    NAME TYPE [@SERVER[#PORT]] [+WORD...]   asks the router or SERVER, in words much like dig's
    tunnel TYPE COUNT [SORT]                asks for names with data in them until told no
    echo ADDRESS PORT                       sends a datagram that is to come back
    connect ADDRESS PORT                    opens a TCP connection

An answer is its RCODE, its records and what the Extended DNS Error says; what came instead of one
is `refused` or `silence`.
"""

import random
import shlex
import socket
import ssl
import sys

import dns.edns
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdataclass
import dns.rdatatype

PATIENCE = 15
ATTEMPTS = 5
SENTINEL = 0xFEFE


def family(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def frame(octets):
    return len(octets).to_bytes(2, "big") + octets


def exactly(stream, count):
    octets = b""
    while len(octets) < count:
        more = stream.recv(count - len(octets))
        if not more:
            raise ConnectionResetError
        octets += more
    return octets


def unframe(stream):
    return exactly(stream, int.from_bytes(exactly(stream, 2), "big"))


def text_of(octets):
    message = dns.message.from_wire(octets, ignore_trailing=True)
    parts = [dns.rcode.to_text(message.rcode())]
    if message.flags & dns.flags.TC:
        parts.append("truncated")
    for section in (message.answer, message.authority, message.additional):
        for rrset in section:
            for rdata in rrset:
                kind = dns.rdatatype.to_text(rrset.rdtype)
                parts.append(f"{rrset.name} {rrset.ttl} {kind} {rdata.to_text()}")
    for option in message.options:
        if option.otype == 15:
            octets = option.to_wire()
            parts.append(f"EDE {int.from_bytes(octets[:2], 'big')}: {octets[2:].decode()}")
    return " | ".join(parts)


def ask(words):
    name, kind, *rest = words
    server = next((word[1:] for word in rest if word.startswith("@")), "10.78.0.1")
    server, _, port = server.partition("#")
    options = dict(word[1:].partition("=")[::2] for word in rest if word.startswith("+"))
    name = dns.name.from_text(name)
    edns = [dns.edns.GenericOption(int(code), bytes.fromhex(data))
            for code, _, data in (text.partition(":")
                                  for text in options.get("option", "").split(",") if text)]
    query = dns.message.make_query(name, kind, options.get("class", "IN"), use_edns=0,
                                   payload=1232, options=edns)
    if "norec" in options:
        query.flags &= ~dns.flags.RD
    if "cd" in options:
        query.flags |= dns.flags.CD
    if "qr" in options:
        query.flags |= dns.flags.QR
    if "do" in options:
        query.want_dnssec(True)
    if "opcode" in options:
        query.set_opcode(int(options["opcode"]))
    octets = query.to_wire()
    if "second" in options:
        # Two questions in one message.
        first = octets[12:].index(b"\0") + 12 + 5
        more = dns.name.from_text(options["second"]).to_wire() + octets[first - 4:first]
        octets = octets[:4] + b"\0\2" + octets[6:first] + more + octets[first:]
    if "message" in options:
        # All but the id, as it is.
        octets = octets[:2] + bytes.fromhex(options["message"])
    if "prefix" in options and "tcp" not in options:
        octets = bytes.fromhex(options["prefix"]) + octets
    transport = next((it for it in ("tcp", "tls", "https") if it in options), "udp")
    port = int(port or {"tls": 853, "https": 443}.get(transport, 53))
    sock = socket.socket(family(server), socket.SOCK_DGRAM if transport == "udp" else socket.SOCK_STREAM)
    sock.settimeout(PATIENCE)
    if "from" in options:
        sock.bind((options["from"], 0))
    with sock:
        sock.connect(socket.getaddrinfo(server, port, type=sock.type)[0][4])
        if transport == "udp":
            return datagrams(sock, octets, options)
        if transport in ("tls", "https"):
            context = ssl.create_default_context()
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            sock = context.wrap_socket(sock, server_hostname=options.get("sni"))
        if transport == "https":
            sock.sendall(b"POST /dns-query HTTP/1.1\r\nhost: x\r\ncontent-type: application/dns-message"
                         b"\r\ncontent-length: %d\r\n\r\n" % len(octets) + octets)
            said = b""
            while more := sock.recv(4096):
                said += more
            return text_of(said.split(b"\r\n\r\n", 1)[1])
        stream = bytes.fromhex(options.get("prefix", "")) + frame(octets)
        if "behind" in options:
            # A harmless question before it in the same segment.
            stream = frame(dns.message.make_query("localhost", "A").to_wire()) + stream
        step = int(options.get("split", len(stream)))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for at in range(0, len(stream), step):
            sock.sendall(stream[at:at + step])
        while True:
            said = unframe(sock)
            if said[:2] == octets[:2]:
                return text_of(said)


def datagrams(sock, octets, options):
    """Asks, more than once as all clients do, since a datagram may be lost while addresses change.

    What is answered after it, and not before it, shows silence.
    """
    sock.settimeout(PATIENCE / ATTEMPTS)
    for _ in range(ATTEMPTS):
        sock.send(octets)
        if "sentinel" in options:
            sentinel = dns.message.make_query("localhost", "A", id=SENTINEL)
            sock.send(sentinel.to_wire())
        try:
            while True:
                said = sock.recv(65535)
                if said[:2] == SENTINEL.to_bytes(2, "big"):
                    return "silence"
                if said[:2] == octets[:2] or "any-id" in options:
                    return text_of(said)
        except TimeoutError:
            continue
    return "silence"


SORTS = {
    "figures": lambda text, at: text("0123456789abcdef", 56) + ".tunnel.example",
    "letters": lambda text, at: text("abcdefghijklmnopqrstuvwxyz", 30) + ".tunnel.example",
    "short": lambda text, at: text("abcdefghijklmnopqrstuvwxyz", 10) + ".tunnel.example",
    "own": lambda text, at: text("0123456789abcdef", 56) + ".abc.me",
    "down": lambda text, at: f"n{at}.down.example",
}


def tunnel(words):
    """Names with data in them below one's own: asks until a hundred and more have gone."""
    kind, count, *sort = words
    generator = random.Random(7)
    name = SORTS[sort[0] if sort else "figures"]

    def text(alphabet, length):
        return "".join(generator.choice(alphabet) for _ in range(length))

    for at in range(int(count)):
        said = ask([name(text, at), kind])
        if "EDE" in said:
            return said
    return said


def echo(address, port):
    with socket.socket(family(address), socket.SOCK_DGRAM) as sock:
        sock.settimeout(PATIENCE)
        sock.connect((address, int(port)))
        sock.send(b"hello")
        return "reached" if sock.recv(64) == b"hello" else "odd"


def connect(address, port):
    with socket.create_connection((address, int(port)), PATIENCE):
        return "reached"


def run(words):
    try:
        if words[0] == "echo":
            return echo(*words[1:])
        if words[0] == "connect":
            return connect(*words[1:])
        if words[0] == "tunnel":
            return tunnel(words[1:])
        return ask(words)
    except TimeoutError:
        return "silence"
    except OSError as error:
        return f"refused ({error.strerror or type(error).__name__})"


for line in sys.stdin:
    try:
        said = run(shlex.split(line))
    except Exception as error:
        said = f"error: {type(error).__name__}: {error}"
    print(said.replace("\n", " "), flush=True)
