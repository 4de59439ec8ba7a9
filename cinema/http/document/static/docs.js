// Draws the OpenAPI document: operations by tag, schemas, examples, and a form to try each one.
"use strict";

const byId = (id) => document.getElementById(id);
const METHODS = ["get", "post", "put", "patch", "delete"];
let api = null;
let token = null;

function make(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "class") node.className = value;
    else if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) node.setAttribute(name, value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

// Paragraphs, list items and `code`; nothing else of Markdown is used in the document.
function prose(text) {
  const holder = make("div");
  for (const block of text.trim().split(/\n{2,}/)) {
    const lines = block.split("\n");
    if (lines.every((line) => line.startsWith("- "))) {
      holder.append(make("ul", {}, ...lines.map((line) => make("li", {}, ...inline(line.slice(2))))));
    } else holder.append(make("p", {}, ...inline(block)));
  }
  return holder;
}

function inline(text) {
  return text.split(/(`[^`]+`)/).filter(Boolean)
    .map((part) => (part.startsWith("`") ? make("code", {}, part.slice(1, -1)) : part));
}

const nameOf = (ref) => ref.slice(ref.lastIndexOf("/") + 1);

function typeOf(schema) {
  if (!schema || Object.keys(schema).length === 0) return ["any"];
  if (schema.$ref) {
    const name = nameOf(schema.$ref);
    return [make("a", { href: `#schema-${name}` }, name)];
  }
  if (schema.allOf) return typeOf(schema.allOf[0]);
  const several = schema.anyOf || schema.oneOf;
  if (several) return several.flatMap((one, at) => (at ? [" | ", ...typeOf(one)] : typeOf(one)));
  if ("const" in schema) return [JSON.stringify(schema.const)];
  if (schema.enum) return [schema.enum.map((one) => JSON.stringify(one)).join(" | ")];
  if (schema.type === "array") return ["array of ", ...typeOf(schema.items)];
  if (schema.type === "object" && schema.additionalProperties)
    return ["map of ", ...typeOf(schema.additionalProperties)];
  return [schema.format ? `${schema.type} (${schema.format})` : String(schema.type)];
}

function limitsOf(given) {
  // What may also be null carries its limits in the other variant.
  const schema = { ...(given.anyOf || []).find((one) => one.type !== "null"), ...given };
  const words = [];
  if (schema.minimum !== undefined) words.push(`≥ ${schema.minimum}`);
  if (schema.maximum !== undefined) words.push(`≤ ${schema.maximum}`);
  if (schema.minLength) words.push(`at least ${schema.minLength} characters`);
  if (schema.maxLength !== undefined) words.push(`at most ${schema.maxLength} characters`);
  if (schema.minItems) words.push(`at least ${schema.minItems}`);
  if (schema.maxItems !== undefined) words.push(`at most ${schema.maxItems}`);
  if (schema.pattern) words.push(`\`${schema.pattern}\``);
  if (schema.default !== undefined && schema.default !== null)
    words.push(`default \`${JSON.stringify(schema.default)}\``);
  const about = schema.description || "";
  return words.length && about ? `${about.replace(/\.$/, "")}; ${words.join(", ")}` : about || words.join(", ");
}

function row(name, schema, required) {
  return make("tr", {},
    make("td", {}, make("code", {}, name), " ",
      required ? make("span", { class: "required" }, "required") : null),
    make("td", { class: "type" }, ...typeOf(schema)),
    make("td", {}, ...inline(limitsOf(schema))));
}

function table(headings, rows) {
  return make("div", { class: "scroll" }, make("table", {},
    make("thead", {}, make("tr", {}, ...headings.map((text) => make("th", { scope: "col" }, text)))),
    make("tbody", {}, ...rows)));
}

const json = (value) => make("pre", { tabindex: "0" }, make("code", {}, JSON.stringify(value, null, 2)));

function fieldsOf(schema) {
  const whole = schema.$ref ? api.components.schemas[nameOf(schema.$ref)] : schema;
  const variants = whole.anyOf || whole.oneOf;
  if (variants && !whole.properties)
    return make("div", {}, make("p", {}, "One of:"), ...variants.map((one) => make("p", {}, ...typeOf(one))));
  if (!whole.properties) return make("p", { class: "type" }, ...typeOf(whole));
  const required = new Set(whole.required || []);
  return table(["Field", "Type", ""],
    Object.entries(whole.properties).map(([name, one]) => row(name, one, required.has(name))));
}

function responseOf(status, response) {
  const good = Number(status) < 400;
  const content = Object.entries(response.content || {})[0];
  const block = make("details", { class: "schema", open: good && status !== "304" },
    make("summary", {}, make("span", { class: `status ${good ? "ok" : "bad"}` }, status), " ",
      good ? "" : make("span", { class: "about" }, Object.keys(content ? content[1].examples || {} : {}).join(", "))));
  block.append(prose(response.description || ""));
  if (!content) return block;
  const [type, body] = content;
  if (good && body.schema && body.schema.properties) {
    const data = body.schema.properties.data;
    block.append(make("p", {}, make("code", {}, "data"), ": ", make("span", { class: "type" }, ...typeOf(data))));
  } else if (good) block.append(make("p", { class: "type" }, type));
  if (body.example !== undefined) block.append(json(body.example));
  return block;
}

function aboutParameter(one) {
  const variants = [one, one.schema, ...(one.schema.anyOf || [])];
  const about = variants.map((variant) => variant.description).find(Boolean);
  return about ? `${one.in}: ${about}` : one.in;
}

function drawOperation(path, method, operation) {
  const verb = method.toUpperCase();
  const inside = make("div", { class: "inside" });
  const box = make("details", { class: "operation", id: operation.operationId },
    make("summary", {},
      make("span", { class: `method ${verb}` }, verb),
      make("span", { class: "path" }, path),
      operation.security ? make("span", { class: "lock" }, operation.security.length > 1 ? "token optional" : "token") : null,
      make("span", { class: "about" }, operation.summary)),
    inside);
  // Drawn when first opened: a long page of closed boxes stays light.
  box.addEventListener("toggle", () => {
    if (!box.open || inside.childElementCount) return;
    if (operation.description) inside.append(prose(operation.description));
    const parameters = operation.parameters || [];
    if (parameters.length) {
      inside.append(make("h4", {}, "Parameters"), table(["Name", "Type", ""], parameters.map((one) =>
        row(one.name, { ...one.schema, description: aboutParameter(one) }, one.required))));
    }
    const body = operation.requestBody && operation.requestBody.content["application/json"];
    if (body) {
      inside.append(make("h4", {}, "Body"), fieldsOf(body.schema));
      if (body.example !== undefined) inside.append(json(body.example));
    }
    inside.append(make("h4", {}, "Answers"),
      ...Object.entries(operation.responses).map(([status, one]) => responseOf(status, one)));
    if (!operation.responses["101"]) inside.append(tryIt(path, verb, operation, body));
  });
  return box;
}

function tryIt(path, verb, operation, body) {
  const form = make("form", { class: "try" }, make("h4", {}, "Try it"));
  const inputs = (operation.parameters || []).map((one) => {
    const input = make("input", { name: one.name, required: one.required, autocomplete: "off" });
    form.append(make("label", {}, `${one.name} (${one.in})`, input));
    return [one, input];
  });
  const text = body ? make("textarea", { name: "body", spellcheck: "false" }) : null;
  if (text) {
    text.value = JSON.stringify(body.example === undefined ? {} : body.example, null, 2);
    form.append(make("label", {}, "Body", text));
  }
  const send = make("button", { type: "submit" }, "Send");
  const answer = make("div", { class: "answer", role: "status" });
  form.append(send, answer);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    let address = path;
    const query = new URLSearchParams();
    const headers = {};
    for (const [one, input] of inputs) {
      const value = input.value.trim();
      if (!value) continue;
      if (one.in === "path") address = address.replace(`{${one.name}}`, encodeURIComponent(value));
      else if (one.in === "query") query.set(one.name, value);
      else headers[one.name] = value;
    }
    if (token) headers.Authorization = `Bearer ${token}`;
    if (text) headers["Content-Type"] = "application/json";
    if ([...query].length) address += `?${query}`;
    send.disabled = true;
    try {
      const begun = performance.now();
      const reply = await fetch(address, { method: verb, headers, body: text ? text.value : undefined });
      const shown = await reply.text();
      const took = Math.round(performance.now() - begun);
      let content;
      try { content = json(JSON.parse(shown)); } catch { content = make("pre", {}, make("code", {}, shown)); }
      answer.replaceChildren(
        make("p", {}, make("span", { class: `status ${reply.ok ? "ok" : "bad"}` }, `${reply.status}`),
          ` in ${took} ms · request `, make("code", {}, reply.headers.get("X-Request-ID") || "")), content);
    } catch (error) {
      answer.replaceChildren(make("p", { class: "required" }, `The server could not be reached (${error.message}).`));
    } finally { send.disabled = false; }
  });
  return form;
}

