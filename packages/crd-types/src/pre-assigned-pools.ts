import { PRE_ASSIGN_ANNOTATION } from "./constants.ts";

const NONE: readonly string[] = Object.freeze([]);

/** The node pools of annotation {@link PRE_ASSIGN_ANNOTATION}, each once; `["*"]` for every node; none without it. */
export function preAssignedPools(annotations: Readonly<Record<string, unknown>> | undefined): readonly string[] {
  const text = annotations?.[PRE_ASSIGN_ANNOTATION];
  if (typeof text !== "string") return NONE;
  const pools = new Set(
    text
      .split(",")
      .map((pool) => pool.trim())
      .filter((pool) => pool !== ""),
  );
  if (pools.size === 0) return NONE;
  return pools.has("*") ? ["*"] : [...pools];
}
