import { describe, expect, test } from "vitest";
import { METADATA_REQUIRED } from "./reply.ts";
import type { ImdsRequest, Refusal, TokenRequest } from "./request.ts";
import { requestTarget } from "./request-target.ts";
import { TOKEN_PATH } from "./routes.ts";
import { METADATA, RID, parse, status } from "../test/parsing.ts";

const T = TOKEN_PATH;

function refusal(request: ImdsRequest): Refusal {
  if (request.kind !== "refusal") throw new Error(`not refused but ${request.kind}`);
  return request;
}

describe("S57 routing", () => {
  test.for([
    [`${T}/?resource=r`, "token"],
    [`${T}?resource=r`, "token"],
    ["/Metadata/identity/oauth2/token/?resource=r", "token"],
    ["//METADATA//identity///oauth2/token//?resource=r", "token"],
    ["/metadata/identity/oauth2/%74oken?resource=r", "token"],
    ["/metadata/", "metadata"],
    ["/host/token", "404 host-token-off"],
    ["/host/token/?resource=r", "404 host-token-off"],
    ["/metadata/instance", "metadata"],
    ["/Metadata/instance", "metadata"],
    ["/Metadata/instance/", "metadata"],
    ["/metadata/instance/compute/vmSize?api-version=2019-03-11&format=text", "metadata"],
    ["/metadata/versions", "metadata"],
    ["/metadata/attested/document?api-version=2021-02-01&nonce=1234567890", "metadata"],
    ["/metadata/scheduledevents?api-version=2020-07-01", "metadata"],
    ["/metadata/loadbalancer?api-version=2020-10-01", "metadata"],
    ["/metadata/identity/info?api-version=2018-02-01", "metadata"],
    // Diverges from upstream, which forwarded these.
    ["/metadata/Identity/oauth2/token/?resource=r", "404 unknown-identity-path"],
    ["/metadata/identity", "404 unknown-identity-path"],
    ["/metadata/identity/oauth2/tokenfoo?resource=r", "404 unknown-identity-path"],
    ["/metadata/identity/oauth2/Token?resource=r", "404 unknown-identity-path"],
    ["/metadata/identity/getplatformmetadata?cred-api-version=2.0", "404 unknown-identity-path"],
    ["/metadata/attested", "404 not-found"],
    ["/doesnotexist", "404 not-found"],
    ["/", "404 not-found"],
    // CVE-2022-23551 and its relatives.
    ["/metadata/identity\\oauth2/token/", "400 invalid-path"],
    ["/metadata/identity/oauth2\\token/", "400 invalid-path"],
    ["/metadata/identity\\oauth2\\token/", "400 invalid-path"],
    ["/metadata/identity/\\oauth2/token/", "400 invalid-path"],
    ["/metadata/identity\\\\\\oauth2\\\\token/", "400 invalid-path"],
    ["/metadata/identity%5Coauth2/token/", "400 invalid-path"],
    ["/metadata/identity/oauth2%5ctoken/", "400 invalid-path"],
    ["/metadata/identity%2Foauth2/token", "400 invalid-path"],
    ["/metadata/identity%2foauth2%2ftoken", "400 invalid-path"],
    ["/metadata/identity/%252e%252e/oauth2/token", "400 invalid-path"],
    ["/metadata/./identity/oauth2/token", "400 invalid-path"],
    ["/metadata/instance/../identity/oauth2/token", "400 invalid-path"],
    ["/metadata/instance/%2e%2E/identity/oauth2/token", "400 invalid-path"],
    ["/metadata/identity/oauth2/token%00", "400 invalid-path"],
    ["/metadata/identity/oauth2/token%0a", "400 invalid-path"],
    ["/metadata/identity/oauth2/token\n", "400 invalid-path"],
    ["/metadata/identity/oauth2/token;x=1", "400 invalid-path"],
    ["/metadata/identity/oauth2/tok\u00e9n", "400 invalid-path"],
    ["/metadata/identity/oauth2/token#x", "400 invalid-path"],
    ["http://169.254.169.254/metadata/identity/oauth2/token?resource=r", "400 invalid-path"],
    ["metadata/identity/oauth2/token", "400 invalid-path"],
    ["*", "400 invalid-path"],
    ["", "400 invalid-path"],
    [`/${"a".repeat(3000)}`, "400 invalid-path"],
    ["/a".repeat(40), "400 invalid-path"],
  ] as const)("S57 %s is %s", ([target, want]) => {
    expect(status(parse(target))).toBe(want);
  });

  test("S57 an invalid path says so in upstream's words", () => {
    expect(refusal(parse("/metadata/identity\\oauth2/token/")).reply.body).toContain("Invalid request");
  });
});

