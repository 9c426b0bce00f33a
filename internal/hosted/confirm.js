// The page of a link confirms by itself in a browser that somebody looks at. Whatever only
// fetches the page, or loads it before anybody has asked for it, confirms nothing.
"use strict";
(() => {
	const form = document.querySelector("main form");
	if (!form) {
		return;
	}
	const button = form.querySelector("button");
	let sent = false;
	const send = () => {
		if (sent || document.prerendering || document.visibilityState !== "visible") {
			return;
		}
		sent = true;
		button.disabled = true;
		button.textContent = button.dataset.sending;
		form.submit();
	};
	document.addEventListener("visibilitychange", send);
	document.addEventListener("prerenderingchange", send);
	send();
})();
