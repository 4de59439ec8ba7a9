// Makes src/api/schema.d.ts from the server's document on standard input. Refusals have one shape, and
// examples say nothing of types: without both, the file is a tenth as long.
import { writeFileSync } from "node:fs";
import { text } from "node:stream/consumers";
import openapiTS, { astToString } from "openapi-typescript";

const document = JSON.parse(await text(process.stdin));
const refused = {
  description: "Refused.",
  content: { "application/json": { schema: { $ref: "#/components/schemas/Error" } } },
};
for (const operations of Object.values(document.paths)) {
  for (const operation of Object.values(operations)) {
    const kept = Object.entries(operation.responses).filter(([status]) => status < "400");
    operation.responses = { ...Object.fromEntries(kept), default: refused };
  }
}
const withoutExamples = JSON.parse(
  JSON.stringify(document, (key, value) =>
    key === "examples" || (key === "example" && typeof value !== "string") ? undefined : value,
  ),
);
const types = await openapiTS(withoutExamples, { defaultNonNullable: false });
writeFileSync(new URL("../src/api/schema.d.ts", import.meta.url), astToString(types));
