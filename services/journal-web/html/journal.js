// The journal's page. Text of users reaches the document as text, never as HTML.

const maxText = 10_000; // characters, as the API counts them
const byId = (id) => document.getElementById(id);
const copyOf = (template) => byId(template).content.firstElementChild.cloneNode(true);

// ---- Settings: config.json beside the page; each of them is optional.

const settings = { title: "Journal", pageSize: 20, readOnly: false };
try {
  const { title, pageSize, readOnly } = await (await fetch("config.json", { signal: AbortSignal.timeout(3000) })).json();
  if (typeof title === "string" && title.trim()) settings.title = title;
  if (Number.isInteger(pageSize) && pageSize >= 1 && pageSize <= 100) settings.pageSize = pageSize;
  settings.readOnly = readOnly === true;
} catch {
  // Without settings the defaults are good.
}
document.title = byId("title").textContent = settings.title;
// What cannot be done is not offered: journal.css hides what writes.
document.documentElement.toggleAttribute("data-read-only", settings.readOnly);

// ---- The API.

// Problem is a refusal: it would be the same the next time.
class Problem extends Error {
  constructor(status, detail) {
    super(detail);
    this.status = status;
  }
}

// Away means that the API could not be asked, and may be able later.
class Away extends Error {
  constructor(retryAfter) {
    super("the journal can’t be reached");
    this.retryAfter = retryAfter;
  }
}

async function call(method, path, { body, headers = {}, signal } = {}) {
  const timeout = AbortSignal.timeout(30_000);
  let response, content;
  try {
    response = await fetch(path, {
      method,
      headers: body ? { "Content-Type": "application/json", ...headers } : headers,
      body: body && JSON.stringify(body),
      cache: "no-store",
      signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
    });
    content = response.status === 204 ? {} : await response.json();
  } catch {
    // No answer, or none of the API's: a proxy before it says something else.
    signal?.throwIfAborted();
    throw new Away();
  }
  if ([429, 502, 503, 504].includes(response.status)) {
    throw new Away(Number(response.headers.get("Retry-After")));
  }
  if (!response.ok) throw new Problem(response.status, content.detail ?? `The journal answered ${response.status}.`);
  return content;
}

// persist repeats a call until the API has answered it, or the signal aborts.
// Every call given to it must be harmless to repeat.
async function persist(request, signal) {
  for (;;) {
    try {
      const answer = await request();
      connection.isBack();
      return answer;
    } catch (error) {
      if (error instanceof Problem) connection.isBack();
      if (!(error instanceof Away)) throw error;
      await connection.nextTry(error.retryAfter, signal);
    }
  }
}

// connection is shared by all who wait: one notice, one pace, one button.
const connection = {
  failures: 0,
  next: null, // { at, promise, resolve } of the next try

  nextTry(retryAfter, signal) {
    if (!this.next) {
      this.failures++;
      const pace = Math.min(2 ** (this.failures - 1), 15);
      const { promise, resolve } = Promise.withResolvers();
      this.next = { at: Date.now() + 1000 * Math.min(Math.max(pace, retryAfter || 0), 30), promise, resolve };
      byId("away").hidden = false;
      this.tick();
    }
    return Promise.race([this.next.promise, new Promise((_, reject) => {
      signal?.addEventListener("abort", () => reject(signal.reason), { once: true });
    })]);
  },

  tick() {
    if (!this.next) return;
    const left = Math.ceil((this.next.at - Date.now()) / 1000);
    byId("away-next").textContent = left > 0 ? `Trying again in ${left} s.` : "Trying again…";
    if (left > 0) setTimeout(() => this.tick(), 250);
    else this.tryNow();
  },

  tryNow() {
    this.next?.resolve();
    this.next = null;
    byId("away-next").textContent = "Trying again…";
  },

  isBack() {
    if (this.failures) announce("The journal is back.");
    this.failures = 0;
    byId("away").hidden = true;
    this.tryNow();
  },
};
byId("away-retry").addEventListener("click", () => connection.tryNow());
addEventListener("online", () => connection.tryNow());