function draw() {
  byId("version").textContent = api.info.version;
  byId("introduction").replaceChildren(prose(api.info.description));
  const nav = byId("nav");
  const operations = byId("operations");
  operations.replaceChildren();
  for (const tag of api.tags) {
    const list = make("ul");
    const section = make("section", { "aria-label": tag.name },
      make("h2", { id: `tag-${tag.name}` }, tag.name), make("p", { class: "tag-about" }, tag.description));
    for (const [path, item] of Object.entries(api.paths)) {
      for (const method of METHODS) {
        const operation = item[method];
        if (!operation || operation.tags[0] !== tag.name) continue;
        section.append(drawOperation(path, method, operation));
        const verb = method.toUpperCase();
        list.append(make("li", {}, make("a", { href: `#${operation.operationId}` },
          make("span", { class: `method ${verb}` }, verb), operation.summary)));
      }
    }
    nav.append(make("h2", {}, tag.name), list);
    operations.append(section);
  }
  byId("schema-list").append(...Object.entries(api.components.schemas).sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, schema]) => make("details", { class: "schema", id: `schema-${name}` },
      make("summary", {}, name), schema.description ? prose(schema.description) : null, fieldsOf(schema))));
  openTarget();
}

function openTarget() {
  const target = location.hash.length > 1 ? byId(decodeURIComponent(location.hash.slice(1))) : null;
  if (!target) return;
  if (target.tagName === "DETAILS" && !target.open) {
    // Its content is drawn when it opens, and must be there before the page is scrolled to it.
    target.addEventListener("toggle", () => target.scrollIntoView(), { once: true });
    target.open = true;
  } else target.scrollIntoView();
}

