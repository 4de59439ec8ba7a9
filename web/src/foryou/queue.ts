/** What visitors do with films, gathered and sent together; what cannot be sent is forgotten. */
import type { Schemas } from "../api/client";

export type PageEvent = Schemas["PageEvent"];

/** As many as the server takes at once. */
export const AT_ONCE = 50;
const PAUSE_MS = 2000;

export class EventQueue {
  private waiting: PageEvent[] = [];
  private seen = new Set<string>();
  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor(private readonly send: (events: PageEvent[]) => void) {}

  /** A film of an answer counts once as seen, however often it is scrolled past. */
  note(event: PageEvent): void {
    if (event.kind === "impression" && event.exposure_id) {
      if (this.seen.has(event.exposure_id)) return;
      this.seen.add(event.exposure_id);
    }
    this.waiting.push(event);
    if (this.waiting.length >= AT_ONCE) this.flush();
    else this.timer ??= setTimeout(() => this.flush(), PAUSE_MS);
  }

  flush(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    if (this.waiting.length === 0) return;
    const events = this.waiting;
    this.waiting = [];
    this.send(events);
  }
}
