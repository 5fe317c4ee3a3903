/** The part of Kubernetes' structural OpenAPI schemas that the four resources need. */
export interface Schema {
  readonly description?: string;
  readonly type?: "object" | "array" | "string" | "integer";
  readonly format?: "int32" | "int64" | "date-time";
  readonly nullable?: boolean;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly additionalProperties?: Schema;
  readonly items?: Schema;
  readonly "x-kubernetes-preserve-unknown-fields"?: true;
  readonly "x-kubernetes-embedded-resource"?: true;
  readonly "x-kubernetes-list-type"?: "atomic" | "set" | "map";
  readonly "x-kubernetes-list-map-keys"?: readonly string[];
}

/** The same schema in JSON Schema's words. */
export function toJsonSchema(schema: Schema): Record<string, unknown> {
  const { nullable, type, format, properties, additionalProperties, items } = schema;
  const range = type === "integer" && format === "int32" ? { minimum: -(2 ** 31), maximum: 2 ** 31 - 1 } : {};
  return {
    ...(type === undefined ? {} : { type: nullable === true ? [type, "null"] : type }),
    ...range,
    ...(properties === undefined ? {} : { properties: mapValues(properties) }),
    ...(additionalProperties === undefined ? {} : { additionalProperties: toJsonSchema(additionalProperties) }),
    ...(items === undefined ? {} : { items: toJsonSchema(items) }),
  };
}

function mapValues(properties: Readonly<Record<string, Schema>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(properties).map(([name, schema]) => [name, toJsonSchema(schema)]));
}

export const text = (description: string): Schema => ({ description, type: "string" });

export const integer = (description: string, format?: "int32"): Schema => ({
  description,
  type: "integer",
  ...(format === undefined ? {} : { format }),
});

/** An object of which nothing is kept: upstream declared it so, and kept nothing either. */
export const emptyObject = (description: string): Schema => ({ description, type: "object" });

export function object(description: string, properties: Readonly<Record<string, Schema>>): Schema {
  return { description, type: "object", properties };
}

/** The legacy spellings of fields: kept by the API server so that the upgrade can read them, and of any type so that nothing stored is refused. */
export function legacyProperties(spellings: Readonly<Record<string, string>>): Record<string, Schema> {
  const entries = Object.entries(spellings).map(([legacy, field]): [string, Schema] => [
    legacy,
    {
      description: `Deprecated spelling of ${field}, from before 1.6.`,
      nullable: true,
      "x-kubernetes-preserve-unknown-fields": true,
    },
  ]);
  return Object.fromEntries(entries);
}
