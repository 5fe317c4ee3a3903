/** One rule of a chain, as `iptables-save` prints it. */
export interface Rule {
  /** Everything after `-A CHAIN`, counters removed: what follows `-D CHAIN` to delete exactly this rule. */
  readonly text: string;
  /** Equal for rules that mean the same, whatever the order and spelling of their options. */
  readonly meaning: string;
  /** Name of the target or chain after `-j` or `-g`. */
  readonly target: string | undefined;
}

const LONG_FORMS: Readonly<Record<string, string>> = {
  "--protocol": "-p",
  "--proto": "-p",
  "--source": "-s",
  "--src": "-s",
  "--destination": "-d",
  "--dst": "-d",
  "--in-interface": "-i",
  "--out-interface": "-o",
  "--match": "-m",
  "--jump": "-j",
  "--goto": "-g",
  "--destination-port": "--dport",
  "--source-port": "--sport",
};
const PROTOCOL_NUMBERS: Readonly<Record<string, string>> = { "1": "icmp", "6": "tcp", "17": "udp" };
const ANYWHERE = new Set(["0.0.0.0/0", "::/0"]);

interface Option {
  readonly negated: boolean;
  readonly flag: string;
  readonly values: readonly string[];
}

/** `text` is what follows `-A CHAIN`. */
export function parseRule(text: string): Rule {
  const options = readOptions(splitWords(text));
  const jump = options.find((o) => o.flag === "-j" || o.flag === "-g");
  return { text, meaning: meaningOf(options), target: jump?.values[0] };
}

/** Splits as iptables does: blanks separate, double quotes group, a backslash escapes inside and outside of quotes. */
export function splitWords(text: string): string[] {
  const words: string[] = [];
  let word: string | undefined;
  let quoted = false;
  for (let i = 0; i < text.length; i++) {
    const c = text.charAt(i);
    if (c === "\\" && i + 1 < text.length) word = (word ?? "") + text.charAt(++i);
    else if (c === '"') {
      quoted = !quoted;
      word ??= "";
    } else if (!quoted && /\s/.test(c)) {
      if (word !== undefined) words.push(word);
      word = undefined;
    } else word = (word ?? "") + c;
  }
  if (word !== undefined) words.push(word);
  return words;
}

function readOptions(words: readonly string[]): Option[] {
  const options: { negated: boolean; flag: string; values: string[] }[] = [];
  let negated = false;
  for (const word of words) {
    const last = options.at(-1);
    if (word === "!") {
      negated = true;
    } else if (/^--?[a-z]/i.test(word) && !(last?.flag === "--comment" && last.values.length === 0)) {
      const [flag = word, ...rest] = word.startsWith("--") ? word.split(/=(.*)/s, 2) : [word];
      options.push({ negated, flag: LONG_FORMS[flag] ?? flag, values: rest });
      negated = false;
    } else if (last) {
      // iptables before 1.4 wrote the negation behind the option: `--dport ! 80`.
      if (negated) last.negated = true;
      negated = false;
      last.values.push(word);
    }
  }
  return options;
}

function meaningOf(options: readonly Option[]): string {
  const protocol = options.find((o) => o.flag === "-p")?.values[0];
  const parts: string[] = [];
  for (const option of options) {
    const values = option.values.map((value) => plainValue(option.flag, value));
    const [first] = values;
    // A comment changes nothing, counters belong to the rule's past, and a protocol's own match comes with its ports.
    if (option.flag === "--comment" || option.flag === "-c" || option.flag === "--set-counters") continue;
    if (option.flag === "-m" && (first === "comment" || first === plainValue("-p", protocol ?? ""))) continue;
    if (!option.negated && (option.flag === "-s" || option.flag === "-d") && first === "") continue;
    parts.push(JSON.stringify([option.negated, option.flag, ...values]));
  }
  return parts.toSorted().join(" ");
}

function plainValue(flag: string, value: string): string {
  switch (flag) {
    case "-p": {
      const name = value.toLowerCase();
      return PROTOCOL_NUMBERS[name] ?? name;
    }
    case "-s":
    case "-d":
      return ANYWHERE.has(value) ? "" : value.replace(/\/(32|255\.255\.255\.255)$/, "");
    case "--dport":
    case "--sport": {
      const [from, to] = value.split(":");
      return from !== undefined && from === to ? from : value;
    }
    default:
      return value;
  }
}
