// The data that the page has inside, and the engine that reads it. Nothing here goes to a network.
//
// Before the page's script stand the engine, what the reports show while nothing is chosen, and the records, of which the
// engine makes all other reports. After it come the events, in pieces; there may be much of them.
import { initSync, Log } from "engine";
import type { Detail, Line, Start } from "./types";

/** Where reports get their events from. */
export interface Source {
  start: Start;
  /** None until the engine has read it. */
  log: Log | undefined;
  detail(id: number): Promise<Detail>;
}

function unpack(base64: string): Promise<Uint8Array<ArrayBuffer>> {
  const text = atob(base64);
  const packed = new Uint8Array(text.length);
  for (let at = 0; at < text.length; at += 1) packed[at] = text.charCodeAt(at);
  return through(packed, new DecompressionStream("gzip"));
}

async function unpackText(base64: string): Promise<string> {
  return new TextDecoder().decode(await unpack(base64));
}

/** Bytes sent through a stream of the browser's. */
export async function through(bytes: Uint8Array<ArrayBuffer>, stream: CompressionStream | DecompressionStream) {
  const response = new Response(new Blob([bytes]).stream().pipeThrough(stream));
  return new Uint8Array(await response.arrayBuffer());
}

function element(id: string): string | undefined {
  return document.getElementById(id)?.textContent ?? undefined;
}

/** What the page shows first, if it is a report. */
export async function embedded(): Promise<Source | undefined> {
  const start = element("start");
  if (start === undefined) return undefined;
  return { start: JSON.parse(await unpackText(start)) as Start, log: undefined, detail };
}

/** Starts the engine. Returns the report's events, if the page is a report. */
export async function startEngine(): Promise<Log | undefined> {
  const records = element("records");
  const unpacked = records === undefined ? undefined : unpack(records);
  initSync({ module: await WebAssembly.compile(await unpack(element("engine") ?? "")) });
  return unpacked && Log.read(await unpacked);
}

/** The piece that was asked for last. */
let lastPiece: { element: Element | undefined; lines: string[] } | undefined;

/** A kept event, from its piece of the details. */
async function detail(id: number): Promise<Detail> {
  // The browser may still be reading them.
  if (document.readyState === "loading") {
    await new Promise((read) => document.addEventListener("DOMContentLoaded", read, { once: true }));
  }
  const first = (piece: Element) => Number(piece.getAttribute("data-first"));
  const piece = [...document.querySelectorAll(".details")].findLast((one) => first(one) <= id);
  if (lastPiece === undefined || lastPiece.element !== piece) {
    lastPiece = { element: piece, lines: (await unpackText(piece?.textContent ?? "")).split("\n") };
  }
  const { lines } = lastPiece;
  const at = 2 * (id - (piece ? first(piece) : 0));
  return { lines: JSON.parse(lines[at] ?? "[]") as Line[], event: lines[at + 1] ?? "" };
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