// announce tells those who do not see the page what has happened on it.
function announce(text) {
  byId("status").textContent = "";
  setTimeout(() => { byId("status").textContent = text; }, 50);
}

// ---- Drafts outlast a reload.

const drafts = {
  get(name) {
    try {
      return JSON.parse(localStorage.getItem(`journal.draft.${name}`)) ?? {};
    } catch {
      return {};
    }
  },
  set(name, draft) {
    try {
      if (draft.text) localStorage.setItem(`journal.draft.${name}`, JSON.stringify(draft));
      else localStorage.removeItem(`journal.draft.${name}`);
    } catch {
      // A browser that keeps nothing: the text is still in the page.
    }
  },
};

// ---- Times, as people say them.

const locale = navigator.language.startsWith("en") ? navigator.language : "en-GB";
const clock = new Intl.DateTimeFormat(locale, { timeStyle: "short" });
const full = new Intl.DateTimeFormat(locale, { dateStyle: "full", timeStyle: "short" });
const weekday = new Intl.DateTimeFormat(locale, { weekday: "long", day: "numeric", month: "long" });
const longDay = new Intl.DateTimeFormat(locale, { weekday: "long", day: "numeric", month: "long", year: "numeric" });
const relative = new Intl.RelativeTimeFormat(locale, { numeric: "auto" });

const dayKey = (date) => [
  date.getFullYear(),
  String(date.getMonth() + 1).padStart(2, "0"),
  String(date.getDate()).padStart(2, "0"),
].join("-");

function nameOfDay(key) {
  const date = new Date(`${key}T12:00`);
  const yesterday = new Date();
  yesterday.setDate(yesterday.getDate() - 1);
  if (key === dayKey(new Date())) return "Today";
  if (key === dayKey(yesterday)) return "Yesterday";
  return (date.getFullYear() === new Date().getFullYear() ? weekday : longDay).format(date);
}

function nameOfTime(date) {
  const minutes = Math.round((Date.now() - date) / 60_000);
  if (minutes < 1) return "just now";
  if (minutes < 60) return relative.format(-minutes, "minute");
  return clock.format(date);
}

// showTimes is called again as time passes.
function showTimes() {
  const today = dayKey(new Date());
  byId("today").dateTime = today;
  byId("today").textContent = weekday.format(new Date());
  for (const time of document.querySelectorAll(".day h2 time")) time.textContent = nameOfDay(time.dateTime);
  for (const time of document.querySelectorAll(".when time")) time.textContent = nameOfTime(new Date(time.dateTime));
}
showTimes();
setInterval(showTimes, 20_000);

// ---- Writing: what the composer and the editor of an entry have in common.

// watchText keeps hint and button in step with the text.
function watchText(textarea, hint, save) {
  const check = () => {
    const left = maxText - [...textarea.value].length;
    hint.classList.toggle("over", left < 0);
    if (left < 0) hint.textContent = `${(-left).toLocaleString(locale)} characters too many`;
    else if (left < 1000) hint.textContent = `${left.toLocaleString(locale)} characters left`;
    else hint.textContent = matchMedia("(pointer: coarse)").matches ? "" : "Ctrl + Enter saves";
    textarea.setAttribute("aria-invalid", left < 0);
    save.disabled = left < 0 || !textarea.value.trim();
  };
  textarea.addEventListener("input", check);
  textarea.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      if (!save.disabled) textarea.form.requestSubmit();
    }
  });
  check();
  return check;
}

function showError(element, message) {
  element.textContent = message ?? "";
  element.hidden = !message;
}

// ---- A new entry.

