"""Python's HTTP clients against our server, which echoes: `http_clients.py PORT`."""

import asyncio
import sys

import aiohttp
import httpx

BASE = f"http://127.0.0.1:{sys.argv[1]}"
BODIES = [b"", b"x", b"y" * 4096, bytes(range(256)) * 4000]


async def pieces(body, size=1000):
    for start in range(0, len(body), size):
        yield body[start:start + size]


async def with_aiohttp():
    # One connection, so that every request but the first is on one that was kept.
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=1)) as session:
        for method in ["POST", "PUT", "PATCH", "DELETE"]:
            for body in BODIES:
                for data in [body, pieces(body)]:  # by its length, and chunked
                    async with session.request(method, f"{BASE}/a/b?c=d", data=data) as answer:
                        assert answer.status == 200 and await answer.read() == body, (method, len(body))
                        assert answer.headers["X-Method"] == method and answer.headers["X-Segments"] == "a|b"
        async with session.post(BASE, data=BODIES[3], expect100=True) as answer:
            assert await answer.read() == BODIES[3]
        async with session.head(f"{BASE}/big?n=5000") as answer:
            assert answer.headers["Content-Length"] == "5000" and await answer.read() == b""
        async with session.get(f"{BASE}/big?n=3000000") as answer:
            assert await answer.read() == b"\x07" * 3000000
        async with session.post(BASE, data=BODIES[2], compress="gzip") as answer:
            assert answer.status == 415 and answer.headers["Accept-Encoding"] == "identity"
    async with aiohttp.ClientSession() as session:
        async def one(number):
            async with session.post(BASE, data=b"%d" % number) as answer:
                assert await answer.read() == b"%d" % number
        await asyncio.gather(*(one(number) for number in range(200)))
    async with aiohttp.ClientSession(version=aiohttp.HttpVersion10) as session:
        async with session.post(BASE, data=b"old") as answer:
            assert await answer.read() == b"old"


def with_httpx():
    with httpx.Client() as client:
        for body in BODIES:
            assert client.post(f"{BASE}/a%2Fb", content=body).content == body
            assert client.put(BASE, content=iter([body[:7], body[7:]])).content == body
        answer = client.get(f"{BASE}/a%2Fb?x=%20y")
        assert answer.headers["X-Segments"] == "a/b" and answer.headers["X-Query"] == "x= y"
        assert client.options(f"{BASE}/a").headers["X-Method"] == "OPTIONS"
        assert client.get(BASE, headers={"Connection": "close"}).headers["Connection"] == "close"


async def pipelined():
    reader, writer = await asyncio.open_connection("127.0.0.1", int(sys.argv[1]))
    for number in range(50):
        body = b"z" * number
        writer.write(b"POST /%d HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (number, number) + body)
    for number in range(50):
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 ") and b"X-Segments: %d\r\n" % number in head
        assert await reader.readexactly(number) == b"z" * number
    writer.close()


asyncio.run(with_aiohttp())
with_httpx()
asyncio.run(pipelined())
print("all well")
