"""A stub upstream on loopback: one address for every name. `stub.py PORT TTL`, until killed."""

import asyncio
import sys

import dns


class Stub(asyncio.DatagramProtocol):
    def __init__(self, ttl: int) -> None:
        self.ttl = ttl

    def connection_made(self, transport) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, address) -> None:
        self.transport.sendto(dns.answer_of_stub(data, self.ttl), address)


async def main(port: int, ttl: int) -> None:
    loop = asyncio.get_running_loop()
    await loop.create_datagram_endpoint(lambda: Stub(ttl), local_addr=("127.0.0.1", port))
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))
