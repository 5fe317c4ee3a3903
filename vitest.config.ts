import { defineConfig } from "vitest/config";

/** Where CI wants the results as JSON, beside what a person reads. */
const report = process.env["PODID_TEST_REPORT"];

export default defineConfig({
  test: {
    reporters: report === undefined ? ["default"] : ["default", ["json", { outputFile: report }]],
    globalSetup: ["tools/src/test-programs.ts"],
    projects: [
      {
        test: {
          name: "unit",
          include: [
            "packages/*/src/**/*.test.ts",
            "apps/*/src/**/*.test.ts",
            "bench/src/**/*.test.ts",
            "tools/src/**/*.test.ts",
          ],
          // Only a test that fails takes so long: what passes waits for conditions, not for time.
          testTimeout: 90_000,
          hookTimeout: 60_000,
          // The default of a second is nothing on two busy cores.
          expect: { poll: { timeout: 60_000 } },
        },
      },
      {
        // Whole processes in network namespaces: a sandbox of its own for each file.
        test: {
          name: "e2e",
          include: ["e2e/src/**/*.test.ts"],
          testTimeout: 120_000,
          hookTimeout: 120_000,
          maxWorkers: 2,
        },
      },
      {
        // One real node, inside the namespaces that `npm run e2e:node` makes.
        test: {
          name: "node",
          include: ["e2e/node/*.test.ts"],
          testTimeout: 180_000,
          hookTimeout: 180_000,
          maxWorkers: 1,
        },
      },
      {
        // Packs and installs every publishable package: needs the registry.
        test: { name: "pack", include: ["tools/test/**/*.test.ts"], testTimeout: 300_000, hookTimeout: 300_000 },
      },
    ],
  },
});
