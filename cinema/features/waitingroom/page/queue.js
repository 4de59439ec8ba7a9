/* The waiting room: gets a place, keeps it in this browser, and leads to the seats when it is time. */
"use strict";

const WORDS = {
  en: {
    title: "Waiting room",
    lead: "Many want seats of this showtime. You will get in by turns.",
    none: "This address names no showtime.",
    joining: "Getting you a place …",
    gathering: (at) => `You have a place. At ${at} all places are shuffled, so you need not hurry.`,
    shuffled: "You have a place. Your position comes in a moment.",
    waiting: (n) => (n === 1 ? "You are next." : `You are number ${n} in line.`),
    soon: "Less than a minute to go.",
    minutes: (n) => `About ${n} minutes to go.`,
    stay: "Leave this page open. Your place is kept, even if you load it again.",
    yours: "It is your turn.",
    go: "Choose seats",
    ended: { booked: "You have booked.", left: "You gave your place up.", missed: "Your turn has passed.", time: "Your time is over." },
    again: "Get another place",
    full: "The waiting room is full.",
    share: "Too many from your network wait already. We try again in a minute.",
    offline: "There is no connection. Your place is kept; we try again.",
    fair: "How the order comes about",
    fairText: "Who came before the start is shuffled by a secret number, the seed. Its SHA-256 is shown before the start and the seed afterwards, so that everybody can check the order.",
  },
  de: {
    title: "Warteraum",
    lead: "Viele möchten Plätze für diese Vorstellung. Sie kommen der Reihe nach hinein.",
    none: "Diese Adresse nennt keine Vorstellung.",
    joining: "Sie bekommen einen Platz …",
    gathering: (at) => `Sie sind dabei. Um ${at} wird ausgelost; Eile bringt keinen Vorteil.`,
    shuffled: "Sie sind dabei. Ihre Nummer kommt gleich.",
    waiting: (n) => (n === 1 ? "Sie sind als Nächstes dran." : `Sie sind Nummer ${n} in der Reihe.`),
    soon: "Noch weniger als eine Minute.",
    minutes: (n) => `Noch etwa ${n} Minuten.`,
    stay: "Lassen Sie diese Seite offen. Ihr Platz bleibt, auch wenn Sie neu laden.",
    yours: "Sie sind dran.",
    go: "Plätze wählen",
    ended: { booked: "Sie haben gebucht.", left: "Sie haben Ihren Platz aufgegeben.", missed: "Sie waren dran, aber nicht da.", time: "Ihre Zeit ist um." },
    again: "Neu anstellen",
    full: "Der Warteraum ist voll.",
    share: "Aus Ihrem Netz warten schon sehr viele. Wir versuchen es in einer Minute wieder.",
    offline: "Keine Verbindung. Ihr Platz bleibt; wir versuchen es wieder.",
    fair: "Wie die Reihenfolge entsteht",
    fairText: "Wer vor dem Beginn da ist, wird mit einer geheimen Zahl ausgelost. Ihr SHA-256 steht vorher hier, sie selbst danach, so dass alle die Reihenfolge prüfen können.",
  },
};

const AGAIN_MS = 5000;
const SHARE_MS = 60000;

const language = navigator.language.startsWith("de") ? "de" : "en";
const words = WORDS[language];
const base = document.querySelector("meta[name=cinema-api]").content;
const showtime = new URLSearchParams(location.search).get("showtime") ?? "";
const address = `${base}/api/v1/showtimes/${encodeURIComponent(showtime)}/queue`;
const kept = `cinema.queue.${showtime}`;
const element = (id) => document.getElementById(id);

function say(text, more = "") {
  // The same text again would be read out again.
  if (element("place").textContent !== text) element("place").textContent = text;
  element("more").textContent = more;
}

function offer(go, again) {
  element("actions").hidden = !go && !again;
  element("go").hidden = !go;
  element("again").hidden = !again;
}

function load() {
  try {
    return JSON.parse(localStorage.getItem(kept)) ?? {};
  } catch {
    return {};
  }
}

let mine = load();

function save(next) {
  mine = next;
  try {
    localStorage.setItem(kept, JSON.stringify(next));
  } catch {
    // Without storage the place is good as long as the page is open.
  }
}

