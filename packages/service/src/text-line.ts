const LETTER: Readonly<Record<string, string>> = {
  trace: "D",
  debug: "D",
  info: "I",
  warn: "W",
  error: "E",
  fatal: "F",
};
const OWN = new Set(["level", "time", "component", "msg"]);

/** One JSON log record as a line in the manner of klog: `I1122 16:00:00.123 mic] message key=value`. `grep ^E` finds errors. */
export function textLine(record: string): string {
  const fields = JSON.parse(record) as Record<string, unknown> & {
    level: string;
    time: string;
    component: string;
    msg?: string;
  };
  const [, month, day, time] = /^\d+-(\d+)-(\d+)T([\d:.]+)Z$/.exec(fields.time) ?? [];
  const rest = Object.entries(fields)
    .filter(([key]) => !OWN.has(key))
    .map(([key, value]) => ` ${key}=${show(value)}`)
    .join("");
  return `${LETTER[fields.level] ?? "?"}${month}${day} ${time} ${fields.component}] ${oneLine(fields.msg ?? "")}${rest}\n`;
}

function show(value: unknown): string {
  if (value !== null && typeof value === "object" && "message" in value) return JSON.stringify(value.message);
  return typeof value === "string" && /^[^\s"=]+$/.test(value) ? value : JSON.stringify(value);
}

function oneLine(message: string): string {
  return message.replaceAll(/[\u0000-\u001f\u007f\u2028\u2029]/g, (character) =>
    JSON.stringify(character).slice(1, -1),
  );
}
