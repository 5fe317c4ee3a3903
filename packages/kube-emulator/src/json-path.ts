import { isObject } from "./json.ts";

/**
 * Reads the JSONPath subset that CRD printer columns use: `.a.b`, `['a.b']`, `[0]`, `[*]`, `.a\.b`
 * and filters `[?(@.type=="Ready")]`. Returns every match.
 */
export function readJsonPath(path: string, root: unknown): unknown[] {
  let current: unknown[] = [root];
  for (const step of steps(path)) current = current.flatMap((value) => take(step, value));
  return current.filter((value) => value !== undefined);
}

type Step =
  | { readonly field: string }
  | { readonly index: number }
  | { readonly every: true }
  | { readonly where: string; readonly is: string };

const STEP =
  /\.((?:\\.|[^.[\\])+)|\[['"]((?:\\.|[^'"\\])+)['"]\]|\[(-?\d+)\]|\[\*\]|\[\?\(\s*@((?:\.[^=\s]+)+)\s*==\s*['"]([^'"]*)['"]\s*\)\]/gy;

function steps(path: string): Step[] {
  const text = path.startsWith(".") || path.startsWith("[") ? path : `.${path}`;
  return [...text.matchAll(STEP)].map(([, dotted, quoted, index, where, is]) => {
    if (dotted === "*") return { every: true };
    if (dotted !== undefined) return { field: dotted.replaceAll(/\\(.)/g, "$1") };
    if (quoted !== undefined) return { field: quoted.replaceAll(/\\(.)/g, "$1") };
    if (index !== undefined) return { index: Number(index) };
    return where === undefined ? { every: true } : { where, is: is ?? "" };
  });
}

function take(step: Step, value: unknown): unknown[] {
  if ("field" in step) return isObject(value) && Object.hasOwn(value, step.field) ? [value[step.field]] : [];
  if ("index" in step) return Array.isArray(value) ? [value.at(step.index)] : [];
  const items: unknown[] = Array.isArray(value) ? value : isObject(value) ? Object.values(value) : [];
  if ("every" in step) return items;
  return items.filter((item) => readJsonPath(step.where, item).some((found) => String(found) === step.is));
}
