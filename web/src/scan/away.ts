/** A start without a connection: what is kept here lets the door go on until the server answers. */
import { useEffect, useState } from "react";
import { serverNow } from "../api/client";
import { currentSession, ready, useSession } from "../api/session";
import { keptLists } from "./queue";
import type { ScanList } from "./token";

const LOOK_EVERY_MS = 3000;

/** The lists to scan by, while nobody can say who has signed in here; null while the server answers. */
export function useKeptDoor(): ScanList[] | null {
  const { kind } = useSession();
  const [lists, setLists] = useState<ScanList[] | null>(null);
  useEffect(() => {
    setLists(null);
    if (kind !== "unknown") return;
    let isOver = false;
    const look = async () => {
      await ready();
      const kept = await keptLists(serverNow());
      if (!isOver && currentSession().kind === "unknown") setLists(kept);
    };
    void look();
    const timer = setInterval(look, LOOK_EVERY_MS);
    return () => {
      isOver = true;
      clearInterval(timer);
    };
  }, [kind]);
  return lists;
}

/** Keeps this page for such a start; a browser that cannot goes on without. */
export function keepPage(): void {
  if (!import.meta.env.PROD || navigator.serviceWorker === undefined) return;
  navigator.serviceWorker.register("/scanner.js", { scope: "/staff/scan" }).catch(() => undefined);
}
