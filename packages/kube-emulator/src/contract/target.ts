/** A server that claims to be a Kubernetes API server, and what the suite may do to it. */
export interface ContractTarget {
  readonly url: string;
  /** PEM. */
  readonly ca: string;
  /** Bearer token of somebody who may do everything. */
  readonly token: string;
  /** Makes the server forget its history. Without it the suite trusts that revision 1 is long forgotten. */
  compact?(): Promise<void>;
  /** Makes open watches get their bookmark now. Without it the suite skips the test of periodic bookmarks. */
  sendBookmarks?(): Promise<void>;
  /** True where managed fields, server-side apply and CEL are to be found. */
  readonly complete: boolean;
  close(): Promise<void>;
}
