import { setTimeout as sleep } from "node:timers/promises";
import { createLogger, renderHelp, runMain } from "@podid/service";
import { armOperations, virtualMachines } from "./arm-operations.ts";
import { runDemo } from "./demo.ts";
import { FLAGS, parseOptions } from "./flags.ts";
import { instanceMetadata } from "./instance-metadata.ts";
import { METADATA_ORIGIN } from "./metadata-service.ts";
import { tokenByClientId, tokenByMsi } from "./token.ts";

const HELP = {
  usage: "demo --subscription-id=ID --resource-group=NAME --identity-client-id=ID [flags]",
  summary:
    "Verifies from inside a pod that it can use its Azure identity: lists virtual machines, acquires two tokens, reads instance metadata.",
};

runMain(async (signal) => {
  const argv = process.argv.slice(2);
  if (argv.some((argument) => /^--?h(?:elp)?$/.test(argument))) {
    process.stdout.write(renderHelp(HELP, FLAGS));
    return 0;
  }
  const parsed = parseOptions(argv);
  if (!parsed.ok) {
    process.stderr.write(`${parsed.errors.join("\n")}\n`);
    return 2;
  }
  const { options } = parsed;
  // The Azure SDK reads the same variable, so both kinds of check ask the same place.
  const origin = (process.env["AZURE_POD_IDENTITY_AUTHORITY_HOST"] || METADATA_ORIGIN).replace(/\/+$/, "");
  const service = { origin, timeoutMs: 80_000 };

  return runDemo(
    {
      checks: [
        armOperations(virtualMachines({ ...options, endpoint: options.armEndpoint, audience: options.armEndpoint })),
        tokenByMsi(service, options.resource),
        tokenByClientId(service, options.resource, options.clientId),
        instanceMetadata(service),
      ],
      log: createLogger({ component: "demo", format: "text" }),
      periodMs: options.periodMs,
      sleep: (ms, abort) => sleep(ms, undefined, { signal: abort }),
    },
    signal,
  );
});
