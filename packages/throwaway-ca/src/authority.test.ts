import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { connect, createServer } from "node:tls";
import type { TLSSocket } from "node:tls";
import { expect, test } from "vitest";
import { createAuthority } from "./authority.ts";

test("server and client trust each other through it", async () => {
  const authority = await createAuthority({ name: "test CA", now: Date.now() });
  const server = await authority.issue({ commonName: "server", hosts: ["localhost", "127.0.0.1", "::1"] });
  const client = await authority.issue({ commonName: "alice", organization: "system:masters", client: true });
  const listener = createServer(
    {
      key: server.keyPem,
      cert: server.certificatePem,
      ca: authority.caPem,
      requestCert: true,
      rejectUnauthorized: true,
    },
    (socket) => {
      socket.on("error", () => undefined);
      const { O, CN } = socket.getPeerCertificate().subject;
      socket.end(JSON.stringify([O, CN]));
    },
  );
  listener.listen(0, "127.0.0.1");
  await once(listener, "listening");
  const { port } = listener.address() as AddressInfo;
  const read = async (socket: TLSSocket): Promise<string> => {
    let text = "";
    for await (const chunk of socket.setEncoding("utf8")) text += String(chunk);
    return text;
  };
  const trusted = connect({
    port,
    host: "127.0.0.1",
    ca: authority.caPem,
    key: client.keyPem,
    cert: client.certificatePem,
  });
  expect(await read(trusted)).toBe('["system:masters","alice"]');
  const stranger = await createAuthority({ name: "test CA", now: Date.now() });
  await expect(read(connect({ port, host: "127.0.0.1", ca: stranger.caPem }))).rejects.toThrow(
    "self-signed certificate",
  );
  listener.close();
});

test("names, purposes and validity stand in the certificate", async () => {
  const now = Date.parse("2026-01-10T00:00:00Z");
  const authority = await createAuthority({ name: "test CA", now });
  const pem = (await authority.issue({ commonName: "s", hosts: ["a.example", "10.99.0.1"], days: 2 })).certificatePem;
  const certificate = new X509Certificate(pem);
  expect(certificate.subjectAltName).toBe("DNS:a.example, IP Address:10.99.0.1");
  expect(certificate.keyUsage).toEqual(["1.3.6.1.5.5.7.3.1"]);
  expect(certificate.ca).toBe(false);
  expect([certificate.validFromDate, certificate.validToDate]).toEqual([
    new Date("2026-01-09"),
    new Date("2026-01-12"),
  ]);
  expect(certificate.verify(new X509Certificate(authority.caPem).publicKey)).toBe(true);
});
