/** Credentials and trust for one request. */
export interface Connection {
  /** `authorization` and impersonation headers, lower-case names. */
  readonly headers: Readonly<Record<string, string | readonly string[]>>;
  readonly tls: TlsMaterial;
}

/** What goes into the TLS handshake; PEM. */
export interface TlsMaterial {
  readonly ca?: string | undefined;
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
  readonly servername?: string | undefined;
  /** False only where a kubeconfig says `insecure-skip-tls-verify`. */
  readonly rejectUnauthorized?: boolean | undefined;
}

/** Where the API server is and who asks. Read anew for every request, so that rotated files and tokens take effect. */
export interface ConnectionSource {
  /** Base URL; a path in it is kept. */
  readonly server: string;
  /** `proxy-url` of a kubeconfig. */
  readonly proxyUrl?: string | undefined;
  /** With `refresh` (after a 401) cached credentials are read again. Rejects with an Error that names file or command. */
  connection(options: { readonly refresh: boolean }): Promise<Connection>;
}
