import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CUSTOM_RESOURCE_DEFINITIONS } from "@podid/crd-types";
import { expect, onTestFinished, test } from "vitest";
import { parse } from "yaml";
import { crdDrift, crdFiles, writeCrds } from "./generate-crds.ts";

test("the chart's CRDs are those of @podid/crd-types", async () => {
  expect(await crdDrift()).toEqual([]);
});

test("the YAML says what the objects say", () => {
  expect([...crdFiles().values()].map((yaml) => parse(yaml) as unknown)).toEqual(
    JSON.parse(JSON.stringify(CUSTOM_RESOURCE_DEFINITIONS)),
  );
});

test("drift of every sort is told, and mended by writing", async () => {
  const directory = await mkdtemp(join(tmpdir(), "podid-crds-"));
  onTestFinished(() => rm(directory, { recursive: true }));
  expect(await crdDrift(directory)).toHaveLength(CUSTOM_RESOURCE_DEFINITIONS.length);
  await writeCrds(directory);
  expect(await crdDrift(directory)).toEqual([]);
  const edited = join(directory, "azureidentities.yaml");
  await writeFile(edited, `${await readFile(edited, "utf8")}# by hand\n`);
  await rm(join(directory, "azureidentitybindings.yaml"));
  await writeFile(join(directory, "old.yaml"), "");
  expect((await crdDrift(directory)).toSorted()).toEqual([
    "azureidentities.yaml differs",
    "azureidentitybindings.yaml is missing",
    "old.yaml is no CRD of @podid/crd-types",
  ]);
  await writeCrds(directory);
  expect(await crdDrift(directory)).toEqual([]);
});
