import { execFileSync } from "node:child_process";
import { createPrivateKey } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import forge from "node-forge";

type Asn1 = forge.asn1.Asn1;

/** Certificates made by the system's openssl, as users make them. */
export class CertificateWorkshop {
  readonly #directory = mkdtempSync(join(tmpdir(), "podid-certificates-"));

  #openssl(...args: string[]): void {
    execFileSync("openssl", args, { cwd: this.#directory, stdio: "pipe" });
  }

  read(file: string): Buffer {
    return readFileSync(join(this.#directory, file));
  }

  text(file: string): string {
    return this.read(file).toString("utf8");
  }

  /** NAME.key and NAME.crt, self-signed. */
  selfSigned(name: string, kind: "rsa" | "ec" | "ed25519" | "secp256k1", subject = `/CN=${name}`): void {
    const key = {
      rsa: ["rsa:2048"],
      ec: ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"],
      ed25519: ["ed25519"],
      secp256k1: ["ec", "-pkeyopt", "ec_paramgen_curve:secp256k1"],
    }[kind];
    this.#openssl(
      ..."req -x509 -nodes -days 2 -newkey".split(" "),
      ...key,
      ..."-keyout".split(" "),
      `${name}.key`,
      "-out",
      `${name}.crt`,
      "-subj",
      subject,
    );
  }

  /** NAME.key and NAME.crt, issued by another one. */
  issued(name: string, issuer: string): void {
    this.#openssl(
      ..."req -new -nodes -newkey rsa:2048 -keyout".split(" "),
      `${name}.key`,
      "-out",
      `${name}.csr`,
      "-subj",
      `/CN=${name}`,
    );
    writeFileSync(join(this.#directory, "extensions"), "basicConstraints=CA:TRUE\n");
    this.#openssl(
      ..."x509 -req -days 2 -CAcreateserial -extfile extensions -in".split(" "),
      `${name}.csr`,
      "-CA",
      `${issuer}.crt`,
      "-CAkey",
      `${issuer}.key`,
      "-out",
      `${name}.crt`,
    );
  }

  encryptedKey(name: string, password: string): string {
    this.#openssl("pkcs8", "-topk8", "-in", `${name}.key`, "-out", `${name}.enc`, "-passout", `pass:${password}`);
    return this.text(`${name}.enc`);
  }

  traditionalKey(name: string, password: string): string {
    const { asymmetricKeyType } = createPrivateKey(this.text(`${name}.key`));
    const kind = asymmetricKeyType === "ec" ? "ec" : "rsa";
    const traditional = kind === "rsa" ? ["-traditional"] : [];
    this.#openssl(
      kind,
      "-aes256",
      ...traditional,
      "-in",
      `${name}.key`,
      "-out",
      `${name}.old`,
      "-passout",
      `pass:${password}`,
    );
    return this.text(`${name}.old`);
  }

  /** @param flags as `-legacy`; `-certfile` for more certificates */
  pfx(name: string, password: string, ...flags: string[]): Buffer {
    const out = `${name}.pfx`;
    this.#openssl(
      "pkcs12",
      "-export",
      "-inkey",
      `${name}.key`,
      "-in",
      `${name}.crt`,
      "-out",
      out,
      "-passout",
      `pass:${password}`,
      ...flags,
    );
    return this.read(out);
  }

  /** The same PFX with its parts so many times over, and without the hash over them. */
  repeated(pfx: Buffer, times: number): Buffer {
    const outer = forge.asn1.fromDer(pfx.toString("latin1"));
    const child = (of: Asn1 | undefined, at: number): Asn1 | undefined => (of?.value as Asn1[] | undefined)?.[at];
    const octets = child(child(child(outer, 1), 1), 0);
    if (octets === undefined) throw new Error("not a PFX");
    const parts = forge.asn1.fromDer(octets.value as string);
    parts.value = Array.from({ length: times }, () => parts.value as Asn1[]).flat();
    octets.value = forge.asn1.toDer(parts).getBytes();
    outer.value = (outer.value as Asn1[]).slice(0, 2);
    return Buffer.from(forge.asn1.toDer(outer).getBytes(), "latin1");
  }

  close(): void {
    rmSync(this.#directory, { recursive: true });
  }
}
