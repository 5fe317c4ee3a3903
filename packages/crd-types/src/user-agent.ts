export interface UserAgentParts {
  readonly component: "MIC" | "NMI";
  readonly version: string;
  readonly commit: string;
  readonly date: string;
  /** Value of `--custom-user-agent`. */
  readonly custom?: string | undefined;
}

/** The User-Agent of requests to Kubernetes, ARM, Entra and IMDS; aad-pod-identity's form, so that filters keep working. */
export function userAgent({ component, version, commit, date, custom }: UserAgentParts): string {
  const product = `aad-pod-identity/${component}/${version}/${commit}/${date}`;
  return custom ? `${product} ${custom}` : product;
}
