"use strict";

const target = document.getElementById("swagger-ui");
const dark = window.matchMedia("(prefers-color-scheme: dark)");

function followColorScheme() {
  document.documentElement.classList.toggle("dark-mode", dark.matches);
}

followColorScheme();
dark.addEventListener("change", followColorScheme);

window.SwaggerUIBundle({
  url: target.dataset.schema,
  domNode: target,
  deepLinking: true,
  displayRequestDuration: true,
  filter: true,
  tryItOutEnabled: true,
  defaultModelsExpandDepth: 0,
  // Otherwise the document's address goes to a validator on somebody else's server.
  validatorUrl: null,
  // The document names the public address; this page may be open under another name of the same service.
  requestInterceptor(request) {
    const url = new URL(request.url, window.location.href);
    request.url = window.location.origin + url.pathname + url.search;
    return request;
  },
});
