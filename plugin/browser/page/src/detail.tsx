// One event: why it met its fate, and its text beside that.
import { useEffect, useRef, useState } from "preact/hooks";
import { indented } from "./data";
import { named, t, tell } from "./i18n";
import type { Detail, Line, Said } from "./types";

/** What readers ask first stands first: what came of it, why that matters, who did what. How the policy came to it can be long. */
const order = ["fate", "rules", "alerts", "operator", "source", "action", "exec", "route", "cut", "level", "policy", "event"];

/** The lines about each thing. */
function groups(lines: Line[]): [label: string, texts: Said[]][] {
  const all = new Map<string, Said[]>();
  let label = "";
  for (const line of lines) {
    label = line.label || label;
    all.set(label, [...(all.get(label) ?? []), line.text]);
  }
  return [...all].sort(([a], [b]) => order.indexOf(a) - order.indexOf(b));
}

export function DetailDialog(props: { title: string; detail: Promise<Detail>; close(): void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const [detail, setDetail] = useState<Detail>();
  const [failure, setFailure] = useState<string>();
  useEffect(() => {
    setDetail(undefined);
    props.detail.then(setDetail, (error: unknown) => setFailure(String(error)));
    if (dialog.current?.open === false) dialog.current.showModal();
  }, [props.detail]);
  return (
    <dialog
      ref={dialog}
      class="detail"
      aria-labelledby="detail-title"
      onClose={props.close}
      onClick={(event) => event.target === event.currentTarget && event.currentTarget.close()}
    >
      <header>
        <h2 id="detail-title">{props.title}</h2>
        <button type="button" onClick={() => dialog.current?.close()}>
          {t("close")}
        </button>
      </header>
      {failure && <p class="broken">{failure}</p>}
      {detail && (
        <div class="halves">
          <section aria-labelledby="detail-why">
            <h3 id="detail-why">{t("why")}</h3>
            {detail.lines.length === 0 ? (
              <p class="hint">{t("no_why")}</p>
            ) : (
              <table class="why" tabIndex={0}>
                <tbody>
                  {groups(detail.lines).flatMap(([label, texts]) =>
                    texts.map((text, index) => (
                      <tr key={`${label} ${index}`}>
                        {index === 0 && (
                          <th scope="row" rowSpan={texts.length}>
                            {named(`about_${label}`)}
                          </th>
                        )}
                        <td>{tell(text)}</td>
                      </tr>
                    )),
                  )}
                </tbody>
              </table>
            )}
          </section>
          <section aria-labelledby="detail-raw">
            <h3 id="detail-raw">{t("raw")}</h3>
            <pre tabIndex={0} aria-labelledby="detail-raw">
              {indented(detail.event)}
            </pre>
          </section>
        </div>
      )}
    </dialog>
  );
}
