"""Python's servers for our HTTP client: prints the ports of aiohttp, and of the standard library's server for HTTP/1.0 and 1.1."""

import asyncio
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from aiohttp import web


async def echo(request):
    body = await request.read()
    headers = {"X-Method": request.method, "X-Path": request.raw_path}
    if request.match_info["kind"] == "length":
        return web.Response(body=body, headers=headers)
    answer = web.StreamResponse(headers=headers)
    answer.enable_chunked_encoding()
    await answer.prepare(request)
    for start in range(0, len(body), 777):
        await answer.write(body[start:start + 777])
    await answer.write_eof()
    return answer


async def status(request):
    return web.Response(status=int(request.match_info["status"]))


class Old(BaseHTTPRequestHandler):
    """Says where a body ends by ending the connection."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Interim(Old):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        for _ in range(3):
            self.send_response_only(103)
            self.send_header("Link", "</x>")
            self.end_headers()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


async def main():
    app = web.Application(client_max_size=1 << 24)
    app.router.add_route("*", "/{kind:length|chunked}", echo)
    app.router.add_route("*", "/status/{status}", status)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    ports = [site._server.sockets[0].getsockname()[1]]
    for handler in [Old, Interim]:
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        ports.append(server.server_address[1])
    print(*ports, flush=True)
    await asyncio.Event().wait()


asyncio.run(main())
