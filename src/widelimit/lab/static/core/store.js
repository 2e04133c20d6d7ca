// Everything that a reader writes is kept here: in this browser, one record per key of its storage, never in a request.
//
//   read(name) -> value or undefined      names(start) -> the names that begin so
//   write(name, value), remove(name)      append(start, value) -> name of a record that never changes again
//   subscribe(name, listener) -> stop     name may end with "/": then every record below it; other tabs are heard as well
//   status                                signal of { state: "empty" | "saved" | "unsaved", text }
//   troubles                              signal of sentences: damaged records that were set aside
//   exported() -> text, merge(text) -> sentence, removeAll()
//
// Two tabs may write at the same time: records are separate, and the last one to write a record wins that record alone.
// What the browser refuses (storage full or switched off) stays in the memory of this tab, and `status` says so.

import { signal } from "@preact/signals";

export const VERSION = 1;
const PREFIX = "widelimit-lab/";
const ASIDE = "widelimit-lab-aside/";
const FORMAT = "widelimit-lab";
const MOST_CHARACTERS = 5_000_000;
const NAME = /^[\w:/.@+-]{1,200}$/;

export const status = signal({ state: "empty", text: "Nothing is kept yet." });
export const troubles = signal([]);

const unsaved = new Map();
const listeners = new Map();
const storage = available();

/** The value of a record, or undefined; a damaged record is set aside and said to be. */
export function read(name) {
  return entry(name)?.value;
}

/** The names of all records that begin with `start`, sorted. */
export function names(start = "") {
  const kept = storage ? Object.keys(storage).filter((key) => key.startsWith(PREFIX)) : [];
  const all = new Set([...kept.map((key) => key.slice(PREFIX.length)), ...unsaved.keys()]);
  return [...all].filter((name) => name.startsWith(start)).sort();
}

/** Keeps a value under a name; says in `status` whether the browser took it. */
export function write(name, value) {
  if (!NAME.test(name)) throw new Error(`A record is called ${name}; expected letters, digits and : / . @ + - only.`);
  put(name, { v: VERSION, at: new Date().toISOString(), value });
  changed(name);
}

/** Keeps a value under a new name below `start`; the record is not written again. */
export function append(start, value) {
  const name = `${start}${new Date().toISOString()}-${Math.random().toString(36).slice(2, 8)}`;
  write(name, value);
  return name;
}

export function remove(name) {
  unsaved.delete(name);
  storage?.removeItem(PREFIX + name);
  retry();
  changed(name);
}

/** Forgets everything, set-aside records included. */
export function removeAll() {
  const all = names();
  unsaved.clear();
  for (const key of storage ? Object.keys(storage) : []) if (key.startsWith(PREFIX) || key.startsWith(ASIDE)) storage.removeItem(key);
  troubles.value = [];
  tell();
  all.forEach(changed);
}

/** Calls `listener(name)` when a record changes, here or in another tab; returns a function that ends it. */
export function subscribe(name, listener) {
  if (!listeners.has(name)) listeners.set(name, new Set());
  listeners.get(name).add(listener);
  return () => listeners.get(name).delete(listener);
}

/** All records as one JSON text, those included that the browser refused or that were set aside. */
export function exported() {
  const records = Object.fromEntries(names().map((name) => [name, entry(name)]).filter(([, one]) => one));
  const aside = storage ? Object.keys(storage).filter((key) => key.startsWith(ASIDE)) : [];
  const damaged = Object.fromEntries(aside.map((key) => [key.slice(ASIDE.length), storage.getItem(key)]));
  return JSON.stringify({ format: FORMAT, version: VERSION, exported: new Date().toISOString(), records, damaged }, null, 1);
}

/** Adds the records of an exported text to those here; of two versions of one record the newer stays. Says what it did. */
export function merge(text) {
  const records = validated(text);
  const done = { added: 0, replaced: 0, kept: 0 };
  for (const [name, theirs] of Object.entries(records)) {
    const mine = entry(name);
    if (mine && !(theirs.at > mine.at)) {
      done.kept += 1;
      continue;
    }
    done[mine ? "replaced" : "added"] += 1;
    put(name, { v: VERSION, at: theirs.at, value: theirs.value });
    changed(name);
  }
  const unsavedWords = unsaved.size ? ` ${status.value.text}` : "";
  return `${counted(done.added, "record")} added, ${done.replaced} replaced by a newer version, ${done.kept} kept as they were here.${unsavedWords}`;
}

