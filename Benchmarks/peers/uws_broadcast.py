"""uWebSockets' bare broadcast: what one socket sends, all others get. Nothing is stored or checked.

The peer beside which the relay's fan-out is measured. Needs the package socketify.
"""

from socketify import App, OpCode


def opened(socket):
    socket.subscribe("room")


def received(socket, message, opcode):
    socket.publish("room", message, OpCode.BINARY)


app = App()
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
