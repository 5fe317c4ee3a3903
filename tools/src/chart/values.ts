import { COMMON_VALUES, OPTION_VALUES } from "./values-common.ts";
import { MIC_VALUES, NMI_VALUES } from "./values-workloads.ts";
import type { Group, Value } from "./value-types.ts";

/** Everything that stands in values.yaml, in its order. values.yaml, values.schema.json and the README are made of it. */
export const VALUES: readonly (Value | Group)[] = [...COMMON_VALUES, ...MIC_VALUES, ...NMI_VALUES, ...OPTION_VALUES];

/** The leaves alone. */
export const LEAVES: readonly Value[] = VALUES.filter((row): row is Value => "type" in row);