describe("order of checks", () => {
  test.for([
    ["path grammar before the header", "/metadata/identity\\oauth2/token", [], {}, "400 invalid-path"],
    ["unknown identity path before the header", "/metadata/identity/x", [], {}, "404 unknown-identity-path"],
    ["S58 blocked before the header", "/metadata/instance", [], { blocked: ["instance"] }, "403 blocked"],
    ["S58 blocked in any casing", "/Metadata/INSTANCE/compute", METADATA, { blocked: ["instance"] }, "403 blocked"],
    ["S58 not blocked", "/metadata/instance", METADATA, {}, "metadata"],
    ["forwarded before the header", T, ["X-Forwarded-For", "1.2.3.4"], {}, "400 forwarded"],
    ["forwarded in any casing", T, [...METADATA, "x-forwarded-FOR", ""], {}, "400 forwarded"],
    ["S53 no header", T, [], {}, "400 metadata-header"],
    ["S53 no header, unknown path", "/doesnotexist", [], {}, "400 metadata-header"],
    ["S53 the header is false", `${T}?resource=r`, ["Metadata", "false"], {}, "400 metadata-header"],
    ["S53 not required", `${T}?resource=r`, [], { metadataHeaderRequired: false }, "token"],
    ["header value in any casing", `${T}?resource=r`, ["metadata", "True"], {}, "token"],
    ["header twice", `${T}?resource=r`, ["Metadata", "true", "metadata", "true"], {}, "400 duplicate-header"],
    ["host twice", `${T}?resource=r`, ["Host", "a", "host", "b", "Metadata", "true"], {}, "400 duplicate-header"],
    ["a body", `${T}?resource=r`, [...METADATA, "Content-Length", "3"], {}, "400 body"],
    ["a chunked body", `${T}?resource=r`, [...METADATA, "Transfer-Encoding", "chunked"], {}, "400 body"],
    ["an empty body", `${T}?resource=r`, [...METADATA, "Content-Length", "0"], {}, "token"],
  ] as const)("%s", ([, target, headers, rules, want]) => {
    expect(status(parse(target, headers, rules))).toBe(want);
  });

  test.for(["POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "TRACE"])("%s is not allowed", (method) => {
    const { reply } = refusal(parse(`${T}?resource=r`, METADATA, {}, method));
    expect(reply.status).toBe(405);
    expect(reply.headers["allow"]).toBe("GET");
  });

  test("S53 the body is IMDS's, 88 bytes", () => {
    expect(METADATA_REQUIRED.body).toBe(
      '{"error":"invalid_request","error_description":"Required metadata header not specified"}',
    );
    expect(METADATA_REQUIRED.body).toHaveLength(88);
    expect(refusal(parse(T, [])).reply).toEqual(METADATA_REQUIRED);
  });

  test("every refusal is a JSON object with error and error_description", () => {
    for (const target of ["/x", "/metadata/identity/x", T, `${T}?resource=a&resource=b`, "\\"]) {
      const { reply } = refusal(parse(target));
      expect(reply.headers["content-type"]).toBe("application/json; charset=utf-8");
      expect(Object.keys(JSON.parse(reply.body) as object)).toEqual(["error", "error_description"]);
    }
  });
});

