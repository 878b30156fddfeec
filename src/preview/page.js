"use strict";
const $ = (id) => document.getElementById(id);
const kilobytes = (octets) => (octets / 1024).toLocaleString("en", { maximumFractionDigits: 1 }) + " KB";

/** An element with text or children. */
function make(name, attributes, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {})) element.setAttribute(key, value);
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

const chosen = new URLSearchParams(location.search);
let generation = 0;
/** Counts the looks, so that an answer that was overtaken is dropped. */
let looks = 0;

function query() {
  const asked = new URLSearchParams();
  for (const key of ["campaign", "as", "at"]) if (chosen.get(key)) asked.set(key, chosen.get(key));
  return asked.toString();
}

function choose(key, value) {
  if (value) chosen.set(key, value);
  else chosen.delete(key);
  history.replaceState(null, "", "?" + query());
  look("");
}

function state(words, bad) {
  $("state").textContent = words;
  $("state").classList.toggle("bad", Boolean(bad));
}

async function look(words) {
  const mine = ++looks;
  const asked = query();
  const answer = await fetch("mail?" + asked);
  if (!answer.ok) throw new Error(answer.statusText);
  const seen = await answer.json();
  if (mine !== looks) return;
  generation = seen.generation;
  choices(seen);
  const errors = seen.faults.filter((fault) => fault.error);
  faults(errors);
  $("mail").hidden = !seen.mail;
  if (seen.mail) {
    mail(seen.mail);
    warnings(seen.faults.filter((fault) => !fault.error));
    $("body").src = "body?" + asked + "&generation=" + generation;
  }
  if (errors.length) state(errors.length === 1 ? "1 error" : errors.length + " errors", true);
  else state(words || "follows every change of the files");
}

function choices(seen) {
  document.title = (seen.mail ? seen.mail.subject : seen.campaign) + " · Preview";
  const names = seen.campaigns.includes(seen.campaign) ? seen.campaigns : [seen.campaign, ...seen.campaigns];
  $("campaign").replaceChildren(...names.map((name) => make("option", { value: name }, name)));
  $("campaign").value = seen.campaign;
  const samples = seen.samples.concat("sample@recipient.example");
  $("samples").replaceChildren(...samples.map((address) => make("option", { value: address })));
  if (document.activeElement !== $("recipient")) $("recipient").value = chosen.get("as") || "";
  $("recipient").placeholder = seen.recipient || "first of the audience";
  const at = chosen.get("at") ? new Date(chosen.get("at")) : null;
  if (at && !isNaN(at) && document.activeElement !== $("at")) {
    $("at").value = new Date(at - at.getTimezoneOffset() * 60000).toISOString().slice(0, 16);
  }
}

function faults(errors) {
  $("errors").hidden = !errors.length;
  $("errors").replaceChildren(...errors.map((fault) => {
    const place = fault.line ? `${fault.file}:${fault.line}:${fault.column}` : fault.file;
    const characters = Array.from(fault.text);
    const [from, to] = [fault.column - 1, fault.column - 1 + fault.width];
    const line = fault.text && make("pre", {}, String(fault.line).padStart(4) + "  ",
      characters.slice(0, from).join(""),
      make("mark", {}, characters.slice(from, to).join("") || " "),
      characters.slice(to).join(""));
    return make("article", { class: "fault" },
      make("h2", {}, fault.message),
      place ? make("p", { class: "place" }, place) : null,
      line || null,
      fault.hint ? make("p", { class: "hint" }, fault.hint) : null);
  }));
}

function warnings(found) {
  const box = $("warnings");
  box.hidden = !found.length;
  box.querySelector("summary").textContent = found.length === 1 ? "1 warning" : found.length + " warnings";
  box.querySelector("ul").replaceChildren(...found.map((fault) => {
    const place = fault.line ? ` (${fault.file}:${fault.line}:${fault.column})` : "";
    return make("li", {}, fault.message + (fault.hint ? ": " + fault.hint : "") + place);
  }));
}

function table(heads, rows) {
  const head = heads && make("thead", {}, make("tr", {}, ...heads.map((name) => make("th", { scope: "col" }, name))));
  return make("table", {}, head || null, make("tbody", {}, ...rows));
}

