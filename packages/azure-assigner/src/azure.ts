export { AzureArm } from "./arm-compute/azure-arm.ts";
export type { AzureArmOptions } from "./arm-compute/azure-arm.ts";
export { AzureIdentityDirectory } from "./arm-compute/azure-identity-directory.ts";
export type { ArmClientOptions } from "./arm-compute/client-options.ts";
