const MAPPED_DOTTED = /^::ffff:(\d{1,3}(?:\.\d{1,3}){3})$/i;
const MAPPED_HEX = /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/i;

/**
 * One text for one address: IPv4-mapped IPv6 becomes IPv4, a zone is dropped, IPv6 is compressed and lower-case.
 * Text that is no address comes back as it is, and so matches nothing.
 */
export function normalizeAddress(address: string): string {
  if (!address.includes(":")) return address;
  const dotted = MAPPED_DOTTED.exec(address)?.[1];
  if (dotted !== undefined) return dotted;
  const bare = address.split("%", 1)[0] ?? address;
  let canonical: string;
  try {
    canonical = new URL(`http://[${bare}]/`).hostname.slice(1, -1);
  } catch {
    return address;
  }
  const hex = MAPPED_HEX.exec(canonical);
  if (hex === null) return canonical;
  const [high, low] = [Number.parseInt(hex[1] ?? "0", 16), Number.parseInt(hex[2] ?? "0", 16)];
  return [high >> 8, high & 255, low >> 8, low & 255].join(".");
}
