import { createHash, sign } from "node:crypto";
import type { SigningKey } from "../entra/signing-key.ts";
import type { WireReply, WireRequest } from "../http/wire.ts";
import { parameter } from "../http/wire.ts";
import type { AzureState } from "../state/azure-state.ts";
import type { Machine } from "../state/compute-store.ts";
import { der, integer, objectIdentifier, octetString, sequence, set, tagged } from "../tls/der.ts";
import { distinguishedName, signatureAlgorithm } from "../tls/certificate.ts";
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
  const { privateKey, certificate } = await key.material();
  const signature = signedData(
    Buffer.from(JSON.stringify(content)),
    certificate,
    (bytes) => sign("sha256", bytes, privateKey),
    signatureAlgorithm(privateKey),
  );
  return json(200, { encoding: "pkcs7", signature: signature.toString("base64") });
}

/** As in the document: `11/22/26 17:05:59 -0000`. */
function stamp(epochMs: number): string {
  const [date = "", time = ""] = new Date(epochMs).toISOString().split("T");
  const [year = "", month = "", day = ""] = date.split("-");
  return `${month}/${day}/${year.slice(2)} ${time.slice(0, 8)} -0000`;
}

const DATA = objectIdentifier("1.2.840.113549.1.7.1");
const SIGNED_DATA = objectIdentifier("1.2.840.113549.1.7.2");
const SHA256 = sequence(objectIdentifier("2.16.840.1.101.3.4.2.1"), der(0x05));

/** CMS SignedData (RFC 5652 §5) with one signer that is named by issuer and serial number. */
function signedData(
  content: Buffer,
  certificate: Buffer,
  signBytes: (bytes: Buffer) => Buffer,
  algorithm: Buffer,
): Buffer {
  const attributes = [
    attribute("1.2.840.113549.1.9.3", DATA),
    attribute("1.2.840.113549.1.9.4", octetString(createHash("sha256").update(content).digest())),
  ];
  const signer = sequence(
    integer(Buffer.of(1)),
    sequence(distinguishedName("accounts.accesscontrol.windows.net"), serialNumber(certificate)),
    SHA256,
    tagged(0, ...attributes),
    algorithm,
    // The signature covers the attributes as a SET, not as the tagged field that carries them.
    octetString(signBytes(set(...attributes))),
  );
  return sequence(
    SIGNED_DATA,
    tagged(
      0,
      sequence(
        integer(Buffer.of(1)),
        set(SHA256),
        sequence(DATA, tagged(0, octetString(content))),
        tagged(0, certificate),
        set(signer),
      ),
    ),
  );
}

function attribute(id: string, value: Buffer): Buffer {
  return sequence(objectIdentifier(id), set(value));
}

/** The DER of the serial number: the second field of the certificate's body, after the version. */
function serialNumber(certificate: Buffer): Buffer {
  const body = inner(certificate);
  const afterVersion = inner(body).subarray(elementLength(inner(body)));
  return afterVersion.subarray(0, elementLength(afterVersion));
}

function inner(element: Buffer): Buffer {
  return element.subarray(headerLength(element), elementLength(element));
}

function headerLength(element: Buffer): number {
  const first = element[1] ?? 0;
  return first < 0x80 ? 2 : 2 + (first & 0x7f);
}

function elementLength(element: Buffer): number {
  const header = headerLength(element);
  return header + (header === 2 ? (element[1] ?? 0) : element.readUIntBE(2, header - 2));
}
