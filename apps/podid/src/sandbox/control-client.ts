import type { SandboxState } from "./state-file.ts";

/** Client of a sandbox's control API. */
export class ControlClient {
  readonly #state: Pick<SandboxState, "controlUrl" | "controlToken">;

  constructor(state: Pick<SandboxState, "controlUrl" | "controlToken">) {
    this.#state = state;
  }

  get<T>(path: string): Promise<T> {
    return this.request<T>("GET", path);
  }

  post<T>(path: string, body: object = {}): Promise<T> {
    return this.request<T>("POST", path, body);
  }

  /** @throws Error with the API's own explanation */
  async request<T>(method: string, path: string, body?: object): Promise<T> {
    const response = await this.#fetch(method, path, body);
    const text = await response.text();
    return (text === "" ? undefined : JSON.parse(text)) as T;
  }

  /** Text as it comes, e.g. of a log that is followed; ends when `signal` aborts. */
  async *stream(path: string, signal: AbortSignal): AsyncGenerator<string> {
    const decoder = new TextDecoder();
    try {
      const response = await this.#fetch("GET", path, undefined, signal);
      if (response.body === null) return;
      for await (const chunk of response.body) yield decoder.decode(chunk as Uint8Array, { stream: true });
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  }

  async #fetch(method: string, path: string, body?: object, signal?: AbortSignal): Promise<Response> {
    const response = await fetch(`${this.#state.controlUrl}${path}`, {
      method,
      headers: {
        authorization: `Bearer ${this.#state.controlToken}`,
        ...(body ? { "content-type": "application/json" } : {}),
      },
      ...(body ? { body: JSON.stringify(body) } : {}),
      ...(signal ? { signal } : {}),
    });
    if (response.ok) return response;
    const text = await response.text();
    let why = text;
    try {
      why = (JSON.parse(text) as { error_description?: string }).error_description ?? text;
    } catch {
      // Not JSON: the text itself.
    }
    throw new Error(why);
  }
}
