import { expect, test } from "vitest";
import { AuthorityList } from "./authority-list.ts";
import { entraCloud } from "./cloud.ts";

function file(fields: object): () => string {
  return () => JSON.stringify(fields);
}

test.for([
  ["AzurePublicCloud", "https://login.microsoftonline.com/"],
  ["azurecloud", "https://login.microsoftonline.com/"],
  ["AZUREUSGOVERNMENTCLOUD", "https://login.microsoftonline.us/"],
  ["AzureUSGovernment", "https://login.microsoftonline.us/"],
  ["AzureChinaCloud", "https://login.chinacloudapi.cn/"],
] as const)("%s signs in at %s", ([name, authority]) => {
  expect(entraCloud(name, file({})).authority).toBe(authority);
});

test("a cloud of one's own is read from its file", () => {
  const cloud = entraCloud(
    "AzureStackCloud",
    file({ name: "Ours", activeDirectoryEndpoint: "https://login.ours.example" }),
  );
  expect(cloud).toEqual({ name: "Ours", authority: "https://login.ours.example/" });
});

test.for<[string, () => string, string]>([
  ["Moon", file({}), "AzurePublicCloud, AzureUSGovernmentCloud, AzureChinaCloud, AzureStackCloud"],
  ["AzureStackCloud", () => "{", "is not JSON"],
  ["AzureStackCloud", file({}), "activeDirectoryEndpoint undefined; give an https URL"],
  ["AzureStackCloud", file({ activeDirectoryEndpoint: "http://x/" }), 'activeDirectoryEndpoint "http://x/"'],
])("the cloud %s: %s", ([name, read, message]) => {
  expect(() => entraCloud(name, read)).toThrow(message);
});

const list = new AuthorityList({
  cloud: entraCloud("AzureChinaCloud", file({})),
  further: ["https://sts.ours.example:8443"],
});

test.for([
  [undefined, "https://login.chinacloudapi.cn/"],
  ["", "https://login.chinacloudapi.cn/"],
  ["https://login.microsoftonline.com", "https://login.microsoftonline.com/"],
  [" https://LOGIN.microsoftonline.com:443/ ", "https://login.microsoftonline.com/"],
  ["https://sts.ours.example:8443/", "https://sts.ours.example:8443/"],
] as const)("%j is sent to %s", ([endpoint, authority]) => {
  expect(list.choose(endpoint)).toEqual({ ok: true, authority });
});

test.for([
  "https://evil.example/",
  "http://login.microsoftonline.com/",
  "https://login.microsoftonline.com.evil.example/",
  "https://login.microsoftonline.com@evil.example/",
  "https://login.microsoftonline.com/x/",
  "https://login.microsoftonline.com/?x",
  "https://login.microsoftonline.com:8443/",
  "https://sts.ours.example/",
  "login.microsoftonline.com",
])("%j is sent nothing", (endpoint) => {
  expect(list.choose(endpoint)).toMatchObject({ ok: false });
});

test("a further one that is none is an error at the start", () => {
  expect(() => new AuthorityList({ cloud: entraCloud("AzureCloud", file({})), further: ["ours"] })).toThrow('"ours"');
});
