import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { afterEach, beforeEach, expect, test } from "vitest";
import { TcpRelay } from "./tcp-relay.ts";

let upstream: Server;
let door: Server;
let relay: TcpRelay;
const sockets: Socket[] = [];

beforeEach(async () => {
  // Answers every piece of text with the same in capitals.
  upstream = createServer((socket) => {
    socket.setEncoding("utf8").on("data", (text: string) => socket.write(text.toUpperCase()));
    socket.on("error", () => undefined);
  });
  relay = new TcpRelay(await portOf(upstream));
  door = createServer();
  relay.accept(door);
  await portOf(door);
});

afterEach(() => {
  for (const socket of sockets.splice(0)) socket.destroy();
  upstream.close();
  door.close();
});

async function portOf(server: Server): Promise<number> {
  if (!server.listening) await once(server.listen(0, "127.0.0.1"), "listening");
  return (server.address() as AddressInfo).port;
}

async function client(): Promise<Socket> {
  const socket = connect(await portOf(door), "127.0.0.1").setEncoding("utf8");
  sockets.push(socket);
  await once(socket, "connect");
  return socket;
}

async function answerTo(socket: Socket, text: string): Promise<string> {
  const answer = once(socket, "data");
  socket.write(text);
  const [data] = (await answer) as [string];
  return data;
}

test("what is said passes in both directions, and the end too", async () => {
  const socket = await client();
  expect(await answerTo(socket, "hello")).toBe("HELLO");
  const closed = once(socket, "close");
  socket.end();
  await closed;
});

test("cut resets the connections of the peers that are meant, and says how many", async () => {
  const socket = await client();
  await answerTo(socket, "up");
  expect(relay.cut("10.99.")).toBe(0);
  expect(await answerTo(socket, "still")).toBe("STILL");
  const failed = once(socket, "error");
  expect(relay.cut("127.")).toBe(1);
  const [error] = (await failed) as [NodeJS.ErrnoException];
  expect(error.code).toBe("ECONNRESET");
});

test("a stalled connection says nothing until it is resumed, and then loses nothing; a new one is well", async () => {
  const socket = await client();
  await answerTo(socket, "up");
  relay.stall();
  let heard = "";
  socket.on("data", (text) => (heard += String(text)));
  socket.write("silent");
  expect(await answerTo(await client(), "new")).toBe("NEW");
  expect(heard).toBe("");
  const data = once(socket, "data");
  relay.resume();
  await data;
  expect(heard).toBe("SILENT");
});

test("a server that is gone is a reset for the client", async () => {
  upstream.close();
  await once(upstream, "close");
  const socket = await client();
  const [error] = (await once(socket, "error")) as [NodeJS.ErrnoException];
  expect(error.code).toBe("ECONNRESET");
});
