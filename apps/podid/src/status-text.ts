import type { SandboxStatus } from "./sandbox/protocol.ts";

/** Rows below their headings, columns as wide as their widest cell. */
export function renderTable(headings: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = headings.map((heading, column) =>
    Math.max(heading.length, ...rows.map((row) => row[column]?.length ?? 0)),
  );
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join("   ")
      .trimEnd();
  return [headings, ...rows].map((cells) => `${line(cells)}\n`).join("");
}

/** `podid sandbox status`. `now` in epoch milliseconds. */
export function renderStatus(status: SandboxStatus, now: number): string {
  const nodes = renderTable(
    ["NODE", "KIND", "ADDRESS", "PODS"],
    status.nodes.map((node) => [
      node.name,
      node.kind === "virtualMachine" ? "VM" : "scale set instance",
      node.address,
      String(status.pods.filter((pod) => pod.node === node.name).length),
    ]),
  );
  const pods = renderTable(
    ["POD", "NODE", "ADDRESS", "PHASE"],
    status.pods.map((pod) => [`${pod.namespace}/${pod.name}`, pod.node, pod.ip ?? "", pod.phase]),
  );
  const processes = renderTable(
    ["PROCESS", "STATE", "SINCE", "RESTARTS", "LAST EXIT"],
    status.processes.map((each) => [
      each.name,
      each.state,
      each.state === "running" && each.startedAt !== undefined ? `${Math.round((now - each.startedAt) / 1000)} s` : "",
      String(each.restarts),
      each.lastExit ?? "",
    ]),
  );
  return [nodes, ...(status.pods.length > 0 ? [pods] : []), processes].join("\n");
}
