// A table that can be sorted by any of its columns, and shows its first rows until it is asked for all.
import {
  type ColumnDef,
  flexRender,
  getCoreRowModel,
  getSortedRowModel,
  type SortingState,
  useReactTable,
} from "@tanstack/react-table";
import type { ComponentChildren } from "preact";
import { useMemo, useState } from "preact/hooks";
import { number, t } from "./i18n";

export interface Column<T> {
  title: string;
  value: (row: T) => string | number | null;
  /** What is shown; the value where it is left out. */
  show?: (row: T) => ComponentChildren;
  numeric?: boolean;
}

const FEW = 8;

export function Table<T>(props: { caption: string; columns: Column<T>[]; rows: T[]; names?: number; few?: number }) {
  const [sorting, setSorting] = useState<SortingState>([]);
  const [all, setAll] = useState(false);
  const columns = useMemo<ColumnDef<T>[]>(
    () =>
      props.columns.map((column, index) => ({
        id: String(index),
        header: column.title,
        accessorFn: (row) => column.value(row) ?? -1,
        sortDescFirst: column.numeric ?? false,
        cell: ({ row }) => (column.show ? column.show(row.original) : column.value(row.original)) as never,
      })),
    [props.columns],
  );
  const table = useReactTable({
    data: props.rows,
    columns,
    state: { sorting },
    onSortingChange: setSorting,
    getCoreRowModel: getCoreRowModel(),
    getSortedRowModel: getSortedRowModel(),
  });
  const few = props.few ?? FEW;
  const rows = table.getRowModel().rows;
  const shown = all ? rows : rows.slice(0, few);
  const numeric = (id: string) => (props.columns[Number(id)]?.numeric ? "numeric" : undefined);
  return (
    <div class="table">
      <div class="scroll">
        <table>
          <caption class="hidden">{props.caption}</caption>
          <thead>
            {table.getHeaderGroups().map((group) => (
              <tr key={group.id}>
                {group.headers.map((header) => {
                  const sorted = header.column.getIsSorted();
                  return (
                    <th
                      key={header.id}
                      scope="col"
                      class={numeric(header.column.id)}
                      aria-sort={sorted === "asc" ? "ascending" : sorted === "desc" ? "descending" : "none"}
                    >
                      <button type="button" onClick={header.column.getToggleSortingHandler()}>
                        {flexRender(header.column.columnDef.header, header.getContext()) as ComponentChildren}
                        <span class="sort" aria-hidden="true">
                          {sorted === "asc" ? "▲" : sorted === "desc" ? "▼" : ""}
                        </span>
                      </button>
                    </th>
                  );
                })}
              </tr>
            ))}
          </thead>
          <tbody>
            {shown.map((row) => (
              <tr key={row.id}>
                {row.getVisibleCells().map((cell) => (
                  <td key={cell.id} class={numeric(cell.column.id)}>
                    {flexRender(cell.column.columnDef.cell, cell.getContext()) as ComponentChildren}
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {rows.length > few && (
        <p class="more">
          <button type="button" class="link" onClick={() => setAll(!all)}>
            {all ? t("show_less") : t("show_more")}
          </button>{" "}
          <small>
            {number(shown.length)} {t("of")} {number(props.names ?? rows.length)}
          </small>
        </p>
      )}
    </div>
  );
}
