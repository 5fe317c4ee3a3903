export { createAuthority } from "./authority.ts";
export type { Authority, CertificateRequest, KeyPair } from "./authority.ts";
export { createSelfSigned } from "./self-signed.ts";
