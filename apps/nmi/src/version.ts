declare const __PODID_COMMIT__: string | undefined;
declare const __PODID_DATE__: string | undefined;

export const VERSION = "0.1.0";
/** Set by the bundler; sources that run as they are do not know. */
export const COMMIT = typeof __PODID_COMMIT__ === "string" ? __PODID_COMMIT__ : "unknown";
export const BUILD_DATE = typeof __PODID_DATE__ === "string" ? __PODID_DATE__ : "unknown";
