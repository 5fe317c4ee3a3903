import { createServer, type Server } from "node:net";
import { CUSTOM_RESOURCE_DEFINITIONS } from "@podid/crd-types";
import { ResourceClient, RESOURCES, transportFromKubeConfig, type KubeObject } from "@podid/kube";
import { parseNodeKubeConfig } from "@podid/kube/node-kubeconfig";
import { ControlPlane, type Assets } from "@podid/kube-control-plane";
import type { ApiServer } from "./api-server.ts";
import { ControlPlaneControl } from "./control-plane-control.ts";
import { TcpRelay } from "./tcp-relay.ts";

const ESTABLISH_TIMEOUT_MS = 30_000;

/** kube-apiserver and etcd on the loopback, reached through a relay. */
export async function startRealApiServer(o: {
  readonly host: string;
  readonly port: number;
  readonly assets: Assets;
  readonly directory: string;
}): Promise<ApiServer> {
  const { assets, directory, host, port } = o;
  const controlPlane = await ControlPlane.start({
    assets,
    directory,
    issuer: `https://${host}:${port}`,
    certificateHosts: [host],
  });
  const relay = new TcpRelay(controlPlane.port);
  relay.accept(await listening(host, port));
  await defineResources(controlPlane);
  const control = new ControlPlaneControl(controlPlane, relay);
  return {
    kubeconfig: (server) => controlPlane.kubeconfig(server),
    accept: (server) => relay.accept(server),
    control: (call) => control.answer(call),
    audit: undefined,
  };
}

async function listening(host: string, port: number): Promise<Server> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen({ host, port, backlog: 511 }, resolve);
  });
  return server;
}

/** Creates podid's definitions and waits until they are served. */
async function defineResources(controlPlane: ControlPlane): Promise<void> {
  const transport = transportFromKubeConfig(parseNodeKubeConfig(controlPlane.kubeconfig()), {
    userAgent: "podid-sandbox",
  });
  const client = new ResourceClient(transport, RESOURCES.customResourceDefinitions);
  const deadline = performance.now() + ESTABLISH_TIMEOUT_MS;
  await Promise.all(
    CUSTOM_RESOURCE_DEFINITIONS.map(async (definition) => {
      let stored = await client.create(definition as unknown as KubeObject);
      while (!isEstablished(stored)) {
        if (performance.now() > deadline)
          throw new Error(
            `kube-apiserver does not serve ${stored.metadata.name}: ${JSON.stringify(conditionsOf(stored))}`,
          );
        await new Promise((resolve) => setTimeout(resolve, 50));
        stored = await client.get(stored.metadata.name);
      }
    }),
  );
  await transport.close();
}

function conditionsOf(object: KubeObject): readonly { readonly type: string; readonly status: string }[] {
  return (object["status"] as { conditions?: { type: string; status: string }[] } | undefined)?.conditions ?? [];
}

function isEstablished(definition: KubeObject): boolean {
  return conditionsOf(definition).some(({ type, status }) => type === "Established" && status === "True");
}
