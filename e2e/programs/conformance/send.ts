import { connect } from "node:net";

/**
 * Sends requests byte for byte, each on a connection of its own and there a second time when the answer has come, as
 * clients with kept-alive connections do when they retry. The argument is JSON: host, port and the requests;
 * prints the answers as they came.
 */
const { host, port, requests } = JSON.parse(process.argv[2] ?? "{}") as {
  host: string;
  port: number;
  requests: string[];
};

function send(request: string): Promise<string[]> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, host, () => socket.write(request, "latin1"));
    const answers: string[] = [];
    let text = "";
    socket.setEncoding("latin1");
    socket.on("data", (chunk: string) => {
      text += chunk;
      const head = text.indexOf("\r\n\r\n");
      if (head < 0) return;
      const length = Number(/^content-length: (\d+)/im.exec(text.slice(0, head))?.[1]);
      if (text.length < head + 4 + length) return;
      answers.push(text);
      text = "";
      if (answers.length < 2) socket.write(request, "latin1");
      else socket.end();
    });
    socket.once("close", () => resolve(answers));
    socket.once("error", reject);
  });
}

process.stdout.write(JSON.stringify(await Promise.all(requests.map(send))));