function mail(shown) {
  $("subject").textContent = shown.subject || "(no subject)";
  $("from").textContent = shown.from;
  $("to").textContent = shown.to;
  $("text").firstElementChild.textContent = shown.text;
  $("source").firstElementChild.textContent = shown.source.replaceAll("\r\n", "\n");
  $("headers").replaceChildren(table(null, [["Return path", shown.return_path, null]]
    .concat(shown.headers.map((header) => [header.name, header.value, header.decoded]))
    .map(([name, value, decoded]) => make("tr", {}, make("th", { scope: "row" }, name),
      make("td", {}, make("code", {}, value.replaceAll("\r\n", "\n")),
        decoded ? make("div", { class: "quiet" }, decoded) : null)))));
  const category = (link) => link.category
    ? make("span", { class: "badge" }, link.category)
    : make("span", { class: "badge none" }, "no category");
  $("links").replaceChildren(shown.links.length
    ? table(["Link", "Category", "Leads to"], shown.links.map((link) => make("tr", {},
      make("td", {}, link.number + (link.item ? ", offer " + link.item : "")),
      make("td", {}, category(link)), make("td", {}, link.url))))
    : make("p", { class: "card" }, "No link in this mail is counted."));
  size(shown.size);
}

function size({ message, html, text, clip, files }) {
  const share = html / clip;
  const bar = make("div", { class: share > 1 ? "bar over" : "bar", role: "img",
    "aria-label": `${Math.round(share * 100)} percent of what Gmail shows` });
  const filled = make("i");
  filled.style.width = Math.min(share * 100, 100) + "%";
  bar.append(filled);
  const rows = [["Whole message", message], ["HTML part", html], ["Text part", text]]
    .concat(files.map((file) => [file.name || "attachment", file.size]));
  $("size").replaceChildren(
    make("div", { class: "card" }, make("h2", {}, `${kilobytes(html)} of HTML`), bar,
      make("p", { class: share > 1 ? "" : "quiet" }, share > 1
        ? `Gmail shows the first ${kilobytes(clip)} and hides the rest, the way to unsubscribe perhaps among it.`
        : `Gmail shows up to ${kilobytes(clip)} and hides the rest.`)),
    table(null, rows.map(([name, octets]) =>
      make("tr", {}, make("th", { scope: "row" }, name), make("td", {}, kilobytes(octets))))));
}

const tabs = Array.from(document.querySelectorAll("[role=tab]"));
function open(tab) {
  for (const other of tabs) {
    other.setAttribute("aria-selected", String(other === tab));
    other.tabIndex = other === tab ? 0 : -1;
    $(other.getAttribute("aria-controls")).hidden = other !== tab;
  }
}
for (const [at, tab] of tabs.entries()) {
  tab.addEventListener("click", () => open(tab));
  tab.addEventListener("keydown", (event) => {
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: tabs.length - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    const next = tabs[(to + tabs.length) % tabs.length];
    open(next);
    next.focus();
  });
}

for (const input of document.querySelectorAll(".tools input")) {
  input.addEventListener("change", () => {
    $("body").classList.toggle("desktop", document.querySelector("[name=width]:checked").value === "desktop");
    $("body").classList.toggle("dark", document.querySelector("[name=scheme]:checked").value === "dark");
  });
}
$("choice").addEventListener("submit", (event) => event.preventDefault());
$("campaign").addEventListener("change", () => choose("campaign", $("campaign").value));
$("recipient").addEventListener("change", () => choose("as", $("recipient").value.trim()));
$("at").addEventListener("change", () => choose("at", $("at").value && new Date($("at").value).toISOString()));

async function follow() {
  for (;;) {
    try {
      if (!generation) await look("");
      const answer = await fetch("changes?since=" + generation);
      if (!answer.ok) throw new Error(answer.statusText);
      if ((await answer.json()).generation !== generation) {
        await look("read again at " + new Date().toLocaleTimeString());
      }
    } catch {
      generation = 0;
      state("the preview has ended; start it again and this page goes on", true);
      await new Promise((resolve) => setTimeout(resolve, 1000));
    }
  }
}
open(tabs[0]);
follow();
