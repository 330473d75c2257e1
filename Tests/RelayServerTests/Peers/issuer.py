"""A single sign-on's web server: gives keys from a file, and other things that such a server may give.

usage: issuer.py FOLDER PORT [CERTIFICATE KEY]   (listens on loopback; over TLS if a certificate is named)

  /jwks.json   the file of that name, read anew each time; asked-for times are counted in `FOLDER/count`
  /redirect    302 to /jwks.json
  /error       500 with the keys in its body
  /huge        a body of 1 MiB
  /garbage     200 with a page for people
  /slow        takes the request and never answers
"""

import http.server
import os
import ssl
import sys
import time

folder, port = sys.argv[1], int(sys.argv[2])


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        pass

    def answer(self, status, body, **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        with open(os.path.join(folder, "count"), "a") as count:
            count.write(".")
        if self.path == "/slow":
            time.sleep(600)
        with open(os.path.join(folder, "jwks.json"), "rb") as file:
            keys = file.read()
        if self.path == "/jwks.json":
            self.answer(200, keys)
        elif self.path == "/redirect":
            self.answer(302, b"", Location="/jwks.json")
        elif self.path == "/error":
            self.answer(500, keys)
        elif self.path == "/huge":
            self.answer(200, keys[:-1] + b" " * (1 << 20) + keys[-1:])
        else:
            self.answer(200, b"<html><body>It works</body></html>")


server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
server.daemon_threads = True
if len(sys.argv) > 3:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[3], sys.argv[4])
    server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
