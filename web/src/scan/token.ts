/** What a ticket's code says, and whether it lets in by the list of a showtime; see docs/tickets.md. */
import type { Schemas } from "../api/client";

export type ScanList = Schemas["ScanList"];

const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
const TOKEN_CHARS = 146;
const TOKEN_BYTES = 91;
const SIGNED_BYTES = 27;
const VERSION = 1;

export interface Claim {
  keyId: number;
  /** Of the ticket, or of the code of a booking. */
  id: string;
  generation: number;
  signed: Uint8Array<ArrayBuffer>;
  signature: Uint8Array<ArrayBuffer>;
}

/** None if it is no code of ours. */
export function claimIn(text: string): Claim | null {
  const tidy = text.trim().toUpperCase();
  if (tidy.length !== TOKEN_CHARS) return null;
  const bytes = new Uint8Array(TOKEN_BYTES);
  let held = 0;
  let bits = 0;
  let at = 0;
  for (const character of tidy) {
    const value = ALPHABET.indexOf(character);
    if (value < 0) return null;
    held = (held << 5) | value;
    bits += 5;
    if (bits >= 8) {
      bits -= 8;
      bytes[at] = held >> bits;
      at += 1;
      held &= (1 << bits) - 1;
    }
  }
  if (bytes[0] !== VERSION) return null;
  return {
    keyId: bytes[1] ?? 0,
    id: uuidOf(bytes.subarray(2, 18)),
    generation: bytes[26] ?? 0,
    signed: bytes.slice(0, SIGNED_BYTES),
    signature: bytes.slice(SIGNED_BYTES),
  };
}

function uuidOf(bytes: Uint8Array): string {
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}

export type Offline =
  | { lets: true; ticketIds: string[]; seats: string[]; checks: string[] }
  | { lets: false; code: string };

/** By the list alone, for tickets that were not let in here meanwhile. */
export function byList(claim: Claim, list: ScanList, inside: ReadonlySet<string>): Offline {
  const group = list.groups.find((one) => one.id === claim.id);
  const ids = new Set(group?.ticket_ids ?? [claim.id]);
  const tickets = list.tickets.filter((one) => ids.has(one.id));
  const generation = group?.generation ?? tickets[0]?.generation;
  if (list.cancelled) return { lets: false, code: "TICKET_CANCELLED" };
  if (generation === undefined) return { lets: false, code: "WRONG_SHOWTIME" };
  if (generation !== claim.generation) return { lets: false, code: "TICKET_REVOKED" };
  const valid = tickets.filter((one) => one.state === "valid" && !inside.has(one.id));
  if (valid.length === 0) {
    const isBlocked = tickets.every((one) => one.state === "blocked");
    return { lets: false, code: isBlocked ? "TICKET_BLOCKED" : "ALREADY_USED" };
  }
  return {
    lets: true,
    ticketIds: valid.map((one) => one.id),
    seats: valid.map((one) => one.seat),
    checks: [...new Set(valid.flatMap((one) => one.checks))],
  };
}

/** Whether one of the keys of the list has signed it. */
export async function isSigned(claim: Claim, list: ScanList): Promise<boolean> {
  for (const { key_id, public_key } of list.keys) {
    if (key_id !== claim.keyId) continue;
    const raw = Uint8Array.from(
      atob(public_key.replaceAll("-", "+").replaceAll("_", "/")),
      (character) => character.charCodeAt(0),
    );
    const key = await crypto.subtle.importKey("raw", raw, "Ed25519", false, ["verify"]);
    if (await crypto.subtle.verify("Ed25519", key, claim.signature, claim.signed)) return true;
  }
  return false;
}
