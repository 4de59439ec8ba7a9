/** Which hold this tab is about to pay: its id alone, so that a reload finds it again. */
const STORED = "cinema.hold";

export interface Kept {
  showtimeId: string;
  holdId: string;
}

export function keptHold(): Kept | null {
  const [showtimeId, holdId] = (sessionStorage.getItem(STORED) ?? "").split(" ");
  return showtimeId && holdId ? { showtimeId, holdId } : null;
}

export function keptAt(showtimeId: string): string | null {
  const kept = keptHold();
  return kept?.showtimeId === showtimeId ? kept.holdId : null;
}

export function keep(kept: Kept | null): void {
  if (kept === null) sessionStorage.removeItem(STORED);
  else sessionStorage.setItem(STORED, `${kept.showtimeId} ${kept.holdId}`);
}
