/** The systemd units: as the repository has them, for other places, and written by --install. */
import { expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { executablePlace, stepsFor } from "../../src/cli/service.ts";
import { writeUnit } from "../../src/cli/service/files.ts";
import type { ServiceRole } from "../../src/cli/service/unit.ts";
import { EXECUTABLE_DEFAULT, formatUnit, unitName } from "../../src/cli/service/unit.ts";

const ROLES: ServiceRole[] = ["master", "keeper"];
const executable = EXECUTABLE_DEFAULT;

for (const role of ROLES) {
  test(`formatUnit of the ${role} is what systemd/ holds`, () => {
    const path = join(import.meta.dir, "../../systemd", unitName(role));
    expect(formatUnit(role, { executable })).toBe(readFileSync(path, "utf8"));
  });

  test(`formatUnit of the ${role} shuts it in, and leaves memory to the compiler`, () => {
    const unit = formatUnit(role, { executable });
    for (const line of ["Type=notify", "User=tydfs", "ProtectSystem=strict", "LimitNOFILE=65536"]) {
      expect(unit.split("\n")).toContain(line);
    }
    expect(unit).not.toMatch(/^MemoryDenyWriteExecute=/m);
  });
}

test("formatUnit lets a keeper write to the directory that was named", () => {
  const unit = formatUnit("keeper", { executable: "/opt/100%/tydfs", data: "/disk 2/tydfs" });
  expect(unit).toContain('ExecStart=/opt/100%%/tydfs keeper --data "/disk 2/tydfs"\n');
  expect(unit).toContain('ReadWritePaths="/disk 2/tydfs"\n');
  expect(unit).not.toContain("StateDirectory");
  expect(unit).toContain("ProtectHome=yes\n");
  const atHome = formatUnit("keeper", { executable, data: "/home/ann/tydfs" });
  expect(atHome).toContain("ProtectHome=read-only\n");
});

test("formatUnit refuses paths that would be something else in a unit", () => {
  for (const data of ["relative", "/a\nUser=root", '/a"b', "/a$b", "/a\\b"]) {
    expect(() => formatUnit("keeper", { executable, data })).toThrow("it must be an absolute path");
  }
});

test("executablePlace is this executable, unless a service can't reach it", () => {
  expect(executablePlace(true, "/opt/tydfs")).toEqual({
    executable: "/opt/tydfs",
    copyFrom: undefined,
  });
  expect(executablePlace(true, "/home/ann/tydfs")).toEqual({
    executable: "/usr/local/bin/tydfs",
    copyFrom: "/home/ann/tydfs",
  });
  expect(executablePlace(false, "/usr/bin/bun").copyFrom).toBe("dist/tydfs");
});

test("stepsFor a keeper makes user, directories and settings, and starts it", async () => {
  const place = executablePlace(true, "/home/ann's/tydfs");
  const steps = await stepsFor("keeper", place, "/disk2/tydfs");
  expect(steps[0]).toBe(`install -m 755 '/home/ann'\\''s/tydfs' /usr/local/bin/tydfs`);
  expect(steps.join("\n")).toContain("install -d -o tydfs -g tydfs -m 700 /disk2/tydfs");
  expect(steps.join("\n")).toContain("chmod 600 /etc/tydfs/keeper.env");
  expect(steps.join("\n")).toContain("systemctl enable --now tydfs-keeper");
});

test("writeUnit writes once, and replaces with force only", () => {
  const directory = mkdtempSync(join(tmpdir(), "tydfs-unit-"));
  try {
    const options = { directory, name: "a.service", text: "one\n", force: false };
    const path = writeUnit(options);
    expect(() => writeUnit({ ...options, text: "two\n" })).toThrow(/it is there; --force replaces/);
    expect(readFileSync(path, "utf8")).toBe("one\n");
    writeUnit({ ...options, text: "two\n", force: true });
    expect(readFileSync(path, "utf8")).toBe("two\n");
    const nowhere = { ...options, directory: join(directory, "none") };
    expect(() => writeUnit(nowhere)).toThrow(/is this a machine with systemd\?/);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});