// One for all showtimes: those of a film may have one room, and then this device has one place.
function deviceSecret() {
  const bytes = crypto.getRandomValues(new Uint8Array(24));
  const fresh = btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_");
  try {
    const known = localStorage.getItem("cinema.queue.device") ?? fresh;
    localStorage.setItem("cinema.queue.device", known);
    return known;
  } catch {
    return fresh;
  }
}

async function digest(text) {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text)));
}

function zeroBits(bytes) {
  let bits = 0;
  for (const byte of bytes) {
    if (byte !== 0) return bits + Math.clz32(byte) - 24;
    bits += 8;
  }
  return bits;
}

async function work(room, bits) {
  if (bits === 0) return "";
  const bound = [...(await digest(mine.secret))].map((one) => one.toString(16).padStart(2, "0")).join("");
  for (let number = 0; ; number += 1) {
    if (zeroBits(await digest(`${room}:${bound}:${number}`)) >= bits) return String(number);
  }
}

async function ask(url, body) {
  const reply = await fetch(url, body && {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  });
  const answer = await reply.json();
  return { status: reply.status, room: answer.data, code: answer.error?.code };
}

function later(ms) {
  setTimeout(step, ms);
}

function goIn() {
  const place = new URLSearchParams({ place: mine.token ?? "", secret: mine.secret ?? "" });
  return `${base}/showtimes/${encodeURIComponent(showtime)}${mine.token ? `#${place}` : ""}`;
}

async function join(room) {
  say(words.joining);
  if (!mine.secret) save({ secret: deviceSecret() });
  const body = { device_secret: mine.secret, proof: await work(room.id, room.work_bits) };
  const { status, room: joined, code } = await ask(address, body);
  if (status === 201) {
    save({ secret: mine.secret, token: joined.place.token });
    show(joined);
  } else if (code === "QUEUE_FULL") {
    say(words.full);
    offer(false, true);
  } else if (code === "RATE_LIMITED") {
    say(words.share);
    later(SHARE_MS);
  } else {
    later(AGAIN_MS);
  }
}

function show(room) {
  element("commitment").textContent = room.commitment ?? "";
  element("seed").textContent = room.seed ?? "–";
  const place = room.place;
  if (place.status === "waiting") {
    if (place.position !== null) {
      const minutes = Math.ceil((place.estimate_s ?? 0) / 60);
      const estimate = place.estimate_s === null ? "" : place.estimate_s < 60 ? words.soon : words.minutes(minutes);
      say(words.waiting(place.position), `${estimate} ${words.stay}`.trim());
      document.title = `${place.position} · ${words.title}`;
    } else if (room.status === "gathering") {
      const at = new Date(room.starts_at).toLocaleTimeString(language, { hour: "2-digit", minute: "2-digit" });
      say(words.gathering(at), words.stay);
    } else {
      say(words.shuffled, words.stay);
    }
    later(place.poll_after_s * 1000);
  } else if (place.status === "ended") {
    say(words.ended[place.ended_by] ?? words.ended.time);
    save({});
    offer(false, true);
  } else {
    say(words.yours);
    document.title = words.yours;
    element("go").href = goIn();
    offer(true, false);
    element("go").focus();
    location.assign(goIn());
  }
}

async function step() {
  try {
    const query = mine.token ? `?token=${encodeURIComponent(mine.token)}` : "";
    const { status, room } = await ask(address + query);
    if (status === 404 && mine.token) {
      // It was for another day, or another server.
      save({});
      later(0);
    } else if (status === 404) {
      say(words.none);
    } else if (status !== 200) {
      later(AGAIN_MS);
    } else if (room.status === "off" || room.status === "armed") {
      save({});
      location.replace(goIn());
    } else if (room.place) {
      show(room);
    } else {
      await join(room);
    }
  } catch {
    say(words.offline);
    later(AGAIN_MS);
  }
}

document.documentElement.lang = language;
document.title = words.title;
element("title").textContent = words.title;
element("lead").textContent = words.lead;
element("go").textContent = words.go;
element("again").textContent = words.again;
element("fair-title").textContent = words.fair;
element("fair-text").textContent = words.fairText;
element("again").addEventListener("click", () => {
  offer(false, false);
  void step();
});
if (showtime) void step();
else say(words.none);
