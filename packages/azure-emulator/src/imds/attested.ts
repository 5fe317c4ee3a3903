import type { SigningKey } from "../entra/signing-key.ts";
import type { WireReply, WireRequest } from "../http/wire.ts";
import { parameter } from "../http/wire.ts";
import type { AzureState } from "../state/azure-state.ts";
import type { Machine } from "../state/compute-store.ts";
import { json, metadataError } from "./replies.ts";

/** `GET /metadata/attested/document`: the machine's data as signed PKCS#7, with the emulator's own certificate inside. */
export async function attestedDocument(
  state: AzureState,
  key: SigningKey,
  machine: Machine,
  request: WireRequest,
): Promise<WireReply> {
  const nonce = parameter(request.query, "nonce");
  if (nonce !== undefined && !/^\d{1,10}$/.test(nonce))
    return metadataError(400, "Bad request. nonce must be at most 10 digits");
  const now = state.clock.now();
  const content = {
    licenseType: "",
    nonce: nonce ?? stamp(now).replaceAll(/\D/g, "").slice(0, 10),
    plan: { name: "", product: "", publisher: "" },
    sku: "",
    subscriptionId: machine.resource.subscriptionId,
    timeStamp: { createdOn: stamp(now), expiresOn: stamp(now + 6 * 3_600_000) },
    vmId: machine.instance?.vmId ?? machine.resource.uniqueId,
  };
  // Few ask for it, so the start does not wait for the library behind it.
  const { signedData } = await import("./signed-data.ts");
  const signature = signedData(Buffer.from(JSON.stringify(content)), await key.material());
  return json(200, { encoding: "pkcs7", signature: signature.toString("base64") });
}

/** As in the document: `11/22/26 17:05:59 -0000`. */
function stamp(epochMs: number): string {
  const [date = "", time = ""] = new Date(epochMs).toISOString().split("T");
  const [year = "", month = "", day = ""] = date.split("-");
  return `${month}/${day}/${year.slice(2)} ${time.slice(0, 8)} -0000`;
}
