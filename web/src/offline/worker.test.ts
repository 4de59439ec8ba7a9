import { expect, test } from "vitest";
import source from "./worker.js?raw";

const FILES = ["/assets/index-1.js"];

/** Installs the worker of a build whose server answers with this page; what is kept then. */
async function installed(page: string) {
  const kept = new Map<string, string[]>();
  const caches = {
    open: async (name: string) => ({
      addAll: async (all: (string | { address: string })[]) =>
        kept.set(
          name,
          all.map((one) => (typeof one === "string" ? one : one.address)),
        ),
      match: async () => ({ text: async () => page }),
    }),
    delete: async (name: string) => kept.delete(name),
  };
  class Request {
    constructor(readonly address: string) {}
  }
  let done: Promise<void> | undefined;
  const addEventListener = (name: string, listen: (event: unknown) => void) => {
    if (name === "install") listen({ waitUntil: (work: Promise<void>) => (done = work) });
  };
  const built = source
    .replace("__SHELL__", "/bookings")
    .replace('"__FILES__"', '["/assets/index-1.js"]');
  new Function("addEventListener", "caches", "Request", built)(addEventListener, caches, Request);
  await done;
  return [...kept.values()];
}

test("a page is kept with all files that it names", async () => {
  const page = '<script src="/assets/index-1.js"></script>';
  expect(await installed(page)).toEqual([["/bookings", ...FILES]]);
});

test("a page of another build is not kept: it would start nothing", async () => {
  const page = '<script src="/assets/index-2.js"></script>';
  await expect(installed(page)).rejects.toThrow("another build");
});
