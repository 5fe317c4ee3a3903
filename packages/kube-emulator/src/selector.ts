import type { KubeObject } from "./json.ts";
import type { ResourceType } from "./resource-type.ts";
import { shown } from "./resource-type.ts";
import { badRequest } from "./status.ts";

type Test = (object: KubeObject) => boolean;

/** Which objects a list or watch is about. */
export interface Selection {
  readonly matches: Test;
  /** Everything matches, as far as selectors go. */
  readonly all: boolean;
  /** Node name that the field selector demands, so that a watch on one node is not asked about the pods of others. */
  readonly nodeName: string | undefined;
}

const LABEL_KEY = /^([a-z0-9]([-a-z0-9.]*[a-z0-9])?\/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/;

export function selection(type: ResourceType, labelSelector: string, fieldSelector: string): Selection {
  const labels = parseLabelSelector(labelSelector);
  const fields = parseFieldSelector(type, fieldSelector);
  const tests = [...labels, ...fields.map((field) => field.test)];
  return {
    matches: (object) => tests.every((test) => test(object)),
    all: tests.length === 0,
    nodeName: fields.find((field) => field.name === "spec.nodeName" && field.equal)?.value,
  };
}

/** Parses `a=b,c!=d,e in (f,g),h notin (i),j,!k,l>1`. */
export function parseLabelSelector(text: string): Test[] {
  if (text.trim() === "") return [];
  return splitOutsideParentheses(text).map((requirement) => labelTest(requirement.trim()));
}

function labelTest(requirement: string): Test {
  const inSet = /^(\S+)\s+(in|notin)\s*\(([^()]*)\)$/.exec(requirement);
  if (inSet !== null) {
    const key = checkedKey(inSet[1] as string, requirement);
    const values = new Set((inSet[3] as string).split(",").map((value) => value.trim()));
    const wanted = inSet[2] === "in";
    return ({ metadata }) =>
      metadata.labels?.[key] === undefined ? !wanted : values.has(metadata.labels[key]) === wanted;
  }
  const compared = /^([^=!<>\s]+)\s*(==|=|!=|<|>)\s*([^=!<>\s]*)$/.exec(requirement);
  if (compared !== null) {
    const key = checkedKey(compared[1] as string, requirement);
    const value = compared[3] as string;
    switch (compared[2]) {
      case "!=":
        return ({ metadata }) => metadata.labels?.[key] !== value;
      case "<":
        return ({ metadata }) => Number(metadata.labels?.[key] ?? Number.NaN) < Number(value);
      case ">":
        return ({ metadata }) => Number(metadata.labels?.[key] ?? Number.NaN) > Number(value);
      default:
        return ({ metadata }) => metadata.labels?.[key] === value;
    }
  }
  if (requirement.startsWith("!")) {
    const key = checkedKey(requirement.slice(1).trim(), requirement);
    return ({ metadata }) => metadata.labels?.[key] === undefined;
  }
  const key = checkedKey(requirement, requirement);
  return ({ metadata }) => metadata.labels?.[key] !== undefined;
}

function checkedKey(key: string, requirement: string): string {
  if (LABEL_KEY.test(key)) return key;
  throw badRequest(
    `unable to parse requirement: found '${requirement}', expected: a label key, or one of in, notin, =, ==, !=, gt, lt`,
  );
}

function splitOutsideParentheses(text: string): string[] {
  const parts: string[] = [];
  let depth = 0;
  let from = 0;
  for (let index = 0; index < text.length; index++) {
    if (text[index] === "(") depth += 1;
    if (text[index] === ")") depth -= 1;
    if (text[index] === "," && depth === 0) {
      parts.push(text.slice(from, index));
      from = index + 1;
    }
  }
  return [...parts, text.slice(from)];
}

interface FieldTest {
  readonly name: string;
  readonly value: string;
  readonly equal: boolean;
  readonly test: Test;
}

function parseFieldSelector(type: ResourceType, text: string): FieldTest[] {
  return splitFieldTerms(text).map((term) => {
    const parsed = /^(.*?)(==|!=|=)(.*)$/s.exec(term);
    if (parsed === null) throw badRequest(`invalid selector: '${text}'; can't understand '${term}'`);
    const [, name = "", operator, raw = ""] = parsed;
    const read = type.selectableFields[name];
    if (read === undefined) throw badRequest(unknownField(type, name));
    const value = raw.replaceAll(/\\([\\,=])/g, "$1");
    const equal = operator !== "!=";
    return { name, value, equal, test: (object: KubeObject) => (read(shown(type, object)) === value) === equal };
  });
}

function unknownField(type: ResourceType, name: string): string {
  const known = Object.keys(type.selectableFields);
  if (type.custom || known.some((field) => !field.startsWith("metadata."))) return `field label not supported: ${name}`;
  return `${JSON.stringify(name)} is not a known field selector: only ${known.map((field) => JSON.stringify(field)).join(", ")}`;
}

/** Terms are separated by commas that no backslash escapes. */
function splitFieldTerms(text: string): string[] {
  const terms = text.match(/(?:\\.|[^,\\])+/gs) ?? [];
  return terms.filter((term) => term !== "");
}