describe("S63 the host token endpoint", () => {
  const POD = ["Podname", "p", "Podns", "default"];
  test.for([
    ["as the Key Vault driver asks", "/host/token/?resource=https://vault.azure.net", POD, "GET", "host-token"],
    ["without the slash", "/host/token?resource=r", POD, "GET", "host-token"],
    ["headers in any casing", "/host/token/?resource=r", ["podNS", "default", "PODNAME", "p"], "GET", "host-token"],
    ["without headers", "/host/token/?resource=r", [], "GET", "400 missing-pod-header"],
    ["without the namespace", "/host/token/?resource=r", ["podname", "p"], "GET", "400 missing-pod-header"],
    [
      "a name that none has",
      "/host/token/?resource=r",
      ["podname", "../p", "podns", "d"],
      "GET",
      "400 missing-pod-header",
    ],
    ["two names", "/host/token/?resource=r", [...POD, "podname", "q"], "GET", "400 duplicate-header"],
    ["two namespaces", "/host/token/?resource=r", [...POD, "podns", "q"], "GET", "400 duplicate-header"],
    ["forwarded", "/host/token/?resource=r", [...POD, "X-Forwarded-For", "1.1.1.1"], "GET", "400 forwarded"],
    ["another method", "/host/token/?resource=r", POD, "POST", "405 method"],
    ["with a body", "/host/token/?resource=r", [...POD, "Content-Length", "2"], "GET", "400 body"],
    ["no resource", "/host/token/", POD, "GET", "400 missing-resource"],
    ["a misspelt id", "/host/token/?resource=r&clientid=c", POD, "GET", "400 unknown-id-parameter"],
    ["a longer path", "/host/token/x?resource=r", POD, "GET", "400 metadata-header"],
  ] as const)("S63 %s", ([, target, headers, method, want]) => {
    expect(status(parse(target, headers, { hostToken: true }, method))).toBe(want);
  });

  test("S63 upstream's words", () => {
    const said = (headers: readonly string[]): string =>
      refusal(parse("/host/token/", headers, { hostToken: true })).reply.body;
    expect(said([])).toContain("missing 'podname' and 'podns' from request header");
    expect(said(POD)).toContain("parameter resource cannot be empty");
    expect(parse("/host/token/?resource=r&client_id=c", POD, { hostToken: true })).toMatchObject({
      podName: "p",
      podNamespace: "default",
      request: { resource: "r", requested: { clientId: "c" } },
    });
  });
});

describe("N-10 approving scheduled events", () => {
  const E = "/metadata/scheduledevents?api-version=2020-07-01";
  const BODY = [...METADATA, "Content-Type", "application/json", "Content-Length", "44"];
  test.for([
    ["by default", E, BODY, {}, "405 method"],
    ["where it is allowed", E, BODY, { approveEvents: true }, "metadata"],
    ["blocked all the same", E, BODY, { approveEvents: true, blocked: ["scheduledevents"] }, "403 blocked"],
    ["without the header", E, BODY.slice(4), { approveEvents: true }, "400 metadata-header"],
    ["without a length", E, [...METADATA, "Transfer-Encoding", "chunked"], { approveEvents: true }, "400 body"],
    ["too long", E, [...METADATA, "Content-Length", "5000"], { approveEvents: true }, "400 body"],
    ["elsewhere", "/metadata/instance", BODY, { approveEvents: true }, "405 method"],
  ] as const)("%s", ([, target, headers, rules, want]) => {
    expect(status(parse(target, headers, rules, "POST"))).toBe(want);
  });
});

describe("token parameters", () => {
  test.for([
    ["client_id=C&msi_res_id=R&resource=https://vault.azure.net", { clientId: "C", resourceId: "R" }],
    ["mi_res_id=R&resource=https://vault.azure.net", { resourceId: "R" }],
    ["resource=https://vault.azure.net", {}],
    ["resource=https://vault.azure.net&client_id=", {}],
    ["resource=https://vault.azure.net&object_id=O", { objectId: "O" }],
    [`resource=https://vault.azure.net&msi_res_id=${RID}`, { resourceId: RID }],
    [`resource=https%3A%2F%2Fvault.azure.net&msi_res_id=${encodeURIComponent(RID)}`, { resourceId: RID }],
  ] as const)("S55 %s", ([query, requested]) => {
    expect(parse(`${T}?${query}`)).toMatchObject({ kind: "token", resource: "https://vault.azure.net", requested });
  });

  test("S56 a missing resource", () => {
    expect(JSON.parse(refusal(parse(`${T}?api-version=2018-02-01`)).reply.body)).toEqual({
      error: "invalid_request",
      error_description: "parameter resource cannot be empty",
    });
  });

  test.for([
    ["resource=a&resource=b", "invalid-query"],
    ["resource=a&Resource=b", "invalid-query"],
    ["resource=a&client_id=1&client_id=2", "invalid-query"],
    ["resource=a&client_id=1&client%5Fid=2", "invalid-query"],
    ["resource=a&client_id=%zz", "invalid-query"],
    ["resource=a%00", "invalid-query"],
    ["resource=a%0d%0aHost:%20x", "invalid-query"],
    ["resource=a\u00e9", "invalid-query"],
    ["resource=a&msi_res_id=1&mi_res_id=2", "invalid-query"],
    ["resource=a&resource_id=1", "unknown-id-parameter"],
    ["resource=a&msi-res-id=1", "unknown-id-parameter"],
    ["resource=a&clientId=1", "unknown-id-parameter"],
    ["resource=a&Client_ID=1", "unknown-id-parameter"],
    ["resource=a&principal-id=1", "unknown-id-parameter"],
    ["resource=a&user_object_id=1", "unknown-id-parameter"],
    ["resource=a&api-version=latest", "invalid-parameter"],
    [`resource=${"a".repeat(3000)}`, "invalid-parameter"],
    [`resource=a&${Array.from({ length: 40 }, (_, index) => `p${index}=1`).join("&")}`, "invalid-query"],
  ] as const)("%s is refused as %s", ([query, reason]) => {
    const refused = refusal(parse(`${T}?${query}`));
    expect(refused.reason).toBe(reason);
    expect(refused.reply.status).toBe(400);
  });

  test("unknown parameters are ignored and not forwarded", () => {
    const request = parse(`${T}?resource=a&foo=bar&api-version=2019-08-01`) as TokenRequest;
    expect(requestTarget(request)).toBe(`${T}?api-version=2019-08-01&resource=a`);
  });

  test("bypass_cache is only true", () => {
    expect(parse(`${T}?resource=a&bypass_cache=true`)).toMatchObject({ bypassCache: true });
    expect(parse(`${T}?resource=a&bypass_cache=1`)).toMatchObject({ bypassCache: false });
  });
});

