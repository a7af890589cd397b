// What all parts of the page share: where the reader is, and how a part takes the reader elsewhere.
import { createContext } from "preact";
import { useContext } from "preact/hooks";
import type { Source } from "./data";
import type { Detail, Fields, Filter } from "./types";

export const pages = ["overview", "operations", "resource", "cves", "containers", "events", "playground"] as const;

export type Page = (typeof pages)[number];

export interface App {
  source: Source | undefined;
  filter: Filter;
  setFilter(filter: Filter): void;
  /** Shows the events that are left when the choice is narrowed to these values, between these times. */
  drill(fields: Fields, from?: number | null, to?: number | null): void;
  /** Of the rules that hold, by id. */
  titles: Record<string, string>;
  showResource(resource: string): void;
  open(title: string, detail: Promise<Detail>): void;
  /** Changes with the colours, which charts read from the style. */
  colours: string;
}

export const AppContext = createContext<App | undefined>(undefined);

export function useApp(): App {
  const app = useContext(AppContext);
  if (app === undefined) throw new Error("outside of the application");
  return app;
}