// The draft is { text, key, sending }. The key makes it harmless to send the
// same text again; it is dropped with the first change of the text.
function startComposer() {
  const form = byId("composer"), textarea = byId("new-text"), save = byId("new-save"), change = byId("new-change");
  let draft = drafts.get("new");
  let stop = null;

  const keep = (changes) => drafts.set("new", draft = { ...draft, ...changes });

  textarea.disabled = false;
  textarea.value = draft.text ?? "";
  const check = watchText(textarea, byId("new-hint"), save);
  textarea.addEventListener("input", () => keep({ text: textarea.value, key: undefined, sending: false }));
  change.addEventListener("click", () => stop?.abort());

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (stop || save.disabled) return;
    stop = new AbortController();
    keep({ text: textarea.value, key: draft.key ?? newKey(), sending: true });
    showError(byId("new-error"));
    textarea.readOnly = save.disabled = true;
    change.hidden = false;
    save.textContent = "Saving…";
    byId("new-hint").textContent = "Kept here until it is saved.";
    try {
      const entry = await persist(() => call("POST", "/api/entries", {
        body: { text: draft.text },
        headers: { "Idempotency-Key": draft.key },
        signal: stop.signal,
      }), stop.signal);
      textarea.value = "";
      keep({ text: "", key: undefined });
      addEntry(entry, "prepend").classList.add("fresh");
      announce("Entry saved.");
    } catch (error) {
      if (error instanceof Problem) {
        keep({ key: undefined });
        showError(byId("new-error"), `Not saved: ${error.message}.`);
      }
    }
    stop = null;
    keep({ sending: false });
    textarea.readOnly = false;
    change.hidden = true;
    save.textContent = "Save entry";
    check();
    textarea.focus();
  });

  // What was being sent when the page was left is sent now.
  if (draft.sending) form.requestSubmit();
}

// newKey is random. (crypto.randomUUID would need HTTPS.)
function newKey() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

// ---- The list.

const shown = new Set(); // ids
let cursor = null; // of the next page

async function loadPage() {
  const query = new URLSearchParams({ limit: settings.pageSize });
  if (cursor) query.set("cursor", cursor);
  byId("more").disabled = true;
  byId("list").setAttribute("aria-busy", "true");
  let added = [];
  try {
    const page = await persist(() => call("GET", `/api/entries?${query}`));
    added = page.entries.filter((entry) => !shown.has(entry.id)).map((entry) => addEntry(entry, "append"));
    cursor = page.nextCursor ?? null;
    byId("more").hidden = !cursor;
    showNote();
  } catch (error) {
    byId("list-note").hidden = false;
    byId("list-note").textContent = `The entries can’t be shown: ${error.message}.`;
  }
  byId("more").disabled = false;
  byId("list").setAttribute("aria-busy", "false");
  return added;
}

function showNote() {
  byId("list-note").hidden = shown.size > 0;
  byId("list-note").textContent = "Nothing here yet. The first entry is yours.";
}

byId("more").addEventListener("click", async () => {
  const added = await loadPage();
  announce(`${added.length} older entries.`);
  added[0]?.focus({ preventScroll: true });
});

// addEntry puts an entry at the start or the end of the list, under its day.
function addEntry(entry, where) {
  const key = dayKey(new Date(entry.createdAt));
  let day = byId(`day-${key}`);
  if (!day) {
    day = copyOf("day-template");
    day.id = `day-${key}`;
    day.querySelector("time").dateTime = key;
    byId("days")[where](day);
  }
  const item = entryItem(entry);
  day.querySelector("ol")[where](item);
  shown.add(entry.id);
  showNote();
  showTimes();
  return item;
}

