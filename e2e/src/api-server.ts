/**
 * The API server of this run: `PODID_API_SERVER` (`emulator` or `real`) says which one; without it the real one serves when
 * `KUBEBUILDER_ASSETS` is set.
 */
export const API_SERVER: "emulator" | "real" = chosen(process.env);

/** Those that a suite runs on which is for both: the chosen one, or without a choice every one that is there. */
export const API_SERVERS: readonly (typeof API_SERVER)[] =
  API_SERVER === "real" && (process.env["PODID_API_SERVER"] ?? "") === "" ? ["emulator", "real"] : [API_SERVER];

function chosen(env: NodeJS.ProcessEnv): "emulator" | "real" {
  const { PODID_API_SERVER: asked = "", KUBEBUILDER_ASSETS: assets = "" } = env;
  if (asked === "emulator" || asked === "real") return asked;
  if (asked === "") return assets === "" ? "emulator" : "real";
  throw new Error(`PODID_API_SERVER is ${JSON.stringify(asked)}: write emulator or real, or leave it away`);
}
