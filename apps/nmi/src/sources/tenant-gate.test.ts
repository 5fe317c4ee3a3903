import type { EntraAnswer } from "@podid/entra-tokens";
import { FakeClock } from "@podid/imds-proxy/testing";
import { expect, test } from "vitest";
import { TenantGate } from "./tenant-gate.ts";