function filter() {
  const wanted = byId("filter").value.trim().toLowerCase();
  for (const section of byId("operations").querySelectorAll("section")) {
    let any = false;
    for (const box of section.querySelectorAll("details.operation")) {
      box.hidden = !box.querySelector("summary").textContent.toLowerCase().includes(wanted);
      any = any || !box.hidden;
    }
    section.hidden = !any;
  }
}

function setUpTheme() {
  const root = document.documentElement;
  const prefers = matchMedia("(prefers-color-scheme: dark)");
  const apply = () => { root.dataset.theme = sessionStorage.getItem("theme") || (prefers.matches ? "dark" : "light"); };
  prefers.addEventListener("change", apply);
  byId("theme").addEventListener("click", () => {
    sessionStorage.setItem("theme", root.dataset.theme === "dark" ? "light" : "dark");
    apply();
  });
  apply();
}

function setUpSession() {
  const form = byId("session");
  const state = byId("session-state");
  const show = (text) => { state.textContent = text; byId("sign-out").hidden = token === null; };
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const credentials = { email: form.elements.email.value, password: form.elements.password.value };
    const reply = await fetch("/api/v1/auth/login", {
      method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(credentials),
    });
    const answer = await reply.json();
    // The token lives in this page only; reloading forgets it.
    token = answer.success ? answer.data.access_token : null;
    form.elements.password.value = "";
    show(answer.success ? `Signed in as ${answer.data.user.email} (${answer.data.user.role}).` : answer.error.message);
  });
  byId("sign-out").addEventListener("click", () => { token = null; show("Signed out."); });
}

setUpTheme();
setUpSession();
byId("filter").addEventListener("input", filter);
addEventListener("hashchange", openTarget);
addEventListener("keydown", (event) => {
  if (event.key === "/" && !/^(INPUT|TEXTAREA)$/.test(document.activeElement.tagName)) {
    event.preventDefault();
    byId("filter").focus();
  }
});
fetch("/api/v1/openapi.json")
  .then((reply) => reply.json())
  .then((document_) => { api = document_; draw(); })
  .catch((error) => byId("operations").replaceChildren(
    make("p", { class: "empty" }, `The document could not be loaded (${error.message}).`)));
