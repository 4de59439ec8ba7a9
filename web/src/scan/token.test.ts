import { expect, test } from "vitest";
import { byList, claimIn, type ScanList } from "./token";

const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
const TICKET = "019a0c1e-0000-7000-8000-000000000001";
const OTHER = "019a0c1e-0000-7000-8000-000000000002";
const GROUP = "019a0c1e-0000-7000-8000-000000000000";

function tokenOf(id: string, generation: number, version = 1): string {
  const bytes = new Uint8Array(91);
  bytes[0] = version;
  bytes[1] = 138;
  const hex = id.replaceAll("-", "");
  for (let at = 0; at < 16; at += 1)
    bytes[2 + at] = Number.parseInt(hex.slice(2 * at, 2 * at + 2), 16);
  bytes[26] = generation;
  let bits = "";
  for (const byte of bytes) bits += byte.toString(2).padStart(8, "0");
  const padded = bits.padEnd(Math.ceil(bits.length / 5) * 5, "0");
  return (padded.match(/.{5}/g) ?? []).map((five) => ALPHABET[Number.parseInt(five, 2)]).join("");
}

function listed(state: "valid" | "used" | "blocked" = "valid"): ScanList {
  return {
    showtime_id: OTHER,
    cinema_id: OTHER,
    screen_id: OTHER,
    film: "Metropolis",
    starts_at: "2026-06-01T20:00:00Z",
    ends_at: "2026-06-01T22:00:00Z",
    opens_at: "2026-06-01T19:30:00Z",
    closes_at: "2026-06-01T22:15:00Z",
    cancelled: false,
    tickets: [
      { id: TICKET, generation: 2, seat: "A1", state, checks: ["Student card"] },
      { id: OTHER, generation: 1, seat: "A2", state: "valid", checks: [] },
    ],
    groups: [{ id: GROUP, generation: 3, ticket_ids: [TICKET, OTHER] }],
    keys: [],
  };
}

function verdict(id: string, generation: number, list = listed(), inside: string[] = []) {
  const claim = claimIn(tokenOf(id, generation));
  if (claim === null) throw new Error("no code");
  return byList(claim, list, new Set(inside));
}

test("a code says which ticket it is for", () => {
  const claim = claimIn(` ${tokenOf(TICKET, 7).toLowerCase()}\n`);
  expect([claim?.id, claim?.generation, claim?.keyId]).toEqual([TICKET, 7, 138]);
  expect([claim?.signed.length, claim?.signature.length]).toEqual([27, 64]);
});

test.each(["", "A".repeat(145), `1${"A".repeat(145)}`, tokenOf(TICKET, 1, 2)])(
  "%s is no code",
  (text) => {
    expect(claimIn(text)).toBeNull();
  },
);

test("a ticket of the list lets in, with what to look at", () => {
  const seats = { seats: ["A1"], ticketIds: [TICKET], checks: ["Student card"] };
  expect(verdict(TICKET, 2)).toEqual({ lets: true, ...seats });
});

test("a ticket is let in once", () => {
  expect(verdict(TICKET, 2, listed(), [TICKET])).toEqual({ lets: false, code: "ALREADY_USED" });
  expect(verdict(TICKET, 2, listed("used"))).toEqual({ lets: false, code: "ALREADY_USED" });
});

test("the code of a booking lets in who is not inside yet", () => {
  expect(verdict(GROUP, 3, listed("used"))).toMatchObject({ lets: true, seats: ["A2"] });
});

test("older codes, blocked tickets and other showtimes are refused", () => {
  expect(verdict(TICKET, 1)).toEqual({ lets: false, code: "TICKET_REVOKED" });
  expect(verdict(TICKET, 2, listed("blocked"))).toEqual({ lets: false, code: "TICKET_BLOCKED" });
  expect(verdict("019a0c1e-0000-7000-8000-00000000ffff", 2)).toMatchObject({
    code: "WRONG_SHOWTIME",
  });
  expect(verdict(TICKET, 2, { ...listed(), cancelled: true })).toMatchObject({
    code: "TICKET_CANCELLED",
  });
});
