/**
 * What stands around a NATS server: the address of `--nats`, the greeting of a server, the roles'
 * permissions.
 */
import { expect, test } from "bun:test";
import { advertisedHost } from "../../src/master/master.ts";
import { natsConfig, rolePermissions } from "../../src/master/nats_config.ts";
import { parseNatsAddress } from "../../src/master/nats_external.ts";
import { parseInfo } from "../../src/master/nats_probe.ts";
import { roleSecret } from "../../src/wire/secrets.ts";

const clusterKey = "ab".repeat(32);
const settings = { cluster: "lab" };
const parse = (address: string) => parseNatsAddress({ address, clusterKey, settings });

test("parseNatsAddress takes the derived secret unless one is given", () => {
  const secret = roleSecret(clusterKey, "master");
  const base = { role: "master", cluster: "lab" } as const;
  expect(parse("nats://h")).toEqual({ ...base, secret, host: "h", port: 4222 });
  expect(parse("nats://master:s@10.0.0.5:5000")).toEqual(
    { ...base, secret: "s", host: "10.0.0.5", port: 5000 },
  );
  expect(parse("nats://[::1]:5000/").host).toBe("[::1]");
});

test("parseNatsAddress refuses what is no address, and repeats no secret", () => {
  for (const address of ["", "h:4222", "http://h", "nats://", "nats://h:x"]) {
    expect(() => parse(address)).toThrow(/nats:\/\/HOST:4222/);
  }
  expect(() => parse("nats://root:hush@h")).toThrow(/its user must be master, not "root"$/);
});

test("parseInfo reads a server's greeting and nothing else", () => {
  const line = 'INFO {"server_name":"s","version":"2.15.1","auth_required":true}';
  expect(parseInfo(line)).toEqual({ serverName: "s", version: "2.15.1", authRequired: true });
  for (
    const other of [undefined, "", "HTTP/1.1 400", "INFO x", "INFO null", 'INFO {"version":1}']
  ) {
    expect(parseInfo(other)).toBeUndefined();
  }
});

test("natsConfig names all roles, and quotes what could break out", () => {
  const options = { cluster: "main", clusterKey, host: "127.0.0.1", port: 4222 };
  const text = natsConfig({ ...options, serverName: 'a"b' });
  for (const role of ["master", "keeper", "client"] as const) {
    expect(text).toContain(roleSecret(clusterKey, role));
  }
  expect(text).toContain('server_name: "a\\"b"');
  expect(rolePermissions("main", "client").publish).toEqual(["tydfs.main.rpc.>", "$SRV.>"]);
});

test("advertisedHost says what others can reach", () => {
  expect(advertisedHost({ advertise: "example.org", host: "0.0.0.0" })).toBe("example.org");
  expect(advertisedHost({ advertise: "", host: "10.0.0.7" })).toBe("10.0.0.7");
  expect(advertisedHost({ advertise: "fe80::1", host: "0.0.0.0" })).toBe("[fe80::1]");
  expect(advertisedHost({ advertise: "", host: "0.0.0.0" })).toMatch(/^\d+\.\d+\.\d+\.\d+$/);
});
