import { ApiError } from "./status.ts";

/** The form in which a reader wants objects. */
export type Representation = "json" | "table" | "metadata";

const AS: Readonly<Record<string, Representation>> = {
  Table: "table",
  PartialObjectMetadata: "metadata",
  PartialObjectMetadataList: "metadata",
};

/** Picks the first form of an Accept header that can be served. Protobuf, CBOR and YAML cannot. */
export function representation(accept: string | undefined): Representation {
  if (accept === undefined || accept.trim() === "") return "json";
  for (const clause of accept.split(",")) {
    const [media = "", ...parameters] = clause.split(";").map((part) => part.trim());
    if (!["application/json", "application/*", "*/*"].includes(media)) continue;
    const as = parameters.find((parameter) => parameter.startsWith("as="))?.slice(3);
    if (as === undefined) return "json";
    const group = parameters.find((parameter) => parameter.startsWith("g="))?.slice(2);
    const version = parameters.find((parameter) => parameter.startsWith("v="))?.slice(2);
    const found = AS[as];
    if (found !== undefined && group === "meta.k8s.io" && version === "v1") return found;
  }
  throw new ApiError(406, "NotAcceptable", "only the following media types are accepted: application/json");
}
