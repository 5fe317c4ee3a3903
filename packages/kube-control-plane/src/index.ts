export { findAssets } from "./assets.ts";
export type { Assets } from "./assets.ts";
export { ControlPlane } from "./control-plane.ts";
export type { ControlPlaneOptions } from "./control-plane.ts";
export type { StaticUser } from "./control-plane.ts";
export { Program } from "./program.ts";
