// What the hosted form does beyond HTML. Without this script, it only does less.
"use strict";
(() => {
	const form = document.querySelector("main form");
	if (!form) {
		return;
	}
	const hidden = (name) => form.querySelector(`input[type="hidden"][name="${name}"]`);
	const refused = "refused" in form.dataset;

	// The one-time key belongs to this place in the visitor's history: who reloads the page,
	// or comes back to it, sends with the same one.
	const once = hidden("_once");
	if (once && !refused) {
		const kept = history.state && history.state.once;
		if (kept) {
			once.value = kept;
		} else {
			history.replaceState({ once: once.value }, "");
		}
	}

	// The address in the visit where it began. Some browsers have no storage for the page.
	const landing = () => {
		try {
			const first = sessionStorage.getItem("onramp-landing") || location.href;
			sessionStorage.setItem("onramp-landing", first);
			return first;
		} catch {
			return location.href;
		}
	};
	if (!refused) {
		const found = { _page: location.href, _referrer: document.referrer, _landing_page: landing() };
		for (const [name, value] of Object.entries(found)) {
			const input = hidden(name);
			if (input) {
				input.value = value;
			}
		}
	}

	// One click is enough. A page that comes back from the browser's memory, and one whose
	// sending was stopped, can be sent again.
	const button = form.querySelector('button[type="submit"]');
	const label = button.textContent;
	let waiting;
	const ready = () => {
		clearTimeout(waiting);
		button.disabled = false;
		button.textContent = label;
	};
	form.addEventListener("submit", (event) => {
		button.disabled = true;
		button.textContent = button.dataset.sending;
		waiting = setTimeout(ready, 20000);
		if (form.dataset.challenge) {
			event.preventDefault();
			prove().then(
				() => HTMLFormElement.prototype.submit.call(form),
				() => HTMLFormElement.prototype.submit.call(form), // without a proof it is held for an operator, and not lost
			);
		}
	});

	// While far more than usual comes, the browser has to compute something before it sends:
	// the number whose SHA-256 behind the salt is the challenge (ALTCHA). The digests are
	// made outside this thread, so the page stays usable.
	const solve = async ({ challenge, salt, maxnumber }) => {
		const encoder = new TextEncoder();
		const digest = async (number) => {
			const sum = await crypto.subtle.digest("SHA-256", encoder.encode(salt + number));
			return Array.from(new Uint8Array(sum), (b) => b.toString(16).padStart(2, "0")).join("") === challenge;
		};
		for (let from = 0; from <= maxnumber; from += 256) {
			clearTimeout(waiting);
			const found = await Promise.all(Array.from({ length: 256 }, (_, i) => digest(from + i)));
			if (found.includes(true)) {
				return from + found.indexOf(true);
			}
		}
		throw new Error("there is no solution");
	};
	const prove = async () => {
		const response = await fetch(form.dataset.challenge, { cache: "no-store", signal: AbortSignal.timeout(5000) });
		const task = await response.json();
		if (!response.ok || !task.required) {
			return;
		}
		const number = await solve(task);
		const { algorithm, challenge, salt, signature } = task;
		const proof = hidden("altcha") || form.appendChild(Object.assign(document.createElement("input"), { type: "hidden", name: "altcha" }));
		proof.value = btoa(JSON.stringify({ algorithm, challenge, number, salt, signature }));
	};
	addEventListener("pageshow", ready);

	// Not every browser follows the attribute, as in a frame of another site.
	const first = form.ownerDocument.querySelector("[autofocus]");
	if (first) {
		first.focus();
	}

	// An address that looks like a slip is pointed out, and never refused.
	const usual = (
		"gmail.com googlemail.com hotmail.com outlook.com yahoo.com icloud.com live.com aol.com msn.com gmx.de gmx.net " +
		"web.de t-online.de freenet.de orange.fr wanadoo.fr free.fr laposte.net hotmail.fr yahoo.fr libero.it hotmail.it " +
		"hotmail.es yahoo.es hotmail.co.uk yahoo.co.uk btinternet.com ziggo.nl kpnmail.nl wp.pl onet.pl interia.pl o2.pl " +
		"uol.com.br bol.com.br terra.com.br yahoo.co.jp docomo.ne.jp protonmail.com proton.me"
	).split(" ");
	// Real ones that only look like one of the usual.
	const others = "mail.com email.com ymail.com gmx.com gmx.at gmx.ch me.com mac.com mail.de mail.ru live.de live.fr live.nl live.it outlook.de outlook.fr outlook.es outlook.it yahoo.de yahoo.it yahoo.ca hotmail.de hotmail.nl hotmail.ca".split(" ");

	// distance counts the slips between two words: a letter more, less, other, or exchanged
	// with the next one.
	const distance = (a, b) => {
		const rows = [[...b, ""].map((_, j) => j)];
		for (let i = 1; i <= a.length; i++) {
			rows[i] = [i];
			for (let j = 1; j <= b.length; j++) {
				const same = a[i - 1] === b[j - 1] ? 0 : 1;
				rows[i][j] = Math.min(rows[i - 1][j] + 1, rows[i][j - 1] + 1, rows[i - 1][j - 1] + same);
				if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
					rows[i][j] = Math.min(rows[i][j], rows[i - 2][j - 2] + 1);
				}
			}
		}
		return rows[a.length][b.length];
	};
	const meant = (address) => {
		const at = address.lastIndexOf("@");
		const domain = address.slice(at + 1).trim().toLowerCase();
		if (at < 1 || domain.length < 6 || domain.length > 30 || usual.includes(domain) || others.includes(domain)) {
			return "";
		}
		const allowed = domain.length < 9 ? 1 : 2;
		const [nearest] = usual.map((d) => [distance(domain, d), d]).sort((a, b) => a[0] - b[0]);
		return nearest[0] <= allowed ? address.slice(0, at + 1) + nearest[1] : "";
	};
	for (const input of form.querySelectorAll('input[type="email"]')) {
		const hint = document.createElement("p");
		hint.className = "hint";
		hint.setAttribute("role", "status");
		input.after(hint);
		const look = () => {
			hint.replaceChildren();
			const suggestion = meant(input.value);
			if (!suggestion) {
				return;
			}
			const correct = document.createElement("button");
			correct.type = "button";
			correct.textContent = suggestion;
			correct.addEventListener("click", () => {
				input.value = suggestion;
				look();
				input.focus();
			});
			const [before, after = ""] = form.dataset.suggestion.split("{suggestion}");
			hint.append(before, correct, after);
		};
		input.addEventListener("change", look);
		look();
	}
})();
