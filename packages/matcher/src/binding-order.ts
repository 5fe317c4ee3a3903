interface Named {
  readonly namespace: string;
  readonly name: string;
}

/** By namespace, then by name, both by code unit: names in Kubernetes are ASCII, so this is also the order by bytes. */
export function compareBindings(a: Named, b: Named): number {
  return compareText(a.namespace, b.namespace) || compareText(a.name, b.name);
}

export function compareText(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
