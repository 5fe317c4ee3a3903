import fc from "fast-check";
import { expect, test } from "vitest";
import { redactClientId } from "./redaction.ts";

test.for([
  { text: "aabc0000-a83v-9h4m-000j-2c0a66b0c1f9", want: "aabc##### REDACTED #####c1f9" },
  { text: "abc", want: "abc" },
  { text: "", want: "" },
  { text: "abcdefg", want: "abcdefg" },
  { text: "abcdefgh", want: "abcd##### REDACTED #####efgh" },
  { text: "abcd and more efgh", want: "abcd##### REDACTED #####efgh" },
])("S06 $text", ({ text, want }) => {
  expect(redactClientId(text)).toBe(want);
});

test("S06 law: as upstream's expression would, for any text", () => {
  fc.assert(
    fc.property(fc.string({ maxLength: 24 }), (text) => {
      expect(redactClientId(text)).toBe(text.replace(/^(\S{4})[^]*(\S{4})$/, "$1##### REDACTED #####$2"));
    }),
  );
});
