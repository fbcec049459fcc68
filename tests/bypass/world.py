"""The world beyond the router: a resolver at several addresses that knows every name, in the clear,
over TLS and over HTTPS, and ports that echo datagrams or take connections.

    world.py CERTIFICATE KEY ADDRESS...

Prints `ready` once it listens everywhere. Names are those of ZONE; every other exists too, and is
the page a child must not reach.
"""

import socket
import ssl
import sys
import threading

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rrset

PRIZE = {"A": "203.0.113.66", "AAAA": "2001:db8:80::66", "TXT": '"prize"'}
# What is there under every name and of every other type: `prize` in octets.
OTHER = "\\# 5 7072697a65"

# Owner, type, data; `*.name` is all below it. A child has `own.example` and can put anything there.
ZONE = r"""
site.example                 A      203.0.113.80
site.example                 AAAA   2001:db8:80::80
www.site.example             A      203.0.113.80
www.site.example             AAAA   2001:db8:80::80
stale.site.example           A      203.0.113.82
parent.site.example          A      203.0.113.83
metrics.site.example         CNAME  tracker.example.
alias.own.example            CNAME  casino.example.
far.own.example              CNAME  hop1.friend.example.
hop1.friend.example          CNAME  hop2.friend.example.
hop2.friend.example          CNAME  hop3.friend.example.
hop3.friend.example          CNAME  hop4.friend.example.
hop4.friend.example          CNAME  casino.example.
case.own.example             CNAME  CASINO.eXample.
renamed.own.example          DNAME  casino.example.
out.own.example              CNAME  www.torproject.org.
service.own.example          HTTPS  1 casino.example. alpn=h2
pointer.own.example          HTTPS  0 casino.example.
record.own.example           SVCB   1 casino.example. alpn=h2
doh.own.example              A      9.9.9.9
doh.own.example              AAAA   2620:fe::fe
hint.own.example             HTTPS  1 . alpn=h2 ipv4hint=9.9.9.9
hint6.own.example            HTTPS  1 . alpn=h2 ipv6hint=2620:fe::fe
dohpath.own.example          HTTPS  1 . alpn=h2 key7="/dns-query{?dns}"
_dns.doh.own.example         SVCB   1 doh.own.example. alpn=h2 key7="/dns-query{?dns}"
_8530._dns.doh.own.example   SVCB   1 doh.own.example. alpn=h2 key7="/dns-query{?dns}"
nat64.own.example            AAAA   64:ff9b::909:909
sixtofour.own.example        AAAA   2002:909:909::1
_dns.resolver.arpa           SVCB   1 doh.own.example. alpn=h2 key7="/dns-query{?dns}"
hello.own.example            HTTPS  1 . alpn=h2 ech="AAT+DQAA"
needs.own.example            HTTPS  1 . mandatory=ech alpn=h2 ech="AAT+DQAA"
_game._tcp.own.example       SRV    0 0 443 casino.example.
mail.own.example             MX     10 casino.example.
zone.own.example             NS     casino.example.
aliased.own.example          CNAME  doh.own.example.
home1.own.example            A      192.168.1.1
home2.own.example            A      10.78.0.1
home3.own.example            A      127.0.0.1
home4.own.example            A      0.1.2.3
home5.own.example            A      100.64.0.1
home6.own.example            A      169.254.1.1
home1.own.example            AAAA   ::ffff:192.168.1.1
home2.own.example            AAAA   64:ff9b::10.78.0.1
home3.own.example            AAAA   fd78::1
home4.own.example            AAAA   fe80::1
home5.own.example            AAAA   2002:c0a8:101::1
home6.own.example            AAAA   ::1
home7.own.example            HTTPS  1 . alpn=h2 ipv4hint=10.78.0.1
mixed.own.example            A      203.0.113.80
mixed.own.example            A      10.78.0.1
forcesafesearch.google.com   A      203.0.113.200
strict.bing.com              A      203.0.113.201
safe.duckduckgo.com          A      203.0.113.202
restrict.youtube.com         A      203.0.113.203
casino.example               HTTPS  1 . alpn=h2 ipv4hint=203.0.113.66
casino.example               MX     10 casino.example.
casino.example               NS     casino.example.
casino.example               SRV    0 0 443 casino.example.
casino.example               DS     1 13 2 00000000000000000000000000000000000000000000000000000000000000ff
casino.example               DNSKEY 257 3 13 AAAA
casino.example               CAA    0 issue "prize"
casino.example               NAPTR  1 1 "u" "prize" "" .
casino.example               SOA    casino.example. prize.example. 1 1 1 1 1
66.113.0.203.in-addr.arpa    PTR    casino.example.
"""

TUNNEL = dns.name.from_text("tunnel.example")
DOWN = dns.name.from_text("down.example")

zone = {}
for line in ZONE.split("\n"):
    if line.strip():
        owner, kind, data = line.split(None, 2)
        key = (dns.name.from_text(owner), dns.rdatatype.from_text(kind))
        zone.setdefault(key, []).append(data)


