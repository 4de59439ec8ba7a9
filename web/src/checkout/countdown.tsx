import { useEffect, useState } from "react";
import { serverNow } from "../api/client";
import { minutesAndSeconds, secondsUntil } from "../format";
import { useWords } from "../i18n";

const WARNINGS_S = [120, 60];

interface CountdownProps {
  expiresAt: string;
  /** Called when the time is over, by the server's clock. */
  over: () => void;
  /** None if the time is what it is. */
  extend?: () => void;
  isExtending?: boolean;
}

/** How long seats are kept; two warnings are read aloud, the seconds are not. */
export function Countdown({ expiresAt, over, extend, isExtending }: CountdownProps) {
  const { t } = useWords();
  const [left, setLeft] = useState(() => secondsUntil(expiresAt, serverNow()));
  useEffect(() => {
    const tick = () => setLeft(secondsUntil(expiresAt, serverNow()));
    tick();
    const timer = setInterval(tick, 500);
    return () => clearInterval(timer);
  }, [expiresAt]);
  const isOver = left === 0;
  // biome-ignore lint/correctness/useExhaustiveDependencies: told once, when it is over.
  useEffect(() => {
    if (!isOver) return;
    over();
    // The server may be a moment behind.
    const again = setInterval(over, 1000);
    return () => clearInterval(again);
  }, [isOver]);
  const warning = WARNINGS_S.findLast((at) => left <= at);
  return (
    <div className={warning === undefined ? "countdown" : "countdown soon"}>
      <span role="timer">{t("checkout.left", { time: minutesAndSeconds(left) })}</span>
      {extend && (
        <button type="button" className="button quiet" disabled={isExtending} onClick={extend}>
          {t("checkout.extend")}
        </button>
      )}
      <span className="unseen" role="status">
        {warning !== undefined && t("checkout.warn", { n: warning / 60 })}
      </span>
    </div>
  );
}
