export { unpackPackages, type PackageSelection } from "./apt.ts";
export { cacheFolder } from "./cache-folder.ts";
export { findUp } from "./find-up.ts";
export { findIsolation, type Isolation } from "./isolation.ts";
export { MOUNT_SCRIPT, NamespacesForbiddenError, probeNamespaces, type NamespaceMode } from "./namespaces.ts";
export { findNativeTools, MissingToolsError, type NativeTools } from "./native-tools.ts";
