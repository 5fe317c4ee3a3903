import { createAuthority } from "@podid/throwaway-ca";

export interface Issued {
  readonly cert: string;
  readonly key: string;
}

export interface TestAuthority {
  readonly ca: string;
  issue(commonName: string): Promise<Issued>;
}

/** A throw-away CA whose certificates are valid for 127.0.0.1 and localhost, and for clients. */
export async function testAuthority(): Promise<TestAuthority> {
  const authority = await createAuthority({ name: "test CA", now: Date.now() });
  return {
    ca: authority.caPem,
    async issue(commonName) {
      const hosts = ["127.0.0.1", "localhost"];
      const { certificatePem, keyPem } = await authority.issue({ commonName, hosts, client: true });
      return { cert: certificatePem, key: keyPem };
    },
  };
}
