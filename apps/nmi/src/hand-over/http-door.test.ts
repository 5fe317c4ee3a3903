import { connect } from "node:net";
import type { Socket } from "node:net";
import type { ImdsProxyOptions } from "@podid/imds-proxy";
import { afterEach, expect, test } from "vitest";
import type { Door } from "./doors.ts";
import { HttpDoors } from "./http-door.ts";

const PER_ADDRESS = 3;
const PROBE = "GET /metadata/identity/oauth2/token HTTP/1.1\r\nHost: x\r\n\r\n";
const sockets: Socket[] = [];
let door: Door | undefined;
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await door?.close();
});

/** A probe is answered before anything of the proxy's is looked at. */
const PROXY = { tokens: undefined, forwarder: undefined } as unknown as ImdsProxyOptions;

/** The status line of the answer, or that there is none. */
function probe(from: string): Promise<string> {
  const socket = connect({ port: door?.port ?? 0, host: "127.0.0.1", localAddress: from });
  sockets.push(socket);
  socket.on("error", () => undefined);
  socket.write(PROBE);
  return new Promise((resolve) => {
    socket.once("data", (data) => resolve(String(data).split("\r\n")[0] ?? ""));
    socket.once("close", () => resolve("none"));
  });
}

test("one address does not take the places of the others", async () => {
  const refused: string[] = [];
  const doors = new HttpDoors({ perAddress: PER_ADDRESS, refused: (address) => refused.push(address) });
  door = await doors.open({ host: "127.0.0.1", port: 0, proxy: PROXY });
  const answers: string[] = [];
  for (let n = 0; n < 5; n++) answers.push(await probe("127.0.0.2"));
  expect(answers).toEqual([...Array<string>(PER_ADDRESS).fill("HTTP/1.1 400 Bad Request"), "none", "none"]);
  expect(refused).toEqual(["127.0.0.2", "127.0.0.2"]);
  expect(await probe("127.0.0.3")).toBe("HTTP/1.1 400 Bad Request");
  expect(door.connections()).toBe(PER_ADDRESS + 1);

  sockets[0]?.destroy();
  await expect.poll(() => door?.connections()).toBe(PER_ADDRESS);
  expect(await probe("127.0.0.2")).toBe("HTTP/1.1 400 Bad Request");
});
