import { afterAll, beforeAll, expect, test } from "vitest";
import { ARM, Cluster, clientIdOf } from "./cluster.ts";

let cluster: Cluster;
beforeAll(async () => {
  cluster = await Cluster.start();
  await cluster.identity("vault", { selector: "vault" });
  await cluster.identity("other", { selector: "other" });
  const node = cluster.vm;
  await cluster.pod("mounting", { selector: "vault", node });
  await cluster.pod("curious", { selector: "other", node });
  await cluster.nmiReady(node);
  await cluster.untilAssigned("mounting", ["vault"]);
  await cluster.untilAssigned("curious", ["other"]);
}, 180_000);
afterAll(() => cluster.stop());

type Place = { readonly pod: string } | { readonly node: string };

interface HostAnswer {
  /** 0: no answer. */
  readonly status: number;
  readonly body: { readonly token?: Record<string, string>; readonly clientid?: string; readonly error?: string };
}

/** Asks as the Key Vault driver does, for the pod `mounting`. */
async function ask(from: Place, host: string, port: number, localAddress?: string): Promise<HostAnswer> {
  const program = `
    const { request } = require("node:http");
    const tell = (status, text) => {
      let body = {};
      try { body = JSON.parse(text); } catch {}
      console.log(JSON.stringify({ status, body }));
      process.exit(0);
    };
    const asked = request({
      host: ${JSON.stringify(host)}, port: ${port}, agent: false, ...${JSON.stringify({ localAddress })},
      path: "/host/token/?resource=${ARM}",
      headers: { host: "localhost:2579", podname: "mounting", podns: "default" },
    }, (answer) => {
      let text = "";
      answer.on("data", (chunk) => (text += chunk)).on("end", () => tell(answer.statusCode, text));
    });
    asked.on("error", (error) => tell(0, JSON.stringify({ error: error.code })));
    setTimeout(() => tell(0, '{"error":"silence"}'), 3_000);
    asked.end();`;
  const { code, stdout, stderr } = await cluster.control.exec(from, [process.execPath, "-e", program]);
  if (code !== 0) throw new Error(stderr);
  return JSON.parse(stdout) as HostAnswer;
}

async function inPod(...commands: readonly string[]): Promise<void> {
  for (const command of commands) {
    const { code, stderr } = await cluster.control.exec({ pod: "curious" }, ["sh", "-c", command]);
    if (code !== 0) throw new Error(`${command}: ${stderr}`);
  }
}

test("S63 a process of the host gets the token of the pod that it names", async () => {
  const { status, body } = await ask({ node: cluster.vm }, "127.0.0.1", 2579);
  expect([status, body.clientid, body.token?.["resource"]]).toEqual([200, clientIdOf("vault"), ARM]);
  expect(body.token?.["access_token"]).toMatch(/^[^.]+\.[^.]+\.[^.]+$/);
});

test("S63 a pod gets none by the address that is redirected", async () => {
  expect(await ask({ pod: "curious" }, "169.254.169.254", 80)).toMatchObject({
    status: 500,
    body: { error: "not-from-host" },
  });
  expect((await ask({ pod: "mounting" }, "169.254.169.254", 80)).status).toBe(500);
});

test("S63 nor by its node's loopback address, with its own address as sender or with a forged one", async () => {
  const { stdout } = await cluster.control.exec({ pod: "curious" }, ["ip", "route", "show", "default"]);
  const [, gateway, device] = /via (\S+) dev (\S+)/.exec(stdout) ?? [];
  // Packets for the loopback address now leave the pod; the node takes such packets, because redirects need that.
  await inPod(
    "sysctl -qw net.ipv4.conf.all.route_localnet=1",
    "ip rule add pref 100 lookup local",
    `ip rule add pref 10 to 127.0.0.1 lookup 50`,
    `ip route add 127.0.0.1/32 via ${gateway} dev ${device} table 50`,
    "ip rule del pref 0",
  );
  const left = async (): Promise<number> => {
    const { stdout: links } = await cluster.control.exec({ pod: "curious" }, [
      "ip",
      "-s",
      "-j",
      "link",
      "show",
      device ?? "",
    ]);
    return (JSON.parse(links) as { stats64: { tx: { packets: number } } }[])[0]?.stats64.tx.packets ?? 0;
  };
  for (const sender of [undefined, "127.0.0.1"]) {
    const before = await left();
    const answer = await ask({ pod: "curious" }, "127.0.0.1", 2579, sender);
    expect(await left()).toBeGreaterThan(before);
    expect([sender, answer.body.token]).toEqual([sender, undefined]);
    expect([0, 500]).toContain(answer.status);
  }
  expect((await ask({ node: cluster.vm }, "127.0.0.1", 2579)).status).toBe(200);
});
