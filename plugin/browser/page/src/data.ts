// The data that the page has inside, and the engine that reads it. Nothing here goes to a network.
import { initSync, Log } from "engine";
import type { Detail, Line } from "./types";

/** Where reports get their events from. */
export interface Source {
  log: Log;
  detail(id: number): Promise<Detail>;
}

async function unpack(base64: string): Promise<Uint8Array<ArrayBuffer>> {
  const packed = Uint8Array.from(atob(base64), (sign) => sign.charCodeAt(0));
  return through(packed, new DecompressionStream("gzip"));
}

/** Bytes sent through a stream of the browser's. */
export async function through(bytes: Uint8Array<ArrayBuffer>, stream: CompressionStream | DecompressionStream) {
  const response = new Response(new Blob([bytes]).stream().pipeThrough(stream));
  return new Uint8Array(await response.arrayBuffer());
}

function element(id: string): string | undefined {
  return document.getElementById(id)?.textContent ?? undefined;
}

/** Starts the engine. */
export async function startEngine(): Promise<void> {
  const module = await WebAssembly.compile(await unpack(element("engine") ?? ""));
  initSync({ module });
}

/** The report's data, if the page is a report. */
export async function embedded(): Promise<Source | undefined> {
  const records = element("records");
  if (records === undefined) return undefined;
  const log = Log.read(await unpack(records));
  const details = new Details(element("details") ?? "");
  return { log, detail: (id) => details.get(id) };
}

/** The kept events, in pieces of which each is unpacked when somebody asks for an event in it. */
class Details {
  private readonly firsts: number[] = [];
  private readonly pieces: string[] = [];
  private unpacked?: { piece: number; lines: string[] };

  constructor(text: string) {
    for (const line of text.split("\n")) {
      const comma = line.indexOf(",");
      if (comma < 0) continue;
      this.firsts.push(Number(line.slice(0, comma)));
      this.pieces.push(line.slice(comma + 1));
    }
  }

  async get(id: number): Promise<Detail> {
    const piece = this.firsts.findLastIndex((first) => first <= id);
    if (this.unpacked?.piece !== piece) {
      const text = new TextDecoder().decode(await unpack(this.pieces[piece] ?? ""));
      this.unpacked = { piece, lines: text.split("\n") };
    }
    const at = 2 * (id - (this.firsts[piece] ?? 0));
    const lines = JSON.parse(this.unpacked.lines[at] ?? "[]") as Line[];
    return { lines, event: this.unpacked.lines[at + 1] ?? "" };
  }
}

/** A JSON text with line breaks and indentation. Only white space changes: numbers and names stay as they were written. */
export function indented(json: string): string {
  let out = "";
  let depth = 0;
  let at = 0;
  const newLine = () => {
    out += `\n${"  ".repeat(depth)}`;
  };
  while (at < json.length) {
    const sign = json[at] as string;
    if (sign === '"') {
      let end = at + 1;
      while (end < json.length && json[end] !== '"') end += json[end] === "\\" ? 2 : 1;
      out += json.slice(at, end + 1);
      at = end + 1;
      continue;
    }
    at += 1;
    if (/\s/.test(sign)) continue;
    if (sign === "{" || sign === "[") {
      const closes = /^\s*[}\]]/.exec(json.slice(at, at + 64));
      if (closes) {
        out += sign + closes[0].trim();
        at += closes[0].length;
        continue;
      }
      depth += 1;
      out += sign;
      newLine();
    } else if (sign === "}" || sign === "]") {
      depth -= 1;
      newLine();
      out += sign;
    } else if (sign === ",") {
      out += sign;
      newLine();
    } else if (sign === ":") {
      out += ": ";
    } else {
      out += sign;
    }
  }
  return out;
}
