// The script of an embedded form. What is served is embed.min.js, which go generate
// makes of it; ONRAMP_FORM becomes the form: its fields, its texts and its style sheet.
(() => {
const form = ONRAMP_FORM, texts = form.texts, name = form.name;
const script = document.currentScript || document.querySelector(`script[src*="/embed/${name}.js"]`);
const warn = text => console.error(`onramp ${name}: ${text}`);
const action = new URL(`../v1/forms/${name}/registrations`, script.src);
const targets = `[data-onramp-form="${name}"], [data-onramp="${name}"]`;

// shared by all scripts of a page
const onramp = window.onramp ||= {
  forms: {},
  mounted: new WeakSet(),
  count: 0,
  // mount puts a form into an element, or takes over a <form>
  mount(host, name = host.dataset.onrampForm || host.dataset.onramp) {
    if (onramp.mounted.has(host) || !onramp.forms[name]) return;
    onramp.mounted.add(host);
    onramp.forms[name](host);
  },
};

// the first page of the visit, as far as this script was on it
const page = () => location.href.split("#")[0];
let landing = page();
try {
  landing = sessionStorage["onramp:landing"] ||= landing;
} catch { /* storage is forbidden in sandboxed frames, and by some visitors */ }

const create = (tag, part, attributes, ...children) => {
  const e = document.createElement(tag);
  if (part) e.className = "onramp-" + part;
  for (const key in attributes) e.setAttribute(key, attributes[key]);
  e.append(...children);
  return e;
};

// a label is text, and links as pairs of text and URL
const parts = label => label.map(p => p.map ? create("a", "", {href: p[1], target: "_blank", rel: "noopener"}, p[0]) : p);

// one of several radio buttons or checkboxes
// (of checkboxes none alone is required: the gateway says so when all are empty)
const options = type => (f, {required, ...attributes}) => f.choices.map(([value, text], i) => {
  if (type == "radio" && required == "") attributes.required = "";
  const box = create("input", "", {...attributes, id: attributes.id + i, type, value});
  box.defaultChecked = !!f.value?.includes(value);
  return create("label", "option", {}, box, " ", text);
});

// how each kind of field looks
const kinds = {
  input: (f, attributes, label) => [label, create("input", "", attributes)],
  textarea: (f, attributes, label) => [label, create("textarea", "", attributes, f.value?.[0] || "")],
  checkbox: (f, attributes, label) => [create("input", "", attributes), label],
  select: (f, attributes, label) => [label, create("select", "", attributes,
    ...(f.value ? [] : [new Option()]), ...f.choices.map(([value, text]) => new Option(text, value, !!f.value?.includes(value), !!f.value?.includes(value))))],
  radio: options("radio"),
  checkboxes: options("checkbox"),
};

const render = host => {
  const number = ++onramp.count;
  const body = create("form", "form", {lang: form.lang, dir: form.dir, "aria-label": form.title, novalidate: ""},
    ...form.fields.map(f => {
      const id = `onramp-${number}-${f.name}`, attributes = {id, name: f.name, dir: "auto", ...f.set};
      if (attributes.type == "hidden") return create("input", "", attributes);
      const text = parts(f.label), kind = f.kind || "input";
      if ("required" in attributes) text.push(" ", create("span", "required", {}, `(${texts.required})`));
      const several = kind == "radio" || kind == "checkboxes";
      const label = several ? create("legend", "", {}, ...text) : create("label", "", {for: id}, ...text);
      return create(several ? "fieldset" : "div", "field onramp-" + kind, {},
        ...(several ? [label] : []), ...kinds[kind](f, attributes, label));
    }),
    create("button", "button", {}, texts.send));
  host.replaceChildren(body);
  return body;
};

const take = host => {
  const body = host.matches("form") ? host : render(host), root = body.isConnected ? body.getRootNode() : document;
  if (sheet && !root.adoptedStyleSheets.includes(sheet)) root.adoptedStyleSheets = [...root.adoptedStyleSheets, sheet];
  // a property of the form, not an input that is called so
  const own = property => Reflect.get(HTMLFormElement.prototype, property, body);
  const elements = () => [...own("elements")];
  const controls = field => elements().filter(c => c.name == field || c.name == field + "[]");
  const complete = window.onrampGuard?.(form, body, action); // see guard.js
  const newKey = () => crypto.getRandomValues(new Uint32Array(5)).join("-");
  let key = newKey(), busy = false;
  const marks = {};

  const tell = (type, detail) => body.dispatchEvent(new CustomEvent("onramp:" + type,
    {bubbles: true, composed: true, cancelable: true, detail: {form: name, ...detail}}));

  // what is said about the whole form, at its end or where the page wants it
  const message = body.querySelector("[data-onramp-message]") || create("p", "message", {role: "alert"});
  const say = text => {
    message.textContent = text;
    if (text && !message.isConnected) body.append(message);
    if (!text && message.matches(".onramp-message")) message.remove();
  };

  // what is wrong with a field, until it is changed
  const mark = (e, all) => {
    const f = form.fields.find(f => f.name == e.field) || {}, id = `onramp-${++onramp.count}`, last = all.at(-1);
    const text = e.code == "required" && f.missing || texts["error_" + e.code] || e.message;
    const p = create("p", "error", {id}, text.replace("{max}", f.set?.maxlength || 4000));
    const slot = body.querySelector(`[data-onramp-error="${e.field}"]`) || last.closest(".onramp-field");
    if (slot) slot.append(p); else (last.closest("label") || last).after(p);
    const before = all.map(c => c.getAttribute("aria-describedby"));
    all.forEach((c, i) => {
      c.setAttribute("aria-invalid", "true");
      c.setAttribute("aria-describedby", before[i] ? before[i] + " " + id : id);
    });
    marks[e.field] = () => {
      p.remove();
      all.forEach((c, i) => {
        c.removeAttribute("aria-invalid");
        before[i] ? c.setAttribute("aria-describedby", before[i]) : c.removeAttribute("aria-describedby");
      });
      delete marks[e.field];
    };
  };
  const clear = () => {
    for (const field in marks) marks[field]();
    say("");
  };
  body.addEventListener("input", e => marks[e.target.name?.replace("[]", "")]?.());

  const fail = (button, reason, status, errors = []) => {
    if (!tell("error", {message: texts[reason], status, errors})) return;
    const rest = [];
    for (const e of errors) {
      const all = controls(e.field).filter(c => c.type != "hidden");
      if (marks[e.field]) continue;
      if (all.length) mark(e, all); else rest.push(`${e.field} ${e.message}`);
    }
    say([texts[reason], ...rest].join(" "));
    (elements().find(c => c.getAttribute("aria-invalid")) || button)?.focus();
  };

  const succeed = answer => {
    if (!tell("success", answer)) return key = newKey();
    // the key stays: who comes back and sends the same again has registered once
    if (form.success_url) return location.assign(new URL(form.success_url, action));
    key = newKey();
    const done = create("div", "success", {role: "status", tabindex: "-1"}, create("p", "", {}, texts.thanks));
    const slips = answer.suggestions || [];
    for (const s of slips) {
      const button = create("button", "suggestion", {}, texts.suggestion.replace("{suggestion}", s.suggestion));
      button.onclick = () => {
        done.remove();
        own("style").display = "";
        const [c] = controls(s.field);
        c.value = s.suggestion;
        c.focus();
      };
      done.append(button);
    }
    if (!slips.length) own("reset").call(body);
    own("style").display = "none";
    body.after(done);
    done.focus();
  };

  const submit = async button => {
    if (busy) return;
    clear();
    // with novalidate the browser hands on what it can't read as if it were empty
    const wrong = body.noValidate ? elements().filter(c => c.name && c.willValidate && (c.validity.valueMissing || c.validity.badInput))
      .map(c => ({field: c.name, code: c.validity.valueMissing && "required", message: c.validationMessage})) : [];
    if (wrong.length) return fail(button, "heading_error", 0, wrong);
    const data = new URLSearchParams();
    for (const [k, v] of new FormData(body)) if (typeof v == "string") data.append(k, v);
    if (button?.name) data.append(button.name, button.value);
    if (!tell("submit", {data})) return;
    const known = {_once: key, _page: page(), _referrer: document.referrer, _landing_page: landing};
    for (const k in known) if (!data.has(k)) data.set(k, known[k]);
    const buttons = elements().filter(c => c.type == "submit" && !c.disabled);
    busy = true;
    body.setAttribute("aria-busy", "true");
    buttons.forEach(b => b.disabled = true);
    await complete?.(data);
    const [reason, status, answer] = await post(data);
    busy = false;
    body.removeAttribute("aria-busy");
    buttons.forEach(b => b.disabled = false);
    reason ? fail(button, reason, status, answer.errors) : succeed(answer);
  };
  body.addEventListener("submit", e => {
    if (e.defaultPrevented) return;
    e.preventDefault();
    submit(e.submitter);
  });
};

// post sends a form, and again while the gateway says that it soon can take it: its
// one-time key makes one registration of all tries. A form post needs no preflight.
const post = async data => {
  if (!form.shared && action.origin != location.origin) return refused(0);
  let failed = false;
  for (let left = 3; ; left--) {
    let response, answer = {};
    try {
      response = await fetch(action, {method: "POST", body: data, signal: AbortSignal.timeout?.(3e4)});
      answer = await response.json();
    } catch (error) {
      if (!response) {
        if (error.name == "TimeoutError" || !await reachable()) return unreachable();
        if (failed) return refused(0);
        failed = true;
        continue;
      }
    }
    const status = response.status, wait = +response.headers.get("Retry-After") || 2;
    if (response.ok && answer.id) return ["", status, answer];
    if (status == 403) return refused(status);
    if (status == 422) return ["heading_error", status, answer];
    if (!left || wait > 20 || status != 409 && status != 429 && status < 502) {
      warn(`${status}: ${answer.detail}`);
      return ["refused_unavailable", status, answer];
    }
    await new Promise(after => setTimeout(after, wait * 1e3));
  }
};

// the browser does not say why it hands no answer on; but a request whose answer nobody
// reads gets through if the gateway can be reached at all
const reachable = () => fetch(script.src, {mode: "no-cors", cache: "no-store"}).then(() => true, () => false);
const refused = status => {
  warn(`refused: add ${origin} to the form's origins`);
  return ["embed_refused", status, {}];
};
const unreachable = () => {
  warn(`can't reach ${action.origin}: check connect-src`);
  return ["refused_unavailable", 0, {}];
};

// a constructed style sheet needs no style-src; :where leaves every rule to the page
let sheet;
try {
  sheet = new CSSStyleSheet();
  sheet.replaceSync(`:where(.onramp-form){display:grid;gap:var(--onramp-gap,1em);max-width:var(--onramp-width,30em)}
:where(.onramp-field){display:grid;gap:.3em;margin:0;padding:0;border:0}
:where(.onramp-checkbox){grid-template-columns:auto 1fr}
:where(.onramp-form :is(select,textarea,button,input)){font:inherit;padding:.5em;border:1px solid var(--onramp-border,#889);border-radius:var(--onramp-radius,.3em)}
:where(.onramp-button){justify-self:start;color:var(--onramp-button,#fff);background:var(--onramp-accent,#05b)}
:where(.onramp-error,.onramp-message){grid-column:1/-1;margin:0;color:var(--onramp-error,#c22)}`);
} catch { sheet = null; }

onramp.forms[name] = take;
const scan = () => document.querySelectorAll(targets).forEach(e => onramp.mount(e));
const start = () => {
  scan();
  if (!document.querySelector(targets) && script.closest("body")) {
    const here = create("div");
    script.after(here);
    onramp.mount(here, name);
  }
  new MutationObserver(scan).observe(document, {childList: true, subtree: true});
};
document.readyState == "loading" ? document.addEventListener("DOMContentLoaded", start) : start();
})();
