// Preset cards, the expected time on each of them, and the preset files that were left out.
"use strict";
studio.widgets.presets = (element, props, trigger, watch) => {
  const { t, h, locale } = studio;
  const MOST_WITH_SENTENCE = 4; // more cards than that show the chosen one's sentence only

  const radios = new Map();
  const times = new Map();
  const chosen = h("p", { class: "presets-chosen" });
  const group = h("div", { class: "presets-cards", role: "radiogroup", "aria-label": t("inputs.presets") });
  for (const preset of props.presets) group.append(drawCard(preset));
  element.classList.add("presets");
  element.classList.toggle("presets-compact", props.presets.length > MOST_WITH_SENTENCE);
  element.append(h("p", { class: "presets-title", "aria-hidden": "true" }, t("inputs.presets")), group, chosen);
  if (props.problems.length) element.append(drawProblems());
  showChoice();
  showTimes();
  watch("value", showChoice);
  watch("times", showTimes);

  function drawCard({ name, titles, sentences }) {
    const [title, time, sentence] = ["title", "time", "sentence"].map((part) => `presets-${part}-${name}`);
    const radio = h("input", {
      type: "radio", name: "preset", value: name, class: "presets-radio",
      "aria-labelledby": title, "aria-describedby": `${time} ${sentence}`, onchange: choose,
    });
    radios.set(name, radio);
    times.set(name, h("span", { id: time, class: "presets-time" }));
    return h("label", { class: "presets-card" },
      radio,
      h("span", { class: "presets-line" },
        h("span", { id: title, class: "presets-name" }, titles[locale]), times.get(name)),
      h("span", { id: sentence, class: "presets-sentence" }, sentences[locale]),
    );
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

  function showChoice() {
    const preset = props.presets.find(({ name }) => name === props.value);
    radios.get(preset.name).checked = true;
    chosen.textContent = preset.sentences[locale];
  }

  function showTimes() {
    for (const [name, place] of times) place.textContent = props.times[name] ?? "";
  }
};
