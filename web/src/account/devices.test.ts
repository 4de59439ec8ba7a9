import { expect, test } from "vitest";
import { deviceOf } from "./devices";

test.each([
  [
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/131.0 Safari/537.36",
    "Chrome, Linux",
  ],
  [
    "Mozilla/5.0 (Linux; Android 14) AppleWebKit/537.36 Chrome/131.0 Mobile Safari/537.36 EdgA/131.0",
    "Edge, Android",
  ],
  [
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18.0 Safari/604.1",
    "Safari, iPhone",
  ],
  ["curl/8.9.1", "curl/8.9.1"],
  ["", ""],
])("%s is %s", (agent, device) => {
  expect(deviceOf(agent)).toBe(device);
});
