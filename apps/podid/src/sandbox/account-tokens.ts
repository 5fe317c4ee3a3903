import { renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { KubeError, ResourceClient, RESOURCES, resourcePath, type KubeTransport } from "@podid/kube";

const LIFE_SECONDS = 3_600;
/** As kubelet: when 80 % of a token's life is over. */
const RENEW_AFTER_MS = LIFE_SECONDS * 1000 * 0.8;
const RETRY_MS = 5_000;

interface Account {
  readonly namespace: string;
  readonly name: string;
  readonly file: string;
  /** Name of the Secret that the token is bound to, and dies with. */
  secret: string | undefined;
}

/** Files with tokens of ServiceAccounts, made by TokenRequest and renewed in time, as kubelet does for pods. */
export class AccountTokens {
  readonly #transport: KubeTransport;
  readonly #secrets: ResourceClient;
  readonly #directory: string;
  readonly #accounts: Account[] = [];
  #generation = 0;

  constructor(transport: KubeTransport, directory: string) {
    this.#transport = transport;
    this.#secrets = new ResourceClient(transport, RESOURCES.secrets);
    this.#directory = directory;
    this.#renewAfter(RENEW_AFTER_MS);
  }

  /** Path of the file that always holds a valid token of the account, which must be there. */
  async file(namespace: string, name: string): Promise<string> {
    const account = { namespace, name, file: join(this.#directory, `${name}.token`), secret: undefined };
    await this.#issue(account);
    this.#accounts.push(account);
    return account.file;
  }

  /** Writes new tokens and makes the old ones invalid. */
  async rotate(): Promise<void> {
    for (const account of this.#accounts) {
      const { secret: old, namespace } = account;
      await this.#issue(account);
      if (old !== undefined) await this.#secrets.delete(old, namespace).catch(unlessGone);
    }
  }

  async #issue(account: Account): Promise<void> {
    const { namespace, name, file } = account;
    const secret = `${name}-token-${++this.#generation}`;
    await this.#secrets.create({ metadata: { name: secret, namespace } });
    const answer = await this.#transport.request<{ status: { token: string } }>({
      method: "POST",
      path: resourcePath(RESOURCES.serviceAccounts, { namespace, name, subresource: "token" }),
      body: {
        apiVersion: "authentication.k8s.io/v1",
        kind: "TokenRequest",
        spec: {
          expirationSeconds: LIFE_SECONDS,
          boundObjectRef: { apiVersion: "v1", kind: "Secret", name: secret },
        },
      },
    });
    writeFileSync(`${file}.new`, answer.status.token, { mode: 0o600 });
    renameSync(`${file}.new`, file);
    account.secret = secret;
  }

  #renewAfter(ms: number): void {
    setTimeout(() => {
      this.rotate().then(
        () => this.#renewAfter(RENEW_AFTER_MS),
        () => this.#renewAfter(RETRY_MS),
      );
    }, ms).unref();
  }
}

function unlessGone(error: unknown): void {
  if (!(error instanceof KubeError && error.status === 404)) throw error;
}
