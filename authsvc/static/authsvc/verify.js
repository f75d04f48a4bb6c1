"use strict";

// The link carries its token in the fragment, which no browser sends: here it becomes a form post.
const form = document.getElementById("from-link");

function openLink() {
  const token = new URLSearchParams(window.location.hash.slice(1)).get("token");
  form.hidden = !token;
  document.getElementById("by-hand").hidden = Boolean(token);
  if (!token) {
    return;
  }
  // Out of the address bar, the history and whatever reads them.
  window.history.replaceState(null, "", window.location.pathname);
  form.elements.token.value = token;
  form.submit();
}

openLink();
window.addEventListener("hashchange", openLink);
