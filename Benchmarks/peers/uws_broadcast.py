"""uWebSockets' bare broadcast: what one socket sends, all others get. Nothing is stored or checked.

The peer beside which the relay's fan-out is measured. Needs the package socketify. With two arguments, files of a
certificate and its key, it speaks TLS.
"""

import sys

from socketify import App, AppOptions, OpCode


def opened(socket):
    socket.subscribe("room")


def received(socket, message, opcode):
    socket.publish("room", message, OpCode.BINARY)


files = sys.argv[1:]
app = App(AppOptions(cert_file_name=files[0], key_file_name=files[1])) if files else App()
app.ws(
    "/*",
    {
        "max_payload_length": 1 << 20,
        "max_backpressure": 64 << 20,
        "idle_timeout": 120,
        "open": opened,
        "message": received,
    },
)
app.listen(
    {"host": "127.0.0.1", "port": 0},
    lambda config: print(f"listening on 127.0.0.1:{config.port}", flush=True),
)
app.run()
