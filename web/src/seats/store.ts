/**
 * What is known of a showtime's seats. A store outside React: each seat on the map listens for itself,
 * so a change paints one seat.
 */
import type { ShownSeat } from "./grid";

/**
 * Changes by others are told at most this often: a room that changes a hundred times a second leaves
 * a slow telephone time for whoever touches it.
 */
const GROUPED_MS = 80;

export type Status = ShownSeat["status"];
export type Line = "connecting" | "live" | "lost";

export interface Frame {
  type: "snapshot" | "delta" | "resync" | "result" | "error";
  epoch: number;
  seq: number;
  prev_seq: number;
  layout_version: number;
  taken: Record<string, Status>;
  changes: Record<string, Status>;
}

export interface Overview {
  chosen: readonly string[];
  /** Seats that were chosen and went to somebody else since the last choice. */
  lost: readonly string[];
  line: Line;
  isSoldOut: boolean;
}

export class SeatStore {
  private status = new Map<string, Status>();
  private readonly mine = new Set<string>();
  private chosen = new Set<string>();
  /** Seats that are being held for us: when the socket tells of them, they may be ours. */
  private asked = new Set<string>();
  private readonly listeners = new Map<string, Set<() => void>>();
  private readonly watchers = new Set<() => void>();
  /** Seats that changed since the last group was told. */
  private untold = new Set<string>();
  private isGrouping = false;
  private position: { epoch: number; seq: number } | null = null;
  private free = 0;
  private overview: Overview = { chosen: [], lost: [], line: "connecting", isSoldOut: false };

  constructor(seats: readonly ShownSeat[], epoch: number, seq: number) {
    this.position = { epoch, seq };
    for (const seat of seats) {
      this.status.set(seat.label, seat.status);
      if (seat.status === "available") this.free += 1;
      if (seat.mine) this.mine.add(seat.label);
    }
    this.overview.isSoldOut = this.free === 0;
  }

  statusOf(label: string): Status {
    return this.status.get(label) ?? "blocked";
  }

  isMine(label: string): boolean {
    return this.mine.has(label);
  }

  isChosen(label: string): boolean {
    return this.chosen.has(label);
  }

  /** One text for all that a seat shows, as `useSyncExternalStore` needs it. */
  lookOf = (label: string): string => {
    if (this.chosen.has(label)) return "chosen";
    const status = this.statusOf(label);
    return this.mine.has(label) && status !== "available" ? "mine" : status;
  };

  watchSeat = (label: string, listener: () => void): (() => void) => {
    const all = this.listeners.get(label) ?? new Set();
    this.listeners.set(label, all);
    all.add(listener);
    return () => all.delete(listener);
  };

  watch = (listener: () => void): (() => void) => {
    this.watchers.add(listener);
    return () => this.watchers.delete(listener);
  };

  seen = (): Overview => this.overview;

  /** Choose or leave a seat; false if it cannot be chosen. */
  toggle(label: string): boolean {
    if (!this.chosen.delete(label)) {
      if (this.statusOf(label) !== "available") {
        this.tell(label);
        return false;
      }
      this.chosen.add(label);
    }
    this.tell(label);
    this.show({ lost: [] });
    return true;
  }

  choose(labels: Iterable<string>): void {
    const before = this.chosen;
    this.chosen = new Set([...labels].filter((label) => this.statusOf(label) === "available"));
    for (const label of new Set([...before, ...this.chosen])) this.tell(label);
    this.show({ lost: [] });
  }

  ask(labels: Iterable<string>): void {
    this.asked = new Set(labels);
  }

  /** These seats are held for us, instead of what was chosen. */
  granted(labels: Iterable<string>): void {
    this.asked.clear();
    const held = [...labels];
    for (const label of held) this.mine.add(label);
    const left = new Set([...held, ...this.chosen]);
    this.chosen.clear();
    for (const label of left) this.tell(label);
    this.show({ lost: [] });
  }

  /** The hold was refused: what was taken meanwhile is somebody else's. */
  refused(): void {
    const taken = [...this.asked].filter(
      (label) => this.statusOf(label) !== "available" && this.chosen.delete(label),
    );
    this.asked.clear();
    for (const label of taken) this.tell(label);
    if (taken.length > 0) this.show({ lost: [...this.overview.lost, ...taken] });
  }

  setLine(line: Line): void {
    if (this.overview.line !== line) this.show({ line });
  }

  /** Where to resume, as the socket takes it. */
  since(): string | null {
    return this.position === null ? null : `${this.position.epoch}:${this.position.seq}`;
  }

  /** Take what the socket says; false if something is missing, so that all has to be asked again. */
  apply(frame: Frame): boolean {
    if (frame.type === "snapshot") {
      this.position = { epoch: frame.epoch, seq: frame.seq };
      const next = new Map<string, Status>();
      for (const label of this.status.keys()) next.set(label, frame.taken[label] ?? "available");
      this.change(next);
    } else if (frame.type === "delta") {
      if (this.position === null || frame.prev_seq !== this.position.seq) return false;
      this.position = { epoch: frame.epoch, seq: frame.seq };
      this.change(new Map(Object.entries(frame.changes)));
    }
    return true;
  }

  /** Seats that a refusal named as taken, before the socket says so. */
  lose(labels: readonly string[]): void {
    this.change(new Map(labels.map((label) => [label, "held" as Status])));
  }

  private change(next: Map<string, Status>): void {
    const lost: string[] = [];
    for (const [label, status] of next) {
      const known = this.status.get(label);
      if (known === undefined || known === status) continue;
      this.status.set(label, status);
      this.free += Number(status === "available") - Number(known === "available");
      if (status === "available") this.mine.delete(label);
      else if (!this.asked.has(label) && this.chosen.delete(label)) lost.push(label);
      this.untold.add(label);
    }
    if (!this.isGrouping) this.tellGroup();
    const isSoldOut = this.free === 0;
    if (lost.length > 0) this.show({ lost: [...this.overview.lost, ...lost], isSoldOut });
    else if (isSoldOut !== this.overview.isSoldOut) this.show({ isSoldOut });
  }

  private tellGroup(): void {
    this.isGrouping = this.untold.size > 0;
    if (!this.isGrouping) return;
    const changed = this.untold;
    this.untold = new Set();
    for (const label of changed) this.tell(label);
    setTimeout(() => this.tellGroup(), GROUPED_MS);
  }

  private tell(label: string): void {
    for (const listener of this.listeners.get(label) ?? []) listener();
  }

  private show(news: Partial<Overview>): void {
    this.overview = { ...this.overview, ...news, chosen: [...this.chosen] };
    for (const watcher of this.watchers) watcher();
  }
}