def records(name, kind):
    """The texts of the records of `name` and `kind`, if there are any."""
    found = zone.get((name, kind))
    if found:
        return found
    # A name of the zone has what is written there and nothing else of these.
    if kind == dns.rdatatype.TXT and name.is_subdomain(DOWN):
        return [" ".join([PRIZE["TXT"]] + ['"%s"' % ("x" * 240)] * 4)]
    if dns.rdatatype.to_text(kind) in PRIZE:
        written = any(owner == name for owner, _ in zone)
        if written and name != dns.name.from_text("casino.example"):
            return []
        return [PRIZE[dns.rdatatype.to_text(kind)]]
    if kind == dns.rdatatype.NULL or kind >= 65280:
        return [OTHER]
    # Somebody's own server says anything it likes.
    if kind == dns.rdatatype.DNSKEY and name.is_subdomain(TUNNEL):
        return ["257 3 13 cHJpemU="]
    return []


def answer(query):
    response = dns.message.make_response(query, recursion_available=True)
    if query.opcode() != 0 or len(query.question) != 1:
        response.set_rcode(dns.rcode.NOTIMP)
        return response
    question = query.question[0]
    name, kind = question.name, question.rdtype

    def add(section, owner, rdtype, texts):
        if texts:
            ttl = 86400 if owner.labels[0].lower() == b"kept" else 60
            section.append(dns.rrset.from_text(owner, ttl, "IN", dns.rdatatype.to_text(rdtype), *texts))

    for _ in range(16):
        lower = dns.name.Name([label.lower() for label in name.labels])
        alias = zone.get((lower, dns.rdatatype.CNAME))
        if alias and kind != dns.rdatatype.CNAME:
            add(response.answer, name, dns.rdatatype.CNAME, alias)
            name = dns.name.from_text(alias[0])
            continue
        above = next((owner for owner, rdtype in zone
                      if rdtype == dns.rdatatype.DNAME and lower.is_subdomain(owner)
                      and lower != owner), None)
        if above:
            target = zone[above, dns.rdatatype.DNAME]
            add(response.answer, above, dns.rdatatype.DNAME, target)
            prefix = name.relativize(above)
            renamed = dns.name.Name(prefix.labels + dns.name.from_text(target[0]).labels)
            add(response.answer, name, dns.rdatatype.CNAME, [renamed.to_text()])
            name = renamed
            continue
        add(response.answer, name, kind, records(lower, kind))
        break
    # What a helpful server adds: the addresses of what its records lead to.
    for rrset in list(response.answer):
        for rdata in rrset:
            target = getattr(rdata, "target", None) or getattr(rdata, "exchange", None)
            if target and rrset.rdtype not in (dns.rdatatype.CNAME, dns.rdatatype.DNAME):
                add(response.additional, target, dns.rdatatype.A, records(target, dns.rdatatype.A))
    return response


def reply(octets):
    try:
        return answer(dns.message.from_wire(octets)).to_wire()
    except Exception as error:
        print("world:", error, file=sys.stderr)
        return None


def exactly(stream, count):
    octets = b""
    while len(octets) < count:
        more = stream.recv(count - len(octets))
        if not more:
            return None
        octets += more
    return octets


def frames(stream):
    while True:
        head = exactly(stream, 2)
        message = head and exactly(stream, int.from_bytes(head, "big"))
        if not message:
            return
        octets = reply(message)
        stream.sendall(len(octets).to_bytes(2, "big") + octets)


def page(stream):
    """DNS over HTTPS (RFC 8484), one POST."""
    text = b""
    while b"\r\n\r\n" not in text:
        more = stream.recv(4096)
        if not more:
            return
        text += more
    head, body = text.split(b"\r\n\r\n", 1)
    length = next(int(line.split(b":")[1]) for line in head.lower().split(b"\r\n")
                  if line.startswith(b"content-length"))
    body += exactly(stream, length - len(body)) if length > len(body) else b""
    octets = reply(body)
    stream.sendall(b"HTTP/1.1 200 OK\r\ncontent-type: application/dns-message\r\n"
                   b"content-length: %d\r\nconnection: close\r\n\r\n" % len(octets) + octets)


def on_udp(sock, respond):
    while True:
        octets, client = sock.recvfrom(4096)
        said = respond(octets)
        if said:
            sock.sendto(said, client)


def on_tcp(sock, serve, tls):
    def one(stream):
        try:
            stream.settimeout(20)
            serve(tls.wrap_socket(stream, server_side=True) if tls else stream)
        except Exception as error:
            print("world:", error, file=sys.stderr)
        finally:
            stream.close()
    while True:
        stream, _ = sock.accept()
        threading.Thread(target=one, args=(stream,), daemon=True).start()


def listen(address, port, kind):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    sock = socket.socket(family, kind)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind((address, port))
    if kind == socket.SOCK_STREAM:
        sock.listen(64)
    return sock


def main():
    certificate, key, *addresses = sys.argv[1:]
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    threads = []

    def start(target, *arguments):
        threads.append(threading.Thread(target=target, args=arguments, daemon=True))

    for address in addresses:
        for port in (53, 5353, 9953):
            start(on_udp, listen(address, port, socket.SOCK_DGRAM), reply)
            start(on_tcp, listen(address, port, socket.SOCK_STREAM), frames, None)
        start(on_tcp, listen(address, 853, socket.SOCK_STREAM), frames, tls)
        start(on_tcp, listen(address, 443, socket.SOCK_STREAM), page, tls)
        for port in (80, 1080, 9001):
            start(on_tcp, listen(address, port, socket.SOCK_STREAM), lambda stream: None, None)
        for port in (443, 500, 784, 853, 1194, 4500, 8853, 51820):
            start(on_udp, listen(address, port, socket.SOCK_DGRAM), lambda octets: octets)
    for thread in threads:
        thread.start()
    print("ready", flush=True)
    threading.Event().wait()


main()