// entryItem is one entry with all that one can do to it.
function entryItem(entry) {
  const item = copyOf("entry-template");
  const path = `/api/entries/${entry.id}`;
  const text = item.querySelector(".text"), tools = item.querySelector(".tools"), problem = item.querySelector(".what > .error");
  const editButton = tools.querySelector('[data-do="edit"]'), deleteButton = tools.querySelector('[data-do="delete"]');

  const show = () => {
    const created = new Date(entry.createdAt), updated = new Date(entry.updatedAt);
    const time = item.querySelector("time"), edited = item.querySelector(".edited");
    text.textContent = entry.text;
    time.dateTime = entry.createdAt;
    time.title = full.format(created);
    edited.hidden = entry.version === 1;
    edited.title = full.format(updated);
    const start = [...entry.text.trim()].slice(0, 40).join("");
    editButton.setAttribute("aria-label", `Edit: ${start}`);
    deleteButton.setAttribute("aria-label", `Delete: ${start}`);
    showTimes();
  };

  const edit = () => {
    const form = copyOf("editor-template");
    const textarea = form.querySelector("textarea"), error = form.querySelector(".error");
    const [cancel, save] = form.querySelectorAll("button");
    const stop = new AbortController();

    const close = () => {
      stop.abort();
      drafts.set(entry.id, {});
      form.remove();
      text.hidden = tools.hidden = false;
      editButton.focus();
    };

    textarea.value = drafts.get(entry.id).text ?? entry.text;
    const check = watchText(textarea, form.querySelector(".hint"), save);
    textarea.addEventListener("input", () => drafts.set(entry.id, { text: textarea.value }));
    cancel.addEventListener("click", close);
    form.addEventListener("keydown", (event) => {
      if (event.key === "Escape") close();
    });
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      if (textarea.readOnly) return;
      textarea.readOnly = save.disabled = true;
      save.textContent = "Saving…";
      showError(error);
      try {
        entry = await put(entry, path, textarea.value, stop.signal);
        show();
        close();
        announce("Change saved.");
        return;
      } catch (failure) {
        if (stop.signal.aborted) return;
        if (failure.current) entry = failure.current;
        showError(error, failure.current
          ? `Changed elsewhere meanwhile, to:\n“${entry.text}”\nSave again to replace that.`
          : `Not saved: ${failure.message}.`);
      }
      textarea.readOnly = false;
      save.textContent = "Save";
      check();
      textarea.focus();
    });

    text.hidden = tools.hidden = true;
    text.after(form);
    return textarea;
  };

  const remove = async () => {
    if (!(await confirmDelete(entry))) {
      deleteButton.focus();
      return;
    }
    editButton.disabled = deleteButton.disabled = true;
    deleteButton.textContent = "Deleting…";
    try {
      await persist(() => call("DELETE", path)).catch((failure) => {
        if (failure.status !== 404) throw failure; // Deleted before is deleted.
      });
    } catch (failure) {
      showError(problem, `Not deleted: ${failure.message}.`);
      editButton.disabled = deleteButton.disabled = false;
      deleteButton.textContent = "Delete";
      return;
    }
    const day = item.closest(".day");
    const items = [...document.querySelectorAll(".entry")];
    const position = items.indexOf(item);
    const neighbour = items[position + 1] ?? items[position - 1] ?? byId("new-text");
    item.remove();
    if (!day.querySelector(".entry")) day.remove();
    shown.delete(entry.id);
    showNote();
    announce("Entry deleted.");
    if (document.activeElement === document.body) neighbour.focus({ preventScroll: true });
  };

  editButton.addEventListener("click", () => {
    const textarea = edit();
    textarea.focus();
    textarea.setSelectionRange(textarea.value.length, textarea.value.length);
  });
  deleteButton.addEventListener("click", remove);
  show();
  if (drafts.get(entry.id).text) edit();
  return item;
}

// put changes the text if nobody else has meanwhile. A conflict with what this
// page itself has sent before, and got no answer to, is none.
async function put(entry, path, text, signal) {
  const request = { body: { text }, headers: { "If-Match": `"${entry.version}"` }, signal };
  try {
    return await persist(() => call("PUT", path, request), signal);
  } catch (error) {
    if (error.status !== 412) throw error;
    const current = await persist(() => call("GET", path, { signal }), signal);
    if (current.text === text) return current;
    error.current = current;
    throw error;
  }
}

function confirmDelete(entry) {
  const dialog = byId("delete");
  byId("delete-excerpt").textContent = entry.text.trim();
  dialog.returnValue = "keep"; // Escape keeps, too.
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "delete"), { once: true });
  });
}

startComposer();
loadPage();
