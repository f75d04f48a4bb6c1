"use strict";

// The link carries its token in the fragment, which no browser sends: here it becomes a form post.
const form = document.getElementById("from-link");

function show(id, visible) {
  const element = document.getElementById(id);
  if (element) {
    element.hidden = !visible;
  }
}

function openLink() {
  const token = new URLSearchParams(window.location.hash.slice(1)).get("token");
  show("opening", token);
  show("by-hand", !token);
  if (!token) {
    return;
  }
  // Out of the address bar, the history and whatever reads them.
  window.history.replaceState(null, "", window.location.pathname);
  form.elements.token.value = token;
  form.submit();
}

// A password can be read while it is typed, and is a password again when it is sent: no browser then remembers it as text.
function offerToReveal(password) {
  const choice = document.querySelector("#reveal input");
  show("reveal", true);
  choice.addEventListener("change", () => {
    password.type = choice.checked ? "text" : "password";
  });
  password.form.addEventListener("submit", () => {
    password.type = "password";
  });
}

openLink();
window.addEventListener("hashchange", openLink);
const newPassword = document.getElementById("new-password");
if (newPassword) {
  offerToReveal(newPassword);
}
