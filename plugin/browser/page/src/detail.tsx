// One event: why it met its fate, and its text beside that.
import { useEffect, useRef, useState } from "preact/hooks";
import { indented } from "./data";
import { t } from "./i18n";
import type { Detail, Line } from "./types";

/** The last of the lines that go on with what the one at `index` is about. */
function lastOf(lines: Line[], index: number): number {
  const next = lines.findIndex((line, other) => other > index && line.label !== "");
  return next < 0 ? lines.length - 1 : next - 1;
}

export function DetailDialog(props: { title: string; detail: Promise<Detail>; close(): void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const [detail, setDetail] = useState<Detail>();
  const [failure, setFailure] = useState<string>();
  useEffect(() => {
    setDetail(undefined);
    // What came of it stands last in the engine's story, and first here.
    const answerFirst = ({ lines, event }: Detail) => setDetail({ lines: [...lines.slice(-1), ...lines.slice(0, -1)], event });
    props.detail.then(answerFirst, (error: unknown) => setFailure(String(error)));
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
                  {detail.lines.map((line, index) => (
                    <tr key={index}>
                      {line.label !== "" && (
                        <th scope="row" rowSpan={lastOf(detail.lines, index) - index + 1}>
                          {line.label}
                        </th>
                      )}
                      <td>{line.text}</td>
                    </tr>
                  ))}
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
