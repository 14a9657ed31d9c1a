/** The systemd units of the roles as text; `systemd/` of the repository holds what this makes. */
import { ConfigError } from "../../config/load.ts";

export type ServiceRole = "master" | "keeper";

export interface UnitOptions {
  /** The tydfs that runs, as an absolute path. */
  executable: string;
  /** The data directory, as an absolute path; systemd makes one below /var/lib unless given. */
  data?: string;
}

/** Where the executable is expected, in units that are not made for one machine. */
export const EXECUTABLE_DEFAULT = "/usr/local/bin/tydfs";
/** The user that both roles run as. */
export const SERVICE_USER = "tydfs";

const DESCRIPTIONS: Record<ServiceRole, string> = {
  master: "tydfs master: keeps the names of the cluster",
  keeper: "tydfs keeper: keeps copies of chunks",
};

/** The file name of a role's unit. */
export function unitName(role: ServiceRole): string {
  return `tydfs-${role}.service`;
}

/** The data directory of a role where none is given. */
export function dataDefault(role: ServiceRole): string {
  return `/var/lib/tydfs/${role}`;
}

/** The file with a role's settings, `TYDFS_<KEY>=VALUE` a line. */
export function environmentFile(role: ServiceRole): string {
  return `/etc/tydfs/${role}.env`;
}

/** A role's unit. Throws `ConfigError` when a path is not absolute or can't stand in a unit. */
export function formatUnit(role: ServiceRole, options: UnitOptions): string {
  const data = options.data ?? dataDefault(role);
  const command = [unitWord(options.executable), role, "--data", unitWord(data)].join(" ");
  return `# Made by: tydfs service ${role}
[Unit]
Description=${DESCRIPTIONS[role]}
Wants=network-online.target
After=network-online.target
# Whatever keeps it from running is tried again, without end.
StartLimitIntervalSec=0

[Service]
Type=notify
ExecStart=${command}
# Settings: TYDFS_<KEY>=VALUE, one a line (tydfs ${role} --help names them)
EnvironmentFile=-${environmentFile(role)}
User=${SERVICE_USER}
Group=${SERVICE_USER}
${placeLines(role, options.data)}
UMask=0077
Restart=on-failure
RestartSec=2s
${hopelessLines(role)}
${startLines(role)}
TimeoutStopSec=60s
# It stops what it has started itself, in the right order.
KillMode=mixed
WatchdogSec=60s
LimitNOFILE=65536
OOMScoreAdjust=-200

# What it may do: network, its own directory, nothing else. MemoryDenyWriteExecute stays off: Bun
# compiles JavaScript to machine code while it runs.
NoNewPrivileges=yes
CapabilityBoundingSet=
AmbientCapabilities=
ProtectSystem=strict
ProtectHome=${protectHome(options.data)}
PrivateTmp=yes
PrivateDevices=yes
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
ProtectClock=yes
ProtectHostname=yes
ProtectProc=invisible
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
RemoveIPC=yes
LockPersonality=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged
SystemCallErrorNumber=EPERM

[Install]
WantedBy=multi-user.target
`;
}

/** A directory of systemd's own making, or leave to write to the one that was named. */
function placeLines(role: ServiceRole, data: string | undefined): string {
  if (data === undefined) return `StateDirectory=tydfs/${role}\nStateDirectoryMode=0700`;
  return `ReadWritePaths=${unitWord(data)}`;
}

/** A master checks its whole catalog; a keeper waits for a master as long as that takes. */
function startLines(role: ServiceRole): string {
  if (role === "master") return "TimeoutStartSec=15min";
  return "# It is ready when it has joined, and waits for a master until then.\n" +
    "TimeoutStartSec=infinity";
}

/** Exit statuses of what does not pass by itself. */
function hopelessLines(role: ServiceRole): string {
  if (role === "master") return "# Wrong settings do not pass.\nRestartPreventExitStatus=2";
  return "# Wrong settings and a wrong secret do not pass.\nRestartPreventExitStatus=2 8";
}

/** A data directory below a home must be reachable. */
function protectHome(data: string | undefined): string {
  return data !== undefined && /^\/(home|root|run\/user)(\/|$)/.test(data) ? "read-only" : "yes";
}

/** A path as a word of a unit: quoted where it must be, and `%` as itself. */
function unitWord(path: string): string {
  // deno-lint-ignore no-control-regex
  if (!path.startsWith("/") || /[\x00-\x1f\x7f"'\\$]/.test(path)) {
    throw new ConfigError(
      `Cannot use ${JSON.stringify(path)} in a service: it must be an absolute path ` +
        "without quotes, dollar signs and backslashes",
    );
  }
  const plain = path.replaceAll("%", "%%");
  return /[^\w./+@:%,=-]/.test(plain) ? `"${plain}"` : plain;
}