describe("official clients' requests", () => {
  const C = "11111111-2222-3333-4444-555555555555";
  test.for([
    [
      "py-identity",
      `?api-version=2018-02-01&resource=https://management.azure.com/&client_id=${C}`,
      ["User-Agent", "azsdk-python-identity", "x-client-SKU", "MSAL.Python", "Metadata", "true"],
    ],
    [
      "py-identity, resource id",
      `?api-version=2018-02-01&resource=https://management.azure.com/&msi_res_id=${RID}`,
      ["Metadata", "true"],
    ],
    [
      "py-msrestazure",
      `?resource=https%3A%2F%2Fmanagement.azure.com%2F&api-version=2018-02-01&client_id=${C}`,
      ["Metadata", "true"],
    ],
    [
      "go-azidentity",
      `?api-version=2018-02-01&client_id=${C}&resource=https%3A%2F%2Fmanagement.azure.com%2F`,
      ["Metadata", "true", "X-Client-Sku", "MSAL.Go"],
    ],
    [
      "go-adal, resource id",
      `?api-version=2018-02-01&mi_res_id=${encodeURIComponent(RID)}&resource=https%3A%2F%2Fmanagement.azure.com%2F`,
      ["Metadata", "true"],
    ],
    [
      "java-identity",
      `?api-version=2018-02-01&mi_res_id=${encodeURIComponent(RID)}&resource=https%3A%2F%2Fmanagement.azure.com%2F`,
      ["host", "169.254.169.254", "accept", "application/json", "Metadata", "true"],
    ],
    [
      "js-identity",
      `?api-version=2018-02-01&resource=https%3A%2F%2Fmanagement.azure.com%2F&client_id=${C}`,
      ["Content-Type", "application/x-www-form-urlencoded", "metadata", "true"],
    ],
    [
      "js-msal",
      `?api-version=2018-02-01&resource=https%3A%2F%2Fmanagement.azure.com%2F&client_id=${C}`,
      ["sec-fetch-mode", "cors", "accept-language", "*", "Metadata", "true"],
    ],
    [
      "rust-identity",
      `?api-version=2019-08-01&resource=https%3A%2F%2Fmanagement.azure.com%2F&client_id=${C}`,
      ["metadata", "true"],
    ],
    [
      "dotnet",
      `?api-version=2018-02-01&resource=https://management.azure.com/&client_id=${C}`,
      ["x-ms-client-request-id", "1", "x-ms-return-client-request-id", "true", "Metadata", "true"],
    ],
    [
      "override with slash",
      `/?api-version=2018-02-01&resource=https%3A%2F%2Fmanagement.azure.com%2F&client_id=${C}`,
      ["metadata", "true"],
    ],
  ] as const)("%s", ([, query, headers]) => {
    const request = parse(`${T}${query}`, headers) as TokenRequest;
    expect(request).toMatchObject({ kind: "token", resource: "https://management.azure.com/" });
    expect([C, RID]).toContain(request.requested.clientId ?? request.requested.resourceId);
  });

  test.for([
    "",
    "?api-version=2018-02-01",
    `?api-version=2018-02-01&client_id=${C}`,
    `?api-version=2018-02-01&resource=a&msi-res-id=${RID}`,
  ])("a probe %s gets exactly 400", (query) =>
    expect(refusal(parse(`${T}${query}`, ["Host", "169.254.169.254"])).reply).toEqual(METADATA_REQUIRED),
  );
});
