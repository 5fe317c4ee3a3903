declare const __PODID_COMMIT__: string | undefined;
declare const __PODID_DATE__: string | undefined;

/** What `--version` and the user agent say. The bundler knows commit and date; sources that run as they are do not. */
export const BUILD = {
  version: "0.1.0",
  commit: typeof __PODID_COMMIT__ === "string" ? __PODID_COMMIT__ : "unknown",
  date: typeof __PODID_DATE__ === "string" ? __PODID_DATE__ : "unknown",
} as const;
