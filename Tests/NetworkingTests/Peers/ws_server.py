"""Servers for our WebSocket client: `ws_server.py websockets|aiohttp` prints its port.

It answers `text:N` and `binary:N` by messages of that size, `fragments` by one in pieces with pings between, `ping` by what a ping
of ours got, `close:CODE` by closing, and all else by itself.
"""

import asyncio
import sys

import websockets
from aiohttp import WSMsgType, web


async def fragments(socket):
    for part in ["frag", "", "ments é"]:
        yield part
        await (await socket.ping(b"between"))


async def serve_websockets():
    async def handler(socket):
        async for message in socket:
            word = message if isinstance(message, str) else ""
            if word.startswith("text:"):
                await socket.send("é" * int(word[5:]))
            elif word.startswith("binary:"):
                await socket.send(b"b" * int(word[7:]))
            elif word == "fragments":
                await socket.send(fragments(socket))
            elif word == "ping":
                await (await socket.ping(b"are you there"))
                await socket.send("pong")
            elif word.startswith("close:"):
                await socket.close(int(word[6:]), "reason é")
            else:
                await socket.send(message)
    # It would compress if it were asked to.
    async with websockets.serve(handler, "127.0.0.1", 0, subprotocols=["kin.v1"], compression="deflate", max_size=None) as server:
        print(next(iter(server.sockets)).getsockname()[1], flush=True)
        await asyncio.Event().wait()


async def serve_aiohttp():
    async def handler(request):
        socket = web.WebSocketResponse(protocols=["kin.v1"], compress=True, max_msg_size=0)
        await socket.prepare(request)
        async for message in socket:
            if message.type == WSMsgType.BINARY:
                await socket.send_bytes(message.data)
                continue
            word = message.data
            if word.startswith("text:"):
                await socket.send_str("é" * int(word[5:]))
            elif word.startswith("binary:"):
                await socket.send_bytes(b"b" * int(word[7:]))
            elif word == "fragments":
                await socket.send_str("fragments é")  # it has no way to send fragments
            elif word == "ping":
                await socket.ping(b"are you there")
                await socket.send_str("pong")
            elif word.startswith("close:"):
                await socket.close(code=int(word[6:]), message="reason é".encode())
            else:
                await socket.send_str(word)
        return socket
    app = web.Application()
    app.router.add_get("/", handler)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    print(site._server.sockets[0].getsockname()[1], flush=True)
    await asyncio.Event().wait()


asyncio.run(serve_websockets() if sys.argv[1] == "websockets" else serve_aiohttp())
