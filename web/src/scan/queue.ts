/** What was scanned without a connection, and the lists to scan by: kept over a restart of the browser. */
import type { Schemas } from "../api/client";
import type { ScanList } from "./token";

export type Waiting = Schemas["OfflineScan"] & { seats: string[]; ticketIds: string[] };

const SCANS = "scans";
const LISTS = "lists";

function opened(): Promise<IDBDatabase> {
  const request = indexedDB.open("cinema.scanner", 1);
  request.onupgradeneeded = () => {
    request.result.createObjectStore(SCANS, { keyPath: "nonce" });
    request.result.createObjectStore(LISTS, { keyPath: "showtime_id" });
  };
  return done(request);
}

function done<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

async function within<T>(
  name: string,
  mode: IDBTransactionMode,
  work: (store: IDBObjectStore) => IDBRequest<T>,
): Promise<T> {
  const database = await opened();
  try {
    return await done(work(database.transaction(name, mode).objectStore(name)));
  } finally {
    database.close();
  }
}

export async function waitingScans(): Promise<Waiting[]> {
  const all: Waiting[] = await within(SCANS, "readonly", (store) => store.getAll());
  return all.sort((one, other) => one.at.localeCompare(other.at));
}

export async function addScan(scan: Waiting): Promise<void> {
  await within(SCANS, "readwrite", (store) => store.put(scan));
}

export async function dropScans(nonces: readonly string[]): Promise<void> {
  for (const nonce of nonces) await within(SCANS, "readwrite", (store) => store.delete(nonce));
}

export async function keepList(list: ScanList): Promise<void> {
  await within(LISTS, "readwrite", (store) => store.put(list));
}

/** Those of showtimes that are not over; the others are dropped. */
export async function keptLists(now: number): Promise<ScanList[]> {
  const all: ScanList[] = await within(LISTS, "readonly", (store) => store.getAll());
  const isOver = (list: ScanList) => Date.parse(list.closes_at) < now;
  for (const { showtime_id } of all.filter(isOver))
    await within(LISTS, "readwrite", (store) => store.delete(showtime_id));
  return all
    .filter((list) => !isOver(list))
    .sort((one, other) => one.starts_at.localeCompare(other.starts_at));
}

export async function keptList(showtimeId: string): Promise<ScanList | undefined> {
  return within(LISTS, "readonly", (store) => store.get(showtimeId));
}
