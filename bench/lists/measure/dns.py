"""Questions and answers as octets: just enough of RFC 1035 for a stub and a client."""

import socket
import struct

A = 1
NXDOMAIN = 3
# What the stub upstream answers to everything (a documentation address), so that nothing else can
# be taken for its answer.
UPSTREAM_ADDRESS = "192.0.2.1"


def question(name: str, identifier: int) -> bytes:
    """A query for the addresses of `name`."""
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    head = struct.pack("!6H", identifier, 0x0100, 1, 0, 0, 0)
    return head + labels + b"\0" + struct.pack("!2H", A, 1)


def end_of_question(message: bytes) -> int:
    """Where the only question ends; its name is not compressed."""
    place = 12
    while message[place]:
        place += 1 + message[place]
    return place + 5


def answer_of_stub(query: bytes, ttl: int) -> bytes:
    """The stub's answer: an address for type A, nothing for other types."""
    end = end_of_question(query)
    has_address = query[end - 4 : end - 2] == b"\0\1"
    head = query[:2] + struct.pack("!5H", 0x8180, 1, int(has_address), 0, 0)
    record = struct.pack("!3HIH", 0xC00C, A, 1, ttl, 4) + socket.inet_aton(UPSTREAM_ADDRESS)
    return head + query[12:end] + (record if has_address else b"")


def verdict(reply: bytes) -> str:
    """`blocked` (no such name, or the null address), `passed` (the stub's address) or what else."""
    rcode = reply[3] & 15
    if rcode == NXDOMAIN:
        return "blocked"
    if rcode != 0:
        return f"rcode {rcode}"
    end = end_of_question(reply)
    answers = struct.unpack("!H", reply[6:8])[0]
    if answers != 1 or len(reply) < end + 16:
        return f"{answers} answers"
    address = socket.inet_ntoa(reply[end + 12 : end + 16])
    return {UPSTREAM_ADDRESS: "passed", "0.0.0.0": "blocked"}.get(address, address)
