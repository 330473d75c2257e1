"""Python's WebSocket clients against our server, which echoes: `ws_clients.py PORT`."""

import asyncio
import sys

import aiohttp
import websockets

URL = f"ws://127.0.0.1:{sys.argv[1]}/echo"
SIZES = [0, 1, 125, 126, 127, 65535, 65536, 900_000]
CODES = [1000, 1001, 1003, 1008, 1011, 3000, 4000, 4999]


async def with_websockets():
    # By default it offers permessage-deflate, which is not taken.
    async with websockets.connect(URL, subprotocols=["other", "kin.v1"], max_size=None) as socket:
        assert socket.protocol.extensions == [] and socket.request.headers["Sec-WebSocket-Extensions"]
        assert socket.response.headers.get("Sec-WebSocket-Extensions") is None
        for size in SIZES:
            for message in [b"b" * size, "t" * size, "é€😀" * (size // 9)]:
                await socket.send(message)
                assert await socket.recv() == message, size
        await (await socket.ping(b"payload"))
        await (await socket.ping())
        await socket.send(["in ", "", "three ", "pieces é"])
        assert await socket.recv() == "in three pieces é"

        async def between():
            for part in [b"a", b"bc", b"", b"d" * 70000]:
                yield part
                # While a message is under way only control frames may come between its fragments.
                await (await socket.ping())
        await socket.send(between())
        assert await socket.recv() == b"abc" + b"d" * 70000
        for number in range(500):
            await socket.send(b"%d" % number)
        for number in range(500):
            assert await socket.recv() == b"%d" % number
    for code in CODES:
        socket = await websockets.connect(URL)
        await socket.close(code, "reason é")
        assert (socket.close_code, socket.protocol.close_rcvd.code) == (code, code)
    async with websockets.connect(f"ws://127.0.0.1:{sys.argv[1]}/kin", subprotocols=["kin.v1"]) as socket:
        assert socket.subprotocol == "kin.v1"
    try:
        await websockets.connect(f"ws://127.0.0.1:{sys.argv[1]}/refuse")
        raise AssertionError("it was let in")
    except websockets.InvalidStatus as error:
        assert error.response.status_code == 403
    async with websockets.connect(URL, max_size=None) as socket:
        await socket.send(b"x" * 2_000_000)
        try:
            await socket.recv()
            raise AssertionError("too much was taken")
        except websockets.ConnectionClosed as error:
            assert error.rcvd.code == 1009


async def with_aiohttp():
    async with aiohttp.ClientSession() as session:
        async with session.ws_connect(URL, compress=15, max_msg_size=0) as socket:
            assert not socket.compress
            for size in SIZES:
                await socket.send_bytes(b"b" * size)
                assert await socket.receive_bytes() == b"b" * size
                await socket.send_str("é" * (size // 2))
                assert await socket.receive_str() == "é" * (size // 2)
            await socket.ping(b"x")
            await socket.send_str("after the ping")
            assert await socket.receive_str() == "after the ping"
            await socket.close(code=4001)
            assert socket.close_code == 4001


asyncio.run(with_websockets())
asyncio.run(with_aiohttp())
print("all well")
