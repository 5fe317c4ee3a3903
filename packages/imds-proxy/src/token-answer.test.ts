import { describe, expect, test } from "vitest";
import { imdsBody, jwt } from "../test/fixtures.ts";
import { jwtClaim, parseTokenAnswer, tokenReply } from "./token-answer.ts";

const NOW = Date.UTC(2026, 0, 1) / 1000;

function render(text: string, remaining: number): string {
  const parsed = parseTokenAnswer(text, NOW);
  if (!parsed.ok) throw new Error(parsed.why);
  return tokenReply(parsed.answer, remaining).body;
}

describe("token answers", () => {
  test("S60 keep IMDS's keys in its order and end with an empty refresh_token", () => {
    const body = imdsBody();
    expect(render(body, 86_399)).toBe(`${body.slice(0, -1)},"refresh_token":""}`);
    expect(render(body, 17.9)).toContain('"expires_in":"17",');
  });

  test("a refresh_token of IMDS stays where it was", () => {
    expect(render('{"access_token":"a","refresh_token":"","expires_in":"9","expires_on":"10"}', 5)).toBe(
      '{"access_token":"a","refresh_token":"","expires_in":"5","expires_on":"10"}',
    );
  });

  test.for([
    [
      "numbers become strings",
      '{"access_token":"a","expires_in":9,"expires_on":1767225700}',
      '{"access_token":"a","expires_in":"9","expires_on":"1767225700","refresh_token":""}',
    ],
    [
      "blanks go",
      '{ "access_token": "a",\r\n "expires_in": "9", "not_before": "1" }',
      '{"access_token":"a","expires_in":"9","not_before":"1","refresh_token":""}',
    ],
    [
      "expires_in is put in front of expires_on",
      '{"access_token":"a","expires_on":"1767225700","token_type":"Bearer"}',
      '{"access_token":"a","expires_in":"9","expires_on":"1767225700","token_type":"Bearer","refresh_token":""}',
    ],
  ] as const)("%s", ([, body, want]) => {
    expect(render(body, 9)).toBe(want);
  });

  test.for([
    ["no JSON", "<html>"],
    ["an array", '[{"access_token":"a"}]'],
    ["no token", '{"expires_in":"9"}'],
    ["an empty token", '{"access_token":"","expires_in":"9"}'],
    ["no life", '{"access_token":"a"}'],
    ["a life that is no number", '{"access_token":"a","expires_in":"soon"}'],
  ] as const)("%s is no token answer", ([, body]) => {
    expect(parseTokenAnswer(body, NOW).ok).toBe(false);
  });

  test("claims are read from a JWT, and from nothing else", () => {
    expect(jwtClaim(jwt({ xms_mirid: "/Ärger" }), "xms_mirid")).toBe("/Ärger");
    expect(jwtClaim(jwt({ xms_mirid: 1 }), "xms_mirid")).toBeUndefined();
    expect(jwtClaim("opaque", "xms_mirid")).toBeUndefined();
    expect(jwtClaim("a.%%%.c", "xms_mirid")).toBeUndefined();
  });
});
