// The choice of events, and how a click changes it.
import type { Field, Fields, Filter } from "./types";

export const everything: Filter = { from: null, to: null, text: "", fields: {} };

/** Adds values; what is chosen of a field already stays chosen. */
export function added(filter: Filter, fields: Fields): Filter {
  const merged: Fields = { ...filter.fields };
  for (const [field, values] of Object.entries(fields) as [Field, string[]][]) {
    merged[field] = [...new Set([...(merged[field] ?? []), ...values])];
  }
  return { ...filter, fields: merged };
}

/** Narrows the choice: the values take the place of what is chosen of their fields. */
export function narrowed(filter: Filter, fields: Fields): Filter {
  return { ...filter, fields: { ...filter.fields, ...fields } };
}

export function without(filter: Filter, field: Field, value: string): Filter {
  const values = filter.fields[field]?.filter((one) => one !== value) ?? [];
  const { [field]: _, ...rest } = filter.fields;
  return { ...filter, fields: values.length > 0 ? { ...rest, [field]: values } : rest };
}

export function isEverything(filter: Filter): boolean {
  return filter.from === null && filter.to === null && filter.text === "" && Object.keys(filter.fields).length === 0;
}
