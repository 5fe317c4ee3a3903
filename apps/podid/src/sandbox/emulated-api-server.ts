import { CUSTOM_RESOURCE_DEFINITIONS } from "@podid/crd-types";
import { startKubeEmulator, type PodLogs } from "@podid/kube-emulator";
import type { ApiServer } from "./api-server.ts";
import { EmulatorControl } from "./emulator-control.ts";

/** The emulator, in this process. */
export async function startEmulatedApiServer(o: {
  readonly host: string;
  readonly port: number;
  readonly podLogs: PodLogs;
}): Promise<ApiServer> {
  const emulator = await startKubeEmulator({ ...o, crds: CUSTOM_RESOURCE_DEFINITIONS });
  const control = new EmulatorControl(emulator);
  return {
    kubeconfig: (server) => emulator.kubeconfig(server),
    accept: (server) => emulator.accept(server),
    control: (call) => control.answer(call),
    audit: emulator.audit,
  };
}
