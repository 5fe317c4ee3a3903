import { request as httpRequest } from "node:http";
import { request as httpsRequest } from "node:https";
import type { FetchJson } from "./federated-assertion.ts";

const TIMEOUT_MS = 5_000;
const LIMIT = 1024 * 1024;

/** GET of a JSON document over HTTP or HTTPS. Redirects are not followed. */
export const fetchJson: FetchJson = (url, caPem) =>
  new Promise((resolve, reject) => {
    const request = url.startsWith("https:") ? httpsRequest : httpRequest;
    const options = caPem === undefined ? {} : { ca: caPem };
    const outgoing = request(url, { ...options, timeout: TIMEOUT_MS, agent: false }, (response) => {
      const chunks: Buffer[] = [];
      let size = 0;
      response.on("data", (chunk: Buffer) => {
        chunks.push(chunk);
        size += chunk.length;
        if (size > LIMIT) outgoing.destroy(new Error(`${url} is larger than ${LIMIT} bytes`));
      });
      response.on("error", reject);
      response.on("end", () => {
        if (response.statusCode !== 200) return reject(new Error(`${url} answered ${response.statusCode}`));
        try {
          resolve(JSON.parse(Buffer.concat(chunks).toString("utf8")));
        } catch {
          reject(new Error(`${url} is no JSON`));
        }
      });
    });
    outgoing.on("timeout", () => outgoing.destroy(new Error(`${url} did not answer within ${TIMEOUT_MS} ms`)));
    outgoing.on("error", reject);
    outgoing.end();
  });
