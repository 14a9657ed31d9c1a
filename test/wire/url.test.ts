/** Join URLs: both ways, and clear words that never repeat a secret. */
import { expect, test } from "bun:test";
import { formatClusterUrl, parseClusterUrl } from "../../src/wire/url.ts";

const GOOD = [
  "tydfs://client:s3cret@127.0.0.1:4222",
  "tydfs://keeper:s3cret@host.example:14222/films",
  "tydfs://client:s3cret@[::1]:4222",
];

test.each(GOOD)("parseClusterUrl and formatClusterUrl are inverse on %p", (text) => {
  expect(formatClusterUrl(parseClusterUrl(text))).toBe(text);
});

const BAD: [string, string][] = [
  ["", "must look like"],
  ["http://client:s3cret@host", "must look like"],
  ["tydfs://host:4222", "missing"],
  ["tydfs://emperor:s3cret@host:4222", "emperor"],
  ["tydfs://client:s3cret@host:99999", "99999"],
  ["tydfs://client:s3cret@host:4222/a.b", "a.b"],
];

test.each(BAD)("parseClusterUrl refuses %p", (text, words) => {
  expect(() => parseClusterUrl(text)).toThrow(words);
  expect(() => parseClusterUrl(text)).not.toThrow("s3cret");
});
