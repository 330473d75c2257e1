// node's ws against our server, which echoes: `ws_client.js PORT`.
const assert = require("assert");
const WebSocket = require("ws");
const url = `ws://127.0.0.1:${process.argv[2]}/echo`;

const open = (options = {}) =>
  new Promise((resolve, reject) => {
    const socket = new WebSocket(url, options);
    socket.inbox = [];
    socket.waiters = [];
    socket.on("message", (data, isBinary) => {
      const message = isBinary ? data : data.toString();
      socket.waiters.length ? socket.waiters.shift()(message) : socket.inbox.push(message);
    });
    socket.next = () =>
      socket.inbox.length ? Promise.resolve(socket.inbox.shift()) : new Promise((resolve) => socket.waiters.push(resolve));
    socket.on("open", () => resolve(socket));
    socket.on("error", reject);
  });
const closed = (socket) => new Promise((resolve) => socket.on("close", (code, reason) => resolve([code, reason.toString()])));

(async () => {
  for (const perMessageDeflate of [true, false]) {
    const socket = await open({ perMessageDeflate });
    assert.strictEqual(socket.extensions, "");
    for (const size of [0, 1, 125, 126, 65535, 65536, 900000]) {
      socket.send(Buffer.alloc(size, 7));
      assert.deepStrictEqual(await socket.next(), Buffer.alloc(size, 7));
      socket.send("é".repeat(size / 2));
      assert.strictEqual(await socket.next(), "é".repeat(size / 2));
    }
    const pong = new Promise((resolve) => socket.on("pong", resolve));
    socket.send("frag", { fin: false });
    socket.ping("between");
    socket.send("", { fin: false });
    socket.pong("unasked");
    socket.send("ments", { fin: true });
    assert.strictEqual(await socket.next(), "fragments");
    assert.strictEqual((await pong).toString(), "between");
    const end = closed(socket);
    socket.close(4002, "reason é");
    assert.deepStrictEqual((await end)[0], 4002);
  }
  for (const code of [1000, 1001, 1011, 3000, 4999]) {
    const socket = await open();
    const end = closed(socket);
    socket.close(code);
    assert.strictEqual((await end)[0], code);
  }
  // No code at all is answered by none.
  const quiet = await open();
  const end = closed(quiet);
  quiet.close();
  assert.strictEqual((await end)[0], 1005);
  console.log("all well");
})().catch((error) => {
  console.error(error);
  process.exit(1);
});
