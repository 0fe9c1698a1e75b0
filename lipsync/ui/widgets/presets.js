// Preset cards, the expected time on each of them, and the preset files that were left out.
// `absent` names the presets whose models are not here, and why: their cards are grey.
"use strict";
studio.widgets.presets = (element, props, trigger, watch) => {
  const { t, h, locale } = studio;
  const MOST_WITH_SENTENCE = 4; // more cards than that show the sentence of one at a time

  const cards = new Map(); // name -> the parts of its card
  const told = h("p", { class: "presets-told" });
  const group = h("div", { class: "presets-cards", role: "radiogroup", "aria-label": t("inputs.presets") });
  for (const preset of props.presets) group.append(drawCard(preset));
  element.classList.add("presets");
  element.classList.toggle("presets-compact", props.presets.length > MOST_WITH_SENTENCE);
  element.append(h("p", { class: "presets-title", "aria-hidden": "true" }, t("inputs.presets")), group, told);
  if (props.problems.length) element.append(drawProblems());
  showAbsent();
  showChoice();
  showTimes();
  watch(["value", "absent"], () => {
    showAbsent();
    leaveAbsent();
    showChoice();
    showTimes();
  });
  watch("times", showTimes);

  function drawCard({ name, titles, sentences }) {
    const id = (part) => `presets-${part}-${name}`;
    const radio = h("input", {
      type: "radio", name: "preset", value: name, class: "presets-radio",
      "aria-labelledby": id("title"), "aria-describedby": `${id("time")} ${id("sentence")} ${id("reason")}`,
      onchange: choose, onclick: refuse, onfocus: () => tell(name), onblur: () => tell(),
    });
    const time = h("span", { id: id("time"), class: "presets-time" });
    const reason = h("span", { id: id("reason"), class: "presets-reason" });
    const label = h("label", { class: "presets-label" },
      radio,
      h("span", { class: "presets-line" },
        h("span", { id: id("title"), class: "presets-name" }, titles[locale]), time),
      h("span", { id: id("sentence"), class: "presets-sentence" }, sentences[locale]),
      reason,
    );
    const fetch = h("button", {
      type: "button", class: "presets-fetch", "aria-describedby": id("reason"),
      "aria-label": t("models.fetch-for", { title: titles[locale] }),
      onclick: () => trigger("select", { preset: name }), onfocus: () => tell(name), onblur: () => tell(),
    }, t("models.fetch"));
    const card = h("div", { class: "presets-card", onmouseenter: () => tell(name), onmouseleave: () => tell() }, label);
    cards.set(name, { card, radio, time, reason, fetch });
    return card;
  }

  function drawProblems() {
    const lines = props.problems.map(({ file, line, causes }) => {
      const problem = { file, line, cause: causes[locale] };
      return h("li", {}, t(line ? "inputs.problem" : "inputs.problem-file", problem));
    });
    const title = t("inputs.problems", { count: lines.length });
    return h("details", { class: "presets-problems" }, h("summary", {}, title), h("ul", {}, ...lines));
  }

  function choose(event) {
    props.value = event.target.value;
    showChoice();
    trigger("input");
  }

  // A grey card may be stood on, which tells its reason, but neither mouse nor arrow keys choose it.
  function refuse(event) {
    if (isAbsent(event.target.value)) event.preventDefault();
  }

  function isAbsent(name) {
    return Object.hasOwn(props.absent, name);
  }

  function showAbsent() {
    for (const [name, { card, radio, reason, fetch }] of cards) {
      const grey = isAbsent(name);
      card.classList.toggle("presets-absent", grey);
      if (grey) radio.setAttribute("aria-disabled", "true");
      else radio.removeAttribute("aria-disabled");
      reason.textContent = grey ? props.absent[name] || t("models.absent") : "";
      if (grey && props.can_fetch) card.append(fetch);
      else fetch.remove();
    }
    tell();
  }

  // The models of the chosen preset have been deleted: the first that works takes its place.
  function leaveAbsent() {
    const first = props.presets.find(({ name }) => !isAbsent(name));
    if (!isAbsent(props.value) || !first) return;
    props.value = first.name;
    trigger("input");
  }

  function showChoice() {
    cards.get(props.value).radio.checked = true;
    tell();
  }

  // The line below the cards: why a grey one is grey while one is at it, else the chosen one's sentence.
  function tell(name = props.value) {
    const shown = isAbsent(name) ? name : props.value;
    const preset = props.presets.find((one) => one.name === shown);
    told.textContent = isAbsent(shown) ? cards.get(shown).reason.textContent : preset.sentences[locale];
    told.classList.toggle("presets-why", isAbsent(shown));
  }

  function showTimes() {
    for (const [name, { time }] of cards) time.textContent = isAbsent(name) ? "" : props.times[name] ?? "";
  }
};
