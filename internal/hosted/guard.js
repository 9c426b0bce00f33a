// What a form that is screened for abuse brings beside its fields. It stands before embed.js
// in the scripts of such forms, as guard.min.js, which go generate makes of it.
window.onrampGuard ||= (form, body, action) => {
  const create = (tag, attributes, ...children) => {
    const e = document.createElement(tag);
    for (const key in attributes) e.setAttribute(key, attributes[key]);
    e.append(...children);
    return e;
  };

  // inputs that nobody sees, and the widget of a captcha, also in a form of the page's own
  const button = [...body.querySelectorAll("button, input[type=submit]")].at(-1);
  const add = e => button?.parentNode == body ? button.before(e) : body.append(e);
  for (const name of form.unseen || []) if (!body.querySelector(`[name="${name}"]`)) {
    const e = create("div", {"aria-hidden": "true"}, create("label", {}, form.texts.leave_empty, create("input", {name, tabindex: "-1", autocomplete: "off"})));
    e.style.cssText = "position:absolute;left:-10000px";
    add(e);
  }
  const {class: widget, set, script: src} = form.captcha || {};
  if (src && !body.querySelector("." + widget)) {
    add(create("div", {...set, class: widget}));
    try {
      if (!document.querySelector(`script[src="${src}"]`)) document.head.append(create("script", {src, async: ""}));
    } catch (error) { // Trusted Types
      console.error(`onramp ${form.name}: add <script src="${src}" async></script> to the page`, error);
    }
  }

  // the gateway tells the time for the form, and what the browser has to compute while far
  // more than usual comes: the number whose SHA-256 behind the salt is the challenge (ALTCHA).
  // The digests are made outside this thread, so the page stays usable.
  const ask = () => fetch(new URL("challenge", action), {cache: "no-store", signal: AbortSignal.timeout?.(5e3)}).then(r => r.json()).catch(() => ({}));
  const solve = async ({algorithm, challenge, salt, signature, maxnumber}) => {
    const encoder = new TextEncoder();
    const fits = async number => [...new Uint8Array(await crypto.subtle.digest(algorithm, encoder.encode(salt + number)))]
      .map(b => b.toString(16).padStart(2, "0")).join("") == challenge;
    for (let from = 0; from <= maxnumber; from += 256) {
      const found = await Promise.all(Array.from({length: 256}, (_, i) => fits(from + i)));
      const at = found.indexOf(true);
      if (at >= 0) return btoa(JSON.stringify({algorithm, challenge, number: from + at, salt, signature}));
    }
  };
  const loaded = form.timed && ask();

  // completes what is sent
  return async data => {
    if (loaded) data.set("_time", (await loaded).time || "");
    if (form.proves) try {
      const task = await ask();
      if (task.required) data.set("altcha", await solve(task) || "");
    } catch { /* without a proof it is held for an operator, and not lost */ }
  };
};
