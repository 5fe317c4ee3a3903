import { describe, expect, test } from "vitest";
import { describeError, describeResponse } from "./failure.ts";

const TOKEN = "eyJ0eXAiOiJKV1QifQ.eyJhdWQiOiJ4In0.c2lnbmF0dXJl";

describe("describeResponse", () => {
  test.for([
    {
      name: "IMDS's error object",
      body: JSON.stringify({ error: "invalid_request", error_description: "Identity not found" }),
      want: "400 Bad Request: invalid_request: Identity not found",
    },
    { name: "text", body: "pod list is empty\n", want: "400 Bad Request: pod list is empty" },
    { name: "no body", body: "", want: "400 Bad Request" },
    { name: "an object without explanation", body: `{"a":1}`, want: `400 Bad Request: {"a":1}` },
    {
      name: "several lines",
      body: JSON.stringify({ error: "e", error_description: "one\r\nE1122 forged line" }),
      want: "400 Bad Request: e: one E1122 forged line",
    },
    { name: "a token in the text", body: `echo ${TOKEN} end`, want: "400 Bad Request: echo (token) end" },
  ])("$name", async ({ body, want }) => {
    expect(await describeResponse(new Response(body, { status: 400, statusText: "Bad Request" }))).toBe(want);
  });

  test("a long text is cut", async () => {
    expect((await describeResponse(new Response("x".repeat(5000), { status: 500 }))).length).toBeLessThan(700);
  });
});

describe("describeError", () => {
  const because = (message: string, cause: unknown) => new Error(message, { cause });
  test.for([
    { name: "an error", error: new Error("boom"), want: "boom" },
    {
      name: "the innermost cause of fetch()",
      error: because("fetch failed", new Error("connect ECONNREFUSED")),
      want: "connect ECONNREFUSED",
    },
    { name: "a cause without words", error: because("fetch failed", new AggregateError([])), want: "fetch failed" },
    { name: "no error", error: "text", want: "text" },
    {
      name: "the credential's failure: MSAL's status and the server's words",
      error: because(
        "ManagedIdentityCredential: Authentication failed.",
        Object.assign(
          new Error(
            "invalid_request: Error(s): Not Available - Timestamp: Not Available - Description: Identity not found - Correlation ID: a - Trace ID: b",
          ),
          { status: 400 },
        ),
      ),
      want: "400: Identity not found",
    },
    {
      name: "ARM's refusal",
      error: Object.assign(new Error("The client 'c' does not have authorization"), {
        statusCode: 403,
        code: "AuthorizationFailed",
      }),
      want: "403: The client 'c' does not have authorization",
    },
    { name: "a token in the text", error: new Error(`bad ${TOKEN}`), want: "bad (token)" },
  ])("$name", ({ error, want }) => {
    expect(describeError(error)).toBe(want);
  });
});
