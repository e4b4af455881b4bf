// What the report can do where there are scripts: dark mode by hand, search, figures that answer to
// the pointer, buttons to copy. Without this file everything is still there to be read.
"use strict";
(() => {
  const root = document.documentElement;
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const byId = (id) => document.getElementById(id);
  const element = (tag, text, more = {}) => Object.assign(document.createElement(tag), { textContent: text, ...more });

  // ---------------------------------------------------------------------------- light and dark
  const themeButton = byId("theme");
  const system = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : system.matches);
  const kept = { get: () => { try { return localStorage.getItem("theme"); } catch { return null; } },
    set: (value) => { try { localStorage.setItem("theme", value); } catch { /* a file may not keep it */ } } };
  const showTheme = () => {
    themeButton.textContent = isDark() ? "Light" : "Dark";
    themeButton.setAttribute("aria-label", `Switch to ${isDark() ? "light" : "dark"} colours`);
  };
  if (["light", "dark"].includes(kept.get())) root.dataset.theme = kept.get();
  themeButton.hidden = false;
  showTheme();
  themeButton.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    kept.set(root.dataset.theme);
    showTheme();
  });
  system.addEventListener("change", showTheme);

  // ----------------------------------------------------------------------------------- places
  const menu = document.querySelector(".menu");
  all("a", menu).forEach((link) => link.addEventListener("click", () => { menu.open = false; }));
  document.addEventListener("click", (event) => { if (!menu.contains(event.target)) menu.open = false; });
  const reveal = () => {
    const target = location.hash.length > 1 && byId(decodeURIComponent(location.hash.slice(1)));
    if (!target) return;
    for (let at = target; at; at = at.parentElement) if (at.tagName === "DETAILS") at.open = true;
    target.scrollIntoView();
  };
  addEventListener("hashchange", reveal);
  reveal();

  // Where the page stands, in the contents beside it.
  const places = all(".side nav a");
  const headings = places.map((link) => byId(link.hash.slice(1)));
  let waiting = false;
  const mark = () => {
    waiting = false;
    let current = 0;
    headings.forEach((heading, at) => { if (heading && heading.getBoundingClientRect().top < 120) current = at; });
    places.forEach((link, at) => (at === current ? link.setAttribute("aria-current", "location") : link.removeAttribute("aria-current")));
  };
  addEventListener("scroll", () => { if (!waiting) { waiting = true; requestAnimationFrame(mark); } }, { passive: true });
  mark();

  // Boxes that need no scrolling are no stops for the keyboard.
  const stops = () => all(".scroll").forEach((box) => {
    if (box.offsetParent) box.tabIndex = box.scrollWidth > box.clientWidth + 1 ? 0 : -1;
  });
  stops();
  addEventListener("resize", stops);

  // ------------------------------------------------------------------------------------ copying
  const copyButton = (text, label, what) => {
    const button = element("button", label, { type: "button", className: "copy" });
    button.setAttribute("aria-label", `${label}: ${what}`);
    button.addEventListener("click", async () => {
      try { await navigator.clipboard.writeText(text()); button.textContent = "Copied"; } catch { button.textContent = "Not copied: select the text"; }
      setTimeout(() => { button.textContent = label; }, 2000);
    });
    return button;
  };
  all(".claim").forEach((claim) => {
    const [plain, bibtex] = all(".cite", claim);
    const link = () => `${location.href.split("#")[0]}#${claim.id}`;
    const buttons = [copyButton(() => plain.textContent, "Copy text", claim.id), copyButton(() => bibtex.textContent, "Copy BibTeX", claim.id),
      copyButton(link, "Copy link", claim.id)];
    bibtex.after(...buttons);
  });

  // ------------------------------------------------------------------------------------- search
  const dialog = byId("search"), words = byId("search-words"), found = byId("search-found");
  const LIMIT = 30;
  let index = null;
  const kindOf = (node) => (node.classList.contains("run") ? "run" : node.closest(".claim") ? "claim"
    : node.tagName === "CAPTION" ? "table" : node.closest("article") ? "table or figure" : "chapter");
  const entries = () => all("main h2[id], main h3[id], main h4[id], main caption, main details.run").map((node) => {
    const place = node.id ? node : node.closest("[id]");
    const text = (node.matches("details") ? node.querySelector(".run-name") : node).textContent.replace(/#\s*$/, "").trim();
    const box = node.matches("h3, h4, caption") ? node.closest("article") : null;
    const article = node.tagName === "CAPTION" ? box : null;
    // Ids, also in words, verdicts and captions can be searched, too.
    const parts = box && !article ? [node.id, box.id, ...all(".chip, .caption", box).map((one) => one.textContent)] : [];
    const more = parts.map((part) => ` ${part} ${part.replace(/[_-]+/g, " ")}`).join("");
    const at = article ? article.querySelector("[id]").id : place && place.id.replace(/-title$/, "");
    return { text, at, kind: kindOf(node), title: text.toLowerCase(), key: (text + more).toLowerCase() };
  }).filter((entry) => entry.at && entry.text);
  // Whole words come before parts of words, those of the title before those of the rest.
  const whole = (text, part) => new RegExp(`(^|[^\\p{L}\\p{N}])${part.replace(/[.*+?^${}()|[\]\\/]/g, "\\$&")}($|[^\\p{L}\\p{N}])`, "u").test(text);
  const rank = (entry, wanted) => [whole(entry.title, wanted.join(" ")), wanted.every((word) => whole(entry.title, word)),
    wanted.every((word) => whole(entry.key, word)), true].indexOf(true);
  const search = () => {
    index ??= entries();
    const wanted = words.value.toLowerCase().split(/\s+/).filter(Boolean);
    const hits = wanted.length ? index.filter((entry) => wanted.every((word) => entry.key.includes(word))) : [];
    const ranks = new Map(hits.map((entry) => [entry, rank(entry, wanted)]));
    hits.sort((one, other) => ranks.get(one) - ranks.get(other));
    byId("search-count").textContent = wanted.length ? `${hits.length} found${hits.length > LIMIT ? `, the first ${LIMIT} shown` : ""}` : "";
    found.replaceChildren(...hits.slice(0, LIMIT).map((hit) => {
      const link = element("a", `${hit.text} `, { href: `#${hit.at}` });
      link.append(element("small", hit.kind));
      link.addEventListener("click", () => dialog.close());
      const item = element("li", "");
      item.append(link);
      return item;
    }));
  };
  const openSearch = () => { if (!dialog.open) dialog.showModal(); words.select(); };
  byId("search-open").hidden = false;
  byId("search-open").addEventListener("click", openSearch);
  words.addEventListener("input", search);
  words.addEventListener("keydown", (event) => {
    if (event.key === "Escape") { event.preventDefault(); dialog.close(); }
    if (event.key !== "Enter") return;
    event.preventDefault();
    found.querySelector("a")?.click();
  });
  addEventListener("keydown", (event) => {
    if (event.key === "Escape") menu.open = false;
    if (event.key === "/" && !event.target.matches("input, textarea")) { event.preventDefault(); openSearch(); }
  });

  // ------------------------------------------------------------------------------------ figures
  const library = byId("vega");
  const narrow = matchMedia("(max-width: 46rem)");
  const load = () => {
    if (!window.vegaEmbed) document.head.append(element("script", library.textContent));
    return window.vegaEmbed;
  };
  const mount = async (box) => {
    const still = box.querySelector(".still"), specs = JSON.parse(box.querySelector("script").textContent);
    const place = element("div", "", { className: "live" });
    const draw = async () => {
      place.hidden = false;
      const options = { renderer: "svg", actions: false, logLevel: 0, config: { aria: false }, tooltip: { theme: isDark() ? "dark" : "light" } };
      await load()(place, specs[narrow.matches ? "narrow" : "wide"], options);
      const drawn = place.querySelector("svg"), alt = still.querySelector("svg").getAttribute("aria-label");
      drawn.setAttribute("role", "img");
      drawn.setAttribute("aria-label", alt);
      still.hidden = true;
    };
    box.append(place);
    try {
      await draw();
      narrow.addEventListener("change", () => draw().catch(() => { place.remove(); still.hidden = false; }));
    } catch {
      place.remove();
      still.hidden = false;
    }
  };
  if (library && "IntersectionObserver" in window) {
    const near = new IntersectionObserver((seen) => seen.filter((one) => one.isIntersecting).forEach((one) => {
      near.unobserve(one.target);
      mount(one.target);
    }), { rootMargin: "600px" });
    all(".drawings[data-figure]").forEach((box) => near.observe(box));
  }

  // -------------------------------------------------------------------------------------- paper
  let opened = [];
  addEventListener("beforeprint", () => {
    opened = all("details:not([open]):not(.run):not(.menu)");
    opened.forEach((one) => { one.open = true; });
  });
  addEventListener("afterprint", () => { opened.forEach((one) => { one.open = false; }); });
})();
