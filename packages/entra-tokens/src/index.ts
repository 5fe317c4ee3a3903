export { AuthorityList } from "./authority-list.ts";
export type { AuthorityChoice } from "./authority-list.ts";
export { clientAssertion } from "./client-assertion.ts";
export type { AssertionOptions } from "./client-assertion.ts";
export { CertificateError, readClientCertificate } from "./client-certificate.ts";
export type { ClientCertificate } from "./client-certificate.ts";
export { entraCloud, MICROSOFT_AUTHORITIES, normalizeAuthority } from "./cloud.ts";
export type { EntraCloud } from "./cloud.ts";
export type { EntraAnswer } from "./entra-answer.ts";
export { EntraClient, isTenant, scopeOf, tokenUrl } from "./entra-client.ts";
export type {
  ClientCredential,
  EndpointVersion,
  EntraClientOptions,
  EntraRequest,
  TokenEndpoint,
} from "./entra-client.ts";
export type { PosterOptions } from "./https-post.ts";
