import { existsSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import type { Socket } from "node:net";
import { join } from "node:path";

/**
 * Opens connections to HOST PORT, COUNT of them, half with the beginning of a request, and holds them: makes the file
 * `opened` in FOLDER when it has tried all, and ends when there is a file `end` and it holds no more than ALLOWED, or after
 * a while; prints how many it still held then.
 */
const [host = "", port = "", count = "0", allowed = "0", folder = ""] = process.argv.slice(2);
const AT_ONCE = 200;
const GIVE_UP_MS = 120_000;
const sockets = new Set<Socket>();

function open(n: number): Promise<void> {
  return new Promise((resolve) => {
    const socket = connect(Number(port), host, () => {
      sockets.add(socket);
      if (n % 2 === 0) socket.write("GET /metadata/identity/oauth2/token HTTP/1.1\r\nMetadata: true\r\n");
      resolve();
    });
    // Who does not read does not notice that the other side has gone.
    socket.resume();
    socket.on("error", () => resolve());
    socket.once("close", () => {
      sockets.delete(socket);
      resolve();
    });
  });
}

const giveUp = performance.now() + GIVE_UP_MS;
for (let tried = 0; tried < Number(count) && performance.now() < giveUp; tried += AT_ONCE)
  await Promise.all(Array.from({ length: AT_ONCE }, (_, n) => open(n)));
writeFileSync(join(folder, "opened"), "");
while (performance.now() < giveUp && !(existsSync(join(folder, "end")) && sockets.size <= Number(allowed)))
  await new Promise((resolve) => setTimeout(resolve, 50));
process.stdout.write(JSON.stringify({ left: sockets.size }));
process.exit(0);
