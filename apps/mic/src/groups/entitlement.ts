import { KubeError, ResourceClient, RESOURCES } from "@podid/kube";
import type { KubeObject, KubeTransport, Resource } from "@podid/kube";
import { bindingRecord, identityRecord, match, podRecord } from "@podid/matcher";
import { pair } from "../assigned/pairing.ts";
import type { AssignedRecord } from "../assigned/record.ts";

/**
 * Asks the API server itself whether a pod is still entitled to what an object says. A new leader's watches may have stalled
 * unnoticed while the old one served new pods: what it does not know of must not lose its identity.
 */
export class Entitlement {
  readonly #transport: KubeTransport;
  readonly #forceNamespaced: boolean;

  constructor(transport: KubeTransport, options: { readonly forceNamespaced: boolean }) {
    this.#transport = transport;
    this.#forceNamespaced = options.forceNamespaced;
  }

  /** @throws {KubeError} when it cannot be told */
  async holds(record: AssignedRecord): Promise<boolean> {
    const { podNamespace, podName, nodeName, binding, identity } = record;
    const [pod, liveBinding, liveIdentity, node] = await Promise.all([
      this.#get(RESOURCES.pods, podName, podNamespace),
      this.#get(RESOURCES.azureIdentityBindings, binding.name, binding.namespace),
      this.#get(RESOURCES.azureIdentities, identity.name, identity.namespace),
      this.#get(RESOURCES.nodes, nodeName),
    ]);
    const records = {
      pod: podRecord(pod),
      binding: bindingRecord(liveBinding),
      identity: identityRecord(liveIdentity),
    };
    if (!records.pod || !records.binding || !records.identity || !node) return false;
    const { assignments } = match(
      { pods: [records.pod], bindings: [records.binding], identities: [records.identity] },
      { forceNamespaced: this.#forceNamespaced },
    );
    const here = assignments.filter(({ pod: { nodeName: name } }) => name === nodeName);
    return pair(here, [record], this.#forceNamespaced).pairs.length > 0;
  }

  async #get(resource: Resource, name: string, namespace?: string): Promise<KubeObject | undefined> {
    if (name === "" || namespace === "") return undefined;
    try {
      return await new ResourceClient(this.#transport, resource).get(name, namespace);
    } catch (error) {
      if (KubeError.is(error, 404)) return undefined;
      throw error;
    }
  }
}
