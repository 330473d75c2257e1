// node's ws as a server for our client; the words are those of ws_server.py.
const { WebSocketServer } = require("ws");
const server = new WebSocketServer({
  host: "127.0.0.1",
  port: 0,
  perMessageDeflate: true,
  handleProtocols: (offered) => (offered.has("kin.v1") ? "kin.v1" : false),
});
server.on("listening", () => console.log(server.address().port));
server.on("connection", (socket) => {
  socket.on("error", () => {});
  socket.on("message", (data, isBinary) => {
    const word = isBinary ? "" : data.toString();
    const [verb, value] = word.split(":");
    if (verb === "text") socket.send("é".repeat(Number(value)));
    else if (verb === "binary") socket.send(Buffer.alloc(Number(value), "b"));
    else if (verb === "close") socket.close(Number(value), "reason é");
    else if (word === "ping") {
      socket.once("pong", () => socket.send("pong"));
      socket.ping("are you there");
    } else if (word === "fragments") {
      socket.send("frag", { fin: false });
      socket.ping("between");
      socket.send("", { fin: false });
      socket.pong("unasked");
      socket.send("ments é", { fin: true });
    } else socket.send(data, { binary: isBinary });
  });
});
