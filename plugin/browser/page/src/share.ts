// Links that carry what was written in the playground, and a few events: all of it stands behind the #, which browsers
// keep for themselves.
import { through } from "./data";

export interface Shared {
  policy: string;
  rules: string;
  configuration: string;
  /** The first events, a line each. */
  log: string;
}

const PREFIX = "#p=";

/** How long a link may get; programs that pass links on cut longer ones. */
const LONGEST_LINK = 16_000;

const MOST_EVENTS = 20;

/** Whoever makes a link could otherwise make the page unpack gigabytes. */
const LONGEST_PACKED = 200_000;

async function pack(shared: Shared): Promise<string> {
  const bytes = new TextEncoder().encode(JSON.stringify(shared));
  const packed = await through(bytes, new CompressionStream("deflate-raw"));
  const base64 = btoa(Array.from(packed, (byte) => String.fromCharCode(byte)).join(""));
  return PREFIX + base64.replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

/** The part of a link from the # on, with as many events as fit. */
export async function toHash(shared: Shared): Promise<{ hash: string; events: number }> {
  const lines = shared.log.split("\n").filter((line) => line.trim() !== "");
  for (let events = Math.min(lines.length, MOST_EVENTS); ; events = Math.floor(events / 2)) {
    const hash = await pack({ ...shared, log: lines.slice(0, events).join("\n") });
    if (hash.length <= LONGEST_LINK || events === 0) return { hash, events };
  }
}

/** What a link carries, if it is one of these. */
export async function fromHash(hash: string): Promise<Shared | undefined> {
  if (!hash.startsWith(PREFIX) || hash.length > LONGEST_PACKED) return undefined;
  try {
    const base64 = hash.slice(PREFIX.length).replaceAll("-", "+").replaceAll("_", "/");
    const packed = Uint8Array.from(atob(base64), (sign) => sign.charCodeAt(0));
    const bytes = await through(packed, new DecompressionStream("deflate-raw"));
    const shared: unknown = JSON.parse(new TextDecoder().decode(bytes));
    if (typeof shared !== "object" || shared === null) return undefined;
    const text = (name: keyof Shared) => {
      const value: unknown = (shared as Record<string, unknown>)[name];
      return typeof value === "string" ? value : "";
    };
    return { policy: text("policy"), rules: text("rules"), configuration: text("configuration"), log: text("log") };
  } catch {
    // A link that was cut on its way is no link.
    return undefined;
  }
}
