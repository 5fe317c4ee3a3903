/** The part of /etc/os-release that matters. */
export interface Distribution {
  readonly id: string;
  readonly idLike: readonly string[];
  readonly version: string;
  readonly name: string;
}

export function parseOsRelease(text: string): Distribution {
  const values = new Map<string, string>();
  for (const line of text.split("\n")) {
    const match = /^([A-Z_]+)=(?:"([^"]*)"|'([^']*)'|(.*))$/.exec(line.trim());
    if (match?.[1] !== undefined) values.set(match[1], match[2] ?? match[3] ?? match[4] ?? "");
  }
  return {
    id: values.get("ID") ?? "linux",
    idLike: (values.get("ID_LIKE") ?? "").split(" ").filter((id) => id !== ""),
    version: values.get("VERSION_ID") ?? "",
    name: values.get("PRETTY_NAME") ?? "this system",
  };
}

export function isDebianLike(distribution: Distribution): boolean {
  return [distribution.id, ...distribution.idLike].some((id) => id === "debian" || id === "ubuntu");
}

/** The one command that installs Debian's packages `debian`, or what the distribution calls them. */
export function installCommand(distribution: Distribution, debian: readonly string[]): string {
  const family = [distribution.id, ...distribution.idLike];
  const has = (...ids: string[]): boolean => family.some((id) => ids.includes(id));
  const named = (names: Readonly<Record<string, string>>): string =>
    [...new Set(debian.map((name) => names[name] ?? name))].join(" ");
  if (has("debian", "ubuntu")) return `sudo apt-get install -y ${named({})}`;
  if (has("fedora", "rhel", "centos", "amzn", "azurelinux", "mariner"))
    return `sudo dnf install -y ${named({ iptables: "iptables-nft", conntrack: "conntrack-tools", iproute2: "iproute", mount: "util-linux" })}`;
  if (has("alpine")) return `sudo apk add ${named({ conntrack: "conntrack-tools" })}`;
  if (has("arch"))
    return `sudo pacman -S --needed ${named({ iptables: "iptables-nft", conntrack: "conntrack-tools", mount: "util-linux" })}`;
  if (has("suse", "opensuse", "sles"))
    return `sudo zypper install -y ${named({ conntrack: "conntrack-tools", mount: "util-linux" })}`;
  return `install the packages that bring ${debian.join(", ")} with the package manager of ${distribution.name}`;
}
