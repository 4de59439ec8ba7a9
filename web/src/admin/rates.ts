/** Rates from counters that each node begins at zero when it starts. */
import type { Schemas } from "../api/client";

type Live = Schemas["Live"];
type Node = Schemas["LiveNode"];
type Count = "watchers" | "requests" | "errors";

export function sumOf(nodes: readonly Node[], count: Count): number {
  return nodes.reduce((sum, one) => sum + (one.counts?.[count] ?? 0), 0);
}

/** By how much a counter grew; a node that was started anew, or is new, counts from zero. */
function grown(before: Live, now: Live, count: Count): number {
  return now.nodes.reduce((sum, { node_id, counts }) => {
    if (counts === null) return sum;
    const known = before.nodes.find((one) => one.node_id === node_id)?.counts;
    const from = known && known.uptime_s <= counts.uptime_s ? known[count] : 0;
    return sum + counts[count] - from;
  }, 0);
}

export function perSecond(before: Live, now: Live): number {
  const seconds = (Date.parse(now.at) - Date.parse(before.at)) / 1000;
  return seconds > 0 ? grown(before, now, "requests") / seconds : 0;
}

export function errorsSince(first: Live, now: Live): number {
  return grown(first, now, "errors");
}