function validated(text) {
  if (text.length > MOST_CHARACTERS) throw new Error(`The file has ${text.length} characters; at most ${MOST_CHARACTERS} are read.`);
  let found;
  try {
    found = JSON.parse(text);
  } catch {
    throw new Error("The file is no JSON. Choose a file that this page has exported. Nothing was changed.");
  }
  const records = found?.records;
  if (found?.format !== FORMAT || !records || typeof records !== "object" || Array.isArray(records))
    throw new Error("The file was not exported by this page. Nothing was changed.");
  if (found.version !== VERSION)
    throw new Error(`The file is of version ${found.version}; this page reads version ${VERSION}. Nothing was changed.`);
  for (const [name, one] of Object.entries(records))
    if (!NAME.test(name) || !sound(one)) throw new Error(`The record ${name.slice(0, 80)} of the file is damaged. Nothing was changed.`);
  return records;
}

// A record: version, date and a value that is an object.
const sound = (one) =>
  one !== null && typeof one === "object" && one.v === VERSION && !Number.isNaN(Date.parse(one.at)) && one.value !== null && typeof one.value === "object";

function entry(name) {
  if (unsaved.has(name)) return unsaved.get(name);
  const text = storage?.getItem(PREFIX + name);
  if (text == null) return undefined;
  try {
    const one = JSON.parse(text);
    if (sound(one)) return one;
  } catch {
    // Falls through: it is set aside.
  }
  setAside(name, text);
  return undefined;
}

function setAside(name, text) {
  storage.removeItem(PREFIX + name);
  try {
    storage.setItem(`${ASIDE}${name}`, text);
  } catch {
    storage.setItem(PREFIX + name, text);
  }
  const words = `What was kept as “${name}” is damaged and cannot be read. It was set aside, not deleted; an export contains it.`;
  // Later, because records are also read while signals are computed, which may change none.
  queueMicrotask(() => troubles.peek().includes(words) || (troubles.value = [...troubles.peek(), words]));
}

function put(name, one) {
  unsaved.set(name, one);
  retry();
}

// Tries to save all that is not saved yet; what the browser refuses stays in memory.
function retry() {
  for (const [name, one] of unsaved) {
    try {
      storage.setItem(PREFIX + name, JSON.stringify(one));
      unsaved.delete(name);
    } catch {
      break;
    }
  }
  tell();
}

function tell() {
  const count = unsaved.size;
  const clock = new Date().toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  const reason = storage ? "the storage of this browser is full" : "this browser keeps nothing for this page";
  const lost = `Not saved: ${reason}. ${counted(count, "record")} ${count === 1 ? "stays" : "stay"} in this tab alone until it is closed; export, or delete what you no longer need.`;
  if (count) status.value = { state: "unsaved", text: lost };
  else if (names().length) status.value = { state: "saved", text: `Saved in this browser ${clock}.` };
  else status.value = { state: "empty", text: "Nothing is kept yet." };
}

const counted = (count, noun) => `${count} ${noun}${count === 1 ? "" : "s"}`;

function changed(name) {
  for (const [wanted, found] of listeners)
    if (wanted === name || (wanted.endsWith("/") && name.startsWith(wanted))) for (const listener of [...found]) listener(name);
}

// The key is null when another tab has cleared everything.
function heard({ key, storageArea }) {
  if (storageArea !== storage) return;
  if (key === null) for (const name of [...listeners.keys()]) changed(name);
  else if (key.startsWith(PREFIX)) {
    // The other tab wrote last: its version is the one that counts.
    unsaved.delete(key.slice(PREFIX.length));
    changed(key.slice(PREFIX.length));
    tell();
  }
}

function available() {
  try {
    localStorage.setItem(`${ASIDE}try`, "1");
    localStorage.removeItem(`${ASIDE}try`);
    return localStorage;
  } catch (error) {
    // A full storage can still be read, and written once something has been deleted.
    return error.name === "QuotaExceededError" ? localStorage : null;
  }
}

addEventListener("storage", heard);
addEventListener("beforeunload", (event) => unsaved.size && event.preventDefault());
if (names().length) status.value = { state: "saved", text: "What you wrote before is still in this browser." };
