// Installs a systemd unit on the node that is mounted at HOST: it closes the way to the metadata service for pods
// before kubelet starts them after a reboot. No systemctl: a link is what enabling comes to, and it counts from the next boot on.
import { execFileSync } from "node:child_process";
import { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";

const HOST = process.env.HOST ?? "/host";
const RULES = "/etc/podid/guard.rules";
const UNIT = "/etc/systemd/system/podid-guard.service";
const WANTED = "/etc/systemd/system/multi-user.target.wants/podid-guard.service";

const unit = `[Unit]
Description=podid: pods do not reach the instance metadata service before NMI runs
Documentation=https://github.com/podid/podid/blob/main/docs/install.md
After=local-fs.target systemd-modules-load.service
Before=kubelet.service

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=iptables-restore --noflush --wait=5 ${RULES}

[Install]
WantedBy=multi-user.target
`;

// The program knows the rules; the node needs only its own iptables.
const rules = execFileSync("nmi", ["guard", "print"], { encoding: "utf8" });
write(RULES, rules);
write(UNIT, unit);
mkdirSync(dirname(join(HOST, WANTED)), { recursive: true });
rmSync(join(HOST, WANTED), { force: true });
symlinkSync(UNIT, join(HOST, WANTED));
process.stdout.write(`${UNIT} is installed; it takes effect with the next boot of the node\n`);

function write(path, text) {
  const target = join(HOST, path);
  mkdirSync(dirname(target), { recursive: true });
  writeFileSync(`${target}.new`, text, { mode: 0o644 });
  renameSync(`${target}.new`, target);
}
