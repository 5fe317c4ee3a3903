import { readBody } from "./body.ts";
import type { Call } from "./call.ts";
import { sendJson, sendUnknownPath, writeOptions } from "./call.ts";
import { deleteObject, deleteOptions } from "./deletion.ts";
import { at } from "./json.ts";
import { bindPod } from "./pod-binding.ts";
import type { PodLogs } from "./pod-log.ts";
import { podLogOptions } from "./pod-log.ts";
import type { ResourceStorage } from "./resource-storage.ts";
import type { ResourceType } from "./resource-type.ts";
import type { TokenAuthority } from "./service-account-token.ts";
import { ApiError, notFound } from "./status.ts";

export interface SubresourceParts {
  readonly storage: ResourceStorage;
  readonly tokens: TokenAuthority;
  readonly podLogs: PodLogs | undefined;
}

/** Everything below an object but its status. */
export async function serveSubresource(call: Call, type: ResourceType, parts: SubresourceParts): Promise<void> {
  const { info, response } = call;
  const { storage, tokens } = parts;
  const what = `${type.storage}/${info.subresource} ${info.verb}`;
  switch (what) {
    case "/pods/binding create":
      bindPod(storage, info.namespace, info.name, await readBody(call.request), writeOptions(call));
      sendJson(response, 201, { kind: "Status", apiVersion: "v1", metadata: {}, status: "Success", code: 201 });
      return;
    case "/pods/eviction create": {
      const body = await readBody(call.request);
      deleteObject(storage, type, info.namespace, info.name, deleteOptions(info.query, at(body, "deleteOptions")));
      sendJson(response, 201, { kind: "Status", apiVersion: "v1", metadata: {}, status: "Success", code: 201 });
      return;
    }
    case "/pods/log get":
      await sendLog(call, type, parts);
      return;
    case "/serviceaccounts/token create":
      sendJson(response, 201, await tokens.request(info.namespace, info.name, await readBody(call.request)));
      return;
    default:
      if (type.custom) throw notFound(type, info.name);
      sendUnknownPath(response);
  }
}

async function sendLog(
  { info, response }: Call,
  type: ResourceType,
  { storage, podLogs }: SubresourceParts,
): Promise<void> {
  const pod = storage.get(type, info.namespace, info.name).object;
  const options = podLogOptions(pod, info.query);
  if (podLogs === undefined)
    throw new ApiError(501, "NotImplemented", "nothing runs pods here: the emulator was started without podLogs");
  const closed = new AbortController();
  response.on("close", () => closed.abort());
  const lines = await podLogs({ ...options, signal: closed.signal });
  if (lines === undefined) throw notFound(type, info.name);
  response.writeHead(200, { "content-type": "text/plain" });
  response.flushHeaders();
  for await (const chunk of lines) {
    if (closed.signal.aborted) return;
    response.write(chunk);
  }
  response.end();
}
