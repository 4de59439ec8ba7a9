// Keeps one page and its files for a start without a connection, and nothing else: its scope is the
// address of that page, and what the API answers is never kept. The build makes one of it for the scanner
// and one for tickets, and puts in the address and the names of the files.
const SHELL = "__SHELL__";
const FILES = "__FILES__";
const KIND = "__KIND__-";
const CACHE = `${KIND}__VERSION__`;

addEventListener("install", (event) => {
  const page = new Request(SHELL, { headers: { Accept: "text/html" }, cache: "reload" });
  const keep = async () => {
    const cache = await caches.open(CACHE);
    await cache.addAll([page, ...FILES]);
    // While servers are exchanged, the page may be of another build than this worker and its files.
    const text = await (await cache.match(SHELL, { ignoreVary: true })).text();
    const named = text.match(/\/assets\/[^"]+/g) ?? [];
    if (named.every((name) => FILES.includes(name))) return;
    await caches.delete(CACHE);
    throw new Error("This page is of another build.");
  };
  event.waitUntil(keep());
});

addEventListener("activate", (event) => {
  // Only now is no page open that needs the files of the build before.
  const drop = async () => {
    const names = (await caches.keys()).filter((name) => name.startsWith(KIND));
    await Promise.all(names.filter((name) => name !== CACHE).map((name) => caches.delete(name)));
    await clients.claim();
  };
  event.waitUntil(drop());
});

addEventListener("fetch", (event) => {
  const { pathname, origin } = new URL(event.request.url);
  if (origin !== location.origin || event.request.method !== "GET") return;
  // The server varies its answers by what is accepted; here there is one of each.
  const one = { ignoreVary: true };
  const kept = (name) => caches.open(CACHE).then((cache) => cache.match(name, one));
  const isPage = pathname === SHELL || pathname.startsWith(`${SHELL}/`);
  if (event.request.mode === "navigate" && isPage) {
    const shown = fetch(event.request).catch(async (error) => {
      const page = await kept(SHELL);
      if (page === undefined) throw error;
      return page;
    });
    event.respondWith(shown);
  } else if (FILES.includes(pathname)) {
    // Their names contain the hash of their content.
    event.respondWith(kept(pathname).then((file) => file ?? fetch(event.request)));
  }
});
