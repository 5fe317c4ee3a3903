import { MICROSOFT_AUTHORITIES, normalizeAuthority } from "./cloud.ts";
import type { EntraCloud } from "./cloud.ts";

export type AuthorityChoice =
  | { readonly ok: true; readonly authority: string }
  | { readonly ok: false; readonly message: string };

/**
 * Whom secrets and assertions may be sent to. An endpoint that anybody can write into an object would let them have
 * the secret posted to a server of their own.
 */
export class AuthorityList {
  readonly #default: string;
  readonly #allowed: ReadonlySet<string>;

  /** @throws {Error} that names an entry of `further` that is no authority */
  constructor(options: { readonly cloud: EntraCloud; readonly further?: readonly string[] }) {
    const further = (options.further ?? []).map((text) => {
      const authority = normalizeAuthority(text);
      if (authority === undefined)
        throw new Error(`${JSON.stringify(text)} is no authority; give an https URL without a path`);
      return authority;
    });
    this.#default = options.cloud.authority;
    this.#allowed = new Set([this.#default, ...MICROSOFT_AUTHORITIES, ...further]);
  }

  /** @param endpoint as somebody wrote it; empty: the cloud's own */
  choose(endpoint: string | undefined): AuthorityChoice {
    if (endpoint === undefined || endpoint.trim() === "") return { ok: true, authority: this.#default };
    const authority = normalizeAuthority(endpoint);
    if (authority !== undefined && this.#allowed.has(authority)) return { ok: true, authority };
    const why = authority === undefined ? "is no https URL without a path" : "is not on the list of authorities";
    return { ok: false, message: `${JSON.stringify(endpoint)} ${why}` };
  }
}
